//! A task that deletes begins to run only when somebody names it once more.

use dth_proto::view::RunOutcome;

use super::{World, succeeded};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_deletes_is_started_by_its_name() {
    let world = World::new().await;
    world.has(["a"], ["a", "gone"]);
    let task = world.task();
    let file = task.file(&world.daemon);
    let refused = world.daemon.dth(&["create", "--file", &file, "--start"]).run().await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = "dth: mirror deletes objects under s3://to/ that its source does not have: name it once more to let it run\nhint: --confirm mirror; look \
                first with: dth plan mirror\n";
    assert_eq!(refused.err, said);
    assert_eq!(world.daemon.dth(&["show", "mirror"]).run().await.code, 1, "it was not created");

    world.create(&task).await;
    let plain = world.daemon.dth(&["start", "mirror"]).run().await;
    assert_eq!((plain.code, plain.err.as_str()), (1, said));
    let other = world.daemon.dth(&["start", "mirror", "--confirm", "other"]).run().await;
    assert!(other.code == 1 && other.err.contains("other was confirmed, and mirror would run"), "{other:?}");
    assert_eq!(world.deletes(), 0);
    succeeded(&world.again(&task).await, 1);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_confirmed_once_and_not_taken_along_by_a_clone() {
    let world = World::new().await;
    world.has(["a"], ["a", "gone"]);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let at = soon.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let task = world.task().with("trigger.at", at.as_str());
    let file = task.file(&world.daemon);
    let refused = world.daemon.dth(&["create", "--file", &file]).run().await;
    assert!(refused.code == 1 && refused.err.contains("name it once more"), "{refused:?}");
    world.daemon.dth(&["create", "--file", &file, "--confirm", "mirror"]).ok().await;
    // its trigger starts it: that was confirmed
    super::eventually("the trigger fires", super::PATIENCE, || async {
        let run = task.show(&world.daemon).await.view.run?;
        (run.outcome == Some(RunOutcome::Succeeded) && run.counters.deleted == 1).then_some(())
    })
    .await;
    world.daemon.dth(&["clone", "mirror", "again"]).ok().await;
    let clone: serde_json::Value = world.daemon.dth(&["show", "again"]).json().await;
    assert_eq!(clone["view"]["trigger"], "manual", "{clone}");

    // to let an existing task delete by its trigger is to be confirmed as well
    let copy = crate::pair::task("copy", &world.source, &world.destination);
    world.create(&copy).await;
    let edited = world.task().with("name", "copy").with("trigger.every", "1h");
    let file = edited.file(&world.daemon);
    let refused = world.daemon.dth(&["edit", "copy", "--file", &file]).run().await;
    assert!(refused.code == 1 && refused.err.contains("name it once more"), "{refused:?}");
    world.daemon.dth(&["edit", "copy", "--file", &file, "--confirm", "copy"]).ok().await;
    // once it is
    world.daemon.dth(&["edit", "copy", "--file", &file]).ok().await;
    world.ends_well().await;
}
