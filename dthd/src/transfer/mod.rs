//! What all engines share: accounting, retries, limits, progress, rates.
//!
//! | file | holds |
//! |---|---|
//! | [`run`], [`account`] | what a run needs and how it ends; its books |
//! | [`progress`] | what a run has done so far, and which objects are on their way |
//! | [`watermark`] | how far it is done without a gap: the checkpoint |
//! | [`error`], [`retry`] | why a request failed; whether and when to send it again |
//! | [`window`] | requests in flight, by endpoint |
//! | [`budget`], [`bandwidth`] | bytes of memory, bytes per second |
//! | [`fair`] | the queue in front of these three: tasks take turns |
//! | [`glob`] | globs over names with segments |
//! | [`rate`] | how fast, how long still, stalled |
//! | [`resources`] | what all runs share |

pub mod account;
pub mod bandwidth;
pub mod budget;
pub mod error;
pub mod estimate;
pub mod fair;
pub mod glob;
pub mod progress;
pub mod rate;
pub mod resources;
pub mod retry;
pub mod run;
pub mod watermark;
pub mod window;

pub use self::error::TransferError;

/// What a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    Go,
    /// Keep the checkpoint and the uploads, end soon: a person paused it, or the daemon stops.
    Suspend,
    /// Abort the uploads and end.
    Cancel,
}
