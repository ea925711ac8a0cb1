//! One run of an image task: list, compare by digest, copy; count, record, checkpoint.
//!
//! ```text
//!          ┌ repository: list both ends, compare ┐
//! feed ────┤ repository                          ├──> queue (bounded) ──> work (images side by side) ──> account ──> store
//!          └ repository …                        ┘
//! ```
//!
//! Repositories are looked at side by side and entered into the books in the order of their images' keys. A run that is continued looks
//! again at what remains by its checkpoint; what it had already copied of that is recognised by its records and its digests.

mod ends;
mod events;
mod explain;
mod feed;
mod look;
mod work;

use std::{sync::Arc, time::Duration};

use dth_proto::{event::Level, spec::ImageJob, view::RunOutcome};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::explain::explain;
use self::{ends::Ends, feed::Feed, work::Work};
use crate::{
    events::consumer::Consuming,
    store::{RunKind, RunRecord, Store, blob::BlobUploads},
    transfer::{
        Stop,
        account::Account,
        checkpoint::Checkpoint,
        run::{RunEnd, RunInput},
        told_to_finish, told_to_stop,
    },
};

/// Compared images that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 400 bytes each.
const QUEUE: usize = 10_000;
/// The same for images that events tell of.
const URGENT: usize = 64;
/// How often the checkpoint is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// How the pass over the listing ended.
enum PassEnd {
    /// Everything listed is finished.
    Complete,
    /// It cannot go on.
    Failed(String),
    /// It was told to stop.
    Stopped,
}

/// Works until everything is done or `stop` says otherwise; gives back the record with its last checkpoint.
pub async fn run(mut input: RunInput, job: ImageJob) -> (RunRecord, RunEnd) {
    let began = Instant::now();
    let worked = input.record.worked;
    let (remaining, tally) = (input.record.remaining.as_deref(), input.record.tally.clone());
    let account = Account::resume(&input.store, (input.uid, input.record.run), remaining, tally, &input.progress);
    if !input.record.kind.writes() && input.record.remaining.is_some() {
        // which blobs are counted already is known to the process that counted them
        account.restart();
    }
    let stop = CancellationToken::new();
    let mut told = input.stop.clone();
    let opened = tokio::select! {
        opened = Ends::open(&input, &job, &account, &stop) => Some(opened),
        () = told_to_stop(&mut told) => None,
    };
    let end = match opened {
        Some(Ok(ends)) => pass(&mut input, &job, ends, &account, stop).await,
        Some(Err(why)) => PassEnd::Failed(why),
        None => PassEnd::Stopped,
    };
    let end = finish(&input, end).await;
    let mut record = account.record(&input.record, worked + began.elapsed());
    if !matches!(end, RunEnd::Suspended) {
        // a run that is over shows everything it counted; one that goes on continues from its checkpoint
        record.tally = input.progress.tally();
    }
    record.listing_done = input.progress.is_listing_done();
    record.failures = input.progress.failures();
    (record, end)
}

