//! One request to ECR's API: signed, within its quota, bounded in time, counted, and repeated where that helps.

use std::{
    error::Error,
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_ecr::{
    Client,
    config::Region,
    error::{ProvideErrorMetadata, SdkError},
};
use dth_proto::{
    failure::{FailureClass, Side},
    spec,
};
use tokio::time::Instant;

use super::{
    OpenError,
    failure::{INVALID_LAYER, UPLOAD_NOT_FOUND, is_not_offered},
    governor::{Api, Governor, Governors},
};
use crate::{
    aws::{self, is_endpoint},
    credential::{
        Credential,
        refusal::{is_expired, is_refused},
    },
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// Requests here are few, and one that fails for good fails many images: they are patient. About 20 s in all.
pub(super) const RETRY: RetryPolicy =
    RetryPolicy { attempts: 10, base: Duration::from_millis(100), cap: Duration::from_secs(20), patience: Duration::from_secs(120) };
/// A request that ECR throttles is repeated for this long, however often: the quota's bucket keeps it from being a burden.
const THROTTLED: Duration = Duration::from_secs(600);
/// From a request without a body to its answer.
const QUIET: Duration = Duration::from_secs(60);
/// Bodies that are sent get this much longer per byte: 32 KiB/s is slower than any link worth a transfer.
const SLOWEST: u64 = 32 * 1024;
/// ECR computes the digest of the whole layer before it answers.
const DIGEST: Duration = Duration::from_secs(600);

/// See the module.
pub(super) struct Service {
    sdk: Client,
    side: Side,
    /// Where the task names it.
    account: Option<String>,
    region: String,
    /// For messages.
    place: String,
    credential: Credential,
    retry: RetryPolicy,
    counters: Arc<RequestCounters>,
    governor: Governor,
}

impl Service {
    /// Prepares requests; sends none. Also gives what the SDK's environment and profiles say.
    pub(super) async fn open(
        registry: &spec::Registry,
        side: Side,
        credential: &Credential,
        governors: &Governors,
        counters: Arc<RequestCounters>,
        retry: RetryPolicy,
    ) -> Result<(Self, SdkConfig), OpenError> {
        let shared = aws::shared(registry.ecr_region(), credential).await?;
        let own = || std::env::var("AWS_ENDPOINT_URL_ECR").ok().or_else(|| shared.endpoint_url().map(str::to_owned));
        let endpoint = registry.endpoint.clone().or_else(own);
        let region = match (shared.region(), &endpoint) {
            (Some(region), _) => region.clone(),
            // what is not AWS may have no regions; signatures need one
            (None, Some(_)) => Region::from_static("us-east-1"),
            (None, None) => return Err(OpenError::Region),
        };
        let mut config = aws_sdk_ecr::config::Builder::from(&shared).region(region.clone());
        let account = registry.ecr_account().map(str::to_owned);
        let mut place = format!("ECR in {region}");
        // whose requests ECR counts together; an account that nobody named is the credential's
        let mut counted = account.as_deref().unwrap_or(credential.describe()).to_owned();
        if let Some(endpoint) = &endpoint {
            if !is_endpoint(endpoint) {
                return Err(OpenError::Endpoint(endpoint.clone()));
            }
            config = config.endpoint_url(endpoint);
            place.clone_from(endpoint);
            counted.clone_from(endpoint);
        }
        let service = Self {
            sdk: Client::from_conf(config.build()),
            side,
            account,
            place,
            credential: credential.clone(),
            retry,
            counters,
            governor: governors.at(&format!("{counted} {region}")),
            region: region.as_ref().to_owned(),
        };
        Ok((service, shared))
    }

    pub(super) fn sdk(&self) -> &Client {
        &self.sdk
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// The registry's account, for the requests; `None`: the credential's.
    pub(super) fn account(&self) -> Option<&String> {
        self.account.as_ref()
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    pub(super) fn governor(&self) -> &Governor {
        &self.governor
    }

    /// An error of ours.
    pub(super) fn error(&self, class: FailureClass, operation: &'static str, code: &str, message: impl Into<String>) -> TransferError {
        TransferError::new(class, self.side, operation, code, message)
    }

    /// Sends a request until it succeeds, fails for good, or the policy gives up. `about` is the repository it is about, or empty; `sent`
    /// the size of its body.
    pub(super) async fn call<T, E, F>(
        &self,
        operation: &'static str,
        about: &str,
        sent: u64,
        mut request: impl FnMut() -> F,
    ) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let started = Instant::now();
        let (mut failed, mut throttled) = (0, 0);
        loop {
            let since = Instant::now();
            let error = match self.once(operation, about, sent, &mut request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = if error.class == FailureClass::Throttled {
                throttled += 1;
                let attempt = self.retry.attempts.saturating_sub(1).clamp(1, throttled);
                if started.elapsed() < THROTTLED { self.retry.next_wait(attempt, &error, rand::random()) } else { None }
            } else {
                failed += 1;
                // loaded again by now
                let renewed = failed == 1 && (is_expired(&error.code) || (is_refused(&error.code) && self.credential.renew(since).await));
                let renewed = renewed.then_some(Duration::ZERO);
                let again = may_repeat(&error).then(|| self.retry.next_wait(failed, &error, rand::random())).flatten();
                again.or(renewed)
            };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(side = self.side.word(), operation, code = %error.code, failed, throttled, ?wait, "request repeated");
            tokio::time::sleep(wait).await;
            self.counters.retries.fetch_add(1, Relaxed);
        }
    }

    async fn once<T, E, F>(
        &self,
        operation: &'static str,
        about: &str,
        sent: u64,
        request: &mut impl FnMut() -> F,
    ) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let api = Api::of(operation);
        self.governor.permit(api).await;
        self.counters.requests.fetch_add(1, Relaxed);
        let limit = patience(operation, sent);
        let error = match tokio::time::timeout(limit, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.failed(operation, about, &error),
            Err(_) => {
                let message = format!("{} gave no answer within {limit:?}", self.place);
                self.error(FailureClass::Transient, operation, "RequestTimeout", message)
            }
        };
        if error.class == FailureClass::Throttled {
            self.counters.throttled.fetch_add(1, Relaxed);
            self.governor.throttled(api);
        }
        if is_expired(&error.code) {
            self.credential.refresh();
        }
        Err(error)
    }
}

/// How long a request may take.
fn patience(operation: &str, sent: u64) -> Duration {
    match operation {
        "CompleteLayerUpload" => DIGEST,
        _ => QUIET + Duration::from_secs(sent / SLOWEST),
    }
}

/// Operations that the image engine can do without, at the cost of more requests.
const OPTIONAL: [&str; 3] = ["BatchCheckLayerAvailability", "GetAccountSetting", "InitiateLayerUpload"];

/// Whether the same request can have another answer: a layer that ECR found damaged stays so, it must be sent anew.
fn may_repeat(error: &TransferError) -> bool {
    let without = OPTIONAL.contains(&error.operation) && is_not_offered(error);
    !(without || matches!(error.code.as_str(), INVALID_LAYER | UPLOAD_NOT_FOUND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_grows_with_the_body() {
        assert_eq!(patience("ListImages", 0), QUIET);
        assert_eq!(patience("UploadLayerPart", 10 << 20), QUIET + Duration::from_secs(320));
        assert_eq!(patience("CompleteLayerUpload", 0), DIGEST);
    }
}
