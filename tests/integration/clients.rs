//! Many clients and many tasks: everyone sees everything, asks twice without harm, and does not stand in another's way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use dth_proto::{id::RequestId, spec::TaskSpec, view::Action, wire};
use dth_tests::{
    daemon::Daemon,
    definition::{Bucket, definition},
    installed,
    process::Process,
    s3::{Object, Server},
    wait::eventually,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Requests of one client at the same time; the daemon takes 16.
const AT_ONCE: usize = 8;

fn spec(name: &str, from: &Bucket, to: &Bucket) -> TaskSpec {
    TaskSpec::from_toml("test", &definition(name, from, to, "")).unwrap()
}

fn nowhere() -> (Bucket, Bucket) {
    (Bucket::new("http://127.0.0.1:1", "from-here"), Bucket::new("http://127.0.0.1:1", "to-there"))
}

/// A `dth watch -o ndjson` that runs until it is dropped.
struct Watcher {
    _process: Process,
    log: PathBuf,
}

impl Watcher {
    fn start(daemon: &Daemon, name: &str) -> Self {
        let log = daemon.folder().join(name);
        let mut command = Command::new(installed::from_cargo("dth"));
        command.arg("--host").arg(format!("unix:{}", daemon.socket().display())).args(["watch", "-o", "ndjson"]);
        Self { _process: Process::start(&mut command, &log).unwrap(), log }
    }

    /// Every line so far; the last may be half written.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until for `count` tasks a line with this word (or `removed`) has come, in any order.
    async fn saw(&self, word: &str, count: usize) {
        let what = format!("{}: {count} tasks are {word}", self.log.display());
        eventually(&what, PATIENCE, || async {
            let lines = self.lines();
            let is = |line: &Value| if word == "removed" { line["removed"] == true } else { line["word"] == word };
            let tasks: std::collections::BTreeSet<_> = lines.iter().filter(|line| is(line)).map(|line| line["name"].to_string()).collect();
            (tasks.len() == count).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_clients_see_every_change_of_fifty_tasks() {
    const TASKS: usize = 50;
    let store = Server::start().await.unwrap();
    for n in 0..20 {
        store.store().put("from-here", &format!("{n:02}"), Object::new("hello"));
    }
    store.store().create_bucket("to-there");
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    let daemon = Daemon::start("[limits]\nruns = 50\n").await;
    let watchers: Vec<Watcher> = (0..3).map(|n| Watcher::start(&daemon, &format!("watch-{n}"))).collect();
    let client = daemon.connect().await.client;
    let names: Vec<String> = (0..TASKS).map(|n| format!("task-{n:02}")).collect();
    let all = |word: &'static str, count| {
        let watchers = &watchers;
        async move { futures::future::join_all(watchers.iter().map(|watcher| watcher.saw(word, count))).await }
    };
    for name in &names {
        client.create(wire::context(), RequestId::random(), spec(name, &from, &to), false, None).await.unwrap().unwrap();
    }
    all("new", TASKS).await;
    // long enough for everyone to see them run
    store.set_latency(Duration::from_secs(2));
    let control = |action: Action| {
        let (client, names) = (&client, &names);
        async move {
            for name in names {
                let name = name.parse().unwrap();
                client.control(wire::context(), RequestId::random(), name, action, None).await.unwrap().unwrap();
            }
        }
    };
    control(Action::Start).await;
    all("running", TASKS).await;
    control(Action::Pause).await;
    all("paused", TASKS).await;
    store.set_latency(Duration::ZERO);
    control(Action::Resume).await;
    all("done", TASKS).await;
    control(Action::Delete).await;
    all("removed", TASKS).await;
    for watcher in &watchers {
        // the last line before the removal is the end of the run, with all its counters
        let mut last = BTreeMap::new();
        for line in watcher.lines().into_iter().filter(|line| line["removed"].is_null()) {
            last.insert(line["name"].to_string(), line);
        }
        for (name, line) in &last {
            let run = &line["run"];
            assert_eq!((&run["outcome"], &run["listed"], &run["pending"]), (&"succeeded".into(), &20.into(), &0.into()), "{name}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_made_twice_is_carried_out_once() {
    let (from, to) = nowhere();
    let mut daemon = Daemon::start("").await;
    let id = RequestId::random();
    let ask = async |daemon: &Daemon| {
        let client = daemon.connect().await.client;
        client.create(wire::context(), id.clone(), spec("once", &from, &to), false, None).await.unwrap()
    };
    let first = ask(&daemon).await.unwrap();
    assert_eq!(ask(&daemon).await.unwrap(), first, "the first answer again");
    // also by a daemon that was killed in between
    daemon.kill();
    daemon.restart().await;
    assert_eq!(ask(&daemon).await.unwrap(), first);
    let other =
        daemon.connect().await.client.create(wire::context(), RequestId::random(), spec("once", &from, &to), false, None).await.unwrap();
    assert_eq!(other.unwrap_err().message, "there is already a task once");
    let tasks: Vec<Value> = daemon.dth(&["list"]).json().await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    let log = daemon.log();
    assert_eq!(log.matches("created by ").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_tasks_are_all_listed() {
    let (from, to) = nowhere();
    let mut daemon = Daemon::start("").await;
    let client = daemon.connect().await.client;
    let begin = Instant::now();
    let made = futures::stream::iter(0..600).map(|n| {
        let (client, spec) = (client.clone(), spec(&format!("task-{n:03}"), &from, &to));
        async move { client.create(wire::context(), RequestId::random(), spec, false, None).await.unwrap() }
    });
    let made: Vec<_> = made.buffer_unordered(AT_ONCE).try_collect().await.unwrap();
    println!("600 tasks made in {:?}", begin.elapsed());
    assert_eq!(made.len(), 600);
    for daemon_was in ["running", "restarted"] {
        let listed: Vec<Value> = daemon.dth(&["list"]).json().await;
        let mut names: Vec<&str> = listed.iter().filter_map(|task| task["name"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((listed.len(), names.len()), (600, 600), "{daemon_was}");
        assert_eq!(daemon.dth(&["list"]).ok().await.lines().count(), 601, "{daemon_was}: with the header");
        if daemon_was == "running" {
            assert_eq!(daemon.stop(PATIENCE).await.code(), Some(0));
            daemon.restart().await;
        }
    }
}

async fn connect(socket: &Path) -> UnixStream {
    UnixStream::connect(socket).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_hinder_nobody_for_long() {
    let daemon = Daemon::start("").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(&daemon.socket()).await);
    }
    let begin = Instant::now();
    daemon.dth(&["status"]).ok().await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // all places taken: who comes now is told so
    for _ in silent.len()..256 {
        silent.push(connect(&daemon.socket()).await);
    }
    let busy = daemon.dth(&["status"]).run().await;
    assert_eq!((busy.code, busy.err.as_str()), (2, "dth: this dthd serves 256 clients already: try again later\n"));
    // silence ends a connection after five seconds, and with it the shortage
    eventually("there is room again", Duration::from_secs(20), || async { (daemon.dth(&["status"]).run().await.code == 0).then_some(()) })
        .await;
    let mut said = String::new();
    silent[0].read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "", "a stranger who does not introduce himself learns nothing");

    let mut chatter = connect(&daemon.socket()).await;
    chatter.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // the daemon does not read the rest, so the line is all that surely arrives
    BufReader::new(chatter).read_line(&mut said).await.unwrap();
    assert_eq!(
        said.lines().next(),
        Some("DTH 1 err code=hello min=1 max=1 say=\"this is dthd: begin with 'DTH 1 proto=MIN..MAX name=NAME'\"")
    );
}
