//! Rows and details for clients. Pure: from records and measurements to words.

use dth_proto::{
    id::TaskName,
    time::Timestamp,
    units,
    view::{Counters, EventsView, Live, Phase, RunKind, RunOutcome, RunView, TaskState, TaskView},
};

use crate::store::{RunRecord, TaskRecord};

/// A run for clients. `counters` are those of the live run, or of the record.
#[must_use]
pub fn run_view(task: &TaskName, run: &RunRecord, counters: &Counters) -> RunView {
    let seconds = run.worked.as_secs_f64();
    RunView {
        task: task.clone(),
        run: run.run,
        kind: run.kind.view(),
        outcome: run.outcome,
        started: run.started,
        ended: run.ended,
        duration_s: (seconds * 1_000.0).round() / 1_000.0,
        counters: *counters,
        bytes_per_s: if seconds > 0.0 { (counters.bytes_copied as f64 / seconds) as u64 } else { 0 },
        listing_done: run.listing_done,
        cause: run.cause.clone(),
        error: run.error.clone(),
    }
}

/// What a row is made of.
pub struct Row<'a> {
    /// The task.
    pub task: &'a TaskRecord,
    /// Its state.
    pub state: TaskState,
    /// The current run, or else the last.
    pub run: Option<RunView>,
    /// Measurements, while a run is going.
    pub live: Option<Live>,
    /// When the trigger fires next.
    pub next_run: Option<Timestamp>,
    /// Most frequent failure of the run, in a few words.
    pub failure: Option<String>,
    /// How its events are going, while a run consumes them.
    pub events: Option<EventsView>,
    /// What it waits for to come out of an archive, in words.
    pub restoring: Option<String>,
}

impl Row<'_> {
    /// The row.
    #[must_use]
    pub fn view(self) -> TaskView {
        let spec = &self.task.spec;
        let (from, to) = spec.ends();
        let (from_where, to_where) = spec.places();
        TaskView {
            name: spec.name.clone(),
            engine: spec.engine().to_owned(),
            state: self.state,
            word: self.word(),
            from,
            to,
            from_where,
            to_where,
            labels: spec.labels.clone(),
            deletes: spec.deletes(),
            trigger: spec.trigger.as_ref().map_or_else(|| "manual".to_owned(), ToString::to_string),
            next_run: self.next_run,
            note: self.note(),
            run: self.run,
            live: self.live,
            created_by: self.task.created_by.clone(),
            created: self.task.created,
        }
    }

    fn word(&self) -> String {
        let failed = self.run.as_ref().is_some_and(|run| run.counters.failed > 0);
        let stalled = self.live.as_ref().is_some_and(|live| live.stalled_s.is_some());
        let outcome = self.run.as_ref().and_then(|run| run.outcome);
        let kind = self.run.as_ref().map(|run| run.kind).unwrap_or_default();
        let resting = matches!(self.state, TaskState::Idle | TaskState::Waiting);
        let word = match (self.state, outcome) {
            (TaskState::Running, _) if !stalled && !failed && kind == RunKind::Plan => "planning",
            (TaskState::Running, _) if !stalled && !failed && kind == RunKind::Verify => "verifying",
            (_, Some(RunOutcome::Succeeded)) if resting && kind == RunKind::Plan => "planned",
            (_, Some(RunOutcome::Succeeded)) if resting && kind == RunKind::Verify => "verified",
            (_, Some(RunOutcome::Incomplete)) if resting && kind == RunKind::Verify && !failed => "DIFFERENT",
            (TaskState::Running, _) if stalled => "STALLED",
            (TaskState::Running, _) if failed => "DEGRADED",
            (TaskState::Running, _) => "running",
            (TaskState::Queued, _) => "queued",
            (TaskState::Paused, _) => "paused",
            (TaskState::Stopping, _) => "stopping",
            (TaskState::Idle | TaskState::Waiting, Some(RunOutcome::Failed)) => "FAILED",
            (TaskState::Idle | TaskState::Waiting, Some(RunOutcome::Incomplete)) => "INCOMPLETE",
            (TaskState::Waiting, _) => "waiting",
            (TaskState::Idle, Some(RunOutcome::Cancelled)) => "cancelled",
            (TaskState::Idle, Some(RunOutcome::Succeeded)) => "done",
            (TaskState::Idle, None) => "new",
            _ => "unknown",
        };
        word.to_owned()
    }

    fn note(&self) -> String {
        if let Some(quiet) = self.live.as_ref().and_then(|live| live.stalled_s) {
            return format!("{quiet}s quiet");
        }
        if let Some(events) = self.events.as_ref().filter(|events| events.trouble.is_some()) {
            return events.note();
        }
        if let Some(error) = self.run.as_ref().and_then(|run| run.error.as_ref()) {
            return error.clone();
        }
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        if let Some(run) = self.run.as_ref().filter(|run| !run.kind.writes() && run.outcome.is_some()) {
            let c = &run.counters;
            let delete = if c.to_delete > 0 { format!(", {} to delete", units::grouped(c.to_delete)) } else { String::new() };
            return format!("{} to copy{delete}", units::grouped(c.planned));
        }
        if let Some(restoring) = &self.restoring {
            return restoring.clone();
        }
        if let Some(events) = &self.events {
            return events.note();
        }
        if self.next_run.is_some() { "next run".to_owned() } else { String::new() }
    }
}

