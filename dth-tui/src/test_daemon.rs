//! A daemon for tests: the real service on a real socket, with a small state in memory.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use dth_proto::{
    check::{CheckReply, CheckStep},
    doctor::{DoctorReply, Finding, Probe},
    error::{ApiError, ErrorCode},
    event::{Event, EventsReply, EventsRequest, Level},
    failure::{FailureClass, FailureGroup, FailureItem, FailuresReply, FailuresRequest, Side},
    handshake::{Hello, Welcome, negotiate, read_line, refusal, write_line},
    id::{Epoch, RequestId, TaskName},
    service::Dth,
    spec::TaskSpec,
    time::Timestamp,
    view::{
        Action, Cost, Counters, DaemonInfo, Explanation, Found, History, HistoryRequest, ItemView, ItemsReply, ItemsRequest, PlanReply,
        PlannedRequests, Problem, ProviderInfo, RunKind, RunOutcome, RunView, Summary, TaskDetail, TaskState, TaskView,
    },
    watch::{WatchReply, WatchRequest},
    wire,
};
use futures::StreamExt;
use tarpc::{
    context::Context,
    server::{BaseChannel, Channel},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, oneshot, watch},
    time::timeout,
};

/// 2026-12-01T02:00:00Z, when everything happens.
pub(crate) const NOW: Timestamp = Timestamp(1_796_090_400_000);

/// What the daemon knows; survives [`TestDaemon::stop`].
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
    answers: HashMap<RequestId, Result<TaskView, ApiError>>,
}

/// The state, and who wants to know when it changes.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), version: watch::Sender::new(1) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    /// Changes the state and wakes everybody.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.lock());
        self.version.send_modify(|v| *v += 1);
        self.changed.notify_all();
        value
    }

    /// Waits until the state is as wanted; a minute is the end of patience.
    pub(crate) fn until(&self, wanted: impl Fn(&State) -> bool) {
        let ended = self.changed.wait_timeout_while(self.lock(), Duration::from_mins(1), |state| !wanted(state));
        assert!(!ended.expect("not poisoned").1.timed_out(), "the daemon never came into the state wanted");
    }
}

/// A running daemon on a thread of its own; dropping it stops it.
pub(crate) struct TestDaemon {
    pub(crate) shared: Arc<Shared>,
    pub(crate) socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestDaemon {
    /// Listens on `socket` with the state given.
    pub(crate) fn start(socket: &Path, shared: Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, listening) = std::sync::mpsc::channel();
        let (path, state) = (socket.to_owned(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let epoch = Epoch::random();
                let listener = UnixListener::bind(&path).expect("a free path");
                ready.send(()).expect("the test waits");
                let accept = async {
                    loop {
                        let (io, _) = listener.accept().await.expect("a listener");
                        tokio::spawn(connection(io, Arc::clone(&state), epoch.clone()));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
            drop(runtime);
            std::fs::remove_file(&path).expect("the socket is ours");
        });
        listening.recv().expect("the daemon listens");
        Self { shared, socket: socket.to_owned(), stop: Some(stop), thread: Some(thread) }
    }

    /// Stops it; all connections break, the socket is gone.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // a second panic would hide the first
            assert!(ended.is_ok() || std::thread::panicking(), "the daemon panicked");
        }
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connection(mut io: UnixStream, shared: Arc<Shared>, epoch: Epoch) {
    let Ok(line) = read_line(&mut io).await else { return };
    let hello = Hello::parse(&line).expect("a client says hello");
    let (min, max) = shared.lock().protocol.unwrap_or((dth_proto::PROTOCOL_MIN, dth_proto::PROTOCOL_MAX));
    let answer = match negotiate(&hello, min, max, "9.0") {
        Ok(protocol) => {
            let [name, boot, user, role] = ["dthd/9.0", &epoch.0, "mli", "operator"].map(str::to_owned);
            Welcome { protocol, name, boot, user, role }.line()
        }
        Err(say) => refusal("version", &say),
    };
    let refused = answer.contains(" err ");
    if write_line(&mut io, &answer).await.is_err() || refused {
        return;
    }
    let hangup = Arc::new(Notify::new());
    let service = Service { shared, epoch, hangup: Arc::clone(&hangup) };
    let serve = BaseChannel::with_defaults(wire::transport(io)).execute(service.serve()).for_each_concurrent(None, |answer| answer);
    tokio::select! {
        () = serve => {}
        () = hangup.notified() => {}
    }
}

#[derive(Clone)]
struct Service {
    shared: Arc<Shared>,
    epoch: Epoch,
    hangup: Arc<Notify>,
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

fn not_found(name: &TaskName) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no task {name}")).hint("dth list shows all tasks")
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

    async fn create(self, _: Context, id: RequestId, spec: TaskSpec, start: bool) -> Result<TaskView, ApiError> {
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

    async fn edit(self, _: Context, id: RequestId, name: TaskName, spec: TaskSpec) -> Result<TaskView, ApiError> {
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

    async fn control(self, _: Context, id: RequestId, name: TaskName, action: Action) -> Result<TaskView, ApiError> {
        self.mutate(id, &format!("{} {name}", action.word()), |state| {
            let view = state.view(&name)?;
            match action {
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

/// An event.
pub(crate) fn event(seq: u64, level: Level, task: Option<&str>, message: &str) -> Event {
    let task = task.map(|t| TaskName::new(t).expect("good name"));
    Event { seq, at: NOW, level, task, run: None, message: message.to_owned() }
}
