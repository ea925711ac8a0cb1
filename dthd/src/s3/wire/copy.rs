//! CopyObject and UploadPartCopy: the store copies by itself.

use std::ops::Range;

use http::{HeaderMap, HeaderName, Method, header};
use hyper::body::Body;

use super::{
    answer::{Put, is_opaque, text},
    encode,
    get::PAYER,
    put::creation_headers,
    refusal::{Refusal, element, is_error},
    request::{Call, Hash, value},
    seal::{self, Whose},
    send::{Failure, Wire, read},
    sign::Header,
};
use crate::{
    credential::CustomerKey,
    s3::{
        metadata::Creation,
        object::{ETag, Pin},
        payload::Payload,
        verify::{Algorithm, Checksum},
    },
};

/// Answers are small, but for the spaces with which a store keeps the connection open while it copies.
const ANSWER: usize = 1024 * 1024;

/// What is copied: one generation of an object, in a bucket of the same store.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct Origin<'a> {
    pub(in crate::s3) bucket: &'a str,
    pub(in crate::s3) key: &'a str,
    pub(in crate::s3) pin: Pin<'a>,
    pub(in crate::s3) requester_pays: bool,
    /// The key it is encrypted with, if that is one of ours.
    pub(in crate::s3) customer: Option<&'a CustomerKey>,
}

/// What it becomes.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) enum Copying<'a> {
    /// An object.
    Whole {
        /// What it gets besides its bytes; metadata counts only where it is replaced.
        creation: &'a Creation,
        /// The metadata of `creation` instead of the source's.
        replace_metadata: bool,
        /// The tags of `creation` instead of the source's.
        replace_tags: bool,
        /// The checksum to store with it; `None`: that of the source.
        checksum: Option<Algorithm>,
    },
    /// A part of an upload.
    Part {
        id: &'a str,
        /// From 1.
        number: u32,
        /// The bytes of the source.
        range: &'a Range<u64>,
    },
}

impl Wire {
    /// `customer`: the key of ours that the destination is encrypted with.
    ///
    /// # Errors
    /// [`Failure`]; a store that answers 200 and then an error has refused.
    pub(in crate::s3) async fn copy(
        &self,
        key: &str,
        origin: Origin<'_>,
        what: Copying<'_>,
        customer: Option<&CustomerKey>,
    ) -> Result<Put, Failure> {
        let (query, mut headers) = match what {
            Copying::Whole { creation, replace_metadata, replace_tags, checksum } => {
                (String::new(), whole(creation, replace_metadata, replace_tags, checksum).map_err(Failure::Request)?)
            }
            Copying::Part { id, number, range } => {
                let text = format!("bytes={}-{}", range.start, range.end - 1);
                let name = HeaderName::from_static("x-amz-copy-source-range");
                let headers = vec![(name.clone(), value(&name, &text).map_err(Failure::Request)?)];
                (encode::query(&[("partNumber", &number.to_string()), ("uploadId", id)]), headers)
            }
        };
        let mut source = format!("/{}", origin.bucket);
        encode::push_key(&mut source, origin.key);
        if let Some(version) = origin.pin.version {
            source.push('?');
            source.push_str(&encode::query(&[("versionId", version)]));
        }
        let etag = origin.pin.etag.map(ETag::quoted);
        for (name, text) in [("x-amz-copy-source", Some(source.as_str())), ("x-amz-copy-source-if-match", etag.as_deref())] {
            let Some(text) = text else { continue };
            let name = HeaderName::from_static(name);
            headers.push((name.clone(), value(&name, text).map_err(Failure::Request)?));
        }
        headers.extend(customer.into_iter().flat_map(|key| seal::headers(Whose::Object, key)));
        headers.extend(origin.customer.into_iter().flat_map(|key| seal::headers(Whose::CopySource, key)));
        if origin.requester_pays || self.requester_pays {
            headers.push((PAYER, http::HeaderValue::from_static("requester")));
        }
        // nothing is sent, and that is said
        let nothing = Payload::default();
        let call = Call { method: Method::PUT, key: Some(key), query, headers, plain: Vec::new(), body: Some(&nothing), hash: Hash::Empty };
        let (head, said) = self.send(&call).await?.into_parts();
        let status = head.status.as_u16();
        if said.is_end_stream() {
            return Err(Failure::Unreadable { status, why: "the answer to a copy is empty".to_owned() });
        }
        let said = read(said, ANSWER).await.map_err(|why| Failure::Unreadable { status, why })?;
        if is_error(&said) {
            return Err(Failure::Refused(Refusal::of(status, &head.headers, &said)));
        }
        Ok(answer(&head.headers, &said))
    }
}

