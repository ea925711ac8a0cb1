//! The answers of a registry: their headers, their small bodies.

use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use dth_proto::failure::FailureClass;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::{Call, Registry, send::QUIET};
use crate::{http::client::in_words, image::digest::Digest, transfer::TransferError};

/// An answer that is there as a whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Registry {
    /// Sends a request and reads the answer, at most `most` bytes of it; asks again when it breaks off.
    pub(super) async fn read(&self, call: &Call<'_>, accept: &[StatusCode], most: usize) -> Result<Answer, TransferError> {
        let mut attempt = 0;
        loop {
            let response = self.call_for(call, accept).await?;
            let error = match self.whole(call.operation, response, most).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            let Some(wait) = self.inner.retry.next_wait(attempt, &error, rand::random()) else { return Err(error) };
            tracing::debug!(side = self.side().word(), operation = call.operation, code = %error.code, attempt, ?wait, "request repeated");
            tokio::time::sleep(wait).await;
            self.inner.counters.retries.fetch_add(1, Relaxed);
        }
    }

    async fn whole(&self, operation: &'static str, response: Response<Incoming>, most: usize) -> Result<Answer, TransferError> {
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.piece(operation, &mut body, bytes.len() as u64).await? {
            if bytes.len() + piece.len() > most {
                let message = format!("{} sent more than {most} bytes, which nothing of this kind has", self.host());
                return Err(self.error(FailureClass::Permanent, operation, "SIZE_INVALID", message));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes.freeze() })
    }

    /// The next piece of a body, of which `got` bytes are there; `None` at its end. Dropping the future loses nothing.
    pub(super) async fn piece(&self, operation: &'static str, body: &mut Incoming, got: u64) -> Result<Option<Bytes>, TransferError> {
        // a body of an announced length is at its end with its last byte; of another, more could come
        while !body.is_end_stream() {
            match tokio::time::timeout(QUIET, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Ok(Some(Err(error))) => {
                    let message = format!("the answer of {} ended after {got} bytes: {}", self.host(), in_words(&error));
                    return Err(self.trouble(operation, "TruncatedBody", message));
                }
                Ok(None) => break,
                Err(_) => {
                    let message = format!("{} sent nothing for {QUIET:?}", self.host());
                    return Err(self.trouble(operation, "RequestTimeout", message));
                }
            }
        }
        Ok(None)
    }

    /// Gives the connection of an answer back, whose body says nothing.
    pub(super) async fn finish(&self, operation: &'static str, response: Response<Incoming>) -> HeaderMap {
        let (head, body) = response.into_parts();
        let _words = self.read_some(operation, body).await;
        head.headers
    }

    /// A failure of ours after which the same request may succeed.
    pub(super) fn trouble(&self, operation: &'static str, code: &str, message: impl Into<String>) -> TransferError {
        self.error(FailureClass::Transient, operation, code, message)
    }

    /// An answer of success that makes no sense. Asking again may help.
    pub(super) fn unreadable(&self, operation: &'static str, why: &str) -> TransferError {
        self.trouble(operation, "UnreadableAnswer", format!("{} gave an answer that cannot be read: {why}", self.host()))
    }

    /// The registry speaks of other content than we do.
    pub(super) fn mismatch(&self, operation: &'static str, expected: &Digest, got: &str) -> TransferError {
        self.trouble(operation, "DIGEST_MISMATCH", format!("expected {expected} at {}, it has {got}", self.host()))
    }
}

/// What is not there by the specification's own code: many registries and all proxies have other words for it.
pub(super) fn unknown(error: TransferError, code: &str) -> TransferError {
    if is_not_found(&error) { TransferError { code: code.to_owned(), ..error } } else { error }
}

/// Status 404 without a code of the specification: without any, or Harbor's.
pub(super) fn is_not_found(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "NotFound" | "NOT_FOUND")
}

/// A header as text; `None` also when it is none.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A header that is a number.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// Of what the registry says that it speaks (`Docker-Content-Digest`).
pub(super) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    text(headers, &HeaderName::from_static("docker-content-digest"))?.parse().ok()
}

/// The type of an answer, with its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    text(headers, &header::CONTENT_TYPE)
}
