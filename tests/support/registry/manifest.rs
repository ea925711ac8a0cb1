//! Manifests: read as they are, taken when all they name is there.

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;

use super::{
    answer::{Inbox, Stop},
    blob::flipped,
    digest,
    ecr::{self, convert},
    fault::Action,
    graph::{self, Graph, MAX_MANIFEST, OCI_INDEX, OCI_MANIFEST},
    refusal::Refusal,
    reply::Reply,
    route::Call,
    server::Shared,
    store::Manifest,
};

/// GET and HEAD.
pub(super) fn get(shared: &Shared, call: &Call, actions: &[Action]) -> Result<Reply, Refusal> {
    let found = shared.store.manifest(&call.repository, &call.reference).ok_or_else(Refusal::manifest_unknown)?;
    let accept = Accept::of(call);
    let by_tag = !digest::is_digest(&call.reference);
    let manifest = match &shared.settings.ecr {
        // by digest ECR gives what there is, whoever asks
        Some(_) if !by_tag => found,
        Some(_) => convert::accepted(found, &call.repository, &call.reference, &accept)?,
        None if accept.takes(&found.media_type) || ![OCI_MANIFEST, OCI_INDEX].contains(&found.media_type.as_str()) => found,
        None => return Err(not_accepted(&found.media_type)),
    };
    let flip = |data, action: &Action| if let Action::FlipBit(at) = action { flipped(&data, *at) } else { data };
    let data = actions.iter().fold(manifest.bytes.into(), flip);
    Ok(Reply::new(StatusCode::OK)
        .with("content-type", manifest.media_type)
        .with("docker-content-digest", &manifest.digest)
        .with("etag", format!("\"{}\"", manifest.digest))
        .with_data(data))
}

/// As docker-registry 2.8 words it.
pub(super) fn not_accepted(media_type: &str) -> Refusal {
    let message = format!("{media_type} found, but accept header does not support it");
    Refusal { message, ..Refusal::manifest_unknown() }
}

/// The media types a client takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Accept(Vec<String>);

impl Accept {
    fn of(call: &Call) -> Self {
        let lines = call.headers.get_all("accept").into_iter().filter_map(|value| value.to_str().ok());
        let types = lines.flat_map(|line| line.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim().to_owned());
        Self(types.collect())
    }

    #[cfg(test)]
    pub fn only(types: &[&str]) -> Self {
        Self(types.iter().map(|one| (*one).to_owned()).collect())
    }

    /// Only by name: `*/*` is not understood.
    pub fn takes(&self, media_type: &str) -> bool {
        self.0.iter().any(|one| one == media_type)
    }
}

/// PUT.
pub(super) async fn put(shared: &Shared, call: &Call, inbox: &mut Inbox<'_>, actions: &[Action]) -> Result<Reply, Stop> {
    let bytes = inbox.all(MAX_MANIFEST).await?;
    if shared.settings.ecr.is_some() && !shared.quota.take() {
        return Err(Refusal::too_many().into());
    }
    let graph = Graph::read(&bytes)?;
    let media_type = media_type(call, &bytes)?;
    let digest = digest::sha256(&bytes.clone().into());
    let by_digest = digest::is_digest(&call.reference);
    if by_digest && !digest::matches(&call.reference, &bytes.clone().into()) {
        return Err(Refusal::digest_invalid().into());
    }
    let digest = if by_digest { call.reference.clone() } else { digest };
    let mut state = shared.store.lock();
    let repository = state.repositories.entry(call.repository.clone()).or_default();
    if actions.contains(&Action::Vanish) {
        repository.blobs.retain(|blob| !graph.blobs.contains(blob));
    }
    if shared.settings.ecr.is_some() && !by_digest {
        ecr::movable(repository, call)?;
    }
    let blob = graph.blobs.iter().find(|blob| !repository.blobs.contains(*blob));
    let child = graph.children.iter().find(|child| !repository.manifests.contains_key(*child));
    if let Some(missing) = blob.or(child) {
        let message = format!("blob unknown to registry: {missing}");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message).into());
    }
    let manifest = Manifest { digest: digest.clone(), media_type, bytes, pushed: Timestamp::now() };
    repository.manifests.entry(digest.clone()).or_insert(manifest);
    if !by_digest {
        repository.tags.insert(call.reference.clone(), digest.clone());
    }
    let mut reply = Reply::new(StatusCode::CREATED).with("docker-content-digest", &digest);
    if shared.settings.ecr.is_none() {
        reply = reply.with("location", location(shared, &format!("/v2/{}/manifests/{digest}", call.repository)));
    }
    if let Some(subject) = graph.subject.filter(|_| shared.settings.referrers) {
        reply = reply.with("oci-subject", subject);
    }
    Ok(reply)
}

/// The media type of what is pushed: the header's, which the manifest's own must not contradict.
fn media_type(call: &Call, bytes: &Bytes) -> Result<String, Refusal> {
    let announced = call.header("content-type").and_then(|text| text.split(';').next()).map(str::trim).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| Refusal::manifest_invalid())?;
    let own = manifest["mediaType"].as_str();
    let signed = announced == graph::SCHEMA1;
    if announced.is_empty() || (!signed && own.is_some_and(|own| own != announced)) {
        return Err(Refusal::manifest_invalid());
    }
    Ok(announced.to_owned())
}

/// DELETE, by digest.
pub(super) fn delete(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    if !digest::is_digest(&call.reference) {
        return Err(Refusal::digest_invalid());
    }
    shared.store.manifest(&call.repository, &call.reference).ok_or_else(Refusal::manifest_unknown)?;
    shared.store.remove_manifest(&call.repository, &call.reference);
    Ok(Reply::new(StatusCode::ACCEPTED))
}

/// An address of this registry, as it gives it in `Location`.
pub(super) fn location(shared: &Shared, path: &str) -> String {
    if shared.settings.relative_locations { path.to_owned() } else { format!("{}{path}", shared.base()) }
}
