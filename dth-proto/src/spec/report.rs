//! Where the reports of a task's runs go.

use serde::{Deserialize, Serialize};

use super::{Store, is_default};
use crate::{id::TaskName, report::Format};

/// A bucket for reports. Each run that is over, and was not cancelled, leaves one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPlace {
    /// The bucket.
    #[serde(flatten)]
    pub store: Store,
    /// Put before the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The form.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
}

impl ReportPlace {
    /// `PREFIX TASK/run-000012.ndjson`, without the blank: in the order of the runs.
    #[must_use]
    pub fn key(&self, task: &TaskName, run: u32) -> String {
        format!("{}{task}/run-{run:06}.{}", self.prefix, self.format.word())
    }
}
