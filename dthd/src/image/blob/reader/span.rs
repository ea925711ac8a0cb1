//! Some bytes of a blob in their order, over one connection after the other: what breaks off goes on where it was.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use tokio::time::sleep;

use crate::{
    image::{
        blob::mismatch,
        digest::Digest,
        registry::{BlobBody, Registry},
    },
    transfer::{TransferError, bandwidth::Bandwidth, retry::RetryPolicy},
};

/// A connection that brought so much before it broke off was worth its while: failures are counted anew.
const GAIN: u64 = 1 << 20;
/// How often in a row reading may fail without a gain.
const TRIES: u32 = 8;
/// The code of a source that sends everything where a range was asked for.
const NO_RANGES: &str = "RANGE_IGNORED";

/// What is read, and how. Cheap to clone.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) registry: Registry,
    pub(super) repository: Arc<str>,
    pub(super) digest: Digest,
    /// Where else it is, of layers that are only linked to.
    pub(super) urls: Arc<[String]>,
    pub(super) bandwidth: Bandwidth,
    /// Bytes that have come, over all connections.
    pub(super) received: Arc<AtomicU64>,
}

/// See the module.
pub(super) struct Span {
    source: Source,
    /// The next byte.
    pub(super) at: u64,
    /// Behind the last byte that is wanted, where that is known.
    pub(super) end: Option<u64>,
    /// Of the whole blob, where that is known.
    pub(super) size: Option<u64>,
    /// The rest of the blob is read by others: everything from the beginning is of no use.
    piecemeal: bool,
    body: Option<BlobBody>,
    /// What came behind the end.
    rest: Option<Bytes>,
    failures: u32,
    failed_at: u64,
}

impl Span {
    /// From byte `at` to the end.
    pub(super) fn rest(source: &Source, at: u64, size: Option<u64>) -> Self {
        Self { source: source.clone(), at, end: size, size, piecemeal: false, body: None, rest: None, failures: 0, failed_at: at }
    }

    /// Only these bytes of a blob of `size`; a source that does not know ranges is an error ([`ignores_ranges`]).
    pub(super) fn of(source: &Source, range: &Range<u64>, size: u64) -> Self {
        Self { end: Some(range.end), piecemeal: true, ..Self::rest(source, range.start, Some(size)) }
    }

    /// Waits for the source to begin; gives the blob's size, where anybody says it.
    pub(super) async fn open(&mut self) -> Result<Option<u64>, TransferError> {
        while self.body.is_none() && !self.is_over() {
            if let Err(error) = self.ask().await {
                self.failed(error).await?;
            }
        }
        Ok(self.size)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.at >= end)
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.is_over() {
                return Ok(None);
            }
            match self.piece().await {
                Ok(Some(mut piece)) => {
                    // the end may have come nearer since it was asked
                    let left = self.end.map_or(u64::MAX, |end| end - self.at);
                    let left = usize::try_from(left).unwrap_or(usize::MAX);
                    if piece.len() > left {
                        self.rest = Some(piece.split_off(left));
                    }
                    let bytes = piece.len() as u64;
                    self.source.bandwidth.take(bytes).await;
                    self.at += bytes;
                    self.source.received.fetch_add(bytes, Relaxed);
                    return Ok(Some(piece));
                }
                Ok(None) if self.end.is_none() => return Ok(None),
                Ok(None) => {
                    let registry = &self.source.registry;
                    let digest = &self.source.digest;
                    let message = format!("{} ended {digest} before its {} bytes", registry.host(), self.end.unwrap_or_default());
                    let error = TransferError::new(FailureClass::Transient, registry.side(), "GetBlob", "TruncatedBody", message);
                    self.failed(error).await?;
                }
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// Its connection is of no more use. Until then its end can be put off again.
    pub(super) fn close(&mut self) {
        (self.body, self.rest) = (None, None);
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, TransferError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        if self.body.is_none() {
            self.ask().await?;
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        while let Some(mut piece) = body.next().await? {
            // a registry that knows no ranges begins at the beginning
            let known = self.at.saturating_sub(body.first);
            let skip = known.min(piece.len() as u64);
            body.first += skip;
            // less than the piece's length
            let _ = piece.split_to(usize::try_from(skip).unwrap_or(piece.len()));
            if !piece.is_empty() {
                body.first += piece.len() as u64;
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    async fn ask(&mut self) -> Result<(), TransferError> {
        let Source { registry, repository, digest, urls, .. } = &self.source;
        let range = (self.at > 0 || self.end < self.size).then(|| self.at..self.end.unwrap_or(i64::MAX as u64));
        let body = match registry.blob(repository, digest, range.clone()).await {
            Err(error) if error.code == "BLOB_UNKNOWN" && !urls.is_empty() => {
                // what is not meant to be in registries is where its manifest says, at one of several places
                let url = &urls[self.failures as usize % urls.len()];
                registry.linked_blob(url, digest, range).await?
            }
            asked => asked?,
        };
        if self.piecemeal && body.first != self.at {
            let message = format!("{} sends all of {digest} where a part was asked for", registry.host());
            return Err(TransferError::new(FailureClass::Permanent, registry.side(), "GetBlob", NO_RANGES, message));
        }
        match (self.size, body.total) {
            (Some(size), Some(total)) if total != size => {
                let message = format!("blob {digest} has {total} bytes at {}, its manifest says {size}", registry.host());
                return Err(mismatch(registry.side(), "GetBlob", message));
            }
            (None, total) => (self.size, self.end) = (total, total),
            _ => {}
        }
        self.body = Some(body);
        Ok(())
    }

    /// Waits for another try, or gives the failure back.
    async fn failed(&mut self, error: TransferError) -> Result<(), TransferError> {
        self.body = None;
        self.failures = if self.at >= self.failed_at + GAIN { 1 } else { self.failures + 1 };
        self.failed_at = self.at;
        // wrong sizes are no matter of patience
        if self.failures >= TRIES || error.code == "DIGEST_MISMATCH" || (self.at > 0 && self.end.is_none()) {
            return Err(error);
        }
        // there may be another place that has it
        let other = (self.failures as usize) < self.source.urls.len() && error.code != NO_RANGES;
        let wait = RetryPolicy::default().next_wait(self.failures, &error, rand::random());
        let Some(wait) = wait.or(other.then_some(std::time::Duration::ZERO)) else { return Err(error) };
        tracing::debug!(digest = %self.source.digest, at = self.at, code = %error.code, ?wait, "reading goes on");
        sleep(wait).await;
        Ok(())
    }
}

/// Whether a source does not know ranges.
pub(super) fn ignores_ranges(error: &TransferError) -> bool {
    error.code == NO_RANGES
}
