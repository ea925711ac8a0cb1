//! Indexes under the tag `sha256-<hex>`, for registries that do not tell what refers to a manifest (OCI distribution specification,
//! "Referrers Tag Schema").

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::image::manifest::{BadManifest, Content, Manifest, OCI_INDEX};

/// What such an index says of a manifest that refers to something.
pub(in crate::image) fn entry(manifest: &Manifest, content: &Content) -> Value {
    let mut entry = Map::new();
    entry.insert("mediaType".to_owned(), json!(manifest.media_type));
    entry.insert("digest".to_owned(), json!(manifest.digest.as_str()));
    entry.insert("size".to_owned(), json!(manifest.bytes.len()));
    // "if the artifactType is empty or missing in the image manifest, the value of artifactType MUST be set to the config descriptor mediaType value"
    let kind = content.artifact_type.as_ref().or(content.config.as_ref().map(|config| &config.media_type));
    if let Some(kind) = kind.filter(|_| !content.is_index || content.artifact_type.is_some()) {
        entry.insert("artifactType".to_owned(), json!(kind));
    }
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&manifest.bytes).ok();
    if let Some(annotations) = fields.and_then(|mut fields| fields.remove("annotations")).filter(Value::is_object) {
        entry.insert("annotations".to_owned(), annotations);
    }
    Value::Object(entry)
}

/// The index with these entries behind those that it has already; `None`: it has them all.
///
/// # Errors
/// When it would be too large.
pub(in crate::image) fn merged(index: Option<&Manifest>, entries: &[Value]) -> Result<Option<Manifest>, BadManifest> {
    let read = index.and_then(|index| serde_json::from_slice::<Map<String, Value>>(&index.bytes).ok());
    let mut fields = read.unwrap_or_else(|| {
        let fields = [("schemaVersion", json!(2)), ("mediaType", json!(OCI_INDEX))];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    });
    let mut all = match fields.remove("manifests") {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    let before = all.len();
    for entry in entries {
        if !all.iter().any(|known| known.get("digest") == entry.get("digest")) {
            all.push(entry.clone());
        }
    }
    if all.len() == before && index.is_some() {
        return Ok(None);
    }
    fields.insert("manifests".to_owned(), Value::Array(all));
    let bytes = serde_json::to_vec(&Value::Object(fields)).map_err(|e| BadManifest::Unreadable(e.to_string()))?;
    Manifest::new(Bytes::from(bytes), Some(OCI_INDEX)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::manifest::OCI_MANIFEST;

    fn signature(n: u32) -> Manifest {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/x.config","digest":"{EMPTY}","size":0}},"layers":[],"annotations":{{"n":"{n}"}}}}"#
        );
        Manifest::new(text.into(), Some(OCI_MANIFEST)).expect("a manifest")
    }

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_entry_tells_the_kind_of_artifact() {
        let manifest = signature(1);
        let found = entry(&manifest, &manifest.read().expect("readable"));
        assert_eq!(
            found,
            json!({
                "mediaType": OCI_MANIFEST, "digest": manifest.digest.as_str(), "size": manifest.bytes.len(),
                "artifactType": "application/x.config", "annotations": {"n": "1"},
            })
        );
    }

    #[test]
    fn entries_are_added_once_and_the_rest_stays() {
        let entries: Vec<Value> = (1..=2)
            .map(|n| {
                let manifest = signature(n);
                entry(&manifest, &manifest.read().expect("readable"))
            })
            .collect();
        let one = merged(None, &entries[..1]).expect("small").expect("new");
        assert_eq!(merged(Some(&one), &entries[..1]).expect("small"), None, "nothing to write");
        let two = merged(Some(&one), &entries).expect("small").expect("another one");
        let children: Vec<String> = two.read().expect("readable").children.iter().map(|child| child.digest.to_string()).collect();
        assert_eq!(children, [signature(1).digest.to_string(), signature(2).digest.to_string()]);
        assert_eq!(two.media_type, OCI_INDEX);
        assert_eq!(merged(None, &entries).expect("small").expect("new").digest, two.digest, "the same whoever writes it, and when");
        let annotated = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":null,"annotations":{{"k":"v"}}}}"#);
        let annotated = Manifest::new(annotated.into(), None).expect("an index");
        let more = merged(Some(&annotated), &entries).expect("small").expect("another one");
        assert!(String::from_utf8_lossy(&more.bytes).contains(r#""annotations":{"k":"v"}"#), "{more:?}");
    }
}
