//! What clients see: rows, details, totals and problems, made from tasks and runs.

use dth_proto::{
    error::ApiError,
    id::TaskName,
    time::Timestamp,
    view::{Counters, EventsView, Phase, Summary, TaskDetail, TaskState, TaskView},
};

use super::{Supervisor, task::Task};
use crate::{
    clock,
    problem::{self, Activity, Facts, LastRun, TaskFacts},
    s3::archive,
    store::{TaskPhase, record::SIZE_CLASSES},
    task::{
        active::Active,
        handle::not_found,
        view::{Row, phases, run_view},
    },
    transfer::bandwidth::plan,
};

/// Objects in flight that a detail names.
const IN_FLIGHT: usize = 10;
/// Failure groups that a detail names.
const GROUPS: usize = 10;

impl Supervisor {
    pub(super) fn show_all(&self) {
        let rows: Vec<(&Task, TaskView)> = self.tasks.values().filter(|t| !t.record.hidden).map(|t| (t, t.row())).collect();
        let (summary, problems) = self.summary(&rows);
        for (_, row) in rows {
            self.board.show(row);
        }
        self.board.summarise(summary, problems);
    }

    pub(super) fn row(&self, name: &TaskName) -> Result<TaskView, ApiError> {
        self.tasks.get(name).map(Task::row).ok_or_else(|| not_found(name))
    }

    pub(super) fn detail(&self, name: &TaskName) -> Option<TaskDetail> {
        let task = self.tasks.get(name)?;
        let view = task.row();
        let active = task.active.as_ref();
        let tally = active.map(|a| a.progress.tally()).or_else(|| task.run.as_ref().map(|r| r.tally.clone())).unwrap_or_default();
        let (in_flight, in_flight_count) = active.map(|a| a.progress.in_flight(IN_FLIGHT)).unwrap_or_default();
        let mut failures = task.failures();
        failures.truncate(GROUPS);
        let config = self.resources.config();
        let items = task.record.spec.items();
        let phases: Vec<Phase> = view.run.as_ref().map(|run| phases(run, view.live.as_ref(), items)).unwrap_or_default();
        Some(TaskDetail {
            spec: task.record.spec.clone(),
            phases,
            in_flight,
            in_flight_count,
            memory: (self.resources.budget.used(), self.resources.budget.limit()),
            bandwidth: task.record.spec.limits.bandwidth.as_ref().map(|limit| plan::at(limit, clock::now(), &config.limits.zone())),
            sizes: SIZE_CLASSES.iter().zip(tally.sizes).map(|((name, _), count)| ((*name).to_owned(), count)).collect(),
            largest: tally.largest,
            skipped: tally.skipped.to_map(),
            verified: tally.verified.to_map(),
            planned: tally.planned.to_map(),
            failures,
            best_rate: active.map_or_else(|| task.run.as_ref().map_or(0, |r| r.best_rate), Active::best_rate),
            events: task.events(clock::now()),
            view,
        })
    }

    fn summary(&self, rows: &[(&Task, TaskView)]) -> (Summary, Vec<dth_proto::view::Problem>) {
        let conditions = self.conditions.borrow().clone();
        let now = clock::now();
        let facts = Facts {
            now,
            tasks: rows.iter().map(|(task, row)| task.facts(row, now)).collect(),
            credentials: Vec::new(),
            metrics: conditions.metrics,
            refusing: self.refusing().map(|why| (conditions.refusing_since.unwrap_or(now), why)),
            disk_free: conditions.disk_free,
            reload_error: conditions.reload_error,
            last_retry: None,
        };
        let (problems, verdict) = problem::judge(&facts);
        let mut summary = Summary { ok: problems.is_empty(), verdict, tasks: rows.len() as u64, ..Summary::default() };
        for (_, row) in rows {
            match row.state {
                TaskState::Running | TaskState::Stopping => summary.running += 1,
                TaskState::Queued => summary.queued += 1,
                TaskState::Waiting => summary.waiting += 1,
                TaskState::Paused => summary.paused += 1,
                _ => {}
            }
            let Some(run) = row.run.as_ref().filter(|r| r.outcome.is_none()) else { continue };
            add(&mut summary.counters, &run.counters);
            summary.total_is_floor |= !run.listing_done;
            if let Some(live) = &row.live {
                summary.rate += live.rate;
                summary.rate_hour += live.rate_hour;
                summary.objects_per_s += live.objects_per_s;
                summary.eta_s = summary.eta_s.max(live.eta_s);
            }
        }
        summary.cap = self.resources.bandwidth.now().rate.map(|rate| rate.0);
        (summary, problems)
    }
}

