//! Counts the bytes that sorting holds, so that its bound is a fact and not a hope.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::s3::page::EntryRef;

/// Bytes an entry takes on a page or by itself.
pub(super) fn of(entry: &EntryRef<'_>) -> usize {
    size_of::<EntryRef<'_>>() + entry.key.len() + entry.etag.len() + entry.class.len()
}

/// The sum of everything held, and its peak.
#[derive(Debug, Default)]
pub(super) struct Memory {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Memory {
    /// Counts `bytes` until what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let mut held = Held { memory: self.clone(), bytes: 0 };
        held.grow(bytes);
        held
    }

    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Some bytes that are held.
#[derive(Debug)]
pub(super) struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        let now = self.memory.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.memory.peak.fetch_max(now, Ordering::Relaxed);
    }

    /// Holds so many instead.
    pub(super) fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => self.shrink(self.bytes - bytes),
        }
    }

    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.memory.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back_and_the_peak_stays() {
        let memory = Arc::new(Memory::default());
        let mut one = memory.hold(10);
        let two = memory.hold(5);
        one.shrink(4);
        drop(two);
        one.set(3);
        one.set(7);
        assert_eq!((one.bytes(), memory.now.load(Ordering::Relaxed), memory.peak()), (7, 7, 15));
        drop(one);
        assert_eq!((memory.now.load(Ordering::Relaxed), memory.peak()), (0, 15));
    }
}
