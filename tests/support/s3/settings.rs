//! What a server is before it starts: who may ask it, over what, and what it adds by itself.

use std::{collections::BTreeMap, io};

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{list, server::Server, signature::Door, tls::Ca};

/// The access key id that every server knows which was given none of its own.
pub const ACCESS_KEY: &str = "embedded-key";
/// Its secret.
pub const SECRET_KEY: &str = "embedded-secret";

/// The largest source of `CopyObject` (AWS).
const MOST_COPIED: u64 = 5 << 30;

/// Settings of a server before it starts.
#[derive(Clone)]
pub struct Builder {
    pub(super) door: Door,
    own_keys: bool,
    pub(super) domain: String,
    pub(super) aws_checksums: bool,
    pub(super) most_keys: usize,
    pub(super) most_copied: u64,
    pub(super) requester_pays: bool,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Default for Builder {
    fn default() -> Self {
        let keys = BTreeMap::from([(ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())]);
        let door = Door { keys, anonymous: true, region: None, clock: SignedDuration::ZERO };
        Self {
            door,
            own_keys: false,
            domain: "localhost".to_owned(),
            aws_checksums: false,
            most_keys: list::MAX_KEYS,
            most_copied: MOST_COPIED,
            requester_pays: false,
            tls: None,
        }
    }
}

impl Builder {
    /// Accepts only known access keys, this one among them, and no anonymous requests unless [`Builder::anonymous`] says so. Every
    /// signature is computed again.
    #[must_use]
    pub fn access_key(mut self, id: &str, secret: &str) -> Self {
        // the first key closes the door; a later one leaves a choice made in between
        if !self.own_keys {
            self.own_keys = true;
            self.door.anonymous = false;
            self.door.keys.clear();
        }
        self.door.keys.insert(id.to_owned(), secret.to_owned());
        self
    }

    /// Whether requests without a signature are accepted (they are, until an access key is set).
    #[must_use]
    pub fn anonymous(mut self, accepted: bool) -> Self {
        self.door.anonymous = accepted;
        self
    }

    /// Accepts only signatures for this region, and tells the others which one it is, as AWS does.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.door.region = Some(region.to_owned());
        self
    }

    /// The server's clock is this much ahead of ours (or behind, when negative).
    #[must_use]
    pub fn clock_offset(mut self, ahead: SignedDuration) -> Self {
        self.door.clock = ahead;
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

    /// No page of a listing has more keys than this, whatever was asked for.
    #[must_use]
    pub fn page(mut self, most_keys: usize) -> Self {
        self.most_keys = most_keys;
        self
    }

    /// `CopyObject` takes objects up to this many bytes only (5 GiB unless it is said).
    #[must_use]
    pub fn copies_up_to(mut self, bytes: u64) -> Self {
        self.most_copied = bytes;
        self
    }

    /// Whoever reads pays, and is refused unless the request says so.
    #[must_use]
    pub fn requester_pays(mut self) -> Self {
        self.requester_pays = true;
        self
    }

    /// Keep a CRC-64/NVME for objects that came without a checksum, as AWS does since 2024-12.
    #[must_use]
    pub fn aws_checksums(mut self) -> Self {
        self.aws_checksums = true;
        self
    }

    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(self) -> io::Result<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Server::on(listener, self)
    }
}
