//! `GetObject` and `HeadObject`: conditions, ranges, parts, headers.

use std::ops::Range;

use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    archive,
    error::S3Error,
    operation::Operation,
    reply::Reply,
    route::Call,
    seal,
    store::{Buckets, Object},
    write::{self, LOCK},
    xml::Xml,
};

/// Which bytes were asked for.
#[derive(Debug, PartialEq, Eq)]
enum Span {
    Whole,
    Some(Range<u64>),
}

pub(super) fn reply(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let bucket = buckets.bucket(&call.bucket)?;
    let (object, version) = bucket.found(call)?;
    let restored = bucket.restored.get(&(call.key.clone(), version.clone().unwrap_or_default())).cloned();
    let object = &*object;
    check_conditions(call, "", object)?;
    let part = call.query.number("partNumber")?;
    let span = match part {
        Some(number) => part_range(object, number)?,
        None => range(call.header("range"), object.data.len())?,
    };
    let mut reply = match &span {
        Span::Whole => Reply::new(StatusCode::OK).with_data(object.data.clone()),
        Span::Some(range) => {
            let mut reply = Reply::new(StatusCode::PARTIAL_CONTENT).with_data(object.data.slice(range.clone()));
            if !range.is_empty() {
                reply.set("content-range", format_args!("bytes {}-{}/{}", range.start, range.end - 1, object.data.len()));
            }
            reply
        }
    };
    seal::read(call, &mut reply, object)?;
    set_headers(&mut reply, object);
    write::set_version(&mut reply, version);
    archive::tell(&mut reply, call, object, restored.as_ref(), call.operation == Operation::HeadObject)?;
    if let Some(number) = part.filter(|_| !object.parts.is_empty()) {
        reply.set("x-amz-mp-parts-count", object.parts.len());
        for sum in object.parts.get(number as usize - 1).map(|part| part.checksums.as_slice()).unwrap_or_default() {
            reply.set(sum.algorithm.header(), &sum.value);
        }
    } else if span == Span::Whole && call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED")) {
        for sum in &object.checksums {
            reply.set(sum.algorithm.header(), &sum.value);
            reply.set("x-amz-checksum-type", if sum.composite() { "COMPOSITE" } else { "FULL_OBJECT" });
        }
    }
    if call.operation == Operation::HeadObject {
        // the announced length stays that of the object
        reply.data = super::data::Data::default();
    }
    Ok(reply)
}

/// `GetObjectAcl`: that of the owner, and what the canned ACL of the request grants besides.
pub(super) fn acl(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let object = buckets.bucket(&call.bucket)?.objects.get(&call.key).ok_or_else(S3Error::no_such_key)?;
    let group = match object.attributes.asked.get("x-amz-acl").map(String::as_str) {
        Some("public-read") => Some("AllUsers"),
        Some("authenticated-read") => Some("AuthenticatedUsers"),
        _ => None,
    };
    Ok(Reply::xml(Xml::document("AccessControlPolicy", |xml| {
        xml.element("Owner", |xml| xml.text("ID", "embedded"));
        xml.element("AccessControlList", |xml| {
            xml.element("Grant", |xml| {
                xml.element("Grantee", |xml| xml.text("ID", "embedded"));
                xml.text("Permission", "FULL_CONTROL");
            });
            if let Some(group) = group {
                xml.element("Grant", |xml| {
                    xml.element("Grantee", |xml| xml.text("URI", format_args!("http://acs.amazonaws.com/groups/global/{group}")));
                    xml.text("Permission", "READ");
                });
            }
        });
    })))
}

/// `GetObjectRetention`.
pub(super) fn retention(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let object = buckets.bucket(&call.bucket)?.objects.get(&call.key).ok_or_else(S3Error::no_such_key)?;
    let [mode, until, _] = LOCK.map(|name| object.attributes.asked.get(name));
    let (mode, until) = mode.zip(until).ok_or_else(S3Error::no_object_lock)?;
    Ok(Reply::xml(Xml::document("Retention", |xml| {
        xml.text("Mode", mode);
        xml.text("RetainUntilDate", until);
    })))
}

