//! What screens and scripts show: the daemon's state in the words of the project.

mod daemon;
mod events;
mod explain;
mod history;
mod item;
mod plan;
mod run;
mod summary;
mod task;

pub use self::{
    daemon::{DaemonInfo, ProviderInfo},
    events::EventsView,
    explain::{Explanation, Found},
    history::{History, HistoryRequest},
    item::{ItemView, ItemsReply, ItemsRequest},
    plan::{Cost, PlanReply, PlannedRequests},
    run::{Counters, RunKind, RunOutcome, RunView},
    summary::{Problem, Severity, Summary, items_counted, items_of},
    task::{Action, BlobInFlight, InFlight, Live, Phase, TaskDetail, TaskState, TaskView},
};
