//! Images for tests: of every shape, of any size, always the same for the same seed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    blob::Blob,
    digest,
    graph::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST},
};

/// Media types that a manifest for one platform uses: its own, its config's, its layers'.
type Types = [&'static str; 3];

const OCI: Types = [OCI_MANIFEST, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"];
const DOCKER: Types =
    [DOCKER_MANIFEST, "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"];
/// The empty descriptor of artifacts (OCI image specification, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A manifest with everything it names, except its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    media_type: String,
    bytes: Bytes,
    digest: String,
    blobs: Vec<Blob>,
    children: Vec<Image>,
    platform: Option<String>,
}

impl Image {
    /// An OCI image for linux/amd64 with layers of these sizes.
    #[must_use]
    pub fn new(seed: u64, layers: &[u64]) -> Self {
        Self::of("linux/amd64", seed, &made(seed, layers))
    }

    /// An OCI image for one platform (`OS/ARCHITECTURE[/VARIANT]`) with these layers, which other images may have too.
    #[must_use]
    pub fn of(platform: &str, seed: u64, layers: &[Blob]) -> Self {
        Self::typed(OCI, platform, seed, layers)
    }

    /// The same in Docker's media types (image manifest version 2, schema 2).
    #[must_use]
    pub fn docker(platform: &str, seed: u64, layers: &[Blob]) -> Self {
        Self::typed(DOCKER, platform, seed, layers)
    }

    /// An OCI image for linux/amd64 with one layer that is not in the registry, only linked to, at `url` (OCI image specification,
    /// "Non-Distributable Layers").
    #[must_use]
    pub fn linked(seed: u64, layer: &Blob, url: &str) -> Self {
        let mut image = Self::of("linux/amd64", seed, std::slice::from_ref(layer));
        let mut manifest: Value = serde_json::from_slice(&image.bytes).unwrap_or_default();
        manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into();
        manifest["layers"][0]["urls"] = json!([url]);
        let config = image.blobs.split_off(1);
        Self { platform: image.platform, ..Self::from(OCI_MANIFEST, &manifest, config, Vec::new()) }
    }

    fn typed([own, config_type, layer_type]: Types, platform: &str, seed: u64, layers: &[Blob]) -> Self {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let diffs: Vec<&str> = layers.iter().map(Blob::digest).collect();
        let mut config = json!({
            "created": "2026-01-01T00:00:00Z", "os": os, "architecture": architecture,
            "config": {"Labels": {"seed": seed.to_string()}}, "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        if let Some(variant) = parts.next() {
            config["variant"] = variant.into();
        }
        let config = Blob::new(Bytes::from(config.to_string()));
        let named: Vec<Value> = layers.iter().map(|layer| descriptor(layer_type, layer.digest(), layer.len())).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": own,
            "config": descriptor(config_type, config.digest(), config.len()), "layers": named,
        });
        let blobs = layers.iter().cloned().chain([config]).collect();
        Self { platform: Some(platform.to_owned()), ..Self::from(own, &manifest, blobs, Vec::new()) }
    }

    fn from(media_type: &str, manifest: &Value, blobs: Vec<Blob>, children: Vec<Self>) -> Self {
        let bytes = Bytes::from(manifest.to_string());
        let digest = digest::sha256(&bytes.clone().into());
        Self { media_type: media_type.to_owned(), bytes, digest, blobs, children, platform: None }
    }

    /// An OCI index of these images or indexes.
    #[must_use]
    pub fn index(children: Vec<Self>) -> Self {
        Self::list(OCI_INDEX, children)
    }

    /// The same as Docker's manifest list.
    #[must_use]
    pub fn docker_list(children: Vec<Self>) -> Self {
        Self::list(DOCKER_LIST, children)
    }

    fn list(media_type: &str, children: Vec<Self>) -> Self {
        let manifests: Vec<Value> = children.iter().map(Self::descriptor).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        Self::from(media_type, &manifest, Vec::new(), children)
    }

    /// An OCI index with an image per platform, each with layers of these sizes of its own.
    #[must_use]
    pub fn multi(seed: u64, platforms: &[&str], layers: &[u64]) -> Self {
        let child = |(n, platform): (usize, &&str)| {
            let seed = seed.wrapping_mul(1_000).wrapping_add(n as u64);
            Self::of(platform, seed, &made(seed, layers))
        };
        Self::index(platforms.iter().enumerate().map(child).collect())
    }

    /// What buildx puts beside an image in an index: provenance, for the platform `unknown/unknown`, bound by annotations.
    #[must_use]
    pub fn attestation(of: &Self, seed: u64, bytes: u64) -> Self {
        let statement = Blob::made(seed, bytes);
        let mut config = Self::typed(OCI, "unknown/unknown", seed, std::slice::from_ref(&statement));
        let mut manifest: Value = serde_json::from_slice(&config.bytes).unwrap_or_default();
        manifest["layers"][0]["mediaType"] = "application/vnd.in-toto+json".into();
        manifest["annotations"] = json!({"vnd.docker.reference.digest": of.digest, "vnd.docker.reference.type": "attestation-manifest"});
        let blobs = std::mem::take(&mut config.blobs);
        Self { platform: config.platform, ..Self::from(OCI_MANIFEST, &manifest, blobs, Vec::new()) }
    }

    /// An artifact of this type with one layer, which belongs to nothing (a Helm chart, a WebAssembly module).
    #[must_use]
    pub fn artifact(seed: u64, artifact_type: &str, bytes: u64) -> Self {
        Self::bound(None, seed, artifact_type, bytes)
    }

    /// An artifact about a subject, as signatures and bills of material are: a referrer.
    #[must_use]
    pub fn about(subject: &Self, seed: u64, artifact_type: &str, bytes: u64) -> Self {
        Self::bound(Some(subject), seed, artifact_type, bytes)
    }

    fn bound(subject: Option<&Self>, seed: u64, artifact_type: &str, bytes: u64) -> Self {
        let (empty, layer) = (Blob::new(Bytes::from_static(b"{}")), Blob::made(seed, bytes));
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
            "config": descriptor(EMPTY, empty.digest(), empty.len()),
            "layers": [descriptor("application/octet-stream", layer.digest(), layer.len())],
            "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
        });
        if let Some(subject) = subject {
            manifest["subject"] = descriptor(&subject.media_type, &subject.digest, subject.bytes.len() as u64);
        }
        Self::from(OCI_MANIFEST, &manifest, vec![empty, layer], Vec::new())
    }

    /// The index that stands under the fallback tag of a subject where a registry has no referrers API; its tag is
    /// [`Image::fallback_tag`] of the subject. It names the referrers and does not contain them.
    #[must_use]
    pub fn fallback(referrers: &[&Self]) -> Self {
        let manifests: Vec<Value> = referrers.iter().map(|one| one.descriptor()).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        Self::from(OCI_INDEX, &manifest, Vec::new(), referrers.iter().map(|one| (*one).clone()).collect())
    }

    /// `sha256-…` (distribution specification, "Referrers Tag Schema").
    #[must_use]
    pub fn fallback_tag(&self) -> String {
        self.digest.replace(':', "-")
    }

    /// As others name it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let mut named = descriptor(&self.media_type, &self.digest, self.bytes.len() as u64);
        if let Some(platform) = &self.platform {
            let mut parts = platform.split('/');
            named["platform"] = json!({"os": parts.next(), "architecture": parts.next()});
            if let Some(variant) = parts.next() {
                named["platform"]["variant"] = variant.into();
            }
        }
        let manifest: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        for name in ["annotations", "artifactType"] {
            if let Some(value) = manifest.get(name) {
                named[name] = value.clone();
            }
        }
        named
    }

    /// `sha256:…` of the manifest.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Media type of the manifest.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The manifest.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Those below an index.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// Config and layers of it and of all below it, as often as they are named.
    #[must_use]
    pub fn blobs(&self) -> Vec<Blob> {
        self.manifests().into_iter().flat_map(|manifest| manifest.blobs.iter().cloned()).collect()
    }

    /// All manifests below it, then itself: the order in which a registry takes them.
    #[must_use]
    pub fn manifests(&self) -> Vec<&Self> {
        let mut all: Vec<&Self> = self.children.iter().flat_map(Self::manifests).collect();
        all.push(self);
        all
    }
}

