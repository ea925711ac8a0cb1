//! Stores that refuse part of the requests, and tasks that want the same store: nothing fails, and nobody has to wait for the largest.

use std::time::Duration;

use dth_proto::view::TaskState;
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Answer, Fault, Operation},
    task::{Task, ended_well},
    wait::eventually,
};

use crate::{
    data::{self, identical},
    pair::{stores, task},
};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn three_of_ten_requests_are_refused_for_a_while_and_no_item_fails() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "o/", 600);
    data::multipart(source.store(), "from", "large", 33 << 20, 8 << 20);
    let storms = [&source, &destination].map(|server| server.faults().add(Fault::new(Action::SlowDown).share(3, 10)));
    let daemon = Daemon::start("").await;
    let task = task("storm", &source, &destination);
    task.start(&daemon).await;
    let half = || async { (destination.store().all("to").len() >= 300).then_some(()) };
    eventually("half of the objects have arrived in the storm", PATIENCE, half).await;
    for (server, storm) in [&source, &destination].into_iter().zip(storms) {
        assert!(server.faults().struck(storm) > 100, "{}", server.faults().struck(storm));
        server.faults().remove(storm);
    }
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.failed), (601, 601, 0), "{run:?}");
    assert!(run.counters.retries > 200, "{run:?}");
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_when_is_not_asked_before() {
    const SECONDS: u64 = 2;
    let (source, destination) = stores().await;
    let refused = || Fault::new(Action::Answer(Answer::error(503, "SlowDown").header("retry-after", &SECONDS.to_string()))).nth(1);
    data::single(source.store(), "from", "key", 1_000);
    source.faults().add(refused().on([Operation::GetObject]));
    destination.faults().add(refused().on([Operation::PutObject]));
    destination.faults().add(refused().on([Operation::ListObjectsV2]));
    let daemon = Daemon::start("").await;
    let task = task("when", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    // one after the other: the listing, then the read, then the write
    assert!(run.duration_s >= 3.0 * SECONDS as f64, "{run:?}");
    assert_eq!((source.requests().of(Operation::GetObject), destination.requests().of(Operation::PutObject)), (2, 2));
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_task_is_done_while_a_large_one_at_the_same_stores_goes_on() {
    let (source, destination) = stores().await;
    let (few, few_there) = ("few", "few-there");
    data::small(source.store(), "from", "many/", 4_000);
    data::small(source.store(), few, "few/", 20);
    destination.store().create_bucket(few_there);
    for server in [&source, &destination] {
        server.set_latency(Duration::from_millis(50));
    }
    let daemon = Daemon::start("").await;
    let large = task("large", &source, &destination);
    large.start(&daemon).await;
    let busy = || async { (destination.requests().of(Operation::PutObject) >= 200).then_some(()) };
    eventually("the large task is at work", PATIENCE, busy).await;

    let small = Task::new("small", (&source.endpoint(), few), (&destination.endpoint(), few_there));
    small.start(&daemon).await;
    let run = small.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 20, "{run:?}");
    let view = large.show(&daemon).await.view;
    let going = view.run.unwrap();
    assert!(view.state == TaskState::Running && going.outcome.is_none() && going.counters.pending > 0, "{going:?}");
    identical(&source, few, &destination, few_there);
    large.tell(&daemon, "stop", &[]).await;
    large.wait(&daemon).await;
    ended_well(daemon).await;
}
