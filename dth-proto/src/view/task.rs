//! One task: its state, what can be done with it, its row, and all of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EventsView, RunView};
use crate::{bandwidth::BandwidthNow, failure::FailureGroup, id::TaskName, spec::TaskSpec, time::Timestamp};

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskState {
    /// Nothing is going on, and nothing will without a start.
    Idle,
    /// The trigger will start the next run.
    Waiting,
    /// A run waits for a free slot.
    Queued,
    /// A run is going.
    Running,
    /// A run was paused by a person and continues from its checkpoint on resume.
    Paused,
    /// A run is being ended: requests in flight are finished or aborted.
    Stopping,
    /// A state of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// What to do with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Queue a run now.
    Start,
    /// Stop after the requests in flight and keep the checkpoint.
    Pause,
    /// Go on from the checkpoint.
    Resume,
    /// End the run: abort uploads in flight, keep what was copied.
    Stop,
    /// Forget the task and its history; not while a run is going.
    Delete,
}

impl Action {
    /// The word on the command line and in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Delete => "delete",
        }
    }
}

/// What changes every second while a run is going.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Bytes per second now (exponential mean, about 15 s).
    pub rate: u64,
    /// Bytes per second, mean of the last hour of this run.
    pub rate_hour: u64,
    /// Items (objects or images) per second now.
    pub objects_per_s: f64,
    /// Seconds left; `None` while listing, stalled or unknown.
    pub eta_s: Option<u64>,
    /// Seconds since the last byte or finished item, once it is 60 or more.
    pub stalled_s: Option<u64>,
}

/// One task as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Unique.
    pub name: TaskName,
    /// `s3` or `image`.
    pub engine: String,
    /// Where it is in its life.
    pub state: TaskState,
    /// The state as a word for screens: the state, or DEGRADED, STALLED, FAILED, INCOMPLETE, done.
    pub word: String,
    /// Where from, as a URL: see [`TaskSpec::ends`].
    pub from: String,
    /// Where to, as a URL.
    pub to: String,
    /// Region, endpoint, provider or registry of the source, short.
    pub from_where: String,
    /// The same of the destination.
    pub to_where: String,
    /// The user's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its runs delete objects at the destination: whoever starts it names it once more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deletes: bool,
    /// The trigger in words: `manual`, `every 1h`, `cron 0 2 * * * Asia/Shanghai`.
    pub trigger: String,
    /// When the trigger starts the next run.
    pub next_run: Option<Timestamp>,
    /// The current run, or else the last.
    pub run: Option<RunView>,
    /// Only while a run is going.
    pub live: Option<Live>,
    /// What a person should know, in a few words; may be empty.
    #[serde(default)]
    pub note: String,
    /// Who made it, and when.
    pub created_by: String,
    /// See `created_by`.
    pub created: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl TaskView {
    /// What its items are called when there are several: `objects` or `images`; `items` for an engine of a newer daemon.
    #[must_use]
    pub fn items(&self) -> &'static str {
        match self.engine.as_str() {
            "s3" => "objects",
            "image" => "images",
            _ => ITEMS,
        }
    }
}

/// What objects and images are called where both are meant.
pub(super) const ITEMS: &str = "items";

/// One phase of a run; the four overlap in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// `list`, `compare`, `copy`, `verify`.
    pub name: String,
    /// Done so far, in `unit`.
    pub done: u64,
    /// Of how many; a floor while the listing is going, 0 when nobody knows.
    pub total: u64,
    /// `objects`, `images` or `bytes`.
    pub unit: String,
    /// Per second, now.
    pub rate: f64,
    /// Complete.
    pub finished: bool,
}

/// One item that is being copied now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Source key, or name of the image: `repository:tag`, `repository@digest`.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Bytes written so far.
    pub done: u64,
    /// Of an object the parts written and in all, when it is a multipart upload; of an image its blobs.
    pub parts: Option<(u32, u32)>,
    /// Of an image the blobs that are being sent, largest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobInFlight>,
}

/// One blob that is being sent now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInFlight {
    /// The first twelve characters of its digest, without the algorithm.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Bytes sent so far.
    pub done: u64,
}

/// One task in full: definition, row, and what the detail screen needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// The row.
    pub view: TaskView,
    /// The definition.
    pub spec: TaskSpec,
    /// list, compare, copy, verify of the current or last run.
    pub phases: Vec<Phase>,
    /// Items being copied, largest first, at most 10.
    pub in_flight: Vec<InFlight>,
    /// How many are being copied.
    pub in_flight_count: u64,
    /// Bytes of memory held by data in flight (all tasks), and the limit.
    pub memory: (u64, u64),
    /// What of the task's bandwidth limit holds now; `None`: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<BandwidthNow>,
    /// Items by size class (`<1MB`, `1-64MB`, `64MB-5GB`, `>5GB`) of the current or last run.
    pub sizes: Vec<(String, u64)>,
    /// Largest item listed, in bytes.
    pub largest: u64,
    /// Skipped, by rule.
    pub skipped: BTreeMap<String, u64>,
    /// Planned, by reason.
    #[serde(default)]
    pub planned: BTreeMap<String, u64>,
    /// Copied, by verification method.
    pub verified: BTreeMap<String, u64>,
    /// Most frequent failures.
    pub failures: Vec<FailureGroup>,
    /// Best rate seen in this run, bytes per second.
    pub best_rate: u64,
    /// How its events are going; `None`: it has none, or nobody consumes them now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsView>,
}
