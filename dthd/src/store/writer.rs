//! The one thread that writes.
//!
//! sled's calls block, and a flush costs milliseconds: neither belongs on a thread that moves bytes. Writers hand their
//! records over and go on; who needs them durable waits for the next flush, which is shared by all who wait.
//!
//! Records of objects come by the ten thousand per second. They are gathered for a moment, put in order, and written as blocks
//! (`block`), so that neighbours cost one write. In the order of the log they come before everything that was handed over with them:
//! a checkpoint is never on disk without the records it speaks of.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    StoreError,
    block::{self, Change},
    item, pair,
};

/// Records that may wait for the writer; more make the sender wait, never grow memory.
const QUEUE: u64 = 8192;
/// Records that are worth a turn of the writer at once.
const GATHER: usize = 4096;
/// How long fewer records wait for others to come, when nobody waits for them. A loss of them costs a comparison, not an object.
const MOMENT: Duration = Duration::from_millis(200);

type Told = oneshot::Sender<Result<(), StoreError>>;

/// Trees whose values are blocks of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blocks {
    /// See [`super::item`].
    Items,
    /// See [`super::pair`].
    Pairs,
}

impl Blocks {
    const ALL: [Self; 2] = [Self::Items, Self::Pairs];

    fn prefix(self) -> usize {
        match self {
            Self::Items => item::PREFIX,
            Self::Pairs => pair::PREFIX,
        }
    }
}

enum Op {
    Put(sled::Tree, Vec<u8>, Vec<u8>),
    Remove(sled::Tree, Vec<u8>),
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    /// Per tree of blocks, in the order in which they came.
    records: [Vec<Change>; 2],
    ops: Vec<Op>,
    applied: Vec<Told>,
    durable: Vec<Told>,
    closed: bool,
}

impl Queue {
    fn len(&self) -> usize {
        self.ops.len() + self.records.iter().map(Vec::len).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.applied.is_empty() && self.durable.is_empty()
    }

    /// Whether it must not wait for more.
    fn is_urgent(&self) -> bool {
        self.closed || !self.applied.is_empty() || !self.durable.is_empty() || self.len() >= GATHER
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told when the queue is no longer empty, and when it becomes urgent.
    wake: Condvar,
    /// Records in the queue and in the writer's hands.
    waiting: AtomicU64,
}

impl Shared {
    /// Vectors that are pushed to: they are whole also when a holder panicked.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, change: impl FnOnce(&mut Queue)) {
        let wake = {
            let mut queue = self.queue();
            let (was_empty, was_urgent) = (queue.is_empty(), queue.is_urgent());
            change(&mut queue);
            was_empty || (!was_urgent && queue.is_urgent())
        };
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits for something to do: until it is urgent, or the first of it has waited for a moment.
    fn take(&self) -> Queue {
        let mut queue = self.queue();
        while queue.is_empty() && !queue.closed {
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + MOMENT;
        while !queue.is_urgent() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            queue = self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let closed = queue.closed;
        mem::replace(&mut *queue, Queue { closed, ..Queue::default() })
    }
}

/// Hands records to the writer thread. When the last clone goes, everything handed over is written and flushed.
#[derive(Clone)]
pub struct Writer {
    thread: Arc<Thread>,
    health: watch::Receiver<Option<StoreError>>,
}

struct Thread {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shared.hand_over(|queue| queue.closed = true);
        self.shared.wake.notify_one();
        if let Some(handle) = self.handle.take() {
            // a panic of the thread has been printed; there is nothing left to write with
            let _ = handle.join();
        }
    }
}

impl Writer {
    /// `blocks`: the trees of [`Blocks::ALL`].
    pub(super) fn start(db: sled::Db, blocks: [sled::Tree; 2]) -> Self {
        let (failed, health) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let taken = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write(&db, &blocks, &taken, &failed))
            // every write then answers that the store is closed, beginning with the first at start
            .inspect_err(|e| tracing::error!("cannot start the store's thread: {e}"))
            .ok();
        shared.queue().closed |= handle.is_none();
        Self { thread: Arc::new(Thread { shared, handle }), health }
    }

    /// Writes a record some time soon; at the latest before the next [`Self::durable`] returns.
    pub fn put(&self, tree: &sled::Tree, key: Vec<u8>, value: Vec<u8>) {
        self.send(|queue| queue.ops.push(Op::Put(tree.clone(), key, value)));
    }

    /// Removes a record some time soon.
    pub fn remove(&self, tree: &sled::Tree, key: Vec<u8>) {
        self.send(|queue| queue.ops.push(Op::Remove(tree.clone(), key)));
    }

    /// Writes a record into its block some time soon, or removes it (`None`).
    pub(super) fn record(&self, blocks: Blocks, key: Vec<u8>, record: Option<Vec<u8>>) {
        self.send(|queue| queue.records[blocks as usize].push((key, record)));
    }

