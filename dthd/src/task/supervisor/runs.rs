//! Runs of tasks: queued, begun when there is a slot, ended.

use std::{panic::AssertUnwindSafe, sync::Arc};

use dth_proto::{event::Level, id::TaskName, time::Timestamp, view::RunOutcome};
use futures::FutureExt;
use tokio::sync::watch;

use super::{Ended, Supervisor, task::compared};
use crate::{
    clock,
    store::{RunKind, RunRecord, TaskPhase},
    task::{active::Active, engine},
    transfer::{
        Stop,
        progress::Progress,
        run::{RunEnd, RunInput},
    },
};

impl Supervisor {
    /// Queues a new run of a task that has none.
    pub(super) fn queue(&mut self, name: &TaskName, kind: RunKind, cause: String) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let now = clock::now();
        let number = task.record.last_run + 1;
        let writes = kind.writes();
        // neither a look at what is being restored nor events move a trigger
        let counts = writes && !matches!(kind, RunKind::Restore | RunKind::Events);
        let run = RunRecord::queued(number, kind, task.record.spec.clone(), cause, now);
        task.record.last_run = number;
        if counts {
            task.record.last_start = Some(now);
        }
        if !writes && let Some(before) = task.run.take().filter(|run| run.kind.writes()) {
            task.copied = Some(before);
        }
        task.record.held = !writes && task.record.phase == TaskPhase::Held;
        task.record.phase = TaskPhase::Queued;
        self.store.put_run(task.record.uid, &run);
        self.store.put_task(&task.record);
        if !task.record.hidden {
            self.events.push(Level::Info, Some((name, Some(number))), format!("run {number} queued: {}", run.cause));
        }
        task.run = Some(run);
    }

    /// Begins queued runs, oldest first, while there are slots.
    pub(super) fn fill_slots(&mut self) {
        if self.refusing().is_some() {
            return;
        }
        let slots = self.resources.config().limits.runs as usize;
        // events wait for most of their time
        let going = self.tasks.values().filter(|t| t.active.is_some() && !t.has_events_run()).count();
        let mut queued: Vec<(Timestamp, TaskName)> = self
            .tasks
            .values()
            .filter(|t| t.record.phase == TaskPhase::Queued && t.active.is_none() && !t.has_events_run())
            .filter_map(|t| Some((t.run.as_ref()?.queued, t.record.spec.name.clone())))
            .collect();
        queued.sort();
        let events = self.tasks.values().filter(|t| t.record.phase == TaskPhase::Queued && t.active.is_none() && t.has_events_run());
        let events: Vec<TaskName> = events.map(|t| t.record.spec.name.clone()).collect();
        for name in queued.into_iter().take(slots.saturating_sub(going)).map(|(_, name)| name).chain(events) {
            self.begin(&name);
        }
    }

    fn begin(&mut self, name: &TaskName) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let Some(mut run) = task.run.clone() else { return };
        let now = clock::now();
        run.started.get_or_insert(now);
        task.record.phase = TaskPhase::Running;
        self.store.put_run(task.record.uid, &run);
        self.store.put_task(&task.record);
        if !task.record.hidden {
            self.events.push(Level::Info, Some((name, Some(run.run))), format!("run {} began", run.run));
        }
        // what only looks is in no metric
        let totals = if run.kind.writes() { Arc::clone(&task.totals) } else { Arc::default() };
        let progress = Progress::new(run.tally.clone(), false, totals);
        // what its events give way to was asked for before a restart
        let gives_way = run.kind == RunKind::Events && task.record.after.is_some();
        let (stop, stopped) = watch::channel(if gives_way { Stop::Finish } else { Stop::Go });
        task.active = Some(Active::new(Arc::clone(&progress), run.clone(), stop));
        task.run = Some(run.clone());
        task.counted = None;
        let input = RunInput {
            uid: task.record.uid,
            name: name.clone(),
            record: run.clone(),
            store: self.store.clone(),
            events: self.events.clone(),
            resources: Arc::clone(&self.resources),
            progress,
            stop: stopped,
        };
        let (tell, name) = (self.tell_end.clone(), name.clone());
        tokio::spawn(async move {
            let (record, end) = match AssertUnwindSafe(engine::run(input)).catch_unwind().await {
                Ok(result) => result,
                // the panic itself is in the log; the task must not look as if it were running
                Err(_) => (run, RunEnd::Finished(RunOutcome::Failed, Some("a defect in dthd ended the run; see its log".to_owned()))),
            };
            // the supervisor is gone only when the daemon is
            let _ = tell.send(Ended { name, record, end });
        });
    }

    /// A run ended.
    pub(super) fn finish(&mut self, ended: Ended) {
        let Ended { name, mut record, end } = ended;
        let Some(task) = self.tasks.get_mut(&name) else { return };
        let at = Some((&name, Some(record.run)));
        match end {
            RunEnd::Suspended => {
                task.record.phase = TaskPhase::Paused;
                task.counted = task.active.as_ref().map(|a| a.progress.counters());
                self.events.push(Level::Info, at, format!("run {} paused", record.run));
            }
            RunEnd::Finished(outcome, error) => {
                // who stops a task does not want its events to begin again at once
                let is_stopped = outcome == RunOutcome::Cancelled && record.kind.writes() && task.queue().is_some();
                let is_held = task.record.held || is_stopped;
                task.record.phase = if is_held { TaskPhase::Held } else { TaskPhase::Rest };
                record.outcome = Some(outcome);
                record.error.clone_from(&error);
                record.ended = Some(clock::now());
                let c = &record.tally.counters;
                let level = if outcome == RunOutcome::Succeeded { Level::Info } else { Level::Warn };
                let why = error.map(|e| format!(": {e}")).unwrap_or_default();
                let (verb, done) = if record.kind.writes() { ("copied", c.copied) } else { ("to copy", c.planned) };
                let counts = format!("listed {}, same {}, {verb} {done}, skipped {}, failed {}", c.listed, c.same, c.skipped, c.failed);
                let deleted = if c.deleted > 0 { format!(", deleted {}", c.deleted) } else { String::new() };
                if !task.record.hidden {
                    self.events.push(level, at, format!("run {} {}{why}; {counts}{deleted}", record.run, outcome.word()));
                }
            }
        }
        self.store.put_run(task.record.uid, &record);
        let after = if task.record.phase == TaskPhase::Paused { None } else { task.record.after.take() };
        self.store.put_task(&task.record);
        if record.kind == RunKind::Full && record.outcome.is_some() {
            task.compared = Some(compared(&record));
        }
        let is_held = task.record.phase == TaskPhase::Held;
        let uid = task.record.uid;
        task.run = Some(record);
        task.active = None;
        self.ends.send_modify(|count| *count += 1);
        let restoring = self.restoring(uid);
        if let Some(task) = self.tasks.get_mut(&name) {
            task.restoring = restoring;
        }
        if let Some((kind, cause)) = after.filter(|_| !is_held) {
            self.queue(&name, kind, cause);
        }
        self.fill_slots();
        self.show_all();
    }
}
