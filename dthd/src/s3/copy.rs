//! Copies one object: one generation of it, verified, by one PutObject or by parts.

use std::sync::Arc;

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{S3Destination, S3Options},
};
use tokio_util::sync::CancellationToken;

use super::{
    by_store::StoreCopies,
    client::{Bucket, Got, Put},
    hedge::Hedge,
    journal::{Journal, JournalError},
    layout::{SINGLE, TooLarge, layout},
    metadata::{Creation, ObjectInfo, Wanted},
    object::{ETag, Entry, Pin},
    payload::Payload,
    verify::{
        self, Algorithm, StoredChecksum, Sums,
        plan::{Facts, Guard, Judgement, SinglePlan},
    },
};
use crate::transfer::{TransferError, bandwidth::Bandwidth, budget::Budget, progress::ItemProgress};

/// How often an object that changes under the copy is begun again.
const GENERATIONS: u32 = 3;
/// How often bytes that arrive with another digest than announced are read again.
pub(super) const READS: u32 = 3;
/// How often bytes that are right are sent until a destination that refuses them is believed.
pub(super) const SENDS: u32 = 3;

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
    /// Races slow reads at the end of an object.
    pub hedge: Hedge,
    /// Whether the store copies by itself.
    pub by_store: StoreCopies,
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
    /// The version that the destination made of it; only in versioned buckets.
    pub destination_version: Option<String>,
    /// How it was verified: a word of [`verify::plan`].
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

