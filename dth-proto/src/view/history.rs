//! Rates over time.

use serde::{Deserialize, Serialize};

use crate::{id::TaskName, time::Timestamp};

/// Asks for rates over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryRequest {
    /// One task's current or last run; `None`: all tasks.
    #[serde(default)]
    pub task: Option<TaskName>,
    /// How far back, in seconds.
    pub range_s: u32,
    /// How many points, at most 500; each is the mean of its slot.
    pub points: u32,
}

/// Rates over time, oldest first. A slot without data is `None`: a gap, not zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// End of the last slot.
    pub until: Timestamp,
    /// Length of a slot.
    pub slot_s: f64,
    /// Bytes per second.
    pub bytes: Vec<Option<u64>>,
    /// Items per second.
    pub objects: Vec<Option<f64>>,
    /// Failed items per second.
    pub failed: Vec<Option<f64>>,
}
