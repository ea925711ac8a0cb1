//! Blobs on their way out: whole, by ranges, or by redirection to another port.

use std::ops::Range;

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::{
    blob::{Blob, flipped},
    fault::Action,
    operation::Operation,
    refusal::Refusal,
    reply::Reply,
    route::Call,
    server::Shared,
};

/// GET and HEAD of the registry.
pub(super) fn blob(shared: &Shared, call: &Call, actions: &[Action]) -> Result<Reply, Refusal> {
    let blob = shared.store.blob(&call.repository, &call.reference).ok_or_else(Refusal::blob_unknown)?;
    match shared.settings.redirect.filter(|_| call.operation == Operation::GetBlob) {
        None => served(&blob, call, actions).map(|reply| reply.with("docker-content-digest", blob.digest())),
        Some(lifetime) => {
            let until = Timestamp::now() + SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::from_hours(1));
            let address = format!("{}://{}/{}/{}", shared.scheme(), shared.storage, call.repository, blob.digest());
            let location = format!("{address}?expires={}&signature={}", until.as_millisecond(), signature(blob.digest(), until));
            Ok(Reply::new(StatusCode::TEMPORARY_REDIRECT).with("location", location))
        }
    }
}

/// GET of an address that [`blob`] gave out. Words are those of Amazon S3.
pub(super) fn stored(shared: &Shared, call: &Call, actions: &[Action]) -> Result<Reply, Refusal> {
    let refused = |status, code: &'static str, message: &str| {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Refusal::new(status, code, text).in_words()
    };
    if call.headers.contains_key("authorization") {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified";
        return Err(refused(StatusCode::BAD_REQUEST, "InvalidArgument", message));
    }
    let until = call.query.get("expires").and_then(|text| text.parse().ok()).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let until = until.filter(|until| call.query.get("signature").is_some_and(|shown| shown == signature(&call.reference, *until)));
    let until = until.ok_or_else(|| refused(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "The signature does not match."))?;
    if until <= Timestamp::now() {
        return Err(refused(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"));
    }
    let blob = shared.store.blob(&call.repository, &call.reference);
    served(&blob.ok_or_else(|| refused(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."))?, call, actions)
}

/// Not a secret: it only shows that an address was given out and not changed.
fn signature(digest: &str, until: Timestamp) -> String {
    super::digest::sha256(&bytes::Bytes::from(format!("{digest} {}", until.as_millisecond())).into()).split_off(7)
}

fn served(blob: &Blob, call: &Call, actions: &[Action]) -> Result<Reply, Refusal> {
    let reply = Reply::new(StatusCode::OK).with("content-type", "application/octet-stream").with("accept-ranges", "bytes");
    let reply = reply.with("etag", format!("\"{}\"", blob.digest()));
    if call.method == "HEAD" {
        return Ok(Reply { length: blob.len(), ..reply });
    }
    let content = blob.content().ok_or_else(Refusal::blob_unknown)?;
    let flip = |data, action: &Action| if let Action::FlipBit(at) = action { flipped(&data, *at) } else { data };
    let content = actions.iter().fold(content.clone(), flip);
    let header = call.header("range").filter(|_| !actions.contains(&Action::IgnoreRange));
    match range(header, content.len()) {
        Span::Whole => Ok(reply.with_data(content)),
        Span::Some(range) => {
            let part = format!("bytes {}-{}/{}", range.start, range.end - 1, content.len());
            let reply = Reply { status: StatusCode::PARTIAL_CONTENT, ..reply }.with("content-range", part);
            Ok(reply.with_data(content.slice(range)))
        }
        Span::Outside => Err(Refusal::range_invalid().header("content-range", format!("bytes */{}", content.len()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Span {
    Whole,
    Some(Range<u64>),
    Outside,
}

/// RFC 9110 ranges of one piece; anything else is ignored.
fn range(header: Option<&str>, length: u64) -> Span {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-')) else {
        return Span::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Span::Whole,
    };
    if range.is_empty() { Span::Outside } else { Span::Some(range) }
}

/// DELETE.
pub(super) fn delete(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    shared.store.blob(&call.repository, &call.reference).ok_or_else(Refusal::blob_unknown)?;
    shared.store.remove_blob(&call.repository, &call.reference);
    Ok(Reply::new(StatusCode::ACCEPTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        for (header, length, expected) in [
            (None, 10, Span::Whole),
            (Some("bytes=0-0"), 10, Span::Some(0..1)),
            (Some("bytes=3-"), 10, Span::Some(3..10)),
            (Some("bytes=-4"), 10, Span::Some(6..10)),
            (Some("bytes=5-99"), 10, Span::Some(5..10)),
            (Some("bytes=10-"), 10, Span::Outside),
            (Some("bytes=0-"), 0, Span::Outside),
            (Some("bytes=5-4"), 10, Span::Whole),
            (Some("bytes=0-1,3-4"), 10, Span::Whole),
            (Some("lines=0-1"), 10, Span::Whole),
        ] {
            assert_eq!(range(header, length), expected, "{header:?}");
        }
    }
}
