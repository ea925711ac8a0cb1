//! Reports that a task leaves in a bucket after each of its runs.

use std::time::Duration;

use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};
use serde_json::Value;

use crate::pair::{self, stores};

/// The task of [`pair::task`] with reports in the bucket `logs` of the destination's store.
fn reports(name: &str, source: &Server, destination: &Server) -> Task {
    destination.store().create_bucket("logs");
    let task = pair::task(name, source, destination).with("report.bucket", "logs").with("report.region", "us-east-1");
    task.with("report.endpoint", destination.endpoint()).with("report.credential", "anonymous").with("report.prefix", "dth/")
}

/// The object of a report, as text.
fn text(destination: &Server, key: &str) -> String {
    let object = destination.store().get("logs", key).unwrap_or_else(|| panic!("{key}: {:?}", destination.store().all("logs").keys()));
    String::from_utf8(object.data.to_bytes().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_leaves_its_report_in_the_bucket() {
    let (source, destination) = stores().await;
    for n in 0..1_200 {
        source.store().put("from", &format!("k,\"{n:05}"), Object::new("x"));
    }
    let daemon = Daemon::start("").await;
    let task = reports("reported", &source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    let first = "dth/reported/run-000001.ndjson";
    let lines: Vec<Value> = text(&destination, first).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["report"]["copied"], &lines[0]["report"]["outcome"]), (1_201, &1_200.into(), &"succeeded".into()));
    assert!(lines[1..].iter().enumerate().all(|(n, line)| line["key"] == format!("k,\"{n:05}")), "in the order of keys");
    let object = destination.store().get("logs", first).unwrap();
    assert_eq!(object.attributes.headers.get("content-type").map(String::as_str), Some("application/x-ndjson"));
    // it is what dth writes
    let written = daemon.dth(&["report", "reported", "--run", "1", "--to", "-", "--format", "ndjson"]).ok().await;
    assert_eq!(written.lines().skip(1).collect::<Vec<_>>(), text(&destination, first).lines().skip(1).collect::<Vec<_>>());

    let task = task.with("report.format", "csv");
    daemon.dth(&["edit", "reported", "--file", &task.file(&daemon)]).ok().await;
    daemon.dth(&["verify", "reported", "--wait"]).ok().await;
    daemon.dth(&["plan", "reported"]).ok().await;
    let csv = text(&destination, "dth/reported/run-000002.csv");
    assert!(csv.starts_with("key,size,outcome,"), "{csv:.300}");
    assert_eq!(destination.store().all("logs").len(), 2, "a plan leaves none");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_report_goes_in_parts_and_leaves_no_upload() {
    let (source, destination) = stores().await;
    // each record is longer than its key
    for n in 0..20_000 {
        source.store().put("from", &format!("{n:05}{}", "k".repeat(1_000)), Object::new(""));
    }
    let mut daemon = Daemon::start("").await;
    let task = reports("large", &source, &destination);
    task.create(&daemon).await;
    let key = "dth/large/run-000001.ndjson";
    let slow = destination.faults().add(Fault::new(Action::Delay(Duration::from_secs(60))).on([Operation::UploadPart]).key(key));
    daemon.dth(&["verify", "large"]).ok().await;
    let part = || async { (destination.faults().struck(slow) > 0).then_some(()) };
    eventually("a part of the report is on its way", Duration::from_mins(1), part).await;
    assert_eq!(destination.store().uploads("logs").len(), 1);
    daemon.kill();
    destination.faults().clear();
    daemon.restart().await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.run, run.counters.planned), (1, 1, 20_000), "{run:?}");
    let report = text(&destination, key);
    assert!(report.len() > 20 << 20 && report.lines().count() == 20_001, "{} bytes", report.len());
    let requests = destination.requests();
    assert!(requests.of(Operation::CompleteMultipartUpload) == 1, "{:?}", requests.of(Operation::CompleteMultipartUpload));
    assert!(destination.store().uploads("logs").is_empty(), "{:?}", destination.store().uploads("logs"));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_report_counts_nothing_twice() {
    let (source, destination) = stores().await;
    source.store().put("from", "kept", Object::new("x"));
    for n in 0..3 {
        destination.store().put("to", &format!("old/{n}"), Object::new("x"));
    }
    let mut daemon = Daemon::start("").await;
    let task = reports("stopped", &source, &destination).with("options.delete", "mirror").with("options.max_delete_percent", 100);
    let key = "dth/stopped/run-000001.ndjson";
    let slow = destination.faults().add(Fault::new(Action::Delay(Duration::from_secs(60))).on([Operation::PutObject]).key(key));
    task.start(&daemon).await;
    let begun = || async { (destination.faults().struck(slow) > 0).then_some(()) };
    eventually("the report is on its way", Duration::from_mins(1), begun).await;
    assert!(daemon.stop(Duration::from_secs(30)).await.success());
    destination.faults().clear();
    daemon.restart().await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied, run.counters.deleted), (1, 1, 1, 3), "{run:?}");
    let first: Value = serde_json::from_str(text(&destination, key).lines().next().unwrap()).unwrap();
    assert_eq!((&first["report"]["copied"], &first["report"]["deleted"]), (&1.into(), &3.into()));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_is_told_and_ends_no_run() {
    let (source, destination) = stores().await;
    source.store().put("from", "a", Object::new("x"));
    let daemon = Daemon::start("").await;
    let task = reports("unreported", &source, &destination);
    let good = daemon.dth(&["check", "--file", &task.file(&daemon)]).ok().await;
    assert!(good.contains("objects can be written to and deleted from s3://logs/dth/"), "{good}");
    let task = task.with("report.bucket", "nowhere");
    let bad = daemon.dth(&["check", "--file", &task.file(&daemon)]).run().await;
    assert!(bad.code == 1 && bad.out.contains("report write") && bad.out.contains("NoSuchBucket"), "{bad:?}");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1);
    let log = daemon.dth(&["log"]).ok().await;
    let told = "the report s3://nowhere/dth/unreported/run-000001.ndjson could not be written: ";
    assert!(
        log.contains(told) && log.contains("NoSuchBucket") && log.contains("dth report unreported --run 1 --to FILE writes it"),
        "{log}"
    );
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_a_place_of_its_own() {
    let (source, destination) = stores().await;
    let daemon = Daemon::start("").await;
    let task = reports("placed", &source, &destination).with("report.bucket", "to").with("report.credential", "nobody");
    let refused = daemon.dth(&["create", "--file", &task.file(&daemon)]).run().await;
    assert!(refused.code != 0 && refused.err.contains("report.prefix lies where the task's copies go"), "{refused:?}");
    let task = task.with("report.bucket", "logs").with("report.provider", "nothing");
    let refused = daemon.dth(&["create", "--file", &task.file(&daemon)]).run().await;
    for problem in ["report.provider: \"nothing\" is not a known provider", "report.credential: "] {
        assert!(refused.err.contains(problem), "{refused:?}");
    }
    ended_well(daemon).await;
}
