//! Stores that fail: what can be repeated is, what cannot is told item by item, and nothing wrong is published.

use bytes::Bytes;
use dth_proto::{
    failure::{FailureClass, Side},
    view::RunOutcome,
};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Operation, Server},
    task::ended_well,
};

use crate::{
    data::{self, identical},
    pair::{self, stores},
};

const MIB: usize = 1 << 20;

/// Small objects, and three that are copied in parts.
fn fill(server: &Server) -> u64 {
    data::small(server.store(), "from", "small/", 150);
    data::multipart(server.store(), "from", "large/a", 5 * 8 * MIB + 7, 8 * MIB);
    data::multipart(server.store(), "from", "large/b", 3 * 5 * MIB + 2 * MIB, 5 * MIB);
    data::single(server.store(), "from", "large/single", 17 * MIB);
    153
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_throttles_resets_cuts_and_corrupts_loses_nothing() {
    let (source, destination) = stores().await;
    let objects = fill(&source);
    for fault in [
        Fault::new(Action::SlowDown).every(3),
        Fault::new(Action::Reset).every(17),
        Fault::new(Action::ResetAfter).every(29),
        Fault::new(Action::InternalError).every(31),
        Fault::new(Action::Truncate(1_000)).on([Operation::GetObject]).every(7),
        Fault::new(Action::Truncate(0)).on([Operation::GetObject]).every(23),
        // a byte of one part of each large object: all of its parts are read again
        Fault::new(Action::Corrupt(77)).on([Operation::GetObject]).key("large/a").ranged().nth(4),
        Fault::new(Action::Corrupt(77)).on([Operation::GetObject]).key("large/b").ranged().nth(5),
        Fault::new(Action::Corrupt(77)).on([Operation::GetObject]).key("large/single").ranged().nth(1),
    ] {
        source.faults().add(fault);
    }
    // some small ones arrive with a wrong byte, each once
    for n in (1..150).step_by(11) {
        source.faults().add(Fault::new(Action::Corrupt(5)).on([Operation::GetObject]).key(&format!("small/{n:05}")).nth(1));
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied), (objects, objects), "{run:?}");
    assert!(run.counters.retries > 50, "{run:?}");
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_fails_in_every_way_gets_everything_right() {
    let (source, destination) = stores().await;
    let objects = fill(&source);
    let complete = [Operation::CompleteMultipartUpload];
    for fault in [
        Fault::new(Action::SlowDown).every(3),
        Fault::new(Action::Reset).every(17),
        Fault::new(Action::ResetAfter).every(19),
        Fault::new(Action::InternalError).every(23),
        // of each large object: an error in the guise of success, then a success in the guise of an error, or no answer at all
        Fault::new(Action::ErrorIn200).on(complete).nth(1),
        Fault::new(Action::ErrorAfter).on(complete).nth(3),
        Fault::new(Action::ResetAfter).on(complete).nth(5),
        Fault::new(Action::ErrorAfter).on([Operation::CreateMultipartUpload]).nth(1),
        Fault::new(Action::ResetAfter).on([Operation::CreateMultipartUpload]).nth(3),
        Fault::new(Action::ErrorAfter).on([Operation::UploadPart]).every(5),
    ] {
        destination.faults().add(fault);
    }
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied), (objects, objects), "{run:?}");
    identical(&source, "from", &destination, "to");
    // the last faults may have struck the end of an upload, which is tried again by the next run
    assert!(destination.store().uploads("to").is_empty(), "{:?}", destination.store().uploads("to"));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_denies_is_told_item_by_item_and_tried_again_on_request() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "open/", 40);
    data::small(source.store(), "from", "secret/", 25);
    data::multipart(source.store(), "from", "secret/large", 20 * MIB, 8 * MIB);
    let denied = source.faults().add(Fault::new(Action::Deny).prefix("secret/"));
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;

    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.failed), (66, 40, 26));
    let failures = task.failures(&daemon).await;
    let expected: Vec<String> = source.store().all("from").into_keys().filter(|key| key.starts_with("secret/")).collect();
    assert_eq!(failures.iter().map(|item| item.key.clone()).collect::<Vec<_>>(), expected);
    for item in &failures {
        assert_eq!((item.class, item.side, item.tries), (FailureClass::Auth, Side::Source, 1), "{item:?}");
        // a HEAD has no body that could name the code
        assert!(["AccessDenied", "Forbidden"].contains(&item.code.as_str()) && !item.message.is_empty(), "{item:?}");
    }
    assert_eq!(destination.store().all("to").len(), 40);

    source.faults().remove(denied);
    task.tell(&daemon, "retry", &[]).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied), (2, 26, 26), "{run:?}");
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_page_that_fails_for_good_fails_the_run() {
    for side in [Side::Source, Side::Destination] {
        let (source, destination) = stores().await;
        data::small(source.store(), "from", "o/", 1_500);
        let broken = if side == Side::Source { &source } else { &destination };
        if side == Side::Destination {
            // what is there already is not copied again, and a page that is missing must not make it look absent
            for (key, object) in source.store().all("from") {
                destination.store().put("to", &key, object);
            }
        }
        // All pages from the second on: with 1,500 keys one of them is needed. A single one may have been asked for in vain, for a range
        // that another has taken over meanwhile, and its failure then rightly does not matter.
        let list = [Operation::ListObjectsV2];
        broken.faults().add(Fault::new(Action::Deny).on(list).after(1));
        let daemon = Daemon::start("").await;
        let task = pair::task("copy", &source, &destination);
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        assert_eq!((code, run.outcome), (1, Some(RunOutcome::Failed)), "{side:?} {run:?}");
        let error = run.error.unwrap();
        assert!(error.contains("ListObjectsV2") && error.contains("AccessDenied") && error.contains(side.word()), "{error}");
        assert!(run.counters.balanced() && run.counters.listed < 1_500 + u64::from(side == Side::Destination), "{:?}", run.counters);

        broken.faults().clear();
        let run = task.again(&daemon).await;
        assert_eq!((run.run, run.counters.listed), (2, 1_500));
        identical(&source, "from", &destination, "to");
        if side == Side::Destination {
            assert_eq!(destination.requests().of(Operation::PutObject), 0);
        }
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_match_their_digest_are_never_published() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "good/", 5);
    data::single(source.store(), "from", "bad/small", 3_000);
    data::single(source.store(), "from", "bad/single", 17 * MIB);
    data::multipart(source.store(), "from", "bad/parts", 20 * MIB, 8 * MIB);
    // the same wrong byte each time: reading again does not help
    let corrupt = source.faults().add(Fault::new(Action::Corrupt(1_234)).on([Operation::GetObject]).prefix("bad/"));
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
    assert_eq!((run.counters.copied, run.counters.failed), (5, 3), "{run:?}");
    assert!(destination.store().all("to").keys().all(|key| key.starts_with("good/")), "{:?}", destination.store().all("to").keys());
    assert!(destination.store().uploads("to").is_empty());
    for item in task.failures(&daemon).await {
        assert!(["BadDigest", "DigestMismatch"].contains(&item.code.as_str()), "{item:?}");
    }

    source.faults().remove(corrupt);
    task.tell(&daemon, "retry", &[]).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 3, "{run:?}");
    identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_a_token_are_continued_and_circles_are_seen() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "o/", 2_500);
    // the last page is always told by the empty one behind it
    let list = [Operation::ListObjectsV2];
    source.faults().add(Fault::new(Action::TruncatedWithoutToken).on(list).first(3));
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied), (2_500, 2_500));
    identical(&source, "from", &destination, "to");

    source.faults().add(Fault::new(Action::RepeatPage).on(list));
    task.tell(&daemon, "start", &[]).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Failed)), "{run:?}");
    assert!(run.error.as_ref().is_some_and(|error| error.contains("ListLoop")), "{run:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_written_fails_alone() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "o/", 30);
    source.store().put("from", "o/odd", dth_tests::s3::Object::new(Bytes::from_static(b"odd")));
    destination.faults().add(Fault::new(Action::InternalError).on([Operation::PutObject]).key("o/odd"));
    let daemon = Daemon::start("").await;
    let task = pair::task("copy", &source, &destination);
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
    assert_eq!((run.counters.copied, run.counters.failed), (30, 1));
    let [failure] = task.failures(&daemon).await.try_into().unwrap();
    assert_eq!((failure.key.as_str(), failure.class, failure.side), ("o/odd", FailureClass::Transient, Side::Destination));
    ended_well(daemon).await;
}
