//! Preflight: what the daemon found when it tried both ends of a task.

use serde::{Deserialize, Serialize};

use crate::failure::Side;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// The task cannot work like this.
    Failed,
    /// Not finished.
    Running,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// Which end.
    pub side: Side,
    /// What was tried (`credential`, `reach`, `list`, `read`, `write`).
    pub name: String,
    /// How it ended.
    pub state: CheckState,
    /// What was found, in one sentence.
    pub message: String,
    /// The way out, when it failed and the way is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Where a preflight stands; asked for again and again until `done`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReply {
    /// Steps so far, in the order in which they were begun.
    pub steps: Vec<CheckStep>,
    /// All steps have ended.
    pub done: bool,
}

impl CheckReply {
    /// Finished, and no step failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.done && self.steps.iter().all(|s| matches!(s.state, CheckState::Ok | CheckState::Warn))
    }
}
