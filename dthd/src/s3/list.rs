//! Reading a bucket's listing page by page, one page ahead of whoever consumes it.

pub mod bound;
mod cursor;
#[cfg(test)]
pub(super) mod fake;
mod feed;
pub mod xml;

use std::{future::Future, io, path::PathBuf, sync::Arc};

use dth_proto::failure::{FailureClass, Side};

use self::bound::Range;
pub(super) use self::{
    cursor::PageCursor,
    feed::{Batch, Feed, Sink},
};
use super::page::Page;
use crate::transfer::TransferError;

/// The request behind every page, for error messages.
pub(super) const OPERATION: &str = "ListObjectsV2";

/// One page as the store answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the store's order.
    pub page: Page,
    /// The continuation token; `None` at the end of the listing. An empty one means that the store said there is more
    /// but gave no token (seen on several gateways; usual in version 1 of the listing); it then goes on behind the last key.
    pub next: Option<String>,
}

impl Answer {
    /// A page with `IsTruncated` and `NextContinuationToken` (or `NextMarker`) as the store sent them.
    #[must_use]
    pub fn new(page: Page, truncated: bool, token: Option<String>) -> Self {
        Self { page, next: truncated.then(|| token.unwrap_or_default()) }
    }
}

/// A bucket that can be listed.
pub trait ListPages: Send + Sync + 'static {
    /// The page that `token` points to, else the first page of the keys that begin with `prefix` and come after
    /// `start_after`. At most one of `start_after` and `token` is given: a token carries the place by itself.
    ///
    /// # Errors
    /// Final: whoever implements this has tried again already, as far as that helps.
    fn page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> impl Future<Output = Result<Answer, TransferError>> + Send;
}

/// Something that is read page by page.
pub(super) trait Pages: Send + 'static {
    /// The next page; may be empty. `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Page>, ListError>> + Send;
}

/// A listing ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A page could not be had, or the store's answers make no sense (`ListLoop`, `ListOutsidePrefix`, `ListNoToken`).
    #[error(transparent)]
    Failed(#[from] TransferError),
    /// Keys are not in byte order. What was read so far is no proof of what is not there: begin the range anew with
    /// [`Sorted`](super::sorted::Sorted) for this side.
    #[error("{} listing is not in byte order: {after:?} came after {before:?}", side.word())]
    Unordered {
        /// Whose listing.
        side: Side,
        /// The key that came first.
        before: String,
        /// The key that came next and is equal or smaller.
        after: String,
    },
    /// The sorted runs could not be written or read back.
    #[error("cannot {operation} the sorted {} listing in {}: {source}; make room or choose another state directory", side.word(), directory.display())]
    Disk {
        /// Whose listing.
        side: Side,
        /// `write` or `read`.
        operation: &'static str,
        /// Where the runs are.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ListError {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Failed(error) => error.class,
            Self::Unordered { .. } => FailureClass::Permanent,
            Self::Disk { .. } => FailureClass::Transient,
        }
    }

    /// Whose listing it was.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::Failed(error) => error.side,
            Self::Unordered { side, .. } | Self::Disk { side, .. } => *side,
        }
    }

    /// The reader is gone without having said that the listing is at its end: it panicked, or the runtime is stopping.
    pub(super) fn stopped(side: Side) -> Self {
        let message = "the reader of the listing stopped before its end";
        TransferError::new(FailureClass::Transient, side, OPERATION, "ListStopped", message).into()
    }
}

/// The keys of a range in byte order, as the store lists them. The next page is fetched while the current one is
/// consumed: at most two pages are held. Dropping it stops the fetching.
pub struct Listing {
    feed: Feed,
}

impl Listing {
    /// Starts to read. Once a page has reached `range.until`, no further page is asked for; that page may have keys behind it.
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn new(source: Arc<impl ListPages>, side: Side, range: Range) -> Self {
        Self::over(PageCursor::ordered(source, side, range), side)
    }

    /// Starts to read pages that come in byte order.
    pub(super) fn over(pages: impl Pages, side: Side) -> Self {
        Self { feed: Feed::prefetch(pages, side) }
    }

