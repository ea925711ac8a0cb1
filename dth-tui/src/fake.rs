//! A daemon for tests: the real service and handshake over an in-memory stream, with state that a test sets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dth_proto::{
    check::CheckReply,
    connect::{self, Connection},
    error::{ApiError, ErrorCode},
    event::{EventsReply, EventsRequest},
    failure::{FailureClass, FailuresReply, FailuresRequest},
    handshake::{self, Welcome},
    id::{Epoch, RequestId, TaskName},
    service::Dth,
    spec::TaskSpec,
    view::{
        Action, DaemonInfo, Explanation, History, HistoryRequest, ItemsReply, ItemsRequest, PlanReply, RunKind, RunView, TaskDetail,
        TaskView,
    },
    watch::{Mirror, WatchReply, WatchRequest},
    wire,
};
use futures::StreamExt;
use tarpc::{
    context::Context,
    server::{BaseChannel, Channel},
};
use tokio::sync::watch;

use crate::model::{Model, sample};

/// The daemon; clones share their state.
#[derive(Clone)]
pub(crate) struct Fake {
    state: watch::Sender<(u64, Mirror)>,
    model: Arc<Model>,
    /// Longest time a watch is held, whatever the client allows.
    hold: Duration,
    /// Watches answered.
    pub(crate) watches: Arc<AtomicU32>,
    /// The focus of the last watch.
    pub(crate) focus: watch::Sender<Option<TaskName>>,
    /// Ends all connections when it changes.
    cut: watch::Sender<u32>,
}

impl Fake {
    /// A daemon in the state of the sample model.
    pub(crate) fn new(hold: Duration) -> Self {
        let model = sample::typical();
        Self {
            state: watch::Sender::new((1, model.mirror.clone())),
            model: Arc::new(model),
            hold,
            watches: Arc::default(),
            focus: watch::Sender::new(None),
            cut: watch::Sender::new(0),
        }
    }

    /// Changes the state; every watch is answered.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Mirror)) {
        self.state.send_modify(|(seq, mirror)| {
            *seq += 1;
            change(mirror);
        });
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> Result<Connection, String> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(self.clone().serve_one(far));
        connect::over(near, "dth/test").await.map_err(|e| e.to_string())
    }

    async fn serve_one(self, mut io: tokio::io::DuplexStream) {
        handshake::read_line(&mut io).await.expect("a hello");
        let welcome = Welcome {
            protocol: 1,
            name: "dthd/0.4.1".to_owned(),
            boot: "6f1c".to_owned(),
            user: "mli".to_owned(),
            role: "operator".to_owned(),
        };
        handshake::write_line(&mut io, &welcome.line()).await.expect("written");
        let mut cut = self.cut.subscribe();
        let requests = BaseChannel::with_defaults(wire::transport(io)).execute(self.serve());
        tokio::select! {
            () = requests.for_each_concurrent(None, |request| request) => {}
            _ = cut.changed() => {}
        }
    }
}

fn no<T>(what: &str) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::NotFound, format!("no {what} here")))
}

impl Dth for Fake {
    async fn info(self, _: Context) -> Result<DaemonInfo, ApiError> {
        Ok(self.model.info.clone().expect("the sample has it"))
    }

    async fn watch(self, _: Context, request: WatchRequest) -> Result<WatchReply, ApiError> {
        self.focus.send_replace(request.focus.clone());
        let mut state = self.state.subscribe();
        let full = request.epoch.is_none();
        let hold = self.hold.min(Duration::from_millis(request.max_wait_ms.into()));
        let changed = full || tokio::time::timeout(hold, state.wait_for(|(seq, _)| *seq > request.seq)).await.is_ok();
        let (seq, mirror) = state.borrow().clone();
        self.watches.fetch_add(1, Ordering::SeqCst);
        let removed = Vec::new();
        Ok(WatchReply {
            epoch: Epoch("6f1c".to_owned()),
            seq,
            full,
            summary: changed.then_some(mirror.summary),
            problems: changed.then_some(mirror.problems),
            changed: if changed { mirror.tasks.into_values().collect() } else { Vec::new() },
            removed,
            focus: request.focus.and_then(|name| self.detail(&name)).map(Box::new),
            events_head: mirror.events_head,
            held_ms: 0,
        })
    }

