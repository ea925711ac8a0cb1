//! Image tasks into and out of ECR, with everything that is peculiar to it.

mod conflicts;
mod damage;
mod large;

use std::collections::BTreeMap;

use dth_proto::view::RunView;
use dth_tests::{
    daemon::Daemon,
    registry::{Action, Attributes, Blob, Ecr, Fault, Image, Operation, RetryAfter, Server, made},
    task::{Task, ended_well},
};

const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// A daemon with keys for ECR's API.
async fn daemon() -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("ecr", "key", "secret");
    daemon.configure(&format!("[credentials.ecr]\ntype = \"file\"\npath = {:?}\n", keys.display().to_string()));
    daemon.restart().await;
    daemon
}

async fn ecr(settings: Ecr) -> Server {
    Server::builder().ecr(settings).start().await.unwrap()
}

/// One end of a task is this ECR.
fn at(task: Task, end: &str, server: &Server) -> Task {
    let defaults = Ecr::default();
    let values = [
        ("registry", "ecr".to_owned()),
        ("region", defaults.region),
        ("account", defaults.account),
        ("endpoint", server.endpoint()),
        ("registry_endpoint", server.endpoint()),
        ("credential", "ecr".to_owned()),
    ];
    values.into_iter().fold(task, |task, (key, value)| task.with(&format!("{end}.{key}"), value))
}

/// Everything of a registry into an ECR, with the credential `ecr`.
pub fn into_ecr(source: &Server, destination: &Server) -> Task {
    at(Task::images("images", &source.endpoint(), "ecr"), "destination", destination)
}

/// Listed, copied, same, failed, pending.
fn counts(run: &RunView) -> [u64; 5] {
    let counters = &run.counters;
    assert!(counters.balanced(), "{counters:?}");
    [counters.listed, counters.copied, counters.same, counters.failed, counters.pending]
}

/// Demands that the destination has every tag of the source, digest for digest, with all that hangs on it.
fn identical(source: &Server, destination: &Server) {
    for repository in source.store().repositories() {
        let tags = source.store().tags(&repository);
        assert_eq!(destination.store().tags(&repository), tags, "{repository}");
        for tag in tags.keys() {
            let verified = destination.store().verify(&repository, tag);
            assert_eq!(verified, source.store().verify(&repository, tag), "{repository}:{tag}");
            assert!(verified.is_ok(), "{repository}:{tag}: {verified:?}");
        }
    }
}

