//! PutObject and UploadPart.

use http::{HeaderName, HeaderValue, Method, header};
use hyper::body::Body;

use super::{
    answer::{Put, is_opaque, text},
    encode,
    refusal::{Refusal, is_error},
    request::{Call, Hash, value},
    seal::{self, Whose},
    send::{Failure, Wire, read},
    sign::Header,
};
use crate::{
    credential::CustomerKey,
    s3::{
        metadata::Creation,
        object::ETag,
        payload::Payload,
        verify::{Checksum, Md5Sum},
    },
};

const MD5: HeaderName = HeaderName::from_static("content-md5");
/// Answers to PUT have no body; what comes anyway is read up to here.
const ANSWER: usize = 64 * 1024;

/// Where the bytes go.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) enum Part<'a> {
    /// They are an object.
    Whole(&'a Creation),
    /// They are a part of one; with a key of ours, the upload was created with it too.
    Of {
        /// The upload.
        id: &'a str,
        /// From 1.
        number: u32,
    },
}

/// The digests that go along, for the store to compare.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::s3) struct Digests<'a> {
    pub(in crate::s3) md5: Option<&'a Md5Sum>,
    pub(in crate::s3) checksum: Option<&'a Checksum>,
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
        customer: Option<&CustomerKey>,
        unsigned: bool,
    ) -> Result<Put, Failure> {
        let (query, mut headers) = match part {
            Part::Whole(creation) => (String::new(), creation_headers(creation).map_err(Failure::Request)?),
            Part::Of { id, number } => (encode::query(&[("partNumber", &number.to_string()), ("uploadId", id)]), Vec::new()),
        };
        let mut add = |name: HeaderName, text: &str| value(&name, text).map(|value| headers.push((name, value)));
        if let Some(md5) = digests.md5 {
            add(MD5, &md5.base64()).map_err(Failure::Request)?;
        }
        if let Some(checksum) = digests.checksum {
            add(HeaderName::from_static(checksum.algorithm.header()), &checksum.base64()).map_err(Failure::Request)?;
        }
        headers.extend(customer.into_iter().flat_map(|key| seal::headers(Whose::Object, key)));
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
        Ok(Put {
            etag: ETag::new(text(&head.headers, "etag").unwrap_or_default()),
            opaque_etag: is_opaque(&head.headers),
            checksum: Checksum::first(|algorithm| text(&head.headers, algorithm.header())),
            version: text(&head.headers, "x-amz-version-id").map(str::to_owned),
        })
    }
}

/// What belongs to a new object besides its bytes.
pub(super) fn creation_headers(creation: &Creation) -> Result<Vec<Header>, String> {
    let m = &creation.metadata;
    let encryption = creation.encryption.as_ref();
    let retention = creation.lock.as_ref().and_then(|lock| lock.retention.as_ref());
    let hold = creation.lock.as_ref().is_some_and(|lock| lock.legal_hold);
    let fixed: [(&'static str, Option<&str>); 16] = [
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
        (
            "x-amz-server-side-encryption-bucket-key-enabled",
            encryption.and_then(|e| e.bucket_key).map(|wanted| if wanted { "true" } else { "false" }),
        ),
        ("x-amz-object-lock-mode", retention.map(|(mode, _)| mode.as_str())),
        ("x-amz-object-lock-retain-until-date", retention.map(|(_, until)| until.as_str())),
        ("x-amz-object-lock-legal-hold", hold.then_some("ON")),
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
