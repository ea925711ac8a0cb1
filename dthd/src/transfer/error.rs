//! Why a request failed, in the terms that decide what to do next.

use std::time::Duration;

use dth_proto::failure::{FailureClass, Side};

/// A request that failed, classified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {operation}: {code}: {message}", side.word())]
pub struct TransferError {
    /// What to do about it.
    pub class: FailureClass,
    /// Which end.
    pub side: Side,
    /// The request (`GetObject`, `UploadPart`, ...).
    pub operation: &'static str,
    /// The store's own code (`AccessDenied`), or ours in the same style.
    pub code: String,
    /// The store's message or ours.
    pub message: String,
    /// The store's request id.
    pub request_id: Option<String>,
    /// How long the store asked us to wait.
    pub retry_after: Option<Duration>,
}

impl TransferError {
    /// An error of ours, without a store's request id.
    pub fn new(class: FailureClass, side: Side, operation: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self { class, side, operation, code: code.to_owned(), message: message.into(), request_id: None, retry_after: None }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, FailureClass::Throttled | FailureClass::Transient)
    }
}
