//! What all tasks share of ECR's accounts: their quotas, and the tokens that were fetched for their registries.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt, future::BoxFuture};

use super::{
    governor::{Api, Governors},
    service::Service,
    token::Kept,
};
use crate::{credential::Credential, image::registry::Quotas};

/// Tokens that are kept; beyond it those that nobody uses are forgotten.
const KEPT: usize = 64;

/// See the module. One per daemon.
#[derive(Default)]
pub struct Accounts {
    /// Requests per second.
    pub(super) governors: Governors,
    pub(super) tokens: Tokens,
}

/// Tokens by where they are from and whose they are: one is good for all registries that the credential may use (AWS: "Private registry
/// authentication in Amazon ECR").
#[derive(Default)]
pub(super) struct Tokens {
    all: Mutex<Vec<Known>>,
}

struct Known {
    place: String,
    region: String,
    credential: Credential,
    token: Arc<Kept>,
}

impl Tokens {
    /// The token of a service's place and credential, which may have to be fetched yet.
    pub(super) fn of(&self, service: &Service) -> Arc<Kept> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &&Known| {
            known.place == service.place() && known.region == service.region() && known.credential.is_same(service.credential())
        };
        if let Some(known) = all.iter().find(is_it) {
            return Arc::clone(&known.token);
        }
        if all.len() >= KEPT {
            all.retain(|known| Arc::strong_count(&known.token) > 1);
        }
        let (place, region, credential) = (service.place().to_owned(), service.region().to_owned(), service.credential().clone());
        let token = Arc::new(Kept::default());
        all.push(Known { place, region, credential, token: Arc::clone(&token) });
        token
    }
}

impl Quotas for Service {
    fn permit(&self, operation: &'static str) -> BoxFuture<'_, ()> {
        async move {
            if let Some(api) = Api::of_registry(operation) {
                self.governor().permit(api).await;
            }
        }
        .boxed()
    }

    fn throttled(&self, operation: &'static str) {
        if let Some(api) = Api::of_registry(operation) {
            self.governor().throttled(api);
        }
    }
}