/// Bytes were refused because of their digest, by the store or by us.
pub(super) fn is_digest(error: &TransferError) -> bool {
    matches!(
        error.code.as_str(),
        "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch" | "DigestMismatch"
    )
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
        // Boxed here and below is what is seldom done and would make every future large: a thousand of them wait at a time.
        // Some listings have no ETags; without one a copy could not be pinned.
        let unknown = request.entry.etag.as_str().is_empty();
        let mut newer = if unknown { Some(Box::pin(self.current(request.entry)).await?) } else { None };
        let mut generations = 0;
        loop {
            let entry = newer.as_ref().unwrap_or(request.entry);
            let copied = if self.by_store.is_possible() { Box::pin(self.by_store(entry, request)).await } else { None };
            let result = match copied {
                Some(result) => result,
                None if entry.size <= SINGLE => {
                    self.single(entry, request.destination_key, request.progress).await.map_err(CopyError::from)
                }
                None => match layout(entry.size, None, self.destination.profile().parts) {
                    Ok(_) => Box::pin(self.multipart(entry, request, false)).await,
                    // before anything is asked or sent
                    Err(error) => Err(self.unwritable(&error).into()),
                },
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
            newer = Some(Box::pin(self.current(entry)).await?);
        }
    }

    /// An object that the destination has no room for, in one piece or in parts.
    pub(super) fn unwritable(&self, why: &TooLarge) -> TransferError {
        let (store, place) = (self.destination.provider(), self.destination.place());
        let message = format!("{store} at {place}: {why}; leave such objects out (options.smaller_than), or choose another destination");
        TransferError::new(FailureClass::Permanent, Side::Destination, why.operation(), why.code(), message)
    }

    /// The object as it is now; a version stays the version that was listed.
    async fn current(&self, entry: &Entry) -> Result<Entry, CopyError> {
        let info = match self.source.head(&entry.key, entry.version_pin()).await {
            Ok(info) => info,
            Err(error) if is_gone(&error) => return Err(CopyError::Vanished),
            Err(error) => return Err(error.into()),
        };
        if info.etag.as_str().is_empty() {
            let message = "the store gives no ETag for the object, so that its bytes cannot be pinned to one generation";
            return Err(TransferError::new(FailureClass::Permanent, Side::Source, "HeadObject", "NoETag", message).into());
        }
        Ok(Entry { version: entry.version.clone(), ..info.entry(entry.key.clone()) })
    }

    /// What the destination object gets besides its bytes. Asks for tags only if there are any.
    pub(super) async fn creation(&self, entry: &Entry, info: ObjectInfo) -> Result<Creation, TransferError> {
        let wanted = self.options.tags && info.tags > 0 && self.destination.profile().tags;
        let tags = if wanted { Box::pin(self.source.tags(&entry.key, entry.version.as_deref())).await? } else { Vec::new() };
        Ok(Creation::of(info, &tags, self.wanted()))
    }

    /// What the task asks of copies.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        let (target, options) = (&self.target, &self.options);
        Wanted { target, options, from: self.source.profile(), to: self.destination.profile() }
    }

    /// By one PutObject: GET and PUT, nothing else, unless there are tags.
    async fn single(&self, entry: &Entry, key: &str, progress: &ItemProgress) -> Result<Copied, TransferError> {
        progress.begin(entry.size, 1);
        let _held = self.budget.take(entry.size).await;
        let mut plan: Option<SinglePlan> = None;
        let mut before: Option<Sums> = None;
        let mut reads = 0;
        let mut sends = 0;
        loop {
            self.bandwidth.take(entry.size).await;
            let Got { info, body } = self.source.get(&entry.key, entry.pin(), entry.size).await?;
            reads += 1;
            let facts = self.facts(&entry.etag, &info);
            let creation = self.creation(entry, info).await?;
            let mut now = *plan.get_or_insert_with(|| SinglePlan::of(&facts));
            // what was refused before is looked at before it is sent again
            let mut doubt = before.map(|_| None);
            loop {
                if let Some(refusal) = doubt.take() {
                    let (md5, crc) = now.evidence();
                    let received = Box::pin(verify::sums(&body, md5, crc)).await;
                    match now.judge(&facts, received, before) {
                        Judgement::SendAgain => {
                            if let Some(refusal) = refusal.filter(|_| sends >= SENDS) {
                                return Err(refusal);
                            }
                        }
                        Judgement::Otherwise(other) => now = *plan.insert(other),
                        Judgement::ReadAgain if reads < READS => {
                            before = Some(received);
                            tracing::debug!(key = ?entry.key, "read again");
                            break;
                        }
                        Judgement::ReadAgain => return Err(source_is_wrong(now, received)),
                    }
                }
                sends += 1;
                match self.write(key, &body, &creation, (now, now.extra(&facts))).await {
                    Ok(put) => {
                        Box::pin(self.kept(key, entry.size)).await?;
                        progress.add(entry.size);
                        return Ok(Copied {
                            size: entry.size,
                            source_etag: entry.etag.clone(),
                            destination_etag: put.etag,
                            destination_version: put.version,
                            verified: now.word(),
                            bytes_sent: entry.size,
                        });
                    }
                    Err(error) if is_digest(&error) => doubt = Some(Some(error)),
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// What the verification of a copy depends on.
    pub(super) fn facts(&self, etag: &ETag, info: &ObjectInfo) -> Facts {
        Facts::of(etag, info, self.source.profile(), self.destination.profile(), &self.target)
    }

    /// Whether the destination kept what it accepted. Some stores (SeaweedFS 4) take a key that ends in `/` for a folder: they answer as
    /// if they had stored its content, and drop it. Such keys with content are rare enough to look.
    pub(super) async fn kept(&self, key: &str, size: u64) -> Result<(), TransferError> {
        if size == 0 || !key.ends_with('/') {
            return Ok(());
        }
        let found = self.destination.head(key, Pin::default()).await?.size;
        if found == size {
            return Ok(());
        }
        let message = format!("the store kept {found} of {size} bytes: it takes a key that ends in / for a folder; rename the object");
        Err(TransferError::new(FailureClass::Permanent, Side::Destination, "PutObject", "ContentDropped", message))
    }

    /// Writes received bytes, with what makes the destination refuse others.
    async fn write(
        &self,
        key: &str,
        body: &Payload,
        creation: &Creation,
        (plan, extra): (SinglePlan, Option<Algorithm>),
    ) -> Result<Put, TransferError> {
        let (md5, checksum) = match plan {
            SinglePlan::PassMd5(md5) => (Some(md5), None),
            SinglePlan::PassChecksum(stored) => (None, Some(stored.into())),
            SinglePlan::Compare(stored) => {
                let sums = verify::sums(body, true, Some(stored.crc)).await;
                if sums.crc != Some(stored.value) {
                    return Err(mismatch(Side::Source, "GetObject", "the bytes received do not have the checksum the source has stored"));
                }
                (sums.md5, None)
            }
            SinglePlan::Compute(Guard::Crc(crc)) => (None, Some(Algorithm::Crc(crc).of(body).await)),
            SinglePlan::Compute(Guard::Md5 | Guard::Etag) => (verify::sums(body, true, None).await.md5, None),
        };
        let checksum = match extra {
            Some(extra) => Some(Box::pin(extra.of(body)).await),
            None => checksum,
        };
        let put = self.destination.put(key, body, creation, md5.as_ref(), checksum.as_ref()).await?;
        verify::accepted(&put, md5, checksum).map_err(|message| mismatch(Side::Destination, "PutObject", message))?;
        Ok(put)
    }
}

/// What the source announced of an object is not what it sends, however often.
fn source_is_wrong(plan: SinglePlan, received: Sums) -> TransferError {
    let message = match (plan, received) {
        (SinglePlan::PassMd5(announced), Sums { md5: Some(md5), .. }) => {
            format!("the bytes received have the MD5 {}, the ETag of the object says {}", md5.hex(), announced.hex())
        }
        (SinglePlan::PassChecksum(stored) | SinglePlan::Compare(stored), Sums { crc: Some(value), .. }) => {
            let received = StoredChecksum { value, ..stored }.base64();
            format!("the bytes received have the {} {received}, the source has stored {}", stored.crc.word(), stored.base64())
        }
        _ => "the bytes received are not what the source announced".to_owned(),
    };
    mismatch(Side::Source, "GetObject", message)
}

/// Bytes that are not what they should be. Reading and sending them again may help.
pub(super) fn mismatch(side: Side, operation: &'static str, message: impl Into<String>) -> TransferError {
    TransferError::new(FailureClass::Transient, side, operation, "DigestMismatch", message)
}
