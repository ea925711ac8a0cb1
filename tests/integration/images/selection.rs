//! Which images are taken, and what they are called at the destination.

use dth_tests::{
    daemon::Daemon,
    docker_registry::DockerRegistry,
    image::{Blob, Manifest},
    skopeo::Skopeo,
    task::{Task, ended_well},
};
use toml::Value;

use super::{catalogue, counts, named, registries, task};

fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| Value::from(*text)).collect())
}

fn image(seed: &str) -> Manifest {
    Manifest::image("amd64", vec![Blob::gzip(&crate::data::noise(seed, 3_000))])
}

/// Three repositories with versions, and tags that are none.
async fn filled() -> (DockerRegistry, DockerRegistry) {
    let (source, destination) = registries().await;
    for tag in ["v1.0.0", "v1.1.0", "v1.2.0", "v1.10.0", "v2.0.0-rc1", "latest", "nightly-7"] {
        source.push("team/app", &[tag], &image(tag)).await;
    }
    source.push("team/lib", &["v1.0.0"], &image("lib")).await;
    source.push("other/tool", &["v9", "v10"], &image("tool")).await;
    (source, destination)
}

/// Runs a task; the names of what the destination has then: `repository:tag`.
async fn arrived(task: &Task, daemon: &Daemon, destination: &DockerRegistry, expected: [u64; 5]) -> Vec<String> {
    task.start(daemon).await;
    let run = task.succeeds(daemon).await;
    assert_eq!(counts(&run), expected, "{}: {run:?}", task.name());
    let mut names = Vec::new();
    for repository in destination.repositories().await {
        names.extend(destination.tags(&repository).await.into_iter().map(|tag| format!("{repository}:{tag}")));
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn globs_and_the_newest_under_another_name() {
    let (source, destination) = filled().await;
    let daemon = Daemon::start("").await;
    let task = task("globs", &source, &destination)
        .with("options.repositories", texts(&["team/*"]))
        .with("options.tags", texts(&["v*"]))
        .with("options.exclude_tags", texts(&["*-rc*"]))
        .with("options.newest", 2)
        .with("destination.strip_prefix", "team/")
        .with("destination.prefix", "mirror/");
    let names = arrived(&task, &daemon, &destination, [8, 3, 0, 5, 0]).await;
    assert_eq!(names, ["mirror/app:v1.10.0", "mirror/app:v1.2.0", "mirror/lib:v1.0.0"]);
    for (tag, seed) in [("v1.10.0", "v1.10.0"), ("v1.2.0", "v1.2.0")] {
        catalogue::whole(&destination, "mirror/app", &image(seed)).await;
        assert!(destination.manifest("mirror/app", tag).await == Some(image(seed).bytes));
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_and_regular_expressions() {
    let daemon = Daemon::start("").await;
    let (source, destination) = filled().await;
    let versions = named(task("versions", &source, &destination), &["team/app"]).with("options.semver", ">=1.1, <2");
    let names = arrived(&versions, &daemon, &destination, [7, 3, 0, 4, 0]).await;
    assert_eq!(names, ["team/app:v1.1.0", "team/app:v1.10.0", "team/app:v1.2.0"]);
    let (_, destination) = registries().await;
    let regex =
        named(task("regex", &source, &destination), &["team/app", "other/tool"]).with("options.tag_regex", "nightly-[0-9]+|v[0-9]+");
    let names = arrived(&regex, &daemon, &destination, [9, 3, 0, 6, 0]).await;
    assert_eq!(names, ["other/tool:v10", "other/tool:v9", "team/app:nightly-7"]);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_by_tag_and_by_digest() {
    let (source, destination) = filled().await;
    let daemon = Daemon::start("").await;
    let wanted = image("v1.1.0");
    let images = ["other/tool:v9", &format!("team/app@{}", wanted.digest())];
    let names = arrived(&named(task("named", &source, &destination), &images), &daemon, &destination, [2, 2, 0, 0, 0]).await;
    assert_eq!(names, ["other/tool:v9"]);
    catalogue::whole(&destination, "team/app", &wanted).await;
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_platform_of_several() {
    let (source, destination) = registries().await;
    let (amd64, arm64) = (image("one"), Manifest::image("arm64", vec![Blob::gzip(b"two")]));
    source.push("team/app", &["v1"], &Manifest::index(vec![amd64.clone(), arm64.clone()])).await;
    let daemon = Daemon::start("").await;
    let platform = task("platform", &source, &destination).with("options.platforms", texts(&["linux/arm64"]));
    assert_eq!(arrived(&platform, &daemon, &destination, [1, 1, 0, 0, 0]).await, ["team/app:v1"]);
    let index: serde_json::Value = serde_json::from_slice(&destination.manifest("team/app", "v1").await.unwrap()).unwrap();
    let children: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|child| child["digest"].as_str().unwrap()).collect();
    assert_eq!(children, [arm64.digest()]);
    catalogue::whole(&destination, "team/app", &arm64).await;
    assert!(destination.manifest("team/app", &amd64.digest()).await.is_none());
    // skopeo reads everything that is left, and checks its digests
    let pulled = Skopeo::prepare().pull(&destination.address(), "team/app", "v1").await;
    assert!(destination.manifest("team/app", "v1").await == Some(pulled));
    // what was written anew is known again
    let written = destination.requests().await.len();
    let run = platform.again(&daemon).await;
    assert_eq!(counts(&run), [1, 0, 1, 0, 0], "{run:?}");
    assert!(!destination.requests().await[written..].iter().any(dth_tests::docker_registry::Request::is_write));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refers_to_an_image_comes_with_it_unless_told_otherwise() {
    let ((source, destination), skopeo) = (registries().await, Skopeo::prepare());
    let images: Vec<_> = catalogue::all().into_iter().filter(|image| image.repository == "kinds/signed").collect();
    catalogue::fill(&source, &skopeo, &images).await;
    let daemon = Daemon::start("").await;
    let alone = named(task("alone", &source, &destination), &["kinds/signed:v1"]).with("options.referrers", false);
    assert_eq!(arrived(&alone, &daemon, &destination, [1, 1, 0, 0, 0]).await, ["kinds/signed:v1"]);
    let fresh = DockerRegistry::start().await;
    let with = named(task("with", &source, &fresh), &["kinds/signed:v1"]);
    assert_eq!(arrived(&with, &daemon, &fresh, [1, 1, 0, 0, 0]).await.len(), images.len());
    catalogue::arrived(&fresh, &skopeo, &images, str::to_owned).await;
    // the image is there already: what is missing of it is what was signed later
    let later = task("later", &source, &destination);
    later.start(&daemon).await;
    let run = later.succeeds(&daemon).await;
    assert_eq!(counts(&run), [3, 1, 0, 2, 0], "{run:?}");
    catalogue::arrived(&destination, &skopeo, &images, str::to_owned).await;
    ended_well(daemon).await;
}
