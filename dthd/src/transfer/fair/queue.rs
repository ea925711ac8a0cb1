//! Who is next: lanes of waiters that are served in turn, each lane in its own order.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): each lane has a clock that advances by the cost of what it was
//! given, and the lane whose clock is furthest behind is next. With a cost of 1 that is a round robin; with bytes it shares bytes, as
//! a deficit round robin does, without a quantum to choose.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Names a lane of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneId(u64);

/// Names a waiter of one queue; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiter<W> {
    ticket: Ticket,
    /// How much room it takes.
    pub(super) size: u64,
    /// By how much its lane's clock advances.
    cost: u64,
    /// How it is told.
    pub(super) wake: W,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<W> {
    lanes: BTreeMap<LaneId, Lane<W>>,
    /// Lanes with waiters, by their clock.
    turns: BTreeSet<(u64, LaneId)>,
    /// The clock of the lane that was served last. A lane that begins, or comes back, starts from here: nobody saves up turns.
    now: u64,
    next: u64,
}

#[derive(Debug)]
struct Lane<W> {
    waiters: VecDeque<Waiter<W>>,
    clock: u64,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), turns: BTreeSet::new(), now: 0, next: 0 }
    }
}

impl<W> Queue<W> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn open(&mut self) -> LaneId {
        let id = LaneId(self.number());
        self.lanes.insert(id, Lane { waiters: VecDeque::new(), clock: 0 });
        id
    }

    /// Forgets a lane, and whoever still waits in it.
    pub(super) fn close(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.remove(&id) {
            self.turns.remove(&(lane.clock, id));
        }
    }

    /// `None`: there is no such lane.
    pub(super) fn push(&mut self, id: LaneId, size: u64, cost: u64, wake: W) -> Option<Ticket> {
        let ticket = Ticket(self.number());
        let lane = self.lanes.get_mut(&id)?;
        if lane.waiters.is_empty() {
            lane.clock = lane.clock.max(self.now);
            self.turns.insert((lane.clock, id));
        }
        lane.waiters.push_back(Waiter { ticket, size, cost, wake });
        Some(ticket)
    }

    /// Takes a waiter out; `None`: it was served already.
    pub(super) fn remove(&mut self, id: LaneId, ticket: Ticket) -> Option<Waiter<W>> {
        let lane = self.lanes.get_mut(&id)?;
        let at = lane.waiters.binary_search_by_key(&ticket, |w| w.ticket).ok()?;
        let waiter = lane.waiters.remove(at);
        if lane.waiters.is_empty() {
            self.turns.remove(&(lane.clock, id));
        }
        waiter
    }

    /// The room the next one takes. Nobody overtakes it, however little they ask for: otherwise large requests would starve.
    pub(super) fn peek(&self) -> Option<u64> {
        let (_, id) = self.turns.first()?;
        self.lanes.get(id)?.waiters.front().map(|w| w.size)
    }

    /// Serves the next one.
    pub(super) fn pop(&mut self) -> Option<Waiter<W>> {
        let (clock, id) = self.turns.pop_first()?;
        let lane = self.lanes.get_mut(&id)?;
        let waiter = lane.waiters.pop_front()?;
        self.now = clock;
        lane.clock = clock.saturating_add(waiter.cost);
        if !lane.waiters.is_empty() {
            self.turns.insert((lane.clock, id));
        }
        Some(waiter)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn served(queue: &mut Queue<usize>) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop()).map(|w| w.wake).collect()
    }

    #[test]
    fn lanes_take_turns_and_a_late_one_need_not_wait() {
        let mut queue = Queue::default();
        let (a, b) = (queue.open(), queue.open());
        for _ in 0..1000 {
            queue.push(a, 1, 1, 0).expect("open");
        }
        for _ in 0..500 {
            queue.pop().expect("one of a");
        }
        for _ in 0..3 {
            queue.push(b, 1, 1, 1).expect("open");
        }
        let order: Vec<usize> = served(&mut queue).into_iter().take(8).collect();
        assert_eq!(order.iter().filter(|lane| **lane == 1).count(), 3, "{order:?}");
    }

    #[test]
    fn a_lane_that_was_idle_has_no_turns_saved_up() {
        let mut queue = Queue::default();
        let (a, b) = (queue.open(), queue.open());
        for _ in 0..100 {
            queue.push(a, 1, 1, 0).expect("open");
            queue.pop().expect("served");
        }
        for _ in 0..10 {
            queue.push(a, 1, 1, 0).expect("open");
            queue.push(b, 1, 1, 1).expect("open");
        }
        let order = served(&mut queue);
        for pair in order.windows(3) {
            assert!(pair.contains(&0) && pair.contains(&1), "{order:?}");
        }
    }

    #[test]
    fn bytes_are_shared_not_requests() {
        let mut queue = Queue::default();
        let (large, small) = (queue.open(), queue.open());
        for _ in 0..10 {
            queue.push(large, 1, 100, 0).expect("open");
        }
        for _ in 0..1000 {
            queue.push(small, 1, 1, 1).expect("open");
        }
        let order = served(&mut queue);
        let (mut bytes, mut most) = ([0_i64; 2], 0);
        for lane in &order {
            bytes[*lane] += [100, 1][*lane];
            most = most.max((bytes[0] - bytes[1]).abs());
        }
        assert_eq!(bytes, [1000, 1000]);
        assert!(most <= 100, "{most} bytes apart");
    }

    #[test]
    fn one_who_goes_away_is_not_served() {
        let mut queue = Queue::default();
        let lane = queue.open();
        let tickets: Vec<Ticket> = (0..3).map(|n| queue.push(lane, 1, 1, n).expect("open")).collect();
        assert_eq!(queue.remove(lane, tickets[1]).map(|w| w.wake), Some(1));
        assert!(queue.remove(lane, tickets[1]).is_none());
        assert_eq!(served(&mut queue), [0, 2]);
        assert!(queue.remove(lane, tickets[0]).is_none() && queue.is_empty());
        let gone = queue.push(lane, 1, 1, 9).expect("open");
        assert!(queue.remove(lane, gone).is_some() && queue.is_empty() && queue.pop().is_none());
        queue.push(lane, 1, 1, 9).expect("open");
        queue.close(lane);
        assert!(queue.is_empty() && queue.push(lane, 1, 1, 9).is_none());
    }

    proptest! {
        /// While several lanes wait, what they were given differs by no more than the largest request of each.
        #[test]
        fn no_lane_starves(costs in prop::collection::vec((0..4_usize, 1..100_u64), 1..300)) {
            let mut queue = Queue::default();
            let lanes: Vec<LaneId> = (0..4).map(|_| queue.open()).collect();
            let mut left = [0_usize; 4];
            for (lane, cost) in &costs {
                queue.push(lanes[*lane], 1, *cost, *lane).expect("open");
                left[*lane] += 1;
            }
            let mut given = [0_u64; 4];
            let mut last = [0_u64; 4];
            while let Some(waiter) = queue.pop() {
                let lane = waiter.wake;
                // in the lane's own order
                prop_assert!(waiter.ticket.0 > last[lane]);
                last[lane] = waiter.ticket.0;
                given[lane] += waiter.cost;
                left[lane] -= 1;
                let waiting: Vec<u64> = (0..4).filter(|l| left[*l] > 0).map(|l| given[l]).collect();
                if let (Some(least), Some(most)) = (waiting.iter().min(), waiting.iter().max()) {
                    prop_assert!(most - least <= 200, "{given:?}");
                }
            }
            prop_assert_eq!(left, [0; 4], "everyone is served");
        }
    }
}
