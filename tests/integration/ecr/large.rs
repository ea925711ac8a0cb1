//! Layers that are too large to begin anew when a token expires, an address runs out or an answer gets lost on the way.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use dth_tests::{
    daemon::Daemon,
    registry::{Action, Answer, Bearer, Ecr, Fault, Image, Keep, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

use super::{at, daemon, layer};

/// What must not begin anew.
const LARGE: u64 = 1 << 30;
/// Above what goes to ECR in one piece (256 MiB). In a debug build, base64 in JSON is what takes the time of these tests.
const LAYERED: u64 = 300 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_in_the_middle_of_a_layer_costs_nothing() {
    // each address of a blob is good for a moment only, as is what the connection brings of it
    let short = Ecr { blob_address_lifetime: Duration::from_secs(2), ..Ecr::default() };
    let source = Server::builder().ecr(short).start().await.unwrap();
    let image = Image::new(5, &[LARGE, 10_000]);
    source.store().push("app", Some("v1"), &image);
    let bearer = Bearer::default().user("me", "secret");
    let destination = Server::builder().bearer(bearer).keep(Keep::Digest).start().await.unwrap();
    let whole = layer(&image).digest().to_owned();
    let stored = |action: Action| Fault::new(action).on([Operation::GetStoredBlob]).reference(&whole);
    source.faults().add(stored(Action::BreakDownload(100 << 20)).first(8));
    source.faults().add(stored(Action::ExpireTokens).first(8));
    destination.faults().add(Fault::new(Action::ExpireTokens).on([Operation::PatchBlob]).nth(2));
    let mut daemon = Daemon::prepare();
    let (keys, password) = (daemon.credential("ecr", "key", "secret"), daemon.folder().join("password"));
    std::fs::write(&password, r#"{"username":"me","password":"secret"}"#).unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let credential =
        |name: &str, kind: &str, path: &Path| format!("[credentials.{name}]\ntype = \"{kind}\"\npath = {:?}\n", path.display().to_string());
    daemon.configure(&format!("{}{}", credential("ecr", "file", &keys), credential("me", "registry", &password)));
    daemon.restart().await;
    let task = at(Task::images("large", "ecr", &destination.endpoint()), "source", &source).with("destination.credential", "me");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1, "{run:?}");
    let blob = destination.store().blob("app", &whole).expect("the layer is there");
    assert_eq!((blob.len(), destination.store().tags("app")["v1"].as_str()), (LARGE, image.digest()));
    let (from, to) = (source.requests(), destination.requests());
    assert!(from.count(|entry| entry.operation == Operation::GetBlob && entry.status == 403) > 0, "{:?}", from.entries);
    // what was on its way when a connection broke is read again, and no more
    assert!(from.sent() < LARGE + LARGE / 10, "{} of {LARGE} bytes were read", from.sent());
    assert!(to.received() < LARGE + LARGE / 10, "{} of {LARGE} bytes were sent", to.received());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_chunk_is_all_that_is_sent_again() {
    const BROKEN: u64 = 30 << 20;
    let (source, destination) = (Server::start().await.unwrap(), Server::builder().keep(Keep::Digest).start().await.unwrap());
    let image = Image::new(6, &[LAYERED]);
    source.store().push("app", Some("v1"), &image);
    // the one behind the first
    destination.faults().add(Fault::new(Action::BreakUpload(BROKEN)).on([Operation::PatchBlob]).nth(2));
    let daemon = daemon().await;
    let task = Task::images("large", &source.endpoint(), &destination.endpoint());
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1, "{run:?}");
    let blob = destination.store().blob("app", layer(&image).digest()).expect("the layer is there");
    assert_eq!((blob.len(), destination.store().tags("app")["v1"].as_str()), (LAYERED, image.digest()));
    let (from, to) = (source.requests(), destination.requests());
    // one, a broken one, and the rest in chunks of 64 MiB from where it broke off
    assert_eq!(to.of(Operation::PatchBlob), 2 + (LAYERED - (64 << 20) - BROKEN).div_ceil(64 << 20), "{:?}", to.entries);
    assert!(from.sent() < LAYERED + LAYERED / 5, "{} of {LAYERED} bytes were read", from.sent());
    assert!(to.received() < LAYERED + LAYERED / 5, "{} of {LAYERED} bytes were sent", to.received());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_between_parts_costs_nothing() {
    // addresses of blobs are good for a moment only, as is what the connection brings of them
    let short = Ecr { blob_address_lifetime: Duration::from_secs(2), ..Ecr::default() };
    let source = Server::builder().ecr(short).start().await.unwrap();
    let image = Image::new(1, &[LAYERED, 10_000]);
    source.store().push("app", Some("v1"), &image);
    let destination = Server::builder().ecr(Ecr::default()).keep(Keep::Digest).start().await.unwrap();
    let whole = layer(&image).digest().to_owned();
    let stored = |action: Action| Fault::new(action).on([Operation::GetStoredBlob]).reference(&whole);
    // each break finds that the token has expired meanwhile
    source.faults().add(stored(Action::BreakDownload(20 << 20)).first(8));
    source.faults().add(stored(Action::ExpireTokens).first(8));
    // of the destination's answers some get lost, and its tokens expire as well
    for fault in [
        Fault::new(Action::ResetAfter).nth(7),
        Fault::new(Action::Reset).nth(11),
        Fault::new(Action::TooMany(None)).nth(13),
        Fault::new(Action::ExpireTokens).nth(15),
        Fault::new(Action::ResetAfter).nth(17),
    ] {
        destination.faults().add(fault.on([Operation::UploadLayerPart]));
    }
    let daemon = daemon().await;
    let task = at(at(Task::images("large", "ecr", "ecr"), "source", &source), "destination", &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1, "{run:?}");
    let blob = destination.store().blob("app", &whole).expect("the layer is there");
    assert_eq!((blob.len(), destination.store().tags("app")["v1"].as_str()), (LAYERED, image.digest()));

    let (from, to) = (source.requests(), destination.requests());
    assert!(from.count(|entry| entry.operation == Operation::GetBlob && entry.status == 403) > 0, "{:?}", from.entries);
    // what was on its way when a connection broke is read again, and no more
    assert!(from.sent() < LAYERED + LAYERED / 5, "{} of {LAYERED} bytes were read", from.sent());
    assert_eq!(to.of(Operation::InitiateLayerUpload), 1, "{:?}", to.entries);
    // in base64, three parts of 10 MiB twice
    assert!(to.received() < LAYERED / 3 * 4 + (60 << 20), "{} of {LAYERED} bytes were sent", to.received());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_stream_goes_on_in_parts() {
    const SIZE: u64 = 60 << 20;
    let source = Server::start().await.unwrap();
    let image = Image::new(2, &[SIZE]);
    source.store().push("app", Some("v1"), &image);
    let destination = Server::builder().ecr(Ecr::default()).start().await.unwrap();
    // the config is too small to be broken
    destination.faults().add(Fault::new(Action::BreakUpload(30 << 20)).on([Operation::PutBlob]).first(2));
    let daemon = daemon().await;
    let task = super::into_ecr(&source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    super::identical(&source, &destination);
    let requests = destination.requests();
    assert_eq!((requests.of(Operation::InitiateLayerUpload), requests.of(Operation::PatchBlob)), (1, 0), "{:?}", requests.entries);
    assert_eq!(requests.of(Operation::CompleteLayerUpload), 1);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_goes_on_behind_the_last_part() {
    let source = Server::start().await.unwrap();
    let image = Image::new(3, &[LAYERED]);
    source.store().push("app", Some("v1"), &image);
    let destination = Server::builder().ecr(Ecr::default()).keep(Keep::Digest).start().await.unwrap();
    let mut daemon = daemon().await;
    let task = super::into_ecr(&source, &destination);
    task.start(&daemon).await;
    for parts in [8, 16] {
        let arrived = || destination.requests().count(|entry| entry.operation == Operation::UploadLayerPart && entry.status == 200);
        eventually("parts", Duration::from_mins(2), || async { (arrived() >= parts).then_some(()) }).await;
        daemon.kill();
        daemon.restart().await;
    }
    task.succeeds(&daemon).await;
    let blob = destination.store().blob("app", layer(&image).digest()).expect("the layer is there");
    assert_eq!((blob.len(), destination.store().tags("app")["v1"].as_str()), (LAYERED, image.digest()));
    let (from, to) = (source.requests(), destination.requests());
    assert_eq!(to.of(Operation::InitiateLayerUpload), 1, "{:?}", to.entries);
    // in base64; of each kill the part that was on its way, and what had been read ahead of it
    assert!(to.received() < (LAYERED + 3 * (10 << 20)) / 3 * 4, "{} of {LAYERED} bytes were sent", to.received());
    assert!(from.sent() < LAYERED + 2 * (40 << 20), "{} of {LAYERED} bytes were read", from.sent());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_layers_are_not_taken_in_parts_they_go_as_a_whole() {
    let source = Server::start().await.unwrap();
    let image = Image::new(4, &[LAYERED]);
    source.store().push("app", Some("v1"), &image);
    let destination = Server::builder().ecr(Ecr::default()).keep(Keep::Digest).start().await.unwrap();
    // as moto answers, which is no ECR
    let unknown = Answer { body: "<html>NotImplementedError</html>".to_owned(), ..Answer::new(500) };
    destination.faults().add(Fault::new(Action::Answer(unknown)).on([Operation::InitiateLayerUpload]));
    let daemon = daemon().await;
    let task = super::into_ecr(&source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    assert_eq!(destination.store().tags("app")["v1"], image.digest());
    let requests = destination.requests();
    assert_eq!((requests.of(Operation::InitiateLayerUpload), requests.of(Operation::PatchBlob)), (1, 0), "{:?}", requests.entries);
    assert!(requests.received() < LAYERED + (1 << 20), "{}", requests.received());
    ended_well(daemon).await;
}
