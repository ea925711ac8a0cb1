//! The bytes of a blob in their order, whatever happens on the way: what breaks off goes on where it was.

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use tokio::time::sleep;

use super::mismatch;
use crate::{
    image::{
        digest::Digest,
        registry::{BlobBody, Registry},
    },
    transfer::{TransferError, bandwidth::Bandwidth, retry::RetryPolicy},
};

/// A connection that brought so much before it broke off was worth its while: failures are counted anew.
const GAIN: u64 = 1 << 20;
/// How often in a row reading may fail without a gain.
const TRIES: u32 = 8;

/// See the module.
pub(super) struct Reader<'a> {
    source: &'a Registry,
    repository: &'a str,
    digest: &'a Digest,
    bandwidth: &'a Bandwidth,
    /// The next byte.
    at: u64,
    /// Behind the last byte, where that is known.
    end: Option<u64>,
    body: Option<BlobBody>,
    /// Bytes of the last piece that were too many.
    rest: Option<Bytes>,
    failures: u32,
    failed_at: u64,
}

impl<'a> Reader<'a> {
    /// Reads from byte `at` on, to the end of a blob of `size` bytes.
    pub(super) fn new(
        source: &'a Registry,
        repository: &'a str,
        digest: &'a Digest,
        bandwidth: &'a Bandwidth,
        at: u64,
        size: Option<u64>,
    ) -> Self {
        Self { source, repository, digest, bandwidth, at, end: size, body: None, rest: None, failures: 0, failed_at: at }
    }

    /// Waits for the source to begin; gives the blob's size, where anybody says it.
    pub(super) async fn open(&mut self) -> Result<Option<u64>, TransferError> {
        while self.body.is_none() && self.end.is_none_or(|end| self.at < end) {
            if let Err(error) = self.ask().await {
                self.failed(error).await?;
            }
        }
        Ok(self.end)
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.end.is_some_and(|end| self.at >= end) {
                return Ok(None);
            }
            match self.piece().await {
                Ok(Some(piece)) => {
                    self.bandwidth.take(piece.len() as u64).await;
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(None) if self.end.is_none() => return Ok(None),
                Ok(None) => {
                    let message = format!("{} ended {} before its {} bytes", self.source.host(), self.digest, self.end.unwrap_or_default());
                    let error = TransferError::new(FailureClass::Transient, self.source.side(), "GetBlob", "TruncatedBody", message);
                    self.failed(error).await?;
                }
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// As [`Reader::next`], at most `most` bytes; the rest of the piece comes next.
    pub(super) async fn next_up_to(&mut self, most: u64) -> Result<Option<Bytes>, TransferError> {
        let Some(mut piece) = (match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.next().await?,
        }) else {
            return Ok(None);
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if piece.len() > most {
            self.rest = Some(piece.split_off(most));
        }
        Ok(Some(piece))
    }

    /// Bytes that are still to come, as far as is known.
    pub(super) fn left(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, Bytes::len);
        self.end.and_then(|end| usize::try_from(end.saturating_sub(self.at)).ok()).unwrap_or(0).saturating_add(rest)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, TransferError> {
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
        let range = (self.at > 0).then(|| self.at..self.end.unwrap_or(i64::MAX as u64));
        let body = self.source.blob(self.repository, self.digest, range).await?;
        match (self.end, body.total) {
            (Some(size), Some(total)) if total != size && body.first == 0 => {
                let message = format!("blob {} has {total} bytes at {}, its manifest says {size}", self.digest, self.source.host());
                return Err(mismatch(self.source.side(), "GetBlob", message));
            }
            (None, total) => self.end = total,
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
        let Some(wait) = RetryPolicy::default().next_wait(self.failures, &error, rand::random()) else { return Err(error) };
        tracing::debug!(digest = %self.digest, at = self.at, code = %error.code, ?wait, "reading goes on");
        sleep(wait).await;
        Ok(())
    }
}
