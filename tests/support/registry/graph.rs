//! What a manifest names: blobs, other manifests, its subject. Read leniently, as registries do.

use serde_json::Value;

use super::refusal::Refusal;

/// Largest manifest, in bytes (distribution specification, "Pushing manifests"; ECR: 4,194,304 characters).
pub(super) const MAX_MANIFEST: u64 = 4 * 1024 * 1024;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// What a manifest names, by digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    /// Config and layers that the registry must have; those that are only linked to (`urls`) are not among them.
    pub blobs: Vec<String>,
    /// Manifests of an index.
    pub children: Vec<String>,
    pub subject: Option<String>,
    pub artifact_type: Option<String>,
    pub annotations: Option<Value>,
}

impl Graph {
    /// Reads a manifest.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| Refusal::manifest_invalid())?;
        if !value.is_object() {
            return Err(Refusal::manifest_invalid());
        }
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let digest = |descriptor: &Value| descriptor["digest"].as_str().map(str::to_owned);
        let linked = |layer: &Value| layer["urls"].as_array().is_some_and(|urls| !urls.is_empty());
        let layers = list("layers").into_iter().filter(|layer| !linked(layer));
        let mut blobs: Vec<String> = layers.chain([value["config"].clone()]).filter_map(|one| digest(&one)).collect();
        blobs.extend(list("fsLayers").iter().filter_map(|layer| layer["blobSum"].as_str().map(str::to_owned)));
        let config_type = value["config"]["mediaType"].as_str();
        Ok(Self {
            blobs,
            children: list("manifests").iter().filter_map(digest).collect(),
            subject: digest(&value["subject"]),
            artifact_type: value["artifactType"].as_str().or(config_type).map(str::to_owned),
            annotations: value.get("annotations").filter(|annotations| annotations.is_object()).cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn manifests_name_what_they_need() {
        let manifest = json!({
            "config": {"digest": "c", "mediaType": "x/y"},
            "layers": [{"digest": "l"}, {"digest": "far", "urls": ["https://example.com/l"]}, {"digest": "near", "urls": []}],
            "subject": {"digest": "s"}, "annotations": {"a": "b"}, "manifests": null,
        });
        let graph = Graph::read(manifest.to_string().as_bytes()).expect("a manifest");
        assert_eq!((graph.blobs, graph.children), (vec!["l".to_owned(), "near".into(), "c".into()], vec![]));
        assert_eq!((graph.subject.as_deref(), graph.artifact_type.as_deref()), (Some("s"), Some("x/y")));
        let index = Graph::read(br#"{"manifests":[{"digest":"m"},{"digest":"n"}],"artifactType":"t"}"#).expect("an index");
        assert_eq!((index.children, index.artifact_type.as_deref()), (vec!["m".to_owned(), "n".into()], Some("t")));
        for bad in ["", "[]", "{\"layers\":", "1"] {
            assert_eq!(Graph::read(bad.as_bytes()).expect_err("no manifest").code, "MANIFEST_INVALID", "{bad}");
        }
    }
}
