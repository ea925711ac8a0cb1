//! A ring of time slots of one length, which forgets the oldest.

use std::collections::VecDeque;

use super::Amounts;

/// Slots are numbered from the epoch: slot `n` covers `[n * slot_ms, (n + 1) * slot_ms)`.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub(super) slot_ms: u64,
    capacity: usize,
    first: u64,
    slots: VecDeque<Option<Amounts>>,
}

impl Ring {
    pub(super) fn new(slot_ms: u64, capacity: usize) -> Self {
        Self { slot_ms, capacity, first: 0, slots: VecDeque::new() }
    }

    /// Milliseconds a full ring covers.
    pub(super) fn reach_ms(&self) -> u64 {
        self.slot_ms * self.capacity as u64
    }

    /// Adds to a slot. One newer than all others pushes the oldest out; one too old to fit beside the newest means that the
    /// clock was wrong before, and starts the ring afresh.
    pub(super) fn add(&mut self, slot: u64, amounts: Amounts) {
        let end = self.first.saturating_add(self.slots.len() as u64);
        let capacity = self.capacity as u64;
        if self.slots.is_empty() || slot.saturating_sub(end) >= capacity || end.saturating_sub(slot) > capacity {
            self.slots.clear();
            self.first = slot;
        }
        while slot < self.first {
            self.slots.push_front(None);
            self.first -= 1;
        }
        while self.first + self.slots.len() as u64 <= slot {
            self.slots.push_back(None);
        }
        while self.slots.len() > self.capacity {
            self.slots.pop_front();
            self.first += 1;
        }
        if let Some(held) = usize::try_from(slot - self.first).ok().and_then(|i| self.slots.get_mut(i)) {
            *held = Some(held.unwrap_or_default().plus(amounts));
        }
    }

    /// What a slot holds; `None`: nothing is known about it.
    pub(super) fn get(&self, slot: u64) -> Option<Amounts> {
        let index = usize::try_from(slot.checked_sub(self.first)?).ok()?;
        *self.slots.get(index)?
    }

    /// Known slots, oldest first, with their numbers.
    pub(super) fn known(&self) -> impl Iterator<Item = (u64, Amounts)> + '_ {
        (self.first..).zip(&self.slots).filter_map(|(slot, amounts)| Some((slot, (*amounts)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(n: u64) -> Amounts {
        Amounts { bytes: n, ..Amounts::default() }
    }

    #[test]
    fn slots_fill_in_any_order_and_the_oldest_leave() {
        let mut ring = Ring::new(1000, 3);
        for (slot, n) in [(10, 1), (9, 2), (10, 3), (11, 4)] {
            ring.add(slot, one(n));
        }
        assert_eq!(ring.known().collect::<Vec<_>>(), [(9, one(2)), (10, one(4)), (11, one(4))]);
        ring.add(13, one(5));
        assert_eq!((ring.get(10), ring.get(11), ring.get(12), ring.get(13), ring.get(14)), (None, Some(one(4)), None, Some(one(5)), None));
        // far ahead, and far back: nothing old fits beside it
        ring.add(100, one(6));
        assert_eq!(ring.known().count(), 1);
        ring.add(0, one(7));
        assert_eq!(ring.known().collect::<Vec<_>>(), [(0, one(7))]);
    }
}
