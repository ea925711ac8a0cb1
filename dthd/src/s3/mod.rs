//! The S3 engine.

pub mod journal;
pub mod object;
