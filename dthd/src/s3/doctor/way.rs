//! Whether what PUT keeps of an object is kept by the other ways to make one: in parts, and by a copy of the store.

use dth_proto::doctor::Finding;
use http::Method;

use super::{
    attribute::{is_public, is_tagged},
    copy,
    examination::{Examination, judged},
    object::OBJECT,
    upload,
};
use crate::s3::wire::Reply;

/// Things that no answer to GET shows, and the question that does.
const ASKED: [(&str, &str); 2] = [("x-amz-acl", "acl"), ("x-amz-tagging", "tagging")];

pub(super) async fn examine(x: &mut Examination<'_>) {
    let kept = x.kept.clone();
    let headers: Vec<(&'static str, &str)> = kept.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let written = upload::in_one_part(x, "kept-parts", &headers).await;
    compare(x, "the same with parts", "kept-parts", &headers, written).await;
    let replace = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-tagging-directive", "REPLACE")];
    let written = copy::with(x, OBJECT, "kept-copy", &[&headers[..], &replace[..]].concat()).await;
    compare(x, "the same with a copy", "kept-copy", &headers, written).await;
}

async fn compare(
    x: &mut Examination<'_>,
    name: &'static str,
    rest: &str,
    headers: &[(&'static str, &str)],
    (works, answer): (Finding, String),
) {
    if works != Finding::Yes {
        x.found(name, works, answer);
        return;
    }
    let read = x.get(rest, &[]).await;
    let shown = |header: &str, value: &str| read.as_ref().is_ok_and(|reply| reply.header(header) == Some(value));
    let is_asked = |header: &str| ASKED.iter().any(|(asked, _)| *asked == header);
    let mut lost: Vec<&str> =
        headers.iter().filter(|(header, value)| !is_asked(header) && !shown(header, value)).map(|(header, _)| *header).collect();
    let key = x.key(rest);
    for (header, question) in ASKED {
        if headers.iter().any(|(kept, _)| *kept == header) {
            let told = x.about(Method::GET, Some(&key), &[(question, "")], &[]).await;
            let is_shown = |reply: &Reply| match question {
                "acl" if !is_public(reply) => Err(String::new()),
                "acl" => Ok(()),
                _ => is_tagged(reply),
            };
            // a question without an answer says nothing
            if judged(told, is_shown).0 == Finding::No {
                lost.push(header);
            }
        }
    }
    x.judge(name, read, |_| if lost.is_empty() { Ok(()) } else { Err(format!("takes, but loses {}", lost.join(", "))) });
}
