//! `PutObject`, `CopyObject`, `DeleteObject(s)` and what an upload shares with them: attributes and conditions.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    digest::{self, Algorithm, Checksum},
    error::S3Error,
    list::iso_time,
    read,
    reply::Reply,
    route::{Call, decode},
    seal,
    store::{Attributes, Buckets, Object},
    tagging,
    xml::{self, Xml},
};

/// Headers that S3 keeps and gives back.
const KEPT: [&str; 7] = [
    "content-type",
    "cache-control",
    "content-encoding",
    "content-disposition",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
];
/// Headers that ask for what this server does not do.
const ASKED: [&str; 4] = [
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
];
/// Object Lock: kept and told, not carried out.
pub(super) const LOCK: [&str; 3] = ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"];
const REDIRECT: &str = "x-amz-website-redirect-location";
/// Most bytes of user metadata, names and values together (AWS).
const MAX_METADATA: usize = 2_048;

/// What a PUT or the start of an upload says about the object.
pub(super) fn attributes(call: &Call) -> Result<Attributes, S3Error> {
    let mut attributes = Attributes::default();
    for name in KEPT {
        let Some(value) = call.header(name) else { continue };
        let value = if name == "content-encoding" { without_chunked(value) } else { value.to_owned() };
        if !value.is_empty() {
            attributes.headers.insert(name.to_owned(), value);
        }
    }
    for (name, value) in &call.headers {
        if let Some(name) = name.as_str().strip_prefix("x-amz-meta-") {
            attributes.metadata.insert(name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
    }
    if attributes.metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA {
        return Err(S3Error::invalid_argument("Your metadata headers exceed the maximum allowed metadata size"));
    }
    if let Some(tags) = call.header("x-amz-tagging") {
        attributes.tags = tagging::from_header(tags)?;
    }
    if let Some(class) = call.header("x-amz-storage-class") {
        class.clone_into(&mut attributes.storage_class);
    }
    seal::keep(call, &mut attributes)?;
    for name in ASKED.into_iter().chain(LOCK) {
        attributes.asked.extend(call.header(name).map(|value| (name.to_owned(), value.to_owned())));
    }
    Ok(attributes)
}

/// `aws-chunked` is how the body travelled, not what it is.
fn without_chunked(encoding: &str) -> String {
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|word| *word != "aws-chunked").collect();
    kept.join(",")
}

/// Conditional writes: `If-None-Match: *` and `If-Match`.
pub(super) fn check_write_conditions(call: &Call, existing: Option<&Arc<Object>>) -> Result<(), S3Error> {
    if call.header("if-none-match") == Some("*") && existing.is_some() {
        return Err(S3Error::precondition_failed());
    }
    match (call.header("if-match"), existing) {
        (Some(_), None) => Err(S3Error::no_such_key()),
        (Some(list), Some(object)) if !read::etag_in(list, &object.etag) => Err(S3Error::precondition_failed()),
        _ => Ok(()),
    }
}

/// `aws_checksums`: add a CRC-64/NVME where the client sent nothing, as AWS does.
pub(super) fn put(call: &Call, buckets: &mut Buckets, aws_checksums: bool) -> Result<Reply, S3Error> {
    let attributes = attributes(call)?;
    check_digest_of_locked(call, &attributes)?;
    let mut checksums = call.checksums.clone();
    if checksums.is_empty() && aws_checksums {
        checksums.push(Algorithm::Crc64Nvme.of(&call.body));
    }
    let bucket = buckets.bucket(&call.bucket)?;
    check_write_conditions(call, bucket.objects.get(&call.key))?;
    let etag = seal::etag(&call.md5, &attributes);
    let mut reply = Reply::new(StatusCode::OK);
    seal::tell(&mut reply, &attributes);
    reply.set("etag", format_args!("\"{etag}\""));
    set_checksums(&mut reply, &checksums);
    let object = Object { data: call.body.clone(), etag, modified: Timestamp::now(), attributes, checksums, parts: Vec::new() };
    set_version(&mut reply, bucket.insert(&call.key, Arc::new(object)));
    Ok(reply)
}

/// The version that a request made, or is about.
pub(super) fn set_version(reply: &mut Reply, version: Option<String>) {
    if let Some(version) = version {
        reply.set("x-amz-version-id", version);
    }
}

/// What is locked must come with a digest (AWS: PutObject and UploadPart with Object Lock).
pub(super) fn check_digest_of_locked(call: &Call, attributes: &Attributes) -> Result<(), S3Error> {
    let locked = LOCK.iter().any(|name| attributes.asked.contains_key(*name));
    if locked && call.checksums.is_empty() && call.header("content-md5").is_none() {
        return Err(S3Error::invalid_request(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        ));
    }
    Ok(())
}

pub(super) fn set_checksums(reply: &mut Reply, checksums: &[Checksum]) {
    for sum in checksums {
        reply.set(sum.algorithm.header(), &sum.value);
        reply.set("x-amz-checksum-type", if sum.composite() { "COMPOSITE" } else { "FULL_OBJECT" });
    }
}

/// The object that `x-amz-copy-source` names, when its conditions hold.
pub(super) fn copy_source(call: &Call, buckets: &mut Buckets) -> Result<Arc<Object>, S3Error> {
    let source = call.header("x-amz-copy-source").unwrap_or_default();
    let (source, version) = source.split_once("?versionId=").map_or((source, None), |(source, version)| (source, Some(version)));
    let (source, version) = (decode(source)?, version.map(decode).transpose()?);
    let source = source.strip_prefix('/').unwrap_or(&source);
    let (bucket, key) =
        source.split_once('/').ok_or_else(|| S3Error::invalid_argument("Copy Source must mention the source bucket and key"))?;
    let (object, _) = buckets.bucket(bucket)?.find(key, version.as_deref())?;
    seal::opens(call, "x-amz-copy-source-", &object.attributes)?;
    read::check_conditions(call, "x-amz-copy-source-", &object)?;
    Ok(object)
}

/// The checksum that a request asks for by name.
pub(super) fn algorithm(call: &Call) -> Result<Option<Algorithm>, S3Error> {
    let Some(word) = call.header("x-amz-checksum-algorithm") else { return Ok(None) };
    let found = Algorithm::ALL.into_iter().find(|a| a.word().eq_ignore_ascii_case(word));
    found.map(Some).ok_or_else(|| S3Error::invalid_request("Checksum algorithm provided is unsupported."))
}

pub(super) fn copy(call: &Call, buckets: &mut Buckets, most: u64) -> Result<Reply, S3Error> {
    let replace = |name: &str| call.header(name) == Some("REPLACE");
    let source = copy_source(call, buckets)?;
    if source.data.len() > most {
        return Err(S3Error::invalid_request("The specified copy source is larger than the maximum allowable size for a copy source"));
    }
    let asked = attributes(call)?;
    let etag = seal::etag(&digest::md5(&source.data), &asked);
    let mut object = Object { modified: Timestamp::now(), etag, parts: Vec::new(), ..(*source).clone() };
    // of a redirect, only what the request says (AWS: CopyObject)
    let redirect = asked.headers.get(REDIRECT).cloned();
    if replace("x-amz-metadata-directive") {
        (object.attributes.headers, object.attributes.metadata) = (asked.headers, asked.metadata);
    }
    object.attributes.headers.remove(REDIRECT);
    object.attributes.headers.extend(redirect.map(|value| (REDIRECT.to_owned(), value)));
    if replace("x-amz-tagging-directive") {
        object.attributes.tags = asked.tags;
    }
    (object.attributes.storage_class, object.attributes.asked) = (asked.storage_class, asked.asked);
    object.checksums = match algorithm(call)?.or(source.checksums.first().map(|sum| sum.algorithm)) {
        Some(algorithm) => vec![algorithm.of(&object.data)],
        None => Vec::new(),
    };
    let mut reply = Reply::xml(Xml::document("CopyObjectResult", |xml| {
        xml.text("ETag", format_args!("\"{}\"", object.etag));
        xml.text("LastModified", iso_time(object.modified));
        for sum in &object.checksums {
            xml.text(sum.algorithm.element(), &sum.value);
            xml.text("ChecksumType", "FULL_OBJECT");
        }
    }));
    seal::tell(&mut reply, &object.attributes);
    let bucket = buckets.bucket(&call.bucket)?;
    check_write_conditions(call, bucket.objects.get(&call.key))?;
    set_version(&mut reply, bucket.insert(&call.key, Arc::new(object)));
    Ok(reply)
}

pub(super) fn delete(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let marker = buckets.bucket(&call.bucket)?.delete(&call.key);
    let mut reply = Reply::new(StatusCode::NO_CONTENT);
    if marker.is_some() {
        reply.set("x-amz-delete-marker", true);
    }
    set_version(&mut reply, marker);
    Ok(reply)
}

/// At most 1,000 keys (AWS), with a digest of the body as AWS demands.
pub(super) fn delete_many(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    if call.checksums.is_empty() && call.header("content-md5").is_none() {
        return Err(S3Error::invalid_argument("Missing required header for this request: Content-MD5 or a checksum"));
    }
    let body = call.body.to_bytes();
    let text = std::str::from_utf8(&body).map_err(|_| S3Error::malformed_xml())?;
    let objects = xml::elements(text, "Object");
    let keys: Option<Vec<String>> = objects.iter().map(|object| xml::text(object, "Key")).collect();
    let keys = keys.filter(|keys| (1..=1_000).contains(&keys.len())).ok_or_else(S3Error::malformed_xml)?;
    let quiet = xml::text(text, "Quiet").as_deref() == Some("true");
    let bucket = buckets.bucket(&call.bucket)?;
    Ok(Reply::xml(Xml::document("DeleteResult", |xml| {
        for key in &keys {
            bucket.delete(key);
            if !quiet {
                xml.element("Deleted", |xml| xml.text("Key", key));
            }
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_travel_is_not_kept() {
        for (sent, kept) in [("aws-chunked", ""), ("gzip, aws-chunked", "gzip"), ("aws-chunked,gzip", "gzip"), ("gzip", "gzip")] {
            assert_eq!(without_chunked(sent), kept);
        }
    }
}
