//! What answers say: of an object by the headers that are needed, of what was written by whoever has read it.

use dth_proto::time::Timestamp;
use http::HeaderMap;

use crate::s3::{
    metadata::{ObjectInfo, ObjectLock},
    object::ETag,
    verify::{Checksum, Crc, StoredChecksum},
};

/// What the store says about what it wrote, whether it was sent the bytes or has copied them: an object, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its ETag; empty when the store says nothing.
    pub etag: ETag,
    /// The ETag is not an MD5 because of encryption (SSE-KMS, DSSE, SSE-C).
    pub opaque_etag: bool,
    /// The checksum it has stored: what it computed, or was told and has compared.
    pub checksum: Option<Checksum>,
    /// The version that was made; only of objects, and only in versioned buckets.
    pub version: Option<String>,
}

/// The value of a header that is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A header that has no meaning as text, and would not be the same at the destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} is not UTF-8, so that it cannot be passed on: rewrite the object's metadata")]
pub(super) struct NotText(String);

/// What GET's headers say.
///
/// # Errors
/// [`NotText`] for metadata that is not UTF-8.
pub(super) fn info(headers: &HeaderMap) -> Result<ObjectInfo, NotText> {
    let mut info = ObjectInfo::default();
    let mut composite = false;
    let mut checksums: [Option<StoredChecksum>; 3] = [None; 3];
    for (name, value) in headers {
        let name = name.as_str();
        let text = || std::str::from_utf8(value.as_bytes()).map_err(|_| NotText(name.to_owned()));
        match name {
            "content-length" => info.size = text()?.parse().unwrap_or(0),
            "etag" => info.etag = ETag::new(text()?),
            "last-modified" => info.modified = httpdate::parse_http_date(text()?).map_or(Timestamp(0), Timestamp::from_system),
            "content-type" => join(&mut info.metadata.content_type, text()?),
            "cache-control" => join(&mut info.metadata.cache_control, text()?),
            "content-disposition" => join(&mut info.metadata.content_disposition, text()?),
            "content-encoding" => join(&mut info.metadata.content_encoding, text()?),
            "content-language" => join(&mut info.metadata.content_language, text()?),
            "expires" => join(&mut info.metadata.expires, text()?),
            _ => {
                let Some(name) = name.strip_prefix("x-amz-") else { continue };
                if let Some(name) = name.strip_prefix("meta-") {
                    let mut known = info.metadata.user.remove(name);
                    join(&mut known, text()?);
                    info.metadata.user.extend(known.map(|value| (name.to_owned(), value)));
                    continue;
                }
                let stored = |crc| Ok(StoredChecksum::parse(crc, text()?));
                match name {
                    "website-redirect-location" => info.metadata.redirect = Some(text()?.to_owned()),
                    "storage-class" => info.class = Some(text()?.to_owned()),
                    "tagging-count" => info.tags = text()?.parse().unwrap_or(0),
                    "checksum-crc64nvme" => checksums[0] = stored(Crc::Crc64Nvme)?,
                    "checksum-crc32c" => checksums[1] = stored(Crc::Crc32c)?,
                    "checksum-crc32" => checksums[2] = stored(Crc::Crc32)?,
                    "checksum-type" => composite = text()? == "COMPOSITE",
                    "server-side-encryption" => info.opaque_etag |= is_kms(text()?),
                    "server-side-encryption-customer-algorithm" => info.opaque_etag = true,
                    "mp-parts-count" => info.parts = text()?.parse().ok(),
                    "version-id" => info.version = Some(text()?.to_owned()),
                    _ => {}
                }
            }
        }
    }
    let lock = |name: &str| text(headers, name);
    info.lock =
        ObjectLock::of(lock("x-amz-object-lock-mode"), lock("x-amz-object-lock-retain-until-date"), lock("x-amz-object-lock-legal-hold"))
            .map(Box::new);
    // Without a type, a value that is one checksum is over the whole object.
    info.checksum = checksums.into_iter().flatten().next().filter(|_| !composite);
    Ok(info)
}

/// The ETag of an object encrypted so is no MD5 (SSE-KMS, DSSE-KMS).
fn is_kms(encryption: &str) -> bool {
    encryption.starts_with("aws:kms")
}

/// Whether an object is encrypted so that its ETag is no MD5 (AWS: `Object` in the S3 API reference).
pub(super) fn is_opaque(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-server-side-encryption").is_some_and(is_kms)
        || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
}

/// A header that comes several times is one list (RFC 9110, section 5.3).
fn join(known: &mut Option<String>, more: &str) {
    match known {
        Some(known) => {
            known.push_str(", ");
            known.push_str(more);
        }
        None => *known = Some(more.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn everything_that_belongs_to_an_object() {
        let info = info(&headers(&[
            ("content-length", b"42"),
            ("etag", b"\"abc\""),
            ("last-modified", b"Sun, 06 Nov 1994 08:49:37 GMT"),
            ("content-type", b"text/plain"),
            ("cache-control", b"no-transform"),
            ("cache-control", b"max-age=1"),
            ("expires", b"never"),
            ("x-amz-meta-a", "ü".as_bytes()),
            ("x-amz-meta-b", b"1"),
            ("x-amz-meta-b", b"2"),
            ("x-amz-website-redirect-location", b"/other"),
            ("x-amz-storage-class", b"GLACIER_IR"),
            ("x-amz-tagging-count", b"3"),
            ("x-amz-checksum-crc32", b"y/Q5Jg=="),
            ("x-amz-checksum-type", b"FULL_OBJECT"),
            ("x-amz-server-side-encryption", b"aws:kms:dsse"),
            ("x-amz-mp-parts-count", b"7"),
            ("x-amz-version-id", b"v"),
        ]))
        .expect("text");
        let m = &info.metadata;
        assert_eq!((info.size, info.etag.as_str(), info.modified), (42, "abc", Timestamp(784_111_777_000)));
        assert_eq!((m.content_type.as_deref(), m.cache_control.as_deref()), (Some("text/plain"), Some("no-transform, max-age=1")));
        assert_eq!((m.expires.as_deref(), m.redirect.as_deref()), (Some("never"), Some("/other")));
        assert_eq!(m.user.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["a=ü", "b=1, 2"]);
        assert_eq!((info.class.as_deref(), info.tags, info.parts, info.version.as_deref()), (Some("GLACIER_IR"), 3, Some(7), Some("v")));
        assert_eq!(info.checksum, Some(StoredChecksum { crc: Crc::Crc32, value: 0xcbf4_3926 }));
        assert!(info.opaque_etag);
    }

    #[test]
    fn checksums_of_parts_are_not_of_the_object() {
        let composite = [("x-amz-checksum-crc32", &b"y/Q5Jg=="[..]), ("x-amz-checksum-type", b"COMPOSITE")];
        assert_eq!(info(&headers(&composite)).expect("text").checksum, None);
        assert_eq!(info(&headers(&[("x-amz-checksum-crc32", b"y/Q5Jg==-2")])).expect("text").checksum, None);
        assert!(info(&headers(&composite[..1])).expect("text").checksum.is_some());
    }

    #[test]
    fn metadata_that_is_no_text_is_told() {
        let error = info(&headers(&[("x-amz-meta-name", b"caf\xe9")])).expect_err("Latin-1").to_string();
        assert!(error.contains("x-amz-meta-name is not UTF-8"), "{error}");
    }
}
