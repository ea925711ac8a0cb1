//! What the daemon found out about a store by trying it.

use serde::{Deserialize, Serialize};

/// Whether a store does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It does.
    Yes,
    /// It does not, or not as Amazon S3 does.
    No,
    /// It could not be found out: a right is missing, the store did not answer, or what it builds upon does not work.
    Unknown,
}

impl Finding {
    /// The word on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "?",
        }
    }
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What was tried, in a few words; the same words for every store.
    pub name: String,
    /// Whether the store does it.
    pub works: Finding,
    /// What it answered, in one sentence; for what works only where there is more to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// Where an examination stands; asked for again and again until `done`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReply {
    /// What was tried so far, in order.
    pub probes: Vec<Probe>,
    /// Everything was tried, and removed again.
    pub done: bool,
    /// Why the store could not be examined (further).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The profile that follows, in the form of providers.toml, when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where it differs from the profile that it began with: key, there, found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<(String, String, String)>,
    /// What could not be removed, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Requests that were sent.
    pub requests: u64,
}
