//! Numbers over time: history rings for the screens, CloudWatch for everyone else.

pub mod cloudwatch;
pub mod history;
mod ring;

use serde::{Deserialize, Serialize};

/// What was copied and what failed. Depending on the place a running total, or the growth within a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Bytes that arrived at the destination.
    pub bytes: u64,
    /// Objects or images copied.
    pub objects: u64,
    /// Items given up after retries: items, not tries.
    pub failed: u64,
}

impl Amounts {
    /// Nothing at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Field by field, up to the largest number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// Growth since `earlier`, field by field. A field that shrank began again from zero, so all of it is growth.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.zip(earlier, |now, then| now.checked_sub(then).unwrap_or(now))
    }

    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self { bytes: f(self.bytes, other.bytes), objects: f(self.objects, other.objects), failed: f(self.failed, other.failed) }
    }

    fn map(self, f: impl Fn(u64) -> u64) -> Self {
        Self { bytes: f(self.bytes), objects: f(self.objects), failed: f(self.failed) }
    }
}
