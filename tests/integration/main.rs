//! Every end-to-end test, in one binary so that they link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail, in its helpers too")]

mod dashboard;
mod embedded_s3;
mod process;
mod readme;
mod real_servers;
