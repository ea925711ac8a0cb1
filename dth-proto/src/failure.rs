//! Failed items, and the groups a person can act on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Why an item failed, as far as it decides what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FailureClass {
    /// 503 SlowDown, 429, or the like, for longer than the retries lasted.
    Throttled,
    /// Connection trouble, 500, timeouts, truncated bodies.
    Transient,
    /// 401, 403, expired or wrong credentials.
    Auth,
    /// The source changed under the copy, again and again.
    Changed,
    /// Trying again cannot help: no such bucket, key too long, entity too large.
    Permanent,
    /// A class of a newer daemon.
    #[serde(other)]
    Unknown,
}

impl FailureClass {
    /// All classes a user can name.
    pub const ALL: [Self; 5] = [Self::Throttled, Self::Transient, Self::Auth, Self::Changed, Self::Permanent];

    /// The word on screens, in reports and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Auth => "auth",
            Self::Changed => "changed",
            Self::Permanent => "permanent",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for FailureClass {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|c| c.word() == text)
            .ok_or_else(|| format!("{text:?} is not a failure class: use throttled, transient, auth, changed or permanent"))
    }
}

/// Which end answered with the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where items come from.
    Source,
    /// Where items go.
    Destination,
}

impl Side {
    /// The word on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// One failed item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureItem {
    /// The source key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Why.
    pub class: FailureClass,
    /// The store's own code (`AccessDenied`), or ours in the same style.
    pub code: String,
    /// Which end.
    pub side: Side,
    /// The request that failed (`GetObject`, `UploadPart`, ...).
    pub operation: String,
    /// The store's message or ours.
    pub message: String,
    /// The store's request id, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// When it was given up.
    pub at: Timestamp,
}

/// Failed items with the same class, code, side and operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// Why.
    pub class: FailureClass,
    /// The store's code.
    pub code: String,
    /// Which end.
    pub side: Side,
    /// The request that failed.
    pub operation: String,
    /// How many items.
    pub count: u64,
    /// First and last time it happened.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// Longest key prefix all of them share.
    pub prefix: String,
    /// An example message.
    pub message: String,
    /// What is likely wrong and what to try, worded as likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Asks for the failures of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailuresRequest {
    /// `None`: the last run.
    #[serde(default)]
    pub run: Option<u32>,
    /// Only this class.
    #[serde(default)]
    pub class: Option<FailureClass>,
    /// Continue after this key (paging).
    #[serde(default)]
    pub after: Option<String>,
    /// At most this many items (500 is the daemon's own limit).
    pub limit: u32,
}

/// One page of failures; the groups always cover the whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailuresReply {
    /// The run they belong to.
    pub run: u32,
    /// By count, largest first.
    pub groups: Vec<FailureGroup>,
    /// In key order.
    pub items: Vec<FailureItem>,
    /// Pass this as the next `after`; `None` at the end.
    pub next: Option<String>,
}
