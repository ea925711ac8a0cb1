//! From an address to a connection: straight, through a proxy of the environment, with TLS where the scheme says so.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::resolve::{Reach, Shuffled};

/// Until a connection stands, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections that wait for an answer are probed this often, so that one whose other end vanished is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Opening<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Opens connections within [`CONNECT`].
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<Router>);

impl Connector {
    /// `reach` holds for what is asked for, not for proxies in between, which are the operator's own.
    pub(super) fn new(reach: Reach, tls: Arc<ClientConfig>, proxies: Option<Arc<Matcher>>) -> Self {
        let to_proxy = HttpsConnector::from((tcp(Reach::All), Arc::clone(&tls)));
        Self(HttpsConnector::from((Router { tcp: tcp(reach), to_proxy, proxies }, tls)))
    }
}

fn tcp(reach: Reach) -> HttpConnector<Shuffled> {
    let mut tcp = HttpConnector::new_with_resolver(Shuffled::new(reach));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    // one address that does not answer leaves time for the others
    tcp.set_connect_timeout(Some(CONNECT));
    tcp
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Route>;
    type Error = BoxError;
    type Future = Opening<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let opening = self.0.call(to);
        Box::pin(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {CONNECT:?}"));
            tokio::time::timeout(CONNECT, opening).await.map_err(late)?
        })
    }
}

/// Decides whether a proxy stands in between: a tunnel (CONNECT, RFC 9110 section 9.3.6) for https, absolute form for http.
#[derive(Clone)]
struct Router {
    tcp: HttpConnector<Shuffled>,
    to_proxy: HttpsConnector<HttpConnector<Shuffled>>,
    proxies: Option<Arc<Matcher>>,
}

impl Service<Uri> for Router {
    type Response = Route;
    type Error = BoxError;
    type Future = Opening<Route>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.as_ref().and_then(|proxies| proxies.intercept(&to)) else {
            let opening = self.tcp.call(to);
            return Box::pin(async move { Ok(Route::new(MaybeHttpsStream::Http(opening.await?), false)) });
        };
        if to.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            let opening = tunnel.call(to);
            return Box::pin(async move { Ok(Route::new(opening.await?, false)) });
        }
        let opening = self.to_proxy.call(proxy.uri().clone());
        Box::pin(async move { Ok(Route::new(opening.await?, true)) })
    }
}

/// Whether a connection has answered a request before; the same for all requests on it.
#[derive(Clone, Debug)]
pub(super) struct Served(Arc<AtomicBool>);

impl Served {
    pub(super) fn mark(&self) {
        self.0.store(true, Relaxed);
    }

    pub(super) fn is(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A connection to a store or to the proxy in front of it.
pub(super) struct Route {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// A proxy reads the requests itself and needs the whole address in each.
    absolute: bool,
    served: Served,
}

impl Route {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, absolute: bool) -> Self {
        Self { stream, absolute, served: Served(Arc::default()) }
    }
}

impl Connection for Route {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.absolute).extra(self.served.clone())
    }
}

impl Read for Route {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Route {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}
