//! Source and destination side by side, in key order, as they stream.

use std::cmp::Ordering;

use super::{key::KeyMap, list::ListError, object::Entry, stream::EntryStream};

/// An object of the source and what the destination has in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The object to copy or not.
    pub source: Entry,
    /// What is there already.
    pub destination: Option<Entry>,
    /// Where it goes. May be too long: see [`KeyTooLong::check`](super::key::KeyTooLong::check).
    pub destination_key: String,
}

/// A merge-join of two listings over the same range. Holds one entry of each side besides what the streams hold.
pub struct Join {
    source: EntryStream,
    destination: Head,
    map: KeyMap,
    extra: u64,
}

/// The destination's stream and the entry that waits for its source key.
struct Head {
    stream: EntryStream,
    waiting: Option<Entry>,
    ended: bool,
}

impl Head {
    /// Makes an entry wait, unless one does or there is none left.
    async fn fill(&mut self) -> Result<(), ListError> {
        if self.waiting.is_none() && !self.ended {
            self.waiting = self.stream.next().await?;
            self.ended = self.waiting.is_none();
        }
        Ok(())
    }
}

impl Join {
    /// Joins a listing of the source with that of the destination under `map.destination_prefix(…)` and, when resuming,
    /// behind `map.start_after(…)`.
    #[must_use]
    pub fn new(source: EntryStream, destination: EntryStream, map: KeyMap) -> Self {
        Self { source, destination: Head { stream: destination, waiting: None, ended: false }, map, extra: 0 }
    }

    /// The next object of the source with its counterpart; `None` when the source is at its end, and only then.
    ///
    /// # Errors
    /// Final. Without the destination's whole listing up to the key, nothing is said about the object.
    pub async fn next(&mut self) -> Result<Option<Pair>, ListError> {
        // both at once: with two slow stores the waits overlap
        let (source, filled) = tokio::join!(self.source.next(), self.destination.fill());
        let Some(source) = source? else {
            return Ok(None);
        };
        filled?;
        let destination_key = self.map.map_any(&source.key);
        loop {
            let order = self.destination.waiting.as_ref().map(|d| d.key.as_str().cmp(&destination_key));
            match order {
                Some(Ordering::Less) => {
                    self.extra += 1;
                    self.destination.waiting = None;
                    self.destination.fill().await?;
                }
                Some(Ordering::Equal) => {
                    return Ok(Some(Pair { source, destination: self.destination.waiting.take(), destination_key }));
                }
                Some(Ordering::Greater) | None => return Ok(Some(Pair { source, destination: None, destination_key })),
            }
        }
    }

    /// Whether the destination has shown any key so far.
    #[must_use]
    pub fn destination_has_keys(&self) -> bool {
        self.extra > 0 || self.destination.waiting.is_some()
    }

    /// Keys of the destination passed over so far because the source lacks them. Those behind the last key of the source
    /// are not listed and not counted.
    #[must_use]
    pub fn extra(&self) -> u64 {
        self.extra
    }
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
            ListPages, Listing, Page,
            fake::{Bucket, Faults, block_on, entry, hostile_key},
        },
        sorted::{SortSettings, Sorted},
    };
    use crate::transfer::TransferError;

    fn listing(bucket: Bucket, side: Side, prefix: &str, after: Option<String>) -> EntryStream {
        Listing::new(Arc::new(bucket), side, prefix.to_owned(), after).into()
    }

    async fn drain(mut join: Join) -> Result<(Vec<Pair>, u64), ListError> {
        let mut pairs = Vec::new();
        while let Some(pair) = join.next().await? {
            pairs.push(pair);
        }
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
                drain(Join::new(bucket(Side::Source), bucket(Side::Destination), map)).await
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
        async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Page, TransferError> {
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
                Listing::new(Arc::new(meeting), side, String::new(), None).into()
            };
            let map = KeyMap::new(&S3Source::default(), &S3Destination::default()).expect("plain");
            let join = Join::new(side(Side::Source), side(Side::Destination), map);
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

            let wanted: Vec<Pair> = source
                .iter()
                .filter(|k| k.starts_with(&source_prefix) && after.as_ref().is_none_or(|a| *k > a))
                .map(|k| {
                    let destination_key = destination_spec.key_for(k);
                    Pair { source: entry(k), destination: destination.get(&destination_key).cloned(), destination_key }
                })
                .collect();
            let last = wanted.last().map(|p| p.destination_key.clone());
            let there = destination.keys().filter(|k| {
                let begins = k.starts_with(&map.destination_prefix(&source_prefix));
                begins && after.as_ref().is_none_or(|a| **k > map.start_after(a)) && last.as_ref().is_some_and(|l| *k <= l)
            });
            let extra = there.count() - wanted.iter().filter(|p| p.destination.is_some()).count();

            let directory = tempfile::tempdir().expect("directory");
            let (pairs, passed_over) = block_on(async {
                let left = Bucket::in_order(source.iter().map(|k| entry(k)), pages.0);
                let place = after.as_ref().map(|a| map.start_after(a));
                let under = map.destination_prefix(&source_prefix);
                let right = if unordered {
                    let bucket = Bucket::in_order(destination.values().rev().cloned(), pages.1);
                    let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 400, fan_in: 2 };
                    Sorted::new(Arc::new(bucket), Side::Destination, under, place, settings).into()
                } else {
                    listing(Bucket::in_order(destination.values().cloned(), pages.1), Side::Destination, &under, place)
                };
                drain(Join::new(listing(left, Side::Source, &source_prefix, after.clone()), right, map.clone())).await
            })
            .expect("no faults");
            prop_assert_eq!(pairs, wanted);
            prop_assert_eq!(passed_over, extra as u64);
        }
    }
}
