//! One HTTP request at a time, each over a connection of its own: what tests say to a server that no client library would say.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A header as text; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends a request to `address` (`127.0.0.1:PORT`) over plain HTTP/1.1; `target` is the path with its query.
///
/// # Errors
/// When the server cannot be reached or does not answer in HTTP.
pub async fn send(address: &str, method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // its end is seen by the request
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(target).header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = sender.send_request(request.body(Full::new(body))?).await?.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
}
