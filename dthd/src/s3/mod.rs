//! The S3 engine.

pub mod compare;
pub mod filter;
pub mod join;
pub mod journal;
pub mod key;
pub mod list;
pub mod object;
pub mod order;
pub mod provider;
pub mod sorted;
pub mod stream;
