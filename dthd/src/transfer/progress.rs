//! What a run has done so far, shared by everything that works on it and everything that shows it.

mod flight;
mod item;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use dth_proto::{
    failure::{FailureGroup, FailureItem},
    view::{Counters, InFlight},
};

use self::flight::Flights;
pub use self::{
    flight::Flight,
    item::{BlobProgress, ItemProgress},
};
use crate::{events::Gauge, store::record::Tally, task::failure::Groups};

/// Requests made by a run, over all its buckets and tries.
#[derive(Debug, Default)]
pub struct RequestCounters {
    /// Requests, tries included.
    pub requests: AtomicU64,
    /// Requests that repeat a failed one.
    pub retries: AtomicU64,
    /// Requests that were answered with "less load".
    pub throttled: AtomicU64,
    /// Bytes of object data received.
    pub received: AtomicU64,
    /// Bytes of object data sent and accepted.
    pub sent: AtomicU64,
}

/// What one task has done since the daemon started; counts up for good. What metrics are made of.
#[derive(Debug, Default)]
pub struct TaskTotals {
    /// Bytes of objects copied.
    pub bytes: AtomicU64,
    /// Objects copied.
    pub objects: AtomicU64,
    /// Objects failed.
    pub failed: AtomicU64,
    /// How its events are going.
    pub events: Gauge,
}

impl TaskTotals {
    /// One object of `size` bytes was copied.
    pub fn add_copied(&self, size: u64) {
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    /// One object was given up.
    pub fn add_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The state of a run. The counters change under one lock, so that the accounting identity holds whenever they are read.
pub struct Progress {
    tally: Mutex<Live>,
    failures: Mutex<Groups>,
    in_flight: Mutex<Flights>,
    /// Requests of this process.
    pub requests: Arc<RequestCounters>,
    /// Per task, for metrics.
    pub totals: Arc<TaskTotals>,
}

struct Live {
    tally: Tally,
    listing_done: bool,
    /// Requests and retries before this process.
    earlier: (u64, u64),
}

impl Progress {
    /// Continues from a checkpoint.
    #[must_use]
    pub fn new(tally: Tally, listing_done: bool, totals: Arc<TaskTotals>) -> Arc<Self> {
        let earlier = (tally.counters.requests, tally.counters.retries);
        Arc::new(Self {
            tally: Mutex::new(Live { tally, listing_done, earlier }),
            failures: Mutex::default(),
            in_flight: Mutex::default(),
            requests: Arc::default(),
            totals,
        })
    }

    /// Starts counting again from a checkpoint (the listing has to be read again).
    pub fn reset(&self, tally: Tally) {
        let mut live = lock(&self.tally);
        live.tally = tally;
        live.listing_done = false;
        *lock(&self.failures) = Groups::default();
    }

    /// Items were listed and decided: `tally` holds their listing and the outcomes of those that are finished; `pending` are not.
    pub fn decided(&self, tally: &Tally, pending: u64) {
        let mut live = lock(&self.tally);
        live.tally.add(tally);
        live.tally.counters.pending += pending;
    }

    /// A pending item is finished; `outcome` holds its counts without the listing.
    pub fn finished(&self, outcome: &Tally) {
        let mut live = lock(&self.tally);
        live.tally.counters.pending = live.tally.counters.pending.saturating_sub(1);
        live.tally.add(outcome);
    }

    /// A pending item is taken back: it will be listed again.
    pub fn withdrawn(&self, size: u64) {
        let mut live = lock(&self.tally);
        live.tally.counters.pending = live.tally.counters.pending.saturating_sub(1);
        live.tally.unlist(size);
    }

    /// An item that was listed with `from` bytes has `to`.
    pub fn resized(&self, from: u64, to: u64) {
        lock(&self.tally).tally.resize(from, to);
    }

    /// An item was given up.
    pub fn failed(&self, item: &FailureItem) {
        lock(&self.failures).add(item);
    }

    /// Failed items in groups, largest first.
    #[must_use]
    pub fn failures(&self) -> Vec<FailureGroup> {
        lock(&self.failures).list()
    }

    /// The listing of the source is complete.
    pub fn listing_done(&self) {
        lock(&self.tally).listing_done = true;
    }

    /// Whether the listing is complete.
    #[must_use]
    pub fn is_listing_done(&self) -> bool {
        lock(&self.tally).listing_done
    }

    /// Everything counted, at one moment; requests included.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let live = lock(&self.tally);
        let mut tally = live.tally.clone();
        self.fill_requests(&mut tally.counters, live.earlier);
        tally
    }

    /// The counters, at one moment; requests included.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let live = lock(&self.tally);
        let mut counters = live.tally.counters;
        self.fill_requests(&mut counters, live.earlier);
        counters
    }

