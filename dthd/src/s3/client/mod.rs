//! One bucket, as the engine sees it: every request counted, classified, bounded in time and tried again by one policy.
//!
//! Nothing outside this module knows the SDK's types.

mod failure;
mod http;
mod list;
mod multipart;
mod read;
mod write;

use std::{
    fmt,
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    types::RequestPayer,
};
use dth_proto::{
    failure::{FailureClass, Side},
    spec::Store,
};

pub use self::{
    multipart::{ListedUpload, UploadedPart},
    read::Got,
    write::Put,
};
use crate::{
    credential::Credential,
    s3::provider::{self, Profile, UnknownProvider},
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// From a request without a body to the head of its answer, and between two pieces of an answer's body.
const QUIET: Duration = Duration::from_secs(60);
/// Bodies that are sent get this much longer per byte: 32 KiB/s is slower than any link worth a transfer.
const SLOWEST: u64 = 32 * 1024;

/// Why a bucket cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The store has no profile.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    /// The endpoint is not an address.
    #[error("endpoint {0:?} is not an address: write it like https://host[:port]")]
    Endpoint(String),
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error("AWS_CA_BUNDLE names {path}, which cannot be read: {why}")]
    CaBundle {
        /// The file.
        path: String,
        /// The system's reason.
        why: String,
    },
}

/// A bucket at one end of a task. Cheap to clone; clones share connections. Dropping a future of any method ends its request.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    side: Side,
    name: String,
    provider: String,
    profile: &'static Profile,
    /// For messages.
    place: String,
    /// Bodies need no hash of their own in the signature: TLS protects them.
    tls: bool,
    requester_pays: bool,
    credential: Credential,
    retry: RetryPolicy,
    counters: Arc<RequestCounters>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} {} at {})", self.inner.side.word(), self.inner.name, self.inner.place)
    }
}

impl Bucket {
    /// Prepares requests to a bucket; sends none. The SDK's environment and profiles count where `store` says nothing.
    ///
    /// # Errors
    /// [`OpenError`] when endpoint or certificates are no use.
    pub async fn open(
        store: &Store,
        side: Side,
        credential: &Credential,
        requester_pays: bool,
        retry: RetryPolicy,
        counters: Arc<RequestCounters>,
    ) -> Result<Self, OpenError> {
        let profile = provider::find(&store.provider)?;
        let store = &profile.complete(store);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client()?)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .identity_cache(IdentityCache::no_cache());
        if let Some(region) = &store.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = credential.profile() {
            loader = loader.profile_name(profile);
        }
        loader = match credential.provider() {
            Some(provider) => loader.credentials_provider(provider),
            None => loader.no_credentials(),
        };
        let shared = loader.load().await;
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let region = shared.region().cloned().unwrap_or_else(|| Region::from_static("us-east-1"));
        let mut place = region.as_ref().to_owned();
        config = config.region(region);
        if let Some(endpoint) = &store.endpoint {
            check_endpoint(endpoint)?;
            config = config.endpoint_url(endpoint);
            place.clone_from(endpoint);
        } else if let Some(endpoint) = std::env::var("AWS_ENDPOINT_URL_S3").ok().or_else(|| shared.endpoint_url().map(str::to_owned)) {
            place = endpoint;
        }
        // also the environment can name an address that no bucket's name fits in front of
        let path_style = store.path_style.unwrap_or(false) || provider::has_no_name(&place);
        let config = config.force_path_style(path_style).build();
        let inner = Inner {
            client: Client::from_conf(config),
            side,
            name: store.bucket.clone(),
            provider: store.provider.clone(),
            profile,
            tls: !place.starts_with("http://"),
            place,
            requester_pays,
            credential: credential.clone(),
            retry,
            counters,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The store's dialect, as in the task.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.inner.provider
    }

    /// What is known of the store.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.inner.profile
    }

    /// Which end this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.inner.side
    }

    /// Endpoint or region, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// The policy requests are repeated by.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.inner.retry
    }

    /// Counts of all requests that share these counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<RequestCounters> {
        &self.inner.counters
    }

    fn payer(&self) -> Option<RequestPayer> {
        self.inner.requester_pays.then_some(RequestPayer::Requester)
    }

    /// An error of ours about this bucket.
    fn error(&self, class: FailureClass, operation: &'static str, code: &str, message: impl Into<String>) -> TransferError {
        TransferError::new(class, self.inner.side, operation, code, message)
    }

    /// How long to wait before a request is repeated that has failed `attempt` times; `None`: not at all. One answer that the
    /// credentials have expired is worth a repetition, because they have been loaded again.
    #[must_use]
    pub fn next_wait(&self, attempt: u32, error: &TransferError) -> Option<Duration> {
        let renewed = (attempt == 1 && is_expired(error)).then_some(Duration::ZERO);
        self.inner.retry.next_wait(attempt, error, rand::random()).or(renewed)
    }

    /// Waits before a repetition, and counts it.
    pub async fn pause(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
        self.inner.counters.retries.fetch_add(1, Relaxed);
    }

    /// Sends a request until it succeeds, fails for good, or the policy gives up. `sent` is the size of its body.
    async fn call<T, F>(&self, operation: &'static str, sent: u64, mut request: impl FnMut() -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        let mut attempt = 0;
        loop {
            let error = match self.once(operation, sent, &mut request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            let Some(wait) = self.next_wait(attempt, &error) else { return Err(error) };
            tracing::debug!(side = self.inner.side.word(), operation, code = %error.code, attempt, ?wait, "request repeated");
            self.pause(wait).await;
        }
    }

    /// Sends a request once, within the time its size allows.
    async fn once<T, F>(&self, operation: &'static str, sent: u64, request: &mut impl FnMut() -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        self.inner.counters.requests.fetch_add(1, Relaxed);
        let limit = patience(operation, sent);
        let result = match limit {
            Some(limit) => match tokio::time::timeout(limit, request()).await {
                Ok(result) => result,
                Err(_) => {
                    let message = format!("{} gave no answer within {limit:?}", self.inner.place);
                    Err(self.error(FailureClass::Transient, operation, "RequestTimeout", message))
                }
            },
            None => request().await,
        };
        if let Err(error) = &result {
            if error.class == FailureClass::Throttled {
                self.inner.counters.throttled.fetch_add(1, Relaxed);
            }
            if is_expired(error) {
                self.inner.credential.refresh();
            }
        }
        result
    }
}

fn is_expired(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired")
}

/// How long a request may take; `None`: it watches itself, because its answer has a body of any length.
fn patience(operation: &str, sent: u64) -> Option<Duration> {
    match operation {
        "GetObject" => None,
        // S3 may assemble for minutes before it answers (AWS: CompleteMultipartUpload).
        "CompleteMultipartUpload" => Some(Duration::from_secs(600)),
        _ => Some(QUIET + Duration::from_secs(sent / SLOWEST)),
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), OpenError> {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let good = rest.is_some_and(|r| !r.trim_matches('/').is_empty() && !r.contains([' ', '@', '?', '#']));
    if good { Ok(()) } else { Err(OpenError::Endpoint(endpoint.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in ["http://127.0.0.1:8333", "https://s3.example.com/", "https://host/base"] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in ["127.0.0.1:8333", "ftp://x", "https://", "http://user:secret@host", "http://a b"] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn time_grows_with_the_body() {
        assert_eq!(patience("PutObject", 0), Some(QUIET));
        assert_eq!(patience("UploadPart", 16 << 20), Some(QUIET + Duration::from_secs(512)));
        assert_eq!(patience("GetObject", 0), None);
    }
}