/// list, compare, copy, verify: what is done of what. Copy counts bytes, the others `items`, which is the task's word for them.
#[must_use]
pub fn phases(run: &RunView, live: Option<&Live>, items: &str) -> Vec<Phase> {
    let c = &run.counters;
    let over = run.outcome.is_some_and(|o| o != RunOutcome::Failed);
    let per_s = live.map_or(0.0, |l| l.objects_per_s);
    let bytes = live.map_or(0.0, |l| l.rate as f64);
    let listing = if run.duration_s > 0.0 { c.listed as f64 / run.duration_s } else { 0.0 };
    let phase = |name: &str, unit: &str, done: u64, total: u64, rate: f64, finished: bool| Phase {
        name: name.to_owned(),
        unit: unit.to_owned(),
        done,
        total,
        rate,
        finished,
    };
    let decided = c.listed - c.pending;
    let all = over || (run.listing_done && c.pending == 0);
    vec![
        // how many there will be is not known before the end; the rate is the mean so far
        phase("list", items, c.listed, if run.listing_done { c.listed } else { 0 }, listing, run.listing_done),
        phase("compare", items, decided, c.listed, per_s, all),
        phase("copy", "bytes", c.bytes_done, c.bytes_listed, bytes, all),
        // an item is counted as copied only when it has been verified
        phase("verify", items, c.copied, c.copied + c.pending, per_s, all),
    ]
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        spec::{Job, S3Destination, S3Job, S3Source, TaskLimits, TaskSpec},
        view::Counters,
    };

    use super::*;
    use crate::store;

    fn task() -> TaskRecord {
        let job = S3Job { source: S3Source::default(), destination: S3Destination::default(), options: Default::default() };
        let spec = TaskSpec {
            name: TaskName::new("t").expect("name"),
            description: String::new(),
            labels: Default::default(),
            job: Job::S3(job),
            limits: TaskLimits::default(),
            trigger: None,
            report: None,
        };
        TaskRecord::new(1, spec, "x", Timestamp(0))
    }

    fn word(state: TaskState, outcome: Option<RunOutcome>, failed: u64, stalled_s: Option<u64>) -> String {
        let task = task();
        let mut record = RunRecord::queued(1, store::RunKind::Full, task.spec.clone(), "test".to_owned(), Timestamp(0));
        record.outcome = outcome;
        let counters = Counters { failed, ..Counters::default() };
        let run = Some(run_view(&task.spec.name, &record, &counters));
        let live = Some(Live { stalled_s, ..Live::default() });
        Row { task: &task, state, run, live, next_run: None, failure: None, events: None, restoring: None }.view().word
    }

    #[test]
    fn phases_count_what_the_engine_moves() {
        let task = task();
        let record = RunRecord::queued(1, store::RunKind::Full, task.spec.clone(), "test".to_owned(), Timestamp(0));
        let run = run_view(&task.spec.name, &record, &Counters { listed: 9, copied: 4, same: 2, pending: 3, ..Counters::default() });
        for items in ["objects", "images"] {
            let phases = phases(&run, None, items);
            let seen: Vec<_> = phases.iter().map(|p| (p.name.as_str(), p.unit.as_str(), p.done, p.total)).collect();
            assert_eq!(seen, [("list", items, 9, 0), ("compare", items, 6, 9), ("copy", "bytes", 0, 0), ("verify", items, 4, 7)]);
        }
    }

    #[test]
    fn words_say_what_matters_most() {
        use RunOutcome::{Failed, Incomplete, Succeeded};
        use TaskState::{Idle, Paused, Running, Waiting};
        for (state, outcome, failed, stalled, expected) in [
            (Running, None, 0, None, "running"),
            (Running, None, 3, None, "DEGRADED"),
            (Running, None, 3, Some(94), "STALLED"),
            (Paused, None, 3, None, "paused"),
            (Waiting, Some(Incomplete), 3, None, "INCOMPLETE"),
            (Waiting, Some(Succeeded), 0, None, "waiting"),
            (Idle, Some(Succeeded), 0, None, "done"),
            (Idle, Some(Failed), 0, None, "FAILED"),
        ] {
            assert_eq!(word(state, outcome, failed, stalled), expected);
        }
    }
}
