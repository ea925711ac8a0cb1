//! Every end-to-end test, in one binary so that they link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail, in its helpers too")]

mod bad_input;
mod clients;
mod control;
mod dashboard;
mod data;
mod embedded_s3;
mod faults;
mod generations;
mod kill;
mod lifecycle;
mod metrics;
mod odd_keys;
mod options;
mod order;
mod process;
mod readme;
mod real_servers;
mod roles;
mod seaweed;
mod ssh;
mod triggers;
mod verification;
