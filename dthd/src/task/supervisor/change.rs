//! Mutations: each is checked, carried out, made durable, and only then answered.

use std::{sync::Arc, time::Duration};

use dth_proto::{
    error::{ApiError, ErrorCode},
    event::Level,
    failure::FailureClass,
    id::{RequestId, TaskName},
    spec::TaskSpec,
    view::{Action, RunOutcome, TaskView},
};

use super::Supervisor;
use crate::{
    clock,
    schedule::Schedule,
    store::{RunKind, TaskPhase, TaskRecord},
    task::{
        admit::admit,
        engine,
        handle::{Change, not_found},
        state::{Step, step},
    },
    transfer::Stop,
};

/// How long the plan of a definition is kept that nobody asks for: its client asks every few seconds.
const PLAN_KEPT: Duration = Duration::from_mins(1);

/// A task that deletes begins to run only when it is named once more. Its later runs, by its trigger, are what was confirmed.
fn confirmed(spec: &TaskSpec, begins: bool, confirm: Option<&TaskName>) -> Result<(), ApiError> {
    let name = &spec.name;
    if !begins || !spec.deletes() || confirm == Some(name) {
        return Ok(());
    }
    let message = match confirm {
        None => format!("{name} deletes objects under {} that its source does not have: name it once more to let it run", spec.ends().1),
        Some(other) => format!("{other} was confirmed, and {name} would run, which deletes objects under {}", spec.ends().1),
    };
    Err(ApiError::new(ErrorCode::Unconfirmed, message).hint(format!("--confirm {name}; look first with: dth plan {name}")))
}

impl Supervisor {
    pub(super) async fn change(&mut self, id: &RequestId, by: &str, change: Change) -> Result<TaskView, ApiError> {
        let broken = |e: &dyn std::fmt::Display| ApiError::new(ErrorCode::Unavailable, e.to_string());
        // a client that lost the answer asks again
        if let Some(view) = self.store.answer(id).map_err(|e| broken(&e))? {
            return Ok(view);
        }
        if let Some(why) = self.refusing() {
            return Err(ApiError::new(ErrorCode::Unavailable, why));
        }
        let view = match change {
            Change::Create { spec, start, confirm } => {
                let begins = start || spec.trigger.is_some();
                confirmed(&spec, begins, confirm.as_ref())?;
                self.create(spec, start, by)?
            }
            Change::Edit { name, spec, confirm } => {
                let begins = spec.trigger.is_some() && !self.spec(&name)?.deletes();
                confirmed(&spec, begins, confirm.as_ref())?;
                self.edit(&name, spec, by)?
            }
            Change::Clone { name, new } => {
                let mut spec = TaskSpec { name: new, ..self.spec(&name)?.clone() };
                if spec.deletes() {
                    // what was confirmed was the other task
                    spec.trigger = None;
                }
                self.create(spec, false, by)?
            }
            Change::Control { name, action, confirm } => {
                if action == Action::Start {
                    confirmed(self.spec(&name)?, true, confirm.as_ref())?;
                }
                self.control(&name, action, by).await?
            }
            Change::Begin { name, kind } => self.begin_kind(&name, kind, by)?,
            Change::Plan { spec } => self.plan(spec, by)?,
            Change::Retry { name, class } => self.retry(&name, class, by)?,
        };
        self.store.put_answer(id, &view, clock::now());
        self.store.writer().durable().await.map_err(|e| broken(&e))?;
        Ok(view)
    }

    fn spec(&self, name: &TaskName) -> Result<&TaskSpec, ApiError> {
        self.tasks.get(name).map(|t| &t.record.spec).ok_or_else(|| not_found(name))
    }

    fn create(&mut self, spec: TaskSpec, start: bool, by: &str) -> Result<TaskView, ApiError> {
        let name = spec.name.clone();
        if self.tasks.contains_key(&name) {
            let message = format!("there is already a task {name}");
            return Err(ApiError::new(ErrorCode::AlreadyExists, message).hint("choose another name, or change it with: dth edit"));
        }
        admit(&spec, &self.resources.config())?;
        let uid = self.store.new_uid().map_err(|e| ApiError::new(ErrorCode::Unavailable, e.to_string()))?;
        let record = TaskRecord::new(uid, spec, by, clock::now());
        self.store.put_task(&record);
        self.add(record, None);
        self.events.push(Level::Info, Some((&name, None)), format!("created by {by}"));
        if start {
            self.queue(&name, RunKind::Full, format!("manual by {by}"));
            self.fill_slots();
        }
        self.row(&name)
    }

