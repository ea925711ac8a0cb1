//! One bucket, as the engine sees it: every request counted, classified, bounded in time and tried again by one policy.
//!
//! Nothing outside this module knows the SDK's types.

mod archive;
mod copy;
mod delete;
mod failure;
mod list;
mod load;
mod multipart;
mod notification;
#[cfg(test)]
mod odd_stores;
mod raw;
mod read;
mod seal;
mod versions;
mod write;

use std::{
    fmt,
    future::Future,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{Region, RequestChecksumCalculation, ResponseChecksumValidation},
    primitives::DateTime,
    types::RequestPayer,
};
use dth_proto::{
    failure::{FailureClass, Side},
    spec::Store,
    time::Timestamp,
};
use percent_encoding::percent_decode;

use self::load::{Load, Turn};
pub use self::{
    copy::{CopyAsked, CopyFrom},
    delete::fits_in_xml,
    multipart::{ListedUpload, UploadedPart},
    notification::{Notifications, Rule, Target},
    read::Got,
};
pub use super::wire::Put;
use crate::{
    aws::{is_endpoint, shared},
    credential::{
        Credential, CustomerKey,
        refusal::{is_expired, is_refused},
    },
    http::{self, TlsError},
    s3::{
        provider::{self, Profile, UnknownProvider, UnsignedPayload},
        wire::{Site, Wire},
    },
    transfer::{
        TransferError,
        progress::RequestCounters,
        retry::RetryPolicy,
        window::{Kind, Windows},
    },
};

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
    #[error(transparent)]
    CaBundle(#[from] TlsError),
    /// A key of ours would go over a connection that anyone can read.
    #[error("a key of type sse-c cannot be sent to {0}: it goes over TLS or to an address of this machine only, use https://")]
    Readable(String),
    /// There is no such bucket anywhere: its name, region and endpoint do not go together.
    #[error("the bucket {bucket:?} has no address: {why}; correct its name, region or endpoint")]
    Address {
        /// Its name.
        bucket: String,
        /// In words.
        why: String,
    },
}

/// A bucket at one end of a task. Cheap to clone; clones share connections. Dropping a future of any method ends its request.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
    /// The key of ours that its objects are encrypted with.
    customer: Option<CustomerKey>,
}

struct Inner {
    /// For all requests but the wire's; rebuilt when the wire finds the bucket in another region.
    sdk: RwLock<Client>,
    wire: Wire,
    profile: &'static Profile,
    side: Side,
    name: String,
    /// For messages.
    place: String,
    requester_pays: bool,
    credential: Credential,
    retry: RetryPolicy,
    counters: Arc<RequestCounters>,
    load: Option<Load>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} {} at {})", self.inner.side.word(), self.inner.name, self.inner.place)
    }
}

