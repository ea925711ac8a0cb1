//! What only the API of Amazon ECR can do: lists, repositories, tokens, layer parts.
//!
//! | file | holds |
//! |---|---|
//! | `service` | one request: signed, within its quota, repeated where that helps |
//! | `failure` | what ECR's errors mean, and the way out |
//! | `token` | the password for the registry, renewed before it ends |
//! | `address` | the registry's host from account, region and partition |
//! | `list` | repositories, images, layers that are missing |
//! | `repository` | settings of repositories; their creation |
//! | [`layer`] | layers in parts |
//! | [`governor`] | requests per second |
//! | `account` | what all tasks share of the accounts: quotas and tokens |

mod account;
mod address;
mod failure;
pub mod governor;
pub mod layer;
mod list;
mod repository;
mod service;
#[cfg(test)]
mod tests;
mod token;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use dth_proto::{
    failure::{FailureClass, Side},
    spec,
};
use tokio::sync::OnceCell;

pub use self::{
    account::Accounts,
    governor::Governors,
    layer::{LayerError, LayerUpload},
};
use self::{failure::is_not_offered, service::Service, token::Token};
use super::registry::{Login, Quotas, Site};
use crate::{
    credential::Credential,
    http::TlsError,
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// Why a registry of ECR cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nothing says where it is.
    #[error("nothing says in which region the registry is: write region = \"…\" in the task, or set AWS_REGION for the daemon")]
    Region,
    /// The SDK knows no partition with this region.
    #[error("the region {region:?} has no ECR: {why}; correct it")]
    UnknownRegion {
        /// As named.
        region: String,
        /// In the SDK's words.
        why: String,
    },
    /// The endpoint is not an address.
    #[error("endpoint {0:?} is not an address: write it like https://host[:port]")]
    Endpoint(String),
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error(transparent)]
    CaBundle(#[from] TlsError),
}

/// A registry of ECR at one end of a task, by its API. Cheap to clone; clones share connections, the token, and their turns in the quotas'
/// queues. Dropping a future of any method ends its request.
#[derive(Clone)]
pub struct Ecr {
    inner: Arc<Inner>,
}

struct Inner {
    service: Arc<Service>,
    token: Arc<Token>,
    /// Where manifests and blobs are, if the task or the account says so.
    site: Option<Site>,
    mounts_blobs: OnceCell<bool>,
    /// The server has no `BatchCheckLayerAvailability`.
    blind: AtomicBool,
    /// Repositories of which ECR has not yet taken all settings.
    unfinished: Mutex<HashSet<String>>,
}

impl fmt::Debug for Ecr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ecr({} {})", self.service().side().word(), self.service().place())
    }
}

impl Ecr {
    /// Prepares requests to ECR; sends none. The SDK's environment and profiles count where `registry` says nothing.
    ///
    /// # Errors
    /// [`OpenError`] when region, endpoint or certificates are no use.
    pub async fn open(
        registry: &spec::Registry,
        side: Side,
        credential: &Credential,
        accounts: &Accounts,
        counters: Arc<RequestCounters>,
    ) -> Result<Self, OpenError> {
        Self::open_with(registry, side, credential, accounts, counters, service::RETRY).await
    }

    async fn open_with(
        registry: &spec::Registry,
        side: Side,
        credential: &Credential,
        accounts: &Accounts,
        counters: Arc<RequestCounters>,
        retry: RetryPolicy,
    ) -> Result<Self, OpenError> {
        let (service, sdk) = Service::open(registry, side, credential, &accounts.governors, counters, retry).await?;
        let service = Arc::new(service);
        let site = match (&registry.registry_endpoint, registry.ecr_account()) {
            (Some(endpoint), _) => Some(Site::of(endpoint)),
            (None, Some(account)) => {
                let region = service.region();
                let host = address::host(account, region, sdk.use_fips().unwrap_or(false)).await;
                let host = host.map_err(|why| OpenError::UnknownRegion { region: region.to_owned(), why })?;
                Some(Site::of(&host))
            }
            (None, None) => None,
        };
        let token = Arc::new(Token::new(Arc::clone(&service), accounts.tokens.of(&service)));
        let inner =
            Inner { service, token, site, mounts_blobs: OnceCell::new(), blind: AtomicBool::new(false), unfinished: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn service(&self) -> &Service {
        &self.inner.service
    }

    /// Region, or endpoint, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        self.service().place()
    }

    /// The region requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.service().region()
    }

    /// Where manifests and blobs are: `registry_endpoint`, else the host of account and region. An account that is not named is the
    /// credential's: the token tells which.
    ///
    /// # Errors
    /// When the token cannot be had.
    pub async fn site(&self) -> Result<Site, TransferError> {
        match &self.inner.site {
            Some(site) => Ok(site.clone()),
            None => Ok(Site::of(&self.inner.token.proxy_endpoint().await?)),
        }
    }

    /// How to sign in to [`Ecr::site`].
    #[must_use]
    pub fn login(&self) -> Login {
        Login::Renewed(Arc::clone(&self.inner.token) as Arc<_>)
    }

    /// The quotas that requests to the registry count towards.
    #[must_use]
    pub fn quotas(&self) -> Arc<dyn Quotas> {
        Arc::clone(&self.inner.service) as Arc<_>
    }

    /// Whether the registry mounts blobs of its other repositories (account setting `BLOB_MOUNTING`; off unless somebody has switched it on).
    /// Asked once; where it may not be asked, or another account's registry is meant, it counts as off.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn mounts_blobs(&self) -> Result<bool, TransferError> {
        let ask = || async {
            if let Some(account) = self.service().account() {
                let own = spec::Registry { registry: self.inner.token.proxy_endpoint().await?, ..spec::Registry::default() };
                if own.ecr_account().is_some_and(|own| own != account) {
                    return Ok(false);
                }
            }
            let service = self.service();
            let answer =
                service.call("GetAccountSetting", "", 0, || service.sdk().get_account_setting().name("BLOB_MOUNTING").send()).await;
            match answer {
                Ok(setting) => Ok(setting.value().is_some_and(|value| value.eq_ignore_ascii_case("ENABLED"))),
                Err(error) if is_not_offered(&error) || matches!(error.class, FailureClass::Auth | FailureClass::Permanent) => {
                    tracing::info!(side = error.side.word(), %error, "blobs are not mounted: the account's setting cannot be read");
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        };
        self.inner.mounts_blobs.get_or_try_init(ask).await.copied()
    }
}
