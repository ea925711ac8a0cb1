//! Blobs on their way in: whole, in chunks, mounted from another repository; sessions that can be asked how far they are.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::{
    answer::{Inbox, Stop},
    blob::Blob,
    digest::{self, is_digest},
    ecr,
    manifest::location,
    refusal::Refusal,
    reply::Reply,
    route::Call,
    server::Shared,
    settings::Keep,
};
use crate::s3::{Data, digest::hex, socket::End};

/// A blob that has come in part.
#[derive(Debug)]
pub(super) struct Received {
    keep: Keep,
    hasher: Sha256,
    content: Vec<Bytes>,
    pub length: u64,
}

impl Received {
    pub fn new(keep: Keep) -> Self {
        Self { keep, hasher: Sha256::new(), content: Vec::new(), length: 0 }
    }

    pub fn add(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        if self.keep != Keep::Length {
            self.hasher.update(&piece);
        }
        if self.keep == Keep::Content {
            self.content.push(piece);
        }
    }

    /// The blob, when it has this digest.
    pub fn into_blob(self, wanted: &str) -> Option<Blob> {
        let content = (self.keep == Keep::Content).then(|| Data::from(self.content));
        let right = match &content {
            _ if self.keep == Keep::Length => is_digest(wanted),
            Some(content) if wanted.starts_with("sha512:") => digest::matches(wanted, content),
            _ => wanted == format!("sha256:{}", hex(&self.hasher.finalize())),
        };
        right.then(|| Blob::claimed(wanted, self.length, content))
    }
}

/// A session.
#[derive(Debug)]
pub(super) struct Upload {
    id: String,
    repository: String,
    /// What addresses of this session must carry in their query.
    state: String,
    received: Received,
    /// How often PATCH has added something.
    patches: u64,
    /// The last chunk was shorter than chunks before the last may be.
    short: bool,
}

impl Upload {
    fn describe(&self, shared: &Shared, status: StatusCode) -> Reply {
        let path = format!("/v2/{}/blobs/uploads/{}?_state={}", self.repository, self.id, self.state);
        // docker-registry says 0-0 of nothing, as of one byte
        let range = format!("0-{}", self.received.length.saturating_sub(1));
        Reply::new(status).with("location", location(shared, &path)).with("range", range).with("docker-upload-uuid", &self.id)
    }

    /// Refuses a chunk that does not begin where the last one ended.
    fn check_range(&self, shared: &Shared, call: &Call) -> Result<(), Refusal> {
        let Some(text) = call.header("content-range") else { return Ok(()) };
        let start = text.strip_prefix("bytes ").unwrap_or(text).split('-').next().and_then(|start| start.parse::<u64>().ok());
        match start {
            Some(start) if start == self.received.length => Ok(()),
            Some(_) => {
                let status = self.describe(shared, StatusCode::RANGE_NOT_SATISFIABLE);
                let headers = ["location", "range"].map(|name| (name, status.headers[name].to_str().unwrap_or_default().to_owned()));
                Err(Refusal { headers: headers.to_vec(), ..Refusal::range_invalid() })
            }
            None => Err(Refusal::upload_invalid()),
        }
    }
}

/// POST: a new session.
pub(super) fn start(shared: &Shared, call: &Call) -> Reply {
    let mut state = shared.store.lock();
    let id = state.session();
    let upload = Upload {
        id: id.clone(),
        repository: call.repository.clone(),
        state: format!("{:016x}", rand::random::<u64>()),
        received: Received::new(shared.settings.keep),
        patches: 0,
        short: false,
    };
    let reply = upload.describe(shared, StatusCode::ACCEPTED);
    state.uploads.insert(id, Arc::new(Mutex::new(upload)));
    match shared.settings.chunk_min {
        Some(bytes) => reply.with("oci-chunk-min-length", bytes),
        None => reply,
    }
}

/// POST with `mount`: done at once where that is possible, else a session.
pub(super) fn mount(shared: &Shared, call: &Call) -> Reply {
    let mounted = call.query.get("from").and_then(|from| {
        let mut state = shared.store.lock();
        let blob = state.blob(from, &call.reference)?.clone();
        if shared.settings.ecr.is_some() && !ecr::mountable(&state, from, &call.repository, &call.reference) {
            return None;
        }
        state.add(&call.repository, blob);
        Some(created(shared, call, &call.reference))
    });
    mounted.unwrap_or_else(|| start(shared, call))
}

