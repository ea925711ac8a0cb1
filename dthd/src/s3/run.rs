//! One run of an S3 task: list, compare, copy, verify; count, record, checkpoint.
//!
//! ```text
//!          ┌ range: list both ends, join, decide ┐
//! feed ────┤ range                               ├──> queue (bounded) ──> work (copies side by side) ──> account ──> store
//!          └ range …                             ┘
//! ```
//!
//! A run that is continued after a crash lists again what remains by its checkpoint; what it had already copied of that is recognised
//! by its records and neither copied nor counted twice. The same happens when a store turns out not to list in byte order: the pass
//! begins again with that side sorted on disk, in one range.

mod archives;
mod compare;
mod ends;
mod estimate;
mod explain;
mod failures;
mod feed;
mod range;
mod records;
mod rules;
mod versions;
mod work;

use std::{sync::Arc, time::Duration};

use dth_proto::{
    event::Level,
    failure::Side,
    spec::{Compare, S3Job, Versions},
    view::RunOutcome,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub(super) use self::ends::customer_key;
pub use self::{compare::compare, ends::abort_uploads, explain::explain};
use self::{
    ends::Ends,
    failures::{Failures, Which},
    feed::{End, Feed},
    rules::Rules,
    versions::{Keys, VersionFeed},
    work::Work,
};
use crate::{
    clock,
    s3::{list::ListPages, prefix::Selection, version::as_of::AsOf},
    store::{RunKind, RunRecord},
    transfer::{
        Stop,
        account::Account,
        run::{RunEnd, RunInput},
        window::Kind,
    },
};

/// Decided objects that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 300 bytes
/// each.
const QUEUE: usize = 10_000;
/// How often the checkpoint is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// How one pass over the listing ended.
enum PassEnd {
    /// Everything listed is finished.
    Complete,
    /// A store does not list in byte order: begin again.
    Unordered(Side),
    /// It cannot go on.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

/// Works until everything is done or `stop` says otherwise; gives back the record with its last checkpoint.
pub async fn run(mut input: RunInput, job: S3Job) -> (RunRecord, RunEnd) {
    let began = Instant::now();
    let worked = input.record.worked;
    let (remaining, tally) = (input.record.remaining.as_deref(), input.record.tally.clone());
    let account = Account::resume(&input.store, (input.uid, input.record.run), remaining, tally, &input.progress);
    let end = match Ends::open(&input, &job).await {
        Ok(mut ends) => {
            let end = match ends.keep_versions(&job).await {
                Ok(()) => select(&mut input, &job, &ends, &account).await,
                Err(why) => Err(PassEnd::Failed(why)),
            };
            let end = match end {
                Ok(selection) => passes(&mut input, &job, &selection, &mut ends, &account).await,
                Err(end) => end,
            };
            let end = finish(&input, &ends, end).await;
            if !matches!(end, RunEnd::Suspended)
                && let Some(waits) = ends.archives.settle(input.record.kind == RunKind::Restore).await
            {
                input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), waits);
            }
            end
        }
        Err(why) => RunEnd::Finished(RunOutcome::Failed, Some(why)),
    };
    let mut record = account.record(&input.record, worked + began.elapsed());
    if !matches!(end, RunEnd::Suspended) {
        // a run that is over shows everything it counted; one that goes on continues from its checkpoint
        record.tally = input.progress.tally();
    }
    record.listing_done = input.progress.is_listing_done();
    record.failures = input.progress.failures();
    (record, end)
}

/// Reads and sorts the prefixes of the run. A run that is continued begins again when its list has become another: what is finished was
/// finished by the other list.
async fn select(input: &mut RunInput, job: &S3Job, ends: &Ends, account: &Account) -> Result<Selection, PassEnd> {
    let selection = tokio::select! {
        selection = Selection::open(job, &ends.sort, ends.list.as_ref()) => selection.map_err(PassEnd::Failed)?,
        () = told_to_stop(&mut input.stop) => return Err(PassEnd::Stopped),
    };
    if let Some(many) = selection.many() {
        let now = (input.record.run, many.digest());
        let before = input.store.prefixes(input.uid).map_err(|e| PassEnd::Failed(e.to_string()))?;
        if before.is_some_and(|before| before.0 == now.0 && before.1 != now.1) {
            let message = "the prefix list has changed since the run began: it begins again".to_owned();
            input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), message);
            account.restart();
        }
        input.store.put_prefixes(input.uid, now);
    }
    Ok(selection)
}

