//! All tasks together, and what is wrong.

use serde::{Deserialize, Serialize};

use super::{Counters, TaskView, task::ITEMS};
use crate::{id::TaskName, time::Timestamp};

/// What the items of several tasks are called: as all of the tasks call them, else `items`.
#[must_use]
pub fn items_of<'t>(tasks: impl IntoIterator<Item = &'t TaskView>) -> &'static str {
    let mut words = tasks.into_iter().map(TaskView::items);
    let Some(first) = words.next() else { return ITEMS };
    if words.all(|word| word == first) { first } else { ITEMS }
}

/// What the items that a [`Summary`] counts are called: those of the tasks whose run is going or paused.
#[must_use]
pub fn items_counted<'t>(tasks: impl IntoIterator<Item = &'t TaskView>) -> &'static str {
    items_of(tasks.into_iter().filter(|task| task.run.as_ref().is_some_and(|run| run.outcome.is_none())))
}

/// All tasks together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// No problems.
    pub ok: bool,
    /// The verdict in words, one line.
    pub verdict: String,
    /// Tasks by state.
    pub tasks: u64,
    /// See `tasks`.
    pub running: u64,
    /// Queued runs.
    pub queued: u64,
    /// Waiting for their trigger.
    pub waiting: u64,
    /// Paused by a person.
    pub paused: u64,
    /// Sums over the runs that are going or paused.
    #[serde(flatten)]
    pub counters: Counters,
    /// At least one of those runs is still listing: the totals are a floor.
    pub total_is_floor: bool,
    /// Sum of the rates now.
    pub rate: u64,
    /// Sum of the hour means.
    pub rate_hour: u64,
    /// Items (objects or images) per second now.
    pub objects_per_s: f64,
    /// The daemon's bandwidth limit.
    pub cap: Option<u64>,
    /// The longest ETA of a running task.
    pub eta_s: Option<u64>,
}

/// How bad a problem is; sorts most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data is not moving or state is in danger.
    Critical,
    /// Something was not done.
    Error,
    /// It will be trouble soon.
    Warning,
}

/// Something the operator must know now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// What and why, one line.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
    /// The task concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
}
