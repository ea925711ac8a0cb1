//! What is typed wrong, or stands in the way: each ends with a sentence that names the thing and the way out, and with its exit
//! code. `--nocapture` prints the table.

use std::{fs, path::Path, time::Duration};

use dth_tests::{
    command::Output,
    daemon::Daemon,
    definition::{Bucket, definition},
    mount::Tmpfs,
    s3::{Object, Server},
    wait::eventually,
    weed::{self, Weed},
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens on port 1 of loopback.
const NOWHERE: &str = "http://127.0.0.1:1";
const MIB: u64 = 1 << 20;

/// Replaces what differs from one run of the test to the next.
struct Names<'d> {
    daemon: &'d Daemon,
    others: Vec<(String, &'static str)>,
}

impl Names<'_> {
    fn plain(&self, text: &str) -> String {
        let mut text = text.trim().replace(&self.daemon.folder().display().to_string(), "DIR");
        for (name, word) in &self.others {
            text = text.replace(name, word);
        }
        text
    }

    /// Demands the message and the code, and prints a row of the table.
    fn expect(&self, input: &str, code: i32, said: &str, (got, text): (i32, &str)) {
        let text = self.plain(text);
        assert_eq!((got, text.as_str()), (code, said), "{input}");
        println!("| {input} | {} | {code} |", text.replace('\n', "<br>"));
    }
}

fn names(daemon: &Daemon) -> Names<'_> {
    Names { daemon, others: Vec::new() }
}

fn err(output: &Output) -> (i32, &str) {
    (output.code, &output.err)
}

