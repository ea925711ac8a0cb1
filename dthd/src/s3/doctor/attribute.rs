//! What belongs to an object besides its bytes, written by PUT: metadata, tags, ACL, storage class, encryption; versions of the bucket.

use dth_proto::doctor::Finding;
use http::Method;

use super::{
    examination::{CONTENT, Examination, judged},
    upload,
};
use crate::s3::{verify::Md5Sum, wire::Reply};

/// Tags.
pub(super) const TAGS: &str = "tags";
/// Canned ACLs.
pub(super) const ACL: &str = "ACL";
/// A storage class other than the default.
pub(super) const CLASS: &str = "storage class STANDARD_IA";
/// Versions.
pub(super) const VERSIONS: &str = "versions";

/// What gives an object tags.
const TAGGING: (&str, &str) = ("x-amz-tagging", "some=tag%20and%20space");
/// What gives it a canned ACL.
const PUBLIC: (&str, &str) = ("x-amz-acl", "public-read");

pub(super) async fn examine(x: &mut Examination<'_>) {
    metadata(x).await;
    tags(x).await;
    acl(x).await;
    kept(x, CLASS, "class", &[("x-amz-storage-class", "STANDARD_IA")]).await;
    // as it comes from sources that check nothing
    kept(x, "Expires that is no date", "expires", &[("expires", "in a while")]).await;
    kept(x, "website redirect", "redirect", &[("x-amz-website-redirect-location", "/elsewhere")]).await;
    kept(x, "encryption SSE-S3", "sse-s3", &[("x-amz-server-side-encryption", "AES256")]).await;
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    kept(x, "encryption SSE-KMS", "sse-kms", &[kms]).await;
    kept(x, "bucket key of SSE-KMS", "bucket-key", &[("x-amz-server-side-encryption-bucket-key-enabled", "true"), kms]).await;
    own_key(x).await;
    versions(x).await;
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
    if !takes(x, "metadata", "metadata", &sent).await {
        return;
    }
    let read = x.get("metadata", &[]).await;
    let (kept, lost): (Vec<_>, Vec<_>) =
        sent.iter().partition(|(name, value)| read.as_ref().is_ok_and(|reply| reply.header(name) == Some(value)));
    x.judge("metadata", read, |_| match lost.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ") {
        lost if lost.is_empty() => Ok(()),
        lost => Err(format!("does not give back {lost} as it was")),
    });
    x.keep(&kept);
}

/// One that everyone may read, for as long as the examination takes: what only the owner may do is what objects without ACLs show as well.
async fn acl(x: &mut Examination<'_>) {
    if !takes(x, ACL, "acl", &[PUBLIC]).await {
        return;
    }
    let key = x.key("acl");
    let read = x.about(Method::GET, Some(&key), &[("acl", "")], &[]).await;
    if x.judge(ACL, read, |reply| if is_public(reply) { Ok(()) } else { Err("takes one, but does not show it again".to_owned()) }) {
        x.keep(&[PUBLIC]);
    }
}

/// Whether an answer about an ACL has what [`PUBLIC`] asks for (AWS: "Access control list (ACL) overview").
pub(super) fn is_public(reply: &Reply) -> bool {
    reply.elements("URI").iter().any(|uri| uri.ends_with("/AllUsers"))
}

async fn tags(x: &mut Examination<'_>) {
    if !takes(x, TAGS, "tags", &[TAGGING]).await {
        return;
    }
    let key = x.key("tags");
    let read = x.about(Method::GET, Some(&key), &[("tagging", "")], &[]).await;
    if x.judge(TAGS, read, is_tagged) {
        x.keep(&[TAGGING]);
        let counted = x.get("tags", &[]).await;
        x.judge("tags counted with GET", counted, |reply| match reply.header("x-amz-tagging-count") {
            Some("1") => Ok(()),
            _ => Err("no x-amz-tagging-count in the answer".to_owned()),
        });
    }
}

/// Whether an answer about tags has those of [`TAGGING`].
pub(super) fn is_tagged(reply: &Reply) -> Result<(), String> {
    match reply.elements("Value").as_slice() {
        [value] if value == "tag and space" => Ok(()),
        other => Err(format!("shows {other:?} for \"tag and space\"")),
    }
}

/// Writes an object with headers; what is not taken is noted under the name.
async fn takes(x: &mut Examination<'_>, name: &'static str, rest: &str, headers: &[(&'static str, &str)]) -> bool {
    let written = x.put(rest, CONTENT, headers).await;
    let (works, answer) = judged(written, |_| Ok(()));
    if works != Finding::Yes {
        x.found(name, works, answer);
    }
    works == Finding::Yes
}

/// Writes an object with headers, of which GET must show the first again.
async fn kept(x: &mut Examination<'_>, name: &'static str, rest: &str, headers: &[(&'static str, &str)]) {
    let Some((header, value)) = headers.first() else { return };
    if !takes(x, name, rest, headers).await {
        return;
    }
    let read = x.get(rest, &[]).await;
    let shown = x.judge(name, read, |reply| match reply.header(header) {
        Some(shown) if shown == *value => Ok(()),
        Some(shown) => Err(format!("makes {shown} of it")),
        None => Err("takes it, but does not show it again".to_owned()),
    });
    if shown {
        x.keep(headers);
    }
}

/// SSE-C: the store keeps no key, and cannot read the object without ours.
async fn own_key(x: &mut Examination<'_>) {
    const NAME: &str = "encryption SSE-C";
    const COPY: &str = "copy of parts with SSE-C";
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let key: [u8; 32] = rand::random();
    let (encoded, md5) = (STANDARD.encode(key), Md5Sum::of(&key).base64());
    let headers = [
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", encoded.as_str()),
        ("x-amz-server-side-encryption-customer-key-md5", md5.as_str()),
    ];
    if !takes(x, NAME, "sse-c", &headers).await {
        x.found(COPY, x.finding(NAME), "it is the same with a PUT");
        return;
    }
    let without = x.get("sse-c", &[]).await;
    if without.is_ok_and(|reply| reply.is_ok()) {
        const WHY: &str = "takes a key, but gives the object to who has none";
        x.found(NAME, Finding::No, WHY);
        x.found(COPY, Finding::No, WHY);
        return;
    }
    let with = x.get("sse-c", &headers).await;
    x.judge(NAME, with, |reply| if reply.body == CONTENT { Ok(()) } else { Err("gives other bytes back".to_owned()) });
    let source = [
        ("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-copy-source-server-side-encryption-customer-key", encoded.as_str()),
        ("x-amz-copy-source-server-side-encryption-customer-key-md5", md5.as_str()),
    ];
    upload::copy_of_parts(x, COPY, ("sse-c", &source), ("sse-c-parts", &headers)).await;
}

/// Asked of the bucket; nothing of it is changed.
async fn versions(x: &mut Examination<'_>) {
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
