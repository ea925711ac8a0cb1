//! The bytes of object data that may be in memory at once.
//!
//! The hard limit is what the configuration grants. What is handed out is bounded by a soft limit, which begins far below it and
//! climbs only while more in flight moves more per second (see `climb`); so the number of parts that are on their way follows from
//! the link.

mod climb;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use self::climb::Climb;
use super::fair::{Gate, Inside, Lane};

/// Bytes are taken in units of a page, so that a million small objects are counted as about what they are.
const UNIT: u64 = 4 * 1024;

/// A budget of bytes, shared by everything that holds object data. Clones share a lane; see [`Budget::lane`].
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
}

struct Shared {
    gate: Arc<Gate>,
    total: AtomicU64,
    climb: Mutex<Climb>,
    epoch: Instant,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {}, at most {} bytes)", self.used(), self.soft_limit(), self.limit())
    }
}

/// Bytes taken from a [`Budget`]; given back when dropped.
#[must_use = "the bytes are given back when this is dropped"]
pub struct Held {
    shared: Arc<Shared>,
    inside: Option<Inside>,
    bytes: u64,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.bytes)
    }
}

impl Held {
    /// Bytes held, rounded up to 4 KiB.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let shared = &self.shared;
        let now = Instant::now().saturating_duration_since(shared.epoch);
        let wanted = shared.gate.has_waiters();
        let mut climb = shared.climb.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = climb.given_back(now, self.bytes, wanted) {
            shared.gate.set_limit(limit);
        }
        drop(climb);
        drop(self.inside.take());
    }
}

/// Rounded up to the unit; an empty body takes one, so that it is counted at all.
fn rounded(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT).max(1).saturating_mul(UNIT)
}

impl Budget {
    /// A budget of `bytes`, rounded up to 4 KiB.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let total = rounded(bytes);
        let climb = Climb::new(total);
        let gate = Gate::new(climb::START.min(total));
        Self::of(Arc::new(Shared { gate, total: AtomicU64::new(total), climb: Mutex::new(climb), epoch: Instant::now() }))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let lane = Arc::new(Lane::new(&shared.gate));
        Self { shared, lane }
    }

    /// The same budget with a queue of its own, which takes turns with the others: each lane gets as many bytes as any other that
    /// waits.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    /// Changes the hard limit, for what is taken from now on. The soft limit begins to climb again.
    pub fn set_limit(&self, bytes: u64) {
        let total = rounded(bytes);
        let mut climb = self.shared.climb.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.total.swap(total, Relaxed) == total {
            return;
        }
        *climb = Climb::new(total);
        self.shared.gate.set_limit(climb::START.min(total));
    }

    /// Waits until `bytes` are free and takes them, in the order of the lane. A request larger than the budget takes all of it, and one
    /// larger than the soft limit waits until it is alone: an object that does not fit is moved alone instead of never.
    pub async fn take(&self, bytes: u64) -> Held {
        let bytes = rounded(bytes).min(self.limit());
        let inside = self.lane.enter(bytes).await;
        Held { shared: Arc::clone(&self.shared), inside: Some(inside), bytes }
    }

    /// Bytes taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.shared.gate.inside()
    }

    /// Bytes there are: the hard limit.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.shared.total.load(Relaxed)
    }

    /// Bytes that are handed out at present.
    #[must_use]
    pub fn soft_limit(&self) -> u64 {
        self.shared.gate.limit()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

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
        assert_eq!(budget.take(1).await.bytes(), 4096);
    }

    #[tokio::test]
    async fn an_object_larger_than_the_budget_is_moved_alone() {
        let budget = Budget::new(100);
        let all = budget.take(u64::MAX).await;
        assert_eq!(all.bytes(), budget.limit());
        assert!(budget.take(0).now_or_never().is_none());
        let budget = Budget::new(512 * MIB);
        let one = budget.take(1).await;
        let mut large = Box::pin(budget.take(100 * MIB));
        assert!(large.as_mut().now_or_never().is_none(), "more than the soft limit");
        drop(one);
        assert_eq!(large.await.bytes(), 100 * MIB);
    }

    #[tokio::test]
    async fn tasks_get_as_many_bytes_as_any_other() {
        let busy = Budget::new(8 * MIB);
        let all = busy.take(8 * MIB).await;
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(busy.take(8 * MIB))).collect();
        for future in &mut waiting {
            assert!(future.as_mut().now_or_never().is_none());
        }
        let other = busy.lane();
        let mut small = Box::pin(other.take(MIB));
        assert!(small.as_mut().now_or_never().is_none());
        drop(all);
        let first = waiting.remove(0).now_or_never();
        let at_once = small.as_mut().now_or_never();
        assert!(first.is_some() || at_once.is_some());
        drop((first, at_once));
        let after_one = small.now_or_never().is_some();
        assert!(after_one, "it waits for one large part, not for a hundred");
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_used_where_it_pays() {
        // each part takes 200 ms, however many there are
        let budget = Budget::new(512 * MIB);
        assert_eq!(budget.soft_limit(), climb::START);
        let parts = (0..1_000).map(|_| {
            let budget = budget.clone();
            async move {
                let held = budget.take(8 * MIB).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                drop(held);
            }
        });
        futures::future::join_all(parts).await;
        assert!(budget.soft_limit() >= 128 * MIB, "{budget:?}");
        assert_eq!(budget.used(), 0);
        budget.set_limit(16 * MIB);
        assert_eq!((budget.limit(), budget.soft_limit()), (16 * MIB, 16 * MIB));
    }

    #[test]
    fn budgets_beyond_four_gibibytes() {
        assert_eq!(Budget::new(64 << 30).limit(), 64 << 30);
    }
}