/// Layers of these sizes.
#[must_use]
pub fn made(seed: u64, sizes: &[u64]) -> Vec<Blob> {
    sizes.iter().enumerate().map(|(n, size)| Blob::made(seed.wrapping_mul(64).wrapping_add(n as u64), *size)).collect()
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_what_they_say() {
        let image = Image::new(7, &[100, 0]);
        assert_eq!((image.blobs().len(), image.manifests().len()), (3, 1));
        assert_eq!(image, Image::new(7, &[100, 0]));
        assert_ne!(image.digest(), Image::new(8, &[100, 0]).digest());
        let nested = Image::index(vec![Image::multi(1, &["linux/amd64", "linux/arm/v7"], &[10]), image.clone()]);
        assert_eq!((nested.manifests().len(), nested.manifests()[4].digest()), (5, nested.digest()));
        assert_eq!(nested.children()[0].children()[1].descriptor()["platform"]["variant"], "v7");
        let attested = Image::attestation(&image, 9, 50);
        assert_eq!(attested.descriptor()["platform"]["os"], "unknown");
        assert_eq!(attested.descriptor()["annotations"]["vnd.docker.reference.digest"], image.digest());
        let signature = Image::about(&image, 3, "application/vnd.dev.cosign.artifact.sig.v1+json", 20);
        let manifest: Value = serde_json::from_slice(&signature.bytes()).expect("JSON");
        assert_eq!(manifest["subject"]["digest"], image.digest());
        assert_eq!(Image::fallback(&[&signature]).descriptor()["mediaType"], OCI_INDEX);
        assert_eq!(image.fallback_tag().len(), 7 + 64);
    }
}
