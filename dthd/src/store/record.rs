//! Tasks and runs: control records, as self-describing JSON.

use std::time::Duration;

use dth_proto::{
    failure::{FailureClass, FailureGroup},
    spec::TaskSpec,
    time::Timestamp,
    view::{Counters, RunOutcome},
};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, from_json, run_key, task_key, to_json, words::WordCounts};

/// A task with what must survive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Never used again, also not for a task of the same name.
    pub uid: u64,
    /// The definition.
    pub spec: TaskSpec,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When its trigger was set or released: times before count as neither due nor missed.
    pub trigger_set: Timestamp,
    /// What it is doing.
    pub phase: TaskPhase,
    /// Number of the newest run; 0: none yet.
    pub last_run: u32,
    /// When the newest run was queued: triggers count from here.
    pub last_start: Option<Timestamp>,
}

/// What a task is doing, as far as a restart must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskPhase {
    /// Nothing; its trigger may start a run.
    Rest,
    /// Its newest run waits for a slot.
    Queued,
    /// Its newest run is going.
    Running,
    /// Its newest run was paused by a person.
    Paused,
    /// Nothing, and its trigger is held by a person.
    Held,
}

/// What a run works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// Everything the task selects.
    Full,
    /// The failed items of an earlier run.
    Retry {
        /// That run.
        of: u32,
        /// Only failures of this class.
        class: Option<FailureClass>,
    },
}

/// A run with its checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Number within the task.
    pub run: u32,
    /// What it works on.
    pub kind: RunKind,
    /// The definition it began with; edits apply to the next run.
    pub spec: TaskSpec,
    /// What queued it.
    pub cause: String,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Why it failed.
    pub error: Option<String>,
    /// Time at work up to the checkpoint.
    pub worked: Duration,
    /// Everything up to and including this source key is finished and counted below; `None`: nothing yet.
    pub cursor: Option<String>,
    /// Counts of all items up to the cursor.
    pub tally: Tally,
    /// The listing of the source was complete at the end.
    pub listing_done: bool,
    /// Failed items in groups, up to the checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureGroup>,
    /// Best rate seen, bytes per second.
    #[serde(default)]
    pub best_rate: u64,
}

/// Everything that is counted per run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Items and bytes.
    pub counters: Counters,
    /// Skipped, by rule.
    pub skipped: WordCounts,
    /// Copied, by verification method.
    pub verified: WordCounts,
    /// Listed, by size class; see [`SIZE_CLASSES`].
    pub sizes: [u64; 4],
    /// Largest object listed, in bytes.
    pub largest: u64,
}

/// Names and upper bounds (exclusive) of the size classes.
pub const SIZE_CLASSES: [(&str, u64); 4] = [("<1MB", 1_000_000), ("1-64MB", 64_000_000), ("64MB-5GB", 5_000_000_000), (">5GB", u64::MAX)];

impl RunRecord {
    /// A run that has just been queued.
    #[must_use]
    pub fn queued(run: u32, kind: RunKind, spec: TaskSpec, cause: String, now: Timestamp) -> Self {
        Self {
            run,
            kind,
            spec,
            cause,
            queued: now,
            started: None,
            ended: None,
            outcome: None,
            error: None,
            worked: Duration::ZERO,
            cursor: None,
            tally: Tally::default(),
            listing_done: false,
            failures: Vec::new(),
            best_rate: 0,
        }
    }
}

impl Store {
    /// All tasks.
    ///
    /// # Errors
    /// When a record cannot be read: the daemon must not start without a task it had.
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, StoreError> {
        self.trees.tasks.iter().values().map(|bytes| from_json(&self.dir, "tasks", &bytes?)).collect()
    }

    /// A uid that no task had before.
    ///
    /// # Errors
    /// When the database is at its end.
    pub fn new_uid(&self) -> Result<u64, StoreError> {
        // sled's ids count up over restarts
        Ok(self.db.generate_id()?)
    }

    /// Adds or replaces a task; durable after the next [`super::Writer::durable`].
    pub fn put_task(&self, task: &TaskRecord) {
        self.writer.put(&self.trees.tasks, task_key(task.uid).to_vec(), to_json(task));
    }

    /// Removes a task and everything recorded of it, except uploads under way: they are forgotten when they are aborted.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn remove_task(&self, uid: u64) -> Result<(), StoreError> {
        self.writer.applied().await?;
        self.writer.remove(&self.trees.tasks, task_key(uid).to_vec());
        for tree in [&self.trees.runs, &self.trees.items, &self.trees.pairs] {
            for key in tree.scan_prefix(task_key(uid)).keys() {
                self.writer.room().await?;
                self.writer.remove(tree, key?.to_vec());
            }
        }
        self.writer.durable().await
    }

    /// Adds or replaces a run.
    pub fn put_run(&self, uid: u64, run: &RunRecord) {
        self.writer.put(&self.trees.runs, run_key(uid, run.run).to_vec(), to_json(run));
    }

    /// One run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn run(&self, uid: u64, run: u32) -> Result<Option<RunRecord>, StoreError> {
        self.trees.runs.get(run_key(uid, run))?.map(|bytes| from_json(&self.dir, "runs", &bytes)).transpose()
    }

    /// Runs before run `before` (`None`: all), newest first, at most `limit`.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn runs(&self, uid: u64, before: Option<u32>, limit: usize) -> Result<Vec<RunRecord>, StoreError> {
        let range = run_key(uid, 0)..run_key(uid, before.unwrap_or(u32::MAX));
        self.trees.runs.range(range).values().rev().take(limit).map(|bytes| from_json(&self.dir, "runs", &bytes?)).collect()
    }
}

/// Which class of [`SIZE_CLASSES`] a size belongs to.
#[must_use]
pub fn size_class(size: u64) -> usize {
    SIZE_CLASSES.iter().position(|(_, below)| size < *below).unwrap_or(SIZE_CLASSES.len() - 1)
}
