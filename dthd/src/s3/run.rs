//! One run of an S3 task: list, compare, copy, verify; count, record, checkpoint.
//!
//! ```text
//! feed (pairs in key order) ──> decide ──> queue (bounded) ──> work (copies side by side) ──> account ──> watermark ──> store
//! ```
//!
//! A run that is continued after a crash lists again from its checkpoint; what it had already copied behind it is recognised by
//! its records and neither copied nor counted twice. The same happens when a store turns out not to list in byte order: the pass
//! begins again with that side sorted on disk.

mod account;
mod ends;
mod feed;
mod work;

use std::{sync::Arc, time::Duration};

use dth_proto::{
    event::Level,
    failure::Side,
    id::TaskName,
    spec::{Job, S3Job, TaskSpec},
    view::RunOutcome,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::ends::abort_uploads;
use self::{account::Account, ends::Ends, feed::Feed, work::Work};
use crate::{
    event::EventLog,
    store::{RunRecord, Store, record::Tally},
    transfer::{Stop, progress::Progress, resources::Resources},
};

/// Decided objects that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 300 bytes
/// each.
const QUEUE: usize = 20_000;
/// How often the checkpoint is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// What a run needs.
pub struct RunInput {
    /// The task's uid.
    pub uid: u64,
    /// The task's name, for events.
    pub name: TaskName,
    /// The run, with its checkpoint.
    pub record: RunRecord,
    /// Records go here.
    pub store: Store,
    /// Events go here.
    pub events: EventLog,
    /// Configuration, memory, bandwidth.
    pub resources: Arc<Resources>,
    /// What clients watch.
    pub progress: Arc<Progress>,
    /// What the run is told.
    pub stop: watch::Receiver<Stop>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It is over; the reason when it failed or was cancelled.
    Finished(RunOutcome, Option<String>),
    /// It can be continued from its checkpoint.
    Suspended,
}

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
pub async fn run(mut input: RunInput) -> (RunRecord, RunEnd) {
    let began = Instant::now();
    let worked = input.record.worked;
    let Job::S3(job) = input.record.spec.job.clone();
    let account = Account::resume(&input);
    let end = match Ends::open(&input, &job).await {
        Ok(mut ends) => {
            let end = passes(&mut input, &job, &mut ends, &account).await;
            finish(&input, &ends, end).await
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

async fn passes(input: &mut RunInput, job: &S3Job, ends: &mut Ends, account: &Arc<Account>) -> PassEnd {
    loop {
        let end = pass(input, job, ends, account).await;
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
        account.restart(&input.store);
    }
}

async fn pass(input: &mut RunInput, job: &S3Job, ends: &Ends, account: &Arc<Account>) -> PassEnd {
    let began = Instant::now();
    let worked = input.record.worked;
    let (queue, jobs) = mpsc::channel(QUEUE);
    let feed = match Feed::open(input, job, ends, account, queue) {
        Ok(feed) => feed,
        Err(why) => return PassEnd::Failed(why),
    };
    let (found, mut unordered) = mpsc::channel(1);
    let stop_work = CancellationToken::new();
    let work = Work::new(input, ends, account, found, stop_work.clone());
    let limit = input.resources.config().limits.objects.max(1) as usize;
    let mut feeding = tokio::spawn(feed.run());
    let mut working = tokio::spawn(work.run(jobs, limit));
    let mut checkpoint = interval(CHECKPOINT);
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listed: Option<PassEnd> = None;
    let mut worked_off = false;
    let end = loop {
        if worked_off && let Some(end) = listed.take() {
            break end;
        }
        tokio::select! {
            _ = checkpoint.tick() => {
                let record = account.record(&input.record, worked + began.elapsed());
                input.store.put_run(input.uid, &record);
                if let Some(error) = input.store.writer().failure() {
                    break PassEnd::Failed(error.to_string());
                }
            }
            result = &mut feeding, if listed.is_none() => {
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
    feeding.abort();
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
        PassEnd::Complete => {
            let counters = input.progress.counters();
            let outcome = if counters.failed + counters.pending == 0 { RunOutcome::Succeeded } else { RunOutcome::Incomplete };
            RunEnd::Finished(outcome, None)
        }
    };
    if matches!(finished, RunEnd::Finished(RunOutcome::Failed, _)) {
        // what could not run may run again: the next run goes on with the parts that are there
        return finished;
    }
    if let Err(error) = ends.abort_uploads().await {
        let message = format!("multipart uploads may be left behind: {error}");
        input.events.push(Level::Warn, Some((&input.name, Some(input.record.run))), message);
    }
    finished
}

/// The job of a definition.
fn job(spec: &TaskSpec) -> &S3Job {
    let Job::S3(job) = &spec.job;
    job
}

/// Counts of an item with its listing, as the watermark keeps them.
fn with_listing(size: u64, outcome: &Tally) -> Tally {
    let mut tally = Tally::default();
    tally.list(size);
    tally.add(outcome);
    tally
}
