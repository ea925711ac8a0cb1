//! A registry by the OCI distribution specification.
//!
//! | file | holds |
//! |---|---|
//! | [`site`] | where a registry is: Docker Hub's several names, schemes, ports |
//! | [`login`] | how to sign in: nothing, a password, ECR's token |
//! | `call` | one request, signed in, within its limits, repeated where that helps |
//! | `answer` | answers: headers, small bodies, bodies that break off |
//! | [`manifest`] | manifests by tag and digest, read and written |
//! | [`tag`], `page` | lists of repositories and tags, page by page |
//! | [`blob`] | blobs as they come, from any byte on |
//! | [`upload`] | blobs as they go: sessions, chunks, mounts |
//! | [`referrer`] | what refers to a manifest |

mod answer;
pub mod blob;
mod call;
pub mod login;
pub mod manifest;
mod page;
pub mod referrer;
pub mod site;
#[cfg(test)]
mod quirks;
pub mod tag;
pub mod upload;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use dth_proto::failure::Side;

pub use self::{
    blob::BlobBody,
    call::Call,
    login::Login,
    manifest::{Found, Stored},
    referrer::{Referrers, ReferrersBy, fallback_tag},
    site::Site,
    upload::{Mount, Upload},
};
use crate::{
    http::{Client, TlsError},
    transfer::{
        progress::RequestCounters,
        retry::RetryPolicy,
        window::{Kind, Window, Windows},
    },
};

/// A registry at one end of a task. Cheap to clone; clones share connections and tokens. Dropping a future of any method ends its request.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    http: Client,
    site: Site,
    side: Side,
    login: Login,
    retry: RetryPolicy,
    counters: Arc<RequestCounters>,
    /// Listings, reads, writes.
    windows: Option<[Window; 3]>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} {})", self.inner.side.word(), self.inner.site.host())
    }
}

impl Registry {
    /// Prepares requests to a registry; sends none. With `windows`, requests wait until the registry can take them, in queues of this handle's
    /// own.
    ///
    /// # Errors
    /// When `AWS_CA_BUNDLE` is no use.
    pub fn open(
        site: Site,
        side: Side,
        login: Login,
        windows: Option<&Windows>,
        retry: RetryPolicy,
        counters: Arc<RequestCounters>,
    ) -> Result<Self, TlsError> {
        let windows = windows.map(|windows| [Kind::List, Kind::Read, Kind::Write].map(|kind| windows.of(site.host(), kind)));
        let inner = Inner { http: Client::new()?, site, side, login, retry, counters, windows };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// `host[:port]`, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.inner.site.host()
    }

    /// Which end this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.inner.side
    }

    /// Requests of a kind that may be in flight now.
    #[must_use]
    pub fn at_a_time(&self, kind: Kind) -> usize {
        self.window(kind).map_or(kind.most(), Window::limit)
    }

    fn window(&self, kind: Kind) -> Option<&Window> {
        let [list, read, write] = self.inner.windows.as_ref()?;
        Some(match kind {
            Kind::List => list,
            Kind::Read => read,
            Kind::Write => write,
        })
    }

    fn count_request(&self) {
        self.inner.counters.requests.fetch_add(1, Relaxed);
    }
}
