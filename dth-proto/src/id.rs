//! Names and identifiers that cross the wire.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Unique name of a task: `[A-Za-z0-9._-]`, 1 to 64 characters, not starting with `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

/// Why a text is not a [`TaskName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a task name: use 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter, a digit or _")]
pub struct BadTaskName(String);

impl TaskName {
    /// Longest name, in characters.
    pub const MAX: usize = 64;

    /// Checks the rule above.
    ///
    /// # Errors
    /// [`BadTaskName`] with the text and the rule.
    pub fn new(text: impl Into<String>) -> Result<Self, BadTaskName> {
        let text = text.into();
        let fits = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !text.starts_with(['.', '-']);
        if fits { Ok(Self(text)) } else { Err(BadTaskName(text)) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskName {
    type Error = BadTaskName;
    fn try_from(text: String) -> Result<Self, BadTaskName> {
        Self::new(text)
    }
}

impl FromStr for TaskName {
    type Err = BadTaskName;
    fn from_str(text: &str) -> Result<Self, BadTaskName> {
        Self::new(text)
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Made by the client for each mutation, so that a retry after a lost answer is harmless: the daemon answers a repeated
/// id with the first answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

impl RequestId {
    /// A fresh random id (128 bits, hex).
    #[must_use]
    pub fn random() -> Self {
        Self(random_hex())
    }
}

/// One start of the daemon. Sequence numbers of [`crate::watch`] and [`crate::event`] only compare within one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub String);

impl Epoch {
    /// A fresh random epoch (128 bits, hex).
    #[must_use]
    pub fn random() -> Self {
        Self(random_hex())
    }
}

fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_follow_the_rule() {
        for good in ["a", "photos-cn-to-global", "logs-2019..2024", "A_1.b", &"x".repeat(64)] {
            assert!(TaskName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", "-x", ".x", "a\n", &"x".repeat(65)] {
            assert!(TaskName::new(bad).is_err(), "{bad:?}");
        }
    }
}
