//! What a run costs in requests: two for a small object, and none for what the task does not ask for.

use dth_tests::{
    daemon::Daemon,
    s3::{Object, Operation, Requests},
    task::ended_well,
};

use crate::{data, pair};

const OBJECTS: u64 = 40;

/// All that is neither of these.
fn others(requests: &Requests, known: &[Operation]) -> u64 {
    requests.total() - known.iter().map(|operation| requests.of(*operation)).sum::<u64>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_task_asks_for_nothing_but_listings_and_bytes() {
    let (source, destination) = pair::stores().await;
    for n in 0..OBJECTS {
        let key = format!("{n:03}");
        let object = Object::new(data::noise(&key, 1_000)).header("content-type", "text/plain").metadata("number", &key);
        source.store().put("from", &key, object);
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("plain", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, OBJECTS, "{run:?}");
    let (read, written) = (source.requests(), destination.requests());
    assert_eq!((read.of(Operation::GetObject), others(&read, &[Operation::ListObjectsV2, Operation::GetObject])), (OBJECTS, 0), "{read:?}");
    let wrote = (written.of(Operation::PutObject), others(&written, &[Operation::ListObjectsV2, Operation::PutObject]));
    assert_eq!(wrote, (OBJECTS, 0), "{written:?}");
    let all = read.total() + written.total();
    assert_eq!(run.counters.requests, all, "each is counted: {run:?}");
    // where all is the same, listings are all there is
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.same, again.counters.copied), (OBJECTS, 0), "{again:?}");
    for (requests, before) in [(source.requests(), &read), (destination.requests(), &written)] {
        let listed = requests.of(Operation::ListObjectsV2) - before.of(Operation::ListObjectsV2);
        assert_eq!(requests.total() - before.total(), listed, "{requests:?}");
        assert!(listed > 0, "{requests:?}");
    }
    ended_well(daemon).await;
}
