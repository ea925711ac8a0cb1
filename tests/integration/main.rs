//! Every end-to-end test, in one binary so that they link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail, in its helpers too")]

mod bad_input;
mod clients;
mod embedded_s3;
mod lifecycle;
mod metrics;
mod process;
mod real_servers;
mod roles;
mod ssh;
mod triggers;
