//! Blobs as they go: sessions, whole bodies, chunks, mounts (OCI distribution specification, "Pushing blobs", "Mounting a blob").

mod location;

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{
    Call, Registry,
    answer::{content_digest, is_not_found, number, text},
    page::{encoded, target},
};
use crate::{http::Flow, image::digest::Digest, transfer::TransferError};

const START: &str = "StartUpload";
const MOUNT: &str = "MountBlob";
const PUT: &str = "PutBlob";
const PATCH: &str = "PatchBlob";
const STATUS: &str = "UploadStatus";
const CANCEL: &str = "CancelUpload";

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An upload that a registry has begun. It can be kept, and gone on with by another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The blob will be in this one.
    pub repository: String,
    /// The address of the next request, at the registry or elsewhere. Changes with each answer.
    pub location: String,
    /// Chunks but the last must have so many bytes (`OCI-Chunk-Min-Length`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_min: Option<u64>,
}

/// What came of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// The blob is there.
    Done,
    /// The registry wants it to be sent.
    Session(Upload),
}

impl Registry {
    /// Takes a blob over from another repository of the same registry, if it lets us; else begins an upload. Registries may know a blob
    /// in `from` only once a manifest there names it (ECR).
    ///
    /// # Errors
    /// [`TransferError`], when an upload cannot begin either.
    pub async fn mount(&self, repository: &str, digest: &Digest, from: &str) -> Result<Mount, TransferError> {
        let query = format!("blobs/uploads/?mount={}&from={}", location::escaped(digest.as_str()), encoded(from));
        let call = Call { also: Some(from), ..request(MOUNT, Method::POST, repository, target(repository, &query)) };
        let response = match self.call(&call).await {
            Ok(response) => response,
            // not allowed to read `from`, or no mounts at all: that does not keep the blob from being sent
            Err(error) if matches!(error.class, FailureClass::Permanent | FailureClass::Auth) => {
                tracing::debug!(registry = self.host(), repository, from, code = %error.code, "mount refused");
                return self.start_upload(repository).await.map(Mount::Session);
            }
            Err(error) => return Err(error),
        };
        let accepted = response.status() == StatusCode::ACCEPTED;
        let headers = self.finish(MOUNT, response).await;
        if accepted { self.begun(&call, &headers).map(Mount::Session) } else { Ok(Mount::Done) }
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn start_upload(&self, repository: &str) -> Result<Upload, TransferError> {
        let call = request(START, Method::POST, repository, target(repository, "blobs/uploads/"));
        let headers = self.finish(START, self.call(&call).await?).await;
        self.begun(&call, &headers)
    }

    fn begun(&self, call: &Call<'_>, headers: &HeaderMap) -> Result<Upload, TransferError> {
        let location = location::given(&self.target(call)?, headers)
            .ok_or_else(|| self.unreadable(call.operation, "it does not say where to send the blob (Location)"))?;
        let repository = call.repository.unwrap_or_default();
        let chunk_min = number(headers, &HeaderName::from_static("oci-chunk-min-length")).filter(|bytes| *bytes > 0);
        Ok(Upload { repository: repository.to_owned(), location, chunk_min })
    }

    /// Sends a whole blob in one request, as it comes; its length is that of `flow`. Never repeated: after a failure it is not known what
    /// the registry has of it, and a new upload must begin.
    ///
    /// # Errors
    /// [`TransferError`]: `DIGEST_INVALID` from a registry that got something else.
    pub async fn put_blob(&self, upload: Upload, digest: &Digest, flow: Flow) -> Result<(), TransferError> {
        let target = location::with_digest(&upload.location, digest);
        let call = Call { headers: vec![(header::CONTENT_TYPE, OCTETS)], ..request(PUT, Method::PUT, &upload.repository, target) };
        let response = self.call_flow(&call, flow).await?;
        self.closed(response, digest).await
    }

    /// Sends a whole blob that is in memory; after failures that pass, again in uploads of their own.
    ///
    /// # Errors
    /// As [`Registry::put_blob`].
    pub async fn put_small_blob(&self, upload: Upload, digest: &Digest, bytes: Bytes) -> Result<(), TransferError> {
        let repository = upload.repository.clone();
        let mut upload = Some(upload);
        let mut attempt = 0;
        loop {
            let session = match upload.take() {
                Some(session) => session,
                None => self.start_upload(&repository).await?,
            };
            let flow = flow_of(&bytes).await;
            let Err(error) = self.put_blob(session, digest, flow).await else { return Ok(()) };
            attempt += 1;
            // a session that nobody knows any more is no reason to give up a blob that is still here
            let again = if attempt == 1 && is_unknown(&error) {
                Some(std::time::Duration::ZERO)
            } else {
                self.inner.retry.next_wait(attempt, &error, rand::random())
            };
            let Some(wait) = again else { return Err(error) };
            tracing::debug!(side = self.side().word(), operation = PUT, code = %error.code, attempt, ?wait, "request repeated");
            tokio::time::sleep(wait).await;
            self.inner.counters.retries.fetch_add(1, Relaxed);
        }
    }

    /// Sends the bytes of a blob from `offset` on, once, as they come; answers from where on the registry wants to go on, which can be less than was sent
    /// (ECR drops all chunks but the first). After a failure, [`Registry::upload_offset`] tells how much arrived.
    ///
    /// # Errors
    /// [`TransferError`]; status 416 when the registry expects another offset.
    pub async fn patch(&self, upload: &mut Upload, offset: u64, flow: Flow) -> Result<u64, TransferError> {
        let length = flow.length();
        if length == 0 {
            return Ok(offset);
        }
        let end = offset + length;
        let range = HeaderValue::from_str(&format!("{offset}-{}", end - 1)).expect("digits and a dash");
        let headers = vec![(header::CONTENT_TYPE, OCTETS), (header::CONTENT_RANGE, range)];
        let repository = upload.repository.clone();
        let call = Call { headers, ..request(PATCH, Method::PATCH, &repository, upload.location.clone()) };
        let response = self.call_flow(&call, flow).await?;
        let headers = self.finish(PATCH, response).await;
        let location = location::given(&self.target(&call)?, &headers);
        upload.location = location.unwrap_or(call.target);
        let next = match text(&headers, &header::RANGE).and_then(location::range_end) {
            // also what registries say that have nothing
            Some(1) if end != 1 => 0,
            Some(next) => next,
            None => end,
        };
        if next > end {
            return Err(self.unreadable(PATCH, &format!("it has {next} bytes of an upload of which {end} were sent")));
        }
        Ok(next)
    }

    /// From where on the registry wants an upload to go on; `None`: it does not know it (any more).
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn upload_offset(&self, upload: &mut Upload) -> Result<Option<u64>, TransferError> {
        let repository = upload.repository.clone();
        let call = request(STATUS, Method::GET, &repository, upload.location.clone());
        let response = match self.call_for(&call, &[StatusCode::NOT_FOUND]).await {
            Ok(response) => response,
            Err(error) if is_unknown(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let known = response.status() != StatusCode::NOT_FOUND;
        let headers = self.finish(STATUS, response).await;
        if !known {
            return Ok(None);
        }
        let location = location::given(&self.target(&call)?, &headers);
        upload.location = location.unwrap_or(call.target);
        // docker-registry says 0-0 of an upload without a byte, and nobody sends chunks of one
        Ok(Some(text(&headers, &header::RANGE).and_then(location::range_end).filter(|end| *end > 1).unwrap_or(0)))
    }

    /// Makes a blob of what was sent in chunks.
    ///
    /// # Errors
    /// [`TransferError`]: `DIGEST_INVALID` from a registry that got something else.
    pub async fn finish_upload(&self, upload: Upload, digest: &Digest) -> Result<(), TransferError> {
        let target = location::with_digest(&upload.location, digest);
        let call = request(PUT, Method::PUT, &upload.repository, target);
        match self.call(&call).await {
            Ok(response) => self.closed(response, digest).await,
            // the answer to an earlier try may be lost, not its effect
            Err(error) if is_unknown(&error) && self.has_blob(&upload.repository, digest).await? => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn closed(&self, response: http::Response<hyper::body::Incoming>, digest: &Digest) -> Result<(), TransferError> {
        let headers = self.finish(PUT, response).await;
        // a registry may speak of the same content by another algorithm
        let other = content_digest(&headers).filter(|got| got.algorithm() == digest.algorithm() && got != digest);
        if let Some(other) = other {
            return Err(self.mismatch(PUT, digest, other.as_str()));
        }
        Ok(())
    }

    /// Tells the registry that an upload will not go on. What it says does not matter: it forgets uploads by itself.
    pub async fn cancel(&self, upload: Upload) {
        let call = request(CANCEL, Method::DELETE, &upload.repository, upload.location.clone());
        match self.call(&call).await {
            Ok(response) => drop(self.finish(CANCEL, response).await),
            Err(error) => {
                tracing::debug!(registry = self.host(), repository = %upload.repository, code = %error.code, "upload not cancelled");
            }
        }
    }
}

/// What registries say of an upload that they do not know, or no longer want.
fn is_unknown(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID") || is_not_found(error)
}

/// All of it at once.
async fn flow_of(bytes: &Bytes) -> Flow {
    let (mut sender, flow) = Flow::new(bytes.len() as u64, 1);
    // there is room for one piece, and a reader
    let _ = sender.send(bytes.clone()).await;
    flow
}

fn request<'a>(operation: &'static str, method: Method, repository: &'a str, target: String) -> Call<'a> {
    Call { operation, method, target, headers: Vec::new(), body: Bytes::new(), repository: Some(repository), also: None, push: true }
}
