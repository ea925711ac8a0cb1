//! Copies one object: one generation of it, verified, by one PutObject or by parts.

use std::sync::Arc;

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{S3Destination, S3Options},
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{Bucket, Got, Put},
    journal::{Journal, JournalError},
    layout::SINGLE,
    metadata::{Creation, ObjectInfo},
    object::{ETag, Entry},
    provider,
    verify::{self, Md5Sum, SinglePlan},
};
use crate::transfer::{TransferError, bandwidth::Bandwidth, budget::Budget, progress::ItemProgress};

/// How often an object that changes under the copy is begun again.
const GENERATIONS: u32 = 3;
/// How often bytes that arrive with another digest than announced are read again.
pub(super) const READS: u32 = 3;

/// Copies objects of one task. Clones of the handles inside are shared with other copiers.
#[derive(Debug)]
pub struct Copier<J: Journal> {
    /// Where from.
    pub source: Bucket,
    /// Where to.
    pub destination: Bucket,
    /// Storage class, ACL and encryption of what is written.
    pub target: S3Destination,
    /// Whether metadata and tags go along.
    pub options: S3Options,
    /// Uploads under way.
    pub journal: Arc<J>,
    /// Bytes in memory, taken before they are read.
    pub budget: Budget,
    /// Bytes per second: the task's limit inside the daemon's.
    pub bandwidth: Bandwidth,
    /// Parts of one object at the same time; at least 1.
    pub parts: usize,
}

/// What to copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyRequest<'a> {
    /// The source object as it was listed.
    pub entry: &'a Entry,
    /// Where it goes.
    pub destination_key: &'a str,
    /// Told how far it is.
    pub progress: &'a ItemProgress,
    /// Cancelled: no further part is begun; those in flight are finished, so that they need not be sent again.
    pub stop: &'a CancellationToken,
}

/// A finished copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the object.
    pub size: u64,
    /// The generation that was copied; not always the one that was listed.
    pub source_etag: ETag,
    /// What the destination calls it.
    pub destination_etag: ETag,
    /// How it was verified: `content-md5`, `md5-in-flight`, `checksum-crc64nvme`, `multipart-etag`, `crc64nvme-combined`,
    /// `whole-md5`, `part-md5`, … (see [`verify`]).
    pub verified: &'static str,
    /// Bytes sent in this copy; less than `size` when an upload was continued.
    pub bytes_sent: u64,
}

