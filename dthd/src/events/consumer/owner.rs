//! Whose events are consumed, and how that is told.

use std::sync::Arc;

use dth_proto::{event::Level, id::TaskName};

use crate::{
    clock,
    event::EventLog,
    events::queue::QueueError,
    transfer::{progress::TaskTotals, run::RunInput},
};

/// Whose events these are, and what all runs of it share.
pub struct Owner {
    /// The task.
    pub name: TaskName,
    /// Its run.
    pub run: u32,
    /// What happened is told here.
    pub events: EventLog,
    /// Has the task's gauge.
    pub totals: Arc<TaskTotals>,
}

impl Owner {
    /// Of a run.
    #[must_use]
    pub fn of(input: &RunInput) -> Self {
        let (events, totals) = (input.events.clone(), Arc::clone(&input.progress.totals));
        Self { name: input.name.clone(), run: input.record.run, events, totals }
    }

    pub(super) fn tell(&self, level: Level, message: impl Into<String>) {
        self.events.push(level, Some((&self.name, Some(self.run))), message);
    }

    pub(super) fn trouble(&self, operation: &'static str, error: &QueueError) {
        if self.totals.events.trouble(operation, clock::now(), error.to_string()) {
            self.tell(Level::Warn, format!("the event queue cannot be used, its messages wait there: {error}"));
        }
    }

    pub(super) fn fine(&self, operation: &'static str) {
        if let Some(since) = self.totals.events.fine(operation) {
            let seconds = clock::now().since(since).as_secs();
            self.tell(Level::Info, format!("the event queue works again after {}", dth_proto::units::coarse(seconds)));
        }
    }
}
