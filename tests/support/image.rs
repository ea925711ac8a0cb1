//! Container images made of bytes, as graphs: manifests of all kinds, the manifests they name, and their blobs.

mod folder;
mod layer;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use self::layer::Blob;

/// Media type of an OCI image's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a Docker image's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of a Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What is sent as `Accept` so that no registry converts anything.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// `sha256:` and 64 digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A manifest with everything beneath it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Media type.
    pub media_type: String,
    /// The manifest as it is stored.
    pub bytes: Bytes,
    /// Config and layers; those with [`Blob::urls`] are in no registry.
    pub blobs: Vec<Blob>,
    /// Manifests that an index names.
    pub children: Vec<Manifest>,
    /// What an index says of it besides type, digest and size.
    about: Value,
}

impl Manifest {
    fn new(media_type: &str, value: &Value, blobs: Vec<Blob>, children: Vec<Self>) -> Self {
        let bytes = Bytes::from(value.to_string());
        Self { media_type: media_type.to_owned(), bytes, blobs, children, about: json!({}) }
    }

    fn with_config(media_type: &str, config: Blob, layers: Vec<Blob>, more: Value) -> Self {
        let mut value = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        merge(&mut value, more);
        Self::new(media_type, &value, [vec![config], layers].concat(), Vec::new())
    }

    /// An OCI image for `linux` and this architecture.
    #[must_use]
    pub fn image(architecture: &str, layers: Vec<Blob>) -> Self {
        let config = config("application/vnd.oci.image.config.v1+json", architecture, &layers);
        Self::with_config(OCI_MANIFEST, config, layers, json!({})).about(json!({"platform": {"architecture": architecture, "os": "linux"}}))
    }

    /// The same in Docker's format; the layers take its media types.
    #[must_use]
    pub fn docker(architecture: &str, layers: Vec<Blob>) -> Self {
        let layers: Vec<Blob> = layers.into_iter().map(Blob::docker).collect();
        let config = config("application/vnd.docker.container.image.v1+json", architecture, &layers);
        let platform = json!({"platform": {"architecture": architecture, "os": "linux"}});
        Self::with_config(DOCKER_MANIFEST, config, layers, json!({})).about(platform)
    }

    /// BuildKit's statement about `subject`: an image for the platform unknown/unknown.
    #[must_use]
    pub fn attestation(subject: &Self) -> Self {
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"name": "image", "digest": subject.digest()}]});
        let layers = vec![Blob::new("application/vnd.in-toto+json", statement.to_string())];
        let config = config("application/vnd.oci.image.config.v1+json", "unknown", &layers);
        Self::with_config(OCI_MANIFEST, config, layers, json!({})).about(json!({
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.digest()},
        }))
    }

    /// An artifact of this type (OCI 1.1): the empty config, and `content` as its only layer. With a `subject` it refers to that.
    #[must_use]
    pub fn artifact(artifact_type: &str, content: &str, subject: Option<&Self>) -> Self {
        let mut more = json!({"artifactType": artifact_type});
        if let Some(subject) = subject {
            merge(&mut more, json!({"subject": subject.plain_descriptor()}));
        }
        let layers = vec![Blob::new(artifact_type, content.to_owned())];
        Self::with_config(OCI_MANIFEST, Blob::new("application/vnd.oci.empty.v1+json", "{}"), layers, more)
            .about(json!({"artifactType": artifact_type}))
    }

    /// A cosign signature of `subject`; it belongs under [`Manifest::signature_tag`].
    #[must_use]
    pub fn signature(subject: &Self) -> Self {
        let payload =
            json!({"critical": {"image": {"docker-manifest-digest": subject.digest()}, "type": "cosign container image signature"}});
        let mut layer = Blob::new("application/vnd.dev.cosign.simplesigning.v1+json", payload.to_string());
        layer.annotations = json!({"dev.cosignproject.cosign/signature": "MEUCIQD5"});
        let layers = vec![layer];
        let config = config("application/vnd.oci.image.config.v1+json", "", &layers);
        Self::with_config(OCI_MANIFEST, config, layers, json!({}))
    }

    /// An OCI index.
    #[must_use]
    pub fn index(children: Vec<Self>) -> Self {
        Self::list(OCI_INDEX, children)
    }

    /// A Docker manifest list.
    #[must_use]
    pub fn docker_list(children: Vec<Self>) -> Self {
        Self::list(DOCKER_LIST, children)
    }

    fn list(media_type: &str, children: Vec<Self>) -> Self {
        let manifests: Vec<Value> = children.iter().map(Self::descriptor).collect();
        Self::new(media_type, &json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}), Vec::new(), children)
    }

    fn about(self, about: Value) -> Self {
        Self { about, ..self }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The tag where cosign looks for signatures of this.
    #[must_use]
    pub fn signature_tag(&self) -> String {
        format!("{}.sig", self.referrers_tag())
    }

    /// The tag of the index of what refers to this, where a registry has no referrers API (distribution-spec, "Referrers Tag Schema").
    #[must_use]
    pub fn referrers_tag(&self) -> String {
        self.digest().replace(':', "-")
    }

    fn plain_descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len()})
    }

    fn descriptor(&self) -> Value {
        let mut value = self.plain_descriptor();
        merge(&mut value, self.about.clone());
        value
    }

    /// This manifest and all beneath it, children first.
    #[must_use]
    pub fn manifests(&self) -> Vec<&Self> {
        let mut all: Vec<&Self> = self.children.iter().flat_map(Self::manifests).collect();
        all.push(self);
        all
    }

    /// All blobs beneath it that a registry holds; one that comes twice is here twice.
    #[must_use]
    pub fn stored_blobs(&self) -> Vec<&Blob> {
        self.manifests().into_iter().flat_map(|manifest| &manifest.blobs).filter(|blob| blob.urls.is_empty()).collect()
    }
}

