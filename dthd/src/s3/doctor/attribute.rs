//! What belongs to an object besides its bytes: metadata, tags, ACL, storage class, encryption; versions and locks of the bucket.

use dth_proto::doctor::Finding;
use http::Method;

use super::examination::{CONTENT, Examination, judged};
use crate::s3::verify::Md5Sum;

/// Tags.
pub(super) const TAGS: &str = "tags";
/// Canned ACLs.
pub(super) const ACL: &str = "ACL";
/// A storage class other than the default.
pub(super) const CLASS: &str = "storage class STANDARD_IA";
/// Object Lock.
pub(super) const LOCK: &str = "Object Lock";
/// Versions.
pub(super) const VERSIONS: &str = "versions";

pub(super) async fn examine(x: &mut Examination<'_>) {
    metadata(x).await;
    tags(x).await;
    let written = x.put("acl", CONTENT, &[("x-amz-acl", "private")]).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works == Finding::Yes {
        let key = x.key("acl");
        let read = x.about(Method::GET, Some(&key), &[("acl", "")], &[]).await;
        x.judge(
            ACL,
            read,
            |reply| if reply.elements("Permission").is_empty() { Err("takes one, but shows none".to_owned()) } else { Ok(()) },
        );
    } else {
        x.found(ACL, works, answer);
    }
    kept(x, CLASS, "class", &[("x-amz-storage-class", "STANDARD_IA")]).await;
    // as it comes from sources that check nothing
    kept(x, "Expires that is no date", "expires", &[("expires", "in a while")]).await;
    kept(x, "website redirect", "redirect", &[("x-amz-website-redirect-location", "/elsewhere")]).await;
    kept(x, "encryption SSE-S3", "sse-s3", &[("x-amz-server-side-encryption", "AES256")]).await;
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    kept(x, "encryption SSE-KMS", "sse-kms", &[kms]).await;
    kept(x, "bucket key of SSE-KMS", "bucket-key", &[("x-amz-server-side-encryption-bucket-key-enabled", "true"), kms]).await;
    own_key(x).await;
    bucket(x).await;
}

async fn metadata(x: &mut Examination<'_>) {
    let sent = [
        ("cache-control", "no-transform, max-age=7"),
        ("content-disposition", "attachment; filename=\"a b\""),
        ("content-encoding", "identity"),
        ("content-language", "de"),
        ("content-type", "text/x; a=\"b\""),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-some-name", "some value"),
    ];
    let written = x.put("metadata", CONTENT, &sent).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works != Finding::Yes {
        x.found("metadata", works, answer);
        return;
    }
    let read = x.get("metadata", &[]).await;
    x.judge("metadata", read, |reply| {
        let lost: Vec<&str> = sent.iter().filter(|(name, value)| reply.header(name) != Some(value)).map(|(name, _)| *name).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("does not give back {} as it was", lost.join(", "))) }
    });
}

async fn tags(x: &mut Examination<'_>) {
    let written = x.put("tags", CONTENT, &[("x-amz-tagging", "some=tag%20and%20space")]).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works != Finding::Yes {
        x.found(TAGS, works, answer);
        return;
    }
    let key = x.key("tags");
    let read = x.about(Method::GET, Some(&key), &[("tagging", "")], &[]).await;
    let right = x.judge(TAGS, read, |reply| match reply.elements("Value").as_slice() {
        [value] if value == "tag and space" => Ok(()),
        other => Err(format!("shows {other:?} for \"tag and space\"")),
    });
    if right {
        let counted = x.get("tags", &[]).await;
        x.judge("tags counted with GET", counted, |reply| match reply.header("x-amz-tagging-count") {
            Some("1") => Ok(()),
            _ => Err("no x-amz-tagging-count in the answer".to_owned()),
        });
    }
}

/// Writes an object with headers, of which GET must show the first again.
async fn kept(x: &mut Examination<'_>, name: &'static str, rest: &str, headers: &[(&'static str, &str)]) {
    let Some((header, value)) = headers.first() else { return };
    let written = x.put(rest, CONTENT, headers).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works != Finding::Yes {
        x.found(name, works, answer);
        return;
    }
    let read = x.get(rest, &[]).await;
    x.judge(name, read, |reply| match reply.header(header) {
        Some(shown) if shown == *value => Ok(()),
        Some(shown) => Err(format!("makes {shown} of it")),
        None => Err("takes it, but does not show it again".to_owned()),
    });
}

/// SSE-C: the store keeps no key, and cannot read the object without ours.
async fn own_key(x: &mut Examination<'_>) {
    const NAME: &str = "encryption SSE-C";
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let key: [u8; 32] = rand::random();
    let (encoded, md5) = (STANDARD.encode(key), Md5Sum::of(&key).base64());
    let headers = [
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", encoded.as_str()),
        ("x-amz-server-side-encryption-customer-key-md5", md5.as_str()),
    ];
    let written = x.put("sse-c", CONTENT, &headers).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works != Finding::Yes {
        x.found(NAME, works, answer);
        return;
    }
    let without = x.get("sse-c", &[]).await;
    if without.is_ok_and(|reply| reply.is_ok()) {
        x.found(NAME, Finding::No, "takes a key, but gives the object to who has none");
        return;
    }
    let with = x.get("sse-c", &headers).await;
    x.judge(NAME, with, |reply| if reply.body == CONTENT { Ok(()) } else { Err("gives other bytes back".to_owned()) });
}

/// Asked of the bucket; nothing of it is changed.
async fn bucket(x: &mut Examination<'_>) {
    let lock = x.about(Method::GET, None, &[("object-lock", "")], &[]).await;
    match lock {
        // it knows the question, and that it is off here
        Ok(reply) if reply.code == "ObjectLockConfigurationNotFoundError" => x.found(LOCK, Finding::Yes, "not switched on for this bucket"),
        answer => {
            x.judge(LOCK, answer, |reply| {
                if reply.elements("ObjectLockEnabled").is_empty() { Err("answers without saying".to_owned()) } else { Ok(()) }
            });
        }
    }
    let asked = x.about(Method::GET, None, &[("versioning", "")], &[]).await;
    let status = asked.as_ref().ok().and_then(|reply| reply.elements("Status").pop());
    let (works, answer) = judged(asked, |_| Ok(()));
    if works != Finding::Yes {
        x.found(VERSIONS, works, answer);
        return;
    }
    let prefix = x.prefix.clone();
    let listed = x.about(Method::GET, None, &[("prefix", &prefix), ("versions", "")], &[]).await;
    let (works, answer) = judged(listed, |reply| match reply.elements("VersionId").is_empty() {
        true => Err("cannot list them".to_owned()),
        false => Ok(()),
    });
    let answer = if works == Finding::Yes { format!("here: {}", status.as_deref().unwrap_or("never switched on")) } else { answer };
    x.found(VERSIONS, works, answer);
}
