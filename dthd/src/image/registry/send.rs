//! One request on the wire: where it goes, how long it may take, where it is sent on to, and what a refusal says.

use std::time::Duration;

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Call, Registry, redirect, refusal::Refusal};
use crate::{
    http::{Client, Pieces, SendError, public::is_public},
    transfer::TransferError,
};

/// From a request without a body to the head of its answer, and between two pieces of an answer's body.
pub(super) const QUIET: Duration = Duration::from_secs(60);
/// Bodies that are sent get this much longer per byte: 32 KiB/s is slower than any link worth a transfer.
const SLOWEST: u64 = 32 * 1024;
/// Most bytes of a refusal or a token that are read.
const LONGEST: usize = 256 * 1024;

/// An answer, and who gave it after all redirects.
pub(super) struct Sent {
    pub(super) response: Response<Incoming>,
    pub(super) by: Uri,
}

impl Registry {
    /// The registry's own address.
    pub(super) fn home(&self) -> Result<Uri, TransferError> {
        let url = self.inner.site.url("/v2/");
        url.parse().map_err(|_| {
            let why = format!("{:?} is not the address of a registry: write it like registry.example.com:5000", self.host());
            self.error(FailureClass::Permanent, "Connect", "BadAddress", why)
        })
    }

    /// Where a request goes: below the registry's address, or to an address that it gave.
    pub(super) fn target(&self, call: &Call<'_>) -> Result<Uri, TransferError> {
        if call.target.starts_with('/') {
            let url = self.inner.site.url(&call.target);
            return url
                .parse()
                .map_err(|_| self.error(FailureClass::Permanent, call.operation, "BadAddress", format!("{url:?} is no address")));
        }
        let home = self.home()?;
        let target = redirect::resolve(&home, &call.target).map_err(|why| self.not_followed(call.operation, &why))?;
        // behind a proxy that ends TLS registries do not know that they are asked with it
        let forgot = home.scheme_str() == Some("https") && target.scheme_str() == Some("http") && target.host() == home.host();
        let (Some(authority), Some(rest), true) = (home.authority(), target.path_and_query(), forgot) else { return Ok(target) };
        let encrypted = Uri::builder().scheme("https").authority(authority.clone()).path_and_query(rest.clone()).build();
        Ok(encrypted.unwrap_or(target))
    }

    /// Sends a request once, and on where it is a GET or HEAD and the answer says so. `shown` goes to the place itself only.
    pub(super) async fn send(&self, call: &Call<'_>, target: Uri, shown: Option<&HeaderValue>) -> Result<Sent, TransferError> {
        let (first, mut from, mut to) = (target.clone(), self.home()?, target);
        for _ in 0..=redirect::MOST {
            let client = self.client_for(call.operation, &from, &to).await?;
            let shown = shown.filter(|_| redirect::is_same_place(&first, &to));
            let response = self.send_to(call, client, &to, shown).await?;
            let onwards = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let (Some(location), true) = (location, onwards && matches!(call.method, Method::GET | Method::HEAD)) else {
                return Ok(Sent { response, by: to });
            };
            let next = redirect::resolve(&to, location).map_err(|why| self.not_followed(call.operation, &why))?;
            // an answer of some bytes is read, so that its connection can be used again
            let _words = self.read_some(call.operation, response.into_body()).await;
            (from, to) = (to, next);
        }
        let why = format!("{} sends from one place to the next, the last one is {}", self.host(), redirect::host(&to));
        Err(self.error(FailureClass::Permanent, call.operation, "TooManyRedirects", why))
    }

    /// What connects to `to`, if it may be asked.
    pub(super) async fn client_for(&self, operation: &'static str, from: &Uri, to: &Uri) -> Result<&Client, TransferError> {
        let home = self.home()?;
        if redirect::is_same_place(&home, to) {
            return Ok(&self.inner.http);
        }
        let is_private = self.is_private(&home).await;
        redirect::check(&home, from, to, is_private).map_err(|why| self.not_followed(operation, &why))?;
        Ok(if redirect::needs_public(&home, to, is_private) { &self.inner.public } else { &self.inner.http })
    }

    /// Whether the registry is at an address that is not public.
    async fn is_private(&self, home: &Uri) -> bool {
        let look_up = async {
            if let Some(address) = redirect::literal(home) {
                return !is_public(address);
            }
            // a name that only a proxy knows is none of this network
            let found = tokio::net::lookup_host((redirect::host(home), redirect::port(home))).await;
            found.is_ok_and(|mut all| all.any(|address| !is_public(address.ip())))
        };
        *self.inner.is_private.get_or_init(|| look_up).await
    }

