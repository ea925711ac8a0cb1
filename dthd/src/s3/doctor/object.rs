//! One object: written, read, in part, on condition.

use dth_proto::doctor::Finding;
use http::Method;

use super::examination::{CONTENT, Examination, refuses};
use crate::s3::{object::ETag, payload::Payload, verify::Md5Sum, wire::Raw};

/// The ETag of a single PUT is the MD5.
pub(super) const ETAG: &str = "ETag is the MD5";
/// Bodies without a hash in the signature.
pub(super) const UNSIGNED: &str = "unsigned payload";
/// The object that others are made from.
pub(super) const OBJECT: &str = "object";

/// # Errors
/// When there can be no examination: nothing can be written, or read.
pub(super) async fn examine(x: &mut Examination<'_>) -> Result<(), String> {
    let written = x.put(OBJECT, CONTENT, &[]).await;
    let etag = written.as_ref().ok().and_then(|reply| reply.header("etag")).map(ETag::new).unwrap_or_default();
    let words = written.as_ref().map_or_else(Clone::clone, super::super::wire::Reply::words);
    if !x.judge("put", written, |_| Ok(())) {
        return Err(format!("nothing can be written to {}: {words}", x.bucket()));
    }
    let read = x.get(OBJECT, &[]).await;
    let words = read.as_ref().map_or_else(Clone::clone, super::super::wire::Reply::words);
    if !x.judge("get", read, |reply| if reply.body == CONTENT { Ok(()) } else { Err("gives other bytes back".to_owned()) }) {
        return Err(format!("what is written to {} cannot be read: {words}", x.bucket()));
    }
    let md5 = Md5Sum::of(CONTENT).hex();
    match etag.as_str() == md5 {
        true => x.found(ETAG, Finding::Yes, ""),
        false => x.found(ETAG, Finding::No, format!("the ETag is {etag}, the MD5 {md5}")),
    }
    let part = x.get(OBJECT, &[("range", "bytes=3-6")]).await;
    x.judge("range of bytes", part, |reply| {
        let right = reply.status == 206 && reply.body == CONTENT[3..7];
        if right { Ok(()) } else { Err(format!("answers {} with {} bytes to a range of 4", reply.status, reply.body.len())) }
    });
    let pinned = x.get(OBJECT, &[("if-match", &etag.quoted())]).await;
    let right = x.judge("If-Match that holds", pinned, |_| Ok(()));
    let wrong = x.get(OBJECT, &[("if-match", "\"00000000000000000000000000000000\"")]).await;
    let (works, answer) = refuses(wrong, "an If-Match that does not hold");
    x.found("If-Match that does not hold", if right { works } else { Finding::Unknown }, answer);
    let again = x.put(OBJECT, CONTENT, &[("if-none-match", "*")]).await;
    let (works, answer) = refuses(again, "a PUT with If-None-Match: * over an object");
    x.found("PUT on condition", works, answer);
    let key = x.key("unsigned");
    x.keys.insert(key.clone());
    let body = Payload::from(bytes::Bytes::from_static(CONTENT));
    let unsigned = x.ask(Raw { method: Method::PUT, key: Some(&key), query: &[], headers: &[], body: Some(&body), unsigned: true }).await;
    x.judge(UNSIGNED, unsigned, |_| Ok(()));
    Ok(())
}
