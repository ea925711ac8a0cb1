//! The records of a run: what became of each item.

use serde::{Deserialize, Serialize};

use crate::{
    failure::{FailureClass, Side},
    time::Timestamp,
};

/// Asks for the records of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ItemsRequest {
    /// `None`: the last run.
    #[serde(default)]
    pub run: Option<u32>,
    /// `copied`, `skipped`, `deleted`, `failed` or `planned`; `None`: all. (Items found `same` leave no record.)
    #[serde(default)]
    pub outcome: Option<String>,
    /// Only keys, or names of images, that begin with this.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Continue after this key.
    #[serde(default)]
    pub after: Option<String>,
    /// At most this many (500 is the daemon's own limit).
    pub limit: u32,
}

/// The record of one item acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    /// Source key, or name of the image: `repository:tag`, `repository@digest`.
    pub key: String,
    /// Bytes; of an image the sum over its blobs.
    pub size: u64,
    /// `copied`, `skipped`, `deleted`, `failed`, `planned`.
    pub outcome: String,
    /// When.
    pub at: Timestamp,
    /// Tries, 1 when it worked at once.
    pub tries: u32,
    /// Skipped by which rule, or copied (or to be copied) for which reason (`missing`, `size`, `etag`, `newer`, `always`, `digest`); of what
    /// is to be deleted `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How a copy was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
    /// ETag at the source, of the generation that was read; of an image its digest there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_etag: Option<String>,
    /// ETag that the destination answered; of an image its digest there, another one where an index was written anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_etag: Option<String>,
    /// Only for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// Only for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Only for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One page of records, in key order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemsReply {
    /// The run they belong to.
    pub run: u32,
    /// The records.
    pub items: Vec<ItemView>,
    /// Pass this as the next `after`; `None` at the end.
    pub next: Option<String>,
}