    async fn send_to(
        &self,
        call: &Call<'_>,
        client: &Client,
        to: &Uri,
        shown: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, TransferError> {
        self.count_request();
        let make = || {
            let body = Pieces::of(std::slice::from_ref(&call.body));
            self.head(call, to, call.body.len() as u64, shown).body(body).map_err(|error| SendError::Request(error.to_string()))
        };
        let limit = patience(call.body.len() as u64);
        match tokio::time::timeout(limit, client.send(make)).await {
            Ok(answer) => answer.map_err(|error| self.unsent(call.operation, to, error)),
            Err(_) => Err(self.silent(call.operation, to, limit)),
        }
    }

    /// A request without its body.
    pub(super) fn head(&self, call: &Call<'_>, to: &Uri, length: u64, shown: Option<&HeaderValue>) -> request::Builder {
        let host = to.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder().method(call.method.clone()).uri(to).header(header::HOST, host);
        request = request.header(header::USER_AGENT, concat!("dthd/", env!("CARGO_PKG_VERSION")));
        if let Some(shown) = shown {
            request = request.header(header::AUTHORIZATION, shown);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        // also of nothing: some refuse a body of a length that is not announced (411)
        if !matches!(call.method, Method::GET | Method::HEAD | Method::DELETE) {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        request
    }

    /// The first bytes of a body; all of it, unless it is far larger than any error or token.
    pub(super) async fn read_some(&self, operation: &'static str, mut body: Incoming) -> Result<Vec<u8>, TransferError> {
        let mut read = Vec::new();
        while read.len() < LONGEST {
            match tokio::time::timeout(QUIET, body.frame()).await {
                Ok(Some(Ok(frame))) => read.extend(frame.into_data().as_deref().unwrap_or_default()),
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let why = format!("{} broke off its answer: {}", self.host(), crate::http::client::in_words(&error));
                    return Err(self.error(FailureClass::Transient, operation, "TruncatedBody", why));
                }
                Err(_) => {
                    let why = format!("{} sent nothing for {QUIET:?}", self.host());
                    return Err(self.error(FailureClass::Transient, operation, "RequestTimeout", why));
                }
            }
        }
        Ok(read)
    }

    /// What an answer that is no success says. A body that breaks off says as much as has come.
    pub(super) async fn refusal(&self, operation: &'static str, response: Response<Incoming>) -> (http::response::Parts, Refusal) {
        let (head, body) = response.into_parts();
        let body = self.read_some(operation, body).await.unwrap_or_default();
        let refusal = Refusal::read(head.status, &head.headers, &body);
        (head, refusal)
    }

    /// An error of ours about this registry.
    pub(super) fn error(&self, class: FailureClass, operation: &'static str, code: &str, message: impl Into<String>) -> TransferError {
        TransferError::new(class, self.side(), operation, code, message)
    }

    /// A refusal as an error. `by`: who refused, where that is not the registry itself.
    pub(super) fn refused(&self, operation: &'static str, refusal: &Refusal, by: Option<&Uri>) -> TransferError {
        let (mut class, mut message) = (refusal.class(), refusal.message());
        if let Some(by) = by {
            message = format!("{message} (said {}, where {} keeps it)", redirect::host(by), self.host());
            // the next address will be signed anew
            if refusal.is_expired() {
                class = FailureClass::Transient;
            }
        }
        if refusal.status.is_redirection() {
            message = format!("{} sends this request elsewhere, which only reading ones may follow", self.host());
        }
        TransferError {
            class,
            side: self.side(),
            operation,
            code: refusal.code().to_owned(),
            message,
            request_id: refusal.request_id.clone(),
            retry_after: refusal.retry_after,
        }
    }

    fn not_followed(&self, operation: &'static str, why: &redirect::Refused) -> TransferError {
        let why = format!("{} names a place that {why}: it is not asked", self.host());
        self.error(FailureClass::Permanent, operation, "RedirectRefused", why)
    }

    /// A request that got no answer.
    pub(super) fn unsent(&self, operation: &'static str, to: &Uri, error: SendError) -> TransferError {
        let (class, code, text) = match error {
            SendError::Connection(text) => (FailureClass::Transient, "ConnectionFailed", text),
            SendError::ConnectTimeout(text) => (FailureClass::Transient, "ConnectTimeout", text),
            SendError::Request(text) => (FailureClass::Permanent, "BadRequest", text),
        };
        self.error(class, operation, code, format!("cannot reach {}: {text}", to.authority().map_or("", |a| a.as_str())))
    }

    pub(super) fn silent(&self, operation: &'static str, to: &Uri, limit: Duration) -> TransferError {
        let why = format!("{} gave no answer within {limit:?}", redirect::host(to));
        self.error(FailureClass::Transient, operation, "RequestTimeout", why)
    }
}

/// How long the head of an answer may take.
fn patience(sent: u64) -> Duration {
    QUIET + Duration::from_secs(sent / SLOWEST)
}

/// Whether an answer is what was hoped for.
pub(super) fn is_good(status: StatusCode, accept: &[StatusCode]) -> bool {
    status.is_success() || accept.contains(&status)
}

impl Default for Call<'_> {
    fn default() -> Self {
        Self {
            operation: "",
            method: Method::GET,
            target: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            repository: None,
            also: None,
            push: false,
        }
    }
}
