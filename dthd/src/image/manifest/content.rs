//! What a manifest names, whoever wrote it: fields may be null, missing, or of types that are not known.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BadManifest, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_V1, DOCKER_V1_SIGNED, OCI_INDEX, OCI_MANIFEST};
use crate::image::{digest::Digest, platform::Platform};

/// What schema 1 has for layers; it does not say so.
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// What is a blob also where it stands among an index's children: caches of `BuildKit` are such indexes.
const BLOBS: [&str; 5] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.oci.image.config.",
    "application/vnd.docker.container.image.",
    "application/vnd.buildkit.cacheconfig.",
];

/// What a manifest names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The manifests of an index, as often and in the order in which it names them.
    pub children: Vec<Descriptor>,
    /// An image's configuration.
    pub config: Option<Descriptor>,
    /// Layers, and all other blobs but the configuration; each once.
    pub layers: Vec<Descriptor>,
    /// What this refers to: the image that a signature is for. It need not exist.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it says it is.
    pub artifact_type: Option<String>,
    /// It is a list of other manifests.
    pub is_index: bool,
}

/// Some content that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is; empty where the manifest does not say.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes; 0 where the manifest does not say, see [`Descriptor::known_size`].
    pub size: u64,
    /// What it runs on, where an index says so.
    pub platform: Option<Platform>,
    /// What kind of artifact, where the descriptor says so.
    pub artifact_type: Option<String>,
    /// Where else it is (foreign layers).
    pub urls: Vec<String>,
}

impl Descriptor {
    /// Its size, where the manifest says it: schema 1 does not. Nothing but no content at all has size 0.
    #[must_use]
    pub fn known_size(&self) -> Option<u64> {
        (self.size > 0 || self.digest.is_of(b"")).then_some(self.size)
    }

    /// Whether it is a blob by its type, also among an index's children.
    #[must_use]
    pub fn is_blob(&self) -> bool {
        BLOBS.iter().any(|blob| self.media_type.starts_with(blob))
    }
}

/// The fields that name something; others do not matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    manifests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    layers: Option<&'a RawValue>,
    /// Of OCI's artifact manifests, which came before `artifactType`.
    #[serde(borrow, default)]
    blobs: Option<&'a RawValue>,
    /// Of schema 1.
    #[serde(borrow, default)]
    fs_layers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subject: Option<&'a RawValue>,
    #[serde(borrow, default)]
    artifact_type: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    digest: Option<&'a RawValue>,
    /// The digest in schema 1.
    #[serde(borrow, default)]
    blob_sum: Option<&'a RawValue>,
    #[serde(borrow, default)]
    size: Option<&'a RawValue>,
    #[serde(borrow, default)]
    platform: Option<&'a RawValue>,
    #[serde(borrow, default)]
    artifact_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    urls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct System<'a> {
    #[serde(borrow, default)]
    os: Option<&'a RawValue>,
    #[serde(borrow, default)]
    architecture: Option<&'a RawValue>,
    #[serde(borrow, default)]
    variant: Option<&'a RawValue>,
}

impl Content {
    /// What a manifest of this type names.
    pub(super) fn read(text: &str, media_type: &str) -> Result<Self, BadManifest> {
        let fields: Fields<'_> = super::read_object(text)?;
        let named = all(fields.manifests, "manifests")?;
        let (mut blobs, children): (Vec<_>, Vec<_>) = named.into_iter().partition(Descriptor::is_blob);
        for (list, name) in [(fields.layers, "layers"), (fields.blobs, "blobs"), (fields.fs_layers, "fsLayers")] {
            blobs.extend(all(list, name)?);
        }
        let mut seen = HashSet::new();
        blobs.retain(|blob| seen.insert(blob.digest.clone()));
        let is_index = match media_type {
            OCI_INDEX | DOCKER_LIST => true,
            OCI_MANIFEST | DOCKER_MANIFEST | DOCKER_V1 | DOCKER_V1_SIGNED => false,
            _ => fields.manifests.is_some(),
        };
        Ok(Self {
            children,
            config: one(fields.config, "config")?,
            layers: blobs,
            subject: one(fields.subject, "subject")?,
            artifact_type: word(fields.artifact_type),
            is_index,
        })
    }
}

/// Some text that is there and not empty.
pub(super) fn word(raw: Option<&RawValue>) -> Option<String> {
    read::<String>(raw?).filter(|text| !text.is_empty())
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

fn all(list: Option<&RawValue>, name: &str) -> Result<Vec<Descriptor>, BadManifest> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (n, entry) in entries(list, name)?.into_iter().enumerate() {
        found.extend(descriptor(entry, || format!("{name}[{n}]"))?);
    }
    Ok(found)
}

fn one(entry: Option<&RawValue>, name: &str) -> Result<Option<Descriptor>, BadManifest> {
    entry.map_or(Ok(None), |entry| descriptor(entry, || name.to_owned()))
}

/// The elements of a list, as slices of its text.
pub(super) fn entries<'a>(list: &'a RawValue, name: &str) -> Result<Vec<&'a RawValue>, BadManifest> {
    serde_json::from_str(list.get()).map_err(|_| BadManifest::Descriptor { place: name.to_owned(), why: "it is no list".to_owned() })
}

/// What an element names; `None`: it is null.
pub(super) fn descriptor(entry: &RawValue, place: impl Fn() -> String) -> Result<Option<Descriptor>, BadManifest> {
    if entry.get() == "null" {
        return Ok(None);
    }
    let bad = |why: String| BadManifest::Descriptor { place: place(), why };
    let fields: Entry<'_> = super::read_object(entry.get()).map_err(|e| bad(e.to_string()))?;
    let digest = word(fields.digest.or(fields.blob_sum)).ok_or_else(|| bad("it has no digest".to_owned()))?;
    let media_type = word(fields.media_type).or_else(|| fields.blob_sum.map(|_| LAYER.to_owned()));
    Ok(Some(Descriptor {
        media_type: media_type.unwrap_or_default(),
        digest: digest.parse().map_err(|why: crate::image::digest::BadDigest| bad(why.to_string()))?,
        size: fields.size.and_then(read).unwrap_or(0),
        platform: fields.platform.and_then(platform),
        artifact_type: word(fields.artifact_type),
        urls: fields.urls.and_then(read).unwrap_or_default(),
    }))
}

/// `None`: it says nothing.
fn platform(raw: &RawValue) -> Option<Platform> {
    let system: System<'_> = read(raw)?;
    let (os, architecture) = (word(system.os), word(system.architecture));
    if os.is_none() && architecture.is_none() {
        return None;
    }
    Some(Platform { os: os.unwrap_or_default(), architecture: architecture.unwrap_or_default(), variant: word(system.variant) })
}