    fn edit(&mut self, name: &TaskName, spec: TaskSpec, by: &str) -> Result<TaskView, ApiError> {
        self.spec(name)?;
        if spec.name != *name {
            let message = format!("the file defines {}, not {name}: a task keeps its name", spec.name);
            return Err(ApiError::new(ErrorCode::Invalid, message).hint(format!("dth clone {name} {}", spec.name)));
        }
        admit(&spec, &self.resources.config())?;
        if let Some(task) = self.tasks.get_mut(name) {
            if task.record.spec.trigger != spec.trigger {
                task.record.trigger_set = clock::now();
                task.schedule = spec.trigger.as_ref().and_then(|t| Schedule::new(t).ok());
            }
            task.record.spec = spec;
            if task.runs_events() {
                // a run of events would go on for long with the definition that it began with, and may have missed what is selected now
                task.record.after = Some((RunKind::Full, format!("edited by {by}")));
                task.tell(Stop::Finish);
            }
            self.store.put_task(&task.record);
        }
        self.events.push(Level::Info, Some((name, None)), format!("edited by {by}"));
        self.row(name)
    }

    async fn control(&mut self, name: &TaskName, action: Action, by: &str) -> Result<TaskView, ApiError> {
        let task = self.tasks.get_mut(name).ok_or_else(|| not_found(name))?;
        let next = step(task.situation(), action).map_err(|refusal| {
            let message = format!("cannot {} {name}: it {}", action.word(), refusal.why);
            ApiError::new(ErrorCode::Conflict, message).hint(refusal.hint.replace("TASK", name.as_str()))
        })?;
        let run = task.run.as_ref().map(|r| r.run);
        if next != Step::Nothing {
            self.events.push(Level::Info, Some((name, run)), format!("{} by {by}", action.word()));
        }
        match next {
            Step::Nothing => {}
            Step::Queue => self.queue(name, RunKind::Full, format!("manual by {by}")),
            Step::Compare => self.give_way(name, RunKind::Full, format!("manual by {by}")),
            Step::Requeue => self.set_phase(name, TaskPhase::Queued),
            Step::Unqueue => self.set_phase(name, TaskPhase::Paused),
            Step::Hold => self.set_phase(name, TaskPhase::Held),
            Step::Release => {
                task.record.trigger_set = clock::now();
                self.set_phase(name, TaskPhase::Rest);
            }
            Step::Suspend => self.tell(name, Stop::Suspend),
            Step::Cancel => self.tell(name, Stop::Cancel),
            Step::Discard => self.discard(name, by),
            Step::Remove => return self.remove(name).await,
        }
        self.fill_slots();
        self.row(name)
    }

    fn set_phase(&mut self, name: &TaskName, phase: TaskPhase) {
        if let Some(task) = self.tasks.get_mut(name) {
            task.record.phase = phase;
            self.store.put_task(&task.record);
        }
    }

    fn tell(&mut self, name: &TaskName, stop: Stop) {
        if let Some(task) = self.tasks.get(name) {
            task.tell(stop);
        }
    }

    /// Lets the events of a task give way to another run.
    fn give_way(&mut self, name: &TaskName, kind: RunKind, cause: String) {
        if let Some(task) = self.tasks.get_mut(name) {
            task.record.after = Some((kind, cause));
            self.store.put_task(&task.record);
            task.tell(Stop::Finish);
        }
    }

