//! What a dry run found, and what a copy would cost.

use serde::{Deserialize, Serialize};

use super::TaskDetail;
use crate::failure::Side;

/// A plan, or how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanReply {
    /// The task, with the run that plans: its counters, reasons and rules.
    pub detail: TaskDetail,
    /// Requests that a copy would send, by kind; estimated, retries not included.
    pub requests: Vec<PlannedRequests>,
    /// What of it is billed, as far as the daemon has prices.
    pub costs: Vec<Cost>,
    /// What cannot be estimated, and why, one sentence each.
    pub unknown: Vec<String>,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRequests {
    /// Where they go.
    pub side: Side,
    /// As the store's or registry's documentation calls them: `GetObject`, `UploadPart`, `MountBlob`.
    pub operation: String,
    /// How many.
    pub count: u64,
}

/// One line of the estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Which end is billed.
    pub side: Side,
    /// `reads`, `writes`, `lists` (in requests) or `transfer out` (in bytes).
    pub what: String,
    /// How many requests or bytes.
    pub amount: u64,
    /// USD per 1,000 requests, or per GB (10^9 bytes).
    pub price: Option<f64>,
    /// USD; `None`: the price is not known.
    pub usd: Option<f64>,
}
