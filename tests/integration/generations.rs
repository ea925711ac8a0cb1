//! Objects that change or go while they are copied: one generation arrives, whole, or none.

use std::{sync::Arc, time::Duration};

use dth_proto::{failure::FailureClass, view::RunOutcome};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

use crate::data::{self, identical, noise};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
/// Long enough for the test to act between a request and its answer.
const MOMENT: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    source: Server,
    destination: Server,
    daemon: Daemon,
    task: Task,
}

async fn scene() -> Scene {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    // one part after the other, so that the test knows which request comes when
    let daemon = Daemon::start("[limits]\nparts = 1\n").await;
    let task = Task::new("copy", (&source.endpoint(), "from"), (&destination.endpoint(), "to"));
    Scene { source, destination, daemon, task }
}

fn generation(name: &str, len: usize) -> Arc<Object> {
    Arc::new(Object::multipart(noise(name, len), PART as u64).metadata("generation", name))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_between_two_parts_is_copied_in_one_generation() {
    let Scene { source, destination, daemon, task } = scene().await;
    let same_size = 4 * PART + 5;
    for (key, new, nth) in [
        ("same-size", same_size, 2),
        ("larger", same_size + 2 * PART, 3),
        ("smaller", 2 * PART + 1, 1),
        // small enough for a single PUT
        ("tiny", 1_000, 4),
    ] {
        source.store().put("from", key, generation("old", same_size));
        source.faults().add(Fault::new(Action::Swap(generation("new", new))).on([Operation::GetObject]).key(key).nth(nth));
    }
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 4, "{run:?}");
    for (key, object) in source.store().all("from") {
        assert_eq!(object.attributes.metadata["generation"], "new", "{key}: the swap took place");
    }
    identical(&source, "from", &destination, "to");
    for item in task.items(&daemon).await {
        assert_eq!(item.source_etag, Some(source.store().get("from", &item.key).unwrap().etag.clone()), "{item:?}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_never_rests_fails_and_nothing_of_it_arrives() {
    let Scene { source, destination, daemon, task } = scene().await;
    data::small(source.store(), "from", "calm/", 5);
    let bytes = noise("restless", 3 * PART);
    source.store().put("from", "restless", Object::multipart(bytes.clone(), PART as u64));
    // each second read of a range is followed by another generation
    for n in 1..12_u64 {
        let next = Arc::new(Object::multipart(bytes.slice(n as usize..), PART as u64));
        source.faults().add(Fault::new(Action::Swap(next)).on([Operation::GetObject]).key("restless").ranged().nth(2 * n));
    }
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome, run.counters.copied, run.counters.failed), (1, Some(RunOutcome::Incomplete), 5, 1), "{run:?}");
    let [failure] = task.failures(&daemon).await.try_into().unwrap();
    assert_eq!((failure.key.as_str(), failure.class), ("restless", FailureClass::Changed));
    assert!(destination.store().get("to", "restless").is_none() && destination.store().uploads("to").is_empty());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_between_the_listing_and_the_read_is_copied_as_it_is_then() {
    let Scene { source, destination, daemon, task } = scene().await;
    data::small(source.store(), "from", "calm/", 5);
    source.store().put("from", "changed", Object::new("old"));
    source.store().put("from", "vanished", Object::new("old"));
    source.store().put("from", "vanished-large", generation("old", 3 * PART));
    source.faults().add(Fault::new(Action::Delay(MOMENT)).on([Operation::GetObject]).key("changed").nth(1));
    source.faults().add(Fault::new(Action::Delay(MOMENT)).on([Operation::GetObject]).key("vanished").nth(1));
    // the second part
    source.faults().add(Fault::new(Action::Delay(MOMENT)).on([Operation::GetObject]).key("vanished-large").nth(2));
    task.start(&daemon).await;
    let asked = |key, times| {
        let source = &source;
        eventually(key, PATIENCE, move || async move { (source.requests().of_key(Operation::GetObject, key) >= times).then_some(()) })
    };
    let change = async {
        asked("changed", 1).await;
        source.store().put("from", "changed", Object::new("new and longer"));
    };
    let vanish = async {
        asked("vanished", 1).await;
        source.store().remove("from", "vanished");
    };
    let vanish_large = async {
        asked("vanished-large", 2).await;
        source.store().remove("from", "vanished-large");
    };
    futures::join!(change, vanish, vanish_large);
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.skipped), (8, 6, 2), "{run:?}");
    assert_eq!(task.show(&daemon).await.skipped["vanished"], 2);
    let skipped: Vec<_> = task.items(&daemon).await.into_iter().filter(|item| item.outcome == "skipped").collect();
    assert_eq!(
        skipped.iter().map(|item| (item.key.as_str(), item.reason.as_deref())).collect::<Vec<_>>(),
        [("vanished", Some("vanished")), ("vanished-large", Some("vanished"))]
    );
    assert_eq!(destination.store().get("to", "changed").unwrap().data.to_bytes(), "new and longer");
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}
