//! Reading: HEAD, GET of a whole object or a range, tags. Always one generation.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use aws_sdk_s3::{
    operation::head_object::HeadObjectOutput,
    primitives::DateTimeFormat,
    types::{ChecksumType, ObjectLockLegalHoldStatus, ObjectLockMode},
};
use dth_proto::failure::FailureClass;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::{Bucket, QUIET, Turn, seal::with_key, timestamp};
use crate::{
    credential::CustomerKey,
    http::client::in_words,
    s3::{
        metadata::{Metadata, ObjectInfo, ObjectLock},
        object::{ETag, Pin},
        payload::Payload,
        verify::{Algorithm, Crc, StoredChecksum},
        wire::{Found, Pinned},
    },
    transfer::TransferError,
};

const GET: &str = "GetObject";
const HEAD: &str = "HeadObject";
const RETENTION: &str = "GetObjectRetention";
const TAGS: &str = "GetObjectTagging";

/// What a GET brought.
#[derive(Clone, Debug)]
pub struct Got {
    /// About the object; `size` is that of the bytes asked for.
    pub info: ObjectInfo,
    /// Exactly the bytes asked for.
    pub body: Payload,
}

pub(super) fn info(o: &HeadObjectOutput) -> ObjectInfo {
    let checksums = [
        (Algorithm::Crc(Crc::Crc64Nvme), o.checksum_crc64_nvme()),
        (Algorithm::Crc(Crc::Crc32c), o.checksum_crc32_c()),
        (Algorithm::Crc(Crc::Crc32), o.checksum_crc32()),
        (Algorithm::Sha1, o.checksum_sha1()),
        (Algorithm::Sha256, o.checksum_sha256()),
    ];
    let until = o.object_lock_retain_until_date().and_then(|date| date.fmt(DateTimeFormat::DateTime).ok());
    let lock = ObjectLock::of(
        o.object_lock_mode().map(ObjectLockMode::as_str),
        until.as_deref(),
        o.object_lock_legal_hold_status().map(ObjectLockLegalHoldStatus::as_str),
    );
    ObjectInfo {
        size: o.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        etag: ETag::new(o.e_tag().unwrap_or_default()),
        modified: timestamp(o.last_modified()),
        metadata: Metadata {
            content_type: o.content_type().map(str::to_owned),
            cache_control: o.cache_control().map(str::to_owned),
            content_disposition: o.content_disposition().map(str::to_owned),
            content_encoding: o.content_encoding().map(str::to_owned),
            content_language: o.content_language().map(str::to_owned),
            expires: o.expires_string().map(str::to_owned),
            redirect: o.website_redirect_location().map(str::to_owned),
            user: o.metadata().map(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default(),
        },
        class: o.storage_class().map(|c| c.as_str().to_owned()),
        tags: o.tag_count().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        checksum: stored(
            o.checksum_type(),
            [(Crc::Crc64Nvme, o.checksum_crc64_nvme()), (Crc::Crc32c, o.checksum_crc32_c()), (Crc::Crc32, o.checksum_crc32())],
        ),
        opaque_etag: o.server_side_encryption().is_some_and(|e| e.as_str().starts_with("aws:kms")) || o.sse_customer_algorithm().is_some(),
        parts: o.parts_count().and_then(|n| u32::try_from(n).ok()),
        version: o.version_id().map(str::to_owned),
        lock: lock.map(Box::new),
        checksums: checksums.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?.to_owned()))).collect(),
    }
}

impl Bucket {
    /// What the store says about an object, of the generation `pin` names.
    ///
    /// # Errors
    /// At the source, an object that is gone or of another generation is `Changed`.
    pub async fn head(&self, key: &str, pin: Pin<'_>) -> Result<ObjectInfo, TransferError> {
        self.head_output(key, pin, None).await.map(|output| info(&output))
    }

