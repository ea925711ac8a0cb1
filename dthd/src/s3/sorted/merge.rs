//! Many sorted runs into one stream.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use super::{
    chunk::order,
    run::{Entries, RunReader, RunsError},
};
use crate::s3::page::EntryRef;

/// Merges runs; of one key the newest comes out.
pub(super) struct Merge {
    heads: BinaryHeap<Reverse<Head>>,
    /// The key that came out last. Its entry may still be at the top.
    last: Option<String>,
}

/// A run and the entry at which it stands.
struct Head {
    reader: RunReader,
    number: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.reader.entry(), &other.reader.entry()).then(self.number.cmp(&other.number))
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

impl Merge {
    /// Begins with the first entry of each run.
    pub(super) fn new(readers: Vec<RunReader>) -> Result<Self, RunsError> {
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (number, mut reader) in readers.into_iter().enumerate() {
            if reader.advance()? {
                heads.push(Reverse(Head { reader, number }));
            }
        }
        Ok(Self { heads, last: None })
    }

    /// Until the top is another key than the last one; of the runs with that key, the newest stands first.
    fn advance(&mut self) -> Result<(), RunsError> {
        while let Some(mut top) = self.heads.peek_mut()
            && self.last.as_deref() == Some(top.0.reader.entry().key)
        {
            if !top.0.reader.advance()? {
                PeekMut::pop(top);
            }
        }
        Ok(())
    }
}

impl Entries for Merge {
    fn next(&mut self) -> Result<Option<EntryRef<'_>>, RunsError> {
        if let Err(error) = self.advance() {
            // what one run lacks is missing from the rest
            self.heads.clear();
            return Err(error);
        }
        let Some(Reverse(head)) = self.heads.peek() else {
            return Ok(None);
        };
        let entry = head.reader.entry();
        let last = self.last.get_or_insert_default();
        last.clear();
        last.push_str(entry.key);
        Ok(Some(entry))
    }
}
