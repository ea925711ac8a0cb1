//! Connections over an in-memory pipe, with good, hostile and broken clients.

use std::sync::Arc;

use dth_proto::{
    check::CheckReply,
    connect::{Connection, over},
    error::{ApiError, ErrorCode},
    event::{EventsReply, EventsRequest},
    failure::{FailureClass, FailuresReply, FailuresRequest},
    id::{RequestId, TaskName},
    service::DthRequest,
    spec::TaskSpec,
    view::{
        Action, DaemonInfo, Explanation, History, HistoryRequest, ItemsReply, ItemsRequest, PlanReply, RunKind, RunView, TaskDetail,
        TaskView,
    },
    watch::{WatchReply, WatchRequest},
};
use tarpc::{client::RpcError, context::Context};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Notify,
    task::JoinHandle,
};

use super::*;

const DAEMON: u32 = 990;
/// Not a user of any machine, so that the tests do not depend on who exists.
const STRANGER: u32 = 4_000_000_123;

/// Answers `NotFound` to all but: `runs` is empty, `task` panics, `history` and the long poll `wait_run` wait until released.
#[derive(Clone)]
struct Tiny {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

fn reached<T>() -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::NotFound, "reached the service"))
}

impl Dth for Tiny {
    async fn info(self, _: Context) -> Result<DaemonInfo, ApiError> {
        reached()
    }
    async fn watch(self, _: Context, _: WatchRequest) -> Result<WatchReply, ApiError> {
        reached()
    }
    async fn events(self, _: Context, _: EventsRequest) -> Result<EventsReply, ApiError> {
        reached()
    }
    async fn history(self, _: Context, _: HistoryRequest) -> Result<History, ApiError> {
        self.entered.notify_one();
        self.release.notified().await;
        reached()
    }
    async fn task(self, _: Context, _: TaskName) -> Result<TaskDetail, ApiError> {
        panic!("a defect in a handler")
    }
    async fn runs(self, _: Context, _: TaskName, _: Option<u32>, _: u32) -> Result<Vec<RunView>, ApiError> {
        Ok(Vec::new())
    }
    async fn wait_run(self, _: Context, _: TaskName, _: u32) -> Result<RunView, ApiError> {
        self.entered.notify_one();
        self.release.notified().await;
        reached()
    }
    async fn failures(self, _: Context, _: TaskName, _: FailuresRequest) -> Result<FailuresReply, ApiError> {
        reached()
    }
    async fn items(self, _: Context, _: TaskName, _: ItemsRequest) -> Result<ItemsReply, ApiError> {
        reached()
    }
    async fn create(self, _: Context, _: RequestId, _: TaskSpec, _: bool) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn edit(self, _: Context, _: RequestId, _: TaskName, _: TaskSpec) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn clone_task(self, _: Context, _: RequestId, _: TaskName, _: TaskName) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn control(self, _: Context, _: RequestId, _: TaskName, _: Action) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn plan(self, _: Context, _: TaskName, _: Option<u32>, _: u32) -> Result<PlanReply, ApiError> {
        reached()
    }
    async fn explain(self, _: Context, _: TaskName, _: String) -> Result<Explanation, ApiError> {
        reached()
    }
    async fn begin(self, _: Context, _: RequestId, _: TaskName, _: RunKind) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn plan_spec(self, _: Context, _: RequestId, _: TaskSpec) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn retry(self, _: Context, _: RequestId, _: TaskName, _: Option<FailureClass>) -> Result<TaskView, ApiError> {
        reached()
    }
    async fn check_start(self, _: Context, _: TaskSpec) -> Result<u64, ApiError> {
        reached()
    }
    async fn check_poll(self, _: Context, _: u64, _: u32, _: u32) -> Result<CheckReply, ApiError> {
        reached()
    }
    async fn doctor_start(self, _: Context, _: dth_proto::spec::Store) -> Result<u64, ApiError> {
        reached()
    }
    async fn doctor_poll(self, _: Context, _: u64, _: u32, _: u32) -> Result<dth_proto::doctor::DoctorReply, ApiError> {
        reached()
    }
    async fn providers(self, _: Context) -> Result<Vec<dth_proto::view::ProviderInfo>, ApiError> {
        reached()
    }
}

