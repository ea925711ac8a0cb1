//! The bytes of a blob in their order: of a large one several ranges side by side, where one connection is slower than what is behind it.

mod pace;
mod span;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use self::{
    pace::Pace,
    span::{Source, Span, ignores_ranges},
};
use super::{Blob, Blobs};
use crate::transfer::{
    TransferError,
    budget::{Budget, Held},
};

/// Bytes that are read ahead over a connection of their own.
const RANGE: u64 = 8 << 20;
/// So many bytes must remain for that to be worth while.
const LARGE: u64 = 64 << 20;

/// See the module.
pub(super) struct Reader<'a> {
    source: Source,
    budget: &'a Budget,
    /// The next byte.
    at: u64,
    /// What is handed on as it comes.
    front: Span,
    /// What is handed on when the front is over.
    range: Option<Ahead>,
    /// What follows, without gaps.
    ahead: VecDeque<Ahead>,
    /// `None`: over one connection.
    pace: Option<Pace>,
    /// For the source.
    waited: Duration,
    /// Bytes of the last piece that were too many.
    rest: Option<Bytes>,
}

/// A range that is read while those before it are handed on.
struct Ahead {
    end: u64,
    pieces: mpsc::UnboundedReceiver<Result<Bytes, TransferError>>,
    _reading: AbortOnDropHandle<()>,
    /// There are no more bytes in the channel than this.
    _held: Held,
}

impl Blobs {
    /// Reads a blob of `size` bytes (`None`: nobody says) from byte `at` on.
    pub(super) fn reader<'a>(&'a self, it: Blob<'a>, at: u64, size: Option<u64>) -> Reader<'a> {
        let source = Source {
            registry: self.source.clone(),
            repository: it.from.into(),
            digest: it.blob.digest.clone(),
            urls: it.blob.urls.as_slice().into(),
            bandwidth: self.bandwidth.clone(),
            received: Arc::default(),
        };
        let front = Span::rest(&source, at, size);
        let pace = size.is_some_and(|size| size >= at + LARGE).then(|| Pace::new(Instant::now()));
        let (range, ahead, waited, rest) = (None, VecDeque::new(), Duration::ZERO, None);
        Reader { source, budget: &self.budget, at, front, range, ahead, pace, waited, rest }
    }
}

impl Reader<'_> {
    /// Waits for the source to begin; gives the blob's size, where anybody says it.
    pub(super) async fn open(&mut self) -> Result<Option<u64>, TransferError> {
        self.front.open().await
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            let asked = Instant::now();
            let next = match &mut self.range {
                Some(range) => range.pieces.recv().await.transpose(),
                None => self.front.next().await,
            };
            match next {
                Ok(Some(piece)) => {
                    self.at += piece.len() as u64;
                    if self.range.is_some() {
                        // what it brings behind its end is the price of not having asked for less
                        self.front.close();
                    }
                    let now = Instant::now();
                    self.waited += now.saturating_duration_since(asked);
                    self.widen(now);
                    return Ok(Some(piece));
                }
                Ok(None) if !self.follow() => return Ok(None),
                Ok(None) => {}
                Err(error) if ignores_ranges(&error) => {
                    tracing::debug!(digest = %self.source.digest, at = self.at, "the source knows no ranges");
                    self.pace = None;
                    if self.front.at == self.at {
                        // it is still open
                        (self.range, self.front.end) = (None, self.front.size);
                        self.ahead.clear();
                    } else {
                        self.begin_again();
                    }
                }
                Err(error) => return Err(error),
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
        self.front.size.and_then(|size| usize::try_from(size.saturating_sub(self.at)).ok()).unwrap_or(0).saturating_add(rest)
    }

    /// What was handed on has ended; `false`: so has the blob.
    fn follow(&mut self) -> bool {
        if self.front.size.is_none_or(|size| self.at >= size) {
            return false;
        }
        let cut_short = self.range.take().is_some_and(|range| self.at < range.end);
        match self.ahead.pop_front() {
            Some(next) if !cut_short => self.range = Some(next),
            _ => self.begin_again(),
        }
        true
    }

    /// Reads the rest over one connection.
    fn begin_again(&mut self) {
        self.range = None;
        self.ahead.clear();
        self.front = Span::rest(&self.source, self.at, self.front.size);
    }

    /// Reads further ranges ahead, as many as pay and as there is memory for at once.
    fn widen(&mut self, now: Instant) {
        let (Some(pace), Some(size)) = (&mut self.pace, self.front.size) else { return };
        let wanted = pace.wanted(now, self.source.received.load(Relaxed), self.waited);
        while self.ahead.len() + 1 < wanted {
            let last = self.ahead.back().or(self.range.as_ref()).map(|range| range.end);
            let begin = last.unwrap_or_else(|| (self.at + RANGE).min(size));
            let range = begin..(begin + RANGE).min(size);
            if range.is_empty() {
                return;
            }
            let Some(held) = self.budget.take(RANGE).now_or_never() else { return };
            if last.is_none() {
                self.front.end = Some(begin);
            }
            let (sender, pieces) = mpsc::unbounded_channel();
            let reading = tokio::spawn(read(Span::of(&self.source, &range, size), sender));
            self.ahead.push_back(Ahead { end: range.end, pieces, _reading: AbortOnDropHandle::new(reading), _held: held });
        }
    }
}

async fn read(mut span: Span, sender: mpsc::UnboundedSender<Result<Bytes, TransferError>>) {
    while let Some(piece) = span.next().await.transpose() {
        let failed = piece.is_err();
        if sender.send(piece).is_err() || failed {
            return;
        }
    }
}
