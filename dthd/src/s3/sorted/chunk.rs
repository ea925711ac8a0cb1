//! Pages as they were listed, sorted at once.

use std::cmp::Ordering;

use super::{Held, run::Entries, run::RunsError};
use crate::s3::page::{EntryRef, Page};

/// By key; of one key the newest first, and then by the rest, so that the result does not depend on the listing's order.
pub(super) fn order(a: &EntryRef<'_>, b: &EntryRef<'_>) -> Ordering {
    let rest = |e: &EntryRef<'_>| (e.modified, e.size);
    a.key.cmp(b.key).then_with(|| rest(b).cmp(&rest(a))).then_with(|| b.etag.cmp(a.etag))
}

/// Pages that are in memory together.
pub(super) struct Chunk {
    pages: Vec<Page>,
    held: Held,
}

impl Chunk {
    /// An empty one; its pages are counted in `held`.
    pub(super) fn new(held: Held) -> Self {
        Self { pages: Vec::new(), held }
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Bytes that it takes, and its order will take.
    pub(super) fn bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Bytes that a page adds.
    pub(super) fn bytes_of(page: &Page) -> usize {
        page.memory() + page.len() * size_of::<(u32, u32)>()
    }

    /// Adds a page of whatever order.
    pub(super) fn push(&mut self, page: Page) {
        self.held.grow(Self::bytes_of(&page));
        self.pages.push(page);
    }

    /// Sorts by key and leaves the newest of each.
    pub(super) fn sorted(self) -> SortedChunk {
        let places = |(n, page): (usize, &Page)| (0..page.len()).map(move |row| (n, row));
        // pages and rows come from memory: there are never 2^32
        let narrow = |(page, row)| (u32::try_from(page).unwrap_or(u32::MAX), u32::try_from(row).unwrap_or(u32::MAX));
        let mut order_of: Vec<(u32, u32)> = self.pages.iter().enumerate().flat_map(places).map(narrow).collect();
        let entry = |&(page, row): &(u32, u32)| self.pages.get(page as usize).and_then(|page| page.get(row as usize));
        order_of.sort_unstable_by(|a, b| match (entry(a), entry(b)) {
            (Some(a), Some(b)) => order(&a, &b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        order_of.dedup_by(|later, kept| entry(later).map(|e| e.key) == entry(kept).map(|e| e.key));
        SortedChunk { pages: self.pages, order: order_of, at: 0, _held: self.held }
    }
}

/// The entries of a chunk in order, each key once.
pub(super) struct SortedChunk {
    pages: Vec<Page>,
    order: Vec<(u32, u32)>,
    at: usize,
    _held: Held,
}

impl Entries for SortedChunk {
    fn next(&mut self) -> Result<Option<EntryRef<'_>>, RunsError> {
        let place = self.order.get(self.at);
        self.at += 1;
        Ok(place.and_then(|&(page, row)| self.pages.get(page as usize)?.get(row as usize)))
    }
}
