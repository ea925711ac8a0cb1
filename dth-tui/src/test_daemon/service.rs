//! The daemon for tests as clients see it: every method of the service.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dth_proto::{
    check::CheckReply,
    doctor::{DoctorReply, Finding, Probe},
    error::{ApiError, ErrorCode},
    event::{Event, EventsReply, EventsRequest},
    failure::{FailureClass, FailuresReply, FailuresRequest, Side},
    id::{Epoch, RequestId, TaskName},
    service::Dth,
    spec::TaskSpec,
    view::{
        Action, Cost, DaemonInfo, Explanation, Found, History, HistoryRequest, ItemsReply, ItemsRequest, PlanReply, PlannedRequests,
        ProviderInfo, RunKind, RunView, Summary, TaskDetail, TaskState, TaskView,
    },
    watch::{WatchReply, WatchRequest},
    wire,
};
use tarpc::context::Context;
use tokio::{sync::Notify, time::timeout};

use super::{
    Shared,
    state::{NOW, State, not_found},
};

#[derive(Clone)]
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) epoch: Epoch,
    pub(super) hangup: Arc<Notify>,
}

impl Service {
    /// Waits until `ready` gives something, at most `ms`.
    async fn wait<T>(&self, ms: u32, ready: impl Fn(&State) -> Option<T>) -> Option<T> {
        let mut version = self.shared.version.subscribe();
        if let Some(value) = ready(&self.shared.lock()) {
            return Some(value);
        }
        // no new version: nobody waits for this but the test
        self.shared.lock().waits += 1;
        self.shared.changed.notify_all();
        timeout(Duration::from_millis(ms.into()), async {
            loop {
                version.changed().await.expect("the sender is ours");
                if let Some(value) = ready(&self.shared.lock()) {
                    return value;
                }
            }
        })
        .await
        .ok()
    }

    /// Carries a mutation out once per id; may lose the answer.
    async fn mutate(
        &self,
        id: RequestId,
        what: &str,
        change: impl FnOnce(&mut State) -> Result<TaskView, ApiError>,
    ) -> Result<TaskView, ApiError> {
        let (answer, lose) = self.shared.change(|state| {
            let answer = match state.answers.get(&id) {
                Some(known) => known.clone(),
                None => {
                    let answer = change(state);
                    state.done.push(what.to_owned());
                    state.answers.insert(id, answer.clone());
                    answer
                }
            };
            let lose = state.lose_answers > 0;
            state.lose_answers = state.lose_answers.saturating_sub(1);
            (answer, lose)
        });
        if lose {
            self.hangup.notify_one();
            std::future::pending::<()>().await;
        }
        answer
    }
}

impl Dth for Service {
    async fn info(self, _: Context) -> Result<DaemonInfo, ApiError> {
        Ok(DaemonInfo {
            version: "9.0".to_owned(),
            protocol: 1,
            epoch: self.epoch,
            started: NOW,
            host: "xfer-bj-01".to_owned(),
            pid: 7,
            config_file: None,
            state_dir: "/var/lib/dth".to_owned(),
            credentials: Vec::new(),
            memory: (0, 1),
            metrics: None,
            user: "mli".to_owned(),
            role: "operator".to_owned(),
            verdict: "all well".to_owned(),
        })
    }

    async fn watch(self, _: Context, request: WatchRequest) -> Result<WatchReply, ApiError> {
        let seen = (request.epoch.as_ref() == Some(&self.epoch)).then_some(request.seq);
        let version = || *self.shared.version.borrow();
        self.wait(request.max_wait_ms, |_| (seen != Some(version())).then_some(())).await;
        let state = self.shared.lock();
        let changed = state.specs.keys().map(|name| state.view(name)).collect::<Result<_, _>>()?;
        let ok = state.problems.is_empty();
        let verdict = if ok { "all well".to_owned() } else { "there are problems".to_owned() };
        Ok(WatchReply {
            epoch: self.epoch.clone(),
            seq: version(),
            full: true,
            summary: Some(Summary { ok, verdict, tasks: state.specs.len() as u64, ..Summary::default() }),
            problems: Some(state.problems.clone()),
            changed,
            removed: Vec::new(),
            focus: None,
            events_head: state.events.len() as u64,
            held_ms: 0,
        })
    }

    async fn events(self, _: Context, request: EventsRequest) -> Result<EventsReply, ApiError> {
        let after = if request.epoch.as_ref().is_none_or(|e| *e == self.epoch) { request.after } else { 0 };
        let wanted =
            |e: &&Event| e.seq > after && e.level >= request.level && request.task.as_ref().is_none_or(|t| e.task.as_ref() == Some(t));
        let ready = |state: &State| {
            let events: Vec<Event> = state.events.iter().filter(wanted).cloned().collect();
            (!events.is_empty()).then_some(events)
        };
        let events = self.wait(request.wait_ms, ready).await.unwrap_or_default();
        let next = self.shared.lock().events.last().map_or(0, |e| e.seq);
        Ok(EventsReply { epoch: self.epoch, events, next })
    }

