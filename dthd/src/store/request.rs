//! Answers to mutations by request id: a client that lost an answer asks again and gets the same.

use std::time::Duration;

use dth_proto::{id::RequestId, time::Timestamp, view::TaskView};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, from_json, to_json};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(24);
/// Longest id that is kept: ours have 32 characters.
const LONGEST_ID: usize = 128;

#[derive(Serialize, Deserialize)]
struct Answer {
    at: Timestamp,
    view: TaskView,
}

impl Store {
    /// Keeps the answer to a mutation; durable together with the mutation itself.
    pub fn put_answer(&self, id: &RequestId, view: &TaskView, at: Timestamp) {
        if id.0.len() <= LONGEST_ID {
            self.writer.put(&self.trees.requests, id.0.as_bytes().to_vec(), to_json(&Answer { at, view: view.clone() }));
        }
    }

    /// The answer that was given to this request, if it is one we had before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn answer(&self, id: &RequestId) -> Result<Option<TaskView>, StoreError> {
        let Some(bytes) = self.trees.requests.get(id.0.as_bytes())? else { return Ok(None) };
        Ok(Some(from_json::<Answer>(&self.dir, "requests", &bytes)?.view))
    }

    /// Forgets answers older than a day.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn forget_old_answers(&self, now: Timestamp) -> Result<(), StoreError> {
        for entry in &self.trees.requests {
            let (key, bytes) = entry?;
            // an answer that cannot be read is of no use to anyone
            let old = from_json::<Answer>(&self.dir, "requests", &bytes).map_or(true, |a| now.since(a.at) > KEPT);
            if old {
                self.writer.remove(&self.trees.requests, key.to_vec());
            }
        }
        Ok(())
    }
}