/// Images of every shape in two repositories that share layers; answers with how many tags there are.
fn catalogue(source: &Server) -> u64 {
    let store = source.store();
    let base = made(1, &[3 << 20, 200_000]);
    let app = Image::of("linux/amd64", 1, &base);
    let multi = Image::index(vec![app.clone(), Image::of("linux/arm64", 2, &made(2, &[500_000]))]);
    let attested = Image::index(vec![app.clone(), Image::attestation(&app, 3, 4_000)]);
    let nested = Image::index(vec![multi.clone(), Image::of("windows/amd64", 4, &made(4, &[70_000, 0]))]);
    let docker = Image::docker("linux/amd64", 5, &base);
    let list = Image::docker_list(vec![docker.clone(), Image::docker("linux/arm/v7", 6, &made(6, &[1_000]))]);
    let chart = Image::artifact(7, "application/vnd.cncf.helm.config.v1+json", 9_000);
    for (repository, tag, image) in [
        ("team/app", "v1", &app),
        ("team/app", "latest", &app),
        ("team/app", "multi", &multi),
        ("team/app", "attested", &attested),
        ("team/app", "nested", &nested),
        ("team/lib", "docker", &docker),
        ("team/lib", "list", &list),
        ("team/lib", "chart", &chart),
        ("team/lib", "shared", &multi),
    ] {
        store.push(repository, Some(tag), image);
    }
    9
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_quirk_is_survived() {
    let source = Server::start().await.unwrap();
    let tags = catalogue(&source);
    let signature = Image::about(&source_image(&source, "multi"), 8, SIGNATURE, 300);
    source.store().push("team/app", None, &signature);
    let destination = ecr(Ecr { blob_mounting: true, ..Ecr::default() }).await;
    let expired = expiring(&destination, 40);
    for fault in [
        Fault::new(Action::TooMany(None)).every(11),
        Fault::unavailable().every(13),
        Fault::new(Action::ResetAfter).every(17),
        Fault::new(Action::BreakUpload(50_000)).on([Operation::PutBlob]).every(4),
        // of blobs that several images share
        Fault::new(Action::Vanish).on([Operation::PutManifest]).nth(3),
    ] {
        destination.faults().add(fault);
    }
    for fault in [
        Fault::new(Action::TooMany(Some(RetryAfter::Seconds(1)))).nth(5),
        Fault::new(Action::TooMany(Some(RetryAfter::Date(1)))).nth(9),
        Fault::unavailable().share(2, 15),
        Fault::new(Action::BreakDownload(60_000)).on([Operation::GetBlob]).every(3),
        Fault::new(Action::Length(50_000)).on([Operation::GetBlob]).nth(4),
    ] {
        source.faults().add(fault);
    }
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(counts(&run), [tags, tags, 0, 0, 0], "{run:?}");
    identical(&source, &destination);
    assert!(destination.store().verify("team/app", signature.digest()).is_ok(), "the signature is missing");
    let requests = destination.requests();
    assert_eq!(requests.of(Operation::PatchBlob), 0, "ECR loses chunks");
    assert!(expired() && requests.count(|entry| entry.status == 403) > 0, "tokens did not expire: {requests:?}");

    // nothing has changed: nothing is written, and nothing is asked for image by image
    destination.faults().clear();
    source.faults().clear();
    destination.reset_requests();
    let run = task.again(&daemon).await;
    assert_eq!(counts(&run), [tags, 0, tags, 0, 0]);
    let requests = destination.requests();
    assert_eq!(requests.writes(), 0, "{requests:?}");
    ended_well(daemon).await;
}

/// All tokens that a server has given out expire with its `n`th request, in the middle of many; answers whether they have. Once: a request
/// that finds its new token expired as well is right to give up.
fn expiring(server: &Server, n: u64) -> impl Fn() -> bool {
    let fault = server.faults().add(Fault::new(Action::ExpireTokens).nth(n));
    move || server.faults().struck(fault) == 1
}

fn source_image(source: &Server, tag: &str) -> Image {
    // the catalogue is the same for the same seeds
    let app = Image::of("linux/amd64", 1, &made(1, &[3 << 20, 200_000]));
    let image = Image::index(vec![app, Image::of("linux/arm64", 2, &made(2, &[500_000]))]);
    assert_eq!(source.store().tags("team/app")[tag], image.digest());
    image
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_that_vanish_before_their_manifest_comes_are_sent_again() {
    let source = Server::start().await.unwrap();
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[300_000, 20_000]);
    source.store().push("app", Some("v1"), &image);
    let destination = ecr(Ecr::default()).await;
    // there are layers already, of which ECR tells before it takes them away
    image.blobs().into_iter().take(2).for_each(|blob| destination.store().add_blob("app", blob));
    let vanish = |operation| destination.faults().add(Fault::new(Action::Vanish).on([operation]).first(1));
    let vanished = vanish(Operation::BatchCheckLayerAvailability);
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(counts(&run), [1, 1, 0, 0, 0], "{run:?}");
    assert_eq!(destination.faults().struck(vanished), 1);
    identical(&source, &destination);

    let other = Image::new(2, &[400_000]);
    source.store().push("app", Some("v2"), &other);
    let vanished = vanish(Operation::PutManifest);
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.copied, destination.faults().struck(vanished)), (1, 1), "{run:?}");
    identical(&source, &destination);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_ecr_to_ecr_digests_are_kept_and_lists_are_enough() {
    let source = ecr(Ecr::default()).await;
    let expired = expiring(&source, 20);
    let tags = catalogue(&source);
    let destination = ecr(Ecr::default()).await;
    let daemon = daemon().await;
    let task = at(into_ecr(&source, &destination), "source", &source);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    // what has no tag of its own is listed too, and not selected
    let untagged = run.counters.skipped;
    assert_eq!(counts(&run), [tags + untagged, tags, 0, 0, 0], "{run:?}");
    assert!(expired(), "tokens did not expire: {:?}", source.requests());
    identical(&source, &destination);
    for server in [&source, &destination] {
        server.reset_requests();
    }
    let run = task.again(&daemon).await;
    assert_eq!(counts(&run), [tags + untagged, 0, tags, 0, 0], "{run:?}");
    assert_eq!(destination.requests().writes(), 0);
    for server in [&source, &destination] {
        let by_image = server.requests().count(|entry| [Operation::HeadManifest, Operation::HeadBlob].contains(&entry.operation));
        assert_eq!(by_image, 0, "{:?}", server.requests());
    }

    // without a tag nobody asks for it, unless the task says so
    source.store().push("team/app", None, &Image::new(99, &[5_000]));
    let run = task.again(&daemon).await;
    assert_eq!(run.counters.copied, 0, "{run:?}");
    let all = at(at(Task::images("all", "ecr", "ecr"), "source", &source), "destination", &destination).with("options.untagged", true);
    all.start(&daemon).await;
    all.succeeds(&daemon).await;
    assert_eq!(destination.store().manifests("team/app"), source.store().manifests("team/app"));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_manifests_a_second_are_enough_for_all() {
    let source = Server::start().await.unwrap();
    let base = made(1, &[40_000]);
    for n in 0..60 {
        source.store().push("app", Some(&format!("v{n}")), &Image::of("linux/amd64", n, &base));
    }
    let destination = ecr(Ecr::default()).await;
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(counts(&run), [60, 60, 0, 0, 0], "{run:?}");
    identical(&source, &destination);
    let requests = destination.requests();
    let refused = requests.count(|entry| entry.operation == Operation::PutManifest && entry.status == 429);
    assert_eq!(requests.of(Operation::PutManifest) - refused, 60);
    assert!(refused <= 6, "{refused} of {} were too many", requests.of(Operation::PutManifest));
    // the shared layer went once
    assert_eq!(requests.entries.iter().filter(|entry| entry.received >= 40_000).count(), 1);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_layers_are_mounted_where_the_account_allows_it() {
    for blob_mounting in [true, false] {
        let source = Server::start().await.unwrap();
        let base = made(1, &[2_000_000]);
        for n in 0..4 {
            source.store().push(&format!("team/{n}"), Some("v1"), &Image::of("linux/amd64", n, &base));
        }
        let destination = ecr(Ecr { blob_mounting, ..Ecr::default() }).await;
        let daemon = daemon().await;
        let task = into_ecr(&source, &destination);
        task.start(&daemon).await;
        task.succeeds(&daemon).await;
        identical(&source, &destination);
        let requests = destination.requests();
        let mounted = requests.count(|entry| entry.operation == Operation::MountBlob && entry.status == 201);
        let sent = requests.entries.iter().filter(|entry| entry.received >= 2_000_000).count() as u64;
        assert_eq!(mounted + sent, 4, "{requests:?}");
        assert_eq!(mounted > 0, blob_mounting, "{mounted} mounted");
        assert!(blob_mounting || requests.of(Operation::MountBlob) == 0);
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_repositories_are_created_or_left_to_ecr_or_told() {
    let image = Image::new(1, &[3_000]);
    for (create, created) in [("yes", true), ("on-push", true), ("never", false)] {
        let source = Server::start().await.unwrap();
        source.store().push("team/app", Some("v1"), &image);
        let destination = ecr(Ecr { create_on_push: create == "on-push", ..Ecr::default() }).await;
        let daemon = daemon().await;
        let task = into_ecr(&source, &destination).with("destination.create", create).with("destination.prefix", "mirror/");
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        assert_eq!((code, run.counters.copied), if created { (0, 1) } else { (1, 0) }, "{create}: {run:?}");
        let there = destination.store().tags("mirror/team/app");
        assert_eq!(there, if created { BTreeMap::from([("v1".to_owned(), image.digest().to_owned())]) } else { BTreeMap::new() });
        assert_eq!(destination.requests().of(Operation::CreateRepository), u64::from(create == "yes"), "{create}");
        if !created {
            let failures = task.failures(&daemon).await;
            assert!(failures.iter().any(|item| item.key == "team/app:v1" && item.message.contains("mirror/team/app")), "{failures:?}");
        }
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_repositories_come_along() {
    let source = ecr(Ecr::default()).await;
    let attributes = Attributes {
        scan_on_push: true,
        lifecycle_policy: Some("{\"rules\":[]}".to_owned()),
        policy: Some("{\"Version\":\"2012-10-17\",\"Statement\":[]}".to_owned()),
        tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        ..Attributes::immutable()
    };
    source.store().create_repository("app", attributes.clone());
    source.store().push("app", Some("v1"), &Image::new(1, &[10]));
    let destination = ecr(Ecr::default()).await;
    let daemon = daemon().await;
    let task = at(into_ecr(&source, &destination), "source", &source).with("destination.copy_settings", true);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    identical(&source, &destination);
    assert_eq!(destination.store().attributes("app"), Some(attributes));
    ended_well(daemon).await;
}

/// The layer of an image with one.
fn layer(image: &Image) -> Blob {
    image.blobs()[0].clone()
}