struct Daemon {
    door: Door,
    access: watch::Sender<Access>,
    api: Tiny,
}

type Served = JoinHandle<Result<(), SessionError>>;

impl Daemon {
    fn new() -> Self {
        let (access, receiver) = watch::channel(Access::default());
        let door = Door { access: receiver, daemon_uid: DAEMON, epoch: Epoch("6f1c".to_owned()), shutdown: Shutdown::new() };
        Self { door, access, api: Tiny { entered: Arc::default(), release: Arc::default() } }
    }

    fn accept(&self, uid: u32) -> (DuplexStream, Served) {
        let (client, server) = duplex(64 * 1024);
        let (door, api) = (self.door.clone(), self.api.clone());
        let served = tokio::spawn(serve_connection(server, Peer { uid, gid: uid, pid: None }, door, move |_| api));
        (client, served)
    }

    async fn connect(&self, uid: u32) -> (Connection, Served) {
        let (client, served) = self.accept(uid);
        (over(client, "dth/test").await.expect("let in"), served)
    }
}

fn name() -> TaskName {
    TaskName::new("photos").expect("a name")
}

fn last_minute() -> HistoryRequest {
    HistoryRequest { task: None, range_s: 60, points: 1 }
}

fn code<T: std::fmt::Debug>(answer: Result<Result<T, ApiError>, RpcError>) -> ErrorCode {
    answer.expect("an answer").expect_err("an error").code
}

async fn works(connection: &Connection) {
    let runs = connection.client.runs(wire::context(), name(), None, 1).await.expect("an answer");
    assert_eq!(runs, Ok(Vec::new()));
}

#[tokio::test]
async fn a_client_learns_who_it_is_and_is_served() {
    let daemon = Daemon::new();
    let (operator, _) = daemon.connect(DAEMON).await;
    assert_eq!((operator.welcome.role.as_str(), operator.welcome.boot.as_str()), ("operator", "6f1c"));
    assert_eq!(operator.welcome.protocol, PROTOCOL_MAX);
    works(&operator).await;
    let (viewer, served) = daemon.connect(STRANGER).await;
    assert_eq!((viewer.welcome.role.as_str(), viewer.welcome.user.as_str()), ("viewer", "4000000123"));
    works(&viewer).await;
    drop(viewer);
    served.await.expect("no panic").expect("a clean end");
}

fn spec() -> TaskSpec {
    let text = "name = 'x'\nengine = 's3'\n[source]\nbucket = 'a'\n[destination]\nbucket = 'b'\n";
    TaskSpec::from_toml("x.toml", text).expect("a task")
}

