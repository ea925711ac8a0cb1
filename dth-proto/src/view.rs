//! What screens and scripts show: the daemon's state in the words of the project.

mod explain;
mod item;
mod plan;
mod run;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{
    explain::{Explanation, Found},
    item::{ItemView, ItemsReply, ItemsRequest},
    plan::{Cost, PlanReply, PlannedRequests},
    run::RunKind,
};
use crate::{
    bandwidth::BandwidthNow,
    failure::FailureGroup,
    id::{Epoch, TaskName},
    spec::TaskSpec,
    time::Timestamp,
};

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

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Everything listed is accounted for and nothing failed.
    Succeeded,
    /// Some items failed; the rest is done.
    Incomplete,
    /// It could not run: nothing is known about the items not reached.
    Failed,
    /// A person stopped it.
    Cancelled,
}

impl RunOutcome {
    /// The word on screens.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Items and bytes of a run. At every moment `listed = same + copied + skipped + failed + planned + pending`; `deleted` and `to_delete`
/// count items that exist only at the destination and are outside that sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Items found at the source.
    pub listed: u64,
    /// Already at the destination.
    pub same: u64,
    /// Copied and verified.
    pub copied: u64,
    /// Left out by a named rule.
    pub skipped: u64,
    /// Removed from the destination.
    pub deleted: u64,
    /// Given up after retries.
    pub failed: u64,
    /// Would be copied: only in runs of the kinds `plan` and `verify`.
    #[serde(default)]
    pub planned: u64,
    /// Would be removed from the destination: likewise.
    #[serde(default)]
    pub to_delete: u64,
    /// Listed and not yet decided or finished.
    pub pending: u64,
    /// Size of all items listed.
    pub bytes_listed: u64,
    /// Size of all items that are no longer pending; while a run is going, also what the destination has of the others.
    pub bytes_done: u64,
    /// Size of the items copied.
    pub bytes_copied: u64,
    /// Bytes that would be sent for the planned items; of images after deduplication: a blob that several need counts once.
    #[serde(default)]
    pub bytes_planned: u64,
    /// Requests sent to both ends, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

impl Counters {
    /// Whether the accounting identity holds.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.listed == self.same + self.copied + self.skipped + self.failed + self.planned + self.pending
    }
}

/// One execution of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The task.
    pub task: TaskName,
    /// Counts up from 1 within the task.
    pub run: u32,
    /// What it does.
    #[serde(default)]
    pub kind: RunKind,
    /// `None` while it is queued, going or paused.
    pub outcome: Option<RunOutcome>,
    /// `None` while it is queued.
    pub started: Option<Timestamp>,
    /// `None` while it is going.
    pub ended: Option<Timestamp>,
    /// Time at work: without pauses and without the time the daemon was down.
    pub duration_s: f64,
    /// Items and bytes.
    #[serde(flatten)]
    pub counters: Counters,
    /// Mean over `duration_s`.
    pub bytes_per_s: u64,
    /// The listing of the source is complete, so `listed` is final.
    pub listing_done: bool,
    /// What queued it: `manual by mli`, `cron`, `retry of run 3`.
    #[serde(default)]
    pub cause: String,
    /// Why the outcome is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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
const ITEMS: &str = "items";

/// What the items of several tasks are called: as all of the tasks call them, else `items`.
#[must_use]
pub fn items_of<'t>(tasks: impl IntoIterator<Item = &'t TaskView>) -> &'static str {
    let mut words = tasks.into_iter().map(TaskView::items);
    let Some(first) = words.next() else { return ITEMS };
    if words.all(|word| word == first) { first } else { ITEMS }
}

/// What the items that a [`Summary`] counts are called: those of the tasks whose run is going or paused.
#[must_use]
pub fn items_counted<'t>(tasks: impl IntoIterator<Item = &'t TaskView>) -> &'static str {
    items_of(tasks.into_iter().filter(|task| task.run.as_ref().is_some_and(|run| run.outcome.is_none())))
}

/// All tasks together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// No problems.
    pub ok: bool,
    /// The verdict in words, one line.
    pub verdict: String,
    /// Tasks by state.
    pub tasks: u64,
    /// See `tasks`.
    pub running: u64,
    /// Queued runs.
    pub queued: u64,
    /// Waiting for their trigger.
    pub waiting: u64,
    /// Paused by a person.
    pub paused: u64,
    /// Sums over the runs that are going or paused.
    #[serde(flatten)]
    pub counters: Counters,
    /// At least one of those runs is still listing: the totals are a floor.
    pub total_is_floor: bool,
    /// Sum of the rates now.
    pub rate: u64,
    /// Sum of the hour means.
    pub rate_hour: u64,
    /// Items (objects or images) per second now.
    pub objects_per_s: f64,
    /// The daemon's bandwidth limit.
    pub cap: Option<u64>,
    /// The longest ETA of a running task.
    pub eta_s: Option<u64>,
}

/// How bad a problem is; sorts most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data is not moving or state is in danger.
    Critical,
    /// Something was not done.
    Error,
    /// It will be trouble soon.
    Warning,
}

/// Something the operator must know now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// What and why, one line.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
    /// The task concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
}

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
}

/// Asks for rates over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryRequest {
    /// One task's current or last run; `None`: all tasks.
    #[serde(default)]
    pub task: Option<TaskName>,
    /// How far back, in seconds.
    pub range_s: u32,
    /// How many points, at most 500; each is the mean of its slot.
    pub points: u32,
}

/// Rates over time, oldest first. A slot without data is `None`: a gap, not zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// End of the last slot.
    pub until: Timestamp,
    /// Length of a slot.
    pub slot_s: f64,
    /// Bytes per second.
    pub bytes: Vec<Option<u64>>,
    /// Items per second.
    pub objects: Vec<Option<f64>>,
    /// Failed items per second.
    pub failed: Vec<Option<f64>>,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Package version.
    pub version: String,
    /// Negotiated on this connection.
    pub protocol: u32,
    /// This start.
    pub epoch: Epoch,
    /// When it started.
    pub started: Timestamp,
    /// The machine's name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// The file the configuration came from; `None`: built-in defaults.
    pub config_file: Option<String>,
    /// Where the state is.
    pub state_dir: String,
    /// Credentials a task may name, with their type.
    pub credentials: Vec<(String, String)>,
    /// Bytes of memory for data in flight: used, limit.
    pub memory: (u64, u64),
    /// Where metrics go and how it is going; `None`: off.
    pub metrics: Option<String>,
    /// Who you are to the daemon, and what you may do.
    pub user: String,
    /// `viewer` or `operator`.
    pub role: String,
    /// Verdict in words, as in [`Summary`].
    pub verdict: String,
}

/// A store that tasks can name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInfo {
    /// As task files name it.
    pub name: String,
    /// As its maker calls it.
    pub title: String,
    /// Regions that are known; a task may name any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Whether a task must say where it is, because the provider has no endpoint of its own.
    #[serde(default)]
    pub needs_endpoint: bool,
}