async fn pass(input: &mut RunInput, job: &ImageJob, ends: Ends, account: &Arc<Account>, stop: CancellationToken) -> PassEnd {
    let books = Checkpoint::new(input, account);
    let (queue, tasks) = mpsc::channel(QUEUE);
    let limit = input.resources.config().limits.objects.max(1) as usize;
    let Ends { look, copier } = ends;
    let look = Arc::new(look);
    let (urgent, urgent_tasks) = mpsc::channel(URGENT);
    let mut consuming = match events::consumer(input, job, (&look, account), urgent, &books).await {
        Ok(consumer) => consumer.map(Consuming::begin),
        Err(why) => return PassEnd::Failed(why),
    };
    let newest = consuming.is_some().then(Arc::default);
    let work = Work::new(input, copier, (account, &books), stop.clone(), newest);
    let mut feeding = match input.record.kind {
        RunKind::Events => tokio::spawn(until_told(queue, Arc::clone(account), input.stop.clone(), stop.clone())),
        _ => tokio::spawn(Feed::new(input, look, account, queue).run(stop.clone())),
    };
    let mut working = tokio::spawn(work.run(tasks, urgent_tasks, limit));
    let mut checkpoint = interval(CHECKPOINT);
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listed: Option<PassEnd> = None;
    let (mut fed, mut worked_off) = (false, false);
    let end = loop {
        if worked_off && let Some(end) = listed.take() {
            break end;
        }
        tokio::select! {
            _ = checkpoint.tick() => {
                books.put();
                if let Some(error) = input.store.writer().failure() {
                    break PassEnd::Failed(error.to_string());
                }
            }
            result = &mut feeding, if !fed => {
                fed = true;
                match result.unwrap_or_else(|e| PassEnd::Failed(format!("the listing ended in a defect: {e}"))) {
                    PassEnd::Stopped => break PassEnd::Stopped,
                    // what was listed before is still copied
                    end => listed = Some(end),
                }
                // what events told of by now is brought to its end as well
                if let Some(consuming) = &consuming {
                    consuming.finish();
                }
            }
            // the queue is closed and empty: the listing has ended, or is about to
            result = &mut working, if !worked_off => match result {
                Ok(()) => worked_off = true,
                Err(defect) => break PassEnd::Failed(format!("copying ended in a defect: {defect}")),
            },
            Err(why) = Consuming::ended(&mut consuming) => break PassEnd::Failed(why),
            () = told_to_stop(&mut input.stop) => break PassEnd::Stopped,
        }
    };
    if let Some(consuming) = &consuming {
        consuming.finish();
    }
    stop.cancel();
    if !fed && let Err(defect) = feeding.await {
        tracing::error!("the listing ended in a defect: {defect}");
    }
    // until its images are really at rest: nothing may be counted behind the checkpoint, nothing begun behind the end
    if !worked_off && let Err(defect) = working.await {
        tracing::error!("copying ended in a defect: {defect}");
    }
    // last: what became of what it told of is known now
    if let Some(consuming) = consuming {
        consuming.stop().await;
    }
    books.put();
    end
}

/// There is nothing to list: it lasts until the next full compare. The workers would take a closed queue for the end of the events.
async fn until_told(
    _open: mpsc::Sender<feed::Task>,
    account: Arc<Account>,
    mut told: watch::Receiver<Stop>,
    stop: CancellationToken,
) -> PassEnd {
    account.listing_done();
    tokio::select! {
        () = stop.cancelled() => PassEnd::Stopped,
        () = told_to_finish(&mut told) => PassEnd::Complete,
    }
}

/// From the end of the pass to the end of the run. Uploads that no run will continue are forgotten.
async fn finish(input: &RunInput, end: PassEnd) -> RunEnd {
    let stop = *input.stop.borrow();
    let finished = match end {
        PassEnd::Stopped if stop == Stop::Suspend => return RunEnd::Suspended,
        PassEnd::Stopped => RunEnd::Finished(RunOutcome::Cancelled, None),
        // what could not run may run again: the next run goes on with the uploads that are there
        PassEnd::Failed(why) => return RunEnd::Finished(RunOutcome::Failed, Some(why)),
        PassEnd::Complete => RunEnd::Finished(input.record.kind.outcome(&input.progress.counters()), None),
    };
    if !input.record.kind.writes() {
        return finished;
    }
    if let Err(why) = forget_uploads(&input.store, input.uid).await {
        input.events.push(Level::Warn, Some((&input.name, Some(input.record.run))), why);
    }
    finished
}

/// Forgets the uploads that nobody will go on with; registries forget them by themselves.
///
/// # Errors
/// When the state cannot be written.
pub async fn forget_uploads(store: &Store, uid: u64) -> Result<(), String> {
    BlobUploads::of(store, uid).clear().await.map_err(|e| e.to_string())
}
