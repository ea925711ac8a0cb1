//! What belongs to an object besides its bytes, and what of it goes to the destination.

use std::collections::BTreeMap;

use dth_proto::{
    spec::{Encryption, S3Destination, S3Options},
    time::Timestamp,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    object::{ETag, Entry},
    provider::Profile,
    verify::{Algorithm, StoredChecksum},
};
use crate::clock;

/// The word for the source's storage class.
pub const KEEP: &str = "keep";
/// Encryption with a key that the store does not keep.
pub const SSE_C: &str = "SSE-C";

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

/// Object Lock of an object, as the store gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// `GOVERNANCE` or `COMPLIANCE`, and until when, in RFC 3339.
    pub retention: Option<(String, String)>,
    /// It stays until the hold is taken off.
    pub legal_hold: bool,
}

impl ObjectLock {
    /// From what the headers say; `None`: it is not locked.
    #[must_use]
    pub fn of(mode: Option<&str>, until: Option<&str>, hold: Option<&str>) -> Option<Self> {
        let retention = mode.zip(until).map(|(mode, until)| (mode.to_owned(), until.to_owned()));
        let legal_hold = hold.is_some_and(|hold| hold.eq_ignore_ascii_case("ON"));
        (retention.is_some() || legal_hold).then_some(Self { retention, legal_hold })
    }

    /// Without a retention that is over, which a store would refuse; `None`: nothing is left.
    fn at(&self, now: Timestamp) -> Option<Self> {
        let holds = |until: &str| until.parse::<Timestamp>().map_or(true, |until| until > now);
        let retention = self.retention.clone().filter(|(_, until)| holds(until));
        (retention.is_some() || self.legal_hold).then_some(Self { retention, legal_hold: self.legal_hold })
    }
}

/// What HEAD or GET say about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Object Lock; `None` also when the credential may not see it.
    pub lock: Option<Box<ObjectLock>>,
    /// All stored checksums as HEAD tells them, also those over parts (`…-N`); empty in the answer to a GET.
    pub checksums: Vec<(Algorithm, String)>,
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
    /// Encryption; `None`: not sent. A key of ours (SSE-C) is not here but with the bucket.
    pub encryption: Option<Encryption>,
    /// Retention and legal hold; `None`: not sent.
    pub lock: Option<ObjectLock>,
}

/// What a task asks of its copies, and the stores it is between.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Storage class, ACL and encryption.
    pub target: &'a S3Destination,
    /// What goes along.
    pub options: &'a S3Options,
    /// The source's store.
    pub from: &'a Profile,
    /// The destination's.
    pub to: &'a Profile,
}

impl Creation {
    /// What the destination gets of a source object. Takes what it needs of it: most objects are asked about for this alone.
    #[must_use]
    pub fn of(source: ObjectInfo, tags: &[(String, String)], wanted: Wanted<'_>) -> Self {
        let Wanted { target, options, from, to } = wanted;
        let mut metadata = if options.metadata { source.metadata.for_destination() } else { Metadata::default() };
        if let Some(name) = &options.mtime_metadata {
            // one that is there is older: of the file that the object was made of, or of the first object in a chain of copies
            metadata.user.entry(name.to_ascii_lowercase()).or_insert_with(|| (source.modified.0 / 1000).to_string());
        }
        let class = match target.storage_class.as_deref() {
            Some(KEEP) => kept_class(source.class.as_deref(), from, to),
            other => other.map(str::to_owned),
        };
        Self {
            metadata,
            tagging: (!tags.is_empty()).then(|| tagging(tags)),
            class,
            acl: target.acl.clone(),
            encryption: target.encryption.clone().filter(|encryption| encryption.kind != SSE_C),
            lock: source.lock.as_ref().filter(|_| options.object_lock).and_then(|lock| lock.at(clock::now())),
        }
    }
}

