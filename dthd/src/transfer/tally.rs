//! What outcomes count as, and how counts are put together.

use dth_proto::view::Counters;

use crate::{
    store::{
        item::TO_DELETE,
        record::{Tally, size_class},
        words::WordCounts,
    },
    transfer::estimate::Requests,
};

impl Tally {
    /// Counts an item as listed.
    pub fn list(&mut self, size: u64) {
        self.counters.listed += 1;
        self.counters.bytes_listed += size;
        self.sizes[size_class(size)] += 1;
        self.largest = self.largest.max(size);
    }

    /// Takes back that an item was listed.
    pub fn unlist(&mut self, size: u64) {
        self.counters.listed = self.counters.listed.saturating_sub(1);
        self.counters.bytes_listed = self.counters.bytes_listed.saturating_sub(size);
        self.sizes[size_class(size)] = self.sizes[size_class(size)].saturating_sub(1);
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
        self.there += other.there;
    }

    /// One item deleted at the destination.
    #[must_use]
    pub fn deleted() -> Self {
        Self::of(Counters { deleted: 1, ..Counters::default() })
    }

    /// One item that could not be deleted at the destination: an item that failed, although no listing of the source has it.
    #[must_use]
    pub fn not_deleted() -> Self {
        Self::of(Counters { listed: 1, failed: 1, ..Counters::default() })
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
