//! PutObject and UploadPart.

use http::{HeaderName, HeaderValue, Method, header};
use hyper::body::Body;

use super::{
    answer::{is_kms, text},
    encode,
    refusal::{Refusal, is_error},
    request::{Call, Hash, value},
    send::{Failure, Wire, read},
    sign::Header,
};
use crate::s3::{
    metadata::Creation,
    object::ETag,
    payload::Payload,
    verify::{Crc, Md5Sum, StoredChecksum},
};

const MD5: HeaderName = HeaderName::from_static("content-md5");
/// Answers to PUT have no body; what comes anyway is read up to here.
const ANSWER: usize = 64 * 1024;

/// Where the bytes go.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) enum Part<'a> {
    /// They are an object.
    Whole(&'a Creation),
    /// They are a part of one.
    Of {
        /// The upload.
        id: &'a str,
        /// From 1.
        number: u32,
    },
}

/// What the store says about what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::s3) struct Written {
    /// Empty when it says nothing.
    pub(in crate::s3) etag: ETag,
    /// Encrypted so that the ETag is no MD5.
    pub(in crate::s3) opaque_etag: bool,
    /// What it computed, or was told and has compared.
    pub(in crate::s3) checksum: Option<StoredChecksum>,
    /// The version that was made.
    pub(in crate::s3) version: Option<String>,
}

/// The digests that go along, for the store to compare.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::s3) struct Digests<'a> {
    pub(in crate::s3) md5: Option<&'a Md5Sum>,
    pub(in crate::s3) checksum: Option<&'a StoredChecksum>,
}

impl Wire {
    /// # Errors
    /// [`Failure`]; a store that answers 200 and then an error has refused.
    pub(in crate::s3) async fn put(
        &self,
        key: &str,
        part: Part<'_>,
        body: &Payload,
        digests: Digests<'_>,
        unsigned: bool,
    ) -> Result<Written, Failure> {
        let (query, mut headers) = match part {
            Part::Whole(creation) => (String::new(), creation_headers(creation).map_err(Failure::Request)?),
            Part::Of { id, number } => (encode::query(&[("partNumber", &number.to_string()), ("uploadId", id)]), Vec::new()),
        };
        let mut add = |name: HeaderName, text: &str| value(&name, text).map(|value| headers.push((name, value)));
        if let Some(md5) = digests.md5 {
            add(MD5, &md5.base64()).map_err(Failure::Request)?;
        }
        if let Some(stored) = digests.checksum {
            add(checksum_header(stored.crc), &stored.base64()).map_err(Failure::Request)?;
        }
        let hash = if unsigned { Hash::Unsigned } else { Hash::signed(body).await };
        let call = Call { method: Method::PUT, key: Some(key), query, headers, plain: Vec::new(), body: Some(body), hash };
        let (head, said) = self.send(&call).await?.into_parts();
        let status = head.status.as_u16();
        if !said.is_end_stream() {
            let said = read(said, ANSWER).await.map_err(|why| Failure::Unreadable { status, why })?;
            if is_error(&said) {
                return Err(Failure::Refused(Refusal::of(status, &head.headers, &said)));
            }
        }
        let encryption = text(&head.headers, "x-amz-server-side-encryption");
        let checksum = [Crc::Crc64Nvme, Crc::Crc32c, Crc::Crc32]
            .into_iter()
            .find_map(|crc| StoredChecksum::parse(crc, text(&head.headers, checksum_header(crc).as_str())?));
        Ok(Written {
            etag: ETag::new(text(&head.headers, "etag").unwrap_or_default()),
            opaque_etag: encryption.is_some_and(is_kms),
            checksum,
            version: text(&head.headers, "x-amz-version-id").map(str::to_owned),
        })
    }
}

fn checksum_header(crc: Crc) -> HeaderName {
    HeaderName::from_static(match crc {
        Crc::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Crc::Crc32c => "x-amz-checksum-crc32c",
        Crc::Crc32 => "x-amz-checksum-crc32",
    })
}

/// What belongs to a new object besides its bytes.
fn creation_headers(creation: &Creation) -> Result<Vec<Header>, String> {
    let m = &creation.metadata;
    let encryption = creation.encryption.as_ref();
    let fixed: [(&'static str, Option<&str>); 12] = [
        ("content-type", m.content_type.as_deref()),
        ("cache-control", m.cache_control.as_deref()),
        ("content-disposition", m.content_disposition.as_deref()),
        ("content-encoding", m.content_encoding.as_deref()),
        ("content-language", m.content_language.as_deref()),
        // verbatim: stores also keep what is no date
        ("expires", m.expires.as_deref()),
        ("x-amz-website-redirect-location", m.redirect.as_deref()),
        ("x-amz-tagging", creation.tagging.as_deref()),
        ("x-amz-storage-class", creation.class.as_deref()),
        ("x-amz-acl", creation.acl.as_deref()),
        ("x-amz-server-side-encryption", encryption.map(|e| e.kind.as_str())),
        ("x-amz-server-side-encryption-aws-kms-key-id", encryption.and_then(|e| e.key.as_deref())),
    ];
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(8);
    for (name, text) in fixed {
        if let Some(text) = text {
            let name = HeaderName::from_static(name);
            headers.push((name.clone(), value(&name, text)?));
        }
    }
    for (name, text) in &m.user {
        let name = HeaderName::try_from(format!("x-amz-meta-{name}")).map_err(|_| format!("{name:?} is no name of a header"))?;
        headers.push((name.clone(), value(&name, text)?));
    }
    if creation.metadata.content_type.is_none() {
        // what S3 takes an object for that says nothing; other stores would guess
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")));
    }
    Ok(headers)
}
