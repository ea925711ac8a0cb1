//! What all engines share: accounting, retries, limits, progress, rates.

pub mod bandwidth;
pub mod budget;
pub mod error;
pub mod retry;

pub use self::error::TransferError;
