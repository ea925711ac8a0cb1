//! Multipart uploads: create, complete, abort, and find those that were left behind. Parts are sent by [`super::write`].

use aws_sdk_s3::{
    primitives::{DateTime, DateTimeFormat},
    types::{
        ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType, ObjectCannedAcl, ObjectLockLegalHoldStatus,
        ObjectLockMode, ServerSideEncryption, StorageClass,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dth_proto::{failure::FailureClass, time::Timestamp};

use super::{Bucket, Put, decode, seal::with_key, timestamp};
use crate::{
    s3::{
        list::xml,
        metadata::Creation,
        object::ETag,
        verify::{Algorithm, Checksum, Crc, StoredChecksum},
        wire::PartsOf,
    },
    transfer::TransferError,
};

const CREATE: &str = "CreateMultipartUpload";
const COMPLETE: &str = "CompleteMultipartUpload";
const ABORT: &str = "AbortMultipartUpload";
const PARTS: &str = "ListParts";
const UPLOADS: &str = "ListMultipartUploads";

/// A part the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: ETag,
    /// The checksum the store has of it.
    pub checksum: Option<Checksum>,
}

/// An upload that is under way, as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// Destination key.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it was created, by the store's clock.
    pub initiated: Timestamp,
}

impl Bucket {
    /// Asks once for an upload to begin; returns the store's name for it. With `checksum`, the object will have this one: a CRC over all
    /// of its bytes, a SHA over those of its parts. Not repeated here: an answer that is lost leaves an upload behind, which the caller must find
    /// ([`Bucket::list_uploads`]) before it begins another.
    ///
    /// # Errors
    /// As classified.
    pub async fn create_upload(&self, key: &str, creation: &Creation, checksum: Option<Algorithm>) -> Result<String, TransferError> {
        let (c, m) = (creation, &creation.metadata);
        let retention = c.lock.as_ref().and_then(|lock| lock.retention.as_ref());
        let hold = c.lock.as_ref().is_some_and(|lock| lock.legal_hold);
        self.once(CREATE, 0, &mut || async {
            let output = self
                .sdk()
                .create_multipart_upload()
                .bucket(&self.inner.name)
                .key(key)
                .set_content_type(m.content_type.clone())
                .set_cache_control(m.cache_control.clone())
                .set_content_disposition(m.content_disposition.clone())
                .set_content_encoding(m.content_encoding.clone())
                .set_content_language(m.content_language.clone())
                .set_website_redirect_location(m.redirect.clone())
                .set_metadata((!m.user.is_empty()).then(|| m.user.clone().into_iter().collect()))
                .set_tagging(c.tagging.clone())
                .set_storage_class(c.class.as_deref().map(StorageClass::from))
                .set_acl(c.acl.as_deref().map(ObjectCannedAcl::from))
                .set_server_side_encryption(c.encryption.as_ref().map(|e| ServerSideEncryption::from(e.kind.as_str())))
                .set_ssekms_key_id(c.encryption.as_ref().and_then(|e| e.key.clone()))
                .set_bucket_key_enabled(c.encryption.as_ref().and_then(|e| e.bucket_key))
                .set_object_lock_mode(retention.map(|(mode, _)| ObjectLockMode::from(mode.as_str())))
                .set_object_lock_retain_until_date(retention.and_then(|(_, until)| date(until)))
                .set_object_lock_legal_hold_status(hold.then_some(ObjectLockLegalHoldStatus::On))
                .set_checksum_algorithm(checksum.map(|a| ChecksumAlgorithm::from(a.name())))
                .set_checksum_type(checksum.filter(|a| matches!(a, Algorithm::Crc(_))).map(|_| ChecksumType::FullObject))
                .customize()
                .mutate_request(expires(creation))
                .mutate_request(with_key(self.customer.as_ref()))
                .send()
                .await
                .map_err(|e| self.failed(CREATE, &e))?;
            output
                .upload_id
                .filter(|id| !id.is_empty())
                .ok_or_else(|| self.error(FailureClass::Transient, CREATE, "IncompleteAnswer", "the answer has no upload id"))
        })
        .await
    }