/// PATCH: a chunk, or all of it.
pub(super) async fn patch(shared: &Shared, call: &Call, inbox: &mut Inbox<'_>) -> Result<Reply, Stop> {
    let upload = session(shared, call)?;
    let mut upload = upload.lock().await;
    has_length(shared, call)?;
    if let Err(refusal) = upload.check_range(shared, call) {
        inbox.drain().await?;
        return Err(refusal.into());
    }
    if shared.settings.ecr.is_some() {
        // ECR answers 201, takes one PATCH, and throws every later one away without a word
        if upload.patches > 0 {
            inbox.drain().await?;
        } else {
            upload.patches += 1;
            take(&mut upload, inbox).await?;
        }
        return Ok(upload.describe(shared, StatusCode::CREATED));
    }
    if upload.short {
        inbox.drain().await?;
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", "only the last chunk may be short").into());
    }
    upload.patches += 1;
    let before = upload.received.length;
    take(&mut upload, inbox).await?;
    upload.short = shared.settings.chunk_min.is_some_and(|min| upload.received.length - before < min);
    Ok(upload.describe(shared, StatusCode::ACCEPTED))
}

/// PUT: the rest (or all, or nothing more), and the digest.
pub(super) async fn finish(shared: &Shared, call: &Call, inbox: &mut Inbox<'_>) -> Result<Reply, Stop> {
    let found = session(shared, call)?;
    let mut upload = found.lock().await;
    has_length(shared, call)?;
    let Some(wanted) = call.query.get("digest").filter(|text| is_digest(text)) else {
        inbox.drain().await?;
        return Err(Refusal::digest_invalid().into());
    };
    if let Err(refusal) = upload.check_range(shared, call) {
        inbox.drain().await?;
        return Err(refusal.into());
    }
    // what came before a connection broke stays, as with docker-registry: the session is only good for going on
    take(&mut upload, inbox).await?;
    let received = std::mem::replace(&mut upload.received, Received::new(shared.settings.keep));
    let mut state = shared.store.lock();
    state.uploads.remove(&upload.id);
    let blob = received.into_blob(wanted).ok_or_else(Refusal::digest_invalid)?;
    state.add(&call.repository, blob);
    Ok(created(shared, call, wanted))
}

/// GET: how far a session is.
pub(super) async fn status(shared: &Shared, call: &Call) -> Result<Reply, Stop> {
    let upload = session(shared, call)?;
    let upload = upload.lock().await;
    Ok(upload.describe(shared, StatusCode::NO_CONTENT))
}

/// DELETE: forget it.
pub(super) async fn cancel(shared: &Shared, call: &Call) -> Result<Reply, Stop> {
    let upload = session(shared, call)?;
    let upload = upload.lock().await;
    shared.store.lock().uploads.remove(&upload.id);
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

async fn take(upload: &mut Upload, inbox: &mut Inbox<'_>) -> Result<(), Stop> {
    while let Some(piece) = inbox.next().await? {
        upload.received.add(piece);
    }
    Ok(())
}

/// ECR waits for ever for a body whose length was not announced.
fn has_length(shared: &Shared, call: &Call) -> Result<(), Stop> {
    let chunked = call.headers.contains_key("transfer-encoding");
    if shared.settings.ecr.is_some() && chunked { Err(Stop::End(End::Silence)) } else { Ok(()) }
}

fn session(shared: &Shared, call: &Call) -> Result<Arc<Mutex<Upload>>, Refusal> {
    let found = shared.store.lock().uploads.get(&call.reference).cloned().ok_or_else(Refusal::upload_unknown)?;
    // held by a request that is still coming: that one has checked
    if let Ok(upload) = found.try_lock() {
        if upload.repository != call.repository {
            return Err(Refusal::upload_unknown());
        }
        if call.query.get("_state") != Some(upload.state.as_str()) {
            return Err(Refusal::upload_invalid());
        }
    }
    Ok(found)
}

fn created(shared: &Shared, call: &Call, digest: &str) -> Reply {
    let path = format!("/v2/{}/blobs/{digest}", call.repository);
    Reply::new(StatusCode::CREATED).with("location", location(shared, &path)).with("docker-content-digest", digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_what_was_kept_of_them() {
        let whole = Blob::new(Bytes::from_static(b"abcd"));
        for (keep, content) in [(Keep::Content, true), (Keep::Digest, false), (Keep::Length, false)] {
            let received = || {
                let mut received = Received::new(keep);
                received.add(Bytes::from_static(b"ab"));
                received.add(Bytes::from_static(b"cd"));
                received
            };
            let blob = received().into_blob(whole.digest()).expect("the right digest");
            assert_eq!((blob.len(), blob.content().is_some()), (4, content), "{keep:?}");
            let other = Blob::new(Bytes::from_static(b"abce"));
            assert_eq!(received().into_blob(other.digest()).is_some(), keep == Keep::Length, "{keep:?}");
            assert!(received().into_blob("sha256:x").is_none(), "{keep:?}");
        }
    }
}