async fn passes(input: &mut RunInput, job: &S3Job, selection: &Selection, ends: &mut Ends, account: &Arc<Account>) -> PassEnd {
    loop {
        let end = pass(input, job, selection, ends, account).await;
        let PassEnd::Unordered(side) = end else { return end };
        if !ends.sort(side) {
            return PassEnd::Failed(format!("the {} listing is not in byte order even after sorting", side.word()));
        }
        let message = format!("the {} does not list in byte order: its listing is sorted on disk from now on", side.word());
        input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), message);
        ends.remember_order(&input.store, side);
        // all records must be readable before the pass asks which objects are done
        if let Err(error) = input.store.writer().applied().await {
            return PassEnd::Failed(error.to_string());
        }
        account.restart();
    }
}

async fn pass(input: &mut RunInput, job: &S3Job, selection: &Selection, ends: &Ends, account: &Arc<Account>) -> PassEnd {
    let began = Instant::now();
    let worked = input.record.worked;
    let stop_listing = CancellationToken::new();
    let (found, mut unordered) = mpsc::channel(1);
    let stop_work = CancellationToken::new();
    let work = Work::new(input, ends, account, found, stop_work.clone());
    let (mut feeding, mut working) = match begin(input, (job, selection), ends, account, work, stop_listing.clone()) {
        Ok(begun) => begun,
        Err(why) => return PassEnd::Failed(why),
    };
    let mut checkpoint = interval(CHECKPOINT);
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listed: Option<PassEnd> = None;
    let (mut fed, mut worked_off) = (false, false);
    let end = loop {
        if worked_off && let Some(end) = listed.take() {
            // the last worker may have said so and ended at once: what it left is not finished
            break unordered.try_recv().map_or(end, PassEnd::Unordered);
        }
        tokio::select! {
            _ = checkpoint.tick() => {
                let record = account.record(&input.record, worked + began.elapsed());
                input.store.put_run(input.uid, &record);
                if let Some(error) = input.store.writer().failure() {
                    break PassEnd::Failed(error.to_string());
                }
            }
            result = &mut feeding, if !fed => {
                fed = true;
                let end = result.unwrap_or_else(|e| PassEnd::Failed(format!("the listing ended in a defect: {e}")));
                match end {
                    PassEnd::Unordered(_) | PassEnd::Stopped => break end,
                    // what was listed before is still copied
                    PassEnd::Complete | PassEnd::Failed(_) => listed = Some(end),
                }
            }
            // the queue is closed and empty: the listing has ended, or is about to
            result = &mut working, if !worked_off => match result {
                Ok(()) => worked_off = true,
                Err(defect) => break PassEnd::Failed(format!("copying ended in a defect: {defect}")),
            },
            side = found_out_of_order(&mut unordered) => break PassEnd::Unordered(side),
            () = told_to_stop(&mut input.stop) => break PassEnd::Stopped,
        }
    };
    if !fed {
        stop_listing.cancel();
        // until nobody enters anything more
        if let Err(defect) = feeding.await {
            tracing::error!("the listing ended in a defect: {defect}");
        }
    }
    if !worked_off {
        stop_work.cancel();
        // until its objects are really at rest: nothing may be counted behind the checkpoint, nothing begun behind the end
        if let Err(defect) = working.await {
            tracing::error!("copying ended in a defect: {defect}");
        }
    }
    let record = account.record(&input.record, worked + began.elapsed());
    input.store.put_run(input.uid, &record);
    end
}

/// Begins to list, and to work on what is listed.
fn begin(
    input: &RunInput,
    (job, selection): (&S3Job, &Selection),
    ends: &Ends,
    account: &Arc<Account>,
    work: Work,
    stop: CancellationToken,
) -> Result<(JoinHandle<PassEnd>, JoinHandle<()>), String> {
    let limit = input.resources.config().limits.objects.max(1) as usize;
    if job.options.versions == Versions::Latest {
        let (queue, jobs) = mpsc::channel(QUEUE);
        return Ok((feed(input, (job, selection), ends, account, queue, stop)?, tokio::spawn(work.run(jobs, limit))));
    }
    let keys = match input.record.kind {
        RunKind::Retry { of, class } => Keys::Of(Which::Failed(of, class)),
        RunKind::Restore => Keys::Of(Which::Restoring),
        RunKind::Full | RunKind::Plan | RunKind::Verify => Keys::All,
    };
    let rules = rules(input, (job, selection), ends, account)?;
    let (queue, jobs) = mpsc::channel(QUEUE);
    let feed = VersionFeed::new(input.uid, keys, &input.store, ends, selection, rules, queue);
    Ok((tokio::spawn(feed.run(stop)), tokio::spawn(work.run_keys(jobs, limit))))
}

