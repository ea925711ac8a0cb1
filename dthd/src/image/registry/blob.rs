//! Blobs as they come: as a whole, or from a byte on (OCI distribution specification, "Pulling blobs"; RFC 9110, section 14).

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{
    Call, Registry,
    answer::{number, text, unknown},
    page::{encoded, target},
    redirect,
    send::Sent,
};
use crate::{image::digest::Digest, transfer::TransferError};

const HEAD: &str = "HeadBlob";
const GET: &str = "GetBlob";

/// A blob on its way. Dropped before its end, its connection is closed.
pub struct BlobBody {
    registry: Registry,
    body: Incoming,
    /// The whole blob's size, where the registry says it.
    pub total: Option<u64>,
    /// Where in the blob the first byte belongs that comes: the beginning of the range that was asked for, or 0 from a registry that does
    /// not know ranges and sends everything.
    pub first: u64,
    /// Bytes that have come.
    got: u64,
    /// Bytes that must come, where the registry says it.
    length: Option<u64>,
}

impl std::fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobBody(from {}, {} of {:?}, {:?} in all)", self.first, self.got, self.length, self.total)
    }
}

impl Registry {
    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, TransferError> {
        let response = self.call_for(&request(HEAD, Method::HEAD, repository, digest), &[StatusCode::NOT_FOUND]).await?;
        let found = response.status() != StatusCode::NOT_FOUND;
        self.finish(HEAD, response).await;
        Ok(found)
    }

    /// A blob, or `range` of its bytes; a range that ends behind the blob brings what is there. Nothing is checked against the digest here.
    ///
    /// # Errors
    /// [`TransferError`]: `BLOB_UNKNOWN` where there is none; transient `RANGE_INVALID` when another range comes than was asked for.
    pub async fn blob(&self, repository: &str, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobBody, TransferError> {
        let call = self.ranged(request(GET, Method::GET, repository, digest), digest, range.as_ref())?;
        let response = self.call(&call).await.map_err(|error| unknown(error, "BLOB_UNKNOWN"))?;
        self.body(response, digest, range.as_ref())
    }

    /// The same of a blob that is elsewhere: at `url`, which a manifest of this registry names. It is asked without a password, and only
    /// where a redirect of the registry might lead. Never repeated.
    ///
    /// # Errors
    /// As [`Registry::blob`]; `RedirectRefused` where the address must not be asked.
    pub async fn linked_blob(&self, url: &str, digest: &Digest, range: Option<Range<u64>>) -> Result<BlobBody, TransferError> {
        let refused =
            |why| self.error(FailureClass::Permanent, GET, "RedirectRefused", format!("the address of {digest} in its manifest {why}"));
        let home = self.home()?;
        if !url.contains("://") {
            return Err(refused("is none".to_owned()));
        }
        let to = redirect::resolve(&home, url).map_err(|why| refused(why.to_string()))?;
        let call = Call { operation: GET, target: url.to_owned(), ..Call::default() };
        let call = self.ranged(call, digest, range.as_ref())?;
        let Sent { response, by } = self.send(&call, to, None).await?;
        if !response.status().is_success() {
            let (_, refusal) = self.refusal(GET, response).await;
            return Err(unknown(self.refused(GET, &refusal, Some(&by)), "BLOB_UNKNOWN"));
        }
        self.body(response, digest, range.as_ref())
    }

    fn ranged<'a>(&self, mut call: Call<'a>, digest: &Digest, range: Option<&Range<u64>>) -> Result<Call<'a>, TransferError> {
        // else some stores behind registries compress on the way, and know no ranges of that
        call.headers.push((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        if let Some(range) = range {
            if range.is_empty() {
                let message = format!("no bytes of {digest} were asked for");
                return Err(self.error(FailureClass::Permanent, GET, "RANGE_INVALID", message));
            }
            let bytes = format!("bytes={}-{}", range.start, range.end - 1);
            call.headers.push((header::RANGE, HeaderValue::from_str(&bytes).expect("digits and a dash")));
        }
        Ok(call)
    }

    fn body(&self, response: Response<Incoming>, digest: &Digest, range: Option<&Range<u64>>) -> Result<BlobBody, TransferError> {
        let (head, body) = response.into_parts();
        let length = number(&head.headers, &header::CONTENT_LENGTH);
        let whole = BlobBody { registry: self.clone(), body, total: length, first: 0, got: 0, length };
        if head.status != StatusCode::PARTIAL_CONTENT {
            return Ok(whole);
        }
        let stated = text(&head.headers, &header::CONTENT_RANGE).unwrap_or_default();
        let wrong = || {
            let asked = range.map_or_else(|| "all of it".to_owned(), |range| format!("bytes {}-{}", range.start, range.end - 1));
            self.trouble(GET, "RANGE_INVALID", format!("asked {} for {asked} of {digest}, got {stated:?}", self.host()))
        };
        let (sent, total) = content_range(stated).ok_or_else(wrong)?;
        let asked = range.cloned().unwrap_or(0..u64::MAX);
        let end = total.map_or(asked.end, |total| asked.end.min(total));
        let length_fits = length.is_none_or(|length| length == sent.end - sent.start);
        // without the blob's size, less than was asked for may be all there is
        let end_fits = sent.end == end || (total.is_none() && sent.end < end);
        if sent.start != asked.start || !end_fits || !length_fits {
            return Err(wrong());
        }
        Ok(BlobBody { total, first: sent.start, length: Some(sent.end - sent.start), ..whole })
    }
}

impl BlobBody {
    /// The next bytes; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Transient `TruncatedBody` when more or fewer bytes come than announced, `RequestTimeout` when none come for a minute. What came before
    /// is good: the rest can be asked for.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let piece = self.registry.piece(GET, &mut self.body, self.got).await?;
        self.got += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let wrong = self.length.filter(|length| if piece.is_some() { self.got > *length } else { self.got != *length });
        if let Some(length) = wrong {
            let message = format!("expected {length} bytes from {}, got {}", self.registry.host(), self.got);
            return Err(self.registry.trouble(GET, "TruncatedBody", message));
        }
        if let Some(piece) = &piece {
            self.registry.inner.counters.received.fetch_add(piece.len() as u64, Relaxed);
        }
        Ok(piece)
    }
}

fn request<'a>(operation: &'static str, method: Method, repository: &'a str, digest: &Digest) -> Call<'a> {
    Call {
        operation,
        method,
        target: target(repository, &format!("blobs/{}", encoded(digest.as_str()))),
        headers: Vec::new(),
        body: Bytes::new(),
        repository: Some(repository),
        also: None,
        push: false,
    }
}

/// `bytes FIRST-LAST/TOTAL`, `TOTAL` may be `*`.
fn content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (first < end && total.is_none_or(|total| end <= total)).then_some((first..end, total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_of_answers_are_read() {
        for (text, expected) in [
            ("bytes 0-0/1", Some((0..1, Some(1)))),
            ("bytes 4-9/10", Some((4..10, Some(10)))),
            ("bytes 4 - 9 / 10", Some((4..10, Some(10)))),
            ("bytes 4-9/*", Some((4..10, None))),
            ("bytes 4-9/9", None),
            ("bytes 5-4/10", None),
            ("bytes */10", None),
            ("bytes 4-9", None),
            ("items 4-9/10", None),
            ("bytes 4-18446744073709551615/*", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_range_is_too_odd(text in "(bytes)?[ 0-9*/x-]{0,30}") {
            if let Some((range, total)) = content_range(&text) {
                prop_assert!(!range.is_empty() && total.is_none_or(|total| range.end <= total));
            }
        }
    }
}
