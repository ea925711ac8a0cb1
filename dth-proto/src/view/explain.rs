//! Why one object or image was copied or not.

use serde::{Deserialize, Serialize};

use super::ItemView;

/// What is known of one item, now and from the last run that touched it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Source key, or name of the image.
    pub key: String,
    /// Key or name at the destination; `None`: it cannot have one.
    pub destination: Option<String>,
    /// What the source has now.
    pub source_now: Found,
    /// What the destination has now.
    pub destination_now: Found,
    /// The rule of the selection that leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What an earlier copy left in the memory of the task: the generation at the source and what the destination made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<(String, String)>,
    /// The last run that has a record of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(u32, ItemView)>,
    /// What the next run would do and why, in a sentence.
    pub next: String,
}

impl Explanation {
    /// Of an item by its key or name, before anything is known of it.
    #[must_use]
    pub fn unasked(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            destination: None,
            source_now: Found::Unasked,
            destination_now: Found::Unasked,
            rule: None,
            recorded: None,
            last: None,
            next: String::new(),
        }
    }
}

/// One end, as it answers now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Found {
    /// It is there.
    There {
        /// Bytes; 0 of an image.
        size: u64,
        /// ETag or digest.
        etag: String,
    },
    /// It is not there.
    Missing,
    /// It could not be asked.
    Failed {
        /// Why.
        message: String,
    },
    /// It was not asked: there was no need.
    Unasked,
}
