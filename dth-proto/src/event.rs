//! What happened: structured records with a sequence number, the same that go to the daemon's log.

use serde::{Deserialize, Serialize};

use crate::{
    id::{Epoch, TaskName},
    time::Timestamp,
};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For a developer.
    Debug,
    /// Normal life.
    Info,
    /// Wants attention, goes on.
    Warn,
    /// Something was not done.
    Error,
}

impl Level {
    /// Fixed-width word, upper case where it wants attention.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up from 1 within an epoch.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The task concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// The run concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// One sentence.
    pub message: String,
}

/// Asks for events after `after`; waits up to `wait_ms` for the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventsRequest {
    /// The epoch `after` belongs to; with another one the daemon answers from its oldest event.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// Only events with a higher number.
    pub after: u64,
    /// Only this task.
    #[serde(default)]
    pub task: Option<TaskName>,
    /// Only this level and above.
    pub level: Level,
    /// At most this many (500 is the daemon's own limit); the newest ones when `after` is 0.
    pub limit: u32,
    /// 0: answer at once.
    pub wait_ms: u32,
}

/// Events in order, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventsReply {
    /// The daemon's epoch.
    pub epoch: Epoch,
    /// The events.
    pub events: Vec<Event>,
    /// Pass this as the next `after` (events of other tasks and levels are behind it as well).
    pub next: u64,
}
