//! One request to a registry: signed in, within its limits, repeated where that helps.

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;

use super::Registry;
use crate::{
    http::{Pieces, SendError},
    transfer::TransferError,
};

/// A request, as far as it is not the same for all.
pub struct Call<'a> {
    /// Its name in errors and counts (`GetManifest`, `PutBlob`, ...); also decides its window.
    pub operation: &'static str,
    /// Of HTTP.
    pub method: Method,
    /// Path and query below the registry's address (`/v2/…`), or a whole address that the registry gave.
    pub target: String,
    /// Beyond those that all requests have.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Sent with its length; sent again when the request is.
    pub body: Bytes,
    /// The repository that the token must be for; `None`: the registry's catalogue.
    pub repository: Option<&'a str>,
    /// A second repository that the token must allow to read (blob mounts).
    pub also: Option<&'a str>,
    /// The token must allow to write.
    pub push: bool,
}

impl Registry {
    /// Sends a request and answers with what the registry says, unless that is a failure.
    ///
    /// # Errors
    /// [`TransferError`] with the registry's code (`MANIFEST_UNKNOWN`), or ours.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Response<Incoming>, TransferError> {
        let target = if call.target.starts_with('/') { self.inner.site.url(&call.target) } else { call.target.clone() };
        self.count_request();
        let failed = |code: &str, why: String| TransferError::new(FailureClass::Transient, self.side(), call.operation, code, why);
        let make = || {
            let mut request = Request::builder().method(call.method.clone()).uri(&target).header(header::HOST, self.host());
            for (name, value) in &call.headers {
                request = request.header(name, value);
            }
            request.body(Pieces::of(std::slice::from_ref(&call.body))).map_err(|e| SendError::Request(e.to_string()))
        };
        let response = self.inner.http.send(make).await.map_err(|e| failed("ConnectionFailed", e.to_string()))?;
        if response.status().is_success() { Ok(response) } else { Err(failed("Refused", response.status().to_string())) }
    }
}
