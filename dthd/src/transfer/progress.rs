//! What a run has done so far, shared by everything that works on it and everything that shows it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use dth_proto::{
    failure::{FailureGroup, FailureItem},
    view::{BlobInFlight, Counters, InFlight},
};

use crate::{
    store::{
        item::TO_DELETE,
        record::{Tally, size_class},
        words::WordCounts,
    },
    task::failure::Groups,
    transfer::estimate::Requests,
};

/// Blobs that are shown of an image in flight.
const BLOBS: usize = 10;

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

/// How far the copy of one object is. Starts again at 0 when the object changed under the copy.
#[derive(Debug, Default)]
pub struct ItemProgress {
    /// Bytes the destination has.
    pub bytes: AtomicU64,
    /// Bytes in all.
    pub size: AtomicU64,
    /// Parts the destination has.
    pub parts: AtomicU32,
    /// Parts in all; 1 for a single PUT.
    pub parts_total: AtomicU32,
    /// Blobs of an image that are being sent.
    blobs: Mutex<Vec<Arc<BlobProgress>>>,
}

/// How far one blob of an image is.
#[derive(Debug)]
pub struct BlobProgress {
    digest: String,
    size: u64,
    bytes: AtomicU64,
}

impl BlobProgress {
    /// So many bytes of it were sent.
    pub fn set(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

impl ItemProgress {
    /// Begins, or begins again, a copy of `size` bytes in so many parts.
    pub fn begin(&self, size: u64, parts_total: u32) {
        self.bytes.store(0, Ordering::Relaxed);
        self.parts.store(0, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
        self.parts_total.store(parts_total, Ordering::Relaxed);
    }

    /// The destination has so many more bytes of a part.
    pub fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was sent of a part is lost: so many bytes.
    pub fn fall_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// A blob of `size` bytes begins to be sent; `digest` is as it is shown.
    #[must_use]
    pub fn blob_begins(&self, digest: &str, size: u64) -> Arc<BlobProgress> {
        let blob = Arc::new(BlobProgress { digest: digest.to_owned(), size, bytes: AtomicU64::new(0) });
        lock(&self.blobs).push(Arc::clone(&blob));
        blob
    }

    /// It is sent, or given up.
    pub fn blob_ends(&self, blob: &Arc<BlobProgress>) {
        lock(&self.blobs).retain(|one| !Arc::ptr_eq(one, blob));
    }

    /// The largest blobs that are being sent, at most `limit`.
    fn blobs_in_flight(&self, limit: usize) -> Vec<BlobInFlight> {
        let shown = |blob: &Arc<BlobProgress>| BlobInFlight {
            digest: blob.digest.clone(),
            size: blob.size,
            done: blob.bytes.load(Ordering::Relaxed).min(blob.size),
        };
        let mut list: Vec<BlobInFlight> = lock(&self.blobs).iter().map(shown).collect();
        list.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
        list.truncate(limit);
        list
    }

    /// The destination has another part of so many bytes.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.parts.fetch_add(1, Ordering::Relaxed);
    }
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

struct Flying {
    key: String,
    size: u64,
    item: Arc<ItemProgress>,
}

/// Objects in flight. Places are used again, so that memory follows the number of objects that fly at once.
#[derive(Default)]
struct Flights {
    places: Vec<Option<Flying>>,
    free: Vec<usize>,
}

impl Flights {
    fn add(&mut self, flying: Flying) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(flying);
                place
            }
            None => {
                self.places.push(Some(flying));
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) -> Option<Flying> {
        self.free.push(place);
        self.places[place].take()
    }

    fn all(&self) -> impl Iterator<Item = &Flying> {
        self.places.iter().flatten()
    }
}

/// Removes an object from the list of those in flight when it goes.
pub struct Flight {
    progress: Arc<Progress>,
    place: usize,
    /// Written by the copy.
    pub item: Arc<ItemProgress>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        // dropped behind the lock
        let _gone = lock(&self.progress.in_flight).remove(self.place);
    }
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
        let item = Arc::new(ItemProgress::default());
        let flying = Flying { key: key.to_owned(), size, item: Arc::clone(&item) };
        let place = lock(&self.in_flight).add(flying);
        Flight { progress: Arc::clone(self), place, item }
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
        lock(&self.in_flight).all().map(|f| f.item.bytes.load(Ordering::Relaxed).min(f.size)).sum()
    }

