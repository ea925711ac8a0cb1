//! docker-registry and skopeo come up and behave as the tests of images assume.

use dth_tests::{
    docker_registry::DockerRegistry,
    http,
    image::{Blob, Manifest},
    skopeo::Skopeo,
};
use hyper::Method;

use crate::images::catalogue;

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_takes_every_kind_of_image_and_says_what_it_was_asked() {
    let registry = DockerRegistry::start().await;
    let skopeo = Skopeo::prepare();
    let images = catalogue::all();
    catalogue::fill(&registry, &skopeo, &images).await;
    assert_eq!(registry.repositories().await, catalogue::repositories(&images));
    for image in &images {
        let raw = skopeo.raw(&registry.address(), image.repository, &image.tag).await;
        assert!(raw == image.manifest.bytes, "{}:{} is not what was pushed", image.repository, image.tag);
    }
    // it does not know the referrers API, which is why there are tags for them
    let target = format!("/v2/kinds/multi/referrers/{}", images[0].manifest.digest());
    let answer = http::send(&registry.address(), Method::GET, &target, &[], bytes::Bytes::new()).await.unwrap();
    assert_eq!(answer.status, 404);
    let before = registry.requests().await;
    assert!(before.iter().any(|request| request.is_write() && request.status == 201));
    registry.tags("kinds/multi").await;
    let after = registry.requests().await;
    assert_eq!(after[before.len()..].iter().map(|request| request.target.as_str()).collect::<Vec<_>>(), ["/v2/kinds/multi/tags/list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_can_be_listed_and_not_be_there() {
    let registry = DockerRegistry::start().await;
    registry.push("a/b", &["v1", "v2"], &Manifest::image("amd64", vec![Blob::gzip(b"x")])).await;
    registry.hollow("a/b", "v1");
    assert_eq!(registry.tags("a/b").await, ["v1", "v2"]);
    assert!(registry.manifest("a/b", "v1").await.is_none() && registry.manifest("a/b", "v2").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_password_wants_it() {
    let registry = DockerRegistry::with_password().await;
    let ask = async |password: Option<&str>| {
        let value = password.map(|password| crate::images::basic(dth_tests::docker_registry::USER, password));
        let headers: Vec<(&str, &str)> = value.iter().map(|value| ("authorization", value.as_str())).collect();
        http::send(&registry.address(), Method::GET, "/v2/", &headers, bytes::Bytes::new()).await.unwrap().status
    };
    assert_eq!((ask(None).await, ask(Some("wrong")).await, ask(Some(dth_tests::docker_registry::PASSWORD)).await), (401, 401, 200));
}