    /// Ends a run that is not going.
    fn discard(&mut self, name: &TaskName, by: &str) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        if let Some(run) = task.run.as_mut() {
            run.outcome = Some(RunOutcome::Cancelled);
            run.ended = Some(clock::now());
            run.error = Some(format!("stopped by {by}"));
            if let Some(counted) = task.counted.take() {
                run.tally.counters = counted;
            }
            self.store.put_run(task.record.uid, run);
            // a run that changes nothing has begun none
            let uploads = run.kind.writes().then(|| (task.record.uid, run.spec.clone()));
            if run.kind.writes() {
                task.copied = Some(run.clone());
            }
            if let Some((uid, spec)) = uploads {
                self.abort_uploads(uid, spec);
            }
        }
        let held = self.tasks.get(name).is_some_and(|task| task.record.held || task.queue().is_some());
        self.set_phase(name, if held { TaskPhase::Held } else { TaskPhase::Rest });
    }

    /// Aborts the uploads that no run will continue, by and by.
    fn abort_uploads(&self, uid: u64, spec: TaskSpec) {
        let (store, resources, events) = (self.store.clone(), Arc::clone(&self.resources), self.events.clone());
        tokio::spawn(async move {
            if let Err(error) = engine::abandon(&store, &resources, uid, &spec).await {
                events.push(Level::Warn, Some((&spec.name, None)), error);
            }
        });
    }

    /// Queues a run that changes nothing.
    fn begin_kind(&mut self, name: &TaskName, kind: RunKind, by: &str) -> Result<TaskView, ApiError> {
        let word = kind.view().word();
        if kind.writes() {
            return Err(ApiError::new(ErrorCode::Invalid, format!("{word} is not a kind of run that changes nothing: use plan or verify")));
        }
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let next = step(task.situation(), Action::Start).map_err(|refusal| {
            let message = format!("cannot {word} {name}: it {}", refusal.why);
            ApiError::new(ErrorCode::Conflict, message).hint(refusal.hint.replace("TASK", name.as_str()))
        })?;
        let cause = format!("{word} by {by}");
        match next {
            Step::Compare => self.give_way(name, kind, cause),
            _ => self.queue(name, kind, cause),
        }
        self.fill_slots();
        self.row(name)
    }

    /// Plans a definition under a name that no list shows.
    fn plan(&mut self, spec: TaskSpec, by: &str) -> Result<TaskView, ApiError> {
        admit(&spec, &self.resources.config())?;
        let broken = |e: &dyn std::fmt::Display| ApiError::new(ErrorCode::Unavailable, e.to_string());
        let uid = self.store.new_uid().map_err(|e| broken(&e))?;
        let name = TaskName::new(format!("_plan-{:016x}", rand::random::<u64>())).map_err(|e| broken(&e))?;
        tracing::info!(by, name = %spec.name, plan = %name, "plans a definition");
        let spec = TaskSpec { name: name.clone(), trigger: None, ..spec };
        let record = TaskRecord { hidden: true, ..TaskRecord::new(uid, spec, by, clock::now()) };
        self.store.put_task(&record);
        self.add(record, None);
        self.queue(&name, RunKind::Plan, format!("plan by {by}"));
        self.fill_slots();
        self.row(&name)
    }

    /// Forgets the plans of definitions that nobody has asked for in a while.
    pub(super) fn forget_plans(&mut self) {
        let old: Vec<TaskName> =
            self.tasks.iter().filter(|(_, t)| t.record.hidden && t.asked.elapsed() > PLAN_KEPT).map(|(name, _)| name.clone()).collect();
        for name in old {
            if self.tasks.get(&name).is_some_and(|t| t.active.is_some()) {
                self.tell(&name, Stop::Cancel);
            } else if let Some(task) = self.tasks.remove(&name) {
                self.lock_totals().remove(&name);
                self.forget(task.record.uid);
            }
        }
    }

    /// Removes what is recorded of a plan, by and by.
    pub(super) fn forget(&self, uid: u64) {
        let store = self.store.clone();
        tokio::spawn(async move {
            // what is left of it goes at the next start
            if let Err(error) = store.remove_task(uid).await {
                tracing::warn!("the records of a plan stay: {error}");
            }
        });
    }

    async fn remove(&mut self, name: &TaskName) -> Result<TaskView, ApiError> {
        let view = self.row(name)?;
        if let Some(task) = self.tasks.remove(name) {
            if !task.record.hidden {
                let spec = task.run.map_or(task.record.spec, |run| run.spec);
                self.abort_uploads(task.record.uid, spec);
            }
            let removed = self.store.remove_task(task.record.uid).await;
            removed.map_err(|e| ApiError::new(ErrorCode::Unavailable, e.to_string()))?;
        }
        self.lock_totals().remove(name);
        self.board.remove(name);
        Ok(view)
    }

    fn retry(&mut self, name: &TaskName, class: Option<FailureClass>, by: &str) -> Result<TaskView, ApiError> {
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let next = step(task.situation(), Action::Start).map_err(|refusal| {
            let message = format!("cannot retry {name}: it {}", refusal.why);
            ApiError::new(ErrorCode::Conflict, message).hint(refusal.hint.replace("TASK", name.as_str()))
        })?;
        // of events that go on, the record is as old as their begin
        let failures =
            if task.runs_events() { task.failures() } else { task.last_copy().map(|run| run.failures.clone()).unwrap_or_default() };
        let failed = failures.iter().any(|group| class.is_none_or(|c| c == group.class));
        let Some(run) = task.last_copy().filter(|_| failed) else {
            let of = class.map(|c| format!(" of class {c}")).unwrap_or_default();
            let message = format!("there is nothing to retry: the last run of {name} has no failed items{of}");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        };
        let of = run.run;
        let (kind, cause) = (RunKind::Retry { of, class }, format!("retry of run {of} by {by}"));
        match next {
            Step::Compare => self.give_way(name, kind, cause),
            _ => self.queue(name, kind, cause),
        }
        self.fill_slots();
        self.row(name)
    }
}
