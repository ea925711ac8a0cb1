//! Source and destination side by side, in key order, as they stream.

use std::cmp::Ordering;

use super::{
    key::KeyMap,
    list::ListError,
    page::{EntryRef, Page},
    stream::EntryStream,
};

/// An object of the source and what the destination has in its place, which is under [`KeyMap::map_any`] of the source's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The object to copy or not.
    pub source: EntryRef<'a>,
    /// What is there already.
    pub destination: Option<EntryRef<'a>>,
}

/// A merge-join of two listings over the same range. Holds one page of each side besides what the streams hold.
///
/// ```text
/// while join.fill().await? {
///     while let Some(pair) = join.next() { … }
/// }
/// ```
///
/// Pairs are not cut off at the end of a range: whoever drives the join stops at the first key of the source that the range's
/// `until` excludes. Behind the destination's `until` nothing is known of the destination, so when both ends move closer, the
/// source's must move first.
pub struct Join {
    source: Head,
    destination: Head,
    /// What all keys of the source begin with, in bytes; pairs are found by what follows.
    source_cut: usize,
    /// The same of the destination.
    destination_cut: usize,
    destination_has_keys: bool,
    extra: u64,
}

/// A stream, and the page of it that is being consumed.
struct Head {
    stream: EntryStream,
    page: Page,
    at: usize,
    ended: bool,
}

impl Head {
    fn new(stream: EntryStream) -> Self {
        Self { stream, page: Page::default(), at: 0, ended: false }
    }

    fn entry(&self) -> Option<EntryRef<'_>> {
        self.page.get(self.at)
    }

    /// Waits until there is an entry, or none left.
    async fn fill(&mut self) -> Result<(), ListError> {
        while self.at >= self.page.len() && !self.ended {
            let next = self.stream.next().await?;
            self.ended = next.is_none();
            (self.page, self.at) = (next.unwrap_or_default(), 0);
        }
        Ok(())
    }
}

impl Join {
    /// Joins a listing of the source under `source_prefix`, which must begin with the prefix that `map` was made for, with
    /// that of the destination under `map.destination_prefix(source_prefix)`. When resuming, that of the destination begins behind
    /// `map.start_after(…)`.
    #[must_use]
    pub fn new(source: EntryStream, destination: EntryStream, map: &KeyMap, source_prefix: &str) -> Self {
        Self {
            source: Head::new(source),
            destination: Head::new(destination),
            source_cut: source_prefix.len(),
            destination_cut: map.destination_prefix(source_prefix).len(),
            destination_has_keys: false,
            extra: 0,
        }
    }

    /// Waits until [`next`](Self::next) has an answer; `false` when the source is at its end, and only then. Cancel safe.
    ///
    /// # Errors
    /// Final. Without the destination's whole listing up to a key, nothing is said about the object.
    pub async fn fill(&mut self) -> Result<bool, ListError> {
        loop {
            // both at once: with two slow stores the waits overlap
            let (source, destination) = tokio::join!(self.source.fill(), self.destination.fill());
            source?;
            if self.source.entry().is_none() {
                return Ok(false);
            }
            destination?;
            self.destination_has_keys |= self.destination.entry().is_some();
            if self.meet().is_some() {
                return Ok(true);
            }
        }
    }

    /// The next object of the source with its counterpart; `None`: what comes next is not here yet, or nothing does:
    /// call [`fill`](Self::fill).
    #[expect(clippy::should_implement_trait, reason = "pairs are lent")]
    pub fn next(&mut self) -> Option<Pair<'_>> {
        let is_there = self.meet()?;
        let (source, destination) = (self.source.at, self.destination.at);
        self.source.at += 1;
        self.destination.at += usize::from(is_there);
        Some(Pair { source: self.source.page.get(source)?, destination: self.destination.page.get(destination).filter(|_| is_there) })
    }

    /// Passes over what only the destination has, and tells whether the source's entry is there; `None` when that, or the
    /// source's entry, is not known yet.
    fn meet(&mut self) -> Option<bool> {
        let wanted = rest(self.source.page.get(self.source.at)?.key, self.source_cut);
        while let Some(entry) = self.destination.page.get(self.destination.at) {
            match rest(entry.key, self.destination_cut).cmp(wanted) {
                Ordering::Less => {
                    self.extra += 1;
                    self.destination.at += 1;
                }
                Ordering::Equal => return Some(true),
                Ordering::Greater => return Some(false),
            }
        }
        self.destination.ended.then_some(false)
    }

    /// Whether the destination has shown any key so far.
    #[must_use]
    pub fn destination_has_keys(&self) -> bool {
        self.destination_has_keys
    }

    /// Keys of the destination passed over so far because the source lacks them. Those behind the last key of the source
    /// are not counted.
    #[must_use]
    pub fn extra(&self) -> u64 {
        self.extra
    }
}

