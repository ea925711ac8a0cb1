//! Uploads in parts, also of parts that the store copies by itself.

use dth_proto::doctor::Finding;
use http::Method;

use super::{
    digest::{CHECKSUMS, right_and_wrong},
    examination::{CONTENT, Examination, Unanswered, judged, refuses},
    object::OBJECT,
};
use crate::s3::{
    object::ETag,
    payload::Payload,
    verify::{Md5Sum, multipart_etag},
    wire::{Raw, Reply},
};

/// Uploads in parts.
pub(super) const UPLOAD: &str = "upload in parts";
/// The ETag of an object from parts is S3's.
pub(super) const ETAG: &str = "ETag of parts is S3's";
/// A wrong checksum of a part is refused.
pub(super) const PART_CHECKSUM: &str = "checksum of a part";
/// A wrong checksum of everything is refused when the upload is completed.
pub(super) const WHOLE_CHECKSUM: &str = "checksum of an upload";
/// UploadPartCopy.
pub(super) const COPY: &str = "copy of parts";

/// Smallest part but the last (AWS: "Amazon S3 multipart upload limits").
const PART: usize = 5 << 20;

pub(super) async fn examine(x: &mut Examination<'_>) {
    parts(x).await;
    checked(x).await;
    copy_of_parts(x, COPY, (OBJECT, &[]), ("copied-parts", &[])).await;
}

async fn parts(x: &mut Examination<'_>) {
    let id = match begin(x, "parts").await {
        Ok(id) => id,
        Err((works, answer)) => {
            x.found(UPLOAD, works, answer);
            return;
        }
    };
    let first = vec![b'-'; PART];
    let mut tags = Vec::new();
    for (number, content) in [("1", &first[..]), ("2", CONTENT)] {
        let sent = send(x, "parts", &id, number, content, &[]).await;
        let etag = sent.as_ref().ok().and_then(|reply| reply.header("etag")).map(ETag::new);
        let (works, answer) = judged(sent, |_| Ok(()));
        match etag.filter(|_| works == Finding::Yes) {
            Some(etag) => tags.push(etag),
            None => {
                x.found(UPLOAD, if works == Finding::Yes { Finding::No } else { works }, format!("part {number}: {answer}"));
                return;
            }
        }
    }
    let crc = CHECKSUMS.iter().find(|(name, ..)| x.works(name)).copied();
    match crc {
        Some((_, crc, header)) => {
            // the same part again: refused, it stays as it was
            let wrong = send(x, "parts", &id, "2", CONTENT, &[(header, &right_and_wrong(crc, CONTENT).1)]).await;
            let (works, answer) = refuses(wrong, "a checksum of a part that is wrong");
            x.found(PART_CHECKSUM, works, answer);
        }
        None => x.found(PART_CHECKSUM, Finding::No, "it compares none with PUT"),
    }
    let key = x.key("parts");
    let listed = x.about(Method::GET, Some(&key), &[("uploadId", &id)], &[]).await;
    x.judge("parts of an upload listed", listed, |reply| match reply.elements("PartNumber").len() {
        2 => Ok(()),
        n => Err(format!("lists {n} parts of 2")),
    });
    let done = complete(x, "parts", &id, &tags, &[]).await;
    let etag = done.as_ref().ok().and_then(|reply| reply.elements("ETag").pop()).map(|etag| ETag::new(&etag));
    if !x.judge(UPLOAD, done, |_| Ok(())) {
        return;
    }
    let expected = multipart_etag(&[Md5Sum::of(&first), Md5Sum::of(CONTENT)]);
    match etag {
        Some(etag) if etag == expected => x.found(ETAG, Finding::Yes, ""),
        etag => x.found(ETAG, Finding::No, format!("it is {}, S3's would be {expected}", etag.unwrap_or_default())),
    }
}

/// An upload whose completion announces a checksum of the whole object that is wrong.
async fn checked(x: &mut Examination<'_>) {
    if !x.works(PART_CHECKSUM) {
        x.found(WHOLE_CHECKSUM, Finding::No, "it compares none with a part");
        return;
    }
    let (_, crc, header) = CHECKSUMS[2];
    let announced = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let id = match begin_with(x, "checked-parts", &announced).await {
        Ok(id) => id,
        Err((works, answer)) => {
            x.found(WHOLE_CHECKSUM, works, answer);
            return;
        }
    };
    let (right, wrong) = right_and_wrong(crc, CONTENT);
    let sent = send(x, "checked-parts", &id, "1", CONTENT, &[(header, &right)]).await;
    let etag = sent.as_ref().ok().and_then(|reply| reply.header("etag")).map(ETag::new);
    let (works, answer) = judged(sent, |_| Ok(()));
    let Some(etag) = etag.filter(|_| works == Finding::Yes) else {
        x.found(WHOLE_CHECKSUM, if works == Finding::Yes { Finding::No } else { works }, answer);
        return;
    };
    let tags = [etag];
    let headers = |value| [(header, value), ("x-amz-checksum-type", "FULL_OBJECT")];
    let refused = complete(x, "checked-parts", &id, &tags, &headers(&wrong)).await;
    let (works, answer) = refuses(refused, "a checksum of the whole that is wrong");
    if works != Finding::Yes {
        x.found(WHOLE_CHECKSUM, works, answer);
        return;
    }
    // a store that refuses every announced checksum compares none
    let taken = complete(x, "checked-parts", &id, &tags, &headers(&right)).await;
    x.judge(WHOLE_CHECKSUM, taken, |_| Ok(()));
}

