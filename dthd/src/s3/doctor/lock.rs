//! Object Lock, by each way to make an object: tried with a legal hold, which can be taken away again.

use bytes::Bytes;
use dth_proto::doctor::Finding;
use http::Method;

use super::{
    copy,
    examination::{CONTENT, Examination, judged},
    object::OBJECT,
    upload,
};
use crate::s3::{payload::Payload, wire::Raw};

/// Object Lock.
pub(super) const LOCK: &str = "Object Lock";
/// The ways.
const WAYS: [&str; 3] = ["Object Lock with PUT", "Object Lock with parts", "Object Lock with a copy"];
const HOLD: (&str, &str) = ("x-amz-object-lock-legal-hold", "ON");

pub(super) async fn examine(x: &mut Examination<'_>) {
    let asked = x.about(Method::GET, None, &[("object-lock", "")], &[]).await;
    let is_on = match asked {
        // it knows the question, and that it is off here
        Ok(reply) if reply.code == "ObjectLockConfigurationNotFoundError" => {
            x.found(LOCK, Finding::Yes, "not switched on for this bucket");
            false
        }
        answer => {
            let enabled = |enabled: Vec<String>| if enabled.is_empty() { Err("answers without saying".to_owned()) } else { Ok(()) };
            x.judge(LOCK, answer, |reply| enabled(reply.elements("ObjectLockEnabled")))
        }
    };
    if is_on {
        with_put(x, WAYS[0]).await;
        with_parts(x, WAYS[1]).await;
        with_copy(x, WAYS[2]).await;
    } else {
        let (works, why) = match x.finding(LOCK) {
            Finding::Yes => (Finding::Unknown, "not switched on for this bucket"),
            Finding::No => (Finding::No, "it knows no Object Lock"),
            Finding::Unknown => (Finding::Unknown, "whether the bucket has it is not known"),
        };
        WAYS.into_iter().for_each(|way| x.found(way, works, why));
    }
}

async fn with_put(x: &mut Examination<'_>, way: &'static str) {
    // asked for with a lock (AWS: API reference, PutObject)
    let md5 = Payload::from(Bytes::from_static(CONTENT)).md5().base64();
    let written = x.put("lock", CONTENT, &[HOLD, ("content-md5", &md5)]).await;
    let (works, answer) = judged(written, |_| Ok(()));
    held(x, way, "lock", works, answer).await;
}

async fn with_parts(x: &mut Examination<'_>, way: &'static str) {
    let (works, answer) = upload::in_one_part(x, "lock-parts", &[HOLD]).await;
    held(x, way, "lock-parts", works, answer).await;
}

async fn with_copy(x: &mut Examination<'_>, way: &'static str) {
    let (works, answer) = copy::with(x, OBJECT, "lock-copy", &[HOLD]).await;
    held(x, way, "lock-copy", works, answer).await;
}

/// Whether the object that was written is held; then it is so no more.
async fn held(x: &mut Examination<'_>, way: &'static str, rest: &str, works: Finding, answer: String) {
    if works != Finding::Yes {
        x.found(way, works, answer);
        return;
    }
    let read = x.get(rest, &[]).await;
    let (header, value) = HOLD;
    let held = x.judge(way, read, |reply| match reply.header(header) {
        Some(shown) if shown == value => Ok(()),
        _ => Err("takes a legal hold, but the object has none".to_owned()),
    });
    if held {
        let body = Payload::from(Bytes::from_static(
            b"<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>OFF</Status></LegalHold>",
        ));
        let (key, md5) = (x.key(rest), body.md5().base64());
        let headers = [("content-md5", md5.as_str())];
        let query = [("legal-hold", "")];
        let off = Raw { method: Method::PUT, key: Some(&key), query: &query, headers: &headers, body: Some(&body), unsigned: false };
        // one that stays is among what is left
        if let (Finding::No | Finding::Unknown, why) = judged(x.ask(off).await, |_| Ok(())) {
            tracing::warn!(?key, %why, "a scratch object keeps its legal hold");
        }
    }
}
