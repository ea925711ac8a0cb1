//! Copies that the store makes by itself, and deletes.

use dth_proto::doctor::Finding;
use http::Method;

use super::{
    digest,
    examination::{CONTENT, Examination, Unanswered, judged, refuses},
    object::OBJECT,
};
use crate::s3::{
    payload::Payload,
    wire::{Raw, Reply},
};

/// CopyObject.
pub(super) const COPY: &str = "copy";
/// CopyObject of the generation that is named, and no other.
const ON_CONDITION: &str = "copy on condition";
/// A checksum that is asked for with CopyObject.
const WITH_CHECKSUM: &str = "checksum of a copy";
/// DeleteObjects.
pub(super) const BULK: &str = "delete of several";

/// Lets the store copy an object of ours, with headers.
pub(super) async fn with(x: &mut Examination<'_>, from: &str, to: &str, headers: &[(&'static str, &str)]) -> (Finding, String) {
    judged(asked(x, from, to, headers).await, |_| Ok(()))
}

async fn asked(x: &mut Examination<'_>, from: &str, to: &str, headers: &[(&'static str, &str)]) -> Result<Reply, Unanswered> {
    let source = format!("/{}/{}", x.bucket(), x.key(from));
    let key = x.key(to);
    x.keys.insert(key.clone());
    x.about(Method::PUT, Some(&key), &[], &[&[("x-amz-copy-source", source.as_str())], headers].concat()).await
}

pub(super) async fn examine(x: &mut Examination<'_>) {
    let (works, answer) = with(x, OBJECT, "copy", &[]).await;
    if works == Finding::Yes {
        let read = x.get("copy", &[]).await;
        x.judge(COPY, read, |reply| if reply.body == CONTENT { Ok(()) } else { Err("the copy has other bytes".to_owned()) });
        let wrong = asked(x, OBJECT, "copy", &[("x-amz-copy-source-if-match", "\"00000000000000000000000000000000\"")]).await;
        let (works, answer) = refuses(wrong, "a copy of another generation than there is");
        x.found(ON_CONDITION, works, answer);
        let (works, answer) = with(x, OBJECT, "copy", &[("x-amz-checksum-algorithm", "CRC32")]).await;
        if works == Finding::Yes {
            digest::given_back(x, WITH_CHECKSUM, "copy").await;
        } else {
            x.found(WITH_CHECKSUM, works, answer);
        }
    } else {
        [COPY, ON_CONDITION, WITH_CHECKSUM].into_iter().for_each(|name| x.found(name, works, answer.as_str()));
    }
    deletes(x).await;
}

async fn deletes(x: &mut Examination<'_>) {
    for rest in ["bulk-1", "bulk-2", "single"] {
        // what is not there cannot be seen to go
        let _ = x.put(rest, CONTENT, &[]).await;
    }
    let object = |rest: &str| format!("<Object><Key>{}</Key></Object>", x.key(rest));
    let body = format!("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}{}</Delete>", object("bulk-1"), object("bulk-2"));
    let body = Payload::from(bytes::Bytes::from(body));
    let md5 = body.md5().base64();
    let headers = [("content-md5", md5.as_str()), ("content-type", "application/xml")];
    let request = Raw { method: Method::POST, key: None, query: &[("delete", "")], headers: &headers, body: Some(&body), unsigned: false };
    let answer = x.ask(request).await;
    let (works, answer) = judged(answer, |reply| match reply.elements("Code").pop() {
        None => Ok(()),
        Some(code) => Err(format!("answers {code}")),
    });
    let mut left = 0;
    for rest in ["bulk-1", "bulk-2"] {
        left += u32::from(x.get(rest, &[]).await.is_ok_and(|reply| reply.is_ok()));
    }
    match (works, left) {
        (Finding::Yes, 0) => x.found(BULK, Finding::Yes, ""),
        (Finding::Yes, left) => x.found(BULK, Finding::No, format!("answers that all is well, but {left} of 2 objects are left")),
        (works, _) => x.found(BULK, works, answer),
    }
    let key = x.key("single");
    let deleted = x.about(Method::DELETE, Some(&key), &[], &[]).await;
    let (works, answer) = judged(deleted, |_| Ok(()));
    let left = x.get("single", &[]).await;
    match (works, left) {
        (Finding::Yes, Ok(reply)) if reply.status == 404 => x.found("delete", Finding::Yes, ""),
        (Finding::Yes, Ok(reply)) => x.found("delete", Finding::No, format!("the object still answers {}", reply.words())),
        (Finding::Yes, Err(why)) => x.found("delete", Finding::Unknown, why),
        (works, _) => x.found("delete", works, answer),
    }
}
