//! Blobs from one registry to another: each once, checked before it can be seen.

mod chunks;
mod journal;
mod layers;
mod reader;
mod stream;
mod way;

use std::{collections::HashMap, sync::Arc};

use dth_proto::failure::{FailureClass, Side};
use tokio::time::sleep;

use self::{reader::Reader, way::Way};
use super::{
    digest::Digest,
    end::End,
    manifest::Descriptor,
    memory::{Asked, Memory},
    registry::{Mount, Registry, Upload},
    shared::Place,
};
use crate::{
    store::blob::BlobUploads,
    transfer::{TransferError, bandwidth::Bandwidth, budget::Budget, progress::ItemProgress, retry::RetryPolicy},
};

/// How often a blob is sent until its failure is believed. Each time as much of it is kept as the registry allows.
const SENDS: u32 = 5;
/// How often bytes may be others than their digest says: a second time, over another request, it is the source that is wrong.
const WRONG: u32 = 2;

/// Carries the blobs of one run. See the module.
pub(super) struct Blobs {
    /// Where from.
    pub(super) source: Registry,
    /// Where to.
    pub(super) destination: Arc<End>,
    /// What is known of the destination, by all tasks.
    pub(super) place: Arc<Place>,
    /// What this run knows of it.
    pub(super) memory: Arc<Memory>,
    /// Bytes in memory.
    pub(super) budget: Budget,
    /// Bytes per second: the task's limit inside the daemon's.
    pub(super) bandwidth: Bandwidth,
    /// Large uploads under way.
    pub(super) journal: BlobUploads,
}

/// A blob to carry.
#[derive(Clone, Copy)]
pub(super) struct Blob<'a> {
    /// The source's repository.
    pub(super) from: &'a str,
    /// The destination's.
    pub(super) to: &'a str,
    /// Which.
    pub(super) blob: &'a Descriptor,
    /// The destination may have it; `false`: its repository has just been created.
    pub(super) ask: bool,
    /// The image's.
    pub(super) progress: &'a ItemProgress,
}