    /// Waits until everything handed over before can be read.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn applied(&self) -> Result<(), StoreError> {
        self.wait(|queue, tell| queue.applied.push(tell)).await
    }

    /// Waits until everything handed over before is on disk.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn durable(&self) -> Result<(), StoreError> {
        self.wait(|queue, tell| queue.durable.push(tell)).await
    }

    /// Waits while more records are queued than memory should hold.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn room(&self) -> Result<(), StoreError> {
        if self.thread.shared.waiting.load(Ordering::Relaxed) < QUEUE { Ok(()) } else { self.applied().await }
    }

    /// The first error of the disk, if there was one. sled cannot write after it: the daemon must be restarted.
    #[must_use]
    pub fn failure(&self) -> Option<StoreError> {
        self.health.borrow().clone()
    }

    fn send(&self, push: impl FnOnce(&mut Queue)) {
        self.thread.shared.hand_over(|queue| {
            // the thread ends only when all writers are gone, or after an error that `failure` tells
            if !queue.closed {
                self.thread.shared.waiting.fetch_add(1, Ordering::Relaxed);
                push(queue);
            }
        });
    }

    async fn wait(&self, push: impl FnOnce(&mut Queue, Told)) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        self.thread.shared.hand_over(|queue| {
            if !queue.closed {
                push(queue, tell);
            }
        });
        match told.await {
            Ok(result) => result,
            Err(_) => Err(self.failure().unwrap_or_else(|| StoreError::Io("the store has been closed".to_owned()))),
        }
    }
}

/// Ends the queue when the thread does, so that nobody waits for one that is gone.
struct Closed<'s>(&'s Shared);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closed = true;
        *queue = Queue { closed: true, ..Queue::default() };
    }
}

fn write(db: &sled::Db, blocks: &[sled::Tree; 2], shared: &Shared, failed: &watch::Sender<Option<StoreError>>) {
    let _closed = Closed(shared);
    loop {
        let work = shared.take();
        if work.closed && work.is_empty() {
            break;
        }
        let count = work.len() as u64;
        let Queue { records, ops, applied, durable, .. } = work;
        let before = failed.borrow().clone();
        let mut result = match before {
            Some(error) => Err(error),
            None => apply(blocks, records, ops).map_err(StoreError::from),
        };
        if result.is_ok() && !durable.is_empty() {
            result = db.flush().map(drop).map_err(StoreError::from);
        }
        if let Err(error) = &result
            && failed.borrow().is_none()
        {
            tracing::error!("{error}");
            failed.send_replace(Some(error.clone()));
        }
        shared.waiting.fetch_sub(count, Ordering::Relaxed);
        for tell in applied.into_iter().chain(durable) {
            // who asked may have gone
            let _ = tell.send(result.clone());
        }
    }
    let _ = db.flush();
}

fn apply(blocks: &[sled::Tree; 2], records: [Vec<Change>; 2], ops: Vec<Op>) -> sled::Result<()> {
    for (kind, mut changes) in Blocks::ALL.into_iter().zip(records) {
        if !changes.is_empty() {
            in_order(&mut changes);
            block::apply(&blocks[kind as usize], kind.prefix(), &changes)?;
        }
    }
    for op in ops {
        match op {
            Op::Put(tree, key, value) => drop(tree.insert(key, value)?),
            Op::Remove(tree, key) => drop(tree.remove(key)?),
        }
    }
    Ok(())
}

/// Sorts changes by key, and leaves the last of each key.
fn in_order(changes: &mut Vec<Change>) {
    changes.sort_by(|(a, _), (b, _)| a.cmp(b));
    changes.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            mem::swap(&mut earlier.1, &mut later.1);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, sled::Db, [sled::Tree; 2]) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let db = sled::open(dir.path()).expect("database");
        let trees = ["items", "pairs"].map(|name| db.open_tree(name).expect("tree"));
        (dir, db, trees)
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        let change = |key: u8, value: Option<u8>| (vec![key], value.map(|value| vec![value]));
        let mut changes = vec![change(2, Some(1)), change(1, Some(1)), change(2, None), change(1, None), change(1, Some(3))];
        in_order(&mut changes);
        assert_eq!(changes, [change(1, Some(3)), change(2, None)]);
    }

    #[tokio::test]
    async fn records_need_nobody_to_wait_for_them() {
        let (_dir, db, trees) = open();
        let items = trees[0].clone();
        let writer = Writer::start(db, trees);
        let key = |n: u8| [&[0; item::PREFIX][..], &[n]].concat();
        let mut changes = items.watch_prefix(vec![]);
        for n in 0..10 {
            writer.record(Blocks::Items, key(n), Some(vec![n]));
        }
        let written = tokio::task::spawn_blocking(move || changes.next_timeout(Duration::from_secs(30)).is_ok()).await;
        assert!(written.expect("no panic"));
        assert_eq!(block::get(&items, item::PREFIX, &key(7)).expect("readable"), Some(vec![7]));
        // what is handed over last is written when the writer goes
        writer.record(Blocks::Items, key(11), Some(vec![11]));
        drop(writer);
        assert_eq!(block::get(&items, item::PREFIX, &key(11)).expect("readable"), Some(vec![11]));
    }

    #[tokio::test]
    async fn what_was_handed_over_is_there_after_durable() {
        let (_dir, db, trees) = open();
        let tree = db.open_tree("t").expect("tree");
        let writer = Writer::start(db, trees);
        for n in 0..10_000_u32 {
            writer.room().await.expect("room");
            writer.put(&tree, n.to_be_bytes().to_vec(), vec![1]);
        }
        writer.remove(&tree, 5_u32.to_be_bytes().to_vec());
        writer.durable().await.expect("durable");
        assert_eq!(tree.len(), 9_999);
        assert!(writer.failure().is_none());
    }
}
