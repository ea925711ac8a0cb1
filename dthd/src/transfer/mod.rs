//! What all engines share: accounting, retries, limits, progress, rates.

pub mod error;

pub use self::error::TransferError;
