//! The S3 engine.

pub mod journal;
pub mod list;
pub mod object;
pub mod order;
pub mod sorted;
