//! Layers by ECR's API: which are there, and uploads in parts that must follow one another.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::api::{Ask, Fault, strings};
use crate::registry::upload::Received;

/// Bytes of a part, as `InitiateLayerUpload` recommends them and at most (ECR quota).
const PART: u64 = 10 * 1024 * 1024;
/// Bytes of a part that is not the last, at least.
const SMALLEST: u64 = 5 * 1024 * 1024;

/// A session.
#[derive(Debug)]
pub(crate) struct LayerUpload {
    repository: String,
    received: Received,
    /// The last part was too small to be followed by another.
    small: bool,
    /// A part was followed by another though it was too small.
    broken: bool,
}

/// `BatchCheckLayerAvailability`, at most 100.
pub(super) fn check(ask: &Ask<'_>) -> Result<Value, Fault> {
    let asked = strings(&ask.input, "layerDigests");
    if !(1..=100).contains(&asked.len()) {
        return Err(Fault::invalid("'layerDigests' failed to satisfy constraint: 'Member must have length between 1 and 100'"));
    }
    let there = ask.repository(|repository| Ok(repository.blobs.clone()))?;
    let state = ask.shared.store.lock();
    let layer = |digest: &String| {
        let available = if there.contains(digest) { "AVAILABLE" } else { "UNAVAILABLE" };
        let size = state.blobs.get(digest).filter(|_| there.contains(digest)).map(crate::registry::Blob::len);
        json!({"layerDigest": digest, "layerAvailability": available, "layerSize": size.unwrap_or_default(), "mediaType": "application/octet-stream"})
    };
    Ok(json!({"layers": asked.iter().map(layer).collect::<Vec<_>>(), "failures": []}))
}

/// `InitiateLayerUpload`.
pub(super) fn initiate(ask: &Ask<'_>) -> Result<Value, Fault> {
    ask.repository(|_| Ok(()))?;
    let mut state = ask.shared.store.lock();
    let id = state.session();
    let received = Received::new(ask.shared.settings.keep);
    let upload = LayerUpload { repository: ask.text("repositoryName")?.to_owned(), received, small: false, broken: false };
    state.layers.insert(id.clone(), upload);
    Ok(json!({"uploadId": id, "partSize": PART}))
}

fn unknown(ask: &Ask<'_>, id: &str) -> Fault {
    let name = ask.input["repositoryName"].as_str().unwrap_or_default();
    Fault::new("UploadNotFoundException", format!("Upload {id} not found in repository {name}"))
}

/// `UploadLayerPart`: the next part and no other.
pub(super) fn part(ask: &Ask<'_>) -> Result<Value, Fault> {
    let (name, id) = (ask.text("repositoryName")?, ask.text("uploadId")?);
    let (first, last) = (ask.number("partFirstByte")?, ask.number("partLastByte")?);
    let bytes = STANDARD.decode(ask.text("layerPartBlob")?).map_err(|_| Fault::invalid("'layerPartBlob' is not base64"))?;
    let length = bytes.len() as u64;
    if length == 0 || length > PART || last != first + length - 1 {
        return Err(Fault::invalid(format!("part {first}-{last} with {length} bytes, of at most {PART}")));
    }
    ask.repository(|_| Ok(()))?;
    let mut state = ask.shared.store.lock();
    let upload = state.layers.get_mut(id).filter(|upload| upload.repository == name).ok_or_else(|| unknown(ask, id))?;
    if first != upload.received.length {
        let message = format!("The layer part is not valid: its first byte is {first}, the next is {}", upload.received.length);
        let fault = Fault::new("InvalidLayerPartException", message)
            .with("registryId", ask.settings.account.as_str())
            .with("repositoryName", name)
            .with("uploadId", id);
        // of nothing there is no last byte
        return Err(match upload.received.length.checked_sub(1) {
            Some(last) => fault.with("lastValidByteReceived", last),
            None => fault,
        });
    }
    upload.broken |= upload.small;
    upload.small = length < SMALLEST;
    upload.received.add(bytes.into());
    Ok(json!({"registryId": ask.settings.account, "repositoryName": name, "uploadId": id, "lastByteReceived": last}))
}

/// `CompleteLayerUpload`.
pub(super) fn complete(ask: &Ask<'_>) -> Result<Value, Fault> {
    let (name, id) = (ask.text("repositoryName")?, ask.text("uploadId")?);
    let [digest] = &strings(&ask.input, "layerDigests")[..] else { return Err(Fault::invalid("one layer digest is wanted")) };
    ask.repository(|_| Ok(()))?;
    let mut state = ask.shared.store.lock();
    let there = state.blob(name, digest).is_some();
    let upload = state.layers.get(id).filter(|upload| upload.repository == name).ok_or_else(|| unknown(ask, id))?;
    if upload.broken {
        return Err(Fault::new("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size"));
    }
    if upload.received.length == 0 {
        return Err(Fault::new("EmptyUploadException", "The specified layer upload does not contain any layer parts."));
    }
    let upload = state.layers.remove(id).ok_or_else(|| unknown(ask, id))?;
    if there {
        return Err(Fault::new("LayerAlreadyExistsException", format!("Layer with digest '{digest}' already exists in {name}")));
    }
    let blob = upload.received.into_blob(digest);
    let blob =
        blob.ok_or_else(|| Fault::new("InvalidLayerException", format!("The layer digest '{digest}' does not match what was uploaded")))?;
    state.add(name, blob);
    Ok(json!({"registryId": ask.settings.account, "repositoryName": name, "uploadId": id, "layerDigest": digest}))
}
