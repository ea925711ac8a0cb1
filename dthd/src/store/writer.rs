//! The one thread that writes.
//!
//! sled's calls block, and a flush costs milliseconds: neither belongs on a thread that moves bytes. Writers hand their
//! records over and go on; who needs them durable waits for the next flush, which is shared by all who wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot, watch};

use super::StoreError;

/// Records that may wait for the writer; more make the sender wait, never grow memory.
const QUEUE: usize = 8192;
/// Records applied in one go.
const GATHER: usize = 4096;

enum Op {
    Put(sled::Tree, Vec<u8>, Vec<u8>),
    Remove(sled::Tree, Vec<u8>),
    Applied(oneshot::Sender<Result<(), StoreError>>),
    Durable(oneshot::Sender<Result<(), StoreError>>),
}

/// Hands records to the writer thread. When the last clone goes, everything handed over is written and flushed.
#[derive(Clone)]
pub struct Writer {
    thread: Arc<Thread>,
    waiting: Arc<AtomicU64>,
    health: watch::Receiver<Option<StoreError>>,
}

struct Thread {
    ops: Option<mpsc::UnboundedSender<Op>>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.ops.take());
        if let Some(handle) = self.handle.take() {
            // a panic of the thread has been printed; there is nothing left to write with
            let _ = handle.join();
        }
    }
}

impl Writer {
    pub(super) fn start(db: sled::Db) -> Self {
        let (ops, queue) = mpsc::unbounded_channel();
        let (failed, health) = watch::channel(None);
        let waiting = Arc::new(AtomicU64::new(0));
        let taken = Arc::clone(&waiting);
        let handle = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write(&db, queue, &taken, &failed))
            // every write then answers that the store is closed, beginning with the first at start
            .inspect_err(|e| tracing::error!("cannot start the store's thread: {e}"))
            .ok();
        Self { thread: Arc::new(Thread { ops: Some(ops), handle }), waiting, health }
    }

    /// Writes a record some time soon; at the latest before the next [`Self::durable`] returns.
    pub fn put(&self, tree: &sled::Tree, key: Vec<u8>, value: Vec<u8>) {
        self.send(Op::Put(tree.clone(), key, value));
    }

    /// Removes a record some time soon.
    pub fn remove(&self, tree: &sled::Tree, key: Vec<u8>) {
        self.send(Op::Remove(tree.clone(), key));
    }

    /// Waits until everything handed over before can be read.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn applied(&self) -> Result<(), StoreError> {
        self.wait(Op::Applied).await
    }

    /// Waits until everything handed over before is on disk.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn durable(&self) -> Result<(), StoreError> {
        self.wait(Op::Durable).await
    }

    /// Waits while more records are queued than memory should hold.
    ///
    /// # Errors
    /// When the disk refused something.
    pub async fn room(&self) -> Result<(), StoreError> {
        if self.waiting.load(Ordering::Relaxed) < QUEUE as u64 { Ok(()) } else { self.applied().await }
    }

    /// The first error of the disk, if there was one. sled cannot write after it: the daemon must be restarted.
    #[must_use]
    pub fn failure(&self) -> Option<StoreError> {
        self.health.borrow().clone()
    }

    fn send(&self, op: Op) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // the thread ends only when all senders are gone, or after an error that `failure` tells
        if self.thread.ops.as_ref().is_none_or(|ops| ops.send(op).is_err()) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn wait(&self, op: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Op) -> Result<(), StoreError> {
        let (tell, told) = oneshot::channel();
        self.send(op(tell));
        match told.await {
            Ok(result) => result,
            Err(_) => Err(self.failure().unwrap_or_else(|| StoreError::Io("the store has been closed".to_owned()))),
        }
    }
}

fn write(db: &sled::Db, mut queue: mpsc::UnboundedReceiver<Op>, waiting: &AtomicU64, failed: &watch::Sender<Option<StoreError>>) {
    let mut ops = Vec::with_capacity(GATHER);
    while let Some(op) = queue.blocking_recv() {
        ops.push(op);
        while ops.len() < GATHER {
            match queue.try_recv() {
                Ok(op) => ops.push(op),
                Err(_) => break,
            }
        }
        let count = ops.len() as u64;
        let mut applied = Vec::new();
        let mut durable = Vec::new();
        let mut result = match &*failed.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        };
        for op in ops.drain(..) {
            let done = match op {
                Op::Put(tree, key, value) if result.is_ok() => tree.insert(key, value).map(drop),
                Op::Remove(tree, key) if result.is_ok() => tree.remove(key).map(drop),
                Op::Put(..) | Op::Remove(..) => Ok(()),
                Op::Applied(tell) => {
                    applied.push(tell);
                    Ok(())
                }
                Op::Durable(tell) => {
                    durable.push(tell);
                    Ok(())
                }
            };
            if let Err(error) = done {
                result = Err(StoreError::from(error));
            }
        }
        if result.is_ok() && !durable.is_empty() {
            result = db.flush().map(drop).map_err(StoreError::from);
        }
        if let Err(error) = &result
            && failed.borrow().is_none()
        {
            tracing::error!("{error}");
            failed.send_replace(Some(error.clone()));
        }
        waiting.fetch_sub(count, Ordering::Relaxed);
        for tell in applied.into_iter().chain(durable) {
            // who asked may have gone
            let _ = tell.send(result.clone());
        }
    }
    let _ = db.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_handed_over_is_there_after_durable() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let db = sled::open(dir.path()).expect("database");
        let tree = db.open_tree("t").expect("tree");
        let writer = Writer::start(db);
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
