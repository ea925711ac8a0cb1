//! Deletes: every object that only the destination has goes, and no other, whatever fails, changes or is stopped meanwhile.

mod confirm;
mod faults;
mod stops;

use std::{collections::BTreeSet, time::Duration};

use dth_proto::view::{RunOutcome, RunView};
use dth_tests::{
    daemon::Daemon,
    s3::{Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};
use serde_json::Value;

use crate::pair;

const PATIENCE: Duration = Duration::from_secs(60);

/// Two stores, and a daemon.
pub struct World {
    pub source: Server,
    pub destination: Server,
    pub daemon: Daemon,
}

impl World {
    pub async fn new() -> Self {
        Self::paged(1_000).await
    }

    /// With so many keys in a page.
    pub async fn paged(keys: usize) -> Self {
        let (source, destination) = pair::stores_like(|| Server::builder().page(keys)).await;
        Self { source, destination, daemon: Daemon::start("").await }
    }

    pub fn has<'k>(&self, source: impl IntoIterator<Item = &'k str>, destination: impl IntoIterator<Item = &'k str>) {
        source.into_iter().for_each(|key| self.source.store().put("from", key, Object::new(key.to_owned())));
        destination.into_iter().for_each(|key| self.destination.store().put("to", key, Object::new(key.to_owned())));
    }

    /// A task that mirrors, without guards that a test of few objects would break.
    pub fn task(&self) -> Task {
        pair::task("mirror", &self.source, &self.destination).with("options.delete", "mirror").with("options.max_delete_percent", 100)
    }

    pub async fn create(&self, task: &Task) {
        self.daemon.dth(&["create", "--file", &task.file(&self.daemon)]).ok().await;
    }

    pub async fn start(&self, task: &Task) {
        task.tell(&self.daemon, "start", &["--confirm", task.name()]).await;
    }

    /// Creates and starts it, and waits for the run's end.
    pub async fn run(&self, task: &Task) -> RunView {
        self.create(task).await;
        self.again(task).await
    }

    pub async fn again(&self, task: &Task) -> RunView {
        self.start(task).await;
        let (_, run) = task.wait(&self.daemon).await;
        assert!(run.counters.balanced(), "{run:?}");
        run
    }

    /// What the destination has now.
    pub fn left(&self) -> Vec<String> {
        self.destination.store().all("to").into_keys().collect()
    }

    /// Waits until the listing has found so many objects to delete.
    pub async fn to_delete(&self, task: &Task, count: u64) {
        eventually("the listing is done", PATIENCE, || async {
            let run = task.show(&self.daemon).await.view.run?;
            (run.counters.to_delete == count).then_some(())
        })
        .await;
    }

    /// How many requests that delete the destination got.
    pub fn deletes(&self) -> u64 {
        let requests = self.destination.requests();
        requests.of(Operation::DeleteObject) + requests.of(Operation::DeleteObjects)
    }

    pub async fn records(&self, task: &Task, outcome: &str) -> Vec<String> {
        let items = task.items(&self.daemon).await;
        items.into_iter().filter(|item| item.outcome == outcome).map(|item| item.key).collect()
    }

    pub async fn ends_well(self) {
        ended_well(self.daemon).await;
    }
}

