//! Near real time: what happens at a source arrives by a queue (moto's SQS), whatever becomes of queue and daemon meanwhile.

mod images;
mod life;
mod messages;
mod outage;
mod seconds;
mod setup;

use std::time::Duration;

use dth_proto::view::{EventsView, RunKind, TaskDetail};
use dth_tests::{
    daemon::Daemon,
    moto::{KEYS, Moto, Queue},
    s3::Server,
    task::Task,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::pair;

const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with keys for moto.
async fn daemon() -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("moto", KEYS.0, KEYS.1);
    daemon.configure(&format!("[credentials.moto]\ntype = \"file\"\npath = {:?}\n", keys.display().to_string()));
    daemon.restart().await;
    daemon
}

/// Everything in `from` to `to` of two embedded stores, as this queue tells.
fn task(name: &str, source: &Server, destination: &Server, queue: &str) -> Task {
    listening(pair::task(name, source, destination), queue)
}

/// The same task with events from this queue.
fn listening(task: Task, queue: &str) -> Task {
    task.with("trigger.events.queue", queue).with("trigger.events.region", "us-east-1").with("trigger.events.credential", "moto")
}

/// Waits until events are consumed in a run of their own, and gives back what is shown then.
async fn listens(task: &Task, daemon: &Daemon) -> TaskDetail {
    eventually(&format!("{} listens", task.name()), PATIENCE, || async {
        let detail = task.show(daemon).await;
        let is_listening = detail.view.run.as_ref().is_some_and(|run| run.kind == RunKind::Events && run.outcome.is_none());
        (is_listening && detail.events.is_some()).then_some(detail)
    })
    .await
}

/// Waits until so many messages have been applied since the daemon started.
async fn applied(task: &Task, daemon: &Daemon, messages: u64) -> TaskDetail {
    eventually(&format!("{messages} events of {} are applied", task.name()), PATIENCE, || async {
        let detail = task.show(daemon).await;
        detail.events.as_ref().is_some_and(|events| events.applied >= messages).then_some(detail)
    })
    .await
}

/// Waits until a queue has nothing left.
async fn empty(moto: &Moto, queue: &Queue) {
    eventually("the queue is empty", PATIENCE, || async { (moto.messages(queue).await == (0, 0)).then_some(()) }).await;
}

fn seen(detail: &TaskDetail) -> EventsView {
    detail.events.clone().unwrap()
}

/// A notification as S3 sends it.
fn record(name: &str, key: &str, more: &Value) -> Value {
    let mut object = json!({"key": key.replace(' ', "+")});
    for (field, value) in more.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "from"}, "object": object}})
}

fn created(key: &str) -> String {
    json!({"Records": [record("ObjectCreated:Put", key, &json!({}))]}).to_string()
}

/// The same with a place in the order of the key's events.
fn ordered(key: &str, sequencer: &str) -> String {
    json!({"Records": [record("ObjectCreated:Put", key, &json!({"sequencer": sequencer}))]}).to_string()
}

fn removed(key: &str, more: &Value) -> String {
    json!({"Records": [record("ObjectRemoved:Delete", key, more)]}).to_string()
}
