//! Messages in the wrong order, more than once, in bursts, of other forms, and of no form at all.

use dth_proto::view::Explanation;
use dth_tests::{
    moto::Moto,
    s3::{Object, Operation},
    task::ended_well,
    wait::eventually,
};
use serde_json::json;

use super::{PATIENCE, applied, created, daemon, empty, listens, ordered, removed, seen, task};
use crate::pair::stores;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reordered_and_repeated_events_leave_the_newest_state() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let mut daemon = daemon().await;
    let task = task("order", &source, &destination, &queue.url);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    source.store().put("from", "k", Object::new("newest"));
    moto.send(&queue, &ordered("k", "0055AED6DCD90281E9")).await;
    applied(&task, &daemon, 1).await;
    assert!(destination.store().get("to", "k").is_some());
    // what happened before, and the same again: nobody need be asked
    source.reset_requests();
    destination.reset_requests();
    for sequencer in ["0055AED6DCD90281E1", "0055AED6DCD90281E9", "0055AED6DCD90281"] {
        moto.send(&queue, &ordered("k", sequencer)).await;
    }
    applied(&task, &daemon, 4).await;
    assert_eq!((source.requests().of_key(Operation::HeadObject, "k"), destination.requests().total()), (0, 0));
    // neither after a restart
    daemon.stop(PATIENCE).await;
    daemon.restart().await;
    listens(&task, &daemon).await;
    source.reset_requests();
    moto.send(&queue, &ordered("k", "0055AED6DCD90281E1")).await;
    applied(&task, &daemon, 1).await;
    assert_eq!(source.requests().of_key(Operation::HeadObject, "k"), 0);
    // one that is newer is looked at, also when it is told before an older one
    source.store().put("from", "k", Object::new("newer still"));
    moto.send(&queue, &ordered("k", "0055AED6DCD90281F0")).await;
    moto.send(&queue, &ordered("k", "0055AED6DCD90281EA")).await;
    applied(&task, &daemon, 3).await;
    assert_eq!(destination.store().get("to", "k").unwrap().data.to_bytes(), "newer still");
    empty(&moto, &queue).await;
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_on_one_key_is_copied_a_few_times_and_ends_with_the_newest() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let daemon = daemon().await;
    let task = task("burst", &source, &destination, &queue.url);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    // a copy takes a while, so that the others come meanwhile
    destination.set_latency(std::time::Duration::from_millis(500));
    for n in 0..60 {
        source.store().put("from", "hot", Object::new(format!("generation {n}")));
        moto.send(&queue, &created("hot")).await;
    }
    let detail = applied(&task, &daemon, 60).await;
    assert_eq!(destination.store().get("to", "hot").unwrap().data.to_bytes(), "generation 59");
    let puts = destination.requests().of_key(Operation::PutObject, "hot");
    println!("60 events of one key: {puts} copies");
    assert!(puts <= 20, "{puts} copies for 60 events");
    let run = detail.view.run.unwrap();
    assert!(run.counters.balanced() && run.counters.failed == 0, "{run:?}");
    empty(&moto, &queue).await;
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_messages_stop_nothing() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let daemon = daemon().await;
    let task = task("odd", &source, &destination, &queue.url).with("source.prefix", "in/").with("options.exclude", vec!["**.tmp"]);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    for key in ["in/plain", "in/a b+c", "in/bridge", "in/sns", "in/x.tmp", "out/y"] {
        source.store().put("from", key, Object::new(key.to_owned()));
    }
    let other = created("in/plain").replace("\"from\"", "\"another-bucket\"");
    let unknown = ["", "{", "[]", "{\"hello\":1}", "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\"}]}", &other]
        .map(|m| if m.is_empty() { " " } else { m });
    let bridge = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "from"}, "object": {"key": "in/bridge"}}});
    let understood = [
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "from"}).to_string(),
        json!({"key": "in/plain", "size": 8}).to_string(),
        created("in/a b%2Bc"),
        bridge.to_string(),
        json!({"Type": "Notification", "Message": created("in/sns")}).to_string(),
        created("in/x.tmp"),
        created("out/y"),
        created("in/never was"),
        removed("in/plain", &json!({})),
    ];
    for message in unknown.iter().copied().chain(understood.iter().map(String::as_str)) {
        moto.send(&queue, message).await;
    }
    let detail = applied(&task, &daemon, understood.len() as u64).await;
    let arrived: Vec<String> = destination.store().all("to").into_keys().collect();
    assert_eq!(arrived, ["in/a b+c", "in/bridge", "in/plain", "in/sns"]);
    let run = detail.view.run.clone().unwrap();
    assert!(run.counters.balanced() && run.counters.failed == 0, "{run:?}");
    assert_eq!(detail.skipped.get("excluded"), Some(&1), "{:?}", detail.skipped);
    assert_eq!(detail.skipped.get("vanished"), Some(&1), "{:?}", detail.skipped);
    assert_eq!(seen(&detail).unknown, unknown.len() as u64);
    // kept for a dead-letter queue, or for a person to look at; each kind is told once
    let (waiting, held) = moto.messages(&queue).await;
    assert_eq!(waiting + held, unknown.len() as u64);
    let log = daemon.log();
    for kind in ["not JSON", "JSON of an unknown form", "a record that is not about an object", "about another bucket"] {
        assert_eq!(log.matches(&format!("is {kind}:")).count(), 1, "{kind}\n{log}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_gone_is_deleted_and_only_when_asked_for() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let (keeps, mirrors) = (moto.queue("keeps").await, moto.queue("mirrors").await);
    let daemon = daemon().await;
    destination.store().create_bucket("mirror");
    for key in ["gone", "version", "back", "excluded.tmp"] {
        source.store().put("from", key, Object::new(key.to_owned()));
    }
    let keeping = task("keeps", &source, &destination, &keeps.url);
    let mirroring =
        task("mirrors", &source, &destination, &mirrors.url).with("destination.bucket", "mirror").with("options.delete", "mirror");
    for task in [&keeping, &mirroring] {
        task.start(&daemon).await;
        listens(task, &daemon).await;
    }
    destination.store().put("mirror", "only-there", Object::new("somebody else's"));
    source.store().remove("from", "gone");
    let events = [
        removed("gone", &json!({})),
        // one version of several: the object is still there
        removed("version", &json!({"versionId": "3HL4kqtJlcpXroDTDmJ"})),
        // made again since
        removed("back", &json!({})),
    ];
    for (n, event) in events.iter().enumerate() {
        moto.send(&keeps, event).await;
        moto.send(&mirrors, event).await;
        applied(&mirroring, &daemon, n as u64 + 1).await;
    }
    let kept = applied(&keeping, &daemon, 3).await;
    assert_eq!(destination.store().all("to").len(), 4, "nothing is deleted");
    assert_eq!(kept.skipped.get("removed"), Some(&1), "{:?}", kept.skipped);
    let keys: Vec<String> = destination.store().all("mirror").into_keys().collect();
    assert_eq!(keys, ["back", "excluded.tmp", "only-there", "version"]);
    let run = mirroring.show(&daemon).await.view.run.unwrap();
    assert_eq!((run.counters.deleted, run.counters.failed), (1, 0), "{run:?}");
    let items = mirroring.items(&daemon).await;
    assert!(items.iter().any(|item| item.key == "gone" && item.outcome == "deleted"), "{items:?}");
    // a bucket that is gone as a whole answers a HEAD as an object that is gone does
    source
        .faults()
        .add(dth_tests::s3::Fault::new(dth_tests::s3::Action::Answer(dth_tests::s3::Answer::new(404))).on([Operation::HeadObject]));
    source.faults().add(
        dth_tests::s3::Fault::new(dth_tests::s3::Action::Answer(dth_tests::s3::Answer::error(404, "NoSuchBucket")))
            .on([Operation::ListObjectsV2]),
    );
    moto.send(&mirrors, &removed("version", &json!({}))).await;
    eventually("the failure is told", PATIENCE, || async {
        let run = mirroring.show(&daemon).await.view.run?;
        (run.counters.failed == 1).then_some(())
    })
    .await;
    assert!(destination.store().get("mirror", "version").is_some(), "not deleted");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_is_asked_for_at_both_ends_and_forgotten() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let daemon = daemon().await;
    for key in ["gone", "stays"] {
        source.store().put("from", key, Object::new(key.to_owned()));
    }
    // of such a task each copy is remembered
    let task = task("forgets", &source, &destination, &queue.url).with("options.delete", "mirror").with("options.compare", "checksum");
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    let explained = async |key: &str| daemon.dth(&["explain", "forgets", key]).json::<Explanation>().await;
    assert!(explained("gone").await.recorded.is_some());
    source.store().remove("from", "gone");
    source.reset_requests();
    destination.reset_requests();
    moto.send(&queue, &removed("gone", &json!({}))).await;
    applied(&task, &daemon, 1).await;
    let (asked, deleted) = (source.requests(), destination.requests());
    // to see what it is about, and once more before it is deleted; a listing tells a key that is gone from a bucket that is
    assert_eq!((asked.of_key(Operation::HeadObject, "gone"), asked.of(Operation::ListObjectsV2)), (2, 1), "{asked:?}");
    assert_eq!((deleted.of_key(Operation::HeadObject, "gone"), deleted.of_key(Operation::DeleteObject, "gone")), (2, 1), "{deleted:?}");
    assert_eq!(explained("gone").await.recorded, None);
    assert!(explained("stays").await.recorded.is_some());
    assert_eq!(destination.store().all("to").into_keys().collect::<Vec<_>>(), ["stays"]);
    ended_well(daemon).await;
}
