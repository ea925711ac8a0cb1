//! What all engines share: accounting, retries, limits, progress, rates.
//!
//! | file | holds |
//! |---|---|
//! | [`run`], [`account`] | what a run needs and how it ends; its books |
//! | [`pass`], [`workers`] | a pass of it over what is listed; the work, many items at a time |
//! | [`progress`] | what a run has done so far, and which objects are on their way |
//! | [`tally`] | what outcomes count as |
//! | [`watermark`] | how far it is done without a gap: the checkpoint |
//! | [`checkpoint`] | writes that |
//! | [`turns`], [`ticket`] | one at a time by name; who wants to know what became of an item |
//! | [`error`], [`retry`] | why a request failed; whether and when to send it again |
//! | [`window`] | requests in flight, by endpoint |
//! | [`budget`], [`bandwidth`] | bytes of memory, bytes per second |
//! | [`fair`] | the queue in front of these three: tasks take turns |
//! | [`glob`] | globs over names with segments |
//! | [`estimate`] | requests that a copy would take |
//! | [`rate`] | how fast, how long still, stalled |
//! | [`resources`] | what all runs share |

pub mod account;
pub mod bandwidth;
pub mod budget;
pub mod checkpoint;
pub mod error;
pub mod estimate;
pub mod fair;
pub mod glob;
pub mod pass;
pub mod progress;
pub mod rate;
pub mod resources;
pub mod retry;
pub mod run;
pub mod tally;
pub mod ticket;
pub mod turns;
pub mod watermark;
pub mod window;
pub mod workers;

use tokio::sync::watch;

pub use self::error::TransferError;

/// What a run is told; what is said later counts only if it is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Go on.
    Go,
    /// Begin nothing new, bring what was begun to its end (a run of events: until its full compare).
    Finish,
    /// Keep the checkpoint and the uploads, end soon: a person paused it, or the daemon stops.
    Suspend,
    /// Abort the uploads and end.
    Cancel,
}

/// Resolves when a run is told to end or to pause, whatever it is doing; a supervisor that is gone is as good as told.
pub async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| matches!(stop, Stop::Suspend | Stop::Cancel)).await;
}

/// Resolves when a run is told to begin nothing new.
pub async fn told_to_finish(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop == Stop::Finish).await;
}
