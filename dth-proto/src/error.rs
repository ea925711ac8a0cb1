//! The one error type that crosses the wire.

use serde::{Deserialize, Serialize};

/// What kind of answer an error is; decides exit codes and what a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// No task, run or job of that name.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The request is wrong; `details` lists every problem.
    Invalid,
    /// The caller's role does not suffice.
    NotAllowed,
    /// Not possible in the task's present state.
    Conflict,
    /// The task deletes objects, and its name was not given once more.
    Unconfirmed,
    /// The daemon is stopping; connect again later.
    ShuttingDown,
    /// The daemon cannot do it now (disk full, limit reached).
    Unavailable,
    /// A defect or an I/O error in the daemon.
    Internal,
    /// A code of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// An answer that is not the one hoped for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind.
    pub code: ErrorCode,
    /// One sentence that names the thing.
    pub message: String,
    /// Every single problem, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The way out, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ApiError {
    /// An error without details or hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), hint: None }
    }

    /// The same error with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with every single problem.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}
