//! A bucket for tests that lists as told: in any order, in pages of any size, with the faults that real stores have.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
};

use dth_proto::{
    failure::{FailureClass, Side},
    time::Timestamp,
};
use proptest::prelude::*;

use super::{Answer, ListPages, OPERATION};
use crate::{
    s3::object::{ETag, Entry},
    transfer::TransferError,
};

/// The bucket. Tokens are places in its own order.
pub(in crate::s3) struct Bucket {
    entries: Vec<Entry>,
    page: usize,
    requests: AtomicUsize,
    faults: Faults,
}

/// What the bucket does wrong; by default nothing.
#[derive(Default)]
pub(in crate::s3) struct Faults {
    /// Truncated pages have no token.
    pub(in crate::s3) no_tokens: bool,
    /// `start_after` includes the key.
    pub(in crate::s3) inclusive: bool,
    /// Ignores `start_after`.
    pub(in crate::s3) deaf: bool,
    /// Ignores the prefix.
    pub(in crate::s3) any_prefix: bool,
    /// The number of the request (from 0) that fails.
    pub(in crate::s3) fail_at: Option<usize>,
    /// The number of the request that panics.
    pub(in crate::s3) panic_at: Option<usize>,
    /// From this place in the listing on, the token points back to it.
    pub(in crate::s3) repeat_from: Option<usize>,
    /// Goes on forever without a key.
    pub(in crate::s3) hollow: bool,
}

impl Bucket {
    /// Lists `entries` in the order given.
    pub(in crate::s3) fn in_order(entries: impl IntoIterator<Item = Entry>, page: usize) -> Self {
        Self { entries: entries.into_iter().collect(), page, requests: AtomicUsize::new(0), faults: Faults::default() }
    }

    /// The same bucket with faults.
    pub(in crate::s3) fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Pages asked for so far.
    pub(in crate::s3) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn answer(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
        assert!(start_after.is_none() || token.is_none(), "a token carries the place by itself");
        let request = self.requests.fetch_add(1, Ordering::SeqCst);
        assert_ne!(self.faults.panic_at, Some(request), "told to panic");
        if self.faults.fail_at == Some(request) {
            return Err(TransferError::new(FailureClass::Auth, Side::Source, OPERATION, "AccessDenied", "no"));
        }
        if self.faults.hollow {
            return Ok(Answer { next: Some(request.to_string()), ..Answer::default() });
        }
        let from: usize = token.map_or(0, |t| t.parse().expect("one of our tokens"));
        let is_behind = |key: &str| match start_after {
            Some(after) if !self.faults.deaf => key > after || (self.faults.inclusive && key == after),
            _ => true,
        };
        let mut found = self
            .entries
            .iter()
            .enumerate()
            .skip(from)
            .filter(|(_, e)| (self.faults.any_prefix || e.key.starts_with(prefix)) && is_behind(&e.key));
        let taken: Vec<_> = found.by_ref().take(self.page).collect();
        let truncated = found.next().is_some();
        let token = match (taken.last(), self.faults.repeat_from) {
            (Some((place, _)), Some(repeat)) if *place >= repeat => Some(repeat.to_string()),
            (Some((place, _)), _) => Some((place + 1).to_string()),
            (None, _) => None,
        };
        Ok(Answer::new(taken.into_iter().map(|(_, e)| e.clone()).collect(), truncated, token.filter(|_| !self.faults.no_tokens)))
    }
}

impl ListPages for Bucket {
    async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
        // so that readers and consumers interleave
        tokio::task::yield_now().await;
        self.answer(prefix, start_after, token)
    }
}

/// An entry whose other fields follow from its key.
pub(in crate::s3) fn entry(key: &str) -> Entry {
    Entry {
        key: key.to_owned(),
        size: key.len() as u64,
        // between letters, so that nothing of the key is taken for quotes or blanks around the ETag
        etag: ETag::new(&format!("e-{key}-e")),
        modified: Timestamp(1_000),
        class: "STANDARD".to_owned(),
        version: None,
    }
}

/// Keys that are short enough to share prefixes, with everything that is special to somebody.
pub(in crate::s3) fn hostile_key() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "/", "-", "..", "\u{0}", "\n", "é", "\u{ffff}", "\u{10000}", " ", "%2F", "+"]);
    prop_oneof![4 => prop::collection::vec(part, 1..5).prop_map(|p| p.concat()), 1 => "\\PC{1,6}"]
}

/// Runs `work` on a runtime of its own.
pub(in crate::s3) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(work)
}
