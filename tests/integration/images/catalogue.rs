//! One image of every kind that a registry may hold, and the proof that all of them arrived.

use std::collections::BTreeSet;

use dth_tests::{
    docker_registry::DockerRegistry,
    image::{Blob, Manifest},
    skopeo::Skopeo,
};

use crate::data::noise;

/// How an image gets into the source, and what skopeo can do with it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// skopeo pushes it, and pulls it whole.
    Skopeo,
    /// skopeo pushes it, and can read the manifest, but pulls no layers from elsewhere.
    SkopeoUpTo,
    /// skopeo does not take it: requests of our own.
    Requests,
}

/// An image with its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Repository.
    pub repository: &'static str,
    /// Tag.
    pub tag: String,
    /// What it points to.
    pub manifest: Manifest,
    /// See [`By`].
    pub by: By,
}

fn layer(seed: &str, len: usize) -> Blob {
    Blob::gzip(&noise(seed, len))
}

/// Every kind. The order is one in which they can be pushed: what an index names, and what something refers to, is there before it.
pub fn all() -> Vec<Named> {
    let mut all = Vec::new();
    let mut add = |repository, tag: &str, by, manifest: &Manifest| {
        all.push(Named { repository, tag: tag.to_owned(), manifest: manifest.clone(), by });
    };
    let base = layer("base", 700_000);
    let single = Manifest::docker("amd64", vec![base.clone(), layer("single", 90_000)]);
    add("kinds/single", "v1", By::Skopeo, &single);
    // two tags of one image, and an image of another repository with the same layers
    add("kinds/single", "latest", By::Skopeo, &single);
    add("kinds/shared", "v1", By::Skopeo, &Manifest::docker("amd64", vec![base.clone(), layer("shared", 10)]));
    let oci = |architecture: &str| Manifest::image(architecture, vec![base.clone(), layer(architecture, 50_000)]);
    let (amd64, arm64) = (oci("amd64"), oci("arm64"));
    add("kinds/multi", "v1", By::Skopeo, &Manifest::index(vec![amd64.clone(), arm64.clone()]));
    let docker = |architecture: &str| Manifest::docker(architecture, vec![base.clone(), layer(architecture, 40_000)]);
    add("kinds/multi", "docker", By::Skopeo, &Manifest::docker_list(vec![docker("amd64"), docker("s390x")]));
    let attested = Manifest::index(vec![amd64.clone(), Manifest::attestation(&amd64)]);
    add("kinds/multi", "attested", By::Skopeo, &attested);
    add("kinds/nested", "v1", By::Requests, &Manifest::index(vec![Manifest::index(vec![amd64.clone()]), arm64.clone()]));
    add("kinds/layers", "zstd", By::Skopeo, &Manifest::image("amd64", vec![Blob::zstd(&noise("zstd", 300_000))]));
    add("kinds/layers", "plain", By::Skopeo, &Manifest::image("amd64", vec![Blob::tar(&noise("tar", 20_480))]));
    // the layer of an image that only has settings: 1,024 zeros are an empty archive
    add("kinds/layers", "empty", By::Skopeo, &Manifest::docker("amd64", vec![Blob::gzip(&[0; 1_024])]));
    add("kinds/layers", "none", By::Skopeo, &Manifest::image("amd64", vec![Blob::new("application/vnd.oci.image.layer.v1.tar", "")]));
    let foreign = Blob::foreign(b"only elsewhere", "http://127.0.0.1:9/layer");
    add("kinds/layers", "foreign", By::SkopeoUpTo, &Manifest::docker("amd64", vec![foreign, layer("own", 1_000)]));
    add("kinds/artifact", "chart", By::Skopeo, &Manifest::artifact("application/vnd.cncf.helm.chart.v1", "chart", None));
    add("kinds/signed", "v1", By::Skopeo, &amd64);
    add("kinds/signed", &amd64.signature_tag(), By::Skopeo, &Manifest::signature(&amd64));
    let bill = Manifest::artifact("application/vnd.cyclonedx", "{\"bom\":1}", Some(&amd64));
    add("kinds/signed", &amd64.referrers_tag(), By::Requests, &Manifest::index(vec![bill]));
    all
}

/// How many of them are no images of their own, but tags for what refers to another.
pub fn attached(images: &[Named]) -> u64 {
    images.iter().filter(|image| image.tag.starts_with("sha256-")).count() as u64
}

/// Names of the repositories, sorted.
pub fn repositories(images: &[Named]) -> Vec<String> {
    let names: BTreeSet<String> = images.iter().map(|image| image.repository.to_owned()).collect();
    names.into_iter().collect()
}

/// Puts all of them into a registry.
pub async fn fill(registry: &DockerRegistry, skopeo: &Skopeo, images: &[Named]) {
    for image in images {
        match image.by {
            By::Skopeo | By::SkopeoUpTo => skopeo.push(&image.manifest, &registry.address(), image.repository, &image.tag).await,
            By::Requests => registry.push(image.repository, &[&image.tag], &image.manifest).await,
        }
    }
}

/// Demands that a registry has them under the names that `rename` gives to their repositories: every tag the same bytes (by skopeo), and
/// everything beneath it.
pub async fn arrived(registry: &DockerRegistry, skopeo: &Skopeo, images: &[Named], rename: impl Fn(&str) -> String) {
    for image in images {
        let repository = rename(image.repository);
        let name = format!("{repository}:{}", image.tag);
        let raw = skopeo.raw(&registry.address(), &repository, &image.tag).await;
        assert!(raw == image.manifest.bytes, "{name} is {}, not {}", dth_tests::image::digest(&raw), image.manifest.digest());
        whole(registry, &repository, &image.manifest).await;
        if image.by == By::Skopeo {
            let pulled = skopeo.pull(&registry.address(), &repository, &image.tag).await;
            assert!(pulled == image.manifest.bytes, "{name} has another digest when skopeo pulls it");
        }
    }
}

/// Demands that a repository has every manifest and every blob of an image.
pub async fn whole(registry: &DockerRegistry, repository: &str, image: &Manifest) {
    for manifest in image.manifests() {
        let found = registry.manifest(repository, &manifest.digest()).await;
        assert!(found.as_ref() == Some(&manifest.bytes), "{repository}@{} is missing or differs", manifest.digest());
    }
    for blob in image.stored_blobs() {
        assert!(registry.has_blob(repository, &blob.digest()).await, "{repository} lacks the blob {}", blob.digest());
    }
}