/// Runs `dthd` to its end with the daemon's own files and these arguments.
async fn dthd(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let mut command = tokio::process::Command::from(daemon.command(arguments));
    if arguments == ["run"] {
        command.arg("--config").arg(daemon.config()).arg("--state").arg(daemon.state()).arg("--socket").arg(daemon.socket());
    }
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("a daemon that cannot start ends").unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn some(endpoint: &str) -> (Bucket, Bucket) {
    (Bucket::new(endpoint, "from-here"), Bucket::new(endpoint, "to-there"))
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_refused_with_every_problem() {
    let daemon = Daemon::start("").await;
    let names = names(&daemon);
    let (from, to) = some(NOWHERE);
    let good = definition("good", &from, &to, "");
    daemon.create(&good, &[]).ok().await;
    let other = definition("x", &from, &to, "");
    let trigger = |lines: &str| definition("x", &from, &to, &format!("[trigger]\n{lines}\n"));
    let one = |problem: &str| format!("dth: the definition of x has 1 problem\n  {problem}");
    let nobody = "no credential is called \"nobody\"; add [credentials.nobody] to dthd.toml, or use \"anonymous\"";
    let cases: [(&str, String, String); 14] = [
        ("broken TOML", "name = \"x\nengine = 3".to_owned(), "DIR/task.toml:1: invalid basic string, expected `\"`".to_owned()),
        (
            "unknown key",
            other.replace("\nbucket = \"from-here\"", "\nbucket = \"from-here\"\nprefx = \"a/\""),
            "DIR/task.toml:6: source.prefx is not a known key: did you mean \"prefix\"?".to_owned(),
        ),
        (
            "several problems in the file",
            other.replace("bucket = \"from-here\"\n", "buckt = \"from-here\"\n").replace("engine = \"s3\"", "engine = \"s4\""),
            "DIR/task.toml:2: engine = \"s4\" is not known: did you mean \"s3\"?\n\
             DIR/task.toml:3: source.bucket is missing: name the bucket\n\
             DIR/task.toml:5: source.buckt is not a known key: did you mean \"bucket\"?"
                .to_owned(),
        ),
        (
            "several problems in the definition",
            definition("x", &from.clone().credential("nobody"), &to.clone().credential("nobody"), "[trigger]\ncron = \"x\"\n").replacen(
                "\"other\"",
                "\"seaweed\"",
                1,
            ),
            format!(
                "dth: the definition of x has 4 problems\n  source.provider: \"seaweed\" is not a known provider: did you mean \"seaweedfs\"?\n  \
                 source.credential: {nobody}\n  destination.credential: {nobody}\n  trigger.cron: \"x\" has 1 field: write 5 (minute \
                 hour day month weekday) like \"0 2 * * *\", or EventBridge's 6 (… year) like \"0 2 * * ? *\""
            ),
        ),
        (
            "bad cron",
            trigger("cron = \"61 * * * *\""),
            one("trigger.cron: \"61\" cannot stand for the minute: use 0-59 like 0, 30, */15 or 5-59/10"),
        ),
        (
            "cron that no date matches",
            trigger("cron = \"0 0 30 2 *\""),
            one("trigger.cron: \"0 0 30 2 *\" never happens: no date matches it; write it like \"0 2 * * *\" (every day at 02:00)"),
        ),
        (
            "unknown time zone",
            trigger("cron = \"0 2 * * *\"\ntimezone = \"Asia/Shangai\""),
            one(
                "trigger.timezone: \"Asia/Shangai\" is not a time zone: use an IANA name like \"Asia/Shanghai\", \"America/New_York\" or \"UTC\"",
            ),
        ),
        ("`every` under a minute", trigger("every = \"10s\""), "DIR/task.toml:16: trigger.every 10s is too short: at least 60s".to_owned()),
        (
            "`at` that is no time",
            trigger("at = \"tomorrow\""),
            "DIR/task.toml:16: trigger.at: \"tomorrow\" is not a time: write it like 2026-12-01T02:00:00Z".to_owned(),
        ),
        ("duplicate name", good, "dth: there is already a task good\nhint: choose another name, or change it with: dth edit".to_owned()),
        (
            "bad name",
            other.replace("\"x\"", "\"a/b\""),
            "DIR/task.toml:1: name: \"a/b\" is not a task name: use 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter, a \
             digit or _"
                .to_owned(),
        ),
        ("unknown credential", definition("x", &from.clone().credential("nobody"), &to, ""), one(&format!("source.credential: {nobody}"))),
        (
            "unknown provider",
            other.replacen("\"other\"", "\"minnio\"", 1),
            one("source.provider: \"minnio\" is not a known provider: did you mean \"minio\"?"),
        ),
        (
            "endpoint that is none",
            other.replacen(NOWHERE, "127.0.0.1:1", 1),
            "DIR/task.toml:7: source.endpoint \"127.0.0.1:1\" is not an endpoint: write it like https://host[:port]".to_owned(),
        ),
    ];
    for (input, text, said) in cases {
        names.expect(input, 1, &said, err(&daemon.create(&text, &[]).run().await));
    }
    let tasks: Vec<Value> = daemon.dth(&["list"]).json().await;
    assert_eq!(tasks.len(), 1, "nothing refused leaves a trace: {tasks:?}");

    let commands: [(&str, &[&str], i32, &str); 5] = [
        (
            "no such task file",
            &["create", "--file", "/nowhere/task.toml"],
            1,
            "dth: cannot read /nowhere/task.toml: No such file or directory (os error 2)",
        ),
        ("no such task", &["show", "nobody"], 1, "dth: there is no task nobody\nhint: dth list shows all tasks"),
        ("`wait` for a task that never ran", &["wait", "good"], 1, "dth: good has never run\nhint: dth start good"),
        (
            "`list` with a filter of no meaning",
            &["list", "--filter", "stat:failed"],
            64,
            "dth: --filter: \"stat\" is not something to filter by: did you mean \"state\"?",
        ),
        (
            "`dth start` without a task",
            &["start"],
            64,
            "error: the following required arguments were not provided:\n  <TASK>\n\nUsage: dth start <TASK>\n\nFor more information, try \
             '--help'.",
        ),
    ];
    for (input, arguments, code, said) in commands {
        names.expect(input, code, said, err(&daemon.dth(arguments).run().await));
    }
}

/// What a run and a preflight say of ends that do not work.
#[tokio::test(flavor = "multi_thread")]
async fn ends_that_do_not_work_are_named() {
    let weed = Weed::start().await;
    weed.client().create_bucket().bucket("from-here").send().await.unwrap();
    let store = Server::start().await.unwrap();
    store.store().put("from-here", "a", Object::new("x"));
    store.store().create_bucket("to-there");
    let mut daemon = Daemon::prepare();
    let path = daemon.credential("wrong", weed::ACCESS_KEY, "not-the-secret");
    daemon.configure(&format!("[credentials.wrong]\ntype = \"file\"\npath = {path:?}\n"));
    daemon.restart().await;
    let names = Names { daemon: &daemon, others: vec![(weed.endpoint(), "WEED"), (store.endpoint(), "STORE")] };

    let refused = Bucket::new(weed.endpoint(), "from-here").credential("wrong");
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    let missing = Bucket::new(store.endpoint(), "no-such-bucket");
    let secret = "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and \
                  signing method.";
    let refused_connection =
        format!("cannot reach {NOWHERE}: io error: client error (Connect): tcp connect error: Connection refused (os error 111)");
    let no_bucket = "NoSuchBucket: the bucket no-such-bucket does not exist at STORE";
    let bucket_hint = "check the name of the bucket, its endpoint and its region; dthd does not create buckets";
    let cases = [
        (
            "wrong secret",
            (&refused, &to),
            format!("source ListObjectsV2: {secret}"),
            format!("source list {secret}; hint: the secret key is wrong, or the region is: correct the credential or the task"),
        ),
        (
            "unreachable endpoint",
            (&Bucket::new(NOWHERE, "from-here"), &to),
            format!("source ListObjectsV2: ConnectionFailed: {refused_connection}"),
            format!("source reach {refused_connection}; hint: check endpoint, region, proxy and network between the daemon and the store"),
        ),
        (
            "missing bucket at the source",
            (&missing, &to),
            format!("source ListObjectsV2: {no_bucket}"),
            format!("source list {no_bucket}; hint: {bucket_hint}"),
        ),
        (
            "missing bucket at the destination",
            (&from, &missing),
            format!("destination ListObjectsV2: {no_bucket}"),
            format!("destination list {no_bucket}; hint: {bucket_hint}"),
        ),
    ];
    for (n, (input, (source, destination), run, check)) in cases.iter().enumerate() {
        let task = format!("task-{n}");
        daemon.create(&definition(&task, source, destination, ""), &["--start"]).ok().await;
        let waited = daemon.dth(&["wait", &task]).run().await;
        // in front of it: what was copied until then, and how long it took
        let error = waited.out.split_once("0 failed: ").unwrap_or_default().1;
        names.expect(&format!("{input}: `dth wait`"), 1, run, (waited.code, error));
        let checked = daemon.dth(&["check", &task]).run().await;
        let failed: Vec<&str> = checked.out.lines().filter(|line| line.starts_with("FAILED")).collect();
        let failed = failed.join("\n").split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        names.expect(&format!("{input}: `dth check`"), 1, check, (checked.code, &failed));
    }
    let status = daemon.dth(&["status", "--exit-code"]).run().await;
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.out.contains("4 problems. task-0: last run failed: source ListObjectsV2: SignatureDoesNotMatch"), "{status:?}");
}

/// What keeps the daemon from starting.
#[tokio::test(flavor = "multi_thread")]
async fn starts_that_cannot_be_are_refused() {
    let mut daemon = Daemon::prepare();
    let expect = async |input: &str, code, said: &str, daemon: &Daemon| {
        let (got, text) = dthd(daemon, &["run"]).await;
        names(daemon).expect(input, code, said, (got, &text));
    };
    daemon.configure("stat = \"/x\"\n[limits]\nruns = 0\n");
    let broken = "dthd: DIR/dthd.toml:1: stat is not a known key: did you mean \"state\"?\nDIR/dthd.toml:3: limits.runs must be from 1 to \
                  1000, not 0";
    expect("broken dthd.toml", 78, broken, &daemon).await;
    assert!(!daemon.state().exists(), "nothing is made before the configuration is good");
    daemon.configure("");

    fs::write(daemon.socket(), "notes").unwrap();
    expect(
        "a file in the way of the socket",
        73,
        "dthd: DIR/dthd.sock is in the way and not a socket; remove it, or choose another with --socket",
        &daemon,
    )
    .await;
    assert_eq!(fs::read(daemon.socket()).unwrap(), b"notes");
    fs::remove_file(daemon.socket()).unwrap();

    daemon.restart().await;
    let pid = daemon.process().unwrap().id();
    let state = daemon.state().display().to_string();
    for (input, arguments) in [
        ("a locked state dir: `dthd run`", &["run"][..]),
        ("a locked state dir: `dthd state info`", &["state", "info", "--state", &state]),
        ("a locked state dir: `dthd state check`", &["state", "check", "--state", &state]),
        ("a locked state dir: `dthd state backup`", &["state", "backup", "/nowhere", "--state", &state]),
    ] {
        let (code, text) = dthd(&daemon, arguments).await;
        // the time is not known here
        let (before, rest) = text.split_once(", since ").unwrap();
        let text = format!("{before}, since TIME{}", &rest[rest.find(')').unwrap()..]);
        let said = "dthd: the state directory DIR/state is in use by dthd VERSION (pid PID on HOST, since TIME); stop it first, or choose \
                    another with --state";
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        let others =
            vec![(format!("pid {pid} on {host}"), "pid PID on HOST"), (format!("dthd {}", env!("CARGO_PKG_VERSION")), "dthd VERSION")];
        Names { daemon: &daemon, others }.expect(input, 75, said, (code, &text));
    }
    daemon.create(&definition("x", &some(NOWHERE).0, &some(NOWHERE).1, ""), &[]).ok().await;
    daemon.stop(PATIENCE).await;

    let schema = daemon.state().join("SCHEMA");
    let good = fs::read_to_string(&schema).unwrap();
    let newer = good.replace("\"schema\":3", "\"schema\":7").replace(env!("CARGO_PKG_VERSION"), "9.9.9");
    fs::write(&schema, &newer).unwrap();
    let said = "dthd: DIR/state: the state has schema 7, written by dthd 9.9.9; this dthd reads up to schema 3: use a newer dthd";
    expect("a state of a newer schema", 78, said, &daemon).await;
    assert_eq!(fs::read_to_string(&schema).unwrap(), newer);
    fs::write(&schema, "{").unwrap();
    let unreadable = |why| {
        format!(
            "dthd: DIR/state: the state cannot be read: {why}; nothing was changed. Restore a backup, or name another --state directory"
        )
    };
    expect("a damaged SCHEMA", 78, &unreadable("SCHEMA is damaged: EOF while parsing an object at line 1 column 1"), &daemon).await;
    assert_eq!(fs::read_to_string(&schema).unwrap(), "{");
    fs::write(&schema, &good).unwrap();

    // the database loses its middle
    let database = daemon.state().join("db");
    let files = contents(&database);
    let (file, bytes) = files.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    fs::write(file, vec![0xA5; bytes.len()]).unwrap();
    let damaged = contents(&database);
    expect("a state that cannot be read", 78, &unreadable("its database is damaged"), &daemon).await;
    assert_eq!(contents(&database), damaged, "it is left as it was found");
    fs::write(file, bytes).unwrap();
    daemon.restart().await;
    assert!(daemon.dth(&["show", "x"]).ok().await.contains("s3://from-here/"), "all is there again");
    daemon.stop(PATIENCE).await;

    for (input, arguments, code, said) in [
        (
            "`dthd --frobnicate`",
            &["--frobnicate"][..],
            64,
            "error: unexpected argument '--frobnicate' found\n\nUsage: dthd [OPTIONS]\n       dthd <COMMAND>\n\nFor more information, try '--help'.",
        ),
        (
            "`dthd dial-stdio` without a daemon",
            &["dial-stdio", "--socket", "/nowhere/dthd.sock"],
            69,
            "dthd: cannot reach dthd at /nowhere/dthd.sock: No such file or directory (os error 2); is it running? (start one with: dthd run)",
        ),
        (
            "`dthd state info` without a state",
            &["state", "info", "--state", "/nowhere"],
            73,
            "dthd: there is no state directory /nowhere; choose one with --state",
        ),
    ] {
        let (got, text) = dthd(&daemon, arguments).await;
        names(&daemon).expect(input, code, said, (got, &text));
    }
}

/// Every file below a directory.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() { found.extend(contents(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found.sort();
    found
}

