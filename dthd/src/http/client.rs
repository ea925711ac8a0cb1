//! Requests over pooled connections.

use std::{error::Error, io, sync::Arc, time::Duration};

use http::{Extensions, Request, Response, Uri, header::PROXY_AUTHORIZATION};
use hyper::body::Incoming;
use hyper_util::{
    client::{legacy, proxy::matcher::Matcher},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;

use super::{
    body::{Outgoing, Pieces},
    connect::{Connector, Served},
    flow::{Cut, Flow},
    resolve::Reach,
    tls::{self, TlsError},
};

/// S3 closes connections that were idle for about 20 s; a request sent into that moment is lost.
const IDLE: Duration = Duration::from_secs(12);
/// Most bytes read at once, per connection. What was read holds its whole buffer as long as it is in use, and reads bring about this
/// much: larger buffers save few system calls, and held twice the memory of the bodies in them (measured with 128 KiB).
const READ: usize = 64 * 1024;
/// Environment variables that name a proxy (curl's, as the AWS SDKs read them).
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A pool of connections. Clones share it; they close when the last one is dropped.
#[derive(Clone)]
pub struct Client {
    pooled: legacy::Client<Connector, Outgoing>,
    /// For what was lost on a pooled connection: always a new one.
    fresh: legacy::Client<Connector, Outgoing>,
    proxies: Option<Arc<Matcher>>,
    tls: Arc<ClientConfig>,
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection within the time for it.
    #[error("{0}")]
    ConnectTimeout(String),
    /// No connection, or it ended before the answer's head was complete.
    #[error("{0}")]
    Connection(String),
    /// The request cannot be sent at all.
    #[error("{0}")]
    Request(String),
}

impl Client {
    /// A client without connections yet. Honours `AWS_CA_BUNDLE` (added to the system's certificates), `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// [`TlsError`] when `AWS_CA_BUNDLE` is no use.
    pub fn new() -> Result<Self, TlsError> {
        let any = PROXIES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        Ok(Self::with(tls::config()?, any.then(Matcher::from_env)))
    }

    pub(super) fn with(tls: ClientConfig, proxies: Option<Matcher>) -> Self {
        Self::reaching(Reach::All, Arc::new(tls), proxies.map(Arc::new))
    }

    /// A client with a pool of its own that connects to addresses of the public internet only ([`is_public`](super::public::is_public)).
    /// Addresses that stand in the request itself are not looked at: whoever makes it has seen them.
    #[must_use]
    pub fn public_only(&self) -> Self {
        Self::reaching(Reach::Public, Arc::clone(&self.tls), self.proxies.clone())
    }

    fn reaching(reach: Reach, tls: Arc<ClientConfig>, proxies: Option<Arc<Matcher>>) -> Self {
        let connector = Connector::new(reach, Arc::clone(&tls), proxies.clone());
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(READ)
            .retry_canceled_requests(true)
            // it is signed, so that whoever makes the request has set it
            .set_host(false);
        let pooled = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Self { pooled, fresh, proxies, tls }
    }

    /// Sends a request, which must have a `Host` and be safe to repeat; answers with the head of the response. When a connection that
    /// had answered before turns out to be dead, the request is made once more and sent over a new one: the store had closed it between
    /// two requests, which says nothing about this one.
    ///
    /// # Errors
    /// [`SendError`], when there is no answer; those of `make`.
    pub async fn send<E: From<SendError>>(&self, make: impl Fn() -> Result<Request<Pieces>, E>) -> Result<Response<Incoming>, E> {
        match self.pooled.request(self.through(make()?.map(Outgoing::Pieces))).await {
            Ok(response) => Ok(served(response)),
            Err(error) if died_between(&error) => {
                tracing::trace!(%error, "connection was closed between two requests");
                self.fresh.request(self.through(make()?.map(Outgoing::Pieces))).await.map_err(|error| classify(&error).into())
            }
            Err(error) => Err(classify(&error).into()),
        }
    }

    /// Sends a request whose body comes while it is sent; it must have a `Host`, and is never repeated. The answer may come before the body
    /// is complete.
    ///
    /// # Errors
    /// [`SendError`], when there is no answer: also when the body was cut.
    pub async fn send_flow(&self, request: Request<Flow>) -> Result<Response<Incoming>, SendError> {
        let answer = self.pooled.request(self.through(request.map(Outgoing::Flow))).await;
        answer.map(served).map_err(|error| classify(&error))
    }

    /// A proxy that reads requests itself may want to know who asks.
    fn through(&self, mut request: Request<Outgoing>) -> Request<Outgoing> {
        if let Some(proxies) = &self.proxies
            && request.uri().scheme_str() == Some("http")
            && let Some(auth) = intercepted(proxies, request.uri())
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, auth);
        }
        request
    }
}

/// Its connection has answered.
fn served(response: Response<Incoming>) -> Response<Incoming> {
    if let Some(served) = response.extensions().get::<Served>() {
        served.mark();
    }
    response
}

fn intercepted(proxies: &Matcher, to: &Uri) -> Option<http::HeaderValue> {
    proxies.intercept(to)?.basic_auth().cloned()
}

/// Whether a connection that had answered before ended without an answer to this request.
fn died_between(error: &legacy::Error) -> bool {
    let mut extra = Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extra);
    }
    let reused = extra.get::<Served>().is_some_and(Served::is);
    reused
        && causes(error).any(|cause| {
            let hyper = cause.downcast_ref::<hyper::Error>();
            hyper.is_some_and(|e| e.is_incomplete_message() || e.is_closed() || e.is_canceled())
                || cause.downcast_ref::<io::Error>().is_some_and(is_end)
        })
}

/// The other end is gone.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

fn classify(error: &legacy::Error) -> SendError {
    let text = in_words(error);
    if causes(error).any(<dyn Error>::is::<Cut>) {
        return SendError::Connection(text);
    }
    if causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user)) {
        return SendError::Request(text);
    }
    let late = |cause: &(dyn Error + 'static)| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
    if error.is_connect() && causes(error).any(late) { SendError::ConnectTimeout(text) } else { SendError::Connection(text) }
}

/// An error and what is behind it, the innermost last.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// An error and its causes in one line, each said once.
#[must_use]
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
