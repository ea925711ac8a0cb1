//! When runs begin by themselves: at a time, again and again, by the clock; and how often when times were missed.

use std::time::Duration;

use dth_proto::{
    id::TaskName,
    time::{Span, Timestamp},
};
use dth_tests::{
    daemon::Daemon,
    definition::{Bucket, definition},
    s3::{Action, Fault, Object, Operation, Server},
    wait::eventually,
};
use dthd::{clock, store::Store};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn store() -> (Server, Bucket, Bucket) {
    let store = Server::start().await.unwrap();
    store.store().put("from-here", "a", Object::new("hello"));
    store.store().create_bucket("to-there");
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    (store, from, to)
}

async fn runs(daemon: &Daemon, task: &str) -> Vec<Value> {
    daemon.dth(&["runs", task]).json().await
}

async fn view(daemon: &Daemon, task: &str) -> Value {
    let shown: Value = daemon.dth(&["show", task]).json().await;
    shown["view"].clone()
}

/// Waits until run `number` of `task` has succeeded.
async fn succeeded(daemon: &Daemon, task: &str, number: u64) -> Value {
    eventually(&format!("run {number} of {task}"), PATIENCE, || async {
        let runs = runs(daemon, task).await;
        runs.into_iter().find(|run| run["run"] == number && run["outcome"] == "succeeded")
    })
    .await
}

/// Waits until the supervisor has looked at all triggers at least twice since now, which it does every second.
async fn looked(daemon: &Daemon) {
    let (_store, from, to) = store().await;
    for name in ["look-1", "look-2"] {
        let at = Timestamp(clock::now().0 + 1);
        daemon.create(&definition(name, &from, &to, &format!("[trigger]\nat = \"{at}\"\n")), &[]).ok().await;
        succeeded(daemon, name, 1).await;
        daemon.dth(&["delete", name, "--yes"]).ok().await;
    }
}

fn at(time: Timestamp) -> String {
    format!("[trigger]\nat = \"{time}\"\n")
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0 - u64::try_from(by.as_millis()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_runs_once_at_its_time() {
    let (_store, from, to) = store().await;
    let daemon = Daemon::start("").await;
    let now = clock::now();
    let soon = now.plus(Duration::from_secs(3));
    daemon.create(&definition("past", &from, &to, &at(earlier(now, HOUR))), &[]).ok().await;
    daemon.create(&definition("soon", &from, &to, &at(soon)), &[]).ok().await;
    daemon.create(&definition("later", &from, &to, &at(now.plus(HOUR))), &[]).ok().await;
    let run = succeeded(&daemon, "soon", 1).await;
    let started: Timestamp = run["started"].as_str().unwrap().parse().unwrap();
    assert!(started >= soon && started.since(soon) < Duration::from_secs(5), "{started} for {soon}");
    assert!(run["cause"].as_str().unwrap().starts_with("at "), "{run}");
    succeeded(&daemon, "past", 1).await;
    looked(&daemon).await;
    for (task, count, state) in [("past", 1, "idle"), ("soon", 1, "idle"), ("later", 0, "waiting")] {
        assert_eq!(runs(&daemon, task).await.len(), count, "{task}");
        assert_eq!(view(&daemon, task).await["state"], state, "{task}");
    }
    assert_eq!(view(&daemon, "later").await["next_run"], now.plus(HOUR).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_times_make_one_run_after_a_restart() {
    let (_store, from, to) = store().await;
    let mut daemon = Daemon::start("").await;
    let every = "[trigger]\nevery = \"1h\"\n";
    let cron = "[trigger]\ncron = \"*/5 * * * *\"\ntimezone = \"Asia/Shanghai\"\n";
    daemon.create(&definition("every", &from, &to, every), &[]).ok().await;
    daemon.create(&definition("cron", &from, &to, cron), &["--start"]).ok().await;
    daemon.create(&definition("held", &from, &to, every), &[]).ok().await;
    for task in ["every", "cron", "held"] {
        succeeded(&daemon, task, 1).await;
    }
    daemon.dth(&["pause", "held"]).ok().await;
    assert_eq!(daemon.stop(PATIENCE).await.code(), Some(0));

    // as if the daemon had been down for ten hours
    let now = clock::now();
    let records = Store::open(&daemon.state()).unwrap();
    for mut task in records.tasks().unwrap() {
        let then = earlier(now, HOUR * 10);
        (task.last_start, task.trigger_set, task.created) = (Some(then), then, then);
        records.put_task(&task);
    }
    records.writer().durable().await.unwrap();
    drop(records);

    daemon.restart().await;
    for (task, cause) in [("every", "every 1h"), ("cron", "cron */5 * * * * Asia/Shanghai")] {
        let run = succeeded(&daemon, task, 2).await;
        assert_eq!(run["cause"], cause);
    }
    let next: Timestamp = view(&daemon, "every").await["next_run"].as_str().unwrap().parse().unwrap();
    assert!(next > now.plus(HOUR) && next.since(now) < HOUR + PATIENCE, "an hour after the run that made up for all: {next}");
    looked(&daemon).await;
    for (task, count) in [("every", 2), ("held", 1)] {
        assert_eq!(runs(&daemon, task).await.len(), count, "{task}");
    }
    // a fifth minute may have begun meanwhile
    assert!((2..=3).contains(&runs(&daemon, "cron").await.len()));
    assert_eq!(view(&daemon, "held").await["next_run"], Value::Null, "a pause holds the trigger");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_task_do_not_overlap() {
    let (store, from, to) = store().await;
    let mut daemon = Daemon::start("").await;
    daemon.create(&definition("long", &from, &to, "[trigger]\nevery = \"1m\"\n"), &[]).ok().await;
    succeeded(&daemon, "long", 1).await;
    assert_eq!(daemon.stop(PATIENCE).await.code(), Some(0));
    let records = Store::open(&daemon.state()).unwrap();
    let mut task = records.tasks().unwrap().remove(0);
    // due now, and again a second after the run began
    task.last_start = Some(earlier(clock::now(), Duration::from_secs(61)));
    task.spec.trigger = Some(dth_proto::spec::Trigger::Every { every: Span(Duration::from_secs(1)) });
    records.put_task(&task);
    records.writer().durable().await.unwrap();
    drop(records);
    store.store().put("from-here", "b", Object::new("new"));
    let slow = store.faults().add(Fault::new(Action::Delay(Duration::from_secs(4))).on([Operation::PutObject]));
    daemon.restart().await;
    let third = succeeded(&daemon, "long", 3).await;
    store.faults().remove(slow);
    let all = runs(&daemon, "long").await;
    let second = all.iter().find(|run| run["run"] == 2).unwrap();
    let time = |run: &Value, field: &str| -> Timestamp { run[field].as_str().unwrap().parse().unwrap() };
    assert!(time(second, "ended").since(time(second, "started")) >= Duration::from_secs(4), "{second}");
    assert!(time(&third, "started") >= time(second, "ended"), "{second} {third}");
    // nobody can start a second one either
    store.faults().add(Fault::new(Action::Delay(Duration::from_secs(2))).on([Operation::PutObject]));
    let name = TaskName::new("long").unwrap();
    store.store().put("from-here", "c", Object::new("newer"));
    let refused = eventually("a run is going", PATIENCE, || async {
        let output = daemon.dth(&["start", name.as_str()]).run().await;
        (output.code == 1).then_some(output)
    })
    .await;
    assert!(refused.err.starts_with("dth: cannot start long: it "), "{refused:?}");
}