impl Blobs {
    /// Asks the destination which of these blobs it has, as far as it tells that of many at once.
    ///
    /// # Errors
    /// When ECR does not answer.
    pub(super) async fn look(&self, to: &str, blobs: &[&Descriptor]) -> Result<(), TransferError> {
        let Some(ecr) = &self.destination.ecr else { return Ok(()) };
        let unknown: Vec<Digest> =
            blobs.iter().map(|blob| blob.digest.clone()).filter(|digest| !self.memory.has_blob(to, digest)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let asked = self.memory.asks();
        let missing = match ecr.missing_blobs(to, &unknown).await {
            Ok(missing) => missing,
            // it comes to be when the first blob is sent
            Err(error) if is_no_repository(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        for digest in unknown.iter().filter(|digest| !missing.contains(digest)) {
            self.memory.blob_is_there(asked, to, digest);
        }
        Ok(())
    }

    /// Makes sure that the destination has a blob. However many images have it, one of them carries it, and the others wait for that.
    ///
    /// # Errors
    /// [`TransferError`]; of bytes that are not those of the digest, after they were read twice: `DIGEST_MISMATCH`, with the blob's name.
    pub(super) async fn carry(&self, it: Blob<'_>) -> Result<(), TransferError> {
        let digest = &it.blob.digest;
        if !self.memory.has_blob(it.to, digest) {
            let _turn = self.place.blob(it.to, digest).await;
            if !self.memory.has_blob(it.to, digest) {
                self.memory.failure(digest).map_or(Ok(()), Err)?;
                let known = self.bring(it).await.inspect_err(|error| self.memory.blob_failed(digest, error))?;
                self.memory.blob_is_there(known, it.to, digest);
            }
            // before the turn ends: whoever waits for it, of another task, must find the blob
            self.holds(it);
        }
        it.progress.parts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    fn holds(&self, it: Blob<'_>) {
        if self.destination.ecr.is_none() {
            self.place.holds(it.to, &it.blob.digest);
        }
    }

    /// Answers since when the destination is known to have it.
    async fn bring(&self, it: Blob<'_>) -> Result<Asked, TransferError> {
        let digest = &it.blob.digest;
        let asked = self.memory.asks();
        // ECR was asked for all blobs of the image
        let ask = it.ask || self.place.held_by(it.to, digest);
        if ask && self.destination.ecr.is_none() && self.destination.registry.has_blob(it.to, digest).await? {
            it.progress.advance(it.blob.size);
            return Ok(asked);
        }
        let mut session = match self.mount(it).await? {
            Some(Mount::Done) => {
                it.progress.advance(it.blob.size);
                return Ok(self.memory.asks());
            }
            Some(Mount::Session(upload)) => Some(upload),
            None => None,
        };
        let retry = RetryPolicy::default();
        let (mut sends, mut wrong) = (0, 0);
        loop {
            let error = match self.send(it, session.take(), sends > 0).await {
                // it may have taken hours, and is true only now
                Ok(()) => return Ok(self.memory.asks()),
                Err(error) => error,
            };
            sends += 1;
            if is_wrong(&error) {
                wrong += 1;
                if wrong >= WRONG {
                    return Err(named(error, digest, it.from));
                }
            } else if sends >= SENDS || !may_pass(&error, sends) {
                return Err(error);
            }
            tracing::debug!(%digest, code = %error.code, sends, "blob is sent again");
            let again = TransferError { class: FailureClass::Transient, ..error };
            sleep(retry.next_wait(sends, &again, rand::random()).unwrap_or_default()).await;
        }
    }

    /// Takes it over from another repository of the destination, where one is known to have it.
    async fn mount(&self, it: Blob<'_>) -> Result<Option<Mount>, TransferError> {
        let digest = &it.blob.digest;
        let Some(from) = self.place.other_holder(digest, it.to) else { return Ok(None) };
        if let Some(ecr) = &self.destination.ecr
            && !ecr.mounts_blobs().await?
        {
            return Ok(None);
        }
        let mount = self.destination.registry.mount(it.to, digest, &from).await?;
        match mount {
            Mount::Done => self.place.mounted(),
            Mount::Session(_) => self.place.not_mounted(digest),
        }
        Ok(Some(mount))
    }

    /// Sends it once. `broken`: it was tried before.
    async fn send(&self, it: Blob<'_>, session: Option<Upload>, broken: bool) -> Result<(), TransferError> {
        let size = it.blob.known_size();
        let way = way::of(size, self.destination.ecr.is_some(), broken, self.memory.takes_parts());
        match (way, size) {
            (Way::Whole, Some(size)) => self.whole(it, session, size).await,
            (Way::Chunks, Some(size)) => self.chunks(it, session, size).await,
            (Way::Layers, Some(size)) => {
                if let Some(upload) = session {
                    self.destination.registry.cancel(upload).await;
                }
                self.layers(it, size).await
            }
            (_, size) => self.stream(it, session, size).await,
        }
    }
}

/// The bytes are not those of the digest, by our count or by the registry's.
fn is_wrong(error: &TransferError) -> bool {
    matches!(
        error.code.as_str(),
        "DIGEST_MISMATCH" | "DIGEST_INVALID" | "SIZE_INVALID" | "InvalidLayerException" | "LayerPartTooSmallException"
    )
}

/// Whether to send it again may help: also after a token that expired on the way, and with an upload that the registry has forgotten.
fn may_pass(error: &TransferError, sends: u32) -> bool {
    let forgotten = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "UploadNotFoundException", "InvalidLayerPartException"];
    error.is_retryable() || forgotten.contains(&error.code.as_str()) || (sends == 1 && error.class == FailureClass::Auth)
}

/// A repository does not exist.
pub(super) fn is_no_repository(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "NAME_UNKNOWN" | "RepositoryNotFoundException")
}

/// Bytes that are not what they should be.
fn mismatch(side: Side, operation: &'static str, message: String) -> TransferError {
    TransferError::new(FailureClass::Transient, side, operation, "DIGEST_MISMATCH", message)
}

/// With the name of the blob, for whoever has to repair it.
fn named(error: TransferError, digest: &Digest, from: &str) -> TransferError {
    let message = format!("blob {digest} of {from} was read {WRONG} times and is not what its digest says: {}", error.message);
    TransferError { code: "DIGEST_MISMATCH".to_owned(), message, ..error }
}

/// Failures by digest, so that an image that shares a broken blob need not find out again.
pub(super) type Failures = HashMap<Digest, TransferError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let error = |class, code: &str| TransferError::new(class, Side::Destination, "PutBlob", code, "why");
        for (class, code, wrong, first, later) in [
            (FailureClass::Transient, "DIGEST_MISMATCH", true, true, true),
            (FailureClass::Permanent, "DIGEST_INVALID", true, false, false),
            (FailureClass::Transient, "ConnectionFailed", false, true, true),
            (FailureClass::Permanent, "BLOB_UPLOAD_UNKNOWN", false, true, true),
            (FailureClass::Auth, "UNAUTHORIZED", false, true, false),
            (FailureClass::Permanent, "DENIED", false, false, false),
        ] {
            let error = error(class, code);
            assert_eq!((is_wrong(&error), may_pass(&error, 1), may_pass(&error, 2)), (wrong, first, later), "{code}");
        }
        let digest = Digest::sha256(b"layer");
        let told = named(error(FailureClass::Transient, "DIGEST_INVALID"), &digest, "team/app");
        assert!(told.code == "DIGEST_MISMATCH" && told.message.contains(digest.as_str()) && told.message.contains("team/app"), "{told}");
    }
}
