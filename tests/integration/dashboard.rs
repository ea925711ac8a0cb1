//! The dashboard in a real terminal, against the real daemon: what a person sees, types and leaves behind.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use dth_proto::{
    spec::{Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskSpec},
    units::Rate,
};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    terminal::{Terminal, key},
    wait::eventually,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Columns and rows of the terminal that the screens are made for.
const USUAL: (u16, u16) = (80, 24);

/// How long something may take that no screen shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two stores, a daemon between them.
struct World {
    source: Server,
    destination: Server,
    daemon: Daemon,
}

impl World {
    async fn start() -> Self {
        let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
        source.store().create_bucket("from");
        destination.store().create_bucket("to");
        Self { source, destination, daemon: Daemon::start("").await }
    }

    /// A task from `from/PREFIX` to the same keys in `to`; without a prefix to `to/NAME/`, so that tasks do not meet.
    fn spec(&self, name: &str, prefix: &str, bandwidth: Option<u64>) -> TaskSpec {
        let store = |bucket: &str, server: &Server| Store {
            provider: "other".to_owned(),
            bucket: bucket.to_owned(),
            region: None,
            endpoint: Some(server.endpoint()),
            credential: Some("anonymous".to_owned()),
            path_style: Some(true),
        };
        let destination = S3Destination {
            store: store("to", &self.destination),
            prefix: if prefix.is_empty() { format!("{name}/") } else { String::new() },
            strip_prefix: String::new(),
            storage_class: None,
            acl: None,
            encryption: None,
        };
        let source = S3Source { store: store("from", &self.source), prefix: prefix.to_owned(), requester_pays: false };
        let mut spec =
            TaskSpec::from_toml("task.toml", "name = \"x\"\nengine = \"s3\"\n[source]\nbucket = \"a\"\n[destination]\nbucket = \"b\"\n")
                .unwrap();
        spec.name = name.parse().unwrap();
        spec.job = Job::S3(S3Job { source, destination, options: S3Options::default() });
        spec.limits.bandwidth = bandwidth.map(|rate| Rate(rate).into());
        spec
    }

    /// `dth create --file …`.
    async fn create(&self, name: &str, prefix: &str, bandwidth: Option<u64>, start: bool) {
        let file = self.daemon.folder().join(format!("{name}.toml"));
        std::fs::write(&file, self.spec(name, prefix, bandwidth).to_toml()).unwrap();
        let mut arguments = vec!["create", "--file", file.to_str().unwrap()];
        arguments.extend(start.then_some("--start"));
        self.daemon.dth(&arguments).ok().await;
    }

    fn fill(&self, prefix: &str, objects: usize, size: usize) {
        for n in 0..objects {
            self.source.store().put("from", &format!("{prefix}{n:04}"), Object::new(vec![n as u8; size]));
        }
    }

    fn dashboard(&self, arguments: &[&str], size: (u16, u16)) -> Terminal {
        Terminal::dth(&self.daemon.socket(), arguments, &[], size)
    }

    async fn tasks(&self) -> Vec<Value> {
        self.daemon.dth(&["list"]).json().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_appears_moves_fails_and_is_retried() {
    let world = World::start().await;
    let mut screen = world.dashboard(&[], USUAL);
    screen.shows("No tasks yet").await;
    assert!(screen.text().contains("dth create --file"), "an empty overview says what to do:\n{}", screen.text());

    world.fill("good/", 60, 20_000);
    world.fill("bad/", 3, 100);
    let denied = world.source.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).prefix("bad/"));
    world.create("moving", "", Some(300_000), true).await;
    screen
        .until("the task moves", |text| {
            let row = text.lines().find(|line| line.contains("moving") && line.contains("B/s"));
            row.is_some_and(|row| (row.contains("running") || row.contains("DEGRADED")) && !row.contains(" 0 B/s"))
        })
        .await;
    let first = screen.row("now ");
    screen.until("the throughput changes", |text| text.lines().any(|line| line.contains("now ") && line != first)).await;
    screen.shows("INCOMPLETE").await;
    screen.shows("PROBLEM").await;

    screen.press(key::ENTER);
    screen.shows("> moving").await;
    screen.until("the counters of the run", |text| text.contains("copied 60") && text.contains("failed 3")).await;
    screen.press("F");
    screen.shows("> moving > failures").await;
    screen.until("the group of the failures", |text| text.contains("AccessDenied") && text.contains("3 failed in 1 group")).await;
    screen.until("their keys", |text| (0..3).all(|n| text.contains(&format!("bad/{n:04}")))).await;

