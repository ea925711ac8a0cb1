//! All versions and delete markers in order, and the keys as they were at a time.

mod real;

use std::{collections::BTreeMap, time::Duration};

use dth_proto::view::RunOutcome;
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server, md5_hex},
    task::{Task, ended_well},
};
use jiff::Timestamp;

use crate::data::noise;

const FROM: &str = "from";
const TO: &str = "arrived";
const MIB: usize = 1 << 20;

/// Key with its versions, oldest first: what tells their content, or `None` for a delete marker.
type History = BTreeMap<String, Vec<Option<String>>>;

fn history(server: &Server, bucket: &str) -> History {
    let versions = |versions: Vec<dth_tests::s3::Version>| versions.into_iter().map(|v| v.object.map(|o| md5_hex(&o.data))).collect();
    server.store().history(bucket).into_iter().map(|(key, all)| (key, versions(all))).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// Keys of all kinds: one version, many, deleted, deleted and back, older than versioning, in parts, of odd names.
fn fill(server: &Server) {
    let store = server.store();
    let put = |key: &str, content: &str, second| store.put(FROM, key, Object::new(content.to_owned()).modified(at(second)));
    put("before", "null version", 0);
    store.keep_versions(FROM);
    put("before", "after", 10);
    put("one", "only", 10);
    for n in 0..30 {
        put("many", &format!("version {}", n % 7), 10 + n);
    }
    put("gone", "was here", 10);
    store.mark_deleted(FROM, "gone", at(20));
    put("back", "first", 10);
    store.mark_deleted(FROM, "back", at(20));
    put("back", "second", 30);
    put("od//d/../ü +%/", "", 10);
    put("od//d/../ü +%/", "", 20);
    for n in 0..2 {
        let object =
            Object::multipart(noise(&format!("large {n}"), 11 * MIB), 5 * MIB as u64).metadata("generation", &n.to_string()).tag("n", "1");
        store.put(FROM, "large", object.modified(at(10 + n)));
    }
}

struct Scene {
    source: Server,
    destination: Server,
    daemon: Daemon,
    task: Task,
}

async fn scene(limits: &str) -> Scene {
    // several pages, and keys that span them
    let (source, destination) = (Server::builder().page(7).start().await.unwrap(), Server::builder().page(5).start().await.unwrap());
    fill(&source);
    destination.store().keep_versions(TO);
    let daemon = Daemon::start(limits).await;
    let task = Task::new("copy", (&source.endpoint(), FROM), (&destination.endpoint(), TO));
    Scene { source, destination, daemon, task }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_versions_arrive_in_order_and_once() {
    let Scene { source, destination, daemon, task } = scene("").await;
    let task = task.with("options.versions", "all");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    let all: u64 = history(&source, FROM).values().map(|versions| versions.len() as u64).sum();
    assert_eq!((run.counters.listed, run.counters.copied), (all, all), "{run:?}");
    assert_eq!(history(&destination, TO), history(&source, FROM));
    for ((key, from), (_, to)) in source.store().history(FROM).into_iter().zip(destination.store().history(TO)) {
        for (n, (a, b)) in from.into_iter().zip(to).enumerate() {
            let (Some(a), Some(b)) = (a.object, b.object) else { continue };
            assert!(a.data == b.data, "{key} {n}");
            assert_eq!((&a.attributes.metadata, &a.attributes.tags), (&b.attributes.metadata, &b.attributes.tags), "{key} {n}");
        }
    }
    let items = task.items(&daemon).await;
    assert!(items.iter().any(|item| item.key == "before?versionId=null" && item.outcome == "copied"), "{items:?}");

    // nothing new: nothing is read or written
    source.reset_requests();
    destination.reset_requests();
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.listed, again.counters.same, again.counters.copied), (all, all, 0), "{again:?}");
    let requests = destination.requests();
    assert_eq!(source.requests().of(Operation::GetObject) + requests.of(Operation::PutObject) + requests.of(Operation::DeleteObject), 0);

    // new versions follow, and what the source has lost stays
    source.store().expire(FROM, "many", 12);
    source.store().put(FROM, "many", Object::new("newest"));
    source.store().remove(FROM, "one");
    source.store().put(FROM, "new", Object::new("new"));
    let more = task.again(&daemon).await;
    assert_eq!((more.counters.copied, more.counters.skipped, more.counters.failed), (3, 0, 0), "{more:?}");
    let (from, to) = (history(&source, FROM), history(&destination, TO));
    assert_eq!(to["many"].len(), 31);
    assert!(to["many"].ends_with(&from["many"]), "{to:?}");
    assert_eq!((&to["one"], &to["new"]), (&from["one"], &from["new"]));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_stops_the_later_ones_of_its_key() {
    let Scene { source, destination, daemon, task } = scene("").await;
    let task = task.with("options.versions", "all");
    let deny = source.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).key("back"));
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome, run.counters.failed), (1, Some(RunOutcome::Incomplete), 3), "{run:?}");
    assert!(run.counters.balanced());
    assert!(destination.store().history(TO).iter().all(|(key, _)| key != "back"), "not its delete marker alone");
    let failures = task.failures(&daemon).await;
    let codes: Vec<&str> = failures.iter().map(|failure| failure.code.as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "EarlierVersionFailed").count(), 2, "{codes:?}");
    source.faults().remove(deny);
    task.tell(&daemon, "retry", &[]).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied), (3, 3), "{run:?}");
    assert_eq!(history(&destination, TO), history(&source, FROM));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_without_versions_is_refused_with_the_way_out() {
    let Scene { source, destination, daemon, task } = scene("").await;
    destination.store().create_bucket("plain");
    let all = Task::new("all", (&source.endpoint(), FROM), (&destination.endpoint(), "plain")).with("options.versions", "all");
    all.start(&daemon).await;
    let (code, run) = all.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Failed)));
    let error = run.error.unwrap();
    assert!(error.contains("\"plain\"") || error.contains("bucket plain keeps no versions: enable versioning"), "{error}");
    source.store().put("plain", "k", Object::new("x"));
    let then =
        Task::new("then", (&source.endpoint(), "plain"), (&destination.endpoint(), TO)).with("options.as_of", "2026-01-01T00:00:00Z");
    then.start(&daemon).await;
    let (_, run) = then.wait(&daemon).await;
    let error = run.error.unwrap();
    assert!(error.contains("bucket plain keeps no versions") && error.contains("as_of"), "{error}");
    drop(task);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_as_they_were_at_a_time() {
    let Scene { source, destination, daemon, task: _ } = scene("").await;
    for (second, wanted) in [
        (5, vec!["before"]),
        (15, vec!["back", "before", "gone", "large", "many", "od//d/../ü +%/", "one"]),
        (25, vec!["before", "large", "many", "od//d/../ü +%/", "one"]),
        (90, vec!["back", "before", "large", "many", "od//d/../ü +%/", "one"]),
    ] {
        let (bucket, time) = (format!("then-{second}"), at(second));
        destination.store().create_bucket(&bucket);
        let task =
            Task::new(&bucket, (&source.endpoint(), FROM), (&destination.endpoint(), &bucket)).with("options.as_of", time.to_string());
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        assert_eq!(run.counters.copied as usize, wanted.len(), "{run:?}");
        let there = destination.store().all(&bucket);
        assert_eq!(there.keys().collect::<Vec<_>>(), wanted, "{second}");
        for (key, versions) in source.store().history(FROM) {
            let then = versions.iter().rev().find(|version| version.made <= time).and_then(|version| version.object.clone());
            let content = |object: &std::sync::Arc<Object>| md5_hex(&object.data);
            assert_eq!(there.get(&key).map(content), then.as_ref().map(content), "{key} {second}");
        }
        let again = task.again(&daemon).await;
        assert_eq!((again.counters.same, again.counters.copied), (run.counters.copied, 0), "{again:?}");
    }
    ended_well(daemon).await;
}

