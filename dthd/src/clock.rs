//! The only place that reads the wall clock. Spans and timeouts use tokio's clock, which tests can pause.

use std::time::SystemTime;

use dth_proto::time::Timestamp;

/// The wall clock now.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
