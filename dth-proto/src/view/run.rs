//! One execution of a task: what it is for, how it ended, and its figures.

use serde::{Deserialize, Serialize};

use crate::{id::TaskName, time::Timestamp};

/// What a run does with what the task selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunKind {
    /// Compares everything and copies what differs.
    #[default]
    Copy,
    /// Copies the failed items of an earlier run.
    Retry,
    /// Compares everything and tells what a copy would do: a dry run.
    Plan,
    /// Compares everything; a difference makes it `incomplete`.
    Verify,
    /// Copies what events name.
    Events,
    /// Copies what has come out of an archive since an earlier run asked for it.
    Restore,
    /// A kind of a newer daemon.
    #[serde(other)]
    Unknown,
}

impl RunKind {
    /// The word on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Retry => "retry",
            Self::Plan => "plan",
            Self::Verify => "verify",
            Self::Events => "events",
            Self::Restore => "restore",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it may change anything at the destination.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Plan | Self::Verify)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Everything listed is accounted for and nothing failed.
    Succeeded,
    /// Some items failed; the rest is done.
    Incomplete,
    /// It could not run: nothing is known about the items not reached.
    Failed,
    /// A person stopped it.
    Cancelled,
}

impl RunOutcome {
    /// The word on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Items and bytes of a run. At every moment `listed = same + copied + skipped + failed + planned + pending`; `deleted` and `to_delete`
/// count items that exist only at the destination and are outside that sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Items found at the source.
    pub listed: u64,
    /// Already at the destination.
    pub same: u64,
    /// Copied and verified.
    pub copied: u64,
    /// Left out by a named rule.
    pub skipped: u64,
    /// Removed from the destination.
    pub deleted: u64,
    /// Given up after retries.
    pub failed: u64,
    /// Would be copied: only in runs of the kinds `plan` and `verify`.
    #[serde(default)]
    pub planned: u64,
    /// Would be removed from the destination: likewise.
    #[serde(default)]
    pub to_delete: u64,
    /// Listed and not yet decided or finished.
    pub pending: u64,
    /// Size of all items listed.
    pub bytes_listed: u64,
    /// Size of all items that are no longer pending; while a run is going, also what the destination has of the others.
    pub bytes_done: u64,
    /// Size of the items copied.
    pub bytes_copied: u64,
    /// Bytes that would be sent for the planned items; of images after deduplication: a blob that several need counts once.
    #[serde(default)]
    pub bytes_planned: u64,
    /// Requests sent to both ends, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

impl Counters {
    /// Whether the accounting identity holds.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.listed == self.same + self.copied + self.skipped + self.failed + self.planned + self.pending
    }
}

/// One execution of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The task.
    pub task: TaskName,
    /// Counts up from 1 within the task.
    pub run: u32,
    /// What it does.
    #[serde(default)]
    pub kind: RunKind,
    /// `None` while it is queued, going or paused.
    pub outcome: Option<RunOutcome>,
    /// `None` while it is queued.
    pub started: Option<Timestamp>,
    /// `None` while it is going.
    pub ended: Option<Timestamp>,
    /// Time at work: without pauses and without the time the daemon was down.
    pub duration_s: f64,
    /// Items and bytes.
    #[serde(flatten)]
    pub counters: Counters,
    /// Mean over `duration_s`.
    pub bytes_per_s: u64,
    /// The listing of the source is complete, so `listed` is final.
    pub listing_done: bool,
    /// What queued it: `manual by mli`, `cron`, `retry of run 3`.
    #[serde(default)]
    pub cause: String,
    /// Why the outcome is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