fn rules(input: &RunInput, (job, selection): (&S3Job, &Selection), ends: &Ends, account: &Arc<Account>) -> Result<Rules, String> {
    let since = input.record.started.unwrap_or_else(clock::now);
    Rules::new(input.uid, &input.store, account, job, selection, ends.rules, since)
}

/// Begins to list what remains: everything the task selects, the failed items of an earlier run, or what is being restored.
fn feed(
    input: &RunInput,
    (job, selection): (&S3Job, &Selection),
    ends: &Ends,
    account: &Arc<Account>,
    queue: mpsc::Sender<feed::Task>,
    stop: CancellationToken,
) -> Result<JoinHandle<PassEnd>, String> {
    let mut job = job.clone();
    if input.record.kind == RunKind::Verify && job.options.compare == Compare::Always {
        // what is always copied may be equal nevertheless
        job.options.compare = Compare::Auto;
    }
    let job = &job;
    let rules = rules(input, (job, selection), ends, account)?;
    let which = match input.record.kind {
        RunKind::Retry { of, class } => Some(Which::Failed(of, class)),
        RunKind::Restore => Some(Which::Restoring),
        RunKind::Full | RunKind::Plan | RunKind::Verify => None,
    };
    Ok(match (which, job.options.as_of) {
        (Some(which), as_of) => {
            let failures = Failures::new(input, (which, as_of), ends, rules, queue);
            tokio::spawn(failures.run(stop))
        }
        (None, Some(at)) => all(input, selection, ends, AsOf { bucket: ends.source.clone(), at }, rules, queue, stop),
        (None, None) => all(input, selection, ends, ends.source.clone(), rules, queue, stop),
    })
}

/// Begins to list everything the task selects.
fn all(
    input: &RunInput,
    selection: &Selection,
    ends: &Ends,
    listed: impl ListPages,
    rules: Rules,
    queue: mpsc::Sender<feed::Task>,
    stop: CancellationToken,
) -> JoinHandle<PassEnd> {
    let source = End { bucket: Arc::new(listed), order: ends.source_order };
    let destination = End { bucket: Arc::new(ends.destination.clone()), order: ends.destination_order };
    let (left, right) = (ends.source.clone(), ends.destination.clone());
    // a page of each end is asked for at a time; the end that takes fewer decides
    let slots = Box::new(move || left.at_a_time(Kind::List).min(right.at_a_time(Kind::List)));
    let sort = ends.sort.clone();
    let run = (input.uid, input.record.run);
    let feed = Feed::new(run, &input.store, (source, destination), (selection, rules), sort, queue, slots);
    tokio::spawn(feed.run(stop))
}

/// Resolves when a worker found a key that the destination's listing lacked.
async fn found_out_of_order(unordered: &mut mpsc::Receiver<Side>) -> Side {
    match unordered.recv().await {
        Some(side) => side,
        // the workers are done, and none of them found one
        None => std::future::pending().await,
    }
}

/// Resolves when the run is told anything but to go on; a supervisor that is gone is as good as told.
async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::Go).await;
}

/// From the end of the last pass to the end of the run. Uploads that no run will continue are aborted.
async fn finish(input: &RunInput, ends: &Ends, end: PassEnd) -> RunEnd {
    let stop = *input.stop.borrow();
    let finished = match end {
        PassEnd::Stopped if stop == Stop::Suspend => return RunEnd::Suspended,
        PassEnd::Stopped => RunEnd::Finished(RunOutcome::Cancelled, None),
        PassEnd::Failed(why) => RunEnd::Finished(RunOutcome::Failed, Some(why)),
        PassEnd::Unordered(side) => RunEnd::Finished(RunOutcome::Failed, Some(format!("the {} is out of order", side.word()))),
        PassEnd::Complete => RunEnd::Finished(input.record.kind.outcome(&input.progress.counters()), None),
    };
    if matches!(finished, RunEnd::Finished(RunOutcome::Failed, _)) || !input.record.kind.writes() {
        // what could not run may run again: the next run goes on with the parts that are there
        return finished;
    }
    if let Err(error) = ends.abort_uploads().await {
        let message = format!("multipart uploads may be left behind: {error}");
        input.events.push(Level::Warn, Some((&input.name, Some(input.record.run))), message);
    }
    finished
}
