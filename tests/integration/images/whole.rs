//! Every kind of image arrives whole; what is there is not written again; tasks at the same time share blobs.

use std::collections::BTreeSet;

use dth_tests::{daemon::Daemon, docker_registry::Request, skopeo::Skopeo, task::ended_well};

use super::{catalogue, counts, named, registries, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_arrives_digest_for_digest_and_is_left_alone_afterwards() {
    let ((source, destination), skopeo) = (registries().await, Skopeo::prepare());
    let images = catalogue::all();
    catalogue::fill(&source, &skopeo, &images).await;
    let (all, attached) = (images.len() as u64, catalogue::attached(&images));
    let own = all - attached;
    let daemon = Daemon::start("").await;
    let copy = task("copy", &source, &destination);
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!(counts(&run), [all, own, 0, attached, 0], "{run:?}");
    assert_eq!(destination.repositories().await, catalogue::repositories(&images));
    catalogue::arrived(&destination, &skopeo, &images, str::to_owned).await;
    let items = copy.items(&daemon).await;
    assert_eq!(items.len() as u64, own);
    for image in images.iter().filter(|image| !image.tag.starts_with("sha256-")) {
        let key = format!("{}:{}", image.repository, image.tag);
        let item = items.iter().find(|item| item.key == key).unwrap_or_else(|| panic!("{key} has no record: {items:?}"));
        let digest = Some(image.manifest.digest());
        assert_eq!((item.outcome.as_str(), item.reason.as_deref(), item.verified.as_deref()), ("copied", Some("missing"), Some("digest")));
        assert_eq!((&item.source_etag, &item.destination_etag), (&digest, &digest), "{key}");
    }

    let (read, written) = (source.requests().await.len(), destination.requests().await.len());
    let run = copy.again(&daemon).await;
    assert_eq!(counts(&run), [all, 0, own, attached, 0], "{run:?}");
    assert_eq!(run.counters.bytes_copied, 0);
    let requests = [&source.requests().await[read..], &destination.requests().await[written..]].concat();
    assert!(!requests.is_empty() && !requests.iter().any(Request::is_write), "{requests:?}");
    assert!(!requests.iter().any(|request| request.target.contains("/blobs/")), "{requests:?}");

    // one tag moves, one is new: nothing else is touched
    let moved = &images.iter().find(|image| image.tag == "zstd").unwrap().manifest;
    source.push("kinds/single", &["latest", "v2"], moved).await;
    let written = destination.requests().await.len();
    let run = copy.again(&daemon).await;
    assert_eq!(counts(&run), [all + 1, 2, own - 1, attached, 0], "{run:?}");
    let requests = destination.requests().await;
    let elsewhere = |request: &&Request| request.is_write() && !request.target.starts_with("/v2/kinds/single/");
    assert_eq!(requests[written..].iter().find(elsewhere), None);
    for tag in ["latest", "v2"] {
        assert!(skopeo.raw(&destination.address(), "kinds/single", tag).await == moved.bytes);
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_at_the_same_time_send_a_blob_once() {
    let ((source, destination), skopeo) = (registries().await, Skopeo::prepare());
    let images = catalogue::all();
    catalogue::fill(&source, &skopeo, &images).await;
    let daemon = Daemon::start("").await;
    // both want the same repositories, under the same names
    let tasks = ["one", "two"].map(|name| task(name, &source, &destination));
    for task in &tasks {
        task.start(&daemon).await;
    }
    for task in &tasks {
        let run = task.succeeds(&daemon).await;
        assert_eq!(run.counters.listed, images.len() as u64, "{run:?}");
        counts(&run);
    }
    catalogue::arrived(&destination, &skopeo, &images, str::to_owned).await;
    let mut uploads: Vec<(String, String)> = Vec::new();
    for request in destination.requests().await {
        if let (true, Some((path, query))) = (request.method == "PUT" && request.status == 201, request.target.split_once('?')) {
            let digest = query.split('&').find_map(|field| field.strip_prefix("digest=")).unwrap_or_default();
            uploads.push((path.split("/blobs/").next().unwrap_or_default().to_owned(), digest.to_owned()));
        }
    }
    let different: BTreeSet<&(String, String)> = uploads.iter().collect();
    assert_eq!(different.len(), uploads.len(), "a blob was sent twice into the same repository: {uploads:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_other_repositories_have_is_mounted_and_not_sent() {
    let ((source, destination), skopeo) = (registries().await, Skopeo::prepare());
    let images: Vec<_> =
        catalogue::all().into_iter().filter(|image| ["kinds/single", "kinds/shared"].contains(&image.repository)).collect();
    catalogue::fill(&source, &skopeo, &images).await;
    let daemon = Daemon::start("").await;
    for (name, repository) in [("first", "kinds/single"), ("second", "kinds/shared")] {
        let task = named(task(name, &source, &destination), &[repository]);
        task.start(&daemon).await;
        task.succeeds(&daemon).await;
    }
    catalogue::arrived(&destination, &skopeo, &images, str::to_owned).await;
    let base = images[0].manifest.blobs[1].digest();
    let encoded = base.replace(':', "%3A");
    let requests = destination.requests().await;
    let mounted = requests.iter().any(|request| {
        let names = request.target.contains(&base) || request.target.contains(&encoded);
        request.method == "POST" && request.status == 201 && request.target.contains("mount=") && names
    });
    let got = source.requests().await.iter().filter(|request| request.method == "GET" && request.target.contains(&base)).count();
    assert!(mounted && got == 1, "{got} times read, destination: {requests:?}");
    ended_well(daemon).await;
}