    world.source.faults().remove(denied);
    screen.press("R");
    screen.shows("retry: accepted").await;
    screen.press("1");
    screen.until("the retry ends well", |text| text.lines().any(|line| line.contains("moving") && line.contains("done"))).await;
    screen.until("nothing is wrong any more", |text| text.contains(" OK ") && !text.contains("PROBLEM")).await;
    assert_eq!(world.destination.store().all("to").len(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_defined_tested_and_started_by_keys_alone() {
    let world = World::start().await;
    world.fill("", 5, 1_000);
    let folder = world.daemon.folder().to_owned();
    let mut screen = Terminal::shell(&[], USUAL);
    screen.press(&format!("cd {} && {}\r", folder.display(), dth(&world, "")));
    screen.shows("No tasks yet").await;
    screen.press("n");
    screen.shows("Name").await;
    screen.press(&format!("by-hand{}{}", key::TAB, "made with keys"));
    screen.press(key::ENTER);
    screen.shows("Where are the objects now?").await;
    end(&mut screen, "from", &world.source.endpoint(), 1);
    screen.shows("Where shall they go?").await;
    end(&mut screen, "to", &world.destination.endpoint(), 2);
    screen.shows("Which ones, how fast, and when?").await;
    screen.press("\x14");
    screen.shows("all passed").await;
    let text = screen.text();
    assert!(text.lines().filter(|line| line.trim_start().starts_with("ok ")).count() >= 3, "{text}");

    // without the bucket typed nothing starts
    screen.press(key::ENTER);
    screen.shows("type the destination bucket first").await;
    assert!(world.tasks().await.is_empty());
    screen.press("\x17");
    screen.shows("written: ").await;
    let file = folder.join("by-hand.toml");
    let checked = world.daemon.dth(&["check", "--file", file.to_str().unwrap()]).run().await;
    assert_eq!(checked.code, 0, "{checked:?}");

    screen.press(&format!("to{}", key::ENTER));
    screen.until("the task is done", |text| text.lines().any(|line| line.contains("by-hand") && line.contains("done"))).await;
    let tasks = world.tasks().await;
    assert_eq!((tasks.len(), tasks[0]["name"].as_str()), (1, Some("by-hand")), "{tasks:?}");
    assert_eq!(world.destination.store().all("to").len(), 5);
}

/// Fills a step of the form with a bucket, an endpoint and no credential. `prefixes`: fields between bucket and provider.
fn end(screen: &mut Terminal, bucket: &str, endpoint: &str, prefixes: usize) {
    let to_provider = key::TAB.repeat(1 + prefixes);
    // ^U clears what stands there
    screen.press(&format!("{bucket}{to_provider}\x15other{}{endpoint}{}{}{}", key::TAB.repeat(2), key::TAB, key::RIGHT, key::ENTER));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_delete_ask_for_the_name() {
    let world = World::start().await;
    world.fill("", 200, 5_000);
    world.create("precious", "", Some(50_000), true).await;
    let mut screen = world.dashboard(&[], USUAL);
    screen.until("it runs", |text| text.lines().any(|line| line.contains("precious") && line.contains("running"))).await;
    eventually("something is copied", PATIENCE, || async { world.destination.store().all("to").first_key_value().map(drop) }).await;
    screen.press("x");
    screen.shows("stop this task?").await;
    // what was typed is not the name
    screen.press(&format!("precio{}", key::ENTER));
    screen.shows("type the text exactly as shown").await;
    screen.press(key::ESC);
    screen.until("the question is gone", |text| !text.contains("stop this task?")).await;
    assert_eq!(world.tasks().await[0]["state"], "running");

    screen.press("x");
    screen.shows("stop this task?").await;
    screen.press(&format!("precious{}", key::ENTER));
    screen.until("it is stopped", |text| text.lines().any(|line| line.contains("precious") && line.contains("cancelled"))).await;

    screen.press("D");
    screen.shows("delete this task?").await;
    screen.press(key::ESC);
    screen.until("the question is gone", |text| !text.contains("delete this task?")).await;
    assert_eq!(world.tasks().await.len(), 1);
    screen.press("D");
    screen.shows("delete this task?").await;
    screen.press(&format!("precious{}", key::ENTER));
    screen.shows("No tasks yet").await;
    assert!(world.tasks().await.is_empty());
    assert!(!world.destination.store().all("to").is_empty(), "what was copied stays");
}

/// The command line that starts the dashboard of this daemon.
fn dth(world: &World, arguments: &str) -> String {
    format!("{} --host unix:{} {arguments}", binary("dth").display(), world.daemon.socket().display())
}

fn binary(name: &str) -> PathBuf {
    dth_tests::installed::from_cargo(name)
}

/// In the shell on `screen`: the terminal's modes are as they were when `B` was set, and its screen is the usual one.
async fn is_given_back(screen: &mut Terminal, after: &str) {
    screen.until("a prompt", |text| text.trim_end().ends_with('$')).await;
    assert!(!screen.is_taken(), "after {after}");
    screen.press(&format!("[ \"$(stty -g)\" = \"$B\" ] && echo back\"\"-{after}\r"));
    screen.shows(&format!("back-{after}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_as_it_was() {
    let world = World::start().await;
    world.fill("", 2, 10);
    world.create("small", "", None, true).await;
    world.daemon.dth(&["wait", "small"]).ok().await;
    let mut screen = Terminal::shell(&[], USUAL);
    screen.press("B=$(stty -g)\r");
    let start = format!("clear; {}\r", dth(&world, ""));

    screen.press(&start);
    screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
    assert!(screen.is_taken());
    screen.press("q");
    is_given_back(&mut screen, "q").await;
    let text = screen.text();
    assert!(text.contains("0 running") && !text.contains("transfers go on"), "the summary says what is, and no more:\n{text}");

    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        screen.press(&start);
        screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
        screen.signal(signal);
        is_given_back(&mut screen, signal.as_str()).await;
        assert_eq!(screen.text().contains("0 running"), signal != Signal::SIGHUP, "{signal}:\n{}", screen.text());
    }

    screen.press(&start);
    screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
    screen.press("\x1a");
    is_given_back(&mut screen, "suspend").await;
    screen.press("fg\r");
    screen.until("the overview is drawn again", |text| text.contains("small") && text.contains(" OK ")).await;
    assert!(screen.is_taken());
    screen.press("2");
    screen.shows("> transfers").await;
    // stopped without a warning: the screen cannot be given back, but must be complete after SIGCONT
    screen.signal(Signal::SIGSTOP);
    screen.until("the shell again", |text| text.contains("Stopped")).await;
    // it is still raw: the newline has to come as one
    screen.press("fg\n");
    screen.until("the list is drawn again", |text| text.contains("> transfers") && !text.contains("Stopped")).await;
    screen.press("\x03");
    is_given_back(&mut screen, "ctrl-c").await;
}

/// Set in the process that panics in a terminal of its own.
const PANIC: &str = "DTH_TESTS_PANIC";

#[tokio::test]
async fn a_panic_gives_the_terminal_back_and_is_readable() {
    if std::env::var_os(PANIC).is_some() {
        let _guard = dth_tui::terminal::Guard::enter().unwrap();
        // in a task, where it would otherwise go unnoticed
        let broken = tokio::spawn(async { panic!("the frame broke\nin two lines") });
        dth_tui::terminal::lost().await;
        assert!(broken.await.is_err());
        return;
    }
    // a backtrace would push the report off the screen
    let mut screen = Terminal::shell(&[(PANIC, "1"), ("RUST_BACKTRACE", "0")], USUAL);
    screen.press("B=$(stty -g)\r");
    let this = std::env::current_exe().unwrap();
    let name = "dashboard::a_panic_gives_the_terminal_back_and_is_readable";
    screen.press(&format!("clear; {} {name} --exact --nocapture\r", this.display()));
    screen.shows("in two lines").await;
    is_given_back(&mut screen, "panic").await;
    let text = screen.text();
    assert!(text.contains("the frame broke\nin two lines"), "the report is not a staircase:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_daemon_the_data_stay_and_are_marked_as_old() {
    let mut world = World::start().await;
    world.fill("", 3, 10);
    world.create("survivor", "", None, true).await;
    world.daemon.dth(&["wait", "survivor"]).ok().await;
    let screen = world.dashboard(&[], USUAL);
    screen.until("the overview", |text| text.contains("survivor") && text.contains(" OK ")).await;
    world.daemon.kill();
    screen.shows("NO LINK").await;
    screen
        .until("old data and no verdict", |text| {
            text.contains("Unknown.") && !text.contains(" OK ") && text.contains("?done") && text.contains("data from")
        })
        .await;
    world.daemon.restart().await;
    screen
        .until("the link is back by itself", |text| text.contains(" OK ") && text.contains("survivor") && !text.contains("NO LINK"))
        .await;
    assert!(!screen.text().contains("?done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_size_of_the_terminal_is_survived() {
    let world = World::start().await;
    world.fill("", 4, 10);
    world.create("resized", "", None, true).await;
    world.daemon.dth(&["wait", "resized"]).ok().await;
    let mut screen = world.dashboard(&[], (120, 40));
    screen.until("the overview", |text| text.contains("resized") && text.contains(" OK ")).await;
    for open in ["1", "2", "4", ":"] {
        screen.press(open);
        for size in [(40, 10), (39, 10), (40, 9), (12, 2), (1, 1), (200, 60), (80, 24)] {
            screen.resize(size);
            // a message that the smallest sizes have, or the name of the program
            screen
                .until(&format!("a frame of {size:?}"), |text| match size {
                    (1, 1) => !text.trim().is_empty(),
                    (width, height) if width < 40 || height < 10 => text.contains("OK") && !text.contains("dth"),
                    _ => text.starts_with("dth"),
                })
                .await;
            assert!(screen.is_running(), "{size:?} on {open}");
        }
    }
    screen.press(key::ESC);
    screen.press("");
    screen.until("the palette is closed", |text| !text.contains("commands")).await;
    screen.press("\x03");
    assert_eq!(screen.ended().await, 0);
}

/// Bytes that reached each terminal, and frames among them, while `span` passed.
async fn watched(screens: &[Terminal], span: Duration) -> Vec<(usize, usize)> {
    let before: Vec<usize> = screens.iter().map(Terminal::written).collect();
    // the time is what is measured, not something that is waited for
    tokio::time::sleep(span).await;
    let frames = |bytes: &[u8]| bytes.windows(8).filter(|w| w == b"\x1b[?2026h").count();
    screens.iter().zip(before).map(|(screen, from)| (screen.written() - from, frames(&screen.bytes()[from..]))).collect()
}

/// How long terminals are listened to.
const SPAN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_dashboard_writes_nothing_and_a_busy_one_little() {
    let world = World::start().await;
    // 8 MB at 400 kB/s: goes on while it is watched
    world.fill("", 400, 20_000);
    let connection = world.daemon.connect().await;
    for n in 0..50 {
        let spec = world.spec(&format!("task-{n:02}"), "", Some(50_000));
        let id = dth_proto::id::RequestId::random();
        connection.client.create(dth_proto::wire::context(), id, spec, false).await.unwrap().unwrap();
    }
    let mut screens: Vec<Terminal> = (0..3).map(|_| world.dashboard(&[], USUAL)).collect();
    screens.push(Terminal::dth(&world.daemon.socket(), &[], &[("SSH_TTY", "/dev/pts/9")], USUAL));
    for screen in &screens {
        screen
            .until("50 tasks, the events and the chart", |text| {
                text.contains("task-00") && text.contains("created by") && text.contains("1h 00m")
            })
            .await;
    }
    for screen in &screens {
        quiet(screen).await;
    }
    let idle = watched(&screens, SPAN).await;
    println!("idle, 50 tasks, {SPAN:?}: (bytes, frames) per terminal {idle:?}");
    assert!(idle.iter().all(|seen| *seen == (0, 0)), "{idle:?}");

    for n in 0..8 {
        world.daemon.dth(&["start", &format!("task-{n:02}")]).ok().await;
    }
    // one of them looks at a task, one at the list
    screens[1].press(key::ENTER);
    screens[2].press("2");
    for screen in &screens {
        screen.shows("running").await;
    }
    let begin = Instant::now();
    let busy = watched(&screens, SPAN).await;
    let seconds = begin.elapsed().as_secs_f64();
    println!("8 of 50 tasks running, {seconds:.1} s: (bytes, frames) overview, detail, list, overview over ssh: {busy:?}");
    for (bytes, frames) in &busy {
        let per_s = *bytes as f64 / seconds;
        assert!(*frames > 0 && per_s < 4_096.0, "{per_s:.0} B/s: {busy:?}");
    }
    assert!(busy[3].1 as f64 <= seconds + 1.0, "at most a frame a second over ssh: {busy:?}");
}

/// Waits until a terminal has not been written to for a second.
async fn quiet(screen: &Terminal) {
    let begin = Instant::now();
    let mut last = (screen.written(), Instant::now());
    while last.1.elapsed() < Duration::from_secs(1) {
        assert!(begin.elapsed() < Duration::from_secs(60), "never quiet:\n{}", screen.text());
        if screen.written() != last.0 {
            last = (screen.written(), Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keys that try to steer the terminal, reverse it, or fill it.
fn hostile(folder: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        ["\x1b[2J\x1b]0;owned\x07", "\u{9b}31mred", "gpj.\u{202e}exe", "写真/東京", "tab\tnew\nline\r", "a\u{200b}b\u{feff}"]
            .map(str::to_owned)
            .to_vec();
    // the longest that S3 takes: 1,024 bytes
    keys.push("k".repeat(1_024 - folder.len()));
    keys.iter().map(|key| format!("{folder}{key}")).collect()
}

/// What drawing has no need of: sequences other than `ESC [`, other control characters, and those that change the direction of
/// text or cannot be seen.
fn foreign(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split('\x1b').skip(1).filter(|rest| !rest.starts_with('[')).map(|rest| format!("ESC {rest:?}"));
    let is_foreign = |c: &char| (c.is_control() && *c != '\x1b') || matches!(c, '\u{200b}' | '\u{202e}' | '\u{feff}');
    sequences.chain(text.chars().filter(is_foreign).map(|c| format!("{c:?}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_reach_no_terminal_as_they_are() {
    let world = World::start().await;
    for (folder, size) in [("bad/", 1), ("slow/", 300_000)] {
        hostile(folder).iter().for_each(|key| world.source.store().put("from", key, Object::new(vec![1; size])));
    }
    world.source.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).prefix("bad/"));
    world.create("hostile", "bad/", None, true).await;
    world.daemon.dth(&["wait", "hostile"]).run().await;
    world.create("slow", "slow/", Some(15_000), true).await;
    let arguments: [&[&str]; 2] = [&["--glyphs", "ascii", "--color", "never"], &["--glyphs", "unicode"]];
    for (arguments, size) in arguments.into_iter().zip([USUAL, (120, 40)]) {
        let mut screen = world.dashboard(arguments, size);
        screen.until("both tasks", |text| text.contains("INCOMPLETE") && text.contains("running")).await;
        screen.press(":");
        screen.shows("commands").await;
        screen.press(key::ESC);
        screen.until("no palette", |text| !text.contains("commands")).await;
        let hostile_first = screen.row(">").contains("hostile");
        screen.press(if hostile_first { "jF" } else { "F" });
        screen.shows("failures").await;
        screen.press("12");
        screen.shows("> transfers").await;
        // the order of the list does not matter: by the filter to the one, then to the other
        screen.press("/hostile\r");
        screen.shows("1 of 2 shown").await;
        screen.press("F");
        screen.until("the failed keys", |text| text.contains("kkkkk") && text.contains("AccessDenied")).await;
        screen.press("\tjjjjjy");
        screen.shows("sent to the terminal").await;
        screen.press("2/\x15slow\r");
        screen.shows("slow").await;
        screen.press(key::ENTER);
        screen.until("keys in flight", |text| text.contains("copying") && text.contains("slow/")).await;
        screen.press("?");
        screen.shows("pause/resume").await;
        screen.press("q");
        screen.press("\x03");
        assert_eq!(screen.ended().await, 0);
        let bytes = screen.bytes();
        let drawn = without_clipboard(&bytes);
        // after the dashboard the usual screen gets the summary, in lines
        let end = drawn.windows(8).rposition(|w| w == b"\x1b[?1049l").unwrap();
        assert_eq!(foreign(&drawn[..end]), Vec::<String>::new());
        let ascii = arguments.contains(&"ascii");
        assert_eq!(drawn.is_ascii(), ascii, "{:?}", String::from_utf8_lossy(&drawn));
        if ascii {
            assert!(!has_colours(&drawn), "{:?}", String::from_utf8_lossy(&drawn));
        }
    }
}

/// The bytes without what was sent to the clipboard, which is base64 between `ESC ] 52` and `ESC \`.
fn without_clipboard(bytes: &[u8]) -> Vec<u8> {
    let find = |from: usize, what: &[u8]| bytes[from..].windows(what.len()).position(|w| w == what).map(|at| from + at);
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(start) = find(at, b"\x1b]52;") {
        let end = find(start, b"\x1b\\").expect("a sequence for the clipboard has its end");
        assert!(bytes[start + 7..end].iter().all(|b| b.is_ascii_alphanumeric() || b"+/=;".contains(b)));
        out.extend_from_slice(&bytes[at..start]);
        at = end + 2;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

/// A sequence that sets attributes names a colour: 30 to 49, or 90 to 107; 39 and 49 are the terminal's own.
fn has_colours(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m').map(|(codes, _)| codes)).any(|codes| {
        let numbers: Option<Vec<u8>> = codes.split(';').map(|code| code.parse().ok()).collect();
        numbers.is_some_and(|n| n.iter().any(|n| matches!(n, 30..=38 | 40..=48 | 90..=107)))
    })
}
