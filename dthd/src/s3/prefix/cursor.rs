//! From page to page through the keys of many prefixes.

use std::{io, sync::Arc};

use dth_proto::failure::{FailureClass, Side};

use super::{Place, Walk, pace::Pace};
use crate::{
    s3::{
        list::{
            ListError, ListPages, PageCursor, Pages,
            bound::{Bound, Range},
        },
        page::Page,
    },
    transfer::TransferError,
};

/// What reading the sorted prefixes is called in messages.
const OPERATION: &str = "ReadPrefixes";

/// See the module. Listings of single prefixes are checked as those of any range are; those that go straight through several
/// prefixes give up what begins with none of them.
pub(in crate::s3) struct PrefixCursor<S> {
    source: Arc<S>,
    side: Side,
    place: Place,
    walk: Walk,
    /// The prefix that is listed, or comes next.
    here: Option<String>,
    begun: bool,
    after: Option<String>,
    until: Bound,
    ordered: bool,
    pace: Pace,
    listing: Option<Open<S>>,
}

struct Open<S> {
    cursor: PageCursor<S>,
    way: Way,
    /// It has given no page yet.
    fresh: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    One,
    Straight,
}

impl<S: ListPages> PrefixCursor<S> {
    /// The keys of a range of one end, `range.prefix` aside. A store whose order is its own (`ordered` is false) is asked for one prefix after the
    /// other, and each is read to its end.
    pub(in crate::s3) fn new(source: Arc<S>, side: Side, place: &Place, range: Range, ordered: bool) -> io::Result<Self> {
        let Range { after, until, .. } = range;
        let walk = place.behind(after.as_deref())?;
        let pace = Pace::new(if ordered { place.count() } else { 0 });
        Ok(Self { source, side, place: place.clone(), walk, here: None, begun: false, after, until, ordered, pace, listing: None })
    }

    fn unread(&self, error: &io::Error) -> ListError {
        let message = format!("the sorted prefixes cannot be read back: {error}");
        TransferError::new(FailureClass::Transient, self.side, OPERATION, "Disk", message).into()
    }

    fn step(&mut self) -> Result<(), ListError> {
        self.here = self.walk.next().map_err(|error| self.unread(&error))?.map(|prefix| self.place.mapped(prefix));
        Ok(())
    }

    /// Begins to list at `here`.
    fn open(&mut self, here: &str) -> Open<S> {
        let (source, side, until) = (Arc::clone(&self.source), self.side, self.until.clone());
        // only of the first prefix is a part already behind
        let inside = self.after.clone().filter(|after| after.as_str() >= here);
        if !self.ordered {
            let range = Range { prefix: here.to_owned(), after: inside, until };
            return Open { cursor: PageCursor::unordered(source, side, range), way: Way::One, fresh: true };
        }
        let (prefix, after, way) = match self.pace.straight() {
            true => (self.place.common(), inside.or_else(|| before(here)), Way::Straight),
            false => (here.to_owned(), inside, Way::One),
        };
        Open { cursor: PageCursor::ordered(source, side, Range { prefix, after, until }), way, fresh: true }
    }

    /// Leaves what is selected, and moves on to the prefix that can have keys behind the page.
    fn select(&mut self, page: &mut Page) -> Result<(), ListError> {
        let Some(last) = page.last().map(|entry| entry.key.to_owned()) else { return Ok(()) };
        let mut finished = 0;
        let mut failed = None;
        page.retain(|entry| {
            while failed.is_none()
                && let Some(here) = &self.here
                && here.as_str() <= entry.key
            {
                if entry.key.starts_with(here.as_str()) {
                    return true;
                }
                finished += 1;
                failed = self.step().err();
            }
            false
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if self.here.as_ref().is_none_or(|here| !last.starts_with(here.as_str())) {
            self.listing = None;
            self.pace.page(finished);
        }
        Ok(())
    }
}

impl<S: ListPages> Pages for PrefixCursor<S> {
    async fn next(&mut self) -> Result<Option<Page>, ListError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.step()?;
        }
        loop {
            let Some(here) = self.here.clone() else { return Ok(None) };
            if self.listing.is_none() {
                // asked again for every prefix, for the end of the range can move
                if self.until.excludes(&here) {
                    self.here = None;
                    return Ok(None);
                }
                self.listing = Some(self.open(&here));
            }
            let Some(Open { cursor, way, fresh }) = &mut self.listing else { continue };
            let (way, fresh) = (*way, std::mem::replace(fresh, false));
            match (cursor.next().await, way) {
                (Ok(Some(page)), Way::One) => return Ok(Some(page)),
                (Ok(Some(mut page)), Way::Straight) => {
                    self.select(&mut page)?;
                    return Ok(Some(page));
                }
                (Ok(None), Way::One) => {
                    self.listing = None;
                    self.step()?;
                }
                // neither the bucket nor the range has more keys
                (Ok(None), Way::Straight) => {
                    self.here = None;
                    return Ok(None);
                }
                (Err(ListError::Failed(error)), Way::Straight) if fresh && error.class == FailureClass::Auth => {
                    self.pace.never();
                    self.listing = None;
                }
                (Err(error), _) => return Err(error),
            }
        }
    }
}

