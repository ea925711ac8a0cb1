//! Live state by long poll.
//!
//! The server keeps nothing per client. A client says which (epoch, sequence) it has; the answer is everything that
//! changed since, merged, or a full snapshot when the epoch is another or the sequence too old. Applying the answers to a
//! [`Mirror`] in order always gives the state of the daemon at the time of the last answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Epoch, TaskName},
    view::{Problem, Summary, TaskDetail, TaskView},
};

/// "What changed since (epoch, seq)?"
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WatchRequest {
    /// What the client has; `None` asks for a snapshot.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// See `epoch`.
    pub seq: u64,
    /// Do not answer sooner than this after the request came, unless it asks for a snapshot; merges differences.
    pub min_interval_ms: u32,
    /// Answer with an empty difference after this long (at most 60,000).
    pub max_wait_ms: u32,
    /// Send the detail of this task as well.
    #[serde(default)]
    pub focus: Option<TaskName>,
}

/// "This changed."
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchReply {
    /// The daemon's epoch.
    pub epoch: Epoch,
    /// What the client has after applying this.
    pub seq: u64,
    /// Forget everything first.
    pub full: bool,
    /// Totals and verdict, when they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Problems, when they changed; most severe first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Problem>>,
    /// Tasks that are new or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<TaskView>,
    /// Tasks that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<TaskName>,
    /// The detail asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<Box<TaskDetail>>,
    /// Number of the newest event.
    pub events_head: u64,
    /// How long the daemon held the request: round trip = elapsed - held.
    pub held_ms: u32,
}

/// A client's copy of the daemon's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mirror {
    /// What we have; see [`WatchRequest`].
    pub epoch: Option<Epoch>,
    /// See `epoch`.
    pub seq: u64,
    /// Totals and verdict.
    pub summary: Summary,
    /// Most severe first.
    pub problems: Vec<Problem>,
    /// By name.
    pub tasks: BTreeMap<TaskName, TaskView>,
    /// Number of the newest event.
    pub events_head: u64,
}

impl Mirror {
    /// Applies an answer; says whether anything that can be seen changed.
    pub fn apply(&mut self, reply: &WatchReply) -> bool {
        let mut changed = reply.full;
        if reply.full {
            self.tasks.clear();
            self.problems.clear();
            self.summary = Summary::default();
        }
        if let Some(summary) = &reply.summary {
            changed |= self.summary != *summary;
            self.summary = summary.clone();
        }
        if let Some(problems) = &reply.problems {
            changed |= self.problems != *problems;
            self.problems.clone_from(problems);
        }
        for name in &reply.removed {
            changed |= self.tasks.remove(name).is_some();
        }
        for task in &reply.changed {
            changed |= self.tasks.insert(task.name.clone(), task.clone()).as_ref() != Some(task);
        }
        changed |= self.events_head != reply.events_head;
        self.events_head = reply.events_head;
        self.epoch = Some(reply.epoch.clone());
        self.seq = reply.seq;
        changed
    }
}