impl Task {
    fn row(&self) -> TaskView {
        let name = &self.record.spec.name;
        let run = self.run.as_ref().map(|record| match &self.active {
            Some(active) => {
                let mut record = record.clone();
                record.worked = active.worked();
                record.listing_done = active.progress.is_listing_done();
                let mut counters = active.progress.counters();
                // a large object counts as it goes, not only when it is whole
                counters.bytes_done = (counters.bytes_done + active.progress.partial()).min(counters.bytes_listed);
                run_view(name, &record, &counters)
            }
            None => run_view(name, record, self.counted.as_ref().unwrap_or(&record.tally.counters)),
        });
        let failure = self.failures().first().map(|g| format!("{} {}", g.code, g.operation));
        Row {
            task: &self.record,
            state: self.situation().state(),
            run,
            live: self.active.as_ref().map(|a| a.live.clone()),
            next_run: self.next_run(clock::now()),
            failure,
            events: self.events(clock::now()),
            restoring: self.restoring.as_ref().map(|r| archive::words(r.count, r.ready, clock::now())),
        }
        .view()
    }

    fn facts(&self, row: &TaskView, now: Timestamp) -> TaskFacts {
        let activity = match self.record.phase {
            TaskPhase::Running => Activity::Running {
                started: self.run.as_ref().and_then(|r| r.started).unwrap_or(now),
                stalled_s: self.active.as_ref().and_then(|a| a.live.stalled_s),
                // the run stores its checkpoint every second, or fails
                checkpoint: Some(now),
            },
            TaskPhase::Queued => Activity::Queued,
            TaskPhase::Paused => Activity::Paused,
            TaskPhase::Rest | TaskPhase::Held => Activity::Idle {
                waiting: row.next_run.is_some(),
                last: self.last_copy().and_then(|run| {
                    let outcome = run.outcome?;
                    Some(LastRun { outcome, ended: run.ended.unwrap_or(now), error: run.error.clone() })
                }),
            },
        };
        // what a run that changes nothing found does not stand for the task
        let resting = self.last_copy().filter(|_| matches!(self.record.phase, TaskPhase::Rest | TaskPhase::Held));
        TaskFacts {
            task: row.name.clone(),
            items: self.record.spec.items(),
            activity,
            failed: resting.map_or_else(|| row.run.as_ref().map_or(0, |run| run.counters.failed), |run| run.tally.counters.failed),
            top_failure: resting.map_or_else(|| self.failures(), |run| run.failures.clone()).into_iter().next(),
            event_trouble: self.totals.events.snapshot().trouble.map(|trouble| (trouble.since, trouble.why)),
            compare_failed: self.compared.clone().filter(|_| self.has_events_run()).and_then(|(ended, failed)| Some((ended, failed?))),
            due: self.schedule.as_ref().and_then(|s| s.due(now, self.record.last_start, self.record.trigger_set)),
        }
    }

    /// How its events are going, while a run consumes them.
    fn events(&self, now: Timestamp) -> Option<EventsView> {
        let queue = self.queue().filter(|_| self.active.is_some())?;
        let seen = self.totals.events.snapshot();
        Some(EventsView {
            queue: queue.queue.clone(),
            lag_s: seen.lag(now).as_secs(),
            received: seen.received,
            applied: seen.applied,
            held: seen.held,
            unknown: seen.unknown,
            trouble: seen.trouble.map(|trouble| trouble.why),
        })
    }

    pub(super) fn failures(&self) -> Vec<dth_proto::failure::FailureGroup> {
        match (&self.active, &self.run) {
            (Some(active), _) => active.progress.failures(),
            (None, Some(run)) => run.failures.clone(),
            (None, None) => Vec::new(),
        }
    }
}

fn add(sum: &mut Counters, run: &Counters) {
    sum.listed += run.listed;
    sum.same += run.same;
    sum.copied += run.copied;
    sum.skipped += run.skipped;
    sum.deleted += run.deleted;
    sum.failed += run.failed;
    sum.planned += run.planned;
    sum.to_delete += run.to_delete;
    sum.pending += run.pending;
    sum.bytes_listed += run.bytes_listed;
    sum.bytes_done += run.bytes_done;
    sum.bytes_copied += run.bytes_copied;
    sum.bytes_planned += run.bytes_planned;
    sum.requests += run.requests;
    sum.retries += run.retries;
}
