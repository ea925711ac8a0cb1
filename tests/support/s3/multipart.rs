//! Multipart uploads: create, parts, complete, abort, and their listings.

use std::{collections::BTreeMap, sync::Arc};

use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    data::Data,
    digest::{self, Algorithm, Checksum},
    error::S3Error,
    list::{encode, iso_time},
    reply::Reply,
    route::Call,
    seal,
    store::{Buckets, Object, Part, PartInfo, Upload},
    write,
    xml::{self, Xml},
};

/// Smallest part that is not the last (AWS).
const MIN_PART: u64 = 5 * 1024 * 1024;
/// Largest part number (AWS).
const MAX_PART: u32 = 10_000;

pub(super) fn create(call: &Call, buckets: &mut Buckets, aws_checksums: bool) -> Result<Reply, S3Error> {
    let attributes = write::attributes(call)?;
    let checksum = match write::algorithm(call)? {
        None => aws_checksums.then_some((Algorithm::Crc64Nvme, true)),
        Some(algorithm) => {
            // CRC-64/NVME exists only over the full object, the SHAs only over the parts (AWS)
            let asked = call.header("x-amz-checksum-type");
            let full = algorithm == Algorithm::Crc64Nvme || asked == Some("FULL_OBJECT");
            if full && matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256) {
                return Err(S3Error::invalid_request("The FULL_OBJECT checksum type cannot be used with this checksum algorithm."));
            }
            Some((algorithm, full))
        }
    };
    buckets.bucket(&call.bucket)?;
    let id = buckets.next_upload_id();
    let upload = Upload { key: call.key.clone(), initiated: Timestamp::now(), attributes, checksum, parts: BTreeMap::new() };
    buckets.bucket(&call.bucket)?.uploads.insert(id.clone(), upload);
    Ok(Reply::xml(Xml::document("InitiateMultipartUploadResult", |xml| {
        xml.text("Bucket", &call.bucket);
        xml.text("Key", &call.key);
        xml.text("UploadId", &id);
    })))
}

fn upload<'b>(call: &Call, buckets: &'b mut Buckets) -> Result<&'b mut Upload, S3Error> {
    let id = call.query.get("uploadId").unwrap_or_default();
    let found = buckets.bucket(&call.bucket)?.uploads.get_mut(id);
    found.filter(|upload| upload.key == call.key).ok_or_else(S3Error::no_such_upload)
}

fn part_number(call: &Call) -> Result<u32, S3Error> {
    let rule = || S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive");
    call.query.number("partNumber")?.filter(|n| (1..=MAX_PART).contains(n)).ok_or_else(rule)
}

pub(super) fn part(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let number = part_number(call)?;
    let upload = upload(call, buckets)?;
    seal::opens(call, "x-amz-", &upload.attributes)?;
    write::check_digest_of_locked(call, &upload.attributes)?;
    if let Some(((asked, _), sent)) = upload.checksum.zip(call.checksums.first())
        && asked != sent.algorithm
    {
        return Err(S3Error::invalid_request("Checksum Type mismatch occurred: the upload was created with another one"));
    }
    let mut reply = Reply::new(StatusCode::OK);
    reply.set("etag", format_args!("\"{}\"", seal::etag(&call.md5, &upload.attributes)));
    seal::tell(&mut reply, &upload.attributes);
    for sum in &call.checksums {
        reply.set(sum.algorithm.header(), &sum.value);
    }
    upload
        .parts
        .insert(number, Part { data: call.body.clone(), md5: call.md5, modified: Timestamp::now(), checksums: call.checksums.clone() });
    Ok(reply)
}

