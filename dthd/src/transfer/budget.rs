//! The bytes of object data that may be in memory at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for this many bytes, so that budgets over 4 GiB fit the semaphore's 32-bit requests.
const UNIT: u64 = 64 * 1024;

/// A budget of bytes, shared by everything that holds object data. Requests are served in the order in which they were made.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// Bytes taken from a [`Budget`]; given back when dropped.
#[derive(Debug)]
#[must_use = "the bytes are given back when this is dropped"]
pub struct Held(OwnedSemaphorePermit);

impl Held {
    /// Bytes held, rounded up to 64 KiB.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.num_permits() as u64 * UNIT
    }
}

impl Budget {
    /// A budget of `bytes`, rounded up to 64 KiB.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` are free and takes them. A request larger than the budget takes all of it: an object that does not
    /// fit is moved alone instead of never.
    pub async fn take(&self, bytes: u64) -> Held {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX).min(self.total);
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        Held(permit.expect("the semaphore is never closed"))
    }

    /// Bytes taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        (u64::from(self.total)).saturating_sub(self.units.available_permits() as u64) * UNIT
    }

    /// Bytes there are.
    #[must_use]
    pub fn limit(&self) -> u64 {
        u64::from(self.total) * UNIT
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn bytes_are_taken_and_given_back() {
        let budget = Budget::new(1 << 20);
        assert_eq!((budget.used(), budget.limit()), (0, 1 << 20));
        let half = budget.take(512 * 1024).await;
        assert_eq!((half.bytes(), budget.used()), (512 * 1024, 512 * 1024));
        assert!(budget.take(768 * 1024).now_or_never().is_none(), "there is not enough left");
        assert_eq!(budget.used(), 512 * 1024, "a request that was given up holds nothing");
        drop(half);
        assert_eq!(budget.take(768 * 1024).await.bytes(), 768 * 1024);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn an_object_larger_than_the_budget_is_moved_alone() {
        let budget = Budget::new(100);
        let all = budget.take(u64::MAX).await;
        assert_eq!(all.bytes(), budget.limit());
        assert!(budget.take(0).now_or_never().is_none());
    }

    #[test]
    fn budgets_beyond_four_gibibytes() {
        assert_eq!(Budget::new(64 << 30).limit(), 64 << 30);
    }
}
