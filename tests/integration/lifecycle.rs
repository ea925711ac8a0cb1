//! The daemon under a service manager: told and asked by signals, sockets and notifications, stopped and started again.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dth_tests::{
    daemon::Daemon,
    definition::{Bucket, definition},
    process::Process,
    s3::{Action, Fault, Object, Operation, Server},
    wait::eventually,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::net::UnixDatagram;

const PATIENCE: Duration = Duration::from_secs(60);

/// A store with `count` small objects in `from-here` and an empty bucket `to-there`.
async fn store(count: usize) -> (Server, Bucket, Bucket) {
    let store = Server::start().await.unwrap();
    store.store().create_bucket("from-here");
    for n in 0..count {
        store.store().put("from-here", &format!("{n:05}"), Object::new(n.to_string()));
    }
    store.store().create_bucket("to-there");
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    (store, from, to)
}

fn same(store: &Server) {
    let content = |bucket| -> Vec<_> { store.store().all(bucket).into_iter().map(|(key, object)| (key, object.data.to_bytes())).collect() };
    assert!(content("from-here") == content("to-there"), "{} objects", content("to-there").len());
}

async fn status(daemon: &Daemon) -> Value {
    daemon.dth(&["status"]).json().await
}

async fn run_of(daemon: &Daemon, task: &str) -> Value {
    let shown: Value = daemon.dth(&["show", task]).json().await;
    shown["view"]["run"].clone()
}

/// Waits until the run of `task` has copied something and is not done.
async fn under_way(daemon: &Daemon, task: &str) {
    eventually("the run is under way", PATIENCE, || async {
        let run = run_of(daemon, task).await;
        (run["copied"].as_u64()? > 0 && run["outcome"].is_null()).then_some(())
    })
    .await;
}

fn signal(daemon: &mut Daemon, signal: Signal) {
    daemon.process().unwrap().signal(signal).unwrap();
}

async fn ended(daemon: &mut Daemon) -> Option<i32> {
    daemon.process().unwrap().wait(PATIENCE).await.unwrap().code()
}

/// What the service manager was told so far.
#[derive(Clone)]
struct Manager(Arc<Mutex<Vec<String>>>);

