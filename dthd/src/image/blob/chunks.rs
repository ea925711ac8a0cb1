//! A large blob into a registry that takes chunks: streamed in a few long requests, nothing of it held. Whoever goes on with it, after a
//! failure or another start of the daemon, begins where the registry says. What arrives is checked by the registry as well, before the
//! blob can be seen.

use std::{ops::Range, time::Duration};

use dth_proto::failure::{FailureClass, Side};
use tokio::time::sleep;

use super::{
    Blob, Blobs, Reader,
    journal::{Entry, Journaled, Session},
    stream::{DEPTH, STREAM, Sent, Unsent},
};
use crate::{
    http::{Flow, FlowSender},
    image::{
        digest::{Digest, Hasher},
        registry::Upload,
    },
    transfer::TransferError,
};

/// Bytes of a request: a registry that loses what it has of a broken one loses no more. docker-registry writes each to its disk before it
/// answers, and opens the upload anew for the next one, so that many small ones are slow.
const CHUNK: u64 = 64 << 20;
/// Between two questions how far a broken request has come: the registry may still be writing what it had received.
const SETTLE: Duration = Duration::from_millis(100);

/// What a blob's digest is up to some byte, whatever is read twice.
struct Running {
    hasher: Hasher,
    at: u64,
}

impl Running {
    fn of(digest: &Digest) -> Self {
        Self { hasher: digest.hasher(), at: 0 }
    }

    /// These bytes stand at `at`, which is not behind those that came before.
    fn add(&mut self, at: u64, bytes: &[u8]) {
        let known = usize::try_from(self.at.saturating_sub(at)).unwrap_or(usize::MAX);
        if let Some(new) = bytes.get(known..) {
            self.hasher.update(new);
            self.at += new.len() as u64;
        }
    }
}

impl Blobs {
    /// See the module.
    pub(super) async fn chunks(&self, it: Blob<'_>, session: Option<Upload>, size: u64) -> Result<(), TransferError> {
        let entry = self.entry(it);
        let mut sent = Sent::of(it, size);
        let result = self.all_chunks(it, session, size, &entry, &mut sent).await;
        entry.settle(&result);
        if result.is_ok() {
            sent.keep(size);
        }
        result
    }

    async fn all_chunks(
        &self,
        it: Blob<'_>,
        session: Option<Upload>,
        size: u64,
        entry: &Entry<'_>,
        sent: &mut Sent<'_>,
    ) -> Result<(), TransferError> {
        let _held = self.budget.take(STREAM).await;
        let (mut upload, mut offset) = self.begin_chunks(it, session, entry).await?;
        sent.go_to(offset);
        let mut running = (offset == 0).then(|| Running::of(&it.blob.digest));
        let mut reader = self.reader(it, offset, Some(size));
        while offset < size {
            entry.note(Session::Chunks(upload.clone()), offset).await;
            let end = size.min(offset + CHUNK.max(upload.chunk_min.unwrap_or(0)));
            let next = self.chunk(&mut upload, &mut reader, offset..end, &mut running, sent).await?;
            if next != end {
                reader = self.reader(it, next, Some(size));
            }
            sent.go_to(next);
            offset = next;
        }
        if let Some(running) = running {
            let digest = running.hasher.finish();
            if digest != it.blob.digest {
                self.destination.registry.cancel(upload).await;
                return Err(self.wrong(it, &digest));
            }
        }
        self.destination.registry.finish_upload(upload, &it.blob.digest).await
    }

    /// The upload that the journal has and the registry still knows, or a new one.
    async fn begin_chunks(&self, it: Blob<'_>, session: Option<Upload>, entry: &Entry<'_>) -> Result<(Upload, u64), TransferError> {
        let registry = &self.destination.registry;
        if let Some(Journaled { session: Session::Chunks(mut upload), .. }) = entry.find()
            && let Some(offset) = registry.upload_offset(&mut upload).await.ok().flatten()
        {
            if let Some(session) = session {
                registry.cancel(session).await;
            }
            return Ok((upload, offset));
        }
        Ok((self.session(it, session).await?, 0))
    }

