//! `dth-bench serve`: an S3 at no cost. Objects and keys are computed, what is written is counted and thrown away.
//!
//! The bucket `source` holds the objects; `destination` is empty or holds the same. Signatures are not checked, nor is the content
//! of what is written: each write is only checked to be of a key of the source and of the right length, and is answered with the
//! ETag and the checksum it must have. That copies are right is proven by the tests; here it is only their cost that counts.

mod count;
mod listing;
mod object;
mod query;
mod upload;

use std::{io, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use dth_proto::units::ByteSize;
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

pub use self::count::Counts;
use self::{count::Counter, query::Query, upload::Uploads};
use crate::{
    content::{Content, PART, Pieces},
    keys::Keys,
};

/// Name of the bucket that is read.
pub const SOURCE: &str = "source";
/// Name of the bucket that is written.
pub const DESTINATION: &str = "destination";

/// What the server holds and how it behaves.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Settings {
    /// Keys of the source.
    #[command(flatten)]
    pub keys: Keys,
    /// Bytes of each object.
    #[arg(long, value_name = "SIZE", default_value = "4KiB")]
    pub size: ByteSize,
    /// The destination holds the same as the source, instead of nothing.
    #[arg(long)]
    pub equal: bool,
    /// Every request waits this long.
    #[arg(long, value_name = "SPAN", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// Share of the requests that are answered 503 SlowDown.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub refuse: f64,
    /// How long that lasts from the first request on.
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = humantime::parse_duration)]
    pub refuse_for: Duration,
}

impl Settings {
    /// The arguments that give these settings.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--objects={}", self.keys.count),
            format!("--size={}B", self.size.0),
            format!("--latency={}us", self.latency.as_micros()),
            format!("--refuse={}", self.refuse),
            format!("--refuse-for={}us", self.refuse_for.as_micros()),
        ];
        arguments.extend(self.keys.flat.then(|| "--flat".to_owned()));
        arguments.extend(self.equal.then(|| "--equal".to_owned()));
        arguments
    }
}

/// What all connections share.
struct Shared {
    settings: Settings,
    content: Content,
    etag: String,
    /// What the objects of the source answer with.
    source: object::Headers,
    /// What a write of a whole object in one request is answered with; `None` where that is too large to be usual.
    single: Option<object::Headers>,
    counter: Counter,
    uploads: Uploads,
}

/// Serves on a free port of 127.0.0.1, which it prints as its first line, until its standard input ends; prints [`Counts`] as JSON then.
///
/// # Errors
/// When the port cannot be had.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot bind a port of 127.0.0.1")?;
    println!("http://{}", listener.local_addr()?);
    let content = Content::default();
    let etag = content.etag(settings.size.0);
    let source = object::Headers::source(&content, settings.size.0)?;
    let single = (settings.size.0 <= PART).then(|| source.clone());
    let counter = Counter::new(settings.keys.count);
    let shared = Arc::new(Shared { settings, content, etag, source, single, counter, uploads: Uploads::default() });
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
    // whoever started this holds the other end: it ends with them
    let mut byte = [0];
    while !matches!(tokio::io::stdin().read(&mut byte).await, Ok(0) | Err(_)) {}
    accepting.abort();
    println!("{}", serde_json::to_string(&shared.counter.counts())?);
    Ok(())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&shared)))),
            // out of file descriptors: the next turn may find one
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // small answers must not wait for the peer's acknowledgement; where it fails they only come later
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // an error here is the client's broken connection
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Pieces>> {
    let (head, mut body) = request.into_parts();
    let query = Query::parse(head.uri.query());
    let path = head.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let operation = count::Operation::of(&head.method, key, &query);
    let refused = shared.counter.request(operation, shared.settings.refuse, shared.settings.refuse_for);
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        received += frame.data_ref().map_or(0, Bytes::len) as u64;
    }
    if !shared.settings.latency.is_zero() {
        tokio::time::sleep(shared.settings.latency).await;
    }
    let reply = if refused {
        error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
    } else {
        match (&head.method, key) {
            (&Method::GET, "") => listing::reply(&shared, bucket, &query),
            (_, "") => empty(StatusCode::OK),
            (&Method::GET | &Method::HEAD, _) => object::reply(&shared, bucket, key, &query, &head.headers),
            (&Method::PUT | &Method::POST | &Method::DELETE, _) => {
                upload::reply(&shared, &head.method, key, &query, &head.headers, received)
            }
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "The specified method is not allowed."),
        }
    };
    shared.counter.moved(received, if head.method == Method::HEAD { 0 } else { reply.body().len() });
    Ok(reply)
}

fn empty(status: StatusCode) -> Response<Pieces> {
    let mut reply = Response::new(Pieces::once(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

fn xml(text: impl Into<Bytes>) -> Response<Pieces> {
    let mut reply = Response::new(Pieces::once(text.into()));
    reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/xml"));
    reply
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Pieces> {
    let mut reply =
        xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"));
    *reply.status_mut() = status;
    reply
}
