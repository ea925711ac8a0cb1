//! Writing: objects, parts of them; deleting.

use std::sync::atomic::Ordering::Relaxed;

use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::{
        metadata::Creation,
        payload::Payload,
        verify::{Checksum, Md5Sum},
        wire::{Digests, Part, Put},
    },
    transfer::TransferError,
};

const PUT: &str = "PutObject";
const PART: &str = "UploadPart";
const DELETE: &str = "DeleteObject";

impl Bucket {
    /// Creates or replaces an object. The store refuses bytes that do not have the digests given.
    ///
    /// # Errors
    /// Code `BadDigest` when the bytes do not have a digest; others as classified.
    pub async fn put(
        &self,
        key: &str,
        body: &Payload,
        creation: &Creation,
        md5: Option<&Md5Sum>,
        checksum: Option<&Checksum>,
    ) -> Result<Put, TransferError> {
        self.send(PUT, key, Part::Whole(creation), body, Digests { md5, checksum }).await
    }

    /// Sends one part of an upload. The store refuses bytes that do not have the digests given.
    ///
    /// # Errors
    /// Code `NoSuchUpload` when the upload is gone; `BadDigest` when the bytes do not have a digest.
    pub async fn upload_part(
        &self,
        key: &str,
        id: &str,
        number: u32,
        body: &Payload,
        md5: Option<&Md5Sum>,
        checksum: Option<&Checksum>,
    ) -> Result<Put, TransferError> {
        self.send(PART, key, Part::Of { id, number }, body, Digests { md5, checksum }).await
    }

    async fn send(
        &self,
        operation: &'static str,
        key: &str,
        part: Part<'_>,
        body: &Payload,
        digests: Digests<'_>,
    ) -> Result<Put, TransferError> {
        let unsigned = self.unsigned();
        let written = self
            .call(operation, body.len(), || async {
                let answer = self.inner.wire.put(key, part, body, digests, self.customer.as_ref(), unsigned).await;
                answer.map_err(|failure| self.unsent(operation, failure))
            })
            .await?;
        self.inner.counters.sent.fetch_add(body.len(), Relaxed);
        if written.etag.as_str().is_empty() {
            let message = "the store accepted the bytes without naming an ETag for them";
            return Err(self.error(FailureClass::Transient, operation, "IncompleteAnswer", message));
        }
        Ok(written)
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(&self, key: &str) -> Result<(), TransferError> {
        self.call(DELETE, 0, || async {
            self.sdk().delete_object().bucket(&self.inner.name).key(key).send().await.map(drop).map_err(|e| self.failed(DELETE, &e))
        })
        .await
    }
}
