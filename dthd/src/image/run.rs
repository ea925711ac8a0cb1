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
    store::{RunRecord, Store, blob::BlobUploads},
    transfer::{
        Stop,
        account::Account,
        run::{RunEnd, RunInput},
    },
};

/// Compared images that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 400 bytes each.
const QUEUE: usize = 10_000;
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
        Some(Ok(ends)) => pass(&mut input, ends, &account, stop).await,
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

async fn pass(input: &mut RunInput, ends: Ends, account: &Arc<Account>, stop: CancellationToken) -> PassEnd {
    let began = Instant::now();
    let worked = input.record.worked;
    let (queue, tasks) = mpsc::channel(QUEUE);
    let limit = input.resources.config().limits.objects.max(1) as usize;
    let Ends { look, copier } = ends;
    let work = Work::new(input, copier, account, stop.clone());
    let mut feeding = tokio::spawn(Feed::new(input, look, account, queue).run(stop.clone()));
    let mut working = tokio::spawn(work.run(tasks, limit));
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
                let record = account.record(&input.record, worked + began.elapsed());
                input.store.put_run(input.uid, &record);
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
            }
            // the queue is closed and empty: the listing has ended, or is about to
            result = &mut working, if !worked_off => match result {
                Ok(()) => worked_off = true,
                Err(defect) => break PassEnd::Failed(format!("copying ended in a defect: {defect}")),
            },
            () = told_to_stop(&mut input.stop) => break PassEnd::Stopped,
        }
    };
    stop.cancel();
    if !fed && let Err(defect) = feeding.await {
        tracing::error!("the listing ended in a defect: {defect}");
    }
    // until its images are really at rest: nothing may be counted behind the checkpoint, nothing begun behind the end
    if !worked_off && let Err(defect) = working.await {
        tracing::error!("copying ended in a defect: {defect}");
    }
    let record = account.record(&input.record, worked + began.elapsed());
    input.store.put_run(input.uid, &record);
    end
}

/// Resolves when the run is told anything but to go on; a supervisor that is gone is as good as told.
async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::Go).await;
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