/// A config of an image with these layers.
fn config(media_type: &str, architecture: &str, layers: &[Blob]) -> Blob {
    let contents: Vec<&str> = layers.iter().map(|layer| layer.content_digest.as_str()).collect();
    let value = json!({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": contents}});
    Blob::new(media_type, value.to_string())
}

/// Puts the fields of one object into another.
fn merge(value: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_knows_what_it_holds() {
        let one = Manifest::image("amd64", vec![Blob::gzip(b"one"), Blob::foreign(b"away", "http://127.0.0.1:9/away")]);
        let two = Manifest::image("arm64", vec![Blob::zstd(b"two"), Blob::tar(b"three")]);
        let seal = Manifest::attestation(&one);
        let inner = Manifest::index(vec![one.clone(), two, seal]);
        let outer = Manifest::index(vec![inner.clone()]);
        assert_eq!(outer.manifests().len(), 5);
        assert_eq!(outer.manifests().last().map(|manifest| manifest.digest()), Some(outer.digest()));
        // configs and layers of three images, without the foreign layer
        assert_eq!(outer.stored_blobs().len(), 2 + 3 + 2);
        let value: Value = serde_json::from_slice(&inner.bytes).expect("json");
        assert_eq!(value["manifests"][0]["platform"]["architecture"], "amd64");
        assert_eq!(value["manifests"][0]["digest"], json!(one.digest()));
        assert_eq!(value["manifests"][2]["annotations"]["vnd.docker.reference.digest"], json!(one.digest()));
        let artifact = Manifest::artifact("application/x.sbom", "{}", Some(&one));
        let value: Value = serde_json::from_slice(&artifact.bytes).expect("json");
        assert_eq!((&value["subject"]["digest"], &value["artifactType"]), (&json!(one.digest()), &json!("application/x.sbom")));
        assert!(one.signature_tag().starts_with("sha256-") && one.signature_tag().ends_with(".sig"));
    }

    #[test]
    fn docker_images_have_docker_media_types() {
        let image = Manifest::docker("amd64", vec![Blob::gzip(b"x"), Blob::foreign(b"y", "http://127.0.0.1:9/y")]);
        let value: Value = serde_json::from_slice(&image.bytes).expect("json");
        assert_eq!(value["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
        assert_eq!(value["layers"][1]["mediaType"], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        assert_eq!(value["layers"][1]["urls"], json!(["http://127.0.0.1:9/y"]));
    }
}
