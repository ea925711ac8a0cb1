//! Stores that fail, deny or lie while objects are to be deleted.

use std::time::Duration;

use dth_proto::{
    failure::{FailureClass, Side},
    view::RunOutcome,
};
use dth_tests::{
    moto::{KEYS, Moto},
    s3::{Action, Answer, Fault, Object, Operation},
    task::Task,
};

use super::{World, succeeded};
use crate::pair;

const LIST: Operation = Operation::ListObjectsV2;

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_at_either_end_deletes_nothing() {
    for at_source in [true, false] {
        let world = World::paged(3).await;
        let keys: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
        world.has(keys.iter().take(20).map(String::as_str), keys.iter().map(String::as_str));
        let server = if at_source { &world.source } else { &world.destination };
        let fault = server.faults().add(Fault::new(Action::Deny).on([LIST]).after(2));
        let task = world.task();
        let run = world.run(&task).await;
        assert_eq!((run.outcome, run.counters.deleted), (Some(RunOutcome::Failed), 0), "{run:?}");
        assert_eq!((world.left().len(), world.deletes()), (30, 0));
        server.faults().remove(fault);
        succeeded(&world.again(&task).await, 10);
        assert_eq!(world.left(), keys[..20]);
        world.ends_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_bucket_that_is_missing_deletes_nothing() {
    let world = World::new().await;
    world.has([], ["a", "b"]);
    let task = world.task().with("source.bucket", "no-such-bucket");
    let run = world.run(&task).await;
    assert_eq!((run.outcome, run.counters.deleted), (Some(RunOutcome::Failed), 0), "{run:?}");
    assert_eq!((world.left().len(), world.deletes()), (2, 0));
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_bucket_that_goes_away_after_the_listing_deletes_nothing() {
    let world = World::new().await;
    world.has(["kept"], ["kept", "gone-1", "gone-2"]);
    // from now on every HEAD would be a 404 of the bucket, which says nothing of keys
    let gone = world.source.faults().add(Fault::new(Action::Answer(Answer::error(404, "NoSuchBucket"))).on([LIST]).after(1));
    let task = world.task();
    let run = world.run(&task).await;
    assert_eq!((run.outcome, run.counters.deleted, run.counters.failed), (Some(RunOutcome::Incomplete), 0, 2), "{run:?}");
    assert_eq!((world.left().len(), world.deletes()), (3, 0));
    let failures = task.failures(&world.daemon).await;
    assert!(failures.iter().all(|item| item.code == "NoSuchBucket" && item.side == Side::Source), "{failures:?}");
    world.source.faults().remove(gone);
    succeeded(&world.again(&task).await, 2);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_a_404_of_the_source_keeps_the_object() {
    for (action, class) in [
        (Action::Deny, FailureClass::Auth),
        (Action::Answer(Answer::new(405)), FailureClass::Permanent),
        (Action::Answer(Answer::new(410)), FailureClass::Permanent),
    ] {
        let world = World::new().await;
        world.has(["a"], ["a", "gone", "unknown"]);
        world.source.faults().add(Fault::new(action).on([Operation::HeadObject]).key("unknown"));
        let task = world.task();
        let run = world.run(&task).await;
        assert_eq!((run.outcome, run.counters.deleted, run.counters.failed), (Some(RunOutcome::Incomplete), 1, 1), "{run:?}");
        assert_eq!(world.left(), ["a", "unknown"]);
        let failures = task.failures(&world.daemon).await;
        assert_eq!((failures.len(), failures[0].class, failures[0].operation.as_str()), (1, class, "DeleteObject"), "{failures:?}");
        // to try a failed delete again is to compare again: a retry deletes nothing
        world.source.faults().clear();
        task.tell(&world.daemon, "retry", &[]).await;
        let (_, run) = task.wait(&world.daemon).await;
        assert_eq!((run.counters.deleted, world.left().len()), (0, 2), "{run:?}");
        succeeded(&world.again(&task).await, 1);
        world.ends_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_comes_back_during_the_run_stays() {
    let world = World::new().await;
    world.has(["slow"], ["gone", "back"]);
    world.source.faults().add(Fault::new(Action::Delay(Duration::from_secs(3))).on([Operation::GetObject]).key("slow"));
    let task = world.task();
    world.create(&task).await;
    world.start(&task).await;
    world.to_delete(&task, 2).await;
    world.source.store().put("from", "back", Object::new("newer"));
    let (_, run) = task.wait(&world.daemon).await;
    succeeded(&run, 1);
    assert_eq!(world.left(), ["back", "slow"]);
    let items = task.items(&world.daemon).await;
    let back = items.iter().find(|item| item.key == "back").unwrap();
    assert_eq!((back.outcome.as_str(), back.reason.as_deref()), ("skipped", Some("created-again")));
    // the next run copies it
    succeeded(&world.again(&task).await, 0);
    assert_eq!(world.destination.store().get("to", "back").unwrap().data.to_bytes(), "newer");
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_refuses_is_told_key_by_key() {
    let world = World::new().await;
    world.has(["a"], ["a", "gone-1", "gone-2", "locked"]);
    let answer = "<DeleteResult><Error><Key>locked</Key><Code>AccessDenied</Code><Message>Object Lock</Message></Error></DeleteResult>";
    let refusing = Answer::new(200).header("content-type", "application/xml").body(answer);
    let fault = world.destination.faults().add(Fault::new(Action::Answer(refusing)).on([Operation::DeleteObjects]));
    let task = world.task();
    let run = world.run(&task).await;
    assert_eq!((run.outcome, run.counters.deleted, run.counters.failed), (Some(RunOutcome::Incomplete), 2, 1), "{run:?}");
    let failures = task.failures(&world.daemon).await;
    assert_eq!((failures.len(), failures[0].key.as_str(), failures[0].class), (1, "locked", FailureClass::Auth), "{failures:?}");
    assert!(failures[0].message.contains("Object Lock"), "{failures:?}");
    world.destination.faults().remove(fault);
    // and of all of them at once
    let fault = world.destination.faults().add(Fault::new(Action::Deny).on([Operation::DeleteObjects]));
    let run = world.again(&task).await;
    assert_eq!((run.outcome, run.counters.deleted, run.counters.failed), (Some(RunOutcome::Incomplete), 0, 3), "{run:?}");
    assert_eq!(world.left().len(), 4);
    world.destination.faults().remove(fault);
    succeeded(&world.again(&task).await, 3);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_stumbles_gets_every_delete() {
    let world = World::new().await;
    let keys: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    world.has(["kept"], keys.iter().map(String::as_str).chain(["kept"]));
    for fault in [
        Fault::new(Action::SlowDown).on([Operation::DeleteObjects]).nth(1),
        Fault::new(Action::ResetAfter).on([Operation::DeleteObjects]).nth(2),
    ] {
        world.destination.faults().add(fault);
    }
    world.source.faults().add(Fault::new(Action::SlowDown).on([Operation::HeadObject]).every(20));
    let task = world.task();
    succeeded(&world.run(&task).await, 300);
    assert_eq!(world.left(), ["kept"]);
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_in_another_order_condemn_nothing_by_mistake() {
    let world = World::paged(2).await;
    let keys = ["a-b", "a/x", "a", "b/1", "b-1", "b", "c//", "c-"];
    world.has(keys, keys.into_iter().chain(["a-gone", "b/gone", "d"]));
    for server in [&world.source, &world.destination] {
        server.faults().add(Fault::new(Action::DirectoryOrder).on([LIST]));
    }
    let task = world.task().at_both_ends("provider", "other");
    succeeded(&world.run(&task).await, 3);
    let mut wanted = keys.map(str::to_owned);
    wanted.sort();
    assert_eq!(world.left(), wanted);
    assert!(world.records(&task, "planned").await.is_empty());
    world.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_versioned_bucket_gets_a_delete_marker_and_keeps_its_versions() {
    use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
    let moto = Moto::start().await;
    let s3 = moto.client();
    for bucket in ["from", "target"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning().bucket("target").versioning_configuration(enabled).send().await.unwrap();
    for (bucket, key) in [("from", "kept"), ("target", "kept"), ("target", "gone"), ("target", "gone")] {
        s3.put_object().bucket(bucket).key(key).body(b"x".to_vec().into()).send().await.unwrap();
    }
    let mut daemon = dth_tests::daemon::Daemon::prepare();
    let keys = daemon.credential("moto", KEYS.0, KEYS.1);
    daemon.configure(&format!("[credentials.moto]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
    daemon.restart().await;
    let task = Task::new("mirror", (&moto.endpoint(), "from"), (&moto.endpoint(), "target"))
        .at_both_ends("credential", "moto")
        .with("options.delete", "mirror")
        .with("options.max_delete_percent", 100);
    daemon.dth(&["create", "--file", &task.file(&daemon)]).ok().await;
    task.tell(&daemon, "start", &["--confirm", "mirror"]).await;
    succeeded(&task.succeeds(&daemon).await, 1);
    let versions = s3.list_object_versions().bucket("target").send().await.unwrap();
    let of = |key: &str| versions.versions().iter().filter(|version| version.key() == Some(key)).count();
    assert_eq!((of("gone"), of("kept")), (2, 1), "{versions:?}");
    let markers: Vec<_> = versions.delete_markers().iter().map(|marker| marker.key()).collect();
    assert_eq!(markers, [Some("gone")]);
    dth_tests::task::ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_are_signed_like_everything_else() {
    let world = World { daemon: pair::daemon("").await, ..World::new().await };
    world.has(["a"], ["a", "gone", "line\nbreak"]);
    let task = world.task().at_both_ends("credential", "embedded");
    succeeded(&world.run(&task).await, 2);
    assert_eq!(world.left(), ["a"]);
    world.ends_well().await;
}
