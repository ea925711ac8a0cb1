//! The listeners: a registry, and the storage beside it that blobs may be redirected to.

use std::{fmt, future::poll_fn, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::either::Either;

use super::{
    answer,
    ecr::quota::Quota,
    fault::Faults,
    log::{Log, Requests},
    route::Entrance,
    settings::Builder,
    store::Store,
    token::Tokens,
};
use crate::s3::{pace::Pace, socket::Switch};

/// A running server; dropping it closes its ports and its connections.
pub struct Server {
    shared: Arc<Shared>,
    accepting: [JoinHandle<()>; 2],
}

pub(super) struct Shared {
    pub address: SocketAddr,
    /// Where blobs are redirected to.
    pub storage: SocketAddr,
    pub settings: Builder,
    pub store: Store,
    pub faults: Faults,
    pub log: Log,
    pub pace: Pace,
    pub tokens: Tokens,
    pub quota: Quota,
}

impl Shared {
    /// Beginning of the registry's addresses.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme(), self.address)
    }

    pub fn scheme(&self) -> &'static str {
        if self.settings.tls.is_some() { "https" } else { "http" }
    }
}

impl Server {
    /// A registry that accepts everyone.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A registry with other settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn on(registry: TcpListener, storage: TcpListener, settings: Builder) -> io::Result<Self> {
        let (pace, store) = (Pace::default(), Store::default());
        pace.set_latency(settings.latency);
        if let Some(ecr) = &settings.ecr {
            store.set_account("BLOB_MOUNTING", if ecr.blob_mounting { "ENABLED" } else { "DISABLED" });
        }
        let shared = Arc::new(Shared {
            address: registry.local_addr()?,
            storage: storage.local_addr()?,
            quota: Quota::new(settings.ecr.as_ref().and_then(|ecr| ecr.put_image_per_s)),
            settings,
            store,
            faults: Faults::default(),
            log: Log::default(),
            pace,
            tokens: Tokens::default(),
        });
        let accepting = [(registry, Entrance::Registry), (storage, Entrance::Storage)]
            .map(|(listener, entrance)| tokio::spawn(accept(listener, entrance, Arc::clone(&shared))));
        Ok(Self { shared, accepting })
    }

    /// `http://127.0.0.1:PORT`, or `https`: what a task file takes as a registry, and for ECR as `endpoint` and `registry_endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shared.base()
    }

    /// `127.0.0.1:PORT`, as the first part of an image's name.
    #[must_use]
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// What it has.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked of it so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.log.snapshot()
    }

    /// Begins the log anew.
    pub fn reset_requests(&self) {
        self.shared.log.reset();
    }

    /// Every request waits this long from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.pace.set_latency(latency);
    }

    /// All connections together move this many body bytes per second from now on; `None`: as many as they can.
    pub fn set_bandwidth(&self, bytes_per_s: Option<u64>) {
        self.shared.pace.set_bandwidth(bytes_per_s);
    }

    /// All tokens given out so far are no longer valid.
    pub fn expire_tokens(&self) {
        self.shared.tokens.expire();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, entrance: Entrance, shared: Arc<Shared>) {
    // dropped with this task, which ends every connection
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, entrance, Arc::clone(&shared)))),
                // out of file descriptors: the next turn may find one
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, entrance: Entrance, shared: Arc<Shared>) {
    // small answers must not wait for the peer's acknowledgement; where it fails they only come later
    let _ = stream.set_nodelay(true);
    let stream = match &shared.settings.tls {
        None => Either::Left(stream),
        // a client that does not trust the certificate hangs up
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Either::Right(stream),
            Err(_) => return,
        },
    };
    let switch = Switch::default();
    let end = switch.clone();
    let service = service_fn(move |request| Box::pin(answer::answer(Arc::clone(&shared), entrance, request, switch.clone())));
    let mut http = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // an error here and below is the client's (or a fault's) broken connection
    let _ = poll_fn(|cx| http.poll_without_shutdown(cx)).await;
    let _ = end.carry_out(http.into_parts().io.into_inner()).await;
}
