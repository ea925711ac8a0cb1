//! What either end of a task can do: any registry, and ECR with its own API.

use std::sync::Arc;

use dth_proto::{failure::Side, spec};

use super::{
    ecr::{Ecr, OpenError},
    registry::{Registry, SignIn, Site, login_for},
};
use crate::{
    credential::CredentialError,
    http::TlsError,
    transfer::{TransferError, progress::RequestCounters, resources::Resources, retry::RetryPolicy},
};

/// One end of an image task.
pub struct End {
    /// Manifests and blobs.
    pub registry: Registry,
    /// Lists, repositories and layer parts, where it is ECR.
    pub ecr: Option<Ecr>,
}

/// Why an end cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Its credential is of no use.
    #[error("{}: {why}", side.word())]
    Credential {
        /// Which end.
        side: Side,
        /// Why.
        why: CredentialError,
    },
    /// ECR cannot be asked.
    #[error("{}: {why}", side.word())]
    Ecr {
        /// Which end.
        side: Side,
        /// Why.
        why: OpenError,
    },
    /// ECR does not say where the registry is.
    #[error(transparent)]
    Site(#[from] TransferError),
    /// The certificates cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl End {
    /// Opens an end. Sends no request, except to ECR for the account where the task does not name it.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn open(
        registry: &spec::Registry,
        side: Side,
        resources: &Resources,
        counters: &Arc<RequestCounters>,
    ) -> Result<Self, EndError> {
        let retry = RetryPolicy::default();
        let open = |site, sign_in: Arc<SignIn>| Registry::open(site, side, sign_in, Some(&resources.windows), retry, Arc::clone(counters));
        if !registry.is_ecr() {
            let login = login_for(registry, side, &resources.credentials()).await.map_err(|why| EndError::Credential { side, why })?;
            let site = Site::of(registry.registry_endpoint.as_deref().unwrap_or(&registry.registry));
            let sign_in = resources.images.sign_ins.of(&site, side, login);
            return Ok(Self { registry: open(site, sign_in)?, ecr: None });
        }
        let credential = resources.credential(registry.credential.as_deref()).await.map_err(|why| EndError::Credential { side, why })?;
        let ecr = Ecr::open(registry, side, &credential, &resources.images.accounts, Arc::clone(counters)).await;
        let ecr = ecr.map_err(|why| EndError::Ecr { side, why })?;
        let registry = open(ecr.site().await?, ecr.login().into())?.within(ecr.quotas());
        Ok(Self { registry, ecr: Some(ecr) })
    }
}