impl Bucket {
    /// Prepares requests to a bucket; sends none. The SDK's environment and profiles count where `store` says nothing. With
    /// `windows`, requests wait until their endpoint can take them, in a queue of this bucket's own.
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
        windows: Option<&Windows>,
    ) -> Result<Self, OpenError> {
        let profile = provider::find(&store.provider)?;
        let store = &profile.complete(store);
        let shared = shared(store.region.as_deref(), credential).await?;
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .interceptor(seal::SaidOnce);
        let region = shared.region().cloned().unwrap_or_else(|| Region::from_static("us-east-1"));
        let mut place = region.as_ref().to_owned();
        let own = || std::env::var("AWS_ENDPOINT_URL_S3").ok().or_else(|| shared.endpoint_url().map(str::to_owned));
        let endpoint = store.endpoint.clone().or_else(own);
        if let Some(endpoint) = &endpoint {
            if !is_endpoint(endpoint) {
                return Err(OpenError::Endpoint(endpoint.clone()));
            }
            config = config.endpoint_url(endpoint);
            place.clone_from(endpoint);
        }
        // also the environment can name an address that no bucket's name fits in front of
        let path_style = store.path_style.unwrap_or(false) || provider::has_no_name(&place);
        let site = Site {
            bucket: store.bucket.clone(),
            region: region.as_ref().to_owned(),
            endpoint,
            path_style,
            dual_stack: shared.use_dual_stack().unwrap_or(false),
            fips: shared.use_fips().unwrap_or(false),
        };
        let wire = Wire::open(http::Client::new()?, credential.clone(), site, requester_pays)
            .await
            .map_err(|why| OpenError::Address { bucket: store.bucket.clone(), why })?;
        let config = config.region(region).force_path_style(path_style).time_source(wire.skew()).build();
        let load = windows.map(|windows| Load::at(windows, &place, (!path_style).then_some(&store.bucket)));
        let inner = Inner {
            sdk: RwLock::new(Client::from_conf(config)),
            wire,
            profile,
            side,
            name: store.bucket.clone(),
            place,
            requester_pays,
            credential: credential.clone(),
            retry,
            counters,
            load,
        };
        Ok(Self { inner: Arc::new(inner), customer: None })
    }

    /// The same, with objects that are encrypted with a key of ours (SSE-C).
    ///
    /// # Errors
    /// [`OpenError::Readable`] where the key could be read on its way (AWS refuses such requests as well).
    pub fn sealed(self, key: Option<CustomerKey>) -> Result<Self, OpenError> {
        if key.is_some() && !self.inner.wire.is_private() {
            return Err(OpenError::Readable(self.inner.place.clone()));
        }
        Ok(Self { customer: key, ..self })
    }

    /// Whether the store makes objects of parts that it copies by itself. Not with a key of ours: no ETag tells what became of them, and
    /// there are stores that cannot read what they made so (SeaweedFS 4.48).
    #[must_use]
    pub fn copies_parts(&self) -> bool {
        self.profile().copies_parts && self.customer.is_none()
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The store's dialect, as in the task.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.inner.profile.name
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

    /// The SDK's client, for the region in which the bucket is.
    fn sdk(&self) -> Client {
        let kept = self.inner.sdk.read().unwrap_or_else(PoisonError::into_inner).clone();
        let site = self.inner.wire.site();
        if kept.config().region().is_some_and(|region| region.as_ref() == site.region) {
            return kept;
        }
        let mut config = kept.config().to_builder().region(Region::new(site.region));
        config.set_endpoint_url(site.endpoint);
        let moved = Client::from_conf(config.build());
        *self.inner.sdk.write().unwrap_or_else(PoisonError::into_inner) = moved.clone();
        moved
    }

    /// Whether bodies are sent without a hash of them in the signature.
    fn unsigned(&self) -> bool {
        match self.inner.profile.unsigned_payload {
            UnsignedPayload::Always => true,
            UnsignedPayload::Tls => self.inner.wire.is_private(),
            UnsignedPayload::Never => false,
        }
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
        let renewed = (attempt == 1 && is_expired(&error.code)).then_some(Duration::ZERO);
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

    /// Sends a request, within the time its size allows: once, or again when its keys were refused and there are others by now.
    async fn once<T, F>(&self, operation: &'static str, sent: u64, request: &mut impl FnMut() -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        let since = tokio::time::Instant::now();
        self.inner.counters.requests.fetch_add(1, Relaxed);
        let limit = patience(operation, sent);
        // what watches itself also enters by itself
        let turn = if limit.is_some() { self.turn(operation).await } else { None };
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
        if let Some(turn) = turn {
            turn.answered(sent, result.as_ref().err());
        }
        if let Err(error) = &result {
            if error.class == FailureClass::Throttled {
                self.inner.counters.throttled.fetch_add(1, Relaxed);
            }
            if is_expired(&error.code) {
                self.inner.credential.refresh();
            }
            if is_refused(&error.code) {
                // boxed: what is seldom done would make every future large
                return Box::pin(self.again(since, result, operation, sent, request)).await;
            }
        }
        result
    }

    /// What has become of a request whose keys were refused, with others if there are any.
    async fn again<T, F>(
        &self,
        since: tokio::time::Instant,
        refused: Result<T, TransferError>,
        operation: &'static str,
        sent: u64,
        request: &mut impl FnMut() -> F,
    ) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        if !self.inner.credential.renew(since).await {
            return refused;
        }
        self.inner.counters.retries.fetch_add(1, Relaxed);
        Box::pin(self.once(operation, sent, request)).await
    }
}

impl Bucket {
    /// Waits until the endpoint can take another request.
    async fn turn(&self, operation: &'static str) -> Option<Turn> {
        match &self.inner.load {
            Some(load) => Some(load.turn(operation).await),
            None => None,
        }
    }

    /// How many requests of a kind the endpoint takes at a time, as far as is known by now; without windows, one.
    #[must_use]
    pub fn at_a_time(&self, kind: Kind) -> usize {
        self.inner.load.as_ref().map_or(1, |load| load.limit(kind))
    }
}

/// How long a request may take; `None`: it watches itself, because its answer has a body of any length.
fn patience(operation: &str, sent: u64) -> Option<Duration> {
    match operation {
        "GetObject" => None,
        // S3 may assemble, or copy, for minutes before it answers (AWS: CompleteMultipartUpload, CopyObject).
        "CompleteMultipartUpload" | "CopyObject" | "UploadPartCopy" => Some(Duration::from_secs(600)),
        _ => Some(QUIET + Duration::from_secs(sent / SLOWEST)),
    }
}

/// A time of the SDK; 1970 when there is none.
fn timestamp(time: Option<&DateTime>) -> Timestamp {
    Timestamp(time.and_then(|t| t.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0))
}

/// `encoding-type=url` is form encoding: `+` is a space. `None` when the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_grows_with_the_body() {
        assert_eq!(patience("PutObject", 0), Some(QUIET));
        assert_eq!(patience("UploadPart", 16 << 20), Some(QUIET + Duration::from_secs(512)));
        assert_eq!(patience("GetObject", 0), None);
    }

    #[test]
    fn keys_come_back_exactly() {
        for (encoded, key) in [
            ("plain/key", "plain/key"),
            ("a+b%2Bc%20d", "a b+c d"),
            ("%E4%BD%A0%0A%01", "你\n\u{1}"),
            ("100%25", "100%"),
            ("50%", "50%"),
            ("%2F%2F..%2F", "//../"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(key), "{encoded}");
        }
        assert_eq!(decode("%FF%FE"), None);
    }
}
