//! What all engines share: accounting, retries, limits, progress, rates.

pub mod error;
pub mod rate;

pub use self::error::TransferError;
