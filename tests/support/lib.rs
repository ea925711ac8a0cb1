//! What the tests, the demo and the benchmarks share: stores to move objects between, and the daemon to move them.

pub mod s3;
