//! The tarpc service: one trait, every method with who may call it.
//!
//! Rules that hold for all methods: answers are pages of at most 500 entries; a mutation takes a [`RequestId`] and is
//! idempotent under it; a request that waits answers before the wait it was given, and clients set their deadline 15 s
//! later than that ([`crate::wire::deadline_after`]).

use crate::{
    check::CheckReply,
    doctor::DoctorReply,
    error::ApiError,
    event::{EventsReply, EventsRequest},
    failure::{FailureClass, FailuresReply, FailuresRequest},
    id::{RequestId, TaskName},
    spec::{Store, TaskSpec},
    view::{
        Action, DaemonInfo, Explanation, History, HistoryRequest, ItemsReply, ItemsRequest, PlanReply, ProviderInfo, RunKind, RunView,
        TaskDetail, TaskView,
    },
    watch::{WatchReply, WatchRequest},
};

/// What `dthd` answers. "viewer" methods may be called by anyone who can connect, "operator" methods by operators.
#[tarpc::service]
pub trait Dth {
    /// viewer: the daemon itself.
    async fn info() -> Result<DaemonInfo, ApiError>;
    /// viewer: long poll; see [`crate::watch`].
    async fn watch(request: WatchRequest) -> Result<WatchReply, ApiError>;
    /// viewer: log records; waits if asked to.
    async fn events(request: EventsRequest) -> Result<EventsReply, ApiError>;
    /// viewer: rates over time.
    async fn history(request: HistoryRequest) -> Result<History, ApiError>;

    /// viewer: one task in full.
    async fn task(name: TaskName) -> Result<TaskDetail, ApiError>;
    /// viewer: runs, newest first, those before run `before`; at most `limit`.
    async fn runs(name: TaskName, before: Option<u32>, limit: u32) -> Result<Vec<RunView>, ApiError>;
    /// viewer: waits up to `max_wait_ms` for the end of the current (or queued) run; answers with the run as it is then. With
    /// no run at all: `NotFound`.
    async fn wait_run(name: TaskName, max_wait_ms: u32) -> Result<RunView, ApiError>;
    /// viewer: failed items of a run, and their groups.
    async fn failures(name: TaskName, request: FailuresRequest) -> Result<FailuresReply, ApiError>;
    /// viewer: the record per item acted upon.
    async fn items(name: TaskName, request: ItemsRequest) -> Result<ItemsReply, ApiError>;

    /// viewer: what a run of the kind `plan` or `verify` found (`run`; `None`: the newest run of those kinds); waits up to `max_wait_ms` for
    /// its end. Of a definition that is planned, under the name that [`Dth::plan_spec`] answered.
    async fn plan(name: TaskName, run: Option<u32>, max_wait_ms: u32) -> Result<PlanReply, ApiError>;
    /// viewer: why one object or image was copied or not, and what the next run would do; asks both ends (reads only).
    async fn explain(name: TaskName, key: String) -> Result<Explanation, ApiError>;

    /// operator: a new task; with `start` its first run is queued at once.
    async fn create(id: RequestId, spec: TaskSpec, start: bool) -> Result<TaskView, ApiError>;
    /// operator: replaces the definition of `name`; a run that is going keeps the one it started with.
    async fn edit(id: RequestId, name: TaskName, spec: TaskSpec) -> Result<TaskView, ApiError>;
    /// operator: a new task with the definition of `name`, not started.
    async fn clone_task(id: RequestId, name: TaskName, new: TaskName) -> Result<TaskView, ApiError>;
    /// operator: start, pause, resume, stop or delete.
    async fn control(id: RequestId, name: TaskName, action: Action) -> Result<TaskView, ApiError>;
    /// operator: queues a run of the kind `plan` or `verify`, which changes nothing.
    async fn begin(id: RequestId, name: TaskName, kind: RunKind) -> Result<TaskView, ApiError>;
    /// operator: plans a definition that is not a task. The answer has the name under which the plan is asked for; no list shows it. It is
    /// forgotten when it is deleted ([`Action::Delete`]), or a minute after it was last asked for.
    async fn plan_spec(id: RequestId, spec: TaskSpec) -> Result<TaskView, ApiError>;
    /// operator: tries the failed items of the last run again, in a run of their own.
    async fn retry(id: RequestId, name: TaskName, class: Option<FailureClass>) -> Result<TaskView, ApiError>;

    /// operator: begins a preflight of a definition (it writes and removes one scratch object); answers with its job id.
    async fn check_start(spec: TaskSpec) -> Result<u64, ApiError>;
    /// operator: where a preflight stands; waits up to `max_wait_ms` until more than `seen` steps have ended, or all of them.
    async fn check_poll(job: u64, seen: u32, max_wait_ms: u32) -> Result<CheckReply, ApiError>;
    /// operator: begins to find out what a store does, with scratch objects below a prefix of their own in its bucket; answers with the
    /// job's id. One at a time: `Unavailable` while another is examined. It ends, and removes what it made, also when nobody asks for it.
    async fn doctor_start(store: Store) -> Result<u64, ApiError>;
    /// operator: where an examination stands; waits up to `max_wait_ms` until more than `seen` things were tried, or it is done.
    async fn doctor_poll(job: u64, seen: u32, max_wait_ms: u32) -> Result<DoctorReply, ApiError>;
    /// viewer: the stores that a task may name, for completion.
    async fn providers() -> Result<Vec<ProviderInfo>, ApiError>;
}