/// The order is kept and nothing is made twice but what was in flight.
#[tokio::test(flavor = "multi_thread")]
async fn kills_in_the_middle_of_a_version_keep_the_order() {
    const KEYS: usize = 12;
    const VERSIONS: usize = 8;
    const KILLS: u64 = 8;
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    source.store().keep_versions(FROM);
    destination.store().keep_versions(TO);
    for key in 0..KEYS {
        for n in 0..VERSIONS {
            let (key, content) = (format!("key/{key:02}"), format!("{key} {n}"));
            if n % 4 == 3 { drop(source.store().remove(FROM, &key)) } else { source.store().put(FROM, &key, Object::new(content)) }
        }
    }
    for server in [&source, &destination] {
        server.set_latency(Duration::from_millis(15));
    }
    let mut daemon = Daemon::start("[limits]\nobjects = 3\n").await;
    let task = Task::new("copy", (&source.endpoint(), FROM), (&destination.endpoint(), TO)).with("options.versions", "all");
    task.start(&daemon).await;
    let all = (KEYS * VERSIONS) as u64;
    for kill in 1..=KILLS {
        let moment = all * kill / (KILLS + 2);
        let writes = || {
            let requests = destination.requests();
            requests.of(Operation::PutObject) + requests.of(Operation::DeleteObject)
        };
        let begin = std::time::Instant::now();
        while writes() < moment {
            assert!(begin.elapsed() < Duration::from_secs(60), "no progress\n{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        daemon.kill();
        daemon.restart().await;
    }
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied + run.counters.same), (1, all, all), "{run:?}");
    let (from, to) = (history(&source, FROM), history(&destination, TO));
    let mut more = 0;
    for (key, versions) in &from {
        let mut there = to[key].clone();
        assert_eq!(there.last(), versions.last(), "{key}");
        more += there.len() - versions.len();
        // what was in flight at a kill and had arrived may have been made again at once
        there.dedup();
        let mut wanted = versions.clone();
        wanted.dedup();
        assert_eq!(there, wanted, "{key}");
    }
    assert!(more as u64 <= KILLS * 3, "{more} versions were made again");
    println!("{all} versions, {KILLS} kills, {more} made again");
    ended_well(daemon).await;
}
