//! Runs that are paused, stopped or killed before and while they delete.

use std::time::Duration;

use dth_proto::view::{RunOutcome, TaskState};
use dth_tests::{
    s3::{Action, Fault, Operation},
    task::Task,
    wait::eventually,
};

use super::{PATIENCE, World, succeeded};

/// A run that has found what to delete, and still copies.
async fn copying(world: &World) -> Task {
    world.has(["slow", "kept"], ["gone-1", "gone-2", "kept"]);
    world.source.faults().add(Fault::new(Action::Delay(Duration::from_secs(2))).on([Operation::GetObject]).key("slow"));
    let task = world.task();
    world.create(&task).await;
    world.start(&task).await;
    world.to_delete(&task, 2).await;
    task
}

async fn reaches(world: &World, task: &Task, state: TaskState) {
    eventually("the task has stopped", PATIENCE, || async { (task.show(&world.daemon).await.view.state == state).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_comes_before_every_delete_and_going_on_deletes() {
    let world = World::new().await;
    let task = copying(&world).await;
    task.tell(&world.daemon, "pause", &[]).await;
    reaches(&world, &task, TaskState::Paused).await;
    // what was in flight may have arrived within the grace of a stop
    assert!(["gone-1", "gone-2", "kept"].iter().all(|key| world.left().contains(&(*key).to_owned())) && world.deletes() == 0);
    // what came back meanwhile stays
    world.has(["gone-2"], []);
    task.tell(&world.daemon, "resume", &[]).await;
    succeeded(&task.succeeds(&world.daemon).await, 1);
    assert_eq!(world.left(), ["gone-2", "kept", "slow"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_deletes_nothing_more() {
    let world = World::new().await;
    let task = copying(&world).await;
    task.tell(&world.daemon, "stop", &[]).await;
    let (_, run) = task.wait(&world.daemon).await;
    assert_eq!((run.outcome, run.counters.deleted), (Some(RunOutcome::Cancelled), 0), "{run:?}");
    // what was in flight may have arrived within the grace of a stop
    assert!(["gone-1", "gone-2", "kept"].iter().all(|key| world.left().contains(&(*key).to_owned())) && world.deletes() == 0);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_copying_forgets_no_delete() {
    let mut world = World::new().await;
    let task = copying(&world).await;
    world.daemon.kill();
    assert_eq!(world.deletes(), 0);
    world.daemon.restart().await;
    succeeded(&task.succeeds(&world.daemon).await, 2);
    assert_eq!(world.left(), ["kept", "slow"]);
    assert_eq!(world.records(&task, "deleted").await, ["gone-1", "gone-2"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_deleting_cost_no_delete_and_no_count() {
    let mut world = World::new().await;
    let keys: Vec<String> = (0..3_500).map(|n| format!("gone/{n:04}")).collect();
    world.has(["kept", "new"], keys.iter().map(String::as_str).chain(["kept"]));
    world.destination.faults().add(Fault::new(Action::Delay(Duration::from_millis(400))).on([Operation::DeleteObjects]));
    let task = world.task().with("options.max_deletes", 5_000);
    world.create(&task).await;
    world.start(&task).await;
    for batch in [1, 3] {
        eventually("deletes are under way", PATIENCE, || async { (world.deletes() >= batch).then_some(()) }).await;
        world.daemon.kill();
        assert!(world.left().len() > 2, "the kill came too late");
        world.daemon.restart().await;
    }
    let run = task.succeeds(&world.daemon).await;
    succeeded(&run, 3_500);
    assert_eq!((run.run, run.counters.listed, run.counters.to_delete), (1, 2, 3_500), "{run:?}");
    assert_eq!(world.left(), ["kept", "new"]);
    // five batches, and those that the kills cut off
    assert!(world.deletes() <= 4 + 2 * 2, "{} requests", world.deletes());
    world.ends_well().await;
}