fn answer(headers: &HeaderMap, said: &[u8]) -> Put {
    let composite = element(said, "ChecksumType").as_deref() == Some("COMPOSITE");
    let checksum = Algorithm::ALL.into_iter().find_map(|a| Checksum::parse(a, &element(said, a.element())?));
    Put {
        etag: ETag::new(&element(said, "ETag").unwrap_or_default()),
        opaque_etag: is_opaque(headers),
        checksum: checksum.filter(|_| !composite),
        version: text(headers, "x-amz-version-id").map(str::to_owned),
    }
}

/// The headers of a CopyObject. What is not replaced is not said: metadata in a request that copies it is refused by some stores.
fn whole(creation: &Creation, replace_metadata: bool, replace_tags: bool, checksum: Option<Algorithm>) -> Result<Vec<Header>, String> {
    let said = Creation {
        metadata: if replace_metadata {
            creation.metadata.clone()
        } else {
            // the one thing of it that no directive copies (AWS: CopyObject)
            crate::s3::metadata::Metadata { redirect: creation.metadata.redirect.clone(), ..Default::default() }
        },
        tagging: creation.tagging.clone().filter(|_| replace_tags),
        ..creation.clone()
    };
    let mut headers = creation_headers(&said)?;
    if !replace_metadata {
        headers.retain(|(name, _)| name != header::CONTENT_TYPE);
    }
    let directive = |replaced: bool| if replaced { "REPLACE" } else { "COPY" };
    for (name, text) in [
        ("x-amz-metadata-directive", Some(directive(replace_metadata))),
        ("x-amz-tagging-directive", Some(directive(replace_tags))),
        ("x-amz-checksum-algorithm", checksum.map(Algorithm::name)),
    ] {
        if let Some(text) = text {
            headers.push((HeaderName::from_static(name), http::HeaderValue::from_static(text)));
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::s3::metadata::Metadata;

    #[test]
    fn what_is_copied_as_it_is_is_not_said() {
        let metadata = Metadata {
            content_type: Some("text/x".into()),
            redirect: Some("/elsewhere".into()),
            user: BTreeMap::from([("a".to_owned(), "1".to_owned())]),
            ..Metadata::default()
        };
        let creation = Creation { metadata, tagging: Some("t=1".into()), class: Some("STANDARD_IA".into()), ..Creation::default() };
        let names = |replace_metadata: bool, replace_tags: bool| {
            let mut all: Vec<String> = whole(&creation, replace_metadata, replace_tags, Some(Algorithm::Sha256))
                .expect("good values")
                .into_iter()
                .map(|(name, value)| format!("{}={}", name.as_str().trim_start_matches("x-amz-"), value.to_str().expect("text")))
                .collect();
            all.sort_unstable();
            all.join(" ")
        };
        assert_eq!(
            names(false, false),
            "checksum-algorithm=SHA256 metadata-directive=COPY storage-class=STANDARD_IA tagging-directive=COPY \
             website-redirect-location=/elsewhere"
        );
        assert_eq!(
            names(true, true),
            "checksum-algorithm=SHA256 content-type=text/x meta-a=1 metadata-directive=REPLACE storage-class=STANDARD_IA \
             tagging-directive=REPLACE tagging=t=1 website-redirect-location=/elsewhere"
        );
    }

    #[test]
    fn answers() {
        let said = b"<?xml version=\"1.0\"?>\n<CopyObjectResult><ETag>&quot;abc&quot;</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></CopyObjectResult>";
        let copied = answer(&HeaderMap::new(), said);
        assert_eq!((copied.etag.as_str(), copied.checksum.map(|c| c.base64()).as_deref()), ("abc", Some("y/Q5Jg==")));
        let composite = b"<CopyObjectResult><ETag>a</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></CopyObjectResult>";
        assert_eq!(answer(&HeaderMap::new(), composite).checksum, None);
    }
}