    async fn history(self, _: Context, _: HistoryRequest) -> Result<History, ApiError> {
        Ok(History { until: NOW, slot_s: 1.0, bytes: Vec::new(), objects: Vec::new(), failed: Vec::new() })
    }

    async fn task(self, _: Context, name: TaskName) -> Result<TaskDetail, ApiError> {
        let state = self.shared.lock();
        Ok(TaskDetail {
            view: state.view(&name)?,
            spec: state.specs[&name].clone(),
            phases: Vec::new(),
            in_flight: Vec::new(),
            in_flight_count: 0,
            memory: (0, 1),
            bandwidth: None,
            sizes: Vec::new(),
            largest: 0,
            skipped: BTreeMap::new(),
            planned: [].into(),
            verified: [("md5".to_owned(), 7)].into(),
            failures: state.groups.clone(),
            best_rate: 0,
            events: None,
        })
    }

    async fn runs(self, _: Context, name: TaskName, before: Option<u32>, limit: u32) -> Result<Vec<RunView>, ApiError> {
        let state = self.shared.lock();
        state.view(&name)?;
        let runs = state.runs.get(&name).map(Vec::as_slice).unwrap_or_default();
        // three at a time, so that paging is needed
        let limit = limit.min(3) as usize;
        Ok(runs.iter().rev().filter(|r| before.is_none_or(|b| r.run < b)).take(limit).cloned().collect())
    }

    async fn wait_run(self, _: Context, name: TaskName, max_wait_ms: u32) -> Result<RunView, ApiError> {
        let last = |state: &State| state.runs.get(&name).and_then(|r| r.last()).cloned();
        let none = || ApiError::new(ErrorCode::NotFound, format!("{name} has never run")).hint(format!("dth start {name}"));
        let before = last(&self.shared.lock()).ok_or_else(none)?;
        let ended = |state: &State| last(state).filter(|run| run.outcome.is_some() || run.run != before.run);
        let run = self.wait(max_wait_ms, ended).await.or_else(|| last(&self.shared.lock()));
        run.ok_or_else(none)
    }

    async fn failures(self, _: Context, _: TaskName, request: FailuresRequest) -> Result<FailuresReply, ApiError> {
        let state = self.shared.lock();
        let mut rest = state
            .failures
            .iter()
            .filter(|f| request.class.is_none_or(|c| c == f.class) && request.after.as_ref().is_none_or(|a| f.key > *a))
            .cloned();
        let items: Vec<_> = rest.by_ref().take(2).collect();
        let next = rest.next().and_then(|_| items.last().map(|f| f.key.clone()));
        Ok(FailuresReply { run: request.run.unwrap_or(1), groups: state.groups.clone(), items, next })
    }

    async fn items(self, _: Context, _: TaskName, request: ItemsRequest) -> Result<ItemsReply, ApiError> {
        let state = self.shared.lock();
        let mut rest = state
            .items
            .iter()
            .filter(|i| request.outcome.as_ref().is_none_or(|o| *o == i.outcome))
            .filter(|i| request.prefix.as_ref().is_none_or(|p| i.key.starts_with(p)))
            .filter(|i| request.after.as_ref().is_none_or(|a| i.key > *a))
            .cloned();
        let items: Vec<_> = rest.by_ref().take(2).collect();
        let next = rest.next().and_then(|_| items.last().map(|i| i.key.clone()));
        Ok(ItemsReply { run: request.run.unwrap_or(1), items, next })
    }

