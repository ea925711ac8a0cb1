//! Keys are bytes and not paths: every legal one arrives as it is, on stores that keep them.

use dth_tests::{
    daemon::Daemon,
    s3::{Object, Server},
    task::{Task, ended_well},
};

use crate::data::{self, ODD, identical};

/// The odd ones, and the longest.
fn keys() -> Vec<String> {
    let mut keys = ODD.map(str::to_owned).to_vec();
    keys.push("s".repeat(300) + "/x");
    keys.push("k".repeat(1_024));
    keys.push("ä".repeat(512));
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_arrives_on_the_embedded_store() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    for key in keys() {
        let object =
            Object::new(key.clone()).header("content-type", "text/plain; charset=utf-8").metadata("length", &key.len().to_string());
        source.store().put("from", &key, object.tag("t", "1"));
    }
    data::multipart(source.store(), "from", "large//%2B +?/", 17 << 20, 8 << 20);
    let daemon = Daemon::start("").await;
    let task = Task::new("keys", (&source.endpoint(), "from"), (&destination.endpoint(), "to"));
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, keys().len() as u64 + 1, "{run:?}");
    identical(&source, "from", &destination, "to");
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.copied, again.counters.same), (0, run.counters.copied), "{again:?}");

    // with a prefix the longest keys do not fit; they are told and the others copied
    let longer = Task::new("longer", (&source.endpoint(), "from"), (&destination.endpoint(), "to")).with("destination.prefix", "p//");
    longer.start(&daemon).await;
    let (code, run) = longer.wait(&daemon).await;
    assert_eq!((code, run.counters.failed, run.counters.copied), (1, 2, again.counters.same - 2), "{run:?}");
    for failure in longer.failures(&daemon).await {
        assert_eq!((failure.code.as_str(), failure.key.len()), ("KeyTooLong", 1_024), "{failure:?}");
    }
    let screen = daemon.dth(&["items", "keys"]).ok().await;
    assert!(!screen.contains('\u{1b}') && !daemon.log().contains('\u{1b}'), "no key moves the cursor of a terminal");
    ended_well(daemon).await;
}
