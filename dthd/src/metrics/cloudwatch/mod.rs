//! Publishes to Amazon CloudWatch, beside the transfers and never in their way.
//!
//! | metric | unit | dimensions | is |
//! |---|---|---|---|
//! | `CompletedBytes` | Bytes | Engine, Task | growth within the interval |
//! | `TransferredObjects` | Count | Engine, Task | growth within the interval |
//! | `FailedObjects` | Count | Engine, Task | growth within the interval: items given up, not tries |
//! | `RunningJobs` | Count | Engine | level at the end of the interval |
//! | `WaitingJobs` | Count | Engine | level at the end of the interval |
//! | `EventLag` | Seconds | Engine, Task | level: age of the oldest event that is not applied |
//! | `ReceivedEvents`, `AppliedEvents` | Count | Engine, Task | growth within the interval |
//!
//! # How exact the sums are
//!
//! The Sum of a counter equals the daemon's own: growth is kept until CloudWatch has said that it took it, over any outage, with
//! the time it happened at. Three limits remain. PutMetricData has no request token, so when only the *answer* was lost, the
//! request is sent again and its up to 1,000 values count twice: too much is seen, too little is not. After a day without CloudWatch
//! the oldest points of a task merge into one, which keeps the sum and blurs the minute. What could not be sent within 5 s of
//! a stop is lost with the process.

mod client;
mod datum;
mod health;
mod ledger;
mod publisher;

pub use self::{
    client::client,
    health::{Failing, Health},
    ledger::{EventTotals, JobSample, Sample, TaskSample},
    publisher::{Publisher, Source},
};
