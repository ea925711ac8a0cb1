//! What a registry is before it starts: who may ask it, what it can do, what it keeps.

use std::{io, time::Duration};

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{door::Door, ecr::Ecr, server::Server, token::Bearer};
use crate::s3::Ca;

/// What remains of the blobs that are pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Their bytes.
    #[default]
    Content,
    /// Their digest is computed and compared, their bytes are dropped: whoever reads them is told `BLOB_UNKNOWN`.
    Digest,
    /// Their length; the digest is believed. Costs nothing, for measuring the other side.
    Length,
}

/// Settings of a server before it starts.
#[derive(Clone)]
pub struct Builder {
    pub(super) door: Door,
    pub(super) referrers: bool,
    pub(super) page: usize,
    pub(super) plain_tags: bool,
    pub(super) relative_locations: bool,
    pub(super) chunk_min: Option<u64>,
    pub(super) keep: Keep,
    /// Blobs are read by redirection; an address is good for this long.
    pub(super) redirect: Option<Duration>,
    pub(super) latency: Duration,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) ecr: Option<Ecr>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            door: Door::Open,
            referrers: true,
            page: 1_000,
            plain_tags: false,
            relative_locations: false,
            chunk_min: None,
            keep: Keep::Content,
            redirect: None,
            latency: Duration::ZERO,
            tls: None,
            ecr: None,
        }
    }
}

impl Builder {
    /// Asks for this user and password with every request.
    #[must_use]
    pub fn basic(mut self, user: &str, password: &str) -> Self {
        self.door = Door::Basic { user: user.to_owned(), password: password.to_owned() };
        self
    }

    /// Asks for tokens, which it gives out itself at `/token`.
    #[must_use]
    pub fn bearer(mut self, bearer: Bearer) -> Self {
        self.door = Door::Bearer(bearer);
        self
    }

    /// Is ECR: its API at `/` of the same port, Basic with a token of it, redirected blobs, and everything else that is peculiar to it.
    #[must_use]
    pub fn ecr(mut self, ecr: Ecr) -> Self {
        self.door = Door::Ecr;
        self.redirect = Some(ecr.blob_address_lifetime);
        self.ecr = Some(ecr);
        self
    }

    /// Whether it has the referrers API (it has) and answers manifests with a subject with `OCI-Subject`.
    #[must_use]
    pub fn referrers(mut self, on: bool) -> Self {
        self.referrers = on;
        self
    }

    /// No page of tags, repositories or referrers has more entries than this, whatever was asked for.
    #[must_use]
    pub fn page(mut self, most: usize) -> Self {
        self.page = most;
        self
    }

    /// Tags come all at once, whatever `n` says, and not in order, as docker-registry 2.8 gives them.
    #[must_use]
    pub fn plain_tags(mut self) -> Self {
        self.plain_tags = true;
        self
    }

    /// `Location` is without scheme and host.
    #[must_use]
    pub fn relative_locations(mut self) -> Self {
        self.relative_locations = true;
        self
    }

    /// Chunks of uploads, except the last, have at least this many bytes (`OCI-Chunk-Min-Length`).
    #[must_use]
    pub fn chunk_min(mut self, bytes: u64) -> Self {
        self.chunk_min = Some(bytes);
        self
    }

    /// What it keeps of blobs that are pushed.
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Blobs are read from another port, by addresses that are good for this long and must be used without `Authorization`.
    #[must_use]
    pub fn redirect_blobs(mut self, lifetime: Duration) -> Self {
        self.redirect = Some(lifetime);
        self
    }

    /// Every request waits this long.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Speaks TLS, with a certificate of this authority.
    ///
    /// # Panics
    /// When no certificate can be made.
    #[must_use]
    pub fn tls(mut self, ca: &Ca) -> Self {
        self.tls = Some(ca.acceptor().expect("a certificate for fixed names can be made"));
        self
    }

    /// Listens on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(self) -> io::Result<Server> {
        let registry = TcpListener::bind(("127.0.0.1", 0)).await?;
        let storage = TcpListener::bind(("127.0.0.1", 0)).await?;
        Server::on(registry, storage, self)
    }
}