/// A key without its beginning, which every key of a listing has.
fn rest(key: &str, cut: usize) -> &[u8] {
    key.as_bytes().get(cut..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
        time::Duration,
    };

    use dth_proto::{
        failure::Side,
        spec::{S3Destination, S3Source},
    };
    use proptest::prelude::*;
    use tokio::sync::Barrier;

    use super::*;
    use crate::s3::{
        list::{
            Answer, ListPages, Listing,
            bound::Range,
            fake::{Bucket, Faults, block_on, entry, hostile_key},
        },
        object::Entry,
        sorted::{SortSettings, Sorted},
    };
    use crate::transfer::TransferError;

    fn listing(bucket: Bucket, side: Side, prefix: &str, after: Option<String>) -> EntryStream {
        Listing::new(Arc::new(bucket), side, Range { after, ..Range::all(prefix) }).into()
    }

    type Owned = (Entry, Option<Entry>);

    async fn drain(mut join: Join) -> Result<(Vec<Owned>, u64), ListError> {
        let mut pairs = Vec::new();
        while join.fill().await? {
            assert!(join.fill().await?, "asking twice changes nothing");
            let before = pairs.len();
            while let Some(Pair { source, destination }) = join.next() {
                pairs.push((source.to_entry(), destination.map(|d| d.to_entry())));
            }
            assert!(pairs.len() > before, "there is an answer after fill()");
        }
        assert!(join.next().is_none() && !join.fill().await?, "the end stays the end");
        Ok((pairs, join.extra()))
    }

    #[test]
    fn either_end_that_fails_fails_the_join() {
        for failing in [Side::Source, Side::Destination] {
            let result = block_on(async {
                let bucket = |side| {
                    let faults = Faults { fail_at: (side == failing).then_some(1), ..Faults::default() };
                    listing(Bucket::in_order(["a", "b", "c"].map(entry), 2).with(faults), side, "", None)
                };
                let map = KeyMap::new(&S3Source::default(), &S3Destination::default()).expect("plain");
                drain(Join::new(bucket(Side::Source), bucket(Side::Destination), &map, "")).await
            });
            assert!(matches!(result, Err(ListError::Failed(_))), "{failing:?}");
        }
    }

    /// A bucket that answers only while the other is being asked as well.
    struct Meeting {
        bucket: Bucket,
        both: Arc<Barrier>,
    }

    impl ListPages for Meeting {
        async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
            self.both.wait().await;
            self.bucket.page(prefix, start_after, token).await
        }
    }

    #[test]
    fn both_ends_are_waited_for_at_once() {
        let both = Arc::new(Barrier::new(2));
        let joined = block_on(async {
            let side = |side| {
                let meeting = Meeting { bucket: Bucket::in_order(["a", "b", "c", "d"].map(entry), 1), both: both.clone() };
                Listing::new(Arc::new(meeting), side, Range::default()).into()
            };
            let map = KeyMap::new(&S3Source::default(), &S3Destination::default()).expect("plain");
            let join = Join::new(side(Side::Source), side(Side::Destination), &map, "");
            tokio::time::timeout(Duration::from_secs(60), drain(join)).await
        });
        let (pairs, extra) = joined.expect("no end waits for the other").expect("no faults");
        assert_eq!((pairs.len(), extra), (4, 0));
    }

    /// What one side has: keys below a prefix, and others around it that must not matter.
    fn keys() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set(hostile_key(), 0..30)
    }

    proptest! {
        #[test]
        fn equals_the_logic_of_sets(
            shared in keys(), source_only in keys(), destination_only in keys(), around in keys(),
            source_prefix in prop_oneof![Just(String::new()), hostile_key()],
            cut in 0usize..6,
            prefix in prop_oneof![Just(String::new()), hostile_key()],
            resume in prop::option::of(hostile_key()),
            pages in (1usize..7, 1usize..7),
            unordered in any::<bool>(),
        ) {
            let strip: String = source_prefix.chars().take(cut).collect();
            let source_spec = S3Source { prefix: source_prefix.clone(), ..S3Source::default() };
            let destination_spec = S3Destination { prefix, strip_prefix: strip, ..S3Destination::default() };
            let map = KeyMap::new(&source_spec, &destination_spec).expect("strips a beginning");
            let below = |k: &String| format!("{source_prefix}{k}");
            let source: BTreeSet<String> = shared.iter().chain(&source_only).map(below).chain(around.iter().cloned()).collect();
            let destination: BTreeMap<String, Entry> = shared
                .iter()
                .chain(&destination_only)
                .map(|k| destination_spec.key_for(&below(k)))
                .chain(around.iter().cloned())
                .map(|k| (k.clone(), Entry { size: 7, ..entry(&k) }))
                .collect();
            let after = resume.as_ref().map(below);

            let wanted: Vec<Owned> = source
                .iter()
                .filter(|k| k.starts_with(&source_prefix) && after.as_ref().is_none_or(|a| *k > a))
                .map(|k| (entry(k), destination.get(&destination_spec.key_for(k)).cloned()))
                .collect();
            let last = wanted.last().map(|(source, _)| destination_spec.key_for(&source.key));
            let there = destination.keys().filter(|k| {
                let begins = k.starts_with(&map.destination_prefix(&source_prefix));
                begins && after.as_ref().is_none_or(|a| **k > map.start_after(a)) && last.as_ref().is_some_and(|l| *k <= l)
            });
            let extra = there.count() - wanted.iter().filter(|(_, destination)| destination.is_some()).count();

            let directory = tempfile::tempdir().expect("directory");
            let (pairs, passed_over) = block_on(async {
                let left = Bucket::in_order(source.iter().map(|k| entry(k)), pages.0);
                let place = after.as_ref().map(|a| map.start_after(a));
                let under = map.destination_prefix(&source_prefix);
                let right = if unordered {
                    let bucket = Bucket::in_order(destination.values().rev().cloned(), pages.1);
                    let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 400, fan_in: 2 };
                    Sorted::new(Arc::new(bucket), Side::Destination, Range { after: place, ..Range::all(&under) }, settings).into()
                } else {
                    listing(Bucket::in_order(destination.values().cloned(), pages.1), Side::Destination, &under, place)
                };
                drain(Join::new(listing(left, Side::Source, &source_prefix, after.clone()), right, &map, &source_prefix)).await
            })
            .expect("no faults");
            prop_assert_eq!(pairs, wanted);
            prop_assert_eq!(passed_over, extra as u64);
        }
    }
}
