//! `GetObject` and `HeadObject`: whole, ranges, parts, conditions.

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{HeaderValue, InvalidHeaderValue},
};

use super::{SOURCE, Shared, error, query::Query};
use crate::content::{Content, PART, Pieces, Sums, hex};

/// Last-Modified as HTTP writes it; the same time as in listings.
const MODIFIED: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

/// What identifies content, as headers.
#[derive(Clone, Debug)]
pub(super) struct Headers {
    pub(super) etag: HeaderValue,
    pub(super) crc: HeaderValue,
}

impl Headers {
    /// Of the objects of the source.
    pub(super) fn source(content: &Content, size: u64) -> Result<Self, InvalidHeaderValue> {
        Self::new(&content.etag(size), &content.sums(size))
    }

    /// Of what is written with one request.
    pub(super) fn single(content: &Content, len: u64) -> Result<Self, InvalidHeaderValue> {
        let sums = content.sums(len);
        Self::new(&hex(&sums.md5), &sums)
    }

    fn new(etag: &str, sums: &Sums) -> Result<Self, InvalidHeaderValue> {
        Ok(Self { etag: HeaderValue::from_str(&format!("\"{etag}\""))?, crc: HeaderValue::from_str(&sums.crc_base64())? })
    }
}

pub(super) fn reply(shared: &Shared, bucket: &str, key: &str, query: &Query<'_>, headers: &HeaderMap) -> Response<Pieces> {
    if query.has("tagging") {
        return super::xml("<Tagging><TagSet/></Tagging>");
    }
    if query.has("uploadId") {
        return super::xml("<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>");
    }
    let there = |n: &u64| bucket == SOURCE || shared.settings.equal || shared.counter.has(*n);
    if shared.settings.keys.number(key).filter(there).is_none() {
        return error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    }
    let size = shared.settings.size.0;
    if headers.get("if-match").is_some_and(|wanted| *wanted != shared.source.etag) {
        return error(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        );
    }
    let part = query.number("partNumber");
    let asked = match part {
        Some(number) if size > PART => Some(((number.saturating_sub(1)) * PART, number * PART)),
        _ => headers.get("range").and_then(|value| range(value.to_str().ok()?, size)),
    };
    let (start, end) = asked.map_or((0, size), |(start, end)| (start.min(size), end.min(size)));
    let mut reply = Response::new(shared.content.body(start, end));
    let fields = reply.headers_mut();
    fields.insert("etag", shared.source.etag.clone());
    fields.insert("last-modified", HeaderValue::from_static(MODIFIED));
    fields.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    fields.insert("accept-ranges", HeaderValue::from_static("bytes"));
    if part.is_some() && size > PART {
        fields.insert("x-amz-mp-parts-count", HeaderValue::from(size.div_ceil(PART)));
    }
    if asked.is_some() {
        let content_range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&content_range) {
            fields.insert("content-range", value);
        }
        *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
    } else if headers.contains_key("x-amz-checksum-mode") {
        fields.insert("x-amz-checksum-crc64nvme", shared.source.crc.clone());
        fields.insert("x-amz-checksum-type", HeaderValue::from_static("FULL_OBJECT"));
    }
    reply
}

/// `bytes=A-B` and `bytes=A-` as start and end; anything else asks for the whole.
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1) };
    (first < end && first < size).then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_piece() {
        for (text, expected) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=5-", Some((5, 10))),
            ("bytes=5-99", Some((5, 100))),
            ("bytes=-3", None),
            ("bytes=10-12", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(text, 10), expected, "{text}");
        }
    }
}
