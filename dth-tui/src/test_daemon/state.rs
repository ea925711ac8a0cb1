//! What the daemon for tests knows, and how it shows a task.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use dth_proto::{
    check::CheckStep,
    error::{ApiError, ErrorCode},
    event::{Event, Level},
    failure::{FailureGroup, FailureItem},
    id::{RequestId, TaskName},
    spec::TaskSpec,
    time::Timestamp,
    view::{Counters, ItemView, Problem, RunKind, RunOutcome, RunView, TaskState, TaskView},
};

/// 2026-12-01T02:00:00Z, when everything happens.
pub(crate) const NOW: Timestamp = Timestamp(1_796_090_400_000);

/// What the daemon knows; survives [`super::TestDaemon::stop`].
#[derive(Default)]
pub(crate) struct State {
    pub(crate) specs: BTreeMap<TaskName, TaskSpec>,
    pub(crate) runs: BTreeMap<TaskName, Vec<RunView>>,
    pub(crate) items: Vec<ItemView>,
    pub(crate) failures: Vec<FailureItem>,
    pub(crate) groups: Vec<FailureGroup>,
    pub(crate) events: Vec<Event>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) check: Vec<CheckStep>,
    /// Close the connection instead of answering so many mutations, after they were carried out.
    pub(crate) lose_answers: u32,
    /// Oldest and newest protocol spoken, when not ours.
    pub(crate) protocol: Option<(u32, u32)>,
    /// How many requests have begun to wait.
    pub(crate) waits: usize,
    /// Mutations carried out, each once.
    pub(crate) done: Vec<String>,
    pub(super) answers: HashMap<RequestId, Result<TaskView, ApiError>>,
}

impl State {
    pub(crate) fn view(&self, name: &TaskName) -> Result<TaskView, ApiError> {
        let spec = self.specs.get(name).ok_or_else(|| not_found(name))?;
        let run = self.runs.get(name).and_then(|runs| runs.last()).cloned();
        let state = match &run {
            Some(run) if run.outcome.is_none() => TaskState::Running,
            _ => TaskState::Idle,
        };
        let word = match run.as_ref().map(|r| r.outcome) {
            Some(Some(RunOutcome::Succeeded)) => "done".to_owned(),
            Some(Some(outcome)) => outcome.word().to_uppercase(),
            Some(None) => "running".to_owned(),
            None => "idle".to_owned(),
        };
        let (from, to) = spec.ends();
        let (from_where, to_where) = spec.places();
        Ok(TaskView {
            name: name.clone(),
            engine: spec.engine().to_owned(),
            state,
            word,
            from,
            to,
            from_where,
            to_where,
            labels: spec.labels.clone(),
            trigger: "manual".to_owned(),
            next_run: None,
            run,
            live: None,
            deletes: false,
            note: String::new(),
            created_by: "mli".to_owned(),
            created: NOW,
        })
    }

    /// A new run; queued when `outcome` is none and nothing was listed.
    pub(crate) fn add_run(&mut self, name: &str, outcome: Option<RunOutcome>, counters: Counters) {
        let task = TaskName::new(name).expect("good name");
        let runs = self.runs.entry(task.clone()).or_default();
        runs.push(RunView {
            task,
            run: u32::try_from(runs.len()).expect("few") + 1,
            kind: RunKind::Copy,
            outcome,
            started: Some(NOW),
            ended: outcome.map(|_| NOW.plus(Duration::from_secs(250))),
            duration_s: 250.0,
            counters,
            bytes_per_s: counters.bytes_copied / 250,
            listing_done: true,
            cause: "manual by mli".to_owned(),
            error: None,
        });
    }
}

pub(super) fn not_found(name: &TaskName) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no task {name}")).hint("dth list shows all tasks")
}

/// An event.
pub(crate) fn event(seq: u64, level: Level, task: Option<&str>, message: &str) -> Event {
    let task = task.map(|t| TaskName::new(t).expect("good name"));
    Event { seq, at: NOW, level, task, run: None, message: message.to_owned() }
}