#[tokio::test]
async fn operator_requests_are_refused_to_viewers() {
    let daemon = Daemon::new();
    for (uid, expected) in [(STRANGER, ErrorCode::NotAllowed), (DAEMON, ErrorCode::NotFound)] {
        let (connection, _served) = daemon.connect(uid).await;
        let client = &connection.client;
        let id = RequestId::random;
        let context = wire::context;
        assert_eq!(code(client.create(context(), id(), spec(), true).await), expected);
        assert_eq!(code(client.edit(context(), id(), name(), spec()).await), expected);
        assert_eq!(code(client.clone_task(context(), id(), name(), name()).await), expected);
        assert_eq!(code(client.control(context(), id(), name(), Action::Start).await), expected);
        assert_eq!(code(client.begin(context(), id(), name(), RunKind::Plan).await), expected);
        assert_eq!(code(client.plan_spec(context(), id(), spec()).await), expected);
        assert_eq!(code(client.retry(context(), id(), name(), None).await), expected);
        assert_eq!(code(client.check_start(context(), spec()).await), expected);
        assert_eq!(code(client.check_poll(context(), 1, 0, 0).await), expected);
        assert_eq!(code(client.doctor_start(context(), dth_proto::spec::Store::default()).await), expected);
        assert_eq!(code(client.doctor_poll(context(), 1, 0, 0).await), expected);
        // what a viewer may do, all may
        let failures = FailuresRequest { run: None, class: None, after: None, limit: 1 };
        assert_eq!(code(client.plan(context(), name(), None, 0).await), ErrorCode::NotFound);
        assert_eq!(code(client.explain(context(), name(), "k".to_owned()).await), ErrorCode::NotFound);
        assert_eq!(code(client.info(context()).await), ErrorCode::NotFound);
        assert_eq!(code(client.providers(context()).await), ErrorCode::NotFound);
        assert_eq!(code(client.watch(context(), WatchRequest::default()).await), ErrorCode::NotFound);
        assert_eq!(code(client.failures(context(), name(), failures).await), ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn access_changes_count_for_new_connections() {
    let daemon = Daemon::new();
    let viewers = vec!["user:nobody-at-all".parse().expect("principal")];
    daemon.access.send_replace(Access { operators: Vec::new(), viewers });
    let (client, served) = daemon.accept(STRANGER);
    let refused = over(client, "dth/test").await.err().expect("refused");
    assert!(matches!(&refused, HandshakeError::Refused { code, .. } if code == "denied"), "{refused}");
    assert!(matches!(served.await.expect("no panic"), Err(SessionError::Denied { uid: STRANGER, .. })));
}

/// Says `line` and gives back everything the daemon answers until it closes.
async fn say(daemon: &Daemon, line: &[u8]) -> String {
    let (mut client, _served) = daemon.accept(DAEMON);
    client.write_all(line).await.expect("written");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("text until the end");
    answer
}

#[tokio::test]
async fn version_skew_and_strangers_get_a_sentence() {
    let daemon = Daemon::new();
    let skew = say(&daemon, b"DTH 1 proto=7..9 name=dth/9.0\n").await;
    assert!(skew.starts_with("DTH 1 err code=version") && skew.contains("upgrade dthd"), "{skew}");
    let stranger = say(&daemon, b"GET / HTTP/1.1\n").await;
    assert!(stranger.starts_with("DTH 1 err code=hello") && stranger.contains("this is dthd"), "{stranger}");
    assert_eq!(say(&daemon, &[b'x'; 600]).await, "", "an endless line is not answered");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_the_patience() {
    let daemon = Daemon::new();
    let start = Instant::now();
    let (_client, served) = daemon.accept(DAEMON);
    let error = served.await.expect("no panic").expect_err("nothing was said");
    assert!(matches!(error, SessionError::Handshake(HandshakeError::Silent)), "{error}");
    assert_eq!(start.elapsed(), PATIENCE);
}

/// Shakes hands and sends one `runs` request with this deadline.
async fn send_deadline(daemon: &Daemon, seconds: u64) -> (DuplexStream, Served) {
    let (mut client, served) = daemon.accept(DAEMON);
    handshake::connect(&mut client, &Hello::ours("dth/test")).await.expect("let in");
    let message = DthRequest::Runs { name: name(), before: None, limit: 1 };
    let request = tarpc::Request { context: wire::context(), id: 7, message };
    let mut json = serde_json::to_value(ClientMessage::Request(request)).expect("JSON");
    json["Request"]["context"]["deadline"] = serde_json::json!({ "secs": seconds, "nanos": 0 });
    let body = serde_json::to_vec(&json).expect("JSON");
    client.write_u32(body.len().try_into().expect("small")).await.expect("written");
    client.write_all(&body).await.expect("written");
    (client, served)
}

#[tokio::test]
async fn deadlines_of_years_are_clamped() {
    const YEARS: u64 = 86_400 * 365 * 10;
    let daemon = Daemon::new();
    let (mut client, served) = send_deadline(&daemon, YEARS).await;
    let length = client.read_u32().await.expect("an answer");
    let mut body = vec![0; length as usize];
    client.read_exact(&mut body).await.expect("whole");
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(answer["request_id"], 7, "{answer}");
    drop(client);
    served.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn deadlines_beyond_the_clock_hurt_nobody_else() {
    let daemon = Daemon::new();
    let (other, _served) = daemon.connect(DAEMON).await;
    let (mut client, served) = send_deadline(&daemon, u64::MAX).await;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("closed");
    assert!(rest.is_empty());
    assert!(served.await.expect_err("the connection's own task").is_panic());
    works(&other).await;
}

#[tokio::test]
async fn frames_that_are_not_requests_end_the_connection() {
    let daemon = Daemon::new();
    for frame in [&b"\x00\x00\x00\x02{]"[..], b"\xff\xff\xff\xff", b"\x00\x00\x00\x11{\"Unknown\":{\"a\":1}}"] {
        let (mut client, served) = daemon.accept(DAEMON);
        handshake::connect(&mut client, &Hello::ours("dth/test")).await.expect("let in");
        client.write_all(frame).await.expect("written");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("closed");
        served.await.expect("no panic").expect("an end");
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_only_its_connection() {
    let daemon = Daemon::new();
    let (other, _other_served) = daemon.connect(DAEMON).await;
    let (unlucky, served) = daemon.connect(DAEMON).await;
    let answer = unlucky.client.task(wire::context(), name()).await;
    assert!(answer.is_err(), "{answer:?}");
    assert!(served.await.expect_err("panicked").is_panic());
    works(&other).await;
}

#[tokio::test]
async fn draining_finishes_what_is_there_and_refuses_what_comes() {
    let daemon = Daemon::new();
    let (connection, served) = daemon.connect(DAEMON).await;
    let client = connection.client.clone();
    let waiting = tokio::spawn(async move { client.history(wire::context(), last_minute()).await });
    daemon.api.entered.notified().await;
    daemon.door.shutdown.advance();
    assert_eq!(code(connection.client.runs(wire::context(), name(), None, 1).await), ErrorCode::ShuttingDown);
    daemon.api.release.notify_one();
    assert_eq!(code(waiting.await.expect("no panic")), ErrorCode::NotFound, "its answer still came");
    served.await.expect("no panic").expect("a clean end");
    assert!(connection.client.runs(wire::context(), name(), None, 1).await.is_err(), "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn draining_does_not_wait_for_ever() {
    let daemon = Daemon::new();
    let (connection, served) = daemon.connect(DAEMON).await;
    let client = connection.client.clone();
    let waiting = tokio::spawn(async move { client.history(wire::deadline_after(Duration::from_mins(1)), last_minute()).await });
    daemon.api.entered.notified().await;
    let start = Instant::now();
    daemon.door.shutdown.advance();
    served.await.expect("no panic").expect("a clean end");
    assert!(start.elapsed() >= DRAIN && start.elapsed() < DRAIN * 2, "{:?}", start.elapsed());
    assert!(waiting.await.expect("no panic").is_err());
}

#[tokio::test(start_paused = true)]
async fn draining_answers_long_polls_at_once() {
    let daemon = Daemon::new();
    let (connection, served) = daemon.connect(DAEMON).await;
    let client = connection.client.clone();
    let waiting = tokio::spawn(async move { client.wait_run(wire::deadline_after(Duration::from_mins(1)), name(), 60_000).await });
    daemon.api.entered.notified().await;
    let start = Instant::now();
    daemon.door.shutdown.advance();
    assert_eq!(code(waiting.await.expect("no panic")), ErrorCode::ShuttingDown);
    served.await.expect("no panic").expect("a clean end");
    assert!(start.elapsed() < DRAIN, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_forced_stop_waits_for_nobody() {
    let daemon = Daemon::new();
    let (connection, served) = daemon.connect(DAEMON).await;
    let client = connection.client.clone();
    let waiting = tokio::spawn(async move { client.history(wire::context(), last_minute()).await });
    daemon.api.entered.notified().await;
    daemon.door.shutdown.advance();
    daemon.door.shutdown.advance();
    served.await.expect("no panic").expect("an end");
    assert!(waiting.await.expect("no panic").is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn whatever_a_stranger_says_the_connection_just_ends(said in proptest::collection::vec(proptest::num::u8::ANY, 0..700)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let daemon = Daemon::new();
            let (mut client, served) = daemon.accept(STRANGER);
            client.write_all(&said).await.expect("written");
            client.shutdown().await.expect("closed");
            assert!(served.await.expect("no panic").is_err(), "nobody was let in");
        });
    }
}
