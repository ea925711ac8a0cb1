//! The service: who may call what, and one call to a handle per method.

use std::{sync::Arc, time::Duration};

use dth_proto::{
    check::CheckReply,
    doctor::DoctorReply,
    error::{ApiError, ErrorCode},
    event::{EventsReply, EventsRequest},
    failure::{FailureClass, FailuresReply, FailuresRequest},
    id::{RequestId, TaskName},
    service::Dth,
    spec::{Store as S3Store, TaskSpec, Trigger},
    time::Timestamp,
    view::{
        self, Action, DaemonInfo, Explanation, History, HistoryRequest, ItemsReply, ItemsRequest, PlanReply, ProviderInfo, RunView,
        TaskDetail, TaskView,
    },
    watch::{WatchReply, WatchRequest},
    wire::{MAX_WAIT, PAGE},
};
use tarpc::context::Context;
use tokio::sync::watch;

use super::{board::Board, check::Checks, doctor::Doctors, explain::explain, session::Session, watch::watch as answer_watch};
use crate::{
    event::EventLog,
    metrics::cloudwatch::Health,
    price::costs,
    s3::provider,
    store::{RunKind, Store},
    task::{
        self, Handle,
        failure::Groups,
        handle::{Change, not_found},
        view::run_view,
    },
    transfer::resources::Resources,
};

/// What every connection shares.
pub struct Shared {
    /// The state clients see.
    pub board: Board,
    /// What happened.
    pub events: EventLog,
    /// The owner of the tasks.
    pub tasks: Handle,
    /// Records.
    pub store: Store,
    /// Configuration and limits.
    pub resources: Arc<Resources>,
    /// Preflights.
    pub checks: Checks,
    /// Examinations of stores.
    pub doctors: Doctors,
    /// When the daemon started.
    pub started: Timestamp,
    /// How publishing metrics is going; `None`: off.
    pub metrics: Option<watch::Receiver<Health>>,
}

/// The service as one connection sees it. tarpc clones it for every request.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
    session: Session,
}

impl Api {
    /// The service for one connection.
    #[must_use]
    pub fn new(shared: Arc<Shared>, session: Session) -> Self {
        Self { shared, session }
    }

    async fn change(&self, id: RequestId, change: Change) -> Result<TaskView, ApiError> {
        self.shared.tasks.change(id, &self.session.user, change).await
    }

    /// uid and number of the run asked for, or else the newest.
    async fn run_of(&self, name: &TaskName, run: Option<u32>) -> Result<(u64, u32), ApiError> {
        let (uid, newest) = self.shared.tasks.newest(name.clone()).await?;
        match run {
            Some(run) if run == 0 || run > newest => {
                Err(ApiError::new(ErrorCode::NotFound, format!("{name} has no run {run}: its newest is {newest}")))
            }
            run => Ok((uid, run.unwrap_or(newest))),
        }
    }

    /// Everything handed to the writer can be read after this.
    async fn settled(&self) -> Result<(), ApiError> {
        self.shared.store.writer().applied().await.map_err(|e| ApiError::new(ErrorCode::Unavailable, e.to_string()))
    }
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string()).hint("dthd state check tells what is damaged; stop dthd first")
}