fn succeeded(run: &RunView, deleted: u64) {
    assert_eq!((run.outcome, run.counters.deleted, run.counters.failed), (Some(RunOutcome::Succeeded), deleted, 0), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_destination_has_goes_with_a_record_and_nothing_else() {
    let world = World::paged(7).await;
    let keys: Vec<String> = (0..60).map(|n| format!("k/{n:03}")).collect();
    let both = keys.iter().enumerate().filter(|(n, _)| n % 3 == 0);
    let only_here = keys.iter().enumerate().filter(|(n, _)| n % 3 == 1);
    let only_there: Vec<&str> = keys.iter().enumerate().filter(|(n, _)| n % 3 == 2).map(|(_, key)| key.as_str()).collect();
    // in front of everything, between, and behind everything
    let edges = ["a", "k/0", "z"];
    world.has(both.clone().chain(only_here).map(|(_, key)| key.as_str()), both.map(|(_, key)| key.as_str()));
    world.has([], only_there.iter().copied().chain(edges));
    let task = world.task();
    let run = world.run(&task).await;
    succeeded(&run, 23);
    assert_eq!((run.counters.listed, run.counters.same, run.counters.copied), (40, 20, 20), "{run:?}");
    assert_eq!(world.left(), world.source.store().all("from").into_keys().collect::<Vec<_>>());
    let gone: BTreeSet<String> = only_there.iter().copied().chain(edges).map(str::to_owned).collect();
    assert_eq!(world.records(&task, "deleted").await.into_iter().collect::<BTreeSet<_>>(), gone);
    assert_eq!(world.deletes(), 1, "many with one request");
    // nothing is left to do
    succeeded(&world.again(&task).await, 0);
    assert_eq!(world.deletes(), 1);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filters_leave_out_stays_at_both_ends() {
    let world = World::new().await;
    world.has(["in/a", "in/small", "in/huge"], ["in/a", "in/small", "in/huge"]);
    world.source.store().put("from", "in/huge", Object::new(vec![7; 5_000]));
    world.source.store().put("from", "in/cold", {
        let mut object = Object::new("cold");
        object.attributes.storage_class = "GLACIER_IR".to_owned();
        object
    });
    // excluded by a glob, by an expression, not included: none of the task's business; the others are gone at the source
    world.has([], ["in/x.tmp", "in/secret-1", "out/b", "in/gone", "in/cold"]);
    let task = world
        .task()
        .with("options.include", vec!["in/**"])
        .with("options.exclude", vec!["**.tmp"])
        .with("options.exclude_regex", vec!["secret-[0-9]"])
        .with("options.smaller_than", "1kB")
        .with("options.exclude_storage_classes", vec!["GLACIER_IR"]);
    let run = world.run(&task).await;
    succeeded(&run, 1);
    assert_eq!((run.counters.same, run.counters.skipped), (2, 2), "{run:?}");
    assert_eq!(world.left(), ["in/a", "in/cold", "in/huge", "in/secret-1", "in/small", "in/x.tmp", "out/b"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_where_keys_go_is_anything_deleted() {
    let world = World::new().await;
    let long = format!("c/{}", "k".repeat(1_022));
    world.has(["raw/a", "raw/b", "other/c"], ["c/a", "c/gone", "c/other/c", "c", "c/", "cx", "raw/a", "z"]);
    world.has([], [long.as_str()]);
    // raw/a goes to c/a: what is behind c/ and has no source goes; "c/" would come from "raw/", and the long one from a key that cannot be
    let task = world.task().with("source.prefix", "raw/").with("destination.prefix", "c/").with("destination.strip_prefix", "raw/");
    let run = world.run(&task).await;
    succeeded(&run, 3);
    assert_eq!(world.left(), ["c", "c/a", "c/b", long.as_str(), "cx", "raw/a", "z"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_prefixes_only_theirs_is_deleted() {
    let world = World::new().await;
    world.has(["a/1", "b/1", "c/1", "d/1"], ["x/a/1", "x/a/gone", "x/b/gone", "x/bb/stays", "x/c/1", "x/d/gone", "a/stays"]);
    let task = world.task().with("source.prefixes", vec!["d/", "a/", "c/", "a/"]).with("destination.prefix", "x/");
    let run = world.run(&task).await;
    succeeded(&run, 2);
    assert_eq!(run.counters.listed, 3, "{run:?}");
    assert_eq!(world.left(), ["a/stays", "x/a/1", "x/b/gone", "x/bb/stays", "x/c/1", "x/d/1"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_request_for_many_can_name_go_one_by_one() {
    let world = World::new().await;
    let hostile = ["a\u{1}b", "line\nbreak", "tab\t", "//", "a&<b>\"'", "é\u{301}", "+ %2F", "\u{10ffff}", "..", "cr\r"];
    world.has(["kept"], hostile.into_iter().chain(["kept"]));
    let task = world.task();
    let run = world.run(&task).await;
    succeeded(&run, hostile.len() as u64);
    assert_eq!(world.left(), ["kept"]);
    assert_eq!(world.destination.requests().of(Operation::DeleteObject), 4, "those with control characters");
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_exceeded_deletes_nothing_and_says_so() {
    let world = World::new().await;
    let keys: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    world.has(keys[..14].iter().map(String::as_str).chain(["new"]), keys.iter().map(String::as_str));
    for (option, value, named) in
        [("options.max_deletes", 5, "more than max_deletes = 5"), ("options.max_delete_percent", 28, "more than max_delete_percent = 28")]
    {
        let task = world.task().with("name", format!("by-{value}")).with(option, value);
        let name = format!("by-{value}");
        world.daemon.dth(&["create", "--file", &task.file(&world.daemon)]).ok().await;
        world.daemon.dth(&["start", &name, "--confirm", &name]).ok().await;
        let run: Value = serde_json::from_str(&world.daemon.dth(&["wait", &name, "-o", "json"]).run().await.out).unwrap();
        assert_eq!(
            (run["outcome"].as_str(), run["deleted"].as_u64(), run["to_delete"].as_u64()),
            (Some("incomplete"), Some(0), Some(6)),
            "{run}"
        );
        assert!(world.destination.store().get("to", "new").is_some(), "what is missing is copied");
        let status: Value = world.daemon.dth(&["status"]).json().await;
        let problems = status["problems"].to_string();
        assert!(problems.contains(named) && problems.contains("6 of 2") && problems.contains("nothing was"), "{problems}");
        let planned: Value = world.daemon.dth(&["items", &name, "--outcome", "planned"]).json().await;
        assert_eq!(planned.as_array().map(Vec::len), Some(6), "{planned}");
    }
    assert_eq!((world.left().len(), world.deletes()), (21, 0));
    // raised, it goes on
    let task = world.task().with("name", "by-28").with("options.max_delete_percent", 30);
    world.daemon.dth(&["edit", "by-28", "--file", &task.file(&world.daemon)]).ok().await;
    world.daemon.dth(&["start", "by-28", "--confirm", "by-28"]).ok().await;
    let run: Value = world.daemon.dth(&["wait", "by-28"]).json().await;
    assert_eq!(run["deleted"], 6, "{run}");
    assert_eq!(world.left().len(), 15);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_is_no_reason_to_empty_the_destination() {
    let world = World::new().await;
    world.has([], ["a", "b", "c"]);
    let guarded = pair::task("mirror", &world.source, &world.destination).with("options.delete", "mirror");
    let run = world.run(&guarded).await;
    assert_eq!((run.outcome, run.counters.deleted), (Some(RunOutcome::Incomplete), 0), "{run:?}");
    assert_eq!((world.left().len(), world.deletes()), (3, 0));
    // unless that is what the guards allow
    world.daemon.dth(&["edit", "mirror", "--file", &world.task().file(&world.daemon)]).ok().await;
    succeeded(&world.again(&guarded).await, 3);
    assert!(world.left().is_empty());
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_does_not_mirror_deletes_nothing() {
    let world = World::new().await;
    world.has(["a"], ["a", "b"]);
    let task = pair::task("copy", &world.source, &world.destination);
    task.start(&world.daemon).await;
    succeeded(&task.succeeds(&world.daemon).await, 0);
    assert_eq!((world.left().len(), world.deletes()), (2, 0));
    world.ends_well().await;
}
