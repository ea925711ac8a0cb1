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

/// What comes next in the order of keys.
#[derive(Clone, Copy, Debug)]
pub enum Met<'j> {
    /// An object of the source.
    Pair(Pair<'j>),
    /// An object that only the destination has. The source's listing was clean up to there.
    Extra(EntryRef<'j>),
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
    tells: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    Both,
    SourceOnly,
    DestinationOnly,
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
            tells: false,
        }
    }

    /// Tells also what only the destination has, to the end of its listing.
    #[must_use]
    pub fn with_extras(self) -> Self {
        Self { tells: true, ..self }
    }

    /// Waits until [`next`](Self::next) has an answer; `false` when the source is at its end, and the destination too if extras are told, and
    /// only then. Cancel safe.
    ///
    /// # Errors
    /// Final. Without the destination's whole listing up to a key, nothing is said about the object; without the source's, nothing is said to be
    /// missing there.
    pub async fn fill(&mut self) -> Result<bool, ListError> {
        loop {
            // both at once: with two slow stores the waits overlap
            let (source, destination) = tokio::join!(self.source.fill(), self.destination.fill());
            source?;
            if !self.tells && self.source.entry().is_none() {
                return Ok(false);
            }
            destination?;
            self.destination_has_keys |= self.destination.entry().is_some();
            if self.source.entry().is_none() && self.destination.entry().is_none() {
                return Ok(false);
            }
            if self.meet().is_some() {
                return Ok(true);
            }
        }
    }

    /// What comes next in the order of keys; `None`: that is not here yet, or nothing does: call [`fill`](Self::fill).
    #[expect(clippy::should_implement_trait, reason = "pairs are lent")]
    pub fn next(&mut self) -> Option<Met<'_>> {
        let meeting = self.meet()?;
        let (source, destination) = (self.source.at, self.destination.at);
        self.destination.at += usize::from(meeting != Meeting::SourceOnly);
        if meeting == Meeting::DestinationOnly {
            self.extra += 1;
            return self.destination.page.get(destination).map(Met::Extra);
        }
        self.source.at += 1;
        let counterpart = self.destination.page.get(destination).filter(|_| meeting == Meeting::Both);
        Some(Met::Pair(Pair { source: self.source.page.get(source)?, destination: counterpart }))
    }

    /// Who has the next key; `None` when that is not known yet. Passes over what only the destination has, if nobody wants to know.
    fn meet(&mut self) -> Option<Meeting> {
        let wanted = match self.source.page.get(self.source.at) {
            Some(entry) => Some(rest(entry.key, self.source_cut)),
            // what the source's end proves missing
            None if self.tells && self.source.ended => None,
            None => return None,
        };
        while let Some(entry) = self.destination.page.get(self.destination.at) {
            match wanted.map_or(Ordering::Less, |wanted| rest(entry.key, self.destination_cut).cmp(wanted)) {
                Ordering::Less if self.tells => return Some(Meeting::DestinationOnly),
                Ordering::Less => {
                    self.extra += 1;
                    self.destination.at += 1;
                }
                Ordering::Equal => return Some(Meeting::Both),
                Ordering::Greater => return Some(Meeting::SourceOnly),
            }
        }
        (self.destination.ended && wanted.is_some()).then_some(Meeting::SourceOnly)
    }

    /// Whether the destination has shown any key so far.
    #[must_use]
    pub fn destination_has_keys(&self) -> bool {
        self.destination_has_keys
    }

    /// Keys of the destination that came so far and the source lacks. Unless extras are told, those behind the last key of the source
    /// are not counted; those between the end of a range and the first key behind it are.
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
            bound::{Bound, Range},
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

    fn owned(pair: Pair<'_>) -> Owned {
        (pair.source.to_entry(), pair.destination.map(|d| d.to_entry()))
    }

    fn met(met: Met<'_>) -> Owned {
        match met {
            Met::Pair(pair) => owned(pair),
            Met::Extra(extra) => panic!("nobody asked for {}", extra.key),
        }
    }

    async fn drain(mut join: Join) -> Result<(Vec<Owned>, u64), ListError> {
        let mut pairs = Vec::new();
        while join.fill().await? {
            assert!(join.fill().await?, "asking twice changes nothing");
            let before = pairs.len();
            pairs.extend(std::iter::from_fn(|| join.next().map(met)));
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

    /// Both ends of a task, for property tests.
    #[derive(Debug)]
    struct Ends {
        source_prefix: String,
        map: KeyMap,
        source: BTreeSet<String>,
        destination: BTreeMap<String, Entry>,
        pages: (usize, usize),
        unordered: bool,
    }

    fn ends() -> impl Strategy<Value = Ends> {
        let prefix = || prop_oneof![Just(String::new()), hostile_key()];
        let sets = (keys(), keys(), keys(), keys());
        (sets, prefix(), 0usize..6, prefix(), (1usize..7, 1usize..7), any::<bool>()).prop_map(
            |((shared, source_only, destination_only, around), source_prefix, cut, prefix, pages, unordered)| {
                let strip: String = source_prefix.chars().take(cut).collect();
                let source_spec = S3Source { prefix: source_prefix.clone(), ..S3Source::default() };
                let destination_spec = S3Destination { prefix, strip_prefix: strip, ..S3Destination::default() };
                let map = KeyMap::new(&source_spec, &destination_spec).expect("strips a beginning");
                let below = |k: &String| format!("{source_prefix}{k}");
                let source = shared.iter().chain(&source_only).map(below).chain(around.iter().cloned()).collect();
                let destination = shared
                    .iter()
                    .chain(&destination_only)
                    .map(|k| destination_spec.key_for(&below(k)))
                    .chain(around.iter().cloned())
                    .map(|k| (k.clone(), Entry { size: 7, ..entry(&k) }))
                    .collect();
                Ends { source_prefix, map, source, destination, pages, unordered }
            },
        )
    }

    impl Ends {
        /// The pairs behind `after` and not behind `until`, found by looking up.
        fn wanted(&self, after: Option<&str>, until: Option<&str>) -> Vec<Owned> {
            let within = |k: &&String| after.is_none_or(|a| k.as_str() > a) && until.is_none_or(|u| k.as_str() <= u);
            let all = self.source.iter().filter(|k| k.starts_with(&self.source_prefix)).filter(within);
            all.map(|k| (entry(k), self.destination.get(&self.map.map_any(k)).cloned())).collect()
        }

        fn join(&self, after: Option<&str>, until: &[Bound; 2], directory: &std::path::Path) -> Join {
            let [source_until, destination_until] = until.clone();
            let left = Bucket::in_order(self.source.iter().map(|k| entry(k)), self.pages.0);
            let range = Range { prefix: self.source_prefix.clone(), after: after.map(str::to_owned), until: source_until };
            let left = Listing::new(Arc::new(left), Side::Source, range).into();
            let prefix = self.map.destination_prefix(&self.source_prefix);
            let range = Range { prefix, after: after.map(|a| self.map.start_after(a)), until: destination_until };
            let right = if self.unordered {
                let bucket = Bucket::in_order(self.destination.values().rev().cloned(), self.pages.1);
                let settings = SortSettings { directory: directory.to_owned(), chunk_bytes: 400, fan_in: 2 };
                Sorted::new(Arc::new(bucket), Side::Destination, range, settings).into()
            } else {
                let bucket = Bucket::in_order(self.destination.values().cloned(), self.pages.1);
                Listing::new(Arc::new(bucket), Side::Destination, range).into()
            };
            Join::new(left, right, &self.map, &self.source_prefix)
        }
    }

    /// As a range is driven: to the first key that the end, which may move, excludes. `split`: after so many pairs the end moves
    /// to this key, if it is ahead.
    async fn drive(
        mut join: Join,
        until: &[Bound; 2],
        map: &KeyMap,
        split: Option<(usize, &str)>,
    ) -> Result<(Vec<Owned>, bool), ListError> {
        let mut pairs: Vec<Owned> = Vec::new();
        let mut is_split = false;
        while join.fill().await? {
            loop {
                let ahead = |at: &str| pairs.last().is_none_or(|(last, _)| last.key.as_str() < at) && !until[0].is_reached_by(at);
                if let Some((_, at)) = split.filter(|(when, at)| !is_split && pairs.len() >= *when && ahead(at)) {
                    until[0].set(Some(at));
                    until[1].set(Some(&map.map_any(at)));
                    is_split = true;
                }
                match join.next() {
                    Some(Met::Pair(pair)) if until[0].excludes(pair.source.key) => return Ok((pairs, is_split)),
                    Some(next) => pairs.push(met(next)),
                    None => break,
                }
            }
        }
        Ok((pairs, is_split))
    }

    proptest! {
        #[test]
        fn equals_the_logic_of_sets(ends in ends(), resume in prop::option::of(hostile_key())) {
            let after = resume.map(|k| format!("{}{k}", ends.source_prefix));
            let after = after.as_deref();
            let wanted = ends.wanted(after, None);
            let last = wanted.last().map(|(source, _)| ends.map.map_any(&source.key));
            let there = ends.destination.keys().filter(|k| {
                let begins = k.starts_with(&ends.map.destination_prefix(&ends.source_prefix));
                begins && after.is_none_or(|a| **k > ends.map.start_after(a)) && last.as_ref().is_some_and(|l| *k <= l)
            });
            let extra = there.count() - wanted.iter().filter(|(_, destination)| destination.is_some()).count();

            let directory = tempfile::tempdir().expect("directory");
            let joined = block_on(async { drain(ends.join(after, &<[Bound; 2]>::default(), directory.path())).await });
            let (pairs, passed_over) = joined.expect("no faults");
            prop_assert_eq!(pairs, wanted);
            prop_assert_eq!(passed_over, extra as u64);
        }

        #[test]
        fn extras_are_the_difference_of_the_sets(ends in ends(), resume in prop::option::of(hostile_key())) {
            let after = resume.map(|k| format!("{}{k}", ends.source_prefix));
            let after = after.as_deref();
            let begins = |k: &&String| k.starts_with(&ends.map.destination_prefix(&ends.source_prefix));
            let there = ends.destination.keys().filter(begins).filter(|k| after.is_none_or(|a| **k > ends.map.start_after(a)));
            let mapped: BTreeSet<String> = ends.wanted(after, None).iter().map(|(source, _)| ends.map.map_any(&source.key)).collect();
            let wanted: Vec<String> = there.filter(|k| !mapped.contains(*k)).cloned().collect();

            let directory = tempfile::tempdir().expect("directory");
            let told = block_on(async {
                let mut join = ends.join(after, &<[Bound; 2]>::default(), directory.path()).with_extras();
                let (mut pairs, mut extras) = (Vec::new(), Vec::new());
                while join.fill().await? {
                    while let Some(next) = join.next() {
                        match next {
                            Met::Pair(pair) => pairs.push(owned(pair)),
                            Met::Extra(extra) => extras.push(extra.key.to_owned()),
                        }
                    }
                }
                assert_eq!(join.extra(), extras.len() as u64);
                Ok::<_, ListError>((pairs, extras))
            });
            prop_assert_eq!(told.expect("no faults"), (ends.wanted(after, None), wanted));
        }

        #[test]
        fn ranges_side_by_side_are_the_whole(
            ends in ends(),
            [after, until] in [prop::option::of(hostile_key()), prop::option::of(hostile_key())],
            split in prop::option::of((0usize..10, hostile_key())),
        ) {
            let below = |k: String| format!("{}{k}", ends.source_prefix);
            let (after, until) = (after.map(below), until.map(below));
            let split = split.map(|(when, at)| (when, below(at)));
            let split = split.as_ref().map(|(when, at)| (*when, at.as_str())).filter(|(_, at)| after.as_deref().is_none_or(|a| a < *at));
            let bounds = |until: Option<&str>| [Bound::at(until), Bound::at(until.map(|u| ends.map.map_any(u)).as_deref())];

            let directory = tempfile::tempdir().expect("directory");
            let pairs = block_on(async {
                let first = bounds(until.as_deref());
                let join = ends.join(after.as_deref(), &first, directory.path());
                let (mut pairs, is_split) = drive(join, &first, &ends.map, split).await?;
                if is_split {
                    let rest = bounds(until.as_deref());
                    let join = ends.join(split.map(|(_, at)| at), &rest, directory.path());
                    pairs.extend(drive(join, &rest, &ends.map, None).await?.0);
                }
                Ok::<_, ListError>(pairs)
            });
            prop_assert_eq!(pairs.expect("no faults"), ends.wanted(after.as_deref(), until.as_deref()));
        }
    }
}
