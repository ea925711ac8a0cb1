//! Comparing two ends as a run does, without copying.

use std::{path::Path, sync::Arc};

use dth_proto::{failure::Side, spec::S3Job};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Otherwise, PassEnd, QUEUE,
    feed::{End, Feed},
    rules::Rules,
};
use crate::{
    clock,
    s3::{compare::CompareRules, list::ListPages, prefix::Selection, provider, sorted::SortSettings},
    store::{Store, record::Tally},
    transfer::{account::Account, progress::Progress},
};

/// The only run in a state of its own.
const RUN: (u64, u32) = (1, 1);

/// Lists both ends in ranges, joins, decides and counts exactly as a run does; what would be copied stays pending.
///
/// `state` is a directory for the counts' store and for listings that must be sorted; what an earlier comparison left there (keys that cut
/// the listing evenly) is used. `slots` tells how many ranges may be listed at once, and is asked again and again.
///
/// # Errors
/// In words: an unknown provider, rules that contradict themselves, a state that cannot be opened, a listing that failed or is not in
/// byte order although its provider's is.
pub async fn compare<S: ListPages, D: ListPages>(
    source: Arc<S>,
    destination: Arc<D>,
    job: &S3Job,
    state: &Path,
    slots: impl Fn() -> usize + Send + Sync + 'static,
) -> Result<Tally, String> {
    let profile = |side: Side, name: &str| provider::find(name).map_err(|e| format!("{} provider: {e}", side.word()));
    let from = profile(Side::Source, &job.source.store.provider)?;
    let to = profile(Side::Destination, &job.destination.store.provider)?;
    let store = Store::open(state).map_err(|e| e.to_string())?;
    let progress = Progress::new(Tally::default(), false, Arc::default());
    let account = Account::resume(&store, RUN, None, Tally::default(), &progress);
    let comparable = CompareRules::between(from, to, job);
    let sort = SortSettings::new(state.join("sort"));
    let selection = Selection::open(job, &sort, None).await?;
    let rules = Rules::new(RUN.0, &store, &account, job, &selection, comparable, clock::now())?;
    let ends = (End { bucket: source, order: from.lists_in_byte_order }, End { bucket: destination, order: to.lists_in_byte_order });
    let (queue, mut missing) = mpsc::channel(QUEUE);
    let feed = Feed::new(RUN, &store, ends, (&selection, rules), sort, queue, Box::new(slots));
    let drain = async { while missing.recv().await.is_some() {} };
    let (end, ()) = tokio::join!(feed.run(CancellationToken::new()), drain);
    match end {
        PassEnd::Complete => Ok(progress.tally()),
        PassEnd::Failed(why) | PassEnd::Other(Otherwise::Guarded(why)) => Err(why),
        PassEnd::Other(Otherwise::Unordered(side)) => Err(format!("the {} does not list in byte order", side.word())),
        PassEnd::Stopped => Err("the comparison was stopped".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use dth_proto::spec::{S3Destination, S3Options, S3Source};
    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{
        s3::{
            list::{
                Answer,
                fake::{Bucket, Faults, block_on, entry, hostile_key},
            },
            object::Entry,
        },
        transfer::TransferError,
    };

    fn job(provider: &str, prefix: &str) -> S3Job {
        let (source, destination) = (S3Source::default(), S3Destination::default());
        let mut job = S3Job { source, destination, options: S3Options::default() };
        for end in [&mut job.source.store, &mut job.destination.store] {
            provider.clone_into(&mut end.provider);
        }
        prefix.clone_into(&mut job.source.prefix);
        job.destination.prefix = "to/".to_owned();
        job
    }

    fn there(key: &str) -> Entry {
        Entry { key: format!("to/{key}"), ..entry(key) }
    }

    fn keys() -> impl Strategy<Value = BTreeSet<String>> {
        let numbers = prop::collection::btree_set((0..500_u32).prop_map(|n| format!("n/{n:04}")), 0..60);
        prop_oneof![prop::collection::btree_set(hostile_key(), 0..30), numbers]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// First with nothing known of the bucket, then with the cuts that the first comparison left.
        #[test]
        fn ranges_give_what_the_logic_of_sets_gives(
            both in keys(), source_only in keys(), destination_only in keys(),
            prefix in prop_oneof![Just(String::new()), Just("n/".to_owned()), hostile_key()],
            pages in (1usize..5, 1usize..5), slots in 1usize..20, known in any::<bool>(),
        ) {
            let source: BTreeSet<&String> = both.union(&source_only).collect();
            let destination: BTreeSet<&String> = both.union(&destination_only).collect();
            let wanted = || source.iter().filter(|key| key.starts_with(&prefix));
            let same = wanted().filter(|key| destination.contains(**key)).count();
            let state = tempfile::tempdir().expect("directory");
            let job = job(if known { "aws" } else { "other" }, &prefix);
            for _ in 0..2 {
                let left = Bucket::in_order(source.iter().map(|key| entry(key)), pages.0);
                let right = Bucket::in_order(destination.iter().map(|key| there(key)), pages.1);
                let tally = block_on(compare(Arc::new(left), Arc::new(right), &job, state.path(), move || slots)).expect("no faults");
                let counters = tally.counters;
                prop_assert_eq!((counters.listed, counters.same), (wanted().count() as u64, same as u64));
                prop_assert_eq!(counters.pending, counters.listed - counters.same);
            }
        }
    }

    #[test]
    fn a_range_that_fails_fails_the_comparison() {
        let numbers = || (0..200).map(|n| format!("{n:04}"));
        for (source, destination) in [(Some(9), None), (None, Some(9)), (Some(0), None)] {
            let state = tempfile::tempdir().expect("directory");
            let bucket = |keys: Vec<Entry>, fail_at| Arc::new(Bucket::in_order(keys, 5).with(Faults { fail_at, ..Faults::default() }));
            let left = bucket(numbers().map(|key| entry(&key)).collect(), source);
            let right = bucket(numbers().map(|key| there(&key)).collect(), destination);
            let error = block_on(compare(left, right, &job("aws", ""), state.path(), || 8)).expect_err("a page failed for good");
            assert!(error.contains("AccessDenied"), "{error}");
        }
    }

    #[test]
    fn disorder_in_any_range_is_told() {
        // in order but for the last page
        let mut keys: Vec<String> = (0..300).map(|n| format!("{n:04}")).collect();
        keys.swap(297, 298);
        let state = tempfile::tempdir().expect("directory");
        let left = Arc::new(Bucket::in_order(keys.iter().map(|key| entry(key)), 5));
        let right = Arc::new(Bucket::in_order(keys[..290].iter().map(|key| there(key)), 5));
        let error = block_on(compare(left, right, &job("aws", ""), state.path(), || 8)).expect_err("out of order");
        assert_eq!(error, "the source does not list in byte order");
    }

    /// A bucket that takes its time.
    struct Far(Bucket);

    impl ListPages for Far {
        async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
            sleep(Duration::from_millis(40)).await;
            self.0.page(prefix, start_after, token).await
        }
    }

    #[test]
    fn a_flat_bucket_is_listed_side_by_side() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime");
        runtime.block_on(async {
            let keys: Vec<String> = (0..3_000).map(|n| format!("flat/{n:06}")).collect();
            let state = tempfile::tempdir().expect("directory");
            let mut spans = Vec::new();
            for slots in [1, 64, 64] {
                let left = Arc::new(Far(Bucket::in_order(keys.iter().map(|key| entry(key)), 10)));
                let right = Arc::new(Far(Bucket::in_order(keys.iter().map(|key| there(key)), 10)));
                let began = Instant::now();
                let tally = compare(left, right, &job("aws", "flat/"), state.path(), move || slots).await.expect("no faults");
                assert_eq!((tally.counters.listed, tally.counters.same), (3_000, 3_000));
                spans.push(began.elapsed().as_millis());
            }
            let [one, first, again] = spans[..] else { panic!("three comparisons") };
            assert!((12_000..12_500).contains(&one), "one page after the other: {one} ms");
            assert!(first * 8 < one && again * 16 < one, "{one} ms, {first} ms, {again} ms");
        });
    }
}
