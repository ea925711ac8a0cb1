//! The S3 engine.

pub mod check;
pub mod client;
pub mod copy;
pub mod error;
pub mod journal;
pub mod layout;
pub mod metadata;
pub mod multipart;
pub mod object;
pub mod verify;
