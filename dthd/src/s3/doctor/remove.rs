//! Taking away everything that an examination has made.

use std::collections::BTreeSet;

use http::Method;

use super::{
    attribute::VERSIONS,
    examination::{Examination, Page},
};

/// Rounds of listing and deleting: some stores show what is gone for a moment.
const ROUNDS: u32 = 5;
/// Most that is named of what is left.
const NAMED: usize = 20;

/// Removes uploads, objects and their versions; answers with what is left, and why.
pub(super) async fn everything(x: &mut Examination<'_>) -> Vec<String> {
    x.begin_removing();
    let mut left = Vec::new();
    uploads(x, &mut left).await;
    for key in std::mem::take(&mut x.keys) {
        delete(x, &key, None).await;
    }
    for _ in 0..ROUNDS {
        // also what the store has made of a key that it does not keep as it is
        let Ok(found) = listed(x).await else { break };
        if found.is_empty() {
            break;
        }
        for key in found {
            delete(x, &key, None).await;
        }
    }
    if x.works(VERSIONS) {
        left.extend(versions(x).await.into_iter().take(NAMED));
    }
    match listed(x).await {
        Ok(found) => left.extend(found.into_iter().take(NAMED).map(|key| format!("object {key:?}"))),
        Err(why) => left.push(format!("whether objects are left below {:?} is not known: {why}", x.prefix)),
    }
    left
}

async fn listed(x: &mut Examination<'_>) -> Result<BTreeSet<String>, String> {
    // without an examination of listings: as most stores have them
    let (version, url_encoding) = x.listing.unwrap_or((2, true));
    Ok(x.list("", &Page { version, url_encoding, ..Page::default() }).await?.keys.into_iter().collect())
}

/// Why it is still there; nothing when it is gone.
async fn delete(x: &mut Examination<'_>, key: &str, version: Option<&str>) {
    let query: Vec<(&str, &str)> = version.map(|id| ("versionId", id)).into_iter().collect();
    match x.about(Method::DELETE, Some(key), &query, &[]).await {
        Ok(reply) if reply.is_ok() || reply.status == 404 => {}
        // what stays is seen in the listing
        Ok(reply) => tracing::warn!(key = ?key, answer = %reply.words(), "a scratch object could not be deleted"),
        Err(why) => tracing::warn!(key = ?key, %why, "a scratch object could not be deleted"),
    }
}

async fn uploads(x: &mut Examination<'_>, left: &mut Vec<String>) {
    let mut begun: BTreeSet<(String, String)> = std::mem::take(&mut x.uploads).into_iter().collect();
    let prefix = x.prefix.clone();
    // also those whose answer was lost
    if let Ok(reply) = x.about(Method::GET, None, &[("prefix", &prefix), ("uploads", "")], &[]).await {
        let pairs = reply.elements("Key").into_iter().zip(reply.elements("UploadId"));
        begun.extend(pairs.filter(|(key, _)| key.starts_with(&prefix)));
    }
    for (key, id) in begun {
        match x.about(Method::DELETE, Some(&key), &[("uploadId", &id)], &[]).await {
            // an upload that was completed is gone
            Ok(reply) if reply.is_ok() || reply.status == 404 => {}
            Ok(reply) => left.push(format!("upload {id} of {key:?}: {}", reply.words())),
            Err(why) => left.push(format!("upload {id} of {key:?}: {why}")),
        }
    }
}

/// In a versioned bucket a delete only adds a marker. Answers with what is left.
async fn versions(x: &mut Examination<'_>) -> Vec<String> {
    for (key, id) in std::mem::take(&mut x.versions) {
        delete(x, &key, Some(&id)).await;
    }
    let prefix = x.prefix.clone();
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        let query = [("encoding-type", "url"), ("prefix", prefix.as_str()), ("versions", "")];
        let reply = match x.about(Method::GET, None, &query, &[]).await {
            Ok(reply) if reply.is_ok() => reply,
            answer => {
                let why = answer.map_or_else(|why| why, |reply| reply.words());
                return vec![format!("whether versions are left below {prefix:?} is not known: {why}")];
            }
        };
        let encoded = !reply.elements("EncodingType").is_empty();
        let decode = |key: String| match encoded {
            true => percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned),
            false => Some(key),
        };
        let keys = reply.elements("Key").into_iter().map(decode);
        let found: Vec<(String, String)> = keys.zip(reply.elements("VersionId")).filter_map(|(key, id)| Some((key?, id))).collect();
        let found: Vec<_> = found.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        left.clear();
        for (key, id) in found {
            delete(x, &key, Some(&id)).await;
            left.push(format!("version {id} of {key:?}"));
        }
        if left.is_empty() {
            break;
        }
    }
    left
}