/// Why an object was not copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The source object is gone: there is nothing to copy.
    #[error("the source object is gone")]
    Vanished,
    /// A request failed for good.
    #[error(transparent)]
    Failed(#[from] TransferError),
    /// It was told to stop; its upload stays, for the next copy of the key to continue.
    #[error("the copy was stopped")]
    Stopped,
    /// The journal failed: nothing can be uploaded in parts.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The store refused bytes because of their digest.
pub(super) fn is_digest(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch")
}

/// Whether bytes were wrong after they had been read again as often as makes sense: to begin the object again is no use.
#[must_use]
pub fn was_read_again(error: &TransferError) -> bool {
    error.code == "DigestMismatch"
}

/// A source object answered that it does not exist.
fn is_gone(error: &TransferError) -> bool {
    error.side == Side::Source && matches!(error.code.as_str(), "NoSuchKey" | "NotFound" | "NoSuchVersion")
}

impl<J: Journal> Copier<J> {
    /// Copies an object. When it changes under the copy, what was written of it is given up and the new generation is copied, up
    /// to three times. Dropping the future stops the copy; parts that were sent are continued by the next copy of the key.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub async fn copy(&self, request: CopyRequest<'_>) -> Result<Copied, CopyError> {
        let mut entry = request.entry.clone();
        if entry.etag.as_str().is_empty() {
            // Some listings have no ETags; without one a copy could not be pinned.
            entry = self.current(entry).await?;
        }
        let mut generations = 0;
        loop {
            let result = if entry.size <= SINGLE {
                self.single(&entry, request.destination_key, request.progress).await.map_err(CopyError::from)
            } else {
                self.multipart(&entry, request).await
            };
            let error = match result {
                Err(CopyError::Failed(error)) if error.class == FailureClass::Changed && error.side == Side::Source => error,
                other => return other,
            };
            generations += 1;
            if generations > GENERATIONS {
                return Err(error.into());
            }
            tracing::debug!(key = ?entry.key, code = %error.code, "source object changed under the copy");
            entry = self.current(entry).await?;
        }
    }

    /// The object as it is now.
    async fn current(&self, entry: Entry) -> Result<Entry, CopyError> {
        let info = match self.source.head(&entry.key, None).await {
            Ok(info) => info,
            Err(error) if is_gone(&error) => return Err(CopyError::Vanished),
            Err(error) => return Err(error.into()),
        };
        if info.etag.as_str().is_empty() {
            let message = "the store gives no ETag for the object, so that its bytes cannot be pinned to one generation";
            return Err(TransferError::new(FailureClass::Permanent, Side::Source, "HeadObject", "NoETag", message).into());
        }
        let class = info.class.unwrap_or_default();
        Ok(Entry { size: info.size, etag: info.etag, modified: info.modified, class, ..entry })
    }

    /// What the destination object gets besides its bytes. Asks for tags only if there are any.
    pub(super) async fn creation(&self, key: &str, info: &ObjectInfo) -> Result<Creation, TransferError> {
        let tags = if self.options.tags && info.tags > 0 { self.source.tags(key).await? } else { Vec::new() };
        Ok(Creation::of(info, &tags, &self.target, &self.options))
    }

    /// By one PutObject: GET and PUT, nothing else, unless there are tags.
    async fn single(&self, entry: &Entry, key: &str, progress: &ItemProgress) -> Result<Copied, TransferError> {
        progress.begin(entry.size, 1);
        let _held = self.budget.take(entry.size).await;
        let mut refused: Option<Md5Sum> = None;
        let mut reads = 0;
        loop {
            self.bandwidth.take(entry.size).await;
            let got = self.source.get(&entry.key, &entry.etag, entry.size).await?;
            reads += 1;
            let mut plan = SinglePlan::of(&entry.etag, got.info.opaque_etag, got.info.checksum);
            if let (SinglePlan::PassMd5(announced), Some(before)) = (plan, refused) {
                // The destination did not get what the ETag says. The same bytes twice: the ETag is no MD5 of them.
                let now = verify::sums(&got.body, true, None).await.md5;
                if now == Some(before) && before != announced && !self.source_etags_are_md5() {
                    plan = SinglePlan::Compute;
                }
            }
            match self.write(entry, key, &got, plan).await {
                Ok(put) => {
                    self.kept(key, entry.size).await?;
                    progress.add(entry.size);
                    return Ok(Copied {
                        size: entry.size,
                        source_etag: entry.etag.clone(),
                        destination_etag: put.etag,
                        verified: plan.word(),
                        bytes_sent: entry.size,
                    });
                }
                Err(error) if is_digest(&error) || error.code == "DigestMismatch" => {
                    refused = verify::sums(&got.body, true, None).await.md5;
                    if reads >= READS {
                        return Err(blame(error, plan, refused));
                    }
                    tracing::debug!(key = ?entry.key, code = %error.code, "read again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the ETag of an unencrypted single PUT at the source is known to be the MD5 of its bytes.
    pub(super) fn source_etags_are_md5(&self) -> bool {
        provider::find(self.source.provider()).is_ok_and(|profile| profile.etag_is_md5)
    }

    /// Whether the destination kept what it accepted. Some stores (SeaweedFS 4) take a key that ends in `/` for a folder: they answer as
    /// if they had stored its content, and drop it. Such keys with content are rare enough to look.
    async fn kept(&self, key: &str, size: u64) -> Result<(), TransferError> {
        if size == 0 || !key.ends_with('/') {
            return Ok(());
        }
        let found = self.destination.head(key, None).await?.size;
        if found == size {
            return Ok(());
        }
        let message = format!("the store kept {found} of {size} bytes: it takes a key that ends in / for a folder; rename the object");
        Err(TransferError::new(FailureClass::Permanent, Side::Destination, "PutObject", "ContentDropped", message))
    }

    /// Writes received bytes, after the checks that can be made before.
    async fn write(&self, entry: &Entry, key: &str, got: &Got, plan: SinglePlan) -> Result<Put, TransferError> {
        let creation = self.creation(&entry.key, &got.info).await?;
        // A checksum header is a risk at other stores: several answer 400 to it.
        let forwarded = match plan {
            SinglePlan::Checksum(stored) if self.destination.provider() == "aws" => Some(stored),
            _ => None,
        };
        let md5 = match plan {
            SinglePlan::PassMd5(md5) => Some(md5),
            SinglePlan::Checksum(stored) => {
                let sums = verify::sums(&got.body, forwarded.is_none(), Some(stored.crc)).await;
                if sums.crc != Some(stored.value) {
                    return Err(mismatch(Side::Source, "GetObject", "the bytes received do not have the checksum the source has stored"));
                }
                sums.md5
            }
            SinglePlan::Compute => verify::sums(&got.body, true, None).await.md5,
        };
        let put = self.destination.put(key, &got.body, &creation, md5.as_ref(), forwarded.as_ref()).await?;
        if let Some(md5) = md5.filter(|md5| !put.opaque_etag && verify::contradicts(&put.etag, md5)) {
            let message = format!("sent bytes with the MD5 {}, the store has an object with the ETag {}", md5.hex(), put.etag);
            return Err(mismatch(Side::Destination, "PutObject", message));
        }
        Ok(put)
    }
}

/// The destination refused bytes: the source is to blame when they were not what its ETag says.
fn blame(refusal: TransferError, plan: SinglePlan, received: Option<Md5Sum>) -> TransferError {
    match (plan, received) {
        (SinglePlan::PassMd5(announced), Some(received)) if received != announced => {
            let message = format!("the bytes received have the MD5 {}, the ETag of the object says {}", received.hex(), announced.hex());
            mismatch(Side::Source, "GetObject", message)
        }
        _ => refusal,
    }
}

/// Bytes that are not what they should be. Reading and sending them again may help.
pub(super) fn mismatch(side: Side, operation: &'static str, message: impl Into<String>) -> TransferError {
    TransferError::new(FailureClass::Transient, side, operation, "DigestMismatch", message)
}