    /// The next page, which may be empty; `None` at the end, and only there. Cancel safe.
    ///
    /// # Errors
    /// Final: every later call fails as well, so that a broken listing never looks like one that ended.
    pub async fn next(&mut self) -> Result<Option<Page>, ListError> {
        self.feed.next().await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        bound::Bound,
        fake::{Bucket, Faults, block_on, entry, hostile_key},
        *,
    };

    async fn drain(mut listing: Listing) -> Result<Vec<String>, ListError> {
        let mut keys = Vec::new();
        while let Some(page) = listing.next().await? {
            keys.extend(page.keys().map(str::to_owned));
        }
        assert!(listing.next().await.is_ok_and(|e| e.is_none()), "the end stays the end");
        Ok(keys)
    }

    fn range(prefix: &str, after: Option<&str>, until: Option<&str>) -> Range {
        Range { prefix: prefix.to_owned(), after: after.map(str::to_owned), until: Bound::at(until) }
    }

    fn list(bucket: Bucket, prefix: &str, after: Option<&str>) -> Result<Vec<String>, ListError> {
        block_on(async { drain(Listing::new(Arc::new(bucket), Side::Source, range(prefix, after, None))).await })
    }

    fn code(result: Result<Vec<String>, ListError>) -> String {
        match result {
            Err(ListError::Failed(error)) => error.code,
            other => panic!("not a failed listing: {other:?}"),
        }
    }

    #[test]
    fn disorder_is_told_with_both_keys() {
        for page in [1, 3] {
            block_on(async {
                let bucket = Bucket::in_order(["a/x", "a-b", "b"].map(entry), page);
                let mut listing = Listing::new(Arc::new(bucket), Side::Source, Range::default());
                // nothing of a page that is out of order is given out
                for _ in 1..4 / (page + 1) {
                    assert!(listing.next().await.is_ok_and(|e| e.is_some()));
                }
                let error = listing.next().await.expect_err("not in byte order");
                assert_eq!(error.to_string(), "source listing is not in byte order: \"a-b\" came after \"a/x\"");
                assert!(listing.next().await.is_err(), "still failed");
            });
        }
    }

    #[test]
    fn a_failure_is_never_the_end() {
        block_on(async {
            let bucket = Bucket::in_order(["a", "b", "c"].map(entry), 1).with(Faults { fail_at: Some(2), ..Faults::default() });
            let mut listing = Listing::new(Arc::new(bucket), Side::Source, Range::default());
            assert!(listing.next().await.is_ok_and(|e| e.is_some()));
            assert!(listing.next().await.is_ok_and(|e| e.is_some()));
            assert!(listing.next().await.is_err());
            assert!(listing.next().await.is_err(), "still failed");
        });
    }

    #[test]
    fn a_store_without_tokens_is_read_on_behind_the_last_key() {
        for inclusive in [false, true] {
            let bucket =
                Bucket::in_order(["a", "b", "c", "d"].map(entry), 2).with(Faults { no_tokens: true, inclusive, ..Faults::default() });
            assert_eq!(list(bucket, "", Some("a")).expect("whole"), ["b", "c", "d"]);
        }
    }

    #[test]
    fn stores_that_repeat_themselves_are_stopped() {
        let keys = ["a", "b", "c", "d", "e"];
        let stuck = Bucket::in_order(keys.map(entry), 1).with(Faults { repeat_from: Some(2), ..Faults::default() });
        assert_eq!(code(list(stuck, "", None)), "ListLoop");
        // ignores where it should go on
        let deaf = Bucket::in_order(keys.map(entry), 2).with(Faults { no_tokens: true, deaf: true, ..Faults::default() });
        assert_eq!(code(list(deaf, "", None)), "ListLoop");
        let hollow = Bucket::in_order(keys.map(entry), 2).with(Faults { hollow: true, ..Faults::default() });
        assert_eq!(code(list(hollow, "", None)), "ListLoop");
    }

    #[test]
    fn keys_outside_the_prefix_are_not_taken() {
        let bucket = Bucket::in_order(["a/1", "b/1"].map(entry), 9).with(Faults { any_prefix: true, ..Faults::default() });
        assert_eq!(code(list(bucket, "a/", None)), "ListOutsidePrefix");
    }

