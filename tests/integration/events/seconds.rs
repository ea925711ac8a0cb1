//! How long it takes: a real S3 of another maker sends its own notifications, from the change to the object at the destination.

use std::time::{Duration, Instant};

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{Event, NotificationConfiguration, QueueConfiguration},
};
use dth_tests::{
    moto::Moto,
    s3::Server,
    task::{Task, ended_well},
    wait::eventually,
};

use super::{PATIENCE, daemon, empty, listening, listens, seen};

/// Changes of each kind that are measured.
const CHANGES: usize = 12;
/// What is asked for.
const GOAL: Duration = Duration::from_secs(5);

/// Waits until the destination has these bytes under a key (`None`: nothing).
async fn arrives(destination: &Server, key: &str, bytes: Option<&str>) {
    eventually(&format!("{key} is {bytes:?}"), PATIENCE, || async {
        let there = destination.store().get("to", key).map(|object| object.data.to_bytes());
        (there.as_deref() == bytes.map(str::as_bytes)).then_some(())
    })
    .await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_overwrite_and_delete_arrive_in_seconds() {
    let (moto, destination) = (Moto::start().await, Server::start().await.unwrap());
    destination.store().create_bucket("to");
    let queue = moto.queue("events").await;
    let s3 = moto.client();
    s3.create_bucket().bucket("from").send().await.unwrap();
    // an empty answer of moto's has another root element than S3's
    let theirs = QueueConfiguration::builder().id("theirs").queue_arn(&moto.queue("theirs").await.arn);
    let theirs = theirs.events(Event::from("s3:ReducedRedundancyLostObject")).build().unwrap();
    let before = NotificationConfiguration::builder().queue_configurations(theirs).build();
    s3.put_bucket_notification_configuration().bucket("from").notification_configuration(before).send().await.unwrap();
    let put = async |key: &str, body: &str| {
        s3.put_object().bucket("from").key(key).body(ByteStream::from(body.as_bytes().to_vec())).send().await.unwrap();
    };
    put("photos/there before.jpg", "before").await;
    let daemon = daemon().await;
    let task = Task::new("live", (&moto.endpoint(), "from"), (&destination.endpoint(), "to"));
    let task = listening(task, &queue.url).with("source.credential", "moto").with("options.delete", "mirror");
    task.start(&daemon).await;
    task.tell(&daemon, "setup-events", &["--policy"]).await;
    listens(&task, &daemon).await;
    arrives(&destination, "photos/there before.jpg", Some("before")).await;

    let [mut creates, mut overwrites, mut deletes] = [const { Vec::new() }; 3];
    for n in 0..CHANGES {
        let key = format!("photos/a b+c ä {n}.jpg");
        let begin = Instant::now();
        put(&key, "one").await;
        arrives(&destination, &key, Some("one")).await;
        creates.push(begin.elapsed());
        let begin = Instant::now();
        put(&key, "two").await;
        arrives(&destination, &key, Some("two")).await;
        overwrites.push(begin.elapsed());
        let begin = Instant::now();
        s3.delete_object().bucket("from").key(&key).send().await.unwrap();
        arrives(&destination, &key, None).await;
        deletes.push(begin.elapsed());
    }
    let most = creates.iter().chain(&overwrites).chain(&deletes).max().copied().unwrap();
    let medians = [creates, overwrites, deletes].map(median);
    println!(
        "median of {CHANGES} each: create {:?}, overwrite {:?}, delete {:?}; the longest {most:?}",
        medians[0], medians[1], medians[2]
    );
    assert!(medians.iter().all(|median| *median < GOAL), "{medians:?}");
    empty(&moto, &queue).await;
    let detail = task.show(&daemon).await;
    let run = detail.view.run.clone().unwrap();
    assert!(run.counters.balanced() && run.counters.failed == 0, "{run:?}");
    assert_eq!((run.counters.copied, run.counters.deleted), (2 * CHANGES as u64, CHANGES as u64), "{run:?}");
    let events = seen(&detail);
    assert_eq!((events.held, events.unknown, events.trouble), (0, 0, None));
    assert_eq!(detail.view.note, "events: up to date");
    ended_well(daemon).await;
}
