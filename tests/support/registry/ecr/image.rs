//! Lists of images and manifests by the hundred, by ECR's API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::api::{Ask, Fault, strings};
use crate::registry::{graph::Graph, store::Repository};

/// The tags of a manifest.
fn tags<'a>(repository: &'a Repository, digest: &str) -> Vec<&'a str> {
    repository.tags.iter().filter(|(_, of)| *of == digest).map(|(tag, _)| tag.as_str()).collect()
}

/// Whether `filter.tagStatus` lets an image through.
fn wanted(ask: &Ask<'_>, tagged: bool) -> bool {
    match ask.input["filter"]["tagStatus"].as_str() {
        Some("TAGGED") => tagged,
        Some("UNTAGGED") => !tagged,
        _ => true,
    }
}

/// `ListImages`: each tag, and digests without one.
pub(super) fn list(ask: &Ask<'_>) -> Result<Value, Fault> {
    let ids = ask.repository(|repository| {
        let mut ids = Vec::new();
        for digest in repository.manifests.keys() {
            let tags = tags(repository, digest);
            if wanted(ask, !tags.is_empty()) {
                ids.extend(tags.iter().map(|tag| json!({"imageDigest": digest, "imageTag": tag})));
                if tags.is_empty() {
                    ids.push(json!({"imageDigest": digest}));
                }
            }
        }
        Ok(ids)
    })?;
    ask.page("imageIds", ids)
}

/// `DescribeImages`: each manifest with its tags, size and time.
pub(super) fn describe(ask: &Ask<'_>) -> Result<Value, Fault> {
    let asked = ask.input["imageIds"].as_array().cloned().unwrap_or_default();
    let account = &ask.settings.account;
    let name = ask.text("repositoryName")?;
    let details = ask.repository(|repository| {
        let mut digests: BTreeSet<String> = BTreeSet::new();
        for id in &asked {
            let found = find(repository, id).ok_or_else(|| Fault::new("ImageNotFoundException", format!("no image {id} in {name}")))?;
            digests.insert(found);
        }
        let all = repository.manifests.values().filter(|manifest| asked.is_empty() || digests.contains(&manifest.digest));
        let mut details = Vec::new();
        for manifest in all {
            let tags = tags(repository, &manifest.digest);
            if !wanted(ask, !tags.is_empty()) {
                continue;
            }
            let kind = Graph::read(&manifest.bytes).ok().and_then(|graph| graph.artifact_type);
            let mut detail = json!({
                "registryId": account, "repositoryName": name, "imageDigest": manifest.digest,
                "imageSizeInBytes": manifest.bytes.len(), "imagePushedAt": manifest.pushed.as_millisecond() as f64 / 1_000.0,
                "imageManifestMediaType": manifest.media_type, "artifactMediaType": kind,
            });
            if !tags.is_empty() {
                detail["imageTags"] = tags.into();
            }
            details.push(detail);
        }
        Ok(details)
    })?;
    ask.page("imageDetails", details)
}

/// The digest that an `imageId` means; `None`: it is not there.
fn find(repository: &Repository, id: &Value) -> Option<String> {
    let by_tag = id["imageTag"].as_str().and_then(|tag| repository.tags.get(tag));
    let digest = id["imageDigest"].as_str().or(by_tag.map(String::as_str))?;
    let agree = by_tag.is_none_or(|of| of == digest) && (id["imageTag"].is_null() || by_tag.is_some());
    (agree && repository.manifests.contains_key(digest)).then(|| digest.to_owned())
}

/// `BatchGetImage`: manifests, at most 100.
pub(super) fn get(ask: &Ask<'_>) -> Result<Value, Fault> {
    let asked = ask.input["imageIds"].as_array().cloned().unwrap_or_default();
    if !(1..=100).contains(&asked.len()) {
        return Err(Fault::invalid("'imageIds' failed to satisfy constraint: 'Member must have length between 1 and 100'"));
    }
    let accepted = strings(&ask.input, "acceptedMediaTypes");
    let (account, name) = (&ask.settings.account, ask.text("repositoryName")?);
    ask.repository(|repository| {
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in &asked {
            let found = find(repository, id).and_then(|digest| repository.manifests.get(&digest));
            match found {
                Some(manifest) if accepted.is_empty() || accepted.contains(&manifest.media_type) => {
                    let mut id = id.clone();
                    id["imageDigest"] = manifest.digest.as_str().into();
                    images.push(json!({
                        "registryId": account, "repositoryName": name, "imageId": id,
                        "imageManifest": String::from_utf8_lossy(&manifest.bytes), "imageManifestMediaType": manifest.media_type,
                    }));
                }
                _ => failures.push(json!({"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})),
            }
        }
        Ok(json!({"images": images, "failures": failures}))
    })
}
