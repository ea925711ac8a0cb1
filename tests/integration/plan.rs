//! Runs that change nothing: what they tell, what they leave alone, and what is left of them.

use std::{collections::BTreeMap, time::Duration};

use dth_proto::view::{Explanation, Found, ItemView, PlanReply, RunKind, RunOutcome, RunView, TaskView};
use dth_tests::{
    daemon::Daemon,
    registry::{Image, Server as Registry},
    s3::{Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};
use serde::Deserialize;

use crate::{
    data,
    pair::{self, stores},
};

/// Operations that change nothing.
const READS: [Operation; 5] =
    [Operation::ListObjectsV2, Operation::ListObjects, Operation::HeadObject, Operation::GetObject, Operation::HeadBucket];

/// What `dth plan -o json` answers.
#[derive(Debug, Deserialize)]
struct Plan {
    #[serde(flatten)]
    plan: PlanReply,
    items: Vec<ItemView>,
}

fn written(server: &Server) -> u64 {
    let requests = server.requests();
    requests.total() - READS.iter().map(|read| requests.of(*read)).sum::<u64>()
}

/// Five objects that differ in as many ways as there are.
fn fill(source: &Server, destination: &Server) {
    for (key, bytes) in [("a-equal", "same"), ("b-missing", "new"), ("c-size", "longer"), ("d-etag", "abcd"), ("e.tmp", "left out")] {
        source.store().put("from", key, Object::new(bytes));
    }
    source.store().put("from", "f-large", Object::new(data::noise("f", 20 << 20)));
    for (key, bytes) in [("a-equal", "same"), ("c-size", "short"), ("d-etag", "wxyz")] {
        destination.store().put("to", key, Object::new(bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_everything_and_writes_nothing() {
    let (source, destination) = stores().await;
    fill(&source, &destination);
    let before = destination.store().all("to");
    let daemon = Daemon::start("[prices.aws]\nout = \"1000\"\n").await;
    let task = pair::task("plans", &source, &destination).with("options.exclude", vec!["*.tmp"]).with("trigger.every", "10h");
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    let next = task.show(&daemon).await.view.next_run;
    let plan: Plan = daemon.dth(&["plan", "plans", "--items", "3"]).json().await;
    let run = plan.plan.detail.view.run.as_ref().unwrap();
    let c = &run.counters;
    assert_eq!((run.kind, run.outcome), (RunKind::Plan, Some(RunOutcome::Succeeded)), "{run:?}");
    assert_eq!((c.listed, c.same, c.planned, c.skipped, c.copied), (6, 1, 4, 1, 0), "{c:?}");
    assert!(c.balanced() && c.bytes_planned == 3 + 6 + 4 + (20 << 20), "{c:?}");
    let reasons = [("etag", 1), ("missing", 2), ("size", 1)].map(|(reason, count)| (reason.to_owned(), count));
    assert_eq!(plan.plan.detail.planned, BTreeMap::from(reasons));
    let first: Vec<_> = plan.items.iter().map(|item| (item.key.as_str(), item.outcome.as_str(), item.reason.as_deref())).collect();
    assert_eq!(
        first,
        [("b-missing", "planned", Some("missing")), ("c-size", "planned", Some("size")), ("d-etag", "planned", Some("etag"))]
    );
    let requests: BTreeMap<&str, u64> = plan.plan.requests.iter().map(|one| (one.operation.as_str(), one.count)).collect();
    let expected = [("CompleteMultipartUpload", 1), ("CreateMultipartUpload", 1), ("GetObject", 6), ("PutObject", 3), ("UploadPart", 3)];
    assert_eq!(requests, BTreeMap::from(expected));
    // both ends say us-east-1: inside of a region bytes cost nothing, whatever the price elsewhere
    let out = plan.plan.costs.iter().find(|cost| cost.what == "transfer out").unwrap();
    assert_eq!((out.amount, out.usd), (c.bytes_planned, Some(0.0)));
    assert_eq!((written(&source), written(&destination)), (0, 0), "{:?} {:?}", source.requests(), destination.requests());
    assert_eq!(source.requests().of(Operation::GetObject), 0);
    assert!(destination.store().all("to") == before);
    // the schedule stands
    assert_eq!(task.show(&daemon).await.view.next_run, next);
    let text = daemon.dth(&["plan", "plans", "--items", "1"]).ok().await;
    for words in ["4 items", "missing", "b-missing", "USD", "not estimated"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_mirror_in_one_store_counts_what_the_store_copies_and_deletes() {
    let server = Server::start().await.unwrap();
    server.store().create_bucket("from");
    server.store().create_bucket("to");
    for (bucket, key) in [("from", "equal"), ("to", "equal"), ("from", "new"), ("to", "old/1"), ("to", "old/2"), ("to", "old/3")] {
        server.store().put(bucket, key, Object::new("x"));
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("mirror", &server, &server).with("options.delete", "mirror").with("options.server_side_copy", true);
    let task = task.with("options.max_delete_percent", 100);
    task.create(&daemon).await;
    let plan: Plan = daemon.dth(&["plan", "mirror", "--items", "9"]).json().await;
    let c = plan.plan.detail.view.run.as_ref().unwrap().counters;
    assert_eq!((c.listed, c.same, c.planned, c.to_delete, written(&server)), (2, 1, 1, 3, 0), "{c:?}");
    let reasons: Vec<_> = plan.items.iter().map(|item| (item.key.as_str(), item.reason.as_deref().unwrap_or_default())).collect();
    assert_eq!(reasons, [("new", "missing"), ("old/1", "delete"), ("old/2", "delete"), ("old/3", "delete")]);
    let requests: BTreeMap<&str, u64> = plan.plan.requests.iter().map(|one| (one.operation.as_str(), one.count)).collect();
    assert_eq!(requests, BTreeMap::from([("CopyObject", 1), ("DeleteObjects", 1), ("HeadObject", 4)]));
    // and so it comes
    daemon.dth(&["start", "mirror", "--confirm", "mirror"]).ok().await;
    task.succeeds(&daemon).await;
    let sent = server.requests();
    assert_eq!([Operation::CopyObject, Operation::DeleteObjects, Operation::GetObject].map(|one| sent.of(one)), [1, 1, 0]);
    assert_eq!(server.store().all("to").into_keys().collect::<Vec<_>>(), ["equal", "new"]);

    for n in 0..9 {
        server.store().put("to", &format!("extra/{n}"), Object::new("x"));
    }
    let task = task.with("options.max_delete_percent", 50);
    daemon.dth(&["edit", "mirror", "--file", &task.file(&daemon), "--confirm", "mirror"]).ok().await;
    let plan: Plan = daemon.dth(&["plan", "mirror"]).json().await;
    assert_eq!(plan.plan.detail.view.run.as_ref().unwrap().counters.to_delete, 9);
    let log = daemon.dth(&["log"]).ok().await;
    assert!(log.contains("a run would delete nothing: ") && log.contains("max_delete_percent = 50"), "{log}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_planned_without_becoming_a_task() {
    let (source, destination) = stores().await;
    fill(&source, &destination);
    let daemon = Daemon::start("").await;
    let file = pair::task("draft", &source, &destination).file(&daemon);
    let plan: Plan = daemon.dth(&["plan", "--file", &file, "--items", "100"]).json().await;
    assert_eq!((plan.plan.detail.spec.name.as_str(), plan.plan.detail.view.name.as_str(), plan.items.len()), ("draft", "draft", 5));
    let tasks: Vec<TaskView> = daemon.dth(&["list"]).json().await;
    assert!(tasks.is_empty(), "{tasks:?}");
    assert_eq!(written(&destination), 0);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_equal_from_different_and_touches_nothing() {
    let (source, destination) = stores().await;
    fill(&source, &destination);
    let daemon = Daemon::start("").await;
    let task = pair::task("checked", &source, &destination);
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    let different = daemon.dth(&["verify", "checked", "--wait"]).run().await;
    assert_eq!(different.code, 1, "{different:?}");
    assert!(different.out.contains("different: 5 of 6 items") && different.out.contains("b-missing"), "{different:?}");
    assert_eq!((written(&source), written(&destination)), (0, 0));
    assert_eq!(task.show(&daemon).await.view.word, "DIFFERENT");
    let status: serde_json::Value = daemon.dth(&["status"]).json().await;
    let of_task = |problem: &serde_json::Value| problem["task"] == "checked";
    assert!(!status["problems"].as_array().unwrap().iter().any(of_task), "a difference is no problem of the task: {status}");
    task.again(&daemon).await;
    let before = written(&destination);
    let equal = daemon.dth(&["verify", "checked", "--wait"]).run().await;
    assert!(equal.code == 0 && equal.out.contains("equal: 6 items"), "{equal:?}");
    assert_eq!((written(&destination), task.show(&daemon).await.view.word.as_str()), (before, "verified"));
    let runs: Vec<RunView> = daemon.dth(&["runs", "checked"]).json().await;
    assert_eq!(runs.iter().map(|run| run.kind).collect::<Vec<_>>(), [RunKind::Verify, RunKind::Copy, RunKind::Verify]);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_goes_on_after_kill_9() {
    let (source, destination) = (Server::builder().page(20).start().await.unwrap(), Server::start().await.unwrap());
    source.store().create_bucket("from");
    destination.store().create_bucket("to");
    data::small(source.store(), "from", "k/", 3_000);
    let mut daemon = Daemon::start("").await;
    let task = pair::task("long", &source, &destination);
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    daemon.dth(&["verify", "long"]).ok().await;
    let source_is_listed = || async { (source.requests().of(Operation::ListObjectsV2) > 30).then_some(()) };
    eventually("the listing goes on", Duration::from_secs(30), source_is_listed).await;
    daemon.kill();
    daemon.restart().await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.run, run.kind), (1, 1, RunKind::Verify), "{run:?}");
    assert_eq!((run.counters.listed, run.counters.planned, run.counters.pending), (3_000, 3_000, 0), "{run:?}");
    assert_eq!((task.items(&daemon).await.len(), written(&destination)), (3_000, 0));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_every_record() {
    let (source, destination) = stores().await;
    for n in 0..1_200 {
        source.store().put("from", &format!("k,\"{n:05}"), Object::new("x"));
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("reported", &source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    let path = |name: &str| daemon.folder().join(name).display().to_string();
    daemon.dth(&["report", "reported", "--to", &path("r.ndjson")]).ok().await;
    let text = std::fs::read_to_string(path("r.ndjson")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["report"]["copied"]), (1_201, &1_200.into()));
    assert!(lines[1..].iter().enumerate().all(|(n, line)| line["key"] == format!("k,\"{n:05}")), "in the order of keys");
    let csv = daemon.dth(&["report", "reported", "--run", "1", "--to", "-", "--format", "csv"]).ok().await;
    assert!(
        csv.starts_with("key,size,outcome,") && csv.lines().count() == 1_201 && csv.contains("\"k,\"\"00000\",1,copied,"),
        "{csv:.300}"
    );
    for (arguments, words) in
        [(&["--to", "x.txt"][..], "name the file .ndjson or .csv"), (&["--run", "7", "--to", "-", "--format", "csv"], "has no run 7")]
    {
        let refused = daemon.dth(&[&["report", "reported"], arguments].concat()).run().await;
        assert!(refused.code == 64 && refused.err.contains(words), "{refused:?}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_can_be_explained() {
    let (source, destination) = stores().await;
    fill(&source, &destination);
    let daemon = Daemon::start("").await;
    let task = pair::task("why", &source, &destination).with("options.exclude", vec!["*.tmp"]);
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    for (key, rule, next) in [
        ("a-equal", None, "leave it: sizes and ETags are equal"),
        ("b-missing", None, "copy it: the destination does not have it"),
        ("c-size", None, "copy it: the sizes differ"),
        ("d-etag", None, "copy it: the ETags show other content"),
        ("e.tmp", Some("excluded"), "skip it by the rule excluded"),
        ("never-was", None, "nothing: the source has no such object"),
    ] {
        let it: Explanation = daemon.dth(&["explain", "why", key]).json().await;
        assert!(it.next.starts_with(next) && it.rule.as_deref() == rule && it.last.is_none(), "{it:?}");
    }
    task.again(&daemon).await;
    let it: Explanation = daemon.dth(&["explain", "why", "b-missing"]).json().await;
    let (run, item) = it.last.as_ref().unwrap();
    assert_eq!((*run, item.outcome.as_str(), item.reason.as_deref()), (1, "copied", Some("missing")));
    assert!(matches!(it.destination_now, Found::There { size: 3, .. }), "{it:?}");
    let refused = daemon.dth(&["explain", "why", ""]).run().await;
    assert!(refused.code == 1 && refused.err.contains("empty key"), "{refused:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_images_counts_every_blob_once() {
    let (source, destination) = (Registry::builder().start().await.unwrap(), Registry::builder().start().await.unwrap());
    let image = Image::new(1, &[5_000, 6_000]);
    for repository in ["team/a", "team/b"] {
        source.store().push(repository, Some("v1"), &image);
    }
    source.store().push("team/a", Some("again"), &image);
    let daemon = Daemon::start("").await;
    let task = Task::images("images", &source.endpoint(), &destination.endpoint());
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    let plan: Plan = daemon.dth(&["plan", "images", "--items", "9"]).json().await;
    let c = plan.plan.detail.view.run.as_ref().unwrap().counters;
    assert_eq!((c.listed, c.planned, plan.items.len()), (3, 3, 3), "{c:?}");
    assert_eq!(destination.requests().writes(), 0);
    assert!(c.bytes_planned > 0 && c.bytes_planned < c.bytes_listed, "{c:?}");
    let mounts: u64 = plan.plan.requests.iter().filter(|one| one.operation == "MountBlob").map(|one| one.count).sum();
    let sent: u64 = plan.plan.requests.iter().filter(|one| one.operation == "GetBlob").map(|one| one.count).sum();
    assert_eq!((sent, mounts), (3, 3), "a config and two layers: {:?}", plan.plan.requests);
    let run = task.again(&daemon).await;
    assert_eq!(run.counters.copied, 3);
    let verified = daemon.dth(&["verify", "images", "--wait"]).run().await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let it: Explanation = daemon.dth(&["explain", "images", "team/a:v1"]).json().await;
    assert!(it.next.starts_with("leave it"), "{it:?}");
    let refused = daemon.dth(&["explain", "images", "team/a"]).run().await;
    assert!(refused.code == 1 && refused.err.contains("REPOSITORY:TAG"), "{refused:?}");
    ended_well(daemon).await;
}
