//! What belongs to an object besides its bytes, and what of it goes to the destination.

use std::collections::BTreeMap;

use dth_proto::{
    spec::{Encryption, S3Destination, S3Options},
    time::Timestamp,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    object::{ETag, Entry},
    verify::StoredChecksum,
};

/// System and user metadata, as the store gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Expires, verbatim: stores keep values that are not dates.
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub redirect: Option<String>,
    /// `x-amz-meta-*`, without the prefix.
    pub user: BTreeMap<String, String>,
}

/// What HEAD or GET say about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bytes of the whole object; of the part, when a part was asked for.
    pub size: u64,
    /// Its generation.
    pub etag: ETag,
    /// Last-Modified; 1970 when the store says nothing.
    pub modified: Timestamp,
    /// See there.
    pub metadata: Metadata,
    /// Storage class; `None` is STANDARD.
    pub class: Option<String>,
    /// Number of tags.
    pub tags: u32,
    /// A stored checksum over the whole object.
    pub checksum: Option<StoredChecksum>,
    /// Encrypted in a way that makes the ETag something else than the MD5 (SSE-KMS, DSSE, SSE-C).
    pub opaque_etag: bool,
    /// Number of parts it was uploaded in; stores say so only when a part was asked for.
    pub parts: Option<u32>,
    /// Generation in a versioned bucket.
    pub version: Option<String>,
}

impl ObjectInfo {
    /// The object as a listing of the latest would show it.
    #[must_use]
    pub fn entry(self, key: String) -> Entry {
        Entry { key, size: self.size, etag: self.etag, modified: self.modified, class: self.class.unwrap_or_default(), version: None }
    }
}

/// What is sent along when an object is created; the same for PutObject and CreateMultipartUpload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// See there.
    pub metadata: Metadata,
    /// Tags as a query string (`x-amz-tagging`), when there are any.
    pub tagging: Option<String>,
    /// Storage class; `None`: not sent.
    pub class: Option<String>,
    /// Canned ACL; `None`: not sent.
    pub acl: Option<String>,
    /// Encryption; `None`: not sent.
    pub encryption: Option<Encryption>,
}

impl Creation {
    /// What the destination gets of a source object.
    #[must_use]
    pub fn of(source: &ObjectInfo, tags: &[(String, String)], destination: &S3Destination, options: &S3Options) -> Self {
        let metadata = if options.metadata { source.metadata.clone().for_destination() } else { Metadata::default() };
        let class = match destination.storage_class.as_deref() {
            Some("keep") => source.class.clone().filter(|c| !c.is_empty() && c != "STANDARD"),
            other => other.map(str::to_owned),
        };
        Self {
            metadata,
            tagging: (!tags.is_empty()).then(|| tagging(tags)),
            class,
            acl: destination.acl.clone(),
            encryption: destination.encryption.clone(),
        }
    }
}

impl Metadata {
    /// Without what belongs to the way the bytes were once uploaded: `aws-chunked` is a transfer coding that some stores keep.
    fn for_destination(mut self) -> Self {
        self.content_encoding = self.content_encoding.take().and_then(|value| {
            let kept: Vec<&str> =
                value.split(',').map(str::trim).filter(|c| !c.is_empty() && !c.eq_ignore_ascii_case("aws-chunked")).collect();
            (!kept.is_empty()).then(|| kept.join(", "))
        });
        self
    }
}

/// RFC 3986 unreserved characters stay as they are.
const TAG: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn tagging(tags: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, TAG).to_string();
    tags.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(class: &str, encoding: &str) -> ObjectInfo {
        ObjectInfo {
            size: 1,
            etag: ETag::new("x"),
            modified: Timestamp(0),
            metadata: Metadata { content_encoding: Some(encoding.into()), expires: Some("never".into()), ..Metadata::default() },
            class: (!class.is_empty()).then(|| class.into()),
            tags: 0,
            checksum: None,
            opaque_etag: false,
            parts: None,
            version: None,
        }
    }

    #[test]
    fn aws_chunked_is_taken_away() {
        for (found, expected) in [
            ("aws-chunked", None),
            ("gzip", Some("gzip")),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, AWS-CHUNKED, br", Some("gzip, br")),
            ("", None),
        ] {
            let creation = Creation::of(&source("", found), &[], &S3Destination::default(), &S3Options::default());
            assert_eq!(creation.metadata.content_encoding.as_deref(), expected, "{found:?}");
            assert_eq!(creation.metadata.expires.as_deref(), Some("never"));
        }
    }

    #[test]
    fn storage_classes() {
        for (asked, found, expected) in [
            (None, "GLACIER_IR", None),
            (Some("keep"), "GLACIER_IR", Some("GLACIER_IR")),
            (Some("keep"), "STANDARD", None),
            (Some("keep"), "", None),
            (Some("STANDARD_IA"), "GLACIER_IR", Some("STANDARD_IA")),
        ] {
            let destination = S3Destination { storage_class: asked.map(str::to_owned), ..S3Destination::default() };
            let creation = Creation::of(&source(found, ""), &[], &destination, &S3Options::default());
            assert_eq!(creation.class.as_deref(), expected, "{asked:?} {found}");
        }
    }

    #[test]
    fn tags_and_metadata_only_when_asked_for() {
        let tags = [("a b".to_owned(), "ü&=".to_owned()), ("k".to_owned(), String::new())];
        let without = S3Options { metadata: false, ..S3Options::default() };
        let creation = Creation::of(&source("", "gzip"), &tags, &S3Destination::default(), &without);
        assert_eq!(creation.metadata, Metadata::default());
        assert_eq!(creation.tagging.as_deref(), Some("a%20b=%C3%BC%26%3D&k="));
    }
}