fn set_headers(reply: &mut Reply, object: &Object) {
    reply.set("etag", format_args!("\"{}\"", object.etag));
    reply.set("last-modified", http_time(object.modified));
    reply.set("accept-ranges", "bytes");
    for (name, value) in &object.attributes.headers {
        reply.set(name, value);
    }
    for (name, value) in &object.attributes.metadata {
        reply.set(&format!("x-amz-meta-{name}"), value);
    }
    if !object.attributes.tags.is_empty() {
        reply.set("x-amz-tagging-count", object.attributes.tags.len());
    }
    // AWS is silent about the standard class
    if object.attributes.storage_class != "STANDARD" {
        reply.set("x-amz-storage-class", &object.attributes.storage_class);
    }
}

/// RFC 9110 conditions; `prefix` is `x-amz-copy-source-` for the source of a copy.
pub(super) fn check_conditions(call: &Call, prefix: &str, object: &Object) -> Result<(), S3Error> {
    let header = |name: &str| call.header(&format!("{prefix}{name}"));
    let time = |name: &str| header(name).and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|zoned| zoned.timestamp());
    let modified = Timestamp::from_second(object.modified.as_second()).unwrap_or(object.modified);
    // RFC 9110 13.2.2: the ETag decides, and the date only where there is no ETag condition
    match header("if-match") {
        Some(list) if !etag_in(list, &object.etag) => return Err(S3Error::precondition_failed()),
        None if time("if-unmodified-since").is_some_and(|since| modified > since) => return Err(S3Error::precondition_failed()),
        _ => {}
    }
    let unchanged = match header("if-none-match") {
        Some(list) => etag_in(list, &object.etag),
        None => time("if-modified-since").is_some_and(|since| modified <= since),
    };
    match (unchanged, prefix.is_empty()) {
        (true, true) => Err(S3Error::not_modified()),
        (true, false) => Err(S3Error::precondition_failed()),
        (false, _) => Ok(()),
    }
}

/// Whether a list of ETags names this one; `*` names all.
pub(super) fn etag_in(list: &str, etag: &str) -> bool {
    list.split(',').map(|one| one.trim().trim_start_matches("W/").trim_matches('"')).any(|one| one == "*" || one == etag)
}

fn part_range(object: &Object, number: u32) -> Result<Span, S3Error> {
    if object.parts.is_empty() {
        return if number == 1 { Ok(Span::Some(0..object.data.len())) } else { Err(S3Error::invalid_part_number()) };
    }
    let index = (number as usize).checked_sub(1).filter(|index| *index < object.parts.len()).ok_or_else(S3Error::invalid_part_number)?;
    let start = object.parts[..index].iter().map(|part| part.size).sum::<u64>();
    Ok(Span::Some(start..start + object.parts[index].size))
}

/// RFC 9110 ranges of one piece; anything else is ignored, as AWS does.
fn range(header: Option<&str>, len: u64) -> Result<Span, S3Error> {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-')) else {
        return Ok(Span::Whole);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..len.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..len,
        (Err(_), Ok(count)) if first.is_empty() => len.saturating_sub(count)..len,
        _ => return Ok(Span::Whole),
    };
    if range.is_empty() { Err(S3Error::invalid_range()) } else { Ok(Span::Some(range)) }
}

/// As HTTP writes times.
pub(crate) fn http_time(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        for (header, len, expected) in [
            (None, 10, Some(Span::Whole)),
            (Some("bytes=0-0"), 10, Some(Span::Some(0..1))),
            (Some("bytes=5-"), 10, Some(Span::Some(5..10))),
            (Some("bytes=5-99"), 10, Some(Span::Some(5..10))),
            (Some("bytes=-3"), 10, Some(Span::Some(7..10))),
            (Some("bytes=-30"), 10, Some(Span::Some(0..10))),
            (Some("bytes=10-"), 10, None),
            (Some("bytes=0-0"), 0, None),
            (Some("bytes=-0"), 10, None),
            (Some("bytes=0-1,4-5"), 10, Some(Span::Whole)),
            (Some("bytes=7-3"), 10, Some(Span::Whole)),
            (Some("lines=1-2"), 10, Some(Span::Whole)),
        ] {
            assert_eq!(range(header, len).ok(), expected, "{header:?} of {len}");
        }
    }

    #[test]
    fn etags_are_found_in_lists() {
        for list in ["abc", "\"abc\"", "*", "\"x\", \"abc\"", "W/\"abc\""] {
            assert!(etag_in(list, "abc"), "{list}");
        }
        assert!(!etag_in("\"ab\"", "abc"));
    }
}
