//! A request as it is, once: what the store answers is what was asked for.

use super::Bucket;
use crate::{
    s3::wire::{Raw, Reply},
    transfer::TransferError,
};

/// The name of such a request in errors.
const RAW: &str = "Probe";

impl Bucket {
    /// # Errors
    /// When there is no answer; a refusal is an answer.
    pub(in crate::s3) async fn raw(&self, what: Raw<'_>) -> Result<Reply, TransferError> {
        let sent = what.body.map_or(0, crate::s3::payload::Payload::len);
        let what = &what;
        let mut ask = || async move { self.inner.wire.raw(what).await.map_err(|failure| self.unsent(RAW, failure)) };
        self.once(RAW, sent, &mut ask).await
    }
}
