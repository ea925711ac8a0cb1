//! Start, pause, resume, stop, edit: what a person expects of a task that listens.

use std::time::Duration;

use dth_proto::view::{RunKind, RunOutcome, RunView, TaskState};
use dth_tests::{
    daemon::Daemon,
    moto::Moto,
    s3::Object,
    task::{Task, ended_well},
    wait::eventually,
};

use super::{PATIENCE, applied, created, daemon, empty, listens, task};
use crate::pair::stores;

async fn runs(task: &Task, daemon: &Daemon) -> Vec<RunView> {
    daemon.dth(&["runs", task.name()]).json().await
}

async fn paused(task: &Task, daemon: &Daemon) {
    eventually("it is paused", PATIENCE, || async { (task.show(daemon).await.view.state == TaskState::Paused).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_in_the_queue_while_the_task_is_paused_or_stopped() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let mut daemon = daemon().await;
    source.store().put("from", "first", Object::new("first"));
    let task = task("life", &source, &destination, &queue.url);
    // without a start: its trigger begins with a full compare, as every trigger that is due
    task.create(&daemon).await;
    listens(&task, &daemon).await;
    assert_eq!(runs(&task, &daemon).await.iter().map(|run| run.kind).collect::<Vec<_>>(), [RunKind::Events, RunKind::Copy]);
    assert!(destination.store().get("to", "first").is_some());

    task.tell(&daemon, "pause", &[]).await;
    paused(&task, &daemon).await;
    source.store().put("from", "paused", Object::new("paused"));
    moto.send(&queue, &created("paused")).await;
    // a restart does not end a pause
    daemon.stop(PATIENCE).await;
    daemon.restart().await;
    paused(&task, &daemon).await;
    let (waiting, held) = moto.messages(&queue).await;
    assert_eq!(waiting + held, 1);
    task.tell(&daemon, "resume", &[]).await;
    applied(&task, &daemon, 1).await;
    assert!(destination.store().get("to", "paused").is_some());
    assert_eq!(runs(&task, &daemon).await.len(), 2, "the same run goes on");

    task.tell(&daemon, "stop", &[]).await;
    paused(&task, &daemon).await;
    assert_eq!(runs(&task, &daemon).await[0].outcome, Some(RunOutcome::Cancelled));
    source.store().put("from", "stopped", Object::new("stopped"));
    moto.send(&queue, &created("stopped")).await;
    // it does not begin again by itself, and a start is a full compare
    task.tell(&daemon, "start", &[]).await;
    listens(&task, &daemon).await;
    assert_eq!(
        runs(&task, &daemon).await.iter().map(|run| run.kind).collect::<Vec<_>>(),
        [RunKind::Events, RunKind::Copy, RunKind::Events, RunKind::Copy]
    );
    assert!(destination.store().get("to", "stopped").is_some());
    empty(&moto, &queue).await;
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_not_late_while_everything_is_compared() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let daemon = daemon().await;
    let task = task("full", &source, &destination, &queue.url);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    // a full compare that takes its time
    destination.set_latency(Duration::from_millis(100));
    for n in 0..3_000 {
        source.store().put("from", &format!("many/{n:04}"), Object::new(format!("{n}")));
    }
    task.tell(&daemon, "start", &[]).await;
    eventually("the full compare copies", PATIENCE, || async {
        let run = task.show(&daemon).await.view.run?;
        (run.kind == RunKind::Copy && run.counters.copied > 0).then_some(())
    })
    .await;
    source.store().put("from", "urgent", Object::new("urgent"));
    moto.send(&queue, &created("urgent")).await;
    let detail = applied(&task, &daemon, 1).await;
    let run = detail.view.run.unwrap();
    assert!(run.kind == RunKind::Copy && run.outcome.is_none() && run.counters.pending > 0, "beside the full compare: {run:?}");
    assert!(destination.store().get("to", "urgent").is_some());
    let detail = listens(&task, &daemon).await;
    assert_eq!(detail.view.run.as_ref().map(|run| run.run), Some(4));
    let full = runs(&task, &daemon).await.remove(1);
    assert_eq!((full.kind, full.outcome), (RunKind::Copy, Some(RunOutcome::Succeeded)), "{full:?}");
    assert!(full.counters.balanced() && full.counters.copied >= 3_001, "{full:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_followed_by_a_full_compare_and_holds_for_events() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let daemon = daemon().await;
    let task = task("edited", &source, &destination, &queue.url);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    let task = task.with("destination.prefix", "new/");
    source.store().put("from", "a", Object::new("a"));
    daemon.dth(&["edit", "edited", "--file", &task.file(&daemon)]).ok().await;
    eventually("the full compare", PATIENCE, || async { destination.store().get("to", "new/a") }).await;
    listens(&task, &daemon).await;
    source.store().put("from", "b", Object::new("b"));
    moto.send(&queue, &created("b")).await;
    applied(&task, &daemon, 1).await;
    assert_eq!(destination.store().all("to").into_keys().collect::<Vec<_>>(), ["new/a", "new/b"]);
    ended_well(daemon).await;
}