/// Lets the store make an object of a part that it copies. `from`, `to`: below the prefix, and the headers that have to do with it.
pub(super) async fn copy_of_parts(
    x: &mut Examination<'_>,
    name: &'static str,
    (from, reading): (&str, &[(&'static str, &str)]),
    (to, writing): (&str, &[(&'static str, &str)]),
) {
    let id = match begin_with(x, to, writing).await {
        Ok(id) => id,
        Err((works, answer)) => {
            x.found(name, works, answer);
            return;
        }
    };
    let (key, source) = (x.key(to), format!("/{}/{}", x.bucket(), x.key(from)));
    let query = [("partNumber", "1"), ("uploadId", id.as_str())];
    let headers = [&[("x-amz-copy-source", source.as_str())], reading, writing].concat();
    let copied = x.about(Method::PUT, Some(&key), &query, &headers).await;
    let etag = copied.as_ref().ok().and_then(|reply| reply.elements("ETag").pop()).map(|etag| ETag::new(&etag));
    let (works, answer) = judged(copied, |_| Ok(()));
    let Some(etag) = etag.filter(|_| works == Finding::Yes) else {
        let answer = if answer.is_empty() { "takes it, but names no ETag".to_owned() } else { answer };
        x.found(name, if works == Finding::Yes { Finding::No } else { works }, answer);
        return;
    };
    let done = complete(x, to, &id, &[etag], &[]).await;
    let (works, answer) = judged(done, |_| Ok(()));
    if works != Finding::Yes {
        x.found(name, works, answer);
        return;
    }
    let read = x.get(to, writing).await;
    x.judge(name, read, |reply| if reply.body == CONTENT { Ok(()) } else { Err("the copy has other bytes".to_owned()) });
}

/// Makes an object of one part, with headers that begin the upload.
pub(super) async fn in_one_part(x: &mut Examination<'_>, rest: &str, headers: &[(&'static str, &str)]) -> (Finding, String) {
    let id = match begin_with(x, rest, headers).await {
        Ok(id) => id,
        Err(why) => return why,
    };
    let sent = send(x, rest, &id, "1", CONTENT, &[]).await;
    let etag = sent.as_ref().ok().and_then(|reply| reply.header("etag")).map(ETag::new);
    match (judged(sent, |_| Ok(())), etag) {
        ((Finding::Yes, _), Some(etag)) => judged(complete(x, rest, &id, &[etag], &[]).await, |_| Ok(())),
        ((Finding::Yes, _), None) => (Finding::No, "takes a part, but names no ETag".to_owned()),
        (why, _) => why,
    }
}

async fn begin(x: &mut Examination<'_>, rest: &str) -> Result<String, (Finding, String)> {
    begin_with(x, rest, &[]).await
}

/// Begins an upload; its id.
async fn begin_with(x: &mut Examination<'_>, rest: &str, headers: &[(&'static str, &str)]) -> Result<String, (Finding, String)> {
    let key = x.key(rest);
    x.keys.insert(key.clone());
    let body = Payload::default();
    let request = Raw { method: Method::POST, key: Some(&key), query: &[("uploads", "")], headers, body: Some(&body), unsigned: false };
    let begun = x.ask(request).await;
    let id = begun.as_ref().ok().and_then(|reply| reply.elements("UploadId").pop()).filter(|id| !id.is_empty());
    let (works, answer) = judged(begun, |_| Ok(()));
    match id.filter(|_| works == Finding::Yes) {
        Some(id) => {
            x.uploads.push((key, id.clone()));
            Ok(id)
        }
        None if works == Finding::Yes => Err((Finding::No, "begins an upload, but names no UploadId".to_owned())),
        None => Err((works, answer)),
    }
}

async fn send(
    x: &mut Examination<'_>,
    rest: &str,
    id: &str,
    number: &str,
    content: &[u8],
    headers: &[(&'static str, &str)],
) -> Result<Reply, Unanswered> {
    let key = x.key(rest);
    let body = Payload::from(bytes::Bytes::copy_from_slice(content));
    let query = [("partNumber", number), ("uploadId", id)];
    x.ask(Raw { method: Method::PUT, key: Some(&key), query: &query, headers, body: Some(&body), unsigned: false }).await
}

async fn complete(
    x: &mut Examination<'_>,
    rest: &str,
    id: &str,
    tags: &[ETag],
    headers: &[(&'static str, &str)],
) -> Result<Reply, Unanswered> {
    let key = x.key(rest);
    let part = |(number, etag): (usize, &ETag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", etag.quoted());
    let parts: String = (1..).zip(tags).map(part).collect();
    let body = format!("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>");
    let body = Payload::from(bytes::Bytes::from(body));
    let request = Raw { method: Method::POST, key: Some(&key), query: &[("uploadId", id)], headers, body: Some(&body), unsigned: false };
    let reply = x.ask(request).await?;
    if reply.is_ok() && !reply.elements("ETag").is_empty() {
        // nothing is left to abort, and some stores answer 403 to who tries
        x.uploads.retain(|(_, begun)| begun != id);
    }
    Ok(reply)
}
