//! What arrives at CloudWatch, and what happens while it cannot be reached.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dth_tests::{
    cloudwatch::CloudWatch,
    daemon::Daemon,
    definition::{Bucket, definition},
    s3::{Action, Fault, Object, Operation, Server},
    wait::eventually,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// 200 objects, of which those below `denied/` cannot be read.
async fn store() -> (Server, Bucket, Bucket) {
    let store = Server::start().await.unwrap();
    for n in 0..193 {
        store.store().put("from-here", &format!("given/{n:03}"), Object::new(vec![1; 1_000 + n]));
    }
    for n in 0..7 {
        store.store().put("from-here", &format!("denied/{n}"), Object::new("secret"));
    }
    store.store().create_bucket("to-there");
    store.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).prefix("denied/"));
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    (store, from, to)
}

/// A daemon that publishes every ten seconds.
async fn daemon(endpoint: &str) -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("metrics", "x", "y");
    daemon.configure(&format!(
        "[credentials.metrics]\ntype = \"file\"\npath = {keys:?}\n[cloudwatch]\nregion = \"us-east-1\"\nendpoint = {endpoint:?}\n\
         credential = \"metrics\"\ninterval = \"10s\"\n"
    ));
    daemon.restart().await;
    daemon
}

async fn run_of(daemon: &Daemon, task: &str) -> Value {
    let shown: Value = daemon.dth(&["show", task]).json().await;
    shown["view"]["run"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_equal_the_counters_of_the_runs() {
    let (store, from, to) = store().await;
    let cloudwatch = CloudWatch::start().await;
    let mut daemon = daemon(&cloudwatch.endpoint()).await;
    let mut expected = BTreeMap::new();
    for task in ["photos", "logs"] {
        for key in store.store().all("to-there").into_keys() {
            store.store().remove("to-there", &key);
        }
        daemon.create(&definition(task, &from, &to, ""), &["--start"]).ok().await;
        assert_eq!(daemon.dth(&["wait", task]).run().await.code, 1, "some objects fail");
        let run = run_of(&daemon, task).await;
        assert_eq!((&run["copied"], &run["failed"]), (&193.into(), &7.into()), "{run}");
        for (metric, field) in [("CompletedBytes", "bytes_copied"), ("TransferredObjects", "copied"), ("FailedObjects", "failed")] {
            expected.insert((task.to_owned(), metric.to_owned()), run[field].as_f64().unwrap());
        }
    }
    let shown = daemon.dth(&["status"]).ok().await;
    assert!(shown.contains("metrics  CloudWatch us-east-1 \"DTH\""), "{shown}");
    assert_eq!(daemon.stop(PATIENCE).await.code(), Some(0), "{}", daemon.log());

    let published = cloudwatch.published("DTH");
    let of_task = published.iter().filter_map(|p| Some(((p.dimensions.get("Task")?.clone(), p.metric.clone()), p.sum)));
    assert_eq!(of_task.collect::<BTreeMap<_, _>>(), expected);
    assert!(published.iter().all(|p| p.dimensions.get("Engine").is_some_and(|engine| engine == "s3")), "{published:?}");
    for metric in ["RunningJobs", "WaitingJobs"] {
        let level = published.iter().find(|p| p.metric == metric).unwrap_or_else(|| panic!("no {metric}: {published:?}"));
        assert!(level.dimensions.len() == 1 && level.samples > 0.0, "{level:?}");
    }
    assert_eq!(published.len(), 2 * 3 + 2, "{published:?}");
}

/// A metrics service that takes connections and never answers is the worst kind of outage.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_shown_and_slows_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for endpoint in ["http://127.0.0.1:1".to_owned(), format!("http://{}", silent.local_addr().unwrap())] {
        let (store, from, to) = store().await;
        store.faults().clear();
        let mut daemon = daemon(&endpoint).await;
        let begin = Instant::now();
        daemon.create(&definition("photos", &from, &to, ""), &["--start"]).ok().await;
        daemon.dth(&["wait", "photos"]).ok().await;
        assert!(begin.elapsed() < Duration::from_secs(10), "200 small objects in {:?}", begin.elapsed());
        eventually("the outage is shown", PATIENCE, || async {
            let status: Value = daemon.dth(&["status"]).json().await;
            let metrics = status["daemon"]["metrics"].as_str()?.to_owned();
            metrics.contains("failing since").then_some(())
        })
        .await;
        let shown = daemon.dth(&["status"]).ok().await;
        assert!(shown.contains("metrics  CloudWatch us-east-1 \"DTH\", failing since "), "{shown}");
        let begin = Instant::now();
        assert_eq!(daemon.stop(PATIENCE).await.code(), Some(0));
        println!("stop {:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(15), "the last try does not hold up the stop: {:?}", begin.elapsed());
    }
}