    /// A part (from 1) of an object that was uploaded in parts; `size` is that of the part. Not pinned to an ETag, because some stores
    /// compare `If-Match` with an ETag of the part.
    ///
    /// # Errors
    /// As [`Bucket::head`]; stores that do not know part numbers answer in many ways.
    pub async fn head_part(&self, key: &str, version: Option<&str>, number: u32) -> Result<ObjectInfo, TransferError> {
        self.head_output(key, Pin { etag: None, version }, i32::try_from(number).ok()).await.map(|output| info(&output))
    }

    pub(super) async fn head_output(&self, key: &str, pin: Pin<'_>, part: Option<i32>) -> Result<HeadObjectOutput, TransferError> {
        let found = self.head_with(key, pin, part, self.customer.as_ref()).await;
        match found {
            Err(error) if self.is_not_sealed(&error) => self.head_with(key, pin, part, None).await.map_err(|_| error),
            found => found,
        }
    }

    async fn head_with(
        &self,
        key: &str,
        pin: Pin<'_>,
        part: Option<i32>,
        customer: Option<&CustomerKey>,
    ) -> Result<HeadObjectOutput, TransferError> {
        self.call(HEAD, 0, || async {
            self.sdk()
                .head_object()
                .bucket(&self.inner.name)
                .key(key)
                .set_if_match(pin.etag.map(ETag::quoted))
                .set_version_id(pin.version.map(str::to_owned))
                .set_part_number(part)
                .set_request_payer(self.payer())
                .customize()
                .mutate_request(|request| {
                    request.headers_mut().insert("x-amz-checksum-mode", "ENABLED");
                })
                .mutate_request(with_key(customer))
                .send()
                .await
                .map_err(|e| self.failed(HEAD, &e))
        })
        .await
    }

    /// A whole object of the generation `pin` names, which must have `size` bytes.
    ///
    /// # Errors
    /// `Changed` when the generation is gone; `Transient` with code `TruncatedBody` when bytes were missing each time.
    pub async fn get(&self, key: &str, pin: Pin<'_>, size: u64) -> Result<Got, TransferError> {
        self.get_bytes(key, pin, None, size).await
    }

