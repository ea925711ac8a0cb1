//! Lists: repositories, tags, referrers; page by page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{
    graph::{Graph, OCI_INDEX},
    refusal::Refusal,
    reply::Reply,
    route::Call,
    server::Shared,
};

/// Most entries ECR gives at once.
const ECR_PAGE: usize = 1_000;

/// `_catalog`; private ECR has none.
pub(super) fn repositories(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    if shared.settings.ecr.is_some() {
        return Err(Refusal::not_found());
    }
    let names = shared.store.lock().repositories.keys().cloned().collect();
    paged(shared, call, names, |names| json!({"repositories": names}))
}

/// `tags/list`.
pub(super) fn tags(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    let state = shared.store.lock();
    let found = state.repositories.get(&call.repository);
    // where pushing creates repositories, there is none without an image
    let found = found.filter(|found| shared.settings.ecr.is_some() || !found.manifests.is_empty());
    let names: Vec<String> = found.ok_or_else(Refusal::name_unknown)?.tags.keys().cloned().collect();
    drop(state);
    let body = |names: &[String]| json!({"name": call.repository, "tags": names});
    if shared.settings.plain_tags {
        return Ok(Reply::json(&body(&names.into_iter().rev().collect::<Vec<_>>())));
    }
    paged(shared, call, names, body)
}

/// `referrers/DIGEST`.
pub(super) fn referrers(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    if !shared.settings.referrers {
        return Err(Refusal::not_found().in_words());
    }
    let wanted = call.query.get("artifactType");
    let state = shared.store.lock();
    let manifests = state.repositories.get(&call.repository).ok_or_else(Refusal::name_unknown)?.manifests.values();
    let mut found = std::collections::BTreeMap::new();
    for manifest in manifests {
        let Ok(graph) = Graph::read(&manifest.bytes) else { continue };
        if graph.subject.as_ref() != Some(&call.reference) || wanted.is_some_and(|wanted| graph.artifact_type.as_deref() != Some(wanted)) {
            continue;
        }
        let mut descriptor: Value = json!({"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.bytes.len(), "artifactType": graph.artifact_type});
        if let Some(annotations) = graph.annotations {
            descriptor["annotations"] = annotations;
        }
        found.insert(manifest.digest.clone(), descriptor);
    }
    drop(state);
    let body = |digests: &[String]| {
        let manifests: Vec<&Value> = digests.iter().filter_map(|digest| found.get(digest)).collect();
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    };
    let reply = paged(shared, call, found.keys().cloned().collect(), body)?.with("content-type", OCI_INDEX);
    Ok(if wanted.is_some() { reply.with("oci-filters-applied", "artifactType") } else { reply })
}

fn paged(shared: &Shared, call: &Call, names: Vec<String>, body: impl Fn(&[String]) -> Value) -> Result<Reply, Refusal> {
    let asked = match call.query.get("n") {
        None => None,
        Some(text) => Some(text.parse::<usize>().map_err(|_| Refusal::page_invalid())?),
    };
    if shared.settings.ecr.is_some() && asked.is_some_and(|asked| asked > ECR_PAGE) {
        let message = "Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value less than or equal to 1000'";
        return Err(Refusal { message: message.to_owned(), ..Refusal::unsupported() });
    }
    let most = asked.unwrap_or(usize::MAX).min(shared.settings.page);
    let page = page(names, call.query.get("last"), most);
    let reply = Reply::json(&body(&page.names));
    let Some(last) = page.names.last().filter(|_| page.more) else { return Ok(reply) };
    let path = call.target.split('?').next().unwrap_or_default();
    let kept = call.query.get("artifactType").map(|kind| format!("&artifactType={}", utf8_percent_encode(kind, NON_ALPHANUMERIC)));
    let last = utf8_percent_encode(last, NON_ALPHANUMERIC);
    Ok(reply.with("link", format!("<{path}?last={last}&n={most}{}>; rel=\"next\"", kept.unwrap_or_default())))
}

#[derive(Debug, PartialEq, Eq)]
struct Names {
    names: Vec<String>,
    more: bool,
}

/// The first `most` of the names behind `last`.
fn page(names: Vec<String>, last: Option<&str>, most: usize) -> Names {
    let mut behind: Vec<String> = names.into_iter().filter(|name| last.is_none_or(|last| name.as_str() > last)).collect();
    let more = behind.len() > most;
    behind.truncate(most);
    Names { names: behind, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_where_the_next_begins() {
        let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
        for (last, most, expected, more) in [
            (None, 2, vec!["a", "b"], true),
            (Some("b"), 2, vec!["c"], false),
            (Some("bb"), 9, vec!["c"], false),
            (Some("c"), 2, vec![], false),
        ] {
            let expected = Names { names: expected.into_iter().map(str::to_owned).collect(), more };
            assert_eq!(page(names(), last, most), expected);
        }
    }
}