/// The class of a copy that keeps the source's; `None`: the destination's default, because that is what it has, or because the
/// destination has no such class.
fn kept_class(class: Option<&str>, from: &Profile, to: &Profile) -> Option<String> {
    let class = class.filter(|class| !class.is_empty() && *class != "STANDARD")?;
    if from.name == to.name { Some(class.to_owned()) } else { to.class_for(class).map(str::to_owned) }
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
    use crate::s3::provider;

    fn source(class: &str, encoding: &str) -> ObjectInfo {
        ObjectInfo {
            size: 1,
            etag: ETag::new("x"),
            metadata: Metadata { content_encoding: Some(encoding.into()), expires: Some("never".into()), ..Metadata::default() },
            class: (!class.is_empty()).then(|| class.into()),
            ..ObjectInfo::default()
        }
    }

    fn creation(source: &ObjectInfo, tags: &[(String, String)], target: &S3Destination, options: &S3Options) -> Creation {
        let [from, to] = ["aws", "aws"].map(|name| provider::find(name).expect("known"));
        Creation::of(source.clone(), tags, Wanted { target, options, from, to })
    }

    #[test]
    fn metadata_goes_along_without_being_copied() {
        let aws = provider::find("aws").expect("known");
        let (target, options) = (S3Destination::default(), S3Options::default());
        let source = source("", "gzip");
        let place = |metadata: &Metadata| metadata.expires.as_ref().map(|text| text.as_ptr());
        let before = place(&source.metadata);
        let creation = Creation::of(source, &[], Wanted { target: &target, options: &options, from: aws, to: aws });
        assert!(before.is_some() && place(&creation.metadata) == before);
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
            let creation = creation(&source("", found), &[], &S3Destination::default(), &S3Options::default());
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
            let creation = creation(&source(found, ""), &[], &destination, &S3Options::default());
            assert_eq!(creation.class.as_deref(), expected, "{asked:?} {found}");
        }
    }

    #[test]
    fn classes_of_other_stores() {
        let from = provider::find("aws").expect("known");
        let mut to = from.clone();
        to.name = "there".to_owned();
        to.storage_classes = vec!["NEARLINE".to_owned()];
        to.class_map = BTreeMap::from([("STANDARD_IA".to_owned(), "NEARLINE".to_owned())]);
        for (found, expected) in [("STANDARD_IA", Some("NEARLINE")), ("NEARLINE", Some("NEARLINE")), ("GLACIER", None)] {
            assert_eq!(kept_class(Some(found), from, &to).as_deref(), expected, "{found}");
        }
    }

    #[test]
    fn tags_and_metadata_only_when_asked_for() {
        let tags = [("a b".to_owned(), "ü&=".to_owned()), ("k".to_owned(), String::new())];
        let without = S3Options { metadata: false, ..S3Options::default() };
        let creation = creation(&source("", "gzip"), &tags, &S3Destination::default(), &without);
        assert_eq!(creation.metadata, Metadata::default());
        assert_eq!(creation.tagging.as_deref(), Some("a%20b=%C3%BC%26%3D&k="));
    }

    #[test]
    fn the_time_of_the_source_is_kept_once() {
        let options = S3Options { mtime_metadata: Some("Mtime".into()), metadata: false, ..S3Options::default() };
        let mut source = ObjectInfo { modified: Timestamp(1_700_000_000_999), ..source("", "") };
        let first = creation(&source, &[], &S3Destination::default(), &options).metadata;
        assert_eq!(first.user, BTreeMap::from([("mtime".to_owned(), "1700000000".to_owned())]));
        (source.metadata, source.modified) = (first.clone(), Timestamp(1_800_000_000_000));
        let again = creation(&source, &[], &S3Destination::default(), &S3Options { metadata: true, ..options });
        assert_eq!(again.metadata.user, first.user);
    }

    #[test]
    fn a_lock_goes_along_while_it_holds() {
        let lock = |until: &str, hold: &str| ObjectLock::of(Some("GOVERNANCE"), Some(until), Some(hold)).map(Box::new);
        let wanted = S3Options { object_lock: true, ..S3Options::default() };
        for (until, hold, options, expected) in [
            ("2999-01-01T00:00:00Z", "OFF", &wanted, Some((true, false))),
            ("2999-01-01T00:00:00.000Z", "ON", &wanted, Some((true, true))),
            ("2001-01-01T00:00:00Z", "ON", &wanted, Some((false, true))),
            ("2001-01-01T00:00:00Z", "OFF", &wanted, None),
            ("2999-01-01T00:00:00Z", "ON", &S3Options::default(), None),
        ] {
            let source = ObjectInfo { lock: lock(until, hold), ..source("", "") };
            let creation = creation(&source, &[], &S3Destination::default(), options);
            assert_eq!(creation.lock.map(|lock| (lock.retention.is_some(), lock.legal_hold)), expected, "{until} {hold}");
        }
        assert_eq!(ObjectLock::of(None, None, Some("OFF")), None);
    }

    #[test]
    fn a_key_of_ours_is_not_an_encryption_to_ask_for() {
        for (kind, sent) in [("AES256", true), ("aws:kms", true), (SSE_C, false)] {
            let encryption = Some(Encryption { kind: kind.to_owned(), key: None, bucket_key: None });
            let target = S3Destination { encryption, ..S3Destination::default() };
            assert_eq!(creation(&source("", ""), &[], &target, &S3Options::default()).encryption.is_some(), sent, "{kind}");
        }
    }
}