    fn fill_requests(&self, counters: &mut Counters, earlier: (u64, u64)) {
        counters.requests = earlier.0 + self.requests.requests.load(Ordering::Relaxed);
        counters.retries = earlier.1 + self.requests.retries.load(Ordering::Relaxed);
    }

    /// An object begins to be copied.
    #[must_use]
    pub fn fly(self: &Arc<Self>, key: &str, size: u64) -> Flight {
        Flight::begin(self, key, size)
    }

    /// Bytes moved in this process, parts of unfinished objects included: what rates are made of. The mean of what was read and what
    /// was written, because reading is counted as it comes and writing only when the destination has accepted a whole part.
    #[must_use]
    pub fn moved(&self) -> u64 {
        let (read, written) = (&self.requests.received, &self.requests.sent);
        u64::midpoint(read.load(Ordering::Relaxed), written.load(Ordering::Relaxed))
    }

    /// Bytes of unfinished objects that the destination has already accepted.
    #[must_use]
    pub fn partial(&self) -> u64 {
        lock(&self.in_flight).bytes()
    }

    /// The largest objects in flight, at most `limit`, and how many there are.
    #[must_use]
    pub fn in_flight(&self, limit: usize) -> (Vec<InFlight>, u64) {
        lock(&self.in_flight).largest(limit)
    }
}

/// The values behind these locks are plain numbers: they are whole also when a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use dth_proto::view::BlobInFlight;

    use super::*;
    use crate::transfer::estimate::Requests;

    #[test]
    fn the_identity_holds_after_every_step() {
        let progress = Progress::new(Tally::default(), false, Arc::default());
        let outcomes = [
            Tally::same(5),
            Tally::copied(7, "content-md5"),
            Tally::skipped(9, "excluded"),
            Tally::failed(11),
            Tally::planned(13, 12, Requests::default(), "missing"),
        ];
        for outcome in &outcomes {
            let mut tally = Tally::default();
            tally.list(outcome.counters.bytes_done);
            progress.decided(&tally, 1);
            assert!(progress.counters().balanced());
        }
        for outcome in &outcomes {
            progress.finished(outcome);
            assert!(progress.counters().balanced());
        }
        let counters = progress.counters();
        assert_eq!((counters.listed, counters.pending, counters.bytes_done, counters.bytes_copied), (5, 0, 45, 7));
        assert_eq!(progress.tally().skipped["excluded"], 1);
    }

    #[test]
    fn flights_end_when_they_are_dropped() {
        let progress = Progress::new(Tally::default(), false, Arc::default());
        let small = progress.fly("small", 1);
        let large = progress.fly("large", 9);
        large.item.bytes.store(4, Ordering::Relaxed);
        let (shown, count) = progress.in_flight(1);
        assert_eq!((shown[0].key.as_str(), shown[0].done, count), ("large", 4, 2));
        drop((small, large));
        assert_eq!(progress.in_flight(1).1, 0);
    }

    #[test]
    fn blobs_are_shown_while_they_are_sent() {
        let progress = Progress::new(Tally::default(), false, Arc::default());
        let flight = progress.fly("image", 900);
        let blobs: Vec<_> = (0..12).map(|n| flight.item.blob_begins(&format!("{n:012}"), 10 * n)).collect();
        blobs[11].set(70);
        blobs[10].set(500);
        let shown = progress.in_flight(1).0.remove(0).blobs;
        let expect = |n: u64, done: u64| BlobInFlight { digest: format!("{n:012}"), size: 10 * n, done };
        assert_eq!((shown.len(), &shown[0], &shown[1]), (10, &expect(11, 70), &expect(10, 100)));
        blobs.iter().for_each(|blob| flight.item.blob_ends(blob));
        assert!(progress.in_flight(1).0.remove(0).blobs.is_empty());
    }
}
