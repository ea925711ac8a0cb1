//! An object as a listing shows it.

use std::fmt;

use dth_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key: bytes to us, never a path. S3 keys are UTF-8.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: ETag,
    /// Last-Modified.
    pub modified: Timestamp,
    /// Storage class as the store spells it; empty when it says nothing.
    pub class: String,
    /// Which version it is; `None`: the latest, and no request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Which generation of an object a request is about. What is given must be right, or the store refuses; nothing given is the object as it
/// is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pin<'a> {
    /// `If-Match`.
    pub etag: Option<&'a ETag>,
    /// `versionId`.
    pub version: Option<&'a str>,
}

impl<'a> Pin<'a> {
    /// The latest version, as long as it is this generation.
    #[must_use]
    pub fn to(etag: &'a ETag) -> Self {
        Self { etag: Some(etag), version: None }
    }
}

impl Entry {
    /// The generation that was listed.
    #[must_use]
    pub fn pin(&self) -> Pin<'_> {
        Pin { etag: Some(&self.etag), version: self.version.as_deref() }
    }

    /// The version that was listed, whatever its ETag; without one, the object as it is now.
    #[must_use]
    pub fn version_pin(&self) -> Pin<'_> {
        Pin { etag: None, version: self.version.as_deref() }
    }
}

/// An entity tag, without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// Takes quotes and a weak mark away.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(bare(text).to_owned())
    }

    /// The tag without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag with quotes, as in `If-Match`.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// 32 hex digits: the form that is the MD5 of the content on most stores (not with SSE-C, SSE-KMS, or some providers).
    #[must_use]
    pub fn looks_like_md5(&self) -> bool {
        looks_like_md5(&self.0)
    }

    /// The N of a multipart ETag `md5-N`.
    #[must_use]
    pub fn parts(&self) -> Option<u32> {
        parts(&self.0)
    }
}

/// An entity tag without quotes and weak mark.
pub(super) fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("W/").unwrap_or(text).trim_matches('"')
}

/// See [`ETag::looks_like_md5`].
pub(super) fn looks_like_md5(etag: &str) -> bool {
    // all of them, whatever the first ones are: that is one step for many
    etag.len() == 32 && etag.bytes().fold(true, |hex, b| hex & b.is_ascii_hexdigit())
}

/// See [`ETag::parts`].
pub(super) fn parts(etag: &str) -> Option<u32> {
    let (digest, n) = etag.split_once('-')?;
    n.parse().ok().filter(|n| *n > 0 && looks_like_md5(digest))
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