    /// Asks once for the parts to become the object. With `whole`, the store refuses to make an object that does not have this checksum
    /// and this many bytes. Not repeated here: after a lost answer the upload is gone although all is well, which only the caller can
    /// tell apart.
    ///
    /// # Errors
    /// As classified, also for stores that answer 200 and then an error.
    pub async fn complete_upload(
        &self,
        key: &str,
        id: &str,
        parts: &[UploadedPart],
        whole: Option<(&StoredChecksum, u64)>,
    ) -> Result<Put, TransferError> {
        let completed = || CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(completed).collect())).build();
        let sum = |crc: Crc| whole.filter(|(stored, _)| stored.crc == crc).map(|(stored, _)| stored.base64());
        let output = self
            .once(COMPLETE, 0, &mut || async {
                self.sdk()
                    .complete_multipart_upload()
                    .bucket(&self.inner.name)
                    .key(key)
                    .upload_id(id)
                    .multipart_upload(completed())
                    .set_checksum_crc64_nvme(sum(Crc::Crc64Nvme))
                    .set_checksum_crc32_c(sum(Crc::Crc32c))
                    .set_checksum_crc32(sum(Crc::Crc32))
                    .set_checksum_type(whole.map(|_| ChecksumType::FullObject))
                    .set_mpu_object_size(whole.and_then(|(_, bytes)| i64::try_from(bytes).ok()))
                    .customize()
                    .mutate_request(with_key(self.customer.as_ref()))
                    .send()
                    .await
                    .map_err(|e| self.failed(COMPLETE, &e))
            })
            .await?;
        let etag = ETag::new(output.e_tag().unwrap_or_default());
        if etag.as_str().is_empty() {
            return Err(self.error(FailureClass::Transient, COMPLETE, "IncompleteAnswer", "the answer names no ETag"));
        }
        let kms = output.server_side_encryption().is_some_and(|e| e.as_str().starts_with("aws:kms"));
        let opaque_etag = kms || self.customer.is_some();
        let checksum = Checksum::first(|algorithm| match algorithm {
            Algorithm::Crc(Crc::Crc64Nvme) => output.checksum_crc64_nvme(),
            Algorithm::Crc(Crc::Crc32c) => output.checksum_crc32_c(),
            Algorithm::Crc(Crc::Crc32) => output.checksum_crc32(),
            Algorithm::Sha1 => output.checksum_sha1(),
            Algorithm::Sha256 => output.checksum_sha256(),
        });
        Ok(Put { etag, opaque_etag, checksum, version: output.version_id().map(str::to_owned) })
    }

    /// Ends an upload and frees its parts; one that is gone is ended already.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn abort_upload(&self, key: &str, id: &str) -> Result<(), TransferError> {
        let result = self
            .call(ABORT, 0, || async {
                self.sdk()
                    .abort_multipart_upload()
                    .bucket(&self.inner.name)
                    .key(key)
                    .upload_id(id)
                    .send()
                    .await
                    .map(drop)
                    .map_err(|e| self.failed(ABORT, &e))
            })
            .await;
        match result {
            Err(error) if error.code == "NoSuchUpload" => Ok(()),
            other => other,
        }
    }

    /// The parts of an upload that the store has, by number.
    ///
    /// # Errors
    /// Code `NoSuchUpload` when the upload is gone.
    pub async fn list_parts(&self, key: &str, id: &str) -> Result<Vec<UploadedPart>, TransferError> {
        let mut parts = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let what = PartsOf { key, id, marker: marker.as_deref(), customer: self.customer.as_ref() };
            let page = self.call(PARTS, 0, || async {
                let body = self.inner.wire.list_parts(what).await.map_err(|failure| self.unsent(PARTS, failure))?;
                xml::scan_parts(&body).map_err(|error| self.error(error.class(), PARTS, error.code(), error.to_string()))
            });
            let (more, next) = page.await?;
            parts.extend(more);
            if next.is_none() || next == marker {
                return Ok(parts);
            }
            marker = next;
        }
    }

    /// The uploads under way of exactly this key, whoever began them.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn list_uploads(&self, key: &str) -> Result<Vec<ListedUpload>, TransferError> {
        let mut uploads = Vec::new();
        let mut marker: (Option<String>, Option<String>) = (None, None);
        loop {
            let output = self
                .call(UPLOADS, 0, || async {
                    self.sdk()
                        .list_multipart_uploads()
                        .bucket(&self.inner.name)
                        .prefix(key)
                        .encoding_type(EncodingType::Url)
                        .set_key_marker(marker.0.clone())
                        .set_upload_id_marker(marker.1.clone())
                        .send()
                        .await
                        .map_err(|e| self.failed(UPLOADS, &e))
                })
                .await?;
            let encoded = output.encoding_type() == Some(&EncodingType::Url);
            let exact = |text: &str| if encoded { decode(text) } else { Some(text.to_owned()) };
            for upload in output.uploads() {
                let (Some(found), Some(id)) = (upload.key().and_then(exact), upload.upload_id()) else { continue };
                if found == key {
                    uploads.push(ListedUpload { key: found, id: id.to_owned(), initiated: timestamp(upload.initiated()) });
                }
            }
            // Keys come in order: once they are past this key, or nothing new comes, the rest is of others.
            let next = (output.next_key_marker().and_then(exact), output.next_upload_id_marker().map(str::to_owned));
            let past = next.0.as_deref().is_some_and(|k| k > key);
            if !output.is_truncated().unwrap_or(false) || past || next.0.is_none() || next == marker {
                return Ok(uploads);
            }
            marker = next;
        }
    }
}

/// A time of RFC 3339.
fn date(text: &str) -> Option<DateTime> {
    DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()
}

fn completed(part: &UploadedPart) -> CompletedPart {
    let sum = |algorithm: Algorithm| part.checksum.filter(|stored| stored.algorithm == algorithm).map(|stored| stored.base64());
    CompletedPart::builder()
        .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
        .e_tag(part.etag.quoted())
        .set_checksum_crc64_nvme(sum(Algorithm::Crc(Crc::Crc64Nvme)))
        .set_checksum_crc32_c(sum(Algorithm::Crc(Crc::Crc32c)))
        .set_checksum_crc32(sum(Algorithm::Crc(Crc::Crc32)))
        .set_checksum_sha1(sum(Algorithm::Sha1))
        .set_checksum_sha256(sum(Algorithm::Sha256))
        .build()
}

/// `Expires` goes verbatim: the model knows only dates, stores also keep what is none.
fn expires(creation: &Creation) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let value = creation.metadata.expires.clone();
    move |request| {
        if let Some(value) = &value {
            // A value that is no header value cannot have come from a header.
            let _ = request.headers_mut().try_insert("expires", value.clone());
        }
    }
}