/// A text that comes before all keys with a prefix, and behind nearly all keys before them.
fn before(prefix: &str) -> Option<String> {
    let mut chars = prefix.chars();
    let last = chars.next_back()?;
    let mut text = chars.as_str().to_owned();
    // from the first character behind the surrogates, which are none, to the last before them
    let lower = u32::from(last).checked_sub(1).map(|code| char::from_u32(code).unwrap_or('\u{d7ff}'));
    text.extend(lower);
    if lower.is_some() {
        text.push(char::MAX);
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dth_proto::spec::S3Destination;
    use proptest::prelude::*;

    use super::*;
    use crate::s3::{
        key::KeyMap,
        list::{
            Answer,
            fake::{Bucket, Faults, block_on, entry, hostile_key},
        },
        prefix::{Prefixes, test::set},
    };

    async fn drain<S: ListPages>(mut cursor: PrefixCursor<S>) -> Result<Vec<String>, ListError> {
        let mut keys = Vec::new();
        while let Some(page) = cursor.next().await? {
            keys.extend(page.keys().map(str::to_owned));
        }
        assert!(cursor.next().await?.is_none(), "the end stays the end");
        Ok(keys)
    }

    fn plain(prefixes: &Arc<Prefixes>) -> Place {
        Place::source(prefixes)
    }

    fn list(bucket: &Arc<Bucket>, place: &Place, range: Range, ordered: bool) -> Result<Vec<String>, ListError> {
        let cursor = PrefixCursor::new(Arc::clone(bucket), Side::Source, place, range, ordered).expect("readable");
        block_on(drain(cursor))
    }

    #[test]
    fn dense_prefixes_cost_pages_and_not_requests() {
        // 10,000 objects, two for each of 5,000 prefixes
        let bucket = Arc::new(Bucket::in_order((0..10_000).map(|n| entry(&format!("{:05}/{}", n / 2, n % 2))), 100));
        let place = plain(&set((0..5_000).map(|n| format!("{n:05}/"))));
        assert_eq!(list(&bucket, &place, Range::default(), true).expect("no faults").len(), 10_000);
        assert!(bucket.requests() <= 201, "{} requests for 100 pages", bucket.requests());
    }

    #[test]
    fn sparse_prefixes_cost_a_request_each_and_few_more() {
        // 200 prefixes of 10 objects with 1,000 others between them
        let keys =
            (0..200).flat_map(|n| (0..10).map(move |m| format!("{n:03}-a/{m}")).chain((0..1_000).map(move |m| format!("{n:03}-b/{m:04}"))));
        let bucket = Arc::new(Bucket::in_order(keys.map(|key| entry(&key)), 100));
        let place = plain(&set((0..200).map(|n| format!("{n:03}-a/"))));
        assert_eq!(list(&bucket, &place, Range::default(), true).expect("no faults").len(), 2_000);
        assert!(bucket.requests() <= 210, "{} requests", bucket.requests());
    }

    #[test]
    fn prefixes_without_keys_are_passed_over() {
        let bucket = Arc::new(Bucket::in_order((0..10).map(|n| entry(&format!("{n}-x"))), 100));
        let place = plain(&set((0..100_000).map(|n| format!("{n:06}/")).chain(["9-".to_owned()])));
        assert_eq!(list(&bucket, &place, Range::default(), true).expect("no faults"), ["9-x"]);
        assert!(bucket.requests() <= 5, "{} requests", bucket.requests());
    }

    /// A bucket whose policy allows to list `team/` only below its folders.
    struct Narrow(Arc<Bucket>);

    impl ListPages for Narrow {
        async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
            if prefix.len() < "team/00/".len() {
                return Err(TransferError::new(FailureClass::Auth, Side::Source, "ListObjectsV2", "AccessDenied", "not that prefix"));
            }
            self.0.page(prefix, start_after, token).await
        }
    }

    #[test]
    fn rights_for_the_prefixes_alone_are_enough() {
        let bucket = Arc::new(Bucket::in_order((0..100).map(|n| entry(&format!("team/{:02}/{n:03}", n / 2))), 10));
        let place = plain(&set((0..50).map(|n| format!("team/{n:02}/"))));
        let cursor = PrefixCursor::new(Arc::new(Narrow(Arc::clone(&bucket))), Side::Source, &place, Range::default(), true);
        assert_eq!(block_on(drain(cursor.expect("readable"))).expect("allowed").len(), 100);
        assert_eq!(bucket.requests(), 50, "one refused, and one for each prefix");
    }

    #[test]
    fn a_page_that_fails_fails_the_listing() {
        for failing in [0, 3] {
            let keys = (0..40).map(|n| entry(&format!("{n:02}/")));
            let bucket = Bucket::in_order(keys, 1).with(Faults { fail_at: Some(failing), ..Faults::default() });
            let place = plain(&set((0..10).map(|n| format!("{n:02}/"))));
            assert!(list(&Arc::new(bucket), &place, Range::default(), true).is_err(), "{failing}");
        }
    }

    #[test]
    fn before_is_before_and_near() {
        for prefix in ["a", "a/", "a\0", "\0", "\u{e000}", "a\u{10000}", "é"] {
            let text = before(prefix).unwrap_or_default();
            assert!(text.as_str() < prefix, "{prefix:?}: {text:?}");
        }
        assert_eq!(before("a/0").as_deref(), Some("a//\u{10ffff}"));
        assert_eq!(before("a\0").as_deref(), Some("a"));
        assert_eq!((before(""), before("\0")), (None, None));
    }

    proptest! {
        #[test]
        fn a_listing_by_prefixes_is_the_flat_list_filtered(
            keys in prop::collection::btree_set(hostile_key(), 0..60),
            prefixes in prop::collection::btree_set(hostile_key(), 1..40),
            page in 1usize..9,
            after in prop::option::of(hostile_key()),
            until in prop::option::of(hostile_key()),
            (no_tokens, inclusive) in any::<(bool, bool)>(),
        ) {
            let selected = |key: &String| prefixes.iter().any(|p| key.starts_with(p)) && after.as_ref().is_none_or(|a| key > a);
            let wanted: Vec<String> = keys.iter().filter(|key| selected(key)).cloned().collect();
            let inside: Vec<String> = wanted.iter().filter(|key| until.as_ref().is_none_or(|u| *key <= u)).cloned().collect();
            let place = plain(&set(prefixes.clone()));
            let range = || Range { after: after.clone(), until: Bound::at(until.as_deref()), ..Range::default() };
            let bucket = Arc::new(Bucket::in_order(keys.iter().map(|k| entry(k)), page).with(Faults { no_tokens, inclusive, ..Faults::default() }));
            let listed = list(&bucket, &place, range(), true).expect("no faults");
            prop_assert!(wanted.starts_with(&listed) && listed.starts_with(&inside), "{:?} of {:?}, {:?}", listed, wanted, inside);

            let unordered = Arc::new(Bucket::in_order(keys.iter().rev().map(|k| entry(k)), page));
            let listed: BTreeSet<String> = list(&unordered, &place, range(), false).expect("no faults").into_iter().collect();
            prop_assert_eq!(listed.into_iter().collect::<Vec<_>>(), inside);
        }

        #[test]
        fn the_other_end_is_listed_where_the_keys_go(
            keys in prop::collection::btree_set(hostile_key(), 0..40),
            prefixes in prop::collection::btree_set(hostile_key(), 1..30),
            to in hostile_key(),
            after in prop::option::of(hostile_key()),
            page in 1usize..9,
        ) {
            let prefixes: BTreeSet<String> = prefixes.into_iter().map(|p| format!("in/{p}")).collect();
            let destination = S3Destination { prefix: to.clone(), strip_prefix: "in/".to_owned(), ..S3Destination::default() };
            let set = set(prefixes.clone());
            let map = KeyMap::over(set.common(), &destination).expect("all have it");
            let after = after.map(|a| format!("in/{a}"));
            let there = keys.iter().map(|k| format!("{to}{k}")).chain(keys.iter().cloned()).collect::<BTreeSet<String>>();
            let bucket = Arc::new(Bucket::in_order(there.iter().map(|k| entry(k)), page));
            let range = Range { after: after.as_deref().map(|a| map.start_after(a)), ..Range::default() };
            let listed = list(&bucket, &Place::destination(&set, &map), range, true).expect("no faults");
            let mapped: Vec<String> = prefixes.iter().map(|p| map.map_any(p)).collect();
            let behind = |k: &&String| after.as_ref().is_none_or(|a| **k > map.start_after(a));
            let wanted: Vec<String> = there.iter().filter(behind).filter(|k| mapped.iter().any(|p| k.starts_with(p))).cloned().collect();
            prop_assert_eq!(listed, wanted);
        }
    }
}