    /// Sends these bytes, and answers from where on the registry wants to go on: where it does not have all of them, it has more than before.
    async fn chunk(
        &self,
        upload: &mut Upload,
        reader: &mut Reader<'_>,
        range: Range<u64>,
        running: &mut Option<Running>,
        sent: &mut Sent<'_>,
    ) -> Result<u64, TransferError> {
        let (sender, flow) = Flow::new(range.end - range.start, DEPTH);
        let feed = feed(reader, sender, range.clone(), running, sent);
        let (patched, fed) = tokio::join!(self.destination.registry.patch(upload, range.start, flow), feed);
        let error = match (patched, fed) {
            // the registry only saw the body break off: the reason is here
            (_, Err(Unsent::Source(error))) => return Err(error),
            (Ok(next), _) if next > range.start => return Ok(next),
            (Ok(_), _) => return Err(self.drops_chunks(range.end)),
            (Err(error), _) => error,
        };
        if !error.is_retryable() {
            return Err(if range.start == 0 && error.class == FailureClass::Permanent && self.memory.takes_parts() {
                // it may take the blob as a whole
                self.memory.takes_only_whole_blobs();
                TransferError { class: FailureClass::Transient, ..error }
            } else {
                error
            });
        }
        tracing::debug!(digest = %upload.location, code = %error.code, "a chunk broke off");
        match self.arrived(upload).await? {
            Some(next) if next > range.start && next <= range.end => Ok(next),
            Some(_) => Err(error),
            None => Err(TransferError { code: "BLOB_UPLOAD_UNKNOWN".to_owned(), ..error }),
        }
    }

    /// How much of a broken upload the registry has, when it does not become more any longer. `None`: it has lost it.
    async fn arrived(&self, upload: &mut Upload) -> Result<Option<u64>, TransferError> {
        let mut before = None;
        loop {
            let now = self.destination.registry.upload_offset(upload).await?;
            if now.is_none() || now == before {
                return Ok(now);
            }
            before = now;
            sleep(SETTLE).await;
        }
    }

    /// Such as ECR's registry, behind a name that is not ECR's.
    fn drops_chunks(&self, end: u64) -> TransferError {
        self.memory.takes_only_whole_blobs();
        let message = format!("{} drops chunks: it has nothing new after byte {end} was sent", self.destination.registry.host());
        TransferError::new(FailureClass::Transient, Side::Destination, "PatchBlob", "BLOB_UPLOAD_INVALID", message)
    }
}

async fn feed(
    reader: &mut Reader<'_>,
    mut sender: FlowSender,
    range: Range<u64>,
    running: &mut Option<Running>,
    sent: &mut Sent<'_>,
) -> Result<(), Unsent> {
    let mut at = range.start;
    while at < range.end {
        // a blob that ends early is an error of the reader's
        let Some(piece) = reader.next_up_to(range.end - at).await.map_err(Unsent::Source)? else { break };
        if let Some(running) = running {
            running.add(at, &piece);
        }
        let bytes = piece.len() as u64;
        sender.send(piece).await.map_err(|_| Unsent::Gone)?;
        sent.add(bytes);
        at += bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_digest_is_that_of_the_blob_however_often_it_breaks_off(
            blob in prop::collection::vec(any::<u8>(), 1..200),
            turns in prop::collection::vec((1..60_usize, 0..60_usize), 1..20),
        ) {
            let mut running = Running::of(&Digest::sha256(b""));
            let mut at = 0;
            for (length, back) in turns {
                let end = blob.len().min(at + length);
                running.add(at as u64, &blob[at..end]);
                at = end.saturating_sub(back);
            }
            running.add(at as u64, &blob[at..]);
            prop_assert_eq!(running.hasher.finish(), Digest::sha256(&blob));
        }
    }
}
