//! A blob in one request: small ones as a whole, others as they are read. The last bytes are sent only when the digest of all is right.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Blob, Blobs, Reader, mismatch};
use crate::{
    http::{Flow, FlowSender},
    image::{digest::Digest, registry::Upload},
    transfer::{
        TransferError,
        progress::{BlobProgress, ItemProgress},
    },
};

/// Pieces (64 KiB at most) that may wait between the reading and the sending connection.
pub(super) const DEPTH: usize = 8;
/// Memory that a streamed blob counts for: the buffers of two connections and what is between them. More than that is, so that not
/// too many blobs are on their way at once: what is broken off in the middle is lost.
pub(super) const STREAM: u64 = 4 << 20;

/// Characters of a digest that are shown.
const SHORT: usize = 12;

/// Why no more bytes were sent.
pub(super) enum Unsent {
    /// The source failed, or its bytes are others.
    Source(TransferError),
    /// The destination does not read on: its answer says why.
    Gone,
}

impl Blobs {
    /// A small blob.
    pub(super) async fn whole(&self, it: Blob<'_>, session: Option<Upload>, size: u64) -> Result<(), TransferError> {
        let _held = self.budget.take(size).await;
        let (bytes, upload) = tokio::join!(self.all(it, size), self.session(it, session));
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                if let Ok(upload) = upload {
                    self.destination.registry.cancel(upload).await;
                }
                return Err(error);
            }
        };
        self.destination.registry.put_small_blob(upload?, &it.blob.digest, bytes).await?;
        it.progress.advance(size);
        Ok(())
    }

    pub(super) async fn session(&self, it: Blob<'_>, session: Option<Upload>) -> Result<Upload, TransferError> {
        match session {
            Some(upload) => Ok(upload),
            None => self.destination.registry.start_upload(it.to).await,
        }
    }

    async fn all(&self, it: Blob<'_>, size: u64) -> Result<Bytes, TransferError> {
        let mut reader = self.reader(it, 0, Some(size));
        let mut all: Option<Bytes> = None;
        let mut joined = BytesMut::new();
        while let Some(piece) = reader.next().await? {
            // most come in one piece
            match all.take() {
                None if joined.is_empty() => all = Some(piece),
                first => {
                    joined.extend_from_slice(&first.unwrap_or_default());
                    joined.extend_from_slice(&piece);
                }
            }
        }
        let all = all.unwrap_or_else(|| joined.freeze());
        if it.blob.digest.is_of(&all) { Ok(all) } else { Err(self.wrong(it, &Digest::sha256(&all))) }
    }

    /// A blob that is sent while it is read.
    pub(super) async fn stream(&self, it: Blob<'_>, session: Option<Upload>, size: Option<u64>) -> Result<(), TransferError> {
        let _held = self.budget.take(size.unwrap_or(STREAM).min(STREAM)).await;
        let mut reader = self.reader(it, 0, size);
        let (opened, upload) = tokio::join!(reader.open(), self.session(it, session));
        let (size, upload) = match (opened, upload) {
            (Ok(Some(size)), Ok(upload)) => (size, upload),
            (opened, upload) => {
                if let Ok(upload) = upload {
                    self.destination.registry.cancel(upload).await;
                }
                let unknown = || {
                    mismatch(self.source.side(), "GetBlob", format!("{} does not say how large {} is", self.source.host(), it.blob.digest))
                };
                return Err(opened.err().unwrap_or_else(unknown));
            }
        };
        let (sender, flow) = Flow::new(size, DEPTH);
        let mut sent = Sent::of(it, size);
        let feed = self.feed(it, reader, sender, size, &mut sent);
        let (put, fed) = tokio::join!(self.destination.registry.put_blob(upload, &it.blob.digest, flow), feed);
        match (put, fed) {
            // the destination only saw the body break off: the reason is here
            (_, Err(Unsent::Source(error))) => Err(error),
            (put, Ok(()) | Err(Unsent::Gone)) => {
                put?;
                sent.keep(size);
                Ok(())
            }
        }
    }

    async fn feed(
        &self,
        it: Blob<'_>,
        mut reader: Reader<'_>,
        mut sender: FlowSender,
        size: u64,
        sent: &mut Sent<'_>,
    ) -> Result<(), Unsent> {
        let mut hasher = it.blob.digest.hasher();
        let mut last: Option<Bytes> = None;
        let mut read = 0;
        while let Some(piece) = reader.next().await.map_err(Unsent::Source)? {
            hasher.update(&piece);
            read += piece.len() as u64;
            if read > size {
                break;
            }
            if let Some(before) = last.replace(piece) {
                let bytes = before.len() as u64;
                sender.send(before).await.map_err(|_| Unsent::Gone)?;
                sent.add(bytes);
            }
        }
        let digest = hasher.finish();
        if read != size || digest != it.blob.digest {
            // without its last bytes the request can never be complete
            sender.abort();
            return Err(Unsent::Source(self.wrong(it, &digest)));
        }
        if let Some(last) = last {
            sender.send(last).await.map_err(|_| Unsent::Gone)?;
        }
        Ok(())
    }

    pub(super) fn wrong(&self, it: Blob<'_>, found: &Digest) -> TransferError {
        let message = format!("the bytes of {} from {} are those of {found}", it.blob.digest, self.source.host());
        mismatch(self.source.side(), "GetBlob", message)
    }
}

/// Bytes of a blob that the image's progress shows; taken back unless they are kept.
pub(super) struct Sent<'a> {
    progress: &'a ItemProgress,
    blob: Arc<BlobProgress>,
    bytes: u64,
}

impl<'a> Sent<'a> {
    /// Nothing yet of a blob of `size` bytes.
    pub(super) fn of(it: Blob<'a>, size: u64) -> Self {
        let short: String = it.blob.digest.hex().chars().take(SHORT).collect();
        Self { progress: it.progress, blob: it.progress.blob_begins(&short, size), bytes: 0 }
    }
}

impl Sent<'_> {
    pub(super) fn add(&mut self, bytes: u64) {
        self.go_to(self.bytes + bytes);
    }

    /// So many of them have arrived.
    pub(super) fn go_to(&mut self, bytes: u64) {
        self.progress.fall_back(self.bytes.saturating_sub(bytes));
        self.progress.advance(bytes.saturating_sub(self.bytes));
        self.bytes = bytes;
        self.blob.set(bytes);
    }

    /// All `size` of them have arrived.
    pub(super) fn keep(mut self, size: u64) {
        self.progress.advance(size.saturating_sub(self.bytes));
        self.bytes = 0;
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.progress.fall_back(self.bytes);
        self.progress.blob_ends(&self.blob);
    }
}
