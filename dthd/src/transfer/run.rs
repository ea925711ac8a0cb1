//! What a run needs, whichever engine it is of, and how it ends.

use std::sync::Arc;

use dth_proto::{id::TaskName, view::RunOutcome};
use tokio::sync::watch;

use super::{Stop, progress::Progress, resources::Resources};
use crate::{
    event::EventLog,
    store::{RunRecord, Store},
};

/// What a run needs.
pub struct RunInput {
    /// The task's uid.
    pub uid: u64,
    /// The task's name, for events.
    pub name: TaskName,
    /// The run, with its checkpoint.
    pub record: RunRecord,
    /// Records go here.
    pub store: Store,
    /// Events go here.
    pub events: EventLog,
    /// Configuration, memory, bandwidth.
    pub resources: Arc<Resources>,
    /// What clients watch.
    pub progress: Arc<Progress>,
    /// What the run is told.
    pub stop: watch::Receiver<Stop>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It is over; the reason when it failed or was cancelled.
    Finished(RunOutcome, Option<String>),
    /// It can be continued from its checkpoint.
    Suspended,
}