pub(super) fn part_copy(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let number = part_number(call)?;
    let source = write::copy_source(call, buckets)?;
    let data = match call.header("x-amz-copy-source-range") {
        None => source.data.clone(),
        Some(text) => {
            let ends = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'));
            let ends = ends.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
            let inside = ends.filter(|(first, last)| first <= last && *last < source.data.len());
            let (first, last) = inside.ok_or_else(|| S3Error::invalid_argument("The x-amz-copy-source-range is not valid"))?;
            source.data.slice(first..last + 1)
        }
    };
    let upload = upload(call, buckets)?;
    seal::opens(call, "x-amz-", &upload.attributes)?;
    let checksums = upload.checksum.iter().map(|(algorithm, _)| algorithm.of(&data)).collect();
    let part = Part { md5: digest::md5(&data), data, modified: Timestamp::now(), checksums };
    let mut reply = Reply::xml(Xml::document("CopyPartResult", |xml| {
        xml.text("ETag", format_args!("\"{}\"", seal::etag(&part.md5, &upload.attributes)));
        xml.text("LastModified", iso_time(part.modified));
        for sum in &part.checksums {
            xml.text(sum.algorithm.element(), &sum.value);
        }
    }));
    seal::tell(&mut reply, &upload.attributes);
    upload.parts.insert(number, part);
    Ok(reply)
}

pub(super) fn complete(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let body = call.body.to_bytes();
    let wanted = wanted_parts(std::str::from_utf8(&body).map_err(|_| S3Error::malformed_xml())?)?;
    let upload = upload(call, buckets)?;
    let parts = chosen(upload, &wanted)?;
    let object = assemble(upload, &parts);
    for sum in &object.checksums {
        if call.header(sum.algorithm.header()).is_some_and(|sent| sent != sum.value) {
            return Err(S3Error::bad_digest(sum.algorithm.header()));
        }
    }
    let bucket = buckets.bucket(&call.bucket)?;
    write::check_write_conditions(call, bucket.objects.get(&call.key))?;
    let mut reply = Reply::xml(Xml::document("CompleteMultipartUploadResult", |xml| {
        xml.text("Location", format_args!("/{}/{}", call.bucket, call.key));
        xml.text("Bucket", &call.bucket);
        xml.text("Key", &call.key);
        xml.text("ETag", format_args!("\"{}\"", object.etag));
        for sum in &object.checksums {
            xml.text(sum.algorithm.element(), &sum.value);
            xml.text("ChecksumType", if sum.composite() { "COMPOSITE" } else { "FULL_OBJECT" });
        }
    }));
    seal::tell(&mut reply, &object.attributes);
    let version = bucket.insert(&call.key, Arc::new(object));
    bucket.uploads.remove(call.query.get("uploadId").unwrap_or_default());
    write::set_version(&mut reply, version);
    Ok(reply)
}

/// A part as the client lists it: number and ETag without quotes.
type Wanted = (u32, String);

fn wanted_parts(text: &str) -> Result<Vec<Wanted>, S3Error> {
    let part = |inside: &str| {
        let number = xml::text(inside, "PartNumber")?.trim().parse().ok()?;
        Some((number, xml::text(inside, "ETag")?.trim().trim_matches('"').to_owned()))
    };
    let parts: Option<Vec<Wanted>> = xml::elements(text, "Part").into_iter().map(part).collect();
    parts.filter(|parts| !parts.is_empty()).ok_or_else(S3Error::malformed_xml)
}

fn chosen<'u>(upload: &'u Upload, wanted: &[Wanted]) -> Result<Vec<&'u Part>, S3Error> {
    if !wanted.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(S3Error::invalid_part_order());
    }
    let find = |(number, etag): &Wanted| upload.parts.get(number).filter(|part| seal::etag(&part.md5, &upload.attributes) == *etag);
    let parts = wanted.iter().map(find).collect::<Option<Vec<_>>>().ok_or_else(S3Error::invalid_part)?;
    if parts.iter().rev().skip(1).any(|part| part.data.len() < MIN_PART) {
        return Err(S3Error::entity_too_small());
    }
    Ok(parts)
}

