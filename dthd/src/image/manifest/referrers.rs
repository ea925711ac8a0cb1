//! The index that clients keep of what refers to a manifest (OCI distribution specification, "Pushing Manifests with Subject").

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{BadManifest, Kind, Manifest, OCI_INDEX, content, read_object, text_of};

const EMPTY: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Annotated<'a> {
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
}

impl Manifest {
    /// The index with `referrers` in it as well, or a new one of them. What is in it already stays as it is; the digest is the same when
    /// nothing is added.
    ///
    /// # Errors
    /// When `index` is none, or a referrer cannot be read.
    pub fn with_referrers(index: Option<&Self>, referrers: &[Self]) -> Result<Self, BadManifest> {
        let (text, media_type) = match index {
            Some(index) => (text_of(&index.bytes)?, index.media_type.as_str()),
            None => (EMPTY, OCI_INDEX),
        };
        let kind: Kind<'_> = read_object(text)?;
        let list = kind.manifests.ok_or_else(|| BadManifest::NotIndex(media_type.to_owned()))?;
        let mut entries: Vec<String> = Vec::new();
        let mut listed = HashSet::new();
        for (n, entry) in content::entries(list, "manifests")?.into_iter().enumerate() {
            listed.extend(content::descriptor(entry, || format!("manifests[{n}]"))?.map(|known| known.digest));
            entries.push(entry.get().to_owned());
        }
        let before = entries.len();
        for referrer in referrers {
            if listed.insert(referrer.digest.clone()) {
                entries.push(entry_of(referrer)?);
            }
        }
        if let Some(index) = index.filter(|_| entries.len() == before) {
            return Ok(index.clone());
        }
        // the list is a slice of the text
        let begin = list.get().as_ptr() as usize - text.as_ptr() as usize;
        let new = format!("{}[{}]{}", &text[..begin], entries.join(","), &text[begin + list.get().len()..]);
        Self::new(new.into(), Some(media_type))
    }
}

/// As the specification wants it: with the manifest's own artifact type, else the type of its configuration, and its annotations.
fn entry_of(referrer: &Manifest) -> Result<String, BadManifest> {
    let content = referrer.read()?;
    let annotated: Annotated<'_> = read_object(text_of(&referrer.bytes)?)?;
    let entry = Entry {
        media_type: &referrer.media_type,
        size: referrer.bytes.len() as u64,
        digest: referrer.digest.as_str(),
        artifact_type: content.artifact_type.or_else(|| content.config.map(|config| config.media_type).filter(|kind| !kind.is_empty())),
        annotations: annotated.annotations.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default(),
    };
    serde_json::to_string(&entry).map_err(|e| BadManifest::Unreadable(e.to_string()))
}
