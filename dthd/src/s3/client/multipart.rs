//! Multipart uploads: create, send parts, complete, abort, and find those that were left behind.

use std::sync::atomic::Ordering::Relaxed;

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType};
use dth_proto::{failure::FailureClass, time::Timestamp};

use super::{
    Bucket, Put,
    list::{decode, timestamp},
    write::{answered, expires, is_kms, stream, with_checksum, with_creation},
};
use crate::{
    s3::{
        metadata::Creation,
        object::ETag,
        payload::Payload,
        verify::{Crc, Md5Sum, StoredChecksum},
    },
    transfer::TransferError,
};

const CREATE: &str = "CreateMultipartUpload";
const PART: &str = "UploadPart";
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
    /// Its checksum, where the store names one.
    pub checksum: Option<StoredChecksum>,
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
    /// Asks once for an upload to begin; returns the store's name for it. Not repeated here: an answer that is lost leaves an
    /// upload behind, which the caller must find ([`Bucket::list_uploads`]) before it begins another.
    ///
    /// # Errors
    /// As classified.
    pub async fn create_upload(&self, key: &str, creation: &Creation, crc: Option<Crc>) -> Result<String, TransferError> {
        self.once(CREATE, 0, &mut || async {
            let request = self.inner.client.create_multipart_upload().bucket(&self.inner.name).key(key);
            let output = with_creation!(request, creation)
                .set_checksum_algorithm(crc.map(|crc| ChecksumAlgorithm::from(crc.word().to_ascii_uppercase().as_str())))
                .set_checksum_type(crc.map(|_| ChecksumType::FullObject))
                .customize()
                .mutate_request(expires(creation))
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

    /// Sends one part. The store refuses bytes that do not have this MD5.
    ///
    /// # Errors
    /// Code `NoSuchUpload` when the upload is gone; `BadDigest` when the bytes do not have the MD5.
    pub async fn upload_part(
        &self,
        key: &str,
        id: &str,
        number: u32,
        body: &Payload,
        md5: Option<&Md5Sum>,
        checksum: Option<&StoredChecksum>,
    ) -> Result<Put, TransferError> {
        let len = body.len();
        let output = self
            .call(PART, len, || async {
                let request = self
                    .inner
                    .client
                    .upload_part()
                    .bucket(&self.inner.name)
                    .key(key)
                    .upload_id(id)
                    .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                    .set_content_md5(md5.map(Md5Sum::base64))
                    .body(stream(body));
                let mut request = match checksum {
                    Some(stored) => with_checksum!(request, stored.crc, Some(stored.base64())),
                    None => request,
                }
                .customize();
                if self.inner.tls {
                    request = request.disable_payload_signing();
                }
                request.send().await.map_err(|e| self.failed(PART, &e))
            })
            .await?;
        self.inner.counters.sent.fetch_add(len, Relaxed);
        let etag = ETag::new(output.e_tag().unwrap_or_default());
        if etag.as_str().is_empty() {
            return Err(self.error(
                FailureClass::Transient,
                PART,
                "IncompleteAnswer",
                "the store accepted the part without naming its ETag",
            ));
        }
        Ok(Put { etag, opaque_etag: is_kms(output.server_side_encryption()), checksum: answered!(output) })
    }

    /// Asks once for the parts to become the object. Not repeated here: after a lost answer the upload is gone although all is
    /// well, which only the caller can tell apart.
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
        let completed = || {
            let parts = parts.iter().map(|p| {
                let part = CompletedPart::builder().part_number(i32::try_from(p.number).unwrap_or(i32::MAX)).e_tag(p.etag.quoted());
                match &p.checksum {
                    Some(stored) => with_checksum!(part, stored.crc, Some(stored.base64())),
                    None => part,
                }
                .build()
            });
            CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build()
        };
        let output = self
            .once(COMPLETE, 0, &mut || async {
                let request = self
                    .inner
                    .client
                    .complete_multipart_upload()
                    .bucket(&self.inner.name)
                    .key(key)
                    .upload_id(id)
                    .multipart_upload(completed());
                match whole {
                    Some((stored, size)) => with_checksum!(request, stored.crc, Some(stored.base64()))
                        .checksum_type(ChecksumType::FullObject)
                        .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX)),
                    None => request,
                }
                .send()
                .await
                .map_err(|e| self.failed(COMPLETE, &e))
            })
            .await?;
        let etag = ETag::new(output.e_tag().unwrap_or_default());
        if etag.as_str().is_empty() {
            return Err(self.error(FailureClass::Transient, COMPLETE, "IncompleteAnswer", "the answer names no ETag"));
        }
        Ok(Put { etag, opaque_etag: is_kms(output.server_side_encryption()), checksum: answered!(output) })
    }

    /// Ends an upload and frees its parts; one that is gone is ended already.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn abort_upload(&self, key: &str, id: &str) -> Result<(), TransferError> {
        let result = self
            .call(ABORT, 0, || async {
                self.inner
                    .client
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
            let output = self
                .call(PARTS, 0, || async {
                    self.inner
                        .client
                        .list_parts()
                        .bucket(&self.inner.name)
                        .key(key)
                        .upload_id(id)
                        .set_part_number_marker(marker.clone())
                        .send()
                        .await
                        .map_err(|e| self.failed(PARTS, &e))
                })
                .await?;
            parts.extend(output.parts().iter().filter_map(|p| {
                Some(UploadedPart {
                    number: u32::try_from(p.part_number()?).ok()?,
                    size: u64::try_from(p.size()?).ok()?,
                    etag: ETag::new(p.e_tag()?),
                    checksum: answered!(p),
                })
            }));
            let next = output.next_part_number_marker().map(str::to_owned);
            if !output.is_truncated().unwrap_or(false) || next.is_none() || next == marker {
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
                    self.inner
                        .client
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
