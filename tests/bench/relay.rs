//! `dth-bench relay`: GET, and the body as it comes into a PUT; no signatures, no checks, no listing. The limit for all others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Method, Request, Response,
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    keys::Keys,
    serve::{DESTINATION, SOURCE},
};

/// What the relay does.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// `http://HOST:PORT` of the server.
    #[arg(long)]
    endpoint: String,
    /// Objects on their way at the same time; each has a connection to either end.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Keys of the source.
    #[command(flatten)]
    keys: Keys,
}

/// Relays every object once.
///
/// # Errors
/// At the first request that does not succeed.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let host = arguments.endpoint.strip_prefix("http://").context("the endpoint must begin with http://")?.to_owned();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..arguments.connections {
        workers.spawn(relay(host.clone(), arguments.keys, Arc::clone(&next)));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Relays objects until none is left.
async fn relay(host: String, keys: Keys, next: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut source = open::<Empty<Bytes>>(&host).await?;
    let mut destination = open::<Incoming>(&host).await?;
    loop {
        let n = next.fetch_add(1, Relaxed);
        if n >= keys.count {
            return Ok(());
        }
        let key = keys.key(n);
        let got = send(&mut source, &host, Method::GET, &format!("/{SOURCE}/{key}"), Empty::new()).await?;
        let put = send(&mut destination, &host, Method::PUT, &format!("/{DESTINATION}/{key}"), got.into_body()).await?;
        // read to its end, or the connection could not be used again
        put.into_body().collect().await?;
    }
}

/// A connection of its own.
///
/// # Errors
/// When the server does not take it.
pub async fn open<B>(host: &str) -> anyhow::Result<SendRequest<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let stream = TcpStream::connect(host).await.with_context(|| format!("cannot reach {host}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // its end is seen by whoever sends
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request and waits for an answer that says yes.
///
/// # Errors
/// When there is none.
pub async fn send<B>(connection: &mut SendRequest<B>, host: &str, method: Method, path: &str, body: B) -> anyhow::Result<Response<Incoming>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    connection.ready().await?;
    let request = Request::builder().method(&method).uri(path).header("host", host).body(body)?;
    let response = connection.send_request(request).await.with_context(|| format!("{method} {path}"))?;
    anyhow::ensure!(response.status().is_success(), "{method} {path}: {}", response.status());
    Ok(response)
}