    async fn events(self, _: Context, _: EventsRequest) -> Result<EventsReply, ApiError> {
        no("event")
    }

    async fn history(self, _: Context, _: HistoryRequest) -> Result<History, ApiError> {
        self.model.chart.have.clone().map_or_else(|| no("history"), |(.., history)| Ok(history))
    }

    async fn task(self, _: Context, name: TaskName) -> Result<TaskDetail, ApiError> {
        self.detail(&name).map_or_else(|| no("task"), Ok)
    }

    async fn runs(self, _: Context, _: TaskName, _: Option<u32>, _: u32) -> Result<Vec<RunView>, ApiError> {
        no("run")
    }

    async fn wait_run(self, _: Context, _: TaskName, _: u32) -> Result<RunView, ApiError> {
        no("run")
    }

    async fn failures(self, _: Context, _: TaskName, _: FailuresRequest) -> Result<FailuresReply, ApiError> {
        let f = &self.model.failures;
        Ok(FailuresReply { run: f.run, groups: f.groups.clone(), items: f.items.clone(), next: None })
    }

    async fn items(self, _: Context, _: TaskName, _: ItemsRequest) -> Result<ItemsReply, ApiError> {
        no("item")
    }

    async fn create(self, _: Context, _: RequestId, _: TaskSpec, _: bool, _: Option<TaskName>) -> Result<TaskView, ApiError> {
        no("place for a task")
    }

    async fn edit(self, _: Context, _: RequestId, _: TaskName, _: TaskSpec, _: Option<TaskName>) -> Result<TaskView, ApiError> {
        no("task")
    }

    async fn clone_task(self, _: Context, _: RequestId, _: TaskName, _: TaskName) -> Result<TaskView, ApiError> {
        no("task")
    }

    async fn control(self, _: Context, _: RequestId, name: TaskName, action: Action, _: Option<TaskName>) -> Result<TaskView, ApiError> {
        let mut task = self.state.borrow().1.tasks.get(&name).cloned().ok_or_else(|| ApiError::new(ErrorCode::NotFound, "gone"))?;
        if action == Action::Pause {
            task.state = dth_proto::view::TaskState::Paused;
            task.word = "paused".to_owned();
        }
        Ok(task)
    }

    async fn plan(self, _: Context, _: TaskName, _: Option<u32>, _: u32) -> Result<PlanReply, ApiError> {
        no("plan")
    }

    async fn explain(self, _: Context, _: TaskName, _: String) -> Result<Explanation, ApiError> {
        no("item")
    }

    async fn begin(self, _: Context, _: RequestId, name: TaskName, _: RunKind) -> Result<TaskView, ApiError> {
        let task = self.state.borrow().1.tasks.get(&name).cloned();
        task.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "gone"))
    }

    async fn plan_spec(self, _: Context, _: RequestId, _: TaskSpec) -> Result<TaskView, ApiError> {
        no("place for a plan")
    }

    async fn retry(self, _: Context, _: RequestId, _: TaskName, _: Option<FailureClass>) -> Result<TaskView, ApiError> {
        no("task")
    }

    async fn check_start(self, _: Context, _: TaskSpec) -> Result<u64, ApiError> {
        no("check")
    }

    async fn setup_events(self, _: Context, _: RequestId, _: TaskName, _: bool) -> Result<u64, ApiError> {
        no("check")
    }

    async fn check_poll(self, _: Context, _: u64, _: u32, _: u32) -> Result<CheckReply, ApiError> {
        no("check")
    }

    async fn doctor_start(self, _: Context, _: dth_proto::spec::Store) -> Result<u64, ApiError> {
        no("examination")
    }

    async fn doctor_poll(self, _: Context, _: u64, _: u32, _: u32) -> Result<dth_proto::doctor::DoctorReply, ApiError> {
        no("examination")
    }

    async fn providers(self, _: Context) -> Result<Vec<dth_proto::view::ProviderInfo>, ApiError> {
        Ok(sample::providers())
    }
}

impl Fake {
    fn detail(&self, name: &TaskName) -> Option<TaskDetail> {
        self.model.detail.as_deref().filter(|d| d.view.name == *name).cloned()
    }
}
