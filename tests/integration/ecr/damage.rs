//! Sources that give other bytes than their digests say: nothing of that is published, and the failure names what is wrong.

use dth_proto::{failure::Side, view::RunOutcome};
use dth_tests::{
    registry::{Action, Ecr, Fault, Image, Operation, Server},
    task::ended_well,
};

use super::{daemon, ecr, identical, into_ecr, layer};

/// What is wrong with an image, and what its failure must name.
fn damaged(source: &Server) -> Vec<(&'static str, Image, String)> {
    let manifests = [Operation::GetManifest, Operation::HeadManifest];
    let mut all = Vec::new();
    for (n, (name, size)) in [("small", 3_000), ("large", 3_000_000), ("manifest", 4_000), ("header", 5_000)].into_iter().enumerate() {
        let image = Image::new(n as u64, &[size]);
        source.store().push(name, Some("v1"), &image);
        let fault = match name {
            "manifest" => Fault::new(Action::Shorten(200)).on(manifests).repository(name),
            "header" => Fault::new(Action::Digest(format!("sha256:{}", "0".repeat(64)))).on(manifests).repository(name),
            _ => Fault::new(Action::FlipBit(1_234)).on([Operation::GetBlob]).reference(layer(&image).digest()),
        };
        source.faults().add(fault);
        let named = match name {
            "manifest" => name.to_owned(),
            "header" => format!("sha256:{}", "0".repeat(64)),
            _ => layer(&image).digest().to_owned(),
        };
        all.push((name, image, named));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_are_never_published() {
    for to_ecr in [true, false] {
        let source = Server::start().await.unwrap();
        let damaged = damaged(&source);
        source.store().push("good", Some("v1"), &Image::new(50, &[6_000]));
        let destination = if to_ecr { ecr(Ecr::default()).await } else { Server::start().await.unwrap() };
        let daemon = daemon().await;
        let task = into_ecr(&source, &destination);
        let task = if to_ecr { task } else { dth_tests::task::Task::images("images", &source.endpoint(), &destination.endpoint()) };
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
        assert_eq!((run.counters.copied, run.counters.failed), (1, 4), "{run:?} {:?}", task.failures(&daemon).await);
        let failures = task.failures(&daemon).await;
        for (name, image, named) in &damaged {
            let failure = failures.iter().find(|item| item.key.starts_with(&format!("{name}:")));
            let failure = failure.unwrap_or_else(|| panic!("{name} did not fail: {failures:?}"));
            assert_eq!(failure.side, Side::Source, "{failure:?}");
            assert!(failure.message.contains(named.as_str()), "{named}: {failure:?}");
            assert!(destination.store().tags(name).is_empty() && destination.store().manifests(name).is_empty(), "{name}");
            assert!(destination.store().blob(name, layer(image).digest()).is_none_or(|blob| blob == layer(image)), "{name}");
        }
        source.faults().clear();
        task.tell(&daemon, "retry", &[]).await;
        let run = task.succeeds(&daemon).await;
        assert_eq!(run.counters.copied, 4, "{run:?}");
        identical(&source, &destination);
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_digest_of_a_named_tag_is_told_as_what_it_is() {
    let source = Server::start().await.unwrap();
    source.store().push("app", Some("v1"), &Image::new(1, &[2_000]));
    source.faults().add(Fault::new(Action::Digest(format!("sha256:{}", "0".repeat(64)))).on([Operation::HeadManifest]));
    let destination = Server::start().await.unwrap();
    let daemon = daemon().await;
    let task = dth_tests::task::Task::images("named", &source.endpoint(), &destination.endpoint()).with("source.images", vec!["app:v1"]);
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.counters.failed), (1, 1), "{run:?}");
    let failures = task.failures(&daemon).await;
    let message = &failures[0].message;
    assert!(message.contains("app:v1") && message.contains("Docker-Content-Digest"), "{failures:?}");
    assert!(destination.store().tags("app").is_empty());
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_wrong_once_are_read_again() {
    let source = Server::start().await.unwrap();
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[2_000_000, 50]);
    source.store().push("app", Some("v1"), &image);
    let digest = layer(&image.children()[0]).digest().to_owned();
    source.faults().add(Fault::new(Action::FlipBit(1_999_999)).on([Operation::GetBlob]).reference(&digest).first(1));
    source.faults().add(Fault::new(Action::Shorten(100)).on([Operation::GetManifest]).first(1));
    let destination = ecr(Ecr::default()).await;
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 1, "{run:?}");
    identical(&source, &destination);
    ended_well(daemon).await;
}