fn assemble(upload: &Upload, parts: &[&Part]) -> Object {
    let data = Data::join(parts.iter().map(|part| &part.data));
    let sums: Vec<bytes::Bytes> = parts.iter().map(|part| bytes::Bytes::copy_from_slice(&part.md5)).collect();
    let etag = format!("{}-{}", seal::etag(&digest::md5(&sums.into()), &upload.attributes), parts.len());
    let checksums = match upload.checksum {
        None => Vec::new(),
        Some((algorithm, true)) => vec![algorithm.of(&data)],
        Some((algorithm, false)) => vec![composite(algorithm, parts)],
    };
    let parts = parts.iter().map(|part| PartInfo { size: part.data.len(), checksums: part.checksums.clone() }).collect();
    Object { data, etag, modified: Timestamp::now(), attributes: upload.attributes.clone(), checksums, parts }
}

fn composite(algorithm: Algorithm, parts: &[&Part]) -> Checksum {
    let values: Vec<String> = parts.iter().map(|part| algorithm.of(&part.data).value).collect();
    algorithm.composite(values.iter().map(String::as_str))
}

pub(super) fn abort(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    upload(call, buckets)?;
    buckets.bucket(&call.bucket)?.uploads.remove(call.query.get("uploadId").unwrap_or_default());
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

pub(super) fn list_parts(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let after = call.query.number("part-number-marker")?.unwrap_or(0);
    let max = call.query.number("max-parts")?.map_or(1_000, |n| n.min(1_000) as usize);
    let upload = upload(call, buckets)?;
    let page: Vec<_> = upload.parts.range(after + 1..).take(max).collect();
    let last = page.last().map_or(after, |(number, _)| **number);
    Ok(Reply::xml(Xml::document("ListPartsResult", |xml| {
        xml.text("Bucket", &call.bucket);
        xml.text("Key", &call.key);
        xml.text("UploadId", call.query.get("uploadId").unwrap_or_default());
        xml.text("PartNumberMarker", after);
        xml.text("NextPartNumberMarker", last);
        xml.text("MaxParts", max);
        xml.text("IsTruncated", upload.parts.range(last + 1..).next().is_some());
        for (number, part) in page {
            xml.element("Part", |xml| {
                xml.text("PartNumber", number);
                xml.text("LastModified", iso_time(part.modified));
                xml.text("ETag", format_args!("\"{}\"", seal::etag(&part.md5, &upload.attributes)));
                xml.text("Size", part.data.len());
                for sum in &part.checksums {
                    xml.text(sum.algorithm.element(), &sum.value);
                }
            });
        }
    })))
}

pub(super) fn list_uploads(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    let query = |name| call.query.get(name).unwrap_or_default();
    let url = query("encoding-type") == "url";
    let max = call.query.number("max-uploads")?.map_or(1_000, |n| n.min(1_000) as usize);
    let bucket = buckets.bucket(&call.bucket)?;
    // by key, then by time, which the ids follow
    let mut uploads: Vec<(&str, &str, Timestamp)> =
        bucket.uploads.iter().map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload.initiated)).collect();
    uploads.sort_unstable();
    let marker = (query("key-marker"), query("upload-id-marker"));
    let behind = |key: &str, id: &str| if marker.1.is_empty() { key > marker.0 } else { (key, id) > marker };
    uploads.retain(|(key, id, _)| key.starts_with(query("prefix")) && behind(key, id));
    let truncated = uploads.len() > max;
    uploads.truncate(max);
    Ok(Reply::xml(Xml::document("ListMultipartUploadsResult", |xml| {
        xml.text("Bucket", &call.bucket);
        xml.text("Prefix", encode(query("prefix"), url));
        xml.text("MaxUploads", max);
        xml.text("IsTruncated", truncated);
        if url {
            xml.text("EncodingType", "url");
        }
        if let Some((key, id, _)) = uploads.last().filter(|_| truncated) {
            xml.text("NextKeyMarker", encode(key, url));
            xml.text("NextUploadIdMarker", id);
        }
        for (key, id, initiated) in &uploads {
            xml.element("Upload", |xml| {
                xml.text("Key", encode(key, url));
                xml.text("UploadId", id);
                xml.text("Initiated", iso_time(*initiated));
                xml.text("StorageClass", "STANDARD");
            });
        }
    })))
}
