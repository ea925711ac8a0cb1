//! What runs are for.

use serde::{Deserialize, Serialize};

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