impl Manager {
    fn listen(socket: &Path) -> Self {
        let socket = UnixDatagram::bind(socket).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                keep.lock().unwrap().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        });
        Self(told)
    }

    /// Waits until `count` messages hold the line `line`, and answers with the last of them.
    async fn heard(&self, line: &str, count: usize) -> String {
        eventually(line, PATIENCE, || async {
            let told = self.0.lock().unwrap();
            let matching: Vec<&String> = told.iter().filter(|m| m.lines().any(|l| l == line)).collect();
            matching.get(count - 1).map(|m| (*m).clone())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_of_every_step() {
    let mut daemon = Daemon::prepare();
    let notify = daemon.folder().join("notify");
    let manager = Manager::listen(&notify);
    daemon.environment("NOTIFY_SOCKET", &notify.to_string_lossy());
    daemon.environment("WATCHDOG_USEC", "4000000");
    daemon.restart().await;
    let ready = manager.heard("READY=1", 1).await;
    assert!(ready.contains("STATUS=No transfer is running."), "{ready}");
    manager.heard("WATCHDOG=1", 2).await;
    daemon.reload();
    let reloading = manager.heard("RELOADING=1", 1).await;
    assert!(reloading.lines().any(|l| l.strip_prefix("MONOTONIC_USEC=").is_some_and(|us| us.parse::<u64>().is_ok())), "{reloading}");
    manager.heard("READY=1", 2).await;
    signal(&mut daemon, Signal::SIGTERM);
    manager.heard("STOPPING=1", 1).await;
    assert_eq!(ended(&mut daemon).await, Some(0), "{}", daemon.log());
    let told = manager.0.lock().unwrap().join("\n");
    assert!(told.contains("EXTEND_TIMEOUT_USEC="), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_limits_of_a_run_that_is_going() {
    let (store, from, to) = store(0).await;
    for n in 0..40 {
        store.store().put("from-here", &format!("{n:02}"), Object::new(vec![7; 100_000]));
    }
    // 4 MB would take minutes
    let daemon = Daemon::start("[limits]\nbandwidth = \"20KB/s\"\n").await;
    daemon.create(&definition("slow", &from, &to, ""), &["--start"]).ok().await;
    eventually("bytes move", PATIENCE, || async { (status(&daemon).await["bytes_listed"] == 4_000_000).then_some(()) }).await;
    assert_eq!(status(&daemon).await["cap"], 20_000);

    daemon.configure("[limits]\nbandwith = \"1GB/s\"\n");
    daemon.reload();
    let why = format!(
        "configuration was not reloaded, the old one is in use: {}:2: limits.bandwith is not a known key: did you mean \"bandwidth\"?",
        daemon.config().display()
    );
    let problem = eventually("the broken file is a problem", PATIENCE, || async {
        status(&daemon).await["problems"].as_array()?.iter().find(|p| p["text"] == why.as_str()).cloned()
    })
    .await;
    let shown = daemon.dth(&["status", "--exit-code"]).run().await;
    assert!(shown.code == 1 && shown.out.contains(&why), "{shown:?}");
    assert_eq!(status(&daemon).await["cap"], 20_000, "the old one is in force");
    assert_eq!(status(&daemon).await["problems"][0], problem, "it keeps its time");

    daemon.configure("[limits]\nbandwidth = \"1GB/s\"\n");
    daemon.reload();
    let waited = daemon.dth(&["wait", "slow", "--timeout", "30s"]).run().await;
    assert_eq!(waited.code, 0, "{waited:?}");
    let now = status(&daemon).await;
    assert_eq!((&now["cap"], &now["ok"]), (&1_000_000_000.into(), &true.into()), "{now}");
    same(&store);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_keeps_what_was_reached_and_a_start_goes_on() {
    let (store, from, to) = store(2_000).await;
    let mut daemon = Daemon::start("[limits]\nobjects = 8\n").await;
    daemon.create(&definition("first", &from, &to, ""), &["--start"]).ok().await;
    daemon.dth(&["wait", "first"]).ok().await;
    for n in 0..2_000 {
        store.store().remove("to-there", &format!("{n:05}"));
    }
    store.set_latency(Duration::from_millis(20));
    daemon.dth(&["start", "first"]).ok().await;
    under_way(&daemon, "first").await;
    signal(&mut daemon, Signal::SIGTERM);
    assert_eq!(ended(&mut daemon).await, Some(0), "{}", daemon.log());
    assert!(!daemon.socket().exists(), "a clean stop takes the socket away");
    let reached = store.store().all("to-there").len();
    assert!((1..2_000).contains(&reached), "{reached}");

    store.set_latency(Duration::ZERO);
    store.reset_requests();
    daemon.restart().await;
    daemon.dth(&["wait", "first"]).ok().await;
    same(&store);
    let run = run_of(&daemon, "first").await;
    let number = |field: &str| run[field].as_u64().unwrap();
    assert_eq!((number("run"), number("listed"), number("copied") + number("same")), (2, 2_000, 2_000), "{run}");
    let puts = store.requests().of(Operation::PutObject);
    assert!(puts <= (2_000 - reached) as u64 + 8, "{puts} objects were sent after the restart, {reached} before");
    let runs: Vec<Value> = daemon.dth(&["runs", "first"]).json().await;
    assert_eq!(runs.iter().map(|r| r["run"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert!(daemon.log().contains("continues from its checkpoint"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait() {
    let (store, from, to) = store(20).await;
    store.faults().add(Fault::new(Action::Delay(Duration::from_secs(120))).on([Operation::PutObject]));
    let mut daemon = Daemon::start("drain = \"10m\"\n").await;
    daemon.create(&definition("stuck", &from, &to, ""), &["--start"]).ok().await;
    eventually("puts are in flight", PATIENCE, || async { (store.requests().of(Operation::PutObject) > 0).then_some(()) }).await;
    signal(&mut daemon, Signal::SIGTERM);
    eventually("it drains", PATIENCE, || async { daemon.log().contains("stopping: runs are suspended").then_some(()) }).await;
    let refused = daemon.dth(&["list"]).run().await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(daemon.process().unwrap().ended().unwrap().is_none(), "it waits for the requests in flight");
    let begin = Instant::now();
    signal(&mut daemon, Signal::SIGTERM);
    assert_eq!(ended(&mut daemon).await, Some(0), "{}", daemon.log());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    store.faults().clear();
    daemon.restart().await;
    daemon.dth(&["wait", "stuck"]).ok().await;
    same(&store);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_daemon_stops_at_once_also_while_it_is_watched() {
    let mut daemon = Daemon::start("").await;
    let log = daemon.folder().join("watch.log");
    let mut watch = Command::new(dth_tests::installed::from_cargo("dth"));
    watch.arg("--host").arg(format!("unix:{}", daemon.socket().display())).args(["watch", "-o", "ndjson"]);
    let _watch = Process::start(&mut watch, &log).unwrap();
    daemon.dth(&["status"]).ok().await;
    let begin = Instant::now();
    let status = daemon.stop(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_leaves_a_state_that_opens() {
    let (store, from, to) = store(1_000).await;
    store.set_latency(Duration::from_millis(20));
    let mut daemon = Daemon::start("").await;
    daemon.create(&definition("cut", &from, &to, ""), &["--start"]).ok().await;
    under_way(&daemon, "cut").await;
    daemon.kill();
    assert!(daemon.socket().exists(), "nobody was left to take it away");
    let state = daemon.state().display().to_string();
    let backup = daemon.folder().join("backup");
    let offline = |arguments: &[&str]| {
        let output = daemon.command(&[&["state", "--state", &state], arguments].concat()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let info = offline(&["info"]);
    assert!(info.starts_with(&format!("{state}: schema 3, written by dthd {}", env!("CARGO_PKG_VERSION"))), "{info}");
    assert!(info.lines().any(|l| l.split_whitespace().collect::<Vec<_>>() == ["tasks", "1"]), "{info}");
    assert_eq!(offline(&["check"]), format!("{state}: every record can be read\n"));
    let copied = offline(&["backup", &backup.display().to_string()]);
    assert!(copied.ends_with(&format!("records copied to {}\n", backup.display())), "{copied}");
    let again = daemon.command(&["state", "--state", &state, "backup", &backup.display().to_string()]).output().unwrap();
    assert_eq!(again.status.code(), Some(73), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty; name a new directory"), "{again:?}");

    store.set_latency(Duration::ZERO);
    fs::remove_dir_all(daemon.state()).unwrap();
    fs::rename(&backup, daemon.state()).unwrap();
    daemon.restart().await;
    daemon.dth(&["wait", "cut"]).ok().await;
    same(&store);
}

/// As systemd does it: the socket is opened before the daemon, passed as descriptor 3, and stays when the daemon goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_passed_socket_is_served_and_left_alone() {
    let daemon = Daemon::prepare();
    let listener = UnixListener::bind(daemon.socket()).unwrap();
    let start = || {
        let dthd = daemon.command(&["run"]);
        let mut command = Command::new("sh");
        // LISTEN_PID must be the daemon's own, which only its own shell knows
        command.args(["-c", "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]).arg(dthd.get_program());
        command.args(dthd.get_args()).arg("--config").arg(daemon.config()).arg("--state").arg(daemon.state());
        command.arg("--socket").arg(daemon.socket()).env("AWS_EC2_METADATA_DISABLED", "true");
        let passed: std::os::fd::OwnedFd = listener.try_clone().unwrap().into();
        command.stdin(Stdio::from(passed)).stderr(fs::File::create(daemon.folder().join("passed.log")).unwrap());
        command.spawn().unwrap()
    };
    let mut first = start();
    // no need to wait: the connection waits in the socket's queue
    daemon.dth(&["status", "--exit-code"]).ok().await;
    let pid = nix::unistd::Pid::from_raw(first.id().try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert!(daemon.socket().exists(), "it belongs to the service manager");
    let mut second = start();
    daemon.dth(&["status", "--exit-code"]).ok().await;
    let pid = nix::unistd::Pid::from_raw(second.id().try_into().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
}
