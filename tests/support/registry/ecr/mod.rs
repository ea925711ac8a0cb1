//! What is peculiar to ECR: its settings, its rules for repositories, tags and mounts, its own API.
//!
//! The rules are those of the ECR user guide and API reference, and where those are silent, what users report
//! (containers-roadmap 2179, 2831, 2860).
//!
//! | module | holds |
//! |---|---|
//! | `quota` | so many PutImage a second |
//! | `convert` | manifests for clients that do not take them as they are |
//! | `api` | the JSON API: operations, errors |
//! | `repository`, `image`, `layer` | what its operations do |

pub(super) mod api;
pub(super) mod convert;
mod image;
pub(super) mod layer;
pub(super) mod quota;
mod repository;

use std::{collections::BTreeMap, time::Duration};

use hyper::StatusCode;
use serde_json::Value;

use super::{
    graph::Graph,
    operation::Operation,
    refusal::Refusal,
    route::Call,
    server::Shared,
    store::{Repository, State},
};

/// Settings of an ECR.
#[derive(Clone, Debug)]
pub struct Ecr {
    /// Its account, 12 digits.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Id of the only key that its API takes; `None`: any.
    pub access_key: Option<String>,
    /// A token is good for so many requests to the registry; nobody is told.
    pub token_uses: Option<u64>,
    /// A token is good for this long, which `expiresAt` tells.
    pub token_lifetime: Duration,
    /// An address that a blob is redirected to is good for this long.
    pub blob_address_lifetime: Duration,
    /// So many manifests may be put a second, and as many at once.
    pub put_image_per_s: Option<u32>,
    /// A repository that is missing is created when something is pushed to it.
    pub create_on_push: bool,
    /// `BLOB_MOUNTING` when it starts.
    pub blob_mounting: bool,
}

impl Default for Ecr {
    fn default() -> Self {
        Self {
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: None,
            token_uses: None,
            token_lifetime: Duration::from_hours(12),
            blob_address_lifetime: Duration::from_hours(1),
            put_image_per_s: Some(10),
            create_on_push: false,
            blob_mounting: false,
        }
    }
}

/// Settings of a repository, as its API takes and gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Tags cannot be moved.
    pub immutable: bool,
    /// Except tags like these, with `*` for anything (`IMMUTABLE_WITH_EXCLUSION`).
    pub tag_exclusions: Vec<String>,
    /// `scanOnPush`.
    pub scan_on_push: bool,
    /// `encryptionType` and `kmsKey`; `None`: AES256.
    pub encryption: Option<(String, Option<String>)>,
    /// `lifecyclePolicyText`.
    pub lifecycle_policy: Option<String>,
    /// `policyText`.
    pub policy: Option<String>,
    /// Resource tags.
    pub tags: BTreeMap<String, String>,
}

impl Attributes {
    /// Those of a repository whose tags cannot be moved.
    #[must_use]
    pub fn immutable() -> Self {
        Self { immutable: true, ..Self::default() }
    }
}

/// Lets a request of the distribution API to its repository, which must exist or come to be by pushing.
pub(super) fn enter(shared: &Shared, settings: &Ecr, call: &Call) -> Result<(), Refusal> {
    let mut state = shared.store.lock();
    if call.repository.is_empty() || state.repositories.contains_key(&call.repository) {
        return Ok(());
    }
    if settings.create_on_push && call.operation.writes() {
        state.repositories.insert(call.repository.clone(), Repository::default());
        return Ok(());
    }
    let message = format!("The repository with name '{}' does not exist in the registry with id '{}'", call.repository, settings.account);
    Err(Refusal { message, ..Refusal::name_unknown() })
}

/// Refuses a tag that is there and cannot be moved, even to where it is.
pub(super) fn movable(repository: &Repository, call: &Call) -> Result<(), Refusal> {
    let attributes = &repository.attributes;
    let excluded = attributes.tag_exclusions.iter().any(|pattern| is_like(&call.reference, pattern));
    if !attributes.immutable || excluded || !repository.tags.contains_key(&call.reference) {
        return Ok(());
    }
    let message = format!(
        "The image tag '{}' already exists in the '{}' repository and cannot be overwritten because the tag is immutable.",
        call.reference, call.repository
    );
    Err(Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", message))
}

/// Whether a tag is like a pattern in which `*` stands for anything.
fn is_like(tag: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => tag == pattern,
        Some((before, rest)) => tag.strip_prefix(before).is_some_and(|tag| {
            let mut ends = tag.char_indices().map(|(at, _)| at).chain([tag.len()]);
            ends.any(|at| is_like(&tag[at..], rest))
        }),
    }
}

/// Whether a blob may be mounted: the account allows it, a manifest of `from` needs the blob, and both are encrypted alike.
pub(super) fn mountable(state: &State, from: &str, to: &str, blob: &str) -> bool {
    let enabled = state.account.get("BLOB_MOUNTING").is_some_and(|value| value == "ENABLED");
    let (Some(from), Some(to)) = (state.repositories.get(from), state.repositories.get(to)) else { return false };
    enabled && from.references(blob) && from.attributes.encryption == to.attributes.encryption
}

/// Takes away the blobs that a request was just told of.
pub(super) fn vanish(shared: &Shared, call: &Call, input: &[u8]) {
    let named: Vec<String> = match call.operation {
        Operation::BatchCheckLayerAvailability => api::strings(&serde_json::from_slice::<Value>(input).unwrap_or_default(), "layerDigests"),
        Operation::GetManifest => {
            let manifest = shared.store.manifest(&call.repository, &call.reference);
            manifest.and_then(|manifest| Graph::read(&manifest.bytes).ok()).map(|graph| graph.blobs).unwrap_or_default()
        }
        _ => vec![call.reference.clone()],
    };
    for blob in named {
        shared.store.remove_blob(&call.repository, &blob);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars() {
        for (tag, pattern, like) in [
            ("latest", "latest", true),
            ("latest-1", "latest", false),
            ("dev-1-x", "dev-*-x", true),
            ("dev-1-y", "dev-*-x", false),
            ("v1", "*", true),
            ("", "*", true),
            ("a.b.c", "*.b.*", true),
            ("ab", "a*b*c", false),
        ] {
            assert_eq!(is_like(tag, pattern), like, "{tag} {pattern}");
        }
    }
}
