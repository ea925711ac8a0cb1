//! Many sorted streams into one.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{
    Held, memory,
    run::{RunsError, order},
};
use crate::s3::object::Entry;

/// Merges streams that are each in order; of one key the newest comes out.
pub(super) struct Merge<I> {
    streams: Vec<I>,
    heads: BinaryHeap<Reverse<Head>>,
    last: Option<String>,
    held: Held,
}

struct Head {
    entry: Entry,
    stream: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.entry, &other.entry).then(self.stream.cmp(&other.stream))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl<I: Iterator<Item = Result<Entry, RunsError>>> Merge<I> {
    /// `held` counts the entry that each stream has at its head.
    pub(super) fn new(streams: Vec<I>, held: Held) -> Result<Self, RunsError> {
        let mut merge = Self { heads: BinaryHeap::with_capacity(streams.len()), streams, last: None, held };
        for stream in 0..merge.streams.len() {
            merge.pull(stream)?;
        }
        Ok(merge)
    }

    fn pull(&mut self, stream: usize) -> Result<(), RunsError> {
        if let Some(entry) = self.streams[stream].next().transpose()? {
            self.held.grow(memory::of(&entry));
            self.heads.push(Reverse(Head { entry, stream }));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<Entry>, RunsError> {
        while let Some(Reverse(Head { entry, stream })) = self.heads.pop() {
            self.held.shrink(memory::of(&entry));
            self.pull(stream)?;
            // the newest of a key comes first; the others are passed over
            if self.last.as_ref() == Some(&entry.key) {
                continue;
            }
            let last = self.last.get_or_insert_default();
            last.clear();
            last.push_str(&entry.key);
            return Ok(Some(entry));
        }
        Ok(None)
    }
}

impl<I: Iterator<Item = Result<Entry, RunsError>>> Iterator for Merge<I> {
    type Item = Result<Entry, RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.pop().transpose();
        if matches!(next, Some(Err(_))) {
            self.heads.clear();
        }
        next
    }
}
