//! What a store cannot take: it fails by itself, in words that name the limit and the store, before anything is asked or sent.

use std::fs;

use dth_proto::{
    failure::{FailureClass, Side},
    view::RunOutcome,
};
use dth_tests::{daemon::Daemon, s3::Operation, task::ended_well};

use crate::{data, pair};

/// Bytes that go into one PutObject.
const SINGLE: usize = 16 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_would_need_parts_fails_where_there_are_none() {
    let (source, destination) = pair::stores().await;
    data::single(source.store(), "from", "fits", SINGLE);
    data::single(source.store(), "from", "large/one-piece", SINGLE + 1);
    data::multipart(source.store(), "from", "large/parts", SINGLE + 1, 8 << 20);
    let mut daemon = Daemon::prepare();
    let own = daemon.folder().join("own.toml");
    fs::write(&own, "[provider.attic]\nlike = \"minio\"\nmax_parts = 0\n").unwrap();
    daemon.configure(&format!("[providers]\nfile = \"{}\"\n", own.display()));
    daemon.restart().await;
    let task = pair::task("attic", &source, &destination).with("destination.provider", "attic");
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome, run.counters.copied, run.counters.failed), (1, Some(RunOutcome::Incomplete), 1, 2), "{run:?}");
    let failures = task.failures(&daemon).await;
    assert_eq!(failures.iter().map(|failure| failure.key.as_str()).collect::<Vec<_>>(), ["large/one-piece", "large/parts"]);
    for failure in failures {
        let what = (failure.class, failure.side, failure.operation.as_str(), failure.code.as_str());
        assert_eq!(what, (FailureClass::Permanent, Side::Destination, "PutObject", "NoMultipartUpload"), "{failure:?}");
        let store = format!("attic at {}", destination.endpoint());
        for said in [store.as_str(), "16777217 bytes", "16777216", "takes no objects in parts", "options.smaller_than"] {
            assert!(failure.message.contains(said), "{said:?} in {failure:?}");
        }
    }
    assert_eq!(destination.store().all("to").into_keys().collect::<Vec<_>>(), ["fits"]);
    let (read, written) = (source.requests(), destination.requests());
    assert_eq!((read.of(Operation::GetObject), read.of(Operation::HeadObject)), (1, 0), "{read:?}");
    assert_eq!((written.of(Operation::PutObject), written.of(Operation::CreateMultipartUpload)), (1, 0), "{written:?}");
    ended_well(daemon).await;
}