    /// Some bytes of an object of the generation `pin` names. The range must not be empty.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub async fn get_range(&self, key: &str, pin: Pin<'_>, range: Range<u64>) -> Result<Got, TransferError> {
        let size = range.end - range.start;
        self.get_bytes(key, pin, Some(range), size).await
    }

    async fn get_bytes(&self, key: &str, pin: Pin<'_>, range: Option<Range<u64>>, size: u64) -> Result<Got, TransferError> {
        let what = Pinned { key, pin, range: range.as_ref(), customer: self.customer.as_ref() };
        match self.get_pinned(what, size).await {
            Err(error) if self.is_not_sealed(&error) => self.get_pinned(Pinned { customer: None, ..what }, size).await.map_err(|_| error),
            got => got,
        }
    }

    async fn get_pinned(&self, what: Pinned<'_>, size: u64) -> Result<Got, TransferError> {
        self.call(GET, 0, || async {
            let mut turn = self.turn(GET).await;
            let result = self.receive(what, size, turn.as_mut()).await;
            if let Some(turn) = turn {
                turn.answered(size, result.as_ref().err());
            }
            result
        })
        .await
    }

    async fn receive(&self, what: Pinned<'_>, size: u64, turn: Option<&mut Turn>) -> Result<Got, TransferError> {
        let found = match tokio::time::timeout(QUIET, self.inner.wire.get(what)).await {
            Ok(answer) => answer.map_err(|failure| self.unsent(GET, failure))?,
            Err(_) => return Err(self.silent()),
        };
        if let Some(turn) = turn {
            turn.began_to_answer();
        }
        self.check_answer(&found, what.pin, what.range, size)?;
        Ok(Got { body: self.collect(found.body, size).await?, info: found.info })
    }

    /// Whether the answer is about what was asked for: some stores ignore `If-Match`, `versionId` or `Range`.
    fn check_answer(&self, found: &Found, pin: Pin<'_>, range: Option<&Range<u64>>, size: u64) -> Result<(), TransferError> {
        let changed = |message: String| Err(self.error(FailureClass::Changed, GET, "OtherGeneration", message));
        if let Some(etag) = pin.etag.filter(|etag| **etag != found.info.etag) {
            return changed(format!("asked for the generation {etag}, got {}", found.info.etag));
        }
        if let (Some(asked), Some(got)) = (pin.version, found.info.version.as_deref())
            && asked != got
        {
            return changed(format!("asked for the version {asked}, got {got}"));
        }
        if let Some(length) = found.length.filter(|length| *length != size) {
            return changed(format!("expected {size} bytes, the store announces {length}"));
        }
        if let Some(range) = range {
            let expected = format!("bytes {}-{}/", range.start, range.end - 1);
            let got = found.range.as_deref().unwrap_or_default();
            let silent = got.is_empty() && range.start == 0;
            if !silent && !got.starts_with(&expected) {
                return changed(format!("asked for {expected}, got {got:?}"));
            }
        }
        Ok(())
    }

    /// The body in the pieces in which it arrives; exactly `size` bytes.
    async fn collect(&self, mut body: Incoming, size: u64) -> Result<Payload, TransferError> {
        let truncated = |message: String| self.error(FailureClass::Transient, GET, "TruncatedBody", message);
        let mut bytes = Payload::default();
        // a body of an announced length is at its end with its last byte; of another, more could come
        while !body.is_end_stream() {
            let piece = match tokio::time::timeout(QUIET, body.frame()).await {
                Ok(Some(Ok(frame))) => frame.into_data().ok(),
                Ok(Some(Err(error))) => {
                    return Err(truncated(format!("the body ended after {} of {size} bytes: {}", bytes.len(), in_words(&error))));
                }
                Ok(None) => break,
                Err(_) => return Err(self.silent()),
            };
            let Some(piece) = piece else { continue };
            if bytes.len() + piece.len() as u64 > size {
                return Err(truncated(format!("expected {size} bytes, got more")));
            }
            self.inner.counters.received.fetch_add(piece.len() as u64, Relaxed);
            bytes.push(piece);
        }
        if bytes.len() == size { Ok(bytes) } else { Err(truncated(format!("got {} of {size} bytes", bytes.len()))) }
    }

    fn silent(&self) -> TransferError {
        self.error(FailureClass::Transient, GET, "RequestTimeout", format!("{} sent nothing for {QUIET:?}", self.inner.place))
    }

    /// The tags of an object; of the version named, else of the latest.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>, TransferError> {
        self.call(TAGS, 0, || async {
            let output = self
                .sdk()
                .get_object_tagging()
                .bucket(&self.inner.name)
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .set_request_payer(self.payer())
                .send()
                .await
                .map_err(|e| self.failed(TAGS, &e))?;
            Ok(output.tag_set.into_iter().map(|t| (t.key, t.value)).collect())
        })
        .await
    }
}

impl Bucket {
    /// Whether the Object Lock of an object may be read, which HEAD and GET are silent about where it may not.
    ///
    /// # Errors
    /// When it may not, or the store does not know the request.
    pub async fn retention(&self, key: &str) -> Result<(), TransferError> {
        let asked = self.call(RETENTION, 0, || async {
            let request = self.sdk().get_object_retention().bucket(&self.inner.name).key(key).set_request_payer(self.payer());
            request.send().await.map(drop).map_err(|e| self.failed(RETENTION, &e))
        });
        match asked.await {
            // a bucket, or an object, without any
            Err(error)
                if matches!(
                    error.code.as_str(),
                    "NoSuchObjectLockConfiguration" | "InvalidRequest" | "ObjectLockConfigurationNotFoundError"
                ) =>
            {
                Ok(())
            }
            asked => asked,
        }
    }
}

/// The first checksum over the whole object. Without a type, a value that is one checksum is over the whole object.
fn stored(kind: Option<&ChecksumType>, values: [(Crc, Option<&str>); 3]) -> Option<StoredChecksum> {
    if kind == Some(&ChecksumType::Composite) {
        return None;
    }
    values.into_iter().find_map(|(crc, value)| StoredChecksum::parse(crc, value?))
}
