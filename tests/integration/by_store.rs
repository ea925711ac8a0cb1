//! Copies that the store makes by itself: when, pinned to what, and what happens when it does not.

use std::{collections::BTreeMap, time::Duration};

use dth_tests::{
    daemon::Daemon,
    s3::{Action, Answer, Fault, Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

use crate::data::noise;

/// A store with the buckets `from` and `to`.
async fn store() -> Server {
    let server = Server::builder().aws_checksums().start().await.unwrap();
    server.store().create_bucket("from");
    server.store().create_bucket("to");
    server
}

fn task(name: &str, server: &Server) -> Task {
    Task::new(name, (&server.endpoint(), "from"), (&server.endpoint(), "to")).with("options.server_side_copy", true)
}

/// How each object was copied, by key.
async fn ways(task: &Task, daemon: &Daemon) -> BTreeMap<String, String> {
    task.items(daemon).await.into_iter().map(|item| (item.key, item.verified.unwrap_or_default())).collect()
}

fn all(words: &[(&str, &str)]) -> BTreeMap<String, String> {
    words.iter().map(|(key, word)| ((*key).to_owned(), (*word).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_here_where_both_ends_are_one_store() {
    let server = store().await;
    for (key, object) in [
        ("odd/ \u{1}+%&?#//ü", Object::new(noise("odd", 700)).metadata("a", "b").tag("t", "1")),
        ("empty", Object::new("")),
        ("large", Object::multipart(noise("large", 40 << 20), 8 << 20)),
        ("web", Object::new("x").header("x-amz-website-redirect-location", "/elsewhere").header("content-encoding", "aws-chunked")),
    ] {
        server.store().put("from", key, object);
    }
    let daemon = Daemon::start("").await;
    let copy = task("copy", &server);
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.bytes_copied), (4, (40 << 20) + 701), "{run:?}");
    let requests = server.requests();
    let moved = [Operation::GetObject, Operation::PutObject, Operation::UploadPart].map(|operation| requests.of(operation));
    assert_eq!((requests.of(Operation::CopyObject), moved), (4, [0; 3]), "{requests:?}");
    // the large one has no checksum, and another ETag than the parts gave: only its size can be compared
    let words =
        all(&[("odd/ \u{1}+%&?#//ü", "server-side"), ("empty", "server-side"), ("web", "server-side"), ("large", "server-side-size")]);
    assert_eq!(ways(&copy, &daemon).await, words);
    for (key, ours) in server.store().all("from") {
        let theirs = server.store().get("to", &key).unwrap();
        assert!(theirs.data == ours.data, "{key}");
        assert_eq!((&theirs.attributes.metadata, &theirs.attributes.tags), (&ours.attributes.metadata, &ours.attributes.tags), "{key}");
    }
    let web = &server.store().get("to", "web").unwrap().attributes.headers;
    assert_eq!(web.get("x-amz-website-redirect-location").map(String::as_str), Some("/elsewhere"));
    assert!(!web.contains_key("content-encoding"), "the way the bytes were once sent is not what they are: {web:?}");
    assert_eq!(copy.again(&daemon).await.counters.copied, 0);

    let relayed = task("relayed", &server).with("options.server_side_copy", false).with("destination.prefix", "relayed/");
    relayed.start(&daemon).await;
    relayed.succeeds(&daemon).await;
    assert_eq!(server.requests().of(Operation::CopyObject), 4, "not where the task does not want it");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_copy_is_asked_no_more() {
    for (action, asked) in [(Action::Deny, 1..20), (Action::Answer(Answer::error(501, "NotImplemented")), 1..20)] {
        let server = store().await;
        for n in 0..60 {
            server.store().put("from", &format!("{n:02}"), Object::new(noise("x", 300 + n)));
        }
        server.faults().add(Fault::new(action.clone()).on([Operation::CopyObject]));
        let daemon = Daemon::start("[limits]\nobjects = 4\n").await;
        let copy = task("denied", &server);
        copy.start(&daemon).await;
        let run = copy.succeeds(&daemon).await;
        assert_eq!(run.counters.copied, 60, "{run:?}");
        let requests = server.requests();
        assert!(asked.contains(&requests.of(Operation::CopyObject)), "{action:?}: {requests:?}");
        assert_eq!(requests.of(Operation::PutObject), 60, "{action:?}");
        assert!(ways(&copy, &daemon).await.values().all(|word| word == "content-md5"), "{action:?}");
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_an_answer_of_success_is_an_error() {
    let server = store().await;
    server.store().put("from", "once", Object::new("once"));
    server.store().put("from", "refused", Object::new("refused"));
    let invalid = Answer { status: 200, ..Answer::error(200, "InvalidRequest") };
    server.faults().add(Fault::new(Action::ErrorIn200).on([Operation::CopyObject]).key("once").first(1));
    server.faults().add(Fault::new(Action::Answer(invalid)).on([Operation::CopyObject]).key("refused"));
    let daemon = Daemon::start("").await;
    let copy = task("in-200", &server);
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.retries), (2, 1), "{run:?}");
    // one was tried again, the other one was read and written
    assert_eq!(ways(&copy, &daemon).await, all(&[("once", "server-side"), ("refused", "content-md5")]));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_meanwhile_is_copied_as_it_is_then() {
    let server = store().await;
    server.store().put("from", "k", Object::new("before"));
    let after = Object::new("and after that");
    server.faults().add(Fault::new(Action::Swap(after.clone().into())).on([Operation::HeadObject]).key("k").nth(1));
    let daemon = Daemon::start("").await;
    let copy = task("changes", &server);
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1, "{run:?}");
    assert!(server.store().get("to", "k").unwrap().data == after.data);
    let item = &copy.items(&daemon).await[0];
    assert_eq!((item.verified.as_deref(), item.source_etag.as_deref()), (Some("server-side"), Some(after.etag.as_str())));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_other_content_is_not_taken() {
    let server = store().await;
    server.store().put("from", "k", Object::new("content"));
    let wrong = "<CopyObjectResult><ETag>&quot;00000000000000000000000000000000&quot;</ETag></CopyObjectResult>";
    server.faults().add(Fault::new(Action::Answer(Answer::new(200).body(wrong))).on([Operation::CopyObject]));
    let daemon = Daemon::start("").await;
    let copy = task("wrong", &server);
    copy.start(&daemon).await;
    let (code, run) = copy.wait(&daemon).await;
    assert_eq!((code, run.counters.failed), (1, 1), "{run:?}");
    let failures = copy.failures(&daemon).await;
    assert_eq!(failures[0].code, "DigestMismatch", "{failures:?}");
    assert!(failures[0].message.contains("the copy has other content than the source"), "{failures:?}");
    ended_well(daemon).await;
}

/// kill -9 while the store copies the parts of a large object: the same upload goes on, with the parts that it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_parts_that_the_store_copies_costs_only_what_was_in_flight() {
    const PARTS: u32 = 10;
    let server = store().await;
    let large = Object::multipart(noise("large", 59 << 20), 8 << 20).metadata("a", "b").tag("t", "1").header("content-type", "video/mp4");
    server.store().put("from", "large", large);
    server.faults().add(Fault::new(Action::Delay(Duration::from_millis(400))).on([Operation::UploadPartCopy]));
    let mut daemon = Daemon::prepare();
    // no test can wait for 5 GiB
    let own = daemon.secret("own.toml", "[provider.small-copies]\nlike = \"aws\"\nmax_part = \"6MiB\"\n");
    daemon.configure(&format!("[providers]\nfile = \"{}\"\n[limits]\nparts = 2\n", own.display()));
    daemon.restart().await;
    let copy = task("large", &server).at_both_ends("provider", "small-copies");
    copy.start(&daemon).await;

    let mut known: Option<String> = None;
    let mut had: Vec<(u32, u64)> = Vec::new();
    for least in [2, 4, 6] {
        eventually(&format!("{least} parts are copied"), Duration::from_secs(60), || async {
            let [upload] = server.store().uploads("to").try_into().ok()?;
            (upload.parts.len() >= least).then_some(())
        })
        .await;
        daemon.kill();
        let uploads = server.store().uploads("to");
        let [upload] = uploads.as_slice() else { panic!("one upload is under way: {uploads:?}") };
        assert!(upload.parts.len() < PARTS as usize && server.store().get("to", "large").is_none(), "it was not caught: {upload:?}");
        assert_eq!(known.get_or_insert_with(|| upload.id.clone()), &upload.id, "the upload that was begun goes on");
        let copied = server.requests().parts("large");
        had.extend(upload.parts.iter().map(|number| (*number, copied[number])));
        daemon.restart().await;
    }
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied), (1, 1, 1), "{run:?}");
    let requests = server.requests();
    let moved = [Operation::GetObject, Operation::PutObject, Operation::UploadPart].map(|operation| requests.of(operation));
    assert_eq!((requests.of(Operation::CreateMultipartUpload), moved), (1, [0; 3]), "{requests:?}");
    let copied = requests.parts("large");
    assert_eq!(copied.len(), PARTS as usize, "{copied:?}");
    for (number, count) in had {
        assert_eq!(copied[&number], count, "part {number} had arrived and was copied again");
    }
    // three kills, two parts in flight at each
    assert!(copied.values().sum::<u64>() <= u64::from(PARTS) + 6, "{copied:?}");
    assert!(server.store().uploads("to").is_empty());
    let (ours, theirs) = (server.store().get("from", "large").unwrap(), server.store().get("to", "large").unwrap());
    assert!(theirs.data == ours.data && theirs.parts.len() == PARTS as usize);
    let (one, two) = (&ours.attributes, &theirs.attributes);
    assert_eq!((&two.headers, &two.metadata, &two.tags), (&one.headers, &one.metadata, &one.tags));
    assert!(ways(&copy, &daemon).await["large"].starts_with("server-side"));
    assert_eq!(copy.again(&daemon).await.counters.copied, 0);
    ended_well(daemon).await;
}

/// Every request that reads says who pays, or the store would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_pays_for_every_read() {
    let server = Server::builder().requester_pays().start().await.unwrap();
    let destination = Server::start().await.unwrap();
    destination.store().create_bucket("to");
    server.store().put("from", "small", Object::new("x").tag("t", "1"));
    server.store().put("from", "large", Object::multipart(noise("large", 17 << 20), 8 << 20).tag("t", "1"));
    let daemon = Daemon::start("").await;
    let relayed = Task::new("relayed", (&server.endpoint(), "from"), (&destination.endpoint(), "to"));
    let relayed = relayed.with("source.requester_pays", true);
    relayed.start(&daemon).await;
    assert_eq!(relayed.succeeds(&daemon).await.counters.copied, 2);
    assert!(destination.store().all("to").values().all(|object| object.attributes.tags.len() == 1));
    // the store that pays is the source alone: what the destination is asked is not paid for by anyone
    let unpaid = Task::new("unpaid", (&server.endpoint(), "from"), (&destination.endpoint(), "to"));
    unpaid.start(&daemon).await;
    assert_eq!(unpaid.wait(&daemon).await.0, 1);
    ended_well(daemon).await;
}
