//! Blobs that are too large for one try, or for one connection; and those that are only linked to.

use std::time::{Duration, Instant};

use dth_tests::{
    daemon::Daemon,
    registry::{Action, Blob, Fault, Image, Keep, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

const MIB: u64 = 1 << 20;

/// A source with one image of one layer, and a registry that is not ECR.
async fn ends(seed: u64, size: u64) -> (Server, Server, Image) {
    let (source, destination) = (Server::start().await.unwrap(), Server::builder().keep(Keep::Digest).start().await.unwrap());
    let image = Image::new(seed, &[size]);
    source.store().push("app", Some("v1"), &image);
    (source, destination, image)
}

fn copy(source: &Server, destination: &Server) -> Task {
    Task::images("large", &source.endpoint(), &destination.endpoint())
}

/// Demands that the destination, which computes digests, has the image.
fn arrived(destination: &Server, image: &Image) {
    assert_eq!(destination.store().tags("app").get("v1").map(String::as_str), Some(image.digest()));
    for blob in image.blobs() {
        assert_eq!(destination.store().blob("app", blob.digest()).map(|there| there.len()), Some(blob.len()), "{}", blob.digest());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_layers_go_in_few_requests_and_a_broken_one_goes_on() {
    let (source, destination, image) = ends(1, 600 * MIB).await;
    destination.faults().add(Fault::new(Action::BreakUpload(40 * MIB)).on([Operation::PatchBlob]).first(2));
    let daemon = Daemon::start("").await;
    let task = copy(&source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    arrived(&destination, &image);
    let (from, to) = (source.requests(), destination.requests());
    // 40 and 40, then the rest in chunks of 64
    assert_eq!(to.of(Operation::PatchBlob), 2 + (600_u64 - 2 * 40).div_ceil(64), "{:?}", to.entries);
    let begun = to.count(|entry| entry.operation == Operation::StartUpload && entry.status == 202);
    assert_eq!(begun, 2, "one for the layer and one for the config: {:?}", to.entries);
    assert!(to.received() < 602 * MIB, "{} bytes were sent", to.received());
    // of each break, what was on its way to a connection that was gone
    assert!(from.sent() < 640 * MIB, "{} bytes were read", from.sent());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_goes_on_in_the_middle_of_a_layer() {
    let (source, destination, image) = ends(2, 400 * MIB).await;
    let mut daemon = Daemon::start("").await;
    // slow enough to be killed on the way
    source.set_bandwidth(Some(100 * MIB));
    let task = copy(&source, &destination);
    task.start(&daemon).await;
    for moment in [100 * MIB, 300 * MIB] {
        eventually("bytes", Duration::from_mins(2), || async { (destination.requests().received() > moment).then_some(()) }).await;
        daemon.kill();
        daemon.restart().await;
    }
    task.succeeds(&daemon).await;
    arrived(&destination, &image);
    let to = destination.requests();
    assert!(to.count(|entry| entry.operation == Operation::UploadStatus) >= 2, "{:?}", to.entries);
    assert!(to.received() < 402 * MIB, "{} bytes were sent", to.received());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_the_registry_has_lost_begins_anew() {
    let (source, destination, image) = ends(3, 100 * MIB).await;
    destination.faults().add(Fault::new(Action::BreakUpload(60 * MIB)).on([Operation::PatchBlob]).first(1));
    destination
        .faults()
        .add(Fault::new(Action::Answer(dth_tests::registry::refusal(404, "BLOB_UPLOAD_UNKNOWN"))).on([Operation::UploadStatus]));
    let daemon = Daemon::start("").await;
    let task = copy(&source, &destination);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    arrived(&destination, &image);
    let to = destination.requests();
    assert!((160 * MIB..162 * MIB).contains(&to.received()), "{} bytes were sent", to.received());
    ended_well(daemon).await;
}

/// Where each connection is slow, several bring more; where a source knows no ranges, or the destination is slower, one has to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_connections_are_helped_by_others() {
    const SIZE: u64 = 80 * MIB;
    for (slow, ranges) in [(true, true), (true, false), (false, true)] {
        let (source, destination, image) = ends(4, SIZE).await;
        if slow {
            source.faults().add(Fault::new(Action::Slow(6 * MIB)).on([Operation::GetBlob]));
        } else {
            destination.set_bandwidth(Some(20 * MIB));
        }
        if !ranges {
            source.faults().add(Fault::new(Action::IgnoreRange).on([Operation::GetBlob]));
        }
        let daemon = Daemon::start("").await;
        let task = copy(&source, &destination);
        let began = Instant::now();
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        arrived(&destination, &image);
        let asked = source.requests();
        let of_layer = asked.count(|entry| entry.operation == Operation::GetBlob && entry.reference == image.blobs()[0].digest());
        let at_once = asked.most_at_once(Operation::GetBlob);
        let case = format!("slow {slow}, ranges {ranges}: {of_layer} requests, {at_once} at once, {:?}: {run:?}", began.elapsed());
        match (slow, ranges) {
            (true, true) => assert!((3..=5).contains(&at_once) && of_layer > 4, "{case}"),
            // the one that found out, which was broken off
            (true, false) => assert!(of_layer <= 3 && asked.sent() < SIZE + 20 * MIB, "{case}"),
            _ => assert_eq!(of_layer, 1, "{case}"),
        }
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_that_are_only_linked_to_are_read_from_there() {
    let (source, elsewhere) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    let layer = Blob::made(5, 3 * MIB);
    elsewhere.store().add_blob("layers", layer.clone());
    let url = format!("{}/v2/layers/blobs/{}", elsewhere.endpoint(), layer.digest());
    let image = Image::linked(5, &layer, &url);
    source.store().push("app", Some("v1"), &image);
    for (foreign, there) in [(false, false), (true, true)] {
        let destination = Server::start().await.unwrap();
        // it breaks off on the way
        elsewhere.faults().add(Fault::new(Action::BreakDownload(MIB)).on([Operation::GetBlob]).first(1));
        let daemon = Daemon::start("").await;
        let task = copy(&source, &destination).with("options.foreign_layers", foreign);
        task.start(&daemon).await;
        task.succeeds(&daemon).await;
        assert_eq!(destination.store().tags("app")["v1"], image.digest());
        assert_eq!(destination.store().blob("app", layer.digest()).is_some(), there, "{foreign}");
        ended_well(daemon).await;
    }
    assert!(elsewhere.requests().of(Operation::GetBlob) >= 2, "{:?}", elsewhere.requests());

    // other bytes than the manifest says are never published
    let other = Blob::made(6, 3 * MIB);
    let wrong = format!("{}/v2/layers/blobs/{}", elsewhere.endpoint(), other.digest());
    elsewhere.store().add_blob("layers", other.clone());
    source.store().push("app", Some("v1"), &Image::linked(7, &layer, &wrong));
    let destination = Server::start().await.unwrap();
    let daemon = Daemon::start("").await;
    let task = copy(&source, &destination).with("options.foreign_layers", true);
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    let failures = task.failures(&daemon).await;
    assert_eq!((code, run.counters.failed), (1, 1), "{run:?}");
    assert!(failures.iter().any(|item| item.code == "DIGEST_MISMATCH" && item.message.contains(layer.digest())), "{failures:?}");
    assert!(destination.store().tags("app").is_empty());
    ended_well(daemon).await;
}