    /// The largest objects in flight, at most `limit`, and how many there are.
    #[must_use]
    pub fn in_flight(&self, limit: usize) -> (Vec<InFlight>, u64) {
        let flying = lock(&self.in_flight);
        let mut list: Vec<&Flying> = flying.all().collect();
        let count = list.len() as u64;
        list.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.key.cmp(&b.key)));
        let shown = list.iter().take(limit).map(|f| InFlight {
            key: f.key.clone(),
            size: f.size,
            done: f.item.bytes.load(Ordering::Relaxed).min(f.size),
            parts: match f.item.parts_total.load(Ordering::Relaxed) {
                0 | 1 => None,
                total => Some((f.item.parts.load(Ordering::Relaxed), total)),
            },
            blobs: f.item.blobs_in_flight(BLOBS),
        });
        (shown.collect(), count)
    }
}

impl Tally {
    /// Counts an item as listed.
    pub fn list(&mut self, size: u64) {
        self.counters.listed += 1;
        self.counters.bytes_listed += size;
        self.sizes[size_class(size)] += 1;
        self.largest = self.largest.max(size);
    }

    /// Counts an item that was listed with `from` bytes as one of `to`.
    pub fn resize(&mut self, from: u64, to: u64) {
        self.counters.bytes_listed = (self.counters.bytes_listed + to).saturating_sub(from);
        self.sizes[size_class(from)] = self.sizes[size_class(from)].saturating_sub(1);
        self.sizes[size_class(to)] += 1;
        self.largest = self.largest.max(to);
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let (c, o) = (&mut self.counters, &other.counters);
        c.listed += o.listed;
        c.same += o.same;
        c.copied += o.copied;
        c.skipped += o.skipped;
        c.deleted += o.deleted;
        c.failed += o.failed;
        c.planned += o.planned;
        c.to_delete += o.to_delete;
        c.pending += o.pending;
        c.bytes_listed += o.bytes_listed;
        c.bytes_done += o.bytes_done;
        c.bytes_copied += o.bytes_copied;
        c.bytes_planned += o.bytes_planned;
        c.requests += o.requests;
        c.retries += o.retries;
        self.skipped.add(&other.skipped);
        self.verified.add(&other.verified);
        self.planned.add(&other.planned);
        self.requests.add(&other.requests);
        for (mine, theirs) in self.sizes.iter_mut().zip(other.sizes) {
            *mine += theirs;
        }
        self.largest = self.largest.max(other.largest);
    }

    /// One item found the same.
    #[must_use]
    pub fn same(size: u64) -> Self {
        Self::of(Counters { same: 1, bytes_done: size, ..Counters::default() })
    }

    /// One item copied and verified.
    #[must_use]
    pub fn copied(size: u64, verified: &str) -> Self {
        let counters = Counters { copied: 1, bytes_done: size, bytes_copied: size, ..Counters::default() };
        Self { verified: WordCounts::once(verified), ..Self::of(counters) }
    }

    /// One item skipped by a rule.
    #[must_use]
    pub fn skipped(size: u64, rule: &str) -> Self {
        let counters = Counters { skipped: 1, bytes_done: size, ..Counters::default() };
        Self { skipped: WordCounts::once(rule), ..Self::of(counters) }
    }

    /// One item of `size` bytes that would be copied for a reason, by sending `bytes` of them in these requests.
    #[must_use]
    pub fn planned(size: u64, bytes: u64, requests: Requests, reason: &str) -> Self {
        let counters = Counters { planned: 1, bytes_done: size, bytes_planned: bytes, ..Counters::default() };
        Self { planned: WordCounts::once(reason), requests, ..Self::of(counters) }
    }

    /// One item that exists only at the destination and would be removed there.
    #[must_use]
    pub fn to_delete() -> Self {
        Self { planned: WordCounts::once(TO_DELETE), ..Self::of(Counters { to_delete: 1, ..Counters::default() }) }
    }

    /// One item given up.
    #[must_use]
    pub fn failed(size: u64) -> Self {
        Self::of(Counters { failed: 1, bytes_done: size, ..Counters::default() })
    }

    fn of(counters: Counters) -> Self {
        Self { counters, ..Self::default() }
    }
}

/// The values behind these locks are plain numbers: they are whole also when a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_size_that_is_known_late_leaves_the_counts_as_if_it_had_been_listed() {
        let (mut late, mut known) = (Tally::default(), Tally::default());
        late.list(0);
        late.resize(0, 70_000_000);
        known.list(70_000_000);
        assert_eq!(late, known);
        late.resize(70_000_000, 5);
        assert_eq!((late.counters.bytes_listed, late.sizes), (5, [1, 0, 0, 0]));
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