    async fn create(self, _: Context, id: RequestId, spec: TaskSpec, start: bool, _: Option<TaskName>) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("create {} start={start}", spec.name), |state| {
            let name = spec.name.clone();
            if state.specs.contains_key(&name) {
                return Err(ApiError::new(ErrorCode::AlreadyExists, format!("there is a task {name} already")));
            }
            state.specs.insert(name.clone(), spec);
            state.view(&name)
        })
        .await
    }

    async fn edit(self, _: Context, id: RequestId, name: TaskName, spec: TaskSpec, _: Option<TaskName>) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("edit {name}"), |state| {
            state.specs.remove(&name).ok_or_else(|| not_found(&name))?;
            let new = spec.name.clone();
            state.specs.insert(new.clone(), spec);
            state.view(&new)
        })
        .await
    }

    async fn clone_task(self, _: Context, id: RequestId, name: TaskName, new: TaskName) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("clone {name} {new}"), |state| {
            let spec = state.specs.get(&name).cloned().ok_or_else(|| not_found(&name))?;
            state.specs.insert(new.clone(), TaskSpec { name: new.clone(), ..spec });
            state.view(&new)
        })
        .await
    }

    async fn control(
        self,
        _: Context,
        id: RequestId,
        name: TaskName,
        action: Action,
        confirm: Option<TaskName>,
    ) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("{} {name}", action.word()), |state| {
            let view = state.view(&name)?;
            match action {
                Action::Start if state.specs.get(&name).is_some_and(TaskSpec::deletes) && confirm.as_ref() != Some(&name) => {
                    return Err(ApiError::new(ErrorCode::Unconfirmed, format!("{name} deletes objects: name it once more")));
                }
                Action::Delete => {
                    state.specs.remove(&name);
                }
                Action::Pause if view.state != TaskState::Running => {
                    return Err(ApiError::new(ErrorCode::Conflict, format!("{name} is idle: there is no run to pause")));
                }
                _ => {}
            }
            Ok(view)
        })
        .await
    }

    async fn plan(self, _: Context, name: TaskName, run: Option<u32>, _: u32) -> Result<PlanReply, ApiError> {
        let mut detail = self.clone().task(wire::context(), name.clone()).await?;
        let state = self.shared.lock();
        let runs = state.runs.get(&name).map(Vec::as_slice).unwrap_or_default();
        let found = runs.iter().rev().find(|r| run.map_or(!r.kind.writes(), |wanted| wanted == r.run)).cloned();
        detail.view.run = Some(found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("{name} has no plan")))?);
        let request = |side, operation: &str, count| PlannedRequests { side, operation: operation.to_owned(), count };
        let requests = vec![request(Side::Source, "GetObject", 7), request(Side::Destination, "PutObject", 7)];
        let cost = |side, what: &str, usd: Option<f64>| Cost { side, what: what.to_owned(), amount: 7, price: usd, usd };
        let costs = vec![cost(Side::Source, "reads", Some(0.5)), cost(Side::Destination, "writes", None)];
        Ok(PlanReply { detail, requests, costs, unknown: vec!["the price of writes is not known".to_owned()] })
    }

    async fn explain(self, _: Context, name: TaskName, key: String) -> Result<Explanation, ApiError> {
        let state = self.shared.lock();
        state.view(&name)?;
        Ok(Explanation {
            destination: Some(format!("to/{key}")),
            source_now: Found::There { size: 5, etag: "e1".to_owned() },
            destination_now: Found::Missing,
            rule: None,
            recorded: None,
            last: state.items.iter().find(|item| item.key == key).map(|item| (1, item.clone())),
            next: "copy it: the destination does not have it (missing)".to_owned(),
            key,
        })
    }

    async fn begin(self, _: Context, id: RequestId, name: TaskName, kind: RunKind) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("{} {name}", kind.word()), |state| state.view(&name)).await
    }

    async fn plan_spec(self, _: Context, id: RequestId, spec: TaskSpec) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("plan {}", spec.name), |state| {
            state.specs.insert(spec.name.clone(), spec.clone());
            state.view(&spec.name)
        })
        .await
    }

    async fn retry(self, _: Context, id: RequestId, name: TaskName, class: Option<FailureClass>) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("retry {name} {class:?}"), |state| state.view(&name)).await
    }

    async fn check_start(self, _: Context, spec: TaskSpec) -> Result<u64, ApiError> {
        match spec.problems().first() {
            None => Ok(1),
            Some(problem) => Err(ApiError::new(ErrorCode::Invalid, problem.to_string())),
        }
    }

    async fn setup_events(self, _: Context, _: RequestId, name: TaskName, _: bool) -> Result<u64, ApiError> {
        self.shared.lock().view(&name)?;
        Ok(1)
    }

    async fn check_poll(self, _: Context, job: u64, seen: u32, max_wait_ms: u32) -> Result<CheckReply, ApiError> {
        let steps = |state: &State| state.check.clone();
        let more = |state: &State| (state.check.len() > seen as usize).then(|| steps(state));
        let all = self.wait(max_wait_ms, more).await.unwrap_or_default();
        // one more step per poll, so that polling is needed
        let shown: Vec<_> = all.iter().take(seen as usize + usize::try_from(job).expect("small")).cloned().collect();
        let done = shown.len() == all.len();
        Ok(CheckReply { steps: shown, done })
    }

    async fn doctor_start(self, _: Context, store: dth_proto::spec::Store) -> Result<u64, ApiError> {
        match store.bucket.as_str() {
            "" => Err(ApiError::new(ErrorCode::Invalid, "store.bucket: is missing")),
            _ => Ok(1),
        }
    }

    async fn doctor_poll(self, _: Context, _: u64, seen: u32, _: u32) -> Result<DoctorReply, ApiError> {
        let probe = |name: &str, works, answer: &str| Probe { name: name.to_owned(), works, answer: answer.to_owned() };
        let all = [probe("put", Finding::Yes, ""), probe("tags", Finding::No, "501 NotImplemented")];
        // one more per poll, so that polling is needed
        let probes: Vec<_> = all.iter().take(seen as usize + 1).cloned().collect();
        let done = probes.len() == all.len();
        let profile = done.then(|| "[provider.my-store]\ntags = false\n".to_owned());
        let differs = if done { vec![("tags".to_owned(), "true".to_owned(), "false".to_owned())] } else { Vec::new() };
        Ok(DoctorReply { probes, done, profile, differs, requests: 3, ..DoctorReply::default() })
    }

    async fn providers(self, _: Context) -> Result<Vec<ProviderInfo>, ApiError> {
        let info = |name: &str, regions: &[&str]| ProviderInfo {
            name: name.to_owned(),
            title: name.to_uppercase(),
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            needs_endpoint: regions.is_empty(),
        };
        Ok(vec![info("aws", &["cn-north-1", "us-east-1"]), info("minio", &[])])
    }
}