impl Dth for Api {
    async fn info(self, _: Context) -> Result<DaemonInfo, ApiError> {
        let Shared { board, resources, store, started, metrics, .. } = &*self.shared;
        let config = resources.config();
        let credentials = config.credentials.iter().map(|(name, spec)| (name.clone(), spec.kind().to_owned())).collect();
        let host = nix::unistd::gethostname().map_or_else(|_| String::new(), |h| h.to_string_lossy().into_owned());
        Ok(DaemonInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: self.session.protocol,
            epoch: board.epoch().clone(),
            started: *started,
            host,
            pid: std::process::id(),
            config_file: config.file.as_ref().map(|f| f.display().to_string()),
            state_dir: store.dir().display().to_string(),
            credentials,
            memory: (resources.budget.used(), resources.budget.limit()),
            metrics: metrics.as_ref().map(|health| health.borrow().to_string()),
            user: self.session.user.clone(),
            role: self.session.role.word().to_owned(),
            verdict: board.verdict(),
        })
    }

    async fn watch(self, _: Context, request: WatchRequest) -> Result<WatchReply, ApiError> {
        let Shared { board, events, tasks, .. } = &*self.shared;
        answer_watch(board, events, tasks, request).await
    }

    async fn events(self, _: Context, request: EventsRequest) -> Result<EventsReply, ApiError> {
        Ok(self.shared.events.answer(&request).await)
    }

    async fn history(self, _: Context, request: HistoryRequest) -> Result<History, ApiError> {
        self.shared.tasks.history(request).await
    }

    async fn task(self, _: Context, name: TaskName) -> Result<TaskDetail, ApiError> {
        Ok(*self.shared.tasks.detail(name).await?)
    }

    async fn runs(self, _: Context, name: TaskName, before: Option<u32>, limit: u32) -> Result<Vec<RunView>, ApiError> {
        let current = self.shared.tasks.detail(name.clone()).await?.view.run;
        let Ok((uid, _)) = self.shared.tasks.newest(name.clone()).await else { return Ok(Vec::new()) };
        self.settled().await?;
        let records = self.shared.store.runs(uid, before, limit.clamp(1, PAGE) as usize).map_err(unreadable)?;
        // the record of a run that is going is as old as its checkpoint
        let fresh = |r: crate::store::RunRecord| match &current {
            Some(run) if run.run == r.run => run.clone(),
            _ => run_view(&name, &r, &r.tally.counters),
        };
        Ok(records.into_iter().map(fresh).collect())
    }

    async fn wait_run(self, _: Context, name: TaskName, max_wait_ms: u32) -> Result<RunView, ApiError> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(max_wait_ms.into()).min(MAX_WAIT);
        let mut changed = self.shared.board.subscribe();
        loop {
            changed.mark_unchanged();
            let view = self.shared.board.task(&name).ok_or_else(|| not_found(&name))?;
            let never = || ApiError::new(ErrorCode::NotFound, format!("{name} has never run")).hint(format!("dth start {name}"));
            let run = view.run.ok_or_else(never)?;
            if run.outcome.is_some() || !matches!(tokio::time::timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                return Ok(run);
            }
        }
    }

    async fn failures(self, _: Context, name: TaskName, request: FailuresRequest) -> Result<FailuresReply, ApiError> {
        let (uid, run) = self.run_of(&name, request.run).await?;
        self.settled().await?;
        let store = self.shared.store.clone();
        let answer = move || {
            let mut groups = Groups::default();
            store.each_failure(uid, run, |item| groups.add(&item))?;
            let limit = request.limit.clamp(1, PAGE) as usize;
            let wanted = |record: &crate::store::item::ItemRecord| record.is_failure(request.class);
            let (items, next) = store.items(uid, run, "", request.after.as_deref(), limit, wanted)?;
            let items = items.into_iter().filter_map(|(key, record)| record.failure(key)).collect();
            Ok::<_, crate::store::StoreError>(FailuresReply { run, groups: groups.list(), items, next })
        };
        tokio::task::spawn_blocking(answer).await.map_err(unreadable)?.map_err(unreadable)
    }

    async fn items(self, _: Context, name: TaskName, request: ItemsRequest) -> Result<ItemsReply, ApiError> {
        let (uid, run) = self.run_of(&name, request.run).await?;
        self.settled().await?;
        let store = self.shared.store.clone();
        let answer = move || {
            let limit = request.limit.clamp(1, PAGE) as usize;
            let prefix = request.prefix.as_deref().unwrap_or("");
            let wanted = |r: &crate::store::item::ItemRecord| request.outcome.as_deref().is_none_or(|outcome| outcome == r.outcome.word());
            let (items, next) = store.items(uid, run, prefix, request.after.as_deref(), limit, wanted)?;
            let items = items.into_iter().map(|(key, record)| record.view(key)).collect();
            Ok::<_, crate::store::StoreError>(ItemsReply { run, items, next })
        };
        tokio::task::spawn_blocking(answer).await.map_err(unreadable)?.map_err(unreadable)
    }

    async fn plan(self, _: Context, name: TaskName, run: Option<u32>, max_wait_ms: u32) -> Result<PlanReply, ApiError> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(max_wait_ms.into()).min(MAX_WAIT);
        let mut ends = self.shared.tasks.ends();
        let (uid, number) = match run {
            Some(run) => self.run_of(&name, Some(run)).await?,
            None => self.shared.tasks.planned(name.clone()).await?,
        };
        loop {
            ends.mark_unchanged();
            self.settled().await?;
            let stored = self.shared.store.run(uid, number).map_err(unreadable)?;
            let record = stored.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("{name} has no run {number}")))?;
            if record.kind.writes() {
                let message = format!("run {number} of {name} is no plan: it is a {} run", record.kind.view().word());
                return Err(ApiError::new(ErrorCode::Invalid, message).hint(format!("dth report {name} --run {number} has what it did")));
            }
            if record.outcome.is_some() || !matches!(tokio::time::timeout_at(deadline, ends.changed()).await, Ok(Ok(()))) {
                let mut detail = *self.shared.tasks.detail(name.clone()).await?;
                // while it goes on, the record is as old as its checkpoint
                if detail.view.run.as_ref().is_none_or(|run| run.run != number) || record.outcome.is_some() {
                    detail.view.run = Some(run_view(&name, &record, &record.tally.counters));
                    (detail.planned, detail.skipped) = (record.tally.planned.to_map(), record.tally.skipped.to_map());
                }
                let counters = detail.view.run.as_ref().map(|run| run.counters).unwrap_or_default();
                let prices = self.shared.resources.config().prices.clone();
                let (costs, unknown) = costs(&record.spec, &counters, &record.tally.requests, &prices);
                return Ok(PlanReply { detail, requests: record.tally.requests.view(), costs, unknown });
            }
        }
    }

    async fn explain(self, _: Context, name: TaskName, key: String) -> Result<Explanation, ApiError> {
        self.settled().await?;
        explain(&self.shared, name, key).await
    }

    async fn begin(self, _: Context, id: RequestId, name: TaskName, kind: view::RunKind) -> Result<TaskView, ApiError> {
        let kind = match kind {
            view::RunKind::Plan => RunKind::Plan,
            view::RunKind::Verify => RunKind::Verify,
            other => {
                let message = format!("a {} run cannot be begun like this: use plan or verify", other.word());
                return Err(ApiError::new(ErrorCode::Invalid, message));
            }
        };
        self.change(id, Change::Begin { name, kind }).await
    }

    async fn plan_spec(self, _: Context, id: RequestId, spec: TaskSpec) -> Result<TaskView, ApiError> {
        self.change(id, Change::Plan { spec }).await
    }

    async fn create(self, _: Context, id: RequestId, spec: TaskSpec, start: bool, confirm: Option<TaskName>) -> Result<TaskView, ApiError> {
        self.change(id, Change::Create { spec, start, confirm }).await
    }

    async fn edit(
        self,
        _: Context,
        id: RequestId,
        name: TaskName,
        spec: TaskSpec,
        confirm: Option<TaskName>,
    ) -> Result<TaskView, ApiError> {
        self.change(id, Change::Edit { name, spec, confirm }).await
    }

    async fn clone_task(self, _: Context, id: RequestId, name: TaskName, new: TaskName) -> Result<TaskView, ApiError> {
        self.change(id, Change::Clone { name, new }).await
    }

    async fn control(
        self,
        _: Context,
        id: RequestId,
        name: TaskName,
        action: Action,
        confirm: Option<TaskName>,
    ) -> Result<TaskView, ApiError> {
        self.change(id, Change::Control { name, action, confirm }).await
    }

    async fn retry(self, _: Context, id: RequestId, name: TaskName, class: Option<FailureClass>) -> Result<TaskView, ApiError> {
        self.change(id, Change::Retry { name, class }).await
    }

    async fn check_start(self, _: Context, spec: TaskSpec) -> Result<u64, ApiError> {
        task::admit::admit(&spec, &self.shared.resources.config())?;
        Ok(self.shared.checks.start(spec, &self.shared.resources))
    }

    async fn setup_events(self, _: Context, id: RequestId, name: TaskName, policy: bool) -> Result<u64, ApiError> {
        let spec = self.shared.tasks.detail(name.clone()).await?.spec;
        if !matches!(spec.trigger, Some(Trigger::Events { .. })) {
            let message =
                format!("{name} has no events: its trigger is {}", spec.trigger.as_ref().map_or("manual".to_owned(), ToString::to_string));
            return Err(ApiError::new(ErrorCode::Conflict, message).hint("add [trigger.events] with a queue to its definition: dth edit"));
        }
        Ok(self.shared.checks.set_up(&id, spec, policy, &self.shared.resources))
    }

    async fn check_poll(self, _: Context, job: u64, seen: u32, max_wait_ms: u32) -> Result<CheckReply, ApiError> {
        self.shared.checks.poll(job, seen, Duration::from_millis(max_wait_ms.into()).min(MAX_WAIT)).await
    }

    async fn doctor_start(self, _: Context, store: S3Store) -> Result<u64, ApiError> {
        self.shared.doctors.start(store, &self.shared.resources)
    }

    async fn doctor_poll(self, _: Context, job: u64, seen: u32, max_wait_ms: u32) -> Result<DoctorReply, ApiError> {
        self.shared.doctors.poll(job, seen, Duration::from_millis(max_wait_ms.into()).min(MAX_WAIT)).await
    }

    async fn providers(self, _: Context) -> Result<Vec<ProviderInfo>, ApiError> {
        let info = |profile: &provider::Profile| ProviderInfo {
            name: profile.name.clone(),
            title: profile.title.clone(),
            regions: profile.regions.clone(),
            needs_endpoint: !profile.has_place(),
        };
        Ok(provider::all().into_iter().map(info).collect())
    }
}
