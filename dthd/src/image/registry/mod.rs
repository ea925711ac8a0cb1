//! A registry by the OCI distribution specification.
//!
//! | file | holds |
//! |---|---|
//! | [`site`] | where a registry is: Docker Hub's several names, schemes, ports |
//! | [`login`], [`docker`] | how to sign in: nothing, a password, a token; what `docker login` has left |
//! | `call` | one request, signed in, within its limits, repeated where that helps |
//! | `send`, `redirect` | one request on the wire, and where it may be sent on to |
//! | `authorize`, `challenge`, `token` | what the registry wants to see before it answers, found out once |
//! | `refusal` | what it says instead |
//! | `quota` | requests per second that a registry allows |
//! | `sign_ins` | how runs sign in, kept from one to the next |
//! | `answer` | answers: headers, small bodies, bodies that break off |
//! | [`manifest`] | manifests by tag and digest, read and written |
//! | [`tag`], `page` | lists of repositories and tags, page by page |
//! | [`blob`] | blobs as they come, from any byte on |
//! | [`upload`] | blobs as they go: sessions, chunks, mounts |
//! | [`referrer`] | what refers to a manifest |

mod answer;
mod authorize;
pub mod blob;
mod call;
mod challenge;
pub mod docker;
pub mod login;
pub mod manifest;
mod page;
#[cfg(test)]
mod quirks;
pub mod quota;
mod redirect;
pub mod referrer;
mod refusal;
mod send;
mod sign_ins;
pub mod site;
pub mod tag;
#[cfg(test)]
mod tests;
mod token;
pub mod upload;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use dth_proto::failure::Side;
use tokio::sync::OnceCell;

pub use self::{
    authorize::SignIn,
    blob::BlobBody,
    call::Call,
    login::{Basic, Login, Renew, Secret, login_for},
    manifest::{Found, Stored},
    quota::Quotas,
    referrer::{Referrers, ReferrersBy, fallback_tag},
    sign_ins::SignIns,
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
    quotas: Option<Arc<dyn Quotas>>,
}

struct Inner {
    http: Client,
    /// For places that a public registry leads to.
    public: Client,
    site: Site,
    side: Side,
    sign_in: Arc<SignIn>,
    /// Whether the registry is at an address that is not public.
    is_private: OnceCell<bool>,
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
    /// Prepares requests to a registry; sends none. `sign_in` is a [`Login`], or one of the [`SignIns`] that several handles share. With `windows`, requests wait until the registry can take them, in queues of this handle's
    /// own.
    ///
    /// # Errors
    /// When `AWS_CA_BUNDLE` is no use.
    pub fn open(
        site: Site,
        side: Side,
        sign_in: impl Into<Arc<SignIn>>,
        windows: Option<&Windows>,
        retry: RetryPolicy,
        counters: Arc<RequestCounters>,
    ) -> Result<Self, TlsError> {
        let windows = windows.map(|windows| [Kind::List, Kind::Read, Kind::Write].map(|kind| windows.of(site.host(), kind)));
        let http = Client::new()?;
        let (public, sign_in, is_private) = (http.public_only(), sign_in.into(), OnceCell::new());
        let inner = Inner { http, public, site, side, sign_in, is_private, retry, counters, windows };
        Ok(Self { inner: Arc::new(inner), quotas: None })
    }

    /// The same registry, with limits on requests per second that are to be kept.
    #[must_use]
    pub fn within(self, quotas: Arc<dyn Quotas>) -> Self {
        Self { quotas: Some(quotas), ..self }
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

    /// Counts of all requests that share these counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<RequestCounters> {
        &self.inner.counters
    }
}
