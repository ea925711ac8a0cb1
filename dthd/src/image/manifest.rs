//! Manifests: the bytes as they are, and what they name.

mod content;
mod schema1;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::content::{Content, Descriptor};
use super::digest::Digest;

/// Largest manifest in bytes (ECR, `PutImage`: 4,194,304 characters; what other clients read as well).
pub const LARGEST: usize = 4 << 20;

/// An image (OCI image specification, "Image Manifest").
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An image for several platforms, or any list of manifests (OCI image specification, "Image Index").
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image for several platforms.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image before 2016, signed; its digest is that of what is signed.
pub const DOCKER_V1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// The same without signature.
pub const DOCKER_V1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// All of them, as `Accept` wants them. ECR converts manifests whose type is missing here, docker-registry denies them.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.docker.distribution.manifest.v1+json";

/// Types of answers that say nothing about what is in them.
const GENERIC: [&str; 5] = ["application/json", "application/octet-stream", "binary/octet-stream", "text/plain", "text/html"];

/// A manifest or an index, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As the registry sent it.
    pub bytes: Bytes,
    /// With which it must be stored: its own `mediaType`, else that of the answer it came with.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
}

/// Why some bytes are no manifest, or not one that can be copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// More than [`LARGEST`].
    #[error("the manifest has {0} bytes: registries take at most {LARGEST}")]
    TooLarge(usize),
    /// No JSON object, or one with a field twice, which clients would read in different ways.
    #[error("the manifest is no JSON object that can be read: {0}")]
    Unreadable(String),
    /// Neither it nor the answer with it says what it is, and nothing in it does.
    #[error("nothing says what kind of manifest it is: neither its mediaType, nor a Content-Type, nor its fields")]
    Unknown,
    /// It names something without saying what.
    #[error("{place} of the manifest names nothing that could be copied: {why}")]
    Descriptor {
        /// `layers[3]`.
        place: String,
        /// In words.
        why: String,
    },
    /// Only an index has children to choose from.
    #[error("a manifest of type {0} has no children to choose from")]
    NotIndex(String),
}

/// What decides about the kind of a manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind<'a> {
    #[serde(borrow, default)]
    schema_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    manifests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signatures: Option<&'a RawValue>,
}

impl Manifest {
    /// A manifest as it came with an answer of this `Content-Type`, by its sha256.
    ///
    /// # Errors
    /// When it is too large, no JSON object, or nobody says what it is.
    pub fn new(bytes: Bytes, content_type: Option<&str>) -> Result<Self, BadManifest> {
        if bytes.len() > LARGEST {
            return Err(BadManifest::TooLarge(bytes.len()));
        }
        let kind: Kind<'_> = read_object(text_of(&bytes)?)?;
        let media_type = media_type(&kind, content_type).ok_or(BadManifest::Unknown)?;
        let digest = Digest::sha256(&hashed(&bytes, &media_type));
        Ok(Self { bytes, media_type, digest })
    }

    /// The same by the digest that it was asked for, which may be of another algorithm; `None`: that is the digest of something else.
    #[must_use]
    pub fn by(self, digest: &Digest) -> Option<Self> {
        let is = *digest == self.digest || digest.is_of(&hashed(&self.bytes, &self.media_type)) || digest.is_of(&self.bytes);
        is.then(|| Self { digest: digest.clone(), ..self })
    }

    /// What it names.
    ///
    /// # Errors
    /// When it names something without a digest that is known here: such a manifest cannot be copied as a whole.
    pub fn read(&self) -> Result<Content, BadManifest> {
        Content::read(text_of(&self.bytes)?, &self.media_type)
    }

    /// The index with only those children that `keep` wants. Everything else stays as it is, byte for byte; the digest is another, unless
    /// all are kept.
    ///
    /// # Errors
    /// When this is no index, or one that [`Manifest::read`] cannot read.
    pub fn only(&self, keep: impl Fn(&Descriptor) -> bool) -> Result<Self, BadManifest> {
        let text = text_of(&self.bytes)?;
        let kind: Kind<'_> = read_object(text)?;
        let entries = kind.manifests.ok_or_else(|| BadManifest::NotIndex(self.media_type.clone()))?;
        let entries = content::entries(entries, "manifests")?;
        let mut kept = Vec::new();
        for (n, entry) in entries.iter().enumerate() {
            let child = content::descriptor(entry, || format!("manifests[{n}]"))?;
            if child.is_none_or(|child| child.is_blob() || keep(&child)) {
                kept.push(entry.get());
            }
        }
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(self.clone()) };
        if kept.len() == entries.len() {
            return Ok(self.clone());
        }
        // the entries are slices of the text
        let begin = |entry: &RawValue| entry.get().as_ptr() as usize - text.as_ptr() as usize;
        let end = |entry: &RawValue| begin(entry) + entry.get().len();
        let between = entries.get(1).map_or(",", |second| &text[end(first)..begin(second)]);
        let new = [&text[..begin(first)], &kept.join(between), &text[end(last)..]].concat();
        Self::new(new.into(), Some(&self.media_type))
    }
}

impl BadManifest {
    /// The code that registries have for it (OCI distribution specification, "Error Codes").
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "SIZE_INVALID",
            _ => "MANIFEST_INVALID",
        }
    }
}

/// What the digest is of.
fn hashed<'a>(bytes: &'a Bytes, media_type: &str) -> Cow<'a, [u8]> {
    let payload = if media_type == DOCKER_V1_SIGNED { schema1::payload(bytes) } else { None };
    payload.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

fn text_of(bytes: &[u8]) -> Result<&str, BadManifest> {
    std::str::from_utf8(bytes).map_err(|e| BadManifest::Unreadable(e.to_string()))
}

fn read_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadManifest> {
    // a struct could also be read from an array
    if !text.trim_start().starts_with('{') {
        return Err(BadManifest::Unreadable("it does not begin with {".to_owned()));
    }
    serde_json::from_str(text).map_err(|e| BadManifest::Unreadable(e.to_string()))
}

fn media_type(kind: &Kind<'_>, content_type: Option<&str>) -> Option<String> {
    if let Some(own) = content::word(kind.media_type) {
        return Some(own);
    }
    let announced = content_type.map(|text| text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase());
    if let Some(announced) = announced.filter(|text| !text.is_empty() && !GENERIC.contains(&text.as_str())) {
        // schema 1 is often announced without regard to its signature, which decides what its digest is of
        let signed = announced == DOCKER_V1 && kind.signatures.is_some();
        return Some(if signed { DOCKER_V1_SIGNED.to_owned() } else { announced });
    }
    let guess = match kind.schema_version.map(RawValue::get) {
        Some("1") if kind.signatures.is_some() => DOCKER_V1_SIGNED,
        Some("1") => DOCKER_V1,
        _ if kind.manifests.is_some() => OCI_INDEX,
        _ if kind.config.is_some() => OCI_MANIFEST,
        _ => return None,
    };
    Some(guess.to_owned())
}
