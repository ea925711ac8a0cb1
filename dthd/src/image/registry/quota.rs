//! Requests per second that a registry allows, kept by whoever knows them.

use futures::future::BoxFuture;

use super::Registry;
use crate::transfer::TransferError;
use dth_proto::failure::FailureClass;

/// Keeps a registry's limits on requests per second, by the names of the operations ([`Call::operation`](super::Call)).
pub trait Quotas: Send + Sync {
    /// Waits until a request may be sent. Dropping the future gives up the place.
    fn permit(&self, operation: &'static str) -> BoxFuture<'_, ()>;

    /// The registry answered a request with "less load".
    fn throttled(&self, operation: &'static str);
}

impl Registry {
    /// Waits until the registry's quotas allow another request.
    pub(super) async fn permit(&self, operation: &'static str) {
        if let Some(quotas) = &self.quotas {
            quotas.permit(operation).await;
        }
    }

    /// Counts a request that was refused because of the load, and slows down the next ones of its kind.
    pub(super) fn note_load(&self, operation: &'static str, error: &TransferError) {
        if error.class != FailureClass::Throttled {
            return;
        }
        self.inner.counters.throttled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(quotas) = &self.quotas {
            quotas.throttled(operation);
        }
    }
}
