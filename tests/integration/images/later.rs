//! What refers to an image, and comes later than the image itself.

use dth_tests::{
    daemon::Daemon,
    registry::{Image, Server},
    task::{Task, ended_well},
};

use super::{counts, named};

/// Stores what refers to an image: by itself where the registry lists such, else with the index under the image's fallback tag.
fn attach(server: &Server, api: bool, subject: &Image, referrer: &Image) {
    server.store().push("app", None, referrer);
    if !api {
        server.store().push("app", Some(&subject.fallback_tag()), &Image::fallback(&[referrer]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_of_an_unchanged_image_follows_it() {
    let daemon = Daemon::start("").await;
    for (n, (api, one)) in [(true, false), (true, true), (false, false), (false, true)].into_iter().enumerate() {
        let start = async || Server::builder().referrers(api).start().await.unwrap();
        let (source, destination) = (start().await, start().await);
        let image = Image::new(1, &[5_000]);
        source.store().push("app", Some("v1"), &image);
        let task = Task::images(&format!("later-{n}"), &source.endpoint(), &destination.endpoint());
        let task = if one { named(task, &["app:v1"]) } else { named(task, &["app"]) };
        task.start(&daemon).await;
        task.succeeds(&daemon).await;

        let bill = Image::about(&image, 2, "application/spdx+json", 300);
        attach(&source, api, &image, &bill);
        let run = task.again(&daemon).await;
        assert_eq!((run.counters.copied, run.counters.failed), (1, 0), "{api} {one}: {run:?}");
        assert!(destination.store().manifests("app").contains(bill.digest()), "{api} {one}");
        // what refers to what refers to it
        let signature = Image::about(&bill, 3, "application/vnd.example.signature", 100);
        attach(&source, api, &bill, &signature);
        task.again(&daemon).await;
        assert!(destination.store().manifests("app").contains(signature.digest()), "{api} {one}");

        destination.reset_requests();
        let [_, copied, same, _, failed] = counts(&task.again(&daemon).await);
        assert_eq!((copied, same, failed, destination.requests().writes()), (0, 1, 0, 0), "{api} {one}: nothing is new");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_want_signatures_does_not_ask_for_them() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    let image = Image::new(1, &[5_000]);
    source.store().push("app", Some("v1"), &image);
    let daemon = Daemon::start("").await;
    let task = named(Task::images("bare", &source.endpoint(), &destination.endpoint()), &["app"]).with("options.referrers", false);
    task.start(&daemon).await;
    task.succeeds(&daemon).await;
    attach(&source, true, &image, &Image::about(&image, 2, "application/spdx+json", 300));
    source.reset_requests();
    assert_eq!(counts(&task.again(&daemon).await), [1, 0, 1, 0, 0]);
    assert_eq!(source.requests().total(), 2, "its tags, and the digest of one: {:?}", source.requests());
    ended_well(daemon).await;
}
