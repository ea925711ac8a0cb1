//! One pass of a run over what its task selects: what lists, what works and what brings events, kept going and ended together.

use std::{convert::Infallible, time::Duration};

use dth_proto::view::RunOutcome;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Stop,
    checkpoint::Checkpoint,
    run::{RunEnd, RunInput},
    told_to_finish, told_to_stop,
};
use crate::events::consumer::Consuming;

/// How often the checkpoint is stored.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// How a pass ended. `X`: how else it can end with one engine only.
#[derive(Debug)]
pub enum PassEnd<X = Infallible> {
    /// Everything listed is finished.
    Complete,
    /// It cannot go on.
    Failed(String),
    /// It was told to stop.
    Stopped,
    /// See the type.
    Other(X),
}

impl<X> PassEnd<X> {
    /// How the run ends of which this was the last pass.
    pub fn of_run(self, input: &RunInput, other: impl FnOnce(X) -> RunEnd) -> RunEnd {
        match self {
            Self::Complete => RunEnd::Finished(input.record.kind.outcome(&input.progress.counters()), None),
            Self::Failed(why) => RunEnd::Finished(RunOutcome::Failed, Some(why)),
            Self::Stopped if *input.stop.borrow() == Stop::Suspend => RunEnd::Suspended,
            Self::Stopped => RunEnd::Finished(RunOutcome::Cancelled, None),
            Self::Other(end) => other(end),
        }
    }
}

/// A pass that has begun.
pub struct Pass<X> {
    /// Lists, and hands over what is to be worked on.
    pub listing: JoinHandle<PassEnd<X>>,
    /// Works, until the listing has ended and nothing is left.
    pub working: JoinHandle<()>,
    /// Applies the task's events, if it has some.
    pub consuming: Option<Consuming>,
    /// Whoever works says here what ends the pass at once.
    pub found: mpsc::Receiver<X>,
    /// Ends the listing.
    pub stop_listing: CancellationToken,
    /// Ends the work.
    pub stop_working: CancellationToken,
}

impl<X> Pass<X> {
    /// Keeps it going until it ends, or the run is told to stop. When this returns, nothing of it is going any more, and the checkpoint is
    /// written.
    pub async fn run(self, input: &mut RunInput, books: &Checkpoint) -> PassEnd<X> {
        let Self { mut listing, mut working, mut consuming, mut found, stop_listing, stop_working } = self;
        let mut checkpoint = interval(CHECKPOINT);
        checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listed: Option<PassEnd<X>> = None;
        let (mut fed, mut worked_off) = (false, false);
        let end = loop {
            if worked_off && let Some(end) = listed.take() {
                // the last worker may have said so and ended at once: what it left is not finished
                break found.try_recv().map_or(end, PassEnd::Other);
            }
            tokio::select! {
                _ = checkpoint.tick() => {
                    books.put();
                    if let Some(error) = input.store.writer().failure() {
                        break PassEnd::Failed(error.to_string());
                    }
                }
                result = &mut listing, if !fed => {
                    fed = true;
                    let end = result.unwrap_or_else(|e| PassEnd::Failed(format!("the listing ended in a defect: {e}")));
                    match end {
                        PassEnd::Other(_) | PassEnd::Stopped => break end,
                        // what was listed before is still worked on
                        PassEnd::Complete | PassEnd::Failed(_) => listed = Some(end),
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
                other = next(&mut found) => break PassEnd::Other(other),
                () = told_to_stop(&mut input.stop) => break PassEnd::Stopped,
            }
        };
        if let Some(consuming) = &consuming {
            consuming.finish();
        }
        if !fed {
            stop_listing.cancel();
            // until nobody enters anything more
            if let Err(defect) = listing.await {
                tracing::error!("the listing ended in a defect: {defect}");
            }
        }
        if !worked_off {
            stop_working.cancel();
            // until its items are really at rest: nothing may be counted behind the checkpoint, nothing begun behind the end
            if let Err(defect) = working.await {
                tracing::error!("copying ended in a defect: {defect}");
            }
        }
        // last: what became of what it told of is known now
        if let Some(consuming) = consuming {
            consuming.stop().await;
        }
        books.put();
        end
    }
}

/// Never resolves when whoever could say something is gone.
async fn next<X>(found: &mut mpsc::Receiver<X>) -> X {
    match found.recv().await {
        Some(found) => found,
        None => std::future::pending().await,
    }
}

/// In place of a listing, where there is nothing to list: lasts until the run is told to finish. Those who work would take a closed queue
/// for the end of the events.
pub async fn until_told<T, X>(_open: mpsc::Sender<T>, mut told: watch::Receiver<Stop>, stop: CancellationToken) -> PassEnd<X> {
    tokio::select! {
        () = stop.cancelled() => PassEnd::Stopped,
        () = told_to_finish(&mut told) => PassEnd::Complete,
    }
}
