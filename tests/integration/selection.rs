//! Which objects a task takes: several prefixes, lists of them in a file or a bucket, expressions, storage classes.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use dth_proto::view::{RunOutcome, RunView};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    task::{Task, ended_well},
};

use crate::pair::{self, stores};

fn keys(server: &Server, bucket: &str) -> Vec<String> {
    server.store().all(bucket).into_keys().collect()
}

fn put(server: &Server, keys: &[&str]) {
    keys.iter().for_each(|key| server.store().put("from", key, Object::new((*key).to_owned())));
}

async fn run(daemon: &Daemon, task: &Task) -> RunView {
    task.start(daemon).await;
    task.succeeds(daemon).await
}

fn list(daemon: &Daemon, name: &str, text: &[u8]) -> String {
    let path: PathBuf = daemon.folder().join(name);
    fs::write(&path, text).unwrap();
    format!("file://{}", path.display())
}

const ALL: [&str; 8] = ["a/1", "a/x/2", "b/3", "ba/4", "c", "c/5", "d e+/6", "é/7"];

#[tokio::test(flavor = "multi_thread")]
async fn several_prefixes_are_taken_once_each() {
    let (source, destination) = stores().await;
    put(&source, &ALL);
    let daemon = Daemon::start("").await;
    let task = pair::task("some", &source, &destination)
        .with("source.prefixes", vec!["b/", "a/x/", "é", "a/", "b/", "none/"])
        .with("destination.prefix", "in/");
    let first = run(&daemon, &task).await;
    assert_eq!((first.counters.listed, first.counters.copied), (4, 4), "{first:?}");
    assert_eq!(keys(&destination, "to"), ["in/a/1", "in/a/x/2", "in/b/3", "in/é/7"]);
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.listed, again.counters.same), (4, 4), "{again:?}");
    let shown = task.show(&daemon).await;
    assert_eq!(shown.view.from, "s3://from/{6 prefixes}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_from_a_file_and_from_a_bucket() {
    let (source, destination) = stores().await;
    put(&source, &ALL);
    let daemon = pair::daemon("").await;
    let text = "\u{feff}é/\r\n\r\nd e+/\r\nc\r\nd e+/\r\nc/5".as_bytes();
    let wanted = ["c", "c/5", "d e+/6", "é/7"];
    let file = pair::task("file", &source, &destination).with("source.prefix_list", list(&daemon, "list.txt", text));
    assert_eq!(run(&daemon, &file).await.counters.copied, 4);
    assert_eq!(keys(&destination, "to"), wanted);
    assert_eq!(file.show(&daemon).await.view.from, "s3://from/{prefix list}");

    // in another bucket, with the source's credential, read in several requests
    source.store().create_bucket("lists");
    let long: Vec<u8> =
        [text, b"\n"].concat().into_iter().chain((0..500_000).flat_map(|n| format!("no/{n:012}/\n").into_bytes())).collect();
    source.store().put("lists", "some list.txt", Object::new(long));
    let object = pair::signed("object", &source, &destination)
        .with("source.prefix_list", "s3://lists/some list.txt")
        .with("destination.prefix", "2/");
    let run = run(&daemon, &object).await;
    assert_eq!((run.counters.listed, run.counters.copied), (4, 4), "{run:?}");
    assert_eq!(keys(&destination, "to").iter().filter_map(|key| key.strip_prefix("2/")).collect::<Vec<_>>(), wanted);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_no_use_fails_the_run_in_words() {
    let (source, destination) = stores().await;
    put(&source, &ALL);
    source.store().put("lists", "denied", Object::new("a/\n"));
    source.faults().add(Fault::new(Action::Deny).key("denied"));
    let daemon = Daemon::start("").await;
    let long = "x".repeat(1_025);
    for (name, place, said) in [
        (
            "missing",
            "file:///no/such/list".to_owned(),
            "cannot be read on this machine: No such file or directory (os error 2); correct the path",
        ),
        ("folder", format!("file://{}", daemon.folder().display()), "is a directory: name a file with one prefix per line"),
        ("empty", list(&daemon, "empty", b"\n\r\n"), "has no prefix in it: nothing would be copied; write one prefix per line"),
        (
            "bad",
            list(&daemon, "bad", &[b"a/\n\xff\n".as_slice(), long.as_bytes()].concat()),
            "has lines that are no prefixes: line 2 is not UTF-8; line 3 has 1025 bytes, and a key at most 1024; correct them",
        ),
        ("gone", "s3://lists/gone".to_owned(), "cannot be read: source HeadObject: NotFound"),
        ("nowhere", "s3://no-lists/gone".to_owned(), "cannot be read: source HeadObject: NotFound"),
        ("denied", "s3://lists/denied".to_owned(), "allow the source's credential s3:GetObject on it"),
    ] {
        let task = pair::task(name, &source, &destination).with("source.prefix_list", place.as_str());
        task.start(&daemon).await;
        let (_, run) = task.wait(&daemon).await;
        assert_eq!((run.outcome, run.counters.listed), (Some(RunOutcome::Failed), 0), "{name}: {run:?}");
        let error = run.error.unwrap_or_default();
        assert!(error.starts_with(&format!("source.prefix_list {place:?} ")) && error.contains(said), "{name}: {error}");
    }
    assert!(keys(&destination, "to").is_empty());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_to_name_prefixes_exclude_each_other() {
    let (source, destination) = stores().await;
    let daemon = Daemon::start("").await;
    let task = pair::task("both", &source, &destination)
        .with("source.prefix", "a/")
        .with("source.prefixes", vec!["b/", ""])
        .with("source.prefix_list", "list.txt")
        .with("options.max_deletes", 5);
    let refused = daemon.dth(&["create", "--file", &task.file(&daemon)]).run().await;
    let said = &refused.err;
    for part in [
        "source.prefix prefix and prefixes and prefix_list exclude each other: keep one of them",
        "source.prefixes has an empty prefix, which means all keys",
        "source.prefix_list is not a place of a list: write it like s3://bucket/key or file:///path",
        "options.max_deletes guards nothing: it belongs to delete = \"mirror\"",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let regex = pair::task("regex", &source, &destination).with("options.include_regex", vec!["a("]);
    let refused = daemon.dth(&["create", "--file", &regex.file(&daemon)]).run().await;
    assert!(refused.err.contains("options.include_regex: \"a(\" is not a regular expression: unclosed group"), "{refused:?}");
    let one = pair::task("one", &source, &source)
        .with("destination.bucket", "from")
        .with("source.prefixes", vec!["a/", "b/"])
        .with("destination.prefix", "b/copies/");
    let refused = daemon.dth(&["create", "--file", &one.file(&daemon)]).run().await;
    assert!(refused.err.contains("\"b/\" at the source and \"b/copies/a/\" at the destination are in one place"), "{refused:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_and_storage_classes_leave_out_by_their_own_words() {
    let (source, destination) = stores().await;
    put(&source, &["logs/2024/a", "logs/2025/b", "raw/c.jpg", "raw/d.tmp", "else"]);
    for (key, class) in [("raw/cold", "GLACIER_IR"), ("raw/rare", "STANDARD_IA")] {
        let mut object = Object::new(key);
        object.attributes.storage_class = class.to_owned();
        source.store().put("from", key, object);
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("words", &source, &destination)
        .with("options.include", vec!["raw/**"])
        .with("options.include_regex", vec!["^logs/20(24|25)/"])
        .with("options.exclude_regex", vec!["2024", "\\.tmp$"])
        .with("options.storage_classes", vec!["STANDARD", "GLACIER_IR"])
        .with("options.exclude_storage_classes", vec!["GLACIER_IR"]);
    let run = run(&daemon, &task).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.skipped), (7, 2, 5), "{run:?}");
    assert_eq!(keys(&destination, "to"), ["logs/2025/b", "raw/c.jpg"]);
    let skipped: Vec<(String, u64)> = task.show(&daemon).await.skipped.into_iter().collect();
    let wanted = [("excluded-by-regex", 2), ("excluded-class", 1), ("not-in-class", 1), ("not-included", 1)];
    assert_eq!(skipped, wanted.map(|(word, count)| (word.to_owned(), count)));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_goes_on_with_the_list_and_another_list_begins_again() {
    let (source, destination) = stores().await;
    let all: Vec<String> = (0..400).map(|n| format!("{:03}/{}", n / 2, n % 2)).collect();
    put(&source, &all.iter().map(String::as_str).collect::<Vec<_>>());
    destination.set_latency(std::time::Duration::from_millis(20));
    let mut daemon = Daemon::start("[limits]\nobjects = 2\n").await;
    let lines = |numbers: std::ops::Range<u32>| numbers.map(|n| format!("{n:03}/\n")).collect::<String>();
    let place = list(&daemon, "list.txt", lines(0..100).as_bytes());
    let task = pair::task("list", &source, &destination).with("source.prefix_list", place.as_str());
    let some = |count: u64| {
        let destination = &destination;
        dth_tests::wait::eventually("copies are under way", std::time::Duration::from_secs(60), move || async move {
            (destination.requests().of(Operation::PutObject) >= count).then_some(())
        })
    };
    task.start(&daemon).await;
    some(30).await;
    daemon.kill();
    daemon.restart().await;
    some(60).await;
    daemon.kill();
    // it has become another: what it selects is copied, and counted once
    fs::write(place.strip_prefix("file://").unwrap(), lines(50..150)).unwrap();
    daemon.restart().await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed), (1, 200), "{run:?}");
    let there: BTreeSet<String> = keys(&destination, "to").into_iter().collect();
    assert!(all[100..300].iter().all(|key| there.contains(key)));
    assert!(daemon.dth(&["log", "--task", "list"]).ok().await.contains("the prefix list has changed since the run began: it begins again"));
    ended_well(daemon).await;
}

/// Lines of the large list, and objects of the bucket.
const MILLION: usize = 1_000_000;
/// Lines of the small list: each is the beginning of a thousand keys, so that as much is listed.
const FEW: usize = 1_000;
/// What all keys begin with, as long as real ones are.
const FOLDER: &str = "warehouse/region=eu-central-1/day=2026-11-23/part-of/";
/// What a daemon may take for them. The list alone has 62 MB, and as texts in memory it would take 100.
const MOST_MIB: u64 = 160;
/// What it may take more for a million lines than for a thousand, however long they are: they are sorted in pieces of 16 MiB (`SortSettings`),
/// which take half as much again with what orders and writes them; the rest is the allocator's.
const MORE_MIB: u64 = 32;

fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// What a daemon of its own has listed over the lines of a list, and the most memory it took, in MiB. All objects are left out by a rule, so
/// that what is measured is the selection.
async fn over_lines(source: &Server, destination: &Server, lines: impl Iterator<Item = String>) -> (u64, u64) {
    let mut daemon = Daemon::start("").await;
    let path = daemon.folder().join("lines.txt");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    file.flush().unwrap();
    let task = pair::task("lines", source, destination)
        .with("source.prefix_list", format!("file://{}", path.display()))
        .with("options.larger_than", "1GB");
    let run = run(&daemon, &task).await;
    assert_eq!(run.counters.skipped, run.counters.listed, "{run:?}");
    let memory = most_memory(daemon.process().unwrap().id());
    ended_well(daemon).await;
    (run.counters.listed, memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_lines_over_a_million_objects_take_as_much_memory_as_a_thousand() {
    let (source, destination) = stores().await;
    let object = Arc::new(Object::new("x"));
    for n in 0..MILLION {
        source.store().put("from", &format!("{FOLDER}{n:08}"), Arc::clone(&object));
    }
    let (listed, few) = over_lines(&source, &destination, (0..FEW).map(|n| format!("{FOLDER}{n:05}"))).await;
    assert_eq!(listed, MILLION as u64);

    source.reset_requests();
    let began = Instant::now();
    // two of three objects have their line; every third line has no object; from the back, so that there is something to sort
    let line = |n: usize| format!("{FOLDER}{n:08}{}", if n.is_multiple_of(3) { "/none" } else { "" });
    let (listed, many) = over_lines(&source, &destination, (0..MILLION).rev().map(line)).await;
    assert_eq!(listed, MILLION as u64 - MILLION.div_ceil(3) as u64);
    let (took, pages) = (began.elapsed(), source.requests().of(Operation::ListObjectsV2));
    println!("{MILLION} objects: {many} MiB at most with {MILLION} lines ({took:.1?}, {pages} pages), {few} MiB with {FEW}");
    assert!(pages < 1_100, "{pages} pages");
    assert!(many < MOST_MIB, "{many} MiB");
    assert!(many < few + MORE_MIB, "{many} MiB with {MILLION} lines, {few} MiB with {FEW}");
}
