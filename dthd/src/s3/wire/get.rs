//! GET of an object or a range of it.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::body::Incoming;

use super::{
    answer::{self, text},
    encode,
    request::{Call, Hash, value},
    seal::{self, Whose},
    send::{Failure, Wire},
};
use crate::{
    credential::CustomerKey,
    s3::{metadata::ObjectInfo, object::Pin},
};

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
pub(super) const PAYER: HeaderName = HeaderName::from_static("x-amz-request-payer");

/// What to get: these bytes of this generation.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct Pinned<'a> {
    pub(in crate::s3) key: &'a str,
    pub(in crate::s3) pin: Pin<'a>,
    /// `None`: all.
    pub(in crate::s3) range: Option<&'a Range<u64>>,
    /// The key it is encrypted with, if that is one of ours.
    pub(in crate::s3) customer: Option<&'a CustomerKey>,
}

/// The head of an answer, with its body still to be read.
pub(in crate::s3) struct Found {
    pub(in crate::s3) info: ObjectInfo,
    /// Of the body, when the store announced it.
    pub(in crate::s3) length: Option<u64>,
    /// `Content-Range`.
    pub(in crate::s3) range: Option<String>,
    pub(in crate::s3) body: Incoming,
}

impl Wire {
    /// # Errors
    /// [`Failure`].
    pub(in crate::s3) async fn get(&self, what: Pinned<'_>) -> Result<Found, Failure> {
        let mut headers = Vec::with_capacity(8);
        // asks for the stored checksum, which is compared by whoever receives the whole object
        headers.push((CHECKSUM, HeaderValue::from_static("ENABLED")));
        if let Some(etag) = what.pin.etag {
            headers.push((header::IF_MATCH, value(&header::IF_MATCH, &etag.quoted()).map_err(Failure::Request)?));
        }
        if let Some(range) = what.range {
            let text = format!("bytes={}-{}", range.start, range.end - 1);
            headers.push((header::RANGE, value(&header::RANGE, &text).map_err(Failure::Request)?));
        }
        headers.extend(what.customer.into_iter().flat_map(|key| seal::headers(Whose::Object, key)));
        if self.requester_pays {
            headers.push((PAYER, HeaderValue::from_static("requester")));
        }
        let call = Call {
            method: Method::GET,
            key: Some(what.key),
            query: what.pin.version.map(|version| encode::query(&[("versionId", version)])).unwrap_or_default(),
            headers,
            // the bytes as they are stored
            plain: vec![(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))],
            body: None,
            hash: Hash::Empty,
        };
        let (head, body) = self.send(&call).await?.into_parts();
        let length = length(&head.headers);
        let range = text(&head.headers, header::CONTENT_RANGE.as_str()).map(str::to_owned);
        Ok(Found { info: answer::info(&head.headers)?, length, range, body })
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok())
}