    #[test]
    fn no_more_than_one_page_is_fetched_ahead() {
        block_on(async {
            let bucket = Arc::new(Bucket::in_order((0..50).map(|n| entry(&format!("{n:02}"))), 5));
            let mut listing = Listing::new(bucket.clone(), Side::Source, Range::default());
            for n in 0..10 {
                let page = listing.next().await.expect("page").expect("not the end");
                assert_eq!(page.first().map(|e| e.key.to_owned()), Some(format!("{:02}", n * 5)));
                // one thread: the reader now does all it wants to do
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                assert!(bucket.requests() <= n + 2, "{} pages asked for at page {n}", bucket.requests());
            }
        });
    }

    #[test]
    fn nothing_is_asked_for_behind_the_end_of_the_range() {
        for (after, until, requests) in [
            (None, Some("04"), 1),
            (None, Some("05"), 2),
            (None, Some("09"), 2),
            (None, Some("091"), 3),
            (Some("04"), Some("09"), 1),
            (Some("04"), Some("04"), 0),
            (Some("05"), Some("04"), 0),
            (Some("44"), None, 1),
        ] {
            let bucket = Arc::new(Bucket::in_order((0..50).map(|n| entry(&format!("{n:02}"))), 5));
            let listing = async { drain(Listing::new(bucket.clone(), Side::Source, range("", after, until))).await };
            let keys = block_on(listing).expect("whole");
            let wanted = (0..50).map(|n| format!("{n:02}")).filter(|k| after.is_none_or(|a| k.as_str() > a));
            let wanted: Vec<String> = wanted.filter(|k| until.is_none_or(|u| k.as_str() <= u)).collect();
            assert!(keys.starts_with(&wanted), "{after:?} {until:?}: {keys:?}");
            assert_eq!(bucket.requests(), requests, "{after:?} {until:?}");
        }
    }

    #[test]
    fn an_end_that_moves_closer_is_heeded_by_the_next_request() {
        block_on(async {
            let bucket = Arc::new(Bucket::in_order((0..50).map(|n| entry(&format!("{n:02}"))), 5));
            let until = Bound::default();
            let mut listing = Listing::new(bucket.clone(), Side::Source, Range { until: until.clone(), ..Range::default() });
            assert!(listing.next().await.is_ok_and(|p| p.is_some()));
            until.set(Some("12"));
            let mut pages = 1;
            while listing.next().await.expect("no faults").is_some() {
                pages += 1;
            }
            assert_eq!((pages, bucket.requests()), (3, 3));
        });
    }

    #[test]
    fn a_reader_that_panics_is_an_error() {
        block_on(async {
            let bucket = Bucket::in_order(["a", "b"].map(entry), 1).with(Faults { panic_at: Some(1), ..Faults::default() });
            let mut listing = Listing::new(Arc::new(bucket), Side::Destination, Range::default());
            assert!(listing.next().await.is_ok_and(|e| e.is_some()));
            let error = listing.next().await.expect_err("half a listing");
            assert_eq!((error.class(), error.side()), (FailureClass::Transient, Side::Destination));
        });
    }

    proptest! {
        #[test]
        fn any_keys_pages_and_places_come_out_whole(
            keys in prop::collection::btree_set(hostile_key(), 0..40),
            page in 1usize..9,
            prefix in prop_oneof![Just(String::new()), hostile_key()],
            after in prop::option::of(hostile_key()),
            no_tokens in any::<bool>(),
        ) {
            let bucket = Bucket::in_order(keys.iter().map(|k| entry(k)), page).with(Faults { no_tokens, ..Faults::default() });
            let wanted: Vec<String> =
                keys.iter().filter(|k| k.starts_with(&prefix) && after.as_ref().is_none_or(|a| *k > a)).cloned().collect();
            prop_assert_eq!(list(bucket, &prefix, after.as_deref()).expect("whole"), wanted);
        }

        #[test]
        fn every_disorder_is_detected(keys in prop::collection::vec("[a-d]{1,2}", 2..12), page in 1usize..5) {
            let sorted = keys.windows(2).all(|w| w[0] < w[1]);
            let bucket = Bucket::in_order(keys.iter().map(|k| entry(k)), page);
            let result = list(bucket, "", None);
            prop_assert_eq!(result.is_ok(), sorted);
        }
    }
}
