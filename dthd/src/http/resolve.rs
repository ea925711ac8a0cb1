//! From a name to its addresses, in another order each time, so that connections spread over all of them.
//!
//! S3 answers with up to eight addresses; a client that takes the first one leaves seven of its machines idle.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use rand::seq::SliceRandom;
use tower_service::Service;

use super::public::is_public;

/// Which addresses a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    /// Of the public internet only. Looked at here, where the connection is made: a name looked up before could lead elsewhere by now.
    Public,
}

/// The system's resolver, shuffled. Asked for every connection: stores change their answers within seconds to spread load.
#[derive(Clone, Debug)]
pub(super) struct Shuffled {
    system: GaiResolver,
    reach: Reach,
}

impl Shuffled {
    pub(super) fn new(reach: Reach) -> Self {
        Self { system: GaiResolver::new(), reach }
    }
}

impl Service<Name> for Shuffled {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, reach) = (self.system.call(name.clone()), self.reach);
        let shuffled: BoxFuture<'static, _> = Box::pin(async move {
            let mut found: Vec<SocketAddr> = found.await?.collect();
            if reach == Reach::Public {
                found.retain(|address| is_public(address.ip()));
                if found.is_empty() {
                    let why = format!("{name} has no address in the public internet, and only those may be used here");
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
                }
            }
            Ok(shuffle(found).into_iter())
        });
        shuffled
    }
}

/// Families stay together, in the order in which the system prefers them: only within one are all addresses alike.
fn shuffle(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (mut preferred, mut other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut rng = rand::rng();
    preferred.shuffle(&mut rng);
    other.shuffle(&mut rng);
    preferred.extend(other);
    preferred
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_address_comes_first_at_some_time() {
        let all: Vec<SocketAddr> =
            ["192.0.2.1:443", "192.0.2.2:443", "[2001:db8::1]:443", "192.0.2.3:443"].map(|a| a.parse().expect("an address")).to_vec();
        let mut first = BTreeSet::new();
        for _ in 0..1000 {
            let order = shuffle(all.clone());
            assert_eq!(order.iter().collect::<BTreeSet<_>>(), all.iter().collect(), "none is lost");
            assert!(order[3].is_ipv6(), "the preferred family stays in front");
            first.insert(order[0]);
        }
        // the chance that one of three never came first is 1 in 10^175
        assert_eq!(first.len(), 3);
    }

    #[tokio::test]
    async fn names_are_resolved() {
        let found = Shuffled::new(Reach::All).call("localhost".parse().expect("a name")).await.expect("every system has it");
        assert!(found.into_iter().all(|address| address.ip().is_loopback()));
    }

    #[tokio::test]
    async fn names_that_lead_home_are_refused_where_only_the_internet_may_be_asked() {
        let error = Shuffled::new(Reach::Public).call("localhost".parse().expect("a name")).await.expect_err("loopback");
        assert!(error.to_string().starts_with("localhost has no address in the public internet"), "{error}");
    }
}
