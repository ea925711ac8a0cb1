//! Comparing two ends as a run does, without copying.

use std::{path::Path, sync::Arc};

use dth_proto::{failure::Side, spec::S3Job};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    PassEnd, QUEUE,
    account::Account,
    feed::{End, Feed},
    rules::Rules,
};
use crate::{
    clock,
    s3::{compare::CompareRules, list::ListPages, provider, sorted::SortSettings},
    store::{Store, record::Tally},
    transfer::progress::Progress,
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
    let comparable = CompareRules::between(from, to, job.destination.encryption.as_ref());
    let rules = Rules::new(RUN.0, &store, &account, job, comparable, clock::now())?;
    let ends = (End { bucket: source, order: from.lists_in_byte_order }, End { bucket: destination, order: to.lists_in_byte_order });
    let (queue, mut missing) = mpsc::channel(QUEUE);
    let sort = SortSettings::new(state.join("sort"));
    let feed = Feed::new(RUN, &store, ends, (&job.source.prefix, rules), sort, queue, Box::new(slots));
    let drain = async { while missing.recv().await.is_some() {} };
    let (end, ()) = tokio::join!(feed.run(CancellationToken::new()), drain);
    match end {
        PassEnd::Complete => Ok(progress.tally()),
        PassEnd::Failed(why) => Err(why),
        PassEnd::Unordered(side) => Err(format!("the {} does not list in byte order", side.word())),
        PassEnd::Stopped => Err("the comparison was stopped".to_owned()),
    }
}