/// A disk for the state, or `None` where the tester may not mount one; root always may.
fn disk(at: &Path, size: u64) -> Option<Tmpfs> {
    match Tmpfs::mount(at, size) {
        Ok(disk) => Some(disk),
        Err(error) if !nix::unistd::geteuid().is_root() => {
            println!("the full disk is tested only by root, who may mount one: {error}");
            None
        }
        Err(error) => panic!("root cannot mount a disk: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_is_no_place_to_start() {
    let daemon = Daemon::prepare();
    let Some(_disk) = disk(&daemon.state(), 16 * MIB) else { return };
    let (code, text) = dthd(&daemon, &["run"]).await;
    let said = "dthd: DIR/state: only 16.8 MB free on its disk, dthd needs 33.6 MB: make room, or name another --state directory";
    names(&daemon).expect("a full disk: `dthd run`", 73, said, (code, &text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_stops_new_work_until_there_is_room() {
    let mut daemon = Daemon::prepare();
    let Some(room) = disk(&daemon.state(), 96 * MIB) else { return };
    let store = Server::start().await.unwrap();
    let (from, to) = some(&store.endpoint());
    for n in 0..300 {
        store.store().put("from-here", &format!("{n:04}"), Object::new(n.to_string()));
    }
    store.store().create_bucket("to-there");
    daemon.restart().await;
    // a run that is going when the disk fills
    store.set_latency(Duration::from_millis(300));
    daemon.create(&definition("going", &from, &to, ""), &["--start"]).ok().await;
    room.fill(8 * MIB).unwrap();
    let problems = || async {
        let status: Value = daemon.dth(&["status"]).json().await;
        status["problems"].as_array().filter(|problems| !problems.is_empty()).cloned()
    };
    let problem = eventually("the problem is shown", PATIENCE, problems).await;
    let why = "less than 33.6 MB free in DIR/state: new work waits until there is more";
    assert_eq!((problem.len(), names(&daemon).plain(problem[0]["text"].as_str().unwrap()).as_str()), (1, why));
    assert_eq!(problem[0]["severity"], "critical");
    let refused = daemon.create(&definition("new", &from, &to, ""), &[]).run().await;
    names(&daemon).expect("a disk that fills: `dth create`", 1, &format!("dth: {why}"), err(&refused));
    store.set_latency(Duration::ZERO);
    daemon.dth(&["wait", "going"]).ok().await;
    assert_eq!(problems().await, Some(problem), "it keeps its time while it lasts");

    room.empty().unwrap();
    eventually("room is noticed", PATIENCE, || async { problems().await.is_none().then_some(()) }).await;
    daemon.create(&definition("new", &from, &to, ""), &["--start"]).ok().await;
    daemon.dth(&["wait", "new"]).ok().await;
    same(&store);
}

/// Both buckets hold the same objects.
fn same(store: &Server) {
    let content = |bucket| -> Vec<_> { store.store().all(bucket).into_iter().map(|(key, object)| (key, object.data.to_bytes())).collect() };
    assert!(content("from-here") == content("to-there"), "{} objects", content("to-there").len());
}

/// sled cannot go on after a write that failed: the daemon says so, stays reachable, and goes on after a restart with room.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_byte_left_costs_nothing_but_a_restart() {
    let mut daemon = Daemon::prepare();
    let Some(room) = disk(&daemon.state(), 96 * MIB) else { return };
    let store = Server::start().await.unwrap();
    let (from, to) = some(&store.endpoint());
    for n in 0..300 {
        store.store().put("from-here", &format!("{n:04}"), Object::new(n.to_string()));
    }
    store.store().create_bucket("to-there");
    daemon.restart().await;
    room.fill(0).unwrap();
    let refused = daemon.create(&definition("going", &from, &to, ""), &["--start"]).run().await;
    let why = "the state cannot be written: no storage space";
    names(&daemon).expect("a disk without a byte left: `dth create`", 1, &format!("dth: {why}"), err(&refused));
    let said = format!("{why}; free some space and restart dthd");
    eventually("the problem is shown", PATIENCE, || async {
        let status = daemon.dth(&["status"]).run().await;
        (status.out.contains("CRITICAL") && status.out.contains(&said)).then_some(())
    })
    .await;
    room.empty().unwrap();
    daemon.restart().await;
    // whether the refused task has reached the disk is not promised, only that the state can be read and written
    daemon.create(&definition("again", &from, &to, ""), &["--start"]).ok().await;
    daemon.dth(&["wait", "again"]).ok().await;
    same(&store);
}
