//! A gate that lets in so much at once, and whose lanes take turns at it: a task with a thousand waiting requests does not keep
//! another from its first.

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use self::queue::{LaneId, Queue, Ticket};

/// How much may be inside at once. The limit can move while the gate is in use.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    inside: u64,
    queue: Queue<oneshot::Sender<()>>,
}

impl State {
    /// One alone may always enter: what is larger than the limit goes by itself instead of never.
    fn fits(&self, size: u64) -> bool {
        self.inside == 0 || self.inside.saturating_add(size) <= self.limit
    }

    /// Lets in whoever fits now. They are to be woken when the lock is released: waking may run the code of a dropped future.
    fn admit(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut woken = Vec::new();
        while let Some(size) = self.queue.peek()
            && self.fits(size)
            && let Some(waiter) = self.queue.pop()
        {
            self.inside = self.inside.saturating_add(size);
            woken.push(waiter.wake);
        }
        woken
    }
}

impl Gate {
    /// A gate for `limit` at once.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { limit, inside: 0, queue: Queue::default() }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limit. What is inside stays, also when it is more.
    pub fn set_limit(&self, limit: u64) {
        self.change(|state| state.limit = limit);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let woken = {
            let mut state = self.lock();
            change(&mut state);
            state.admit()
        };
        for wake in woken {
            // who went away meanwhile gives back by itself
            let _ = wake.send(());
        }
    }

    /// The limit now.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.lock().limit
    }

    /// What is inside now.
    #[must_use]
    pub fn inside(&self) -> u64 {
        self.lock().inside
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        !self.lock().queue.is_empty()
    }
}

/// A queue of its own at a gate. Closed when dropped.
#[derive(Debug)]
pub struct Lane {
    gate: Arc<Gate>,
    id: LaneId,
}

/// What was let in; leaves when dropped.
#[derive(Debug)]
#[must_use = "it leaves when this is dropped"]
pub struct Inside {
    gate: Arc<Gate>,
    size: u64,
}

impl Inside {
    /// How much it is.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.gate.change(|state| state.inside -= self.size);
    }
}

/// A waiter that may go away: takes itself out of the queue, or gives back what it was let in with.
struct Waiting<'l> {
    lane: &'l Lane,
    ticket: Ticket,
    size: u64,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.lane.gate.change(|state| {
            if state.queue.remove(self.lane.id, self.ticket).is_none() {
                state.inside -= self.size;
            }
        });
    }
}

impl Lane {
    /// Another lane at a gate.
    #[must_use]
    pub fn new(gate: &Arc<Gate>) -> Self {
        let id = gate.lock().queue.open();
        Self { gate: Arc::clone(gate), id }
    }

    /// The gate it leads to.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Waits for the lane's turn and until `size` fits; lanes share by size. Dropping the future gives up the place.
    pub async fn enter(&self, size: u64) -> Inside {
        self.enter_at(size, size).await
    }

    /// As [`Lane::enter`], but lanes share by `cost`.
    pub async fn enter_at(&self, size: u64, cost: u64) -> Inside {
        let (ticket, admitted) = {
            let mut state = self.gate.lock();
            if state.queue.is_empty() && state.fits(size) {
                state.inside = state.inside.saturating_add(size);
                return Inside { gate: Arc::clone(&self.gate), size };
            }
            let (wake, admitted) = oneshot::channel();
            let ticket = state.queue.push(self.id, size, cost, wake);
            (ticket.expect("a lane is open as long as it can be asked"), admitted)
        };
        let mut waiting = Waiting { lane: self, ticket, size, over: false };
        admitted.await.expect("a waiter is taken out of the queue only to be let in, or by itself");
        waiting.over = true;
        Inside { gate: Arc::clone(&self.gate), size }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // nobody waits in it: a waiter borrows its lane
        self.gate.lock().queue.close(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin};

    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn the_limit_moves_while_somebody_waits() {
        let gate = Gate::new(1);
        let lane = Lane::new(&gate);
        let first = lane.enter(1).await;
        let mut second = Box::pin(lane.enter(1));
        assert!(second.as_mut().now_or_never().is_none() && gate.has_waiters());
        gate.set_limit(2);
        let second = second.await;
        gate.set_limit(1);
        drop(first);
        assert!(lane.enter(1).now_or_never().is_none(), "there are still as many inside as may be");
        drop(second);
        assert!(lane.enter(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_larger_than_the_limit_goes_alone() {
        let gate = Gate::new(10);
        let lane = Lane::new(&gate);
        let one = lane.enter(1).await;
        let mut large = Box::pin(lane.enter(100));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(lane.enter(1).now_or_never().is_none(), "nobody overtakes the one who is next");
        drop(one);
        let large = large.await;
        assert_eq!((large.size(), gate.inside()), (100, 100));
    }

    #[tokio::test]
    async fn one_who_gives_up_lets_the_next_one_in() {
        let gate = Gate::new(10);
        let lane = Lane::new(&gate);
        let one = lane.enter(5).await;
        let mut large = Box::pin(lane.enter(10));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(lane.enter(5));
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        let small = small.now_or_never().expect("it fits beside the first");
        drop(one);
        drop(small);
        assert_eq!(gate.inside(), 0);
        let all = lane.enter(10).await;
        let mut admitted = Box::pin(lane.enter(10));
        assert!(admitted.as_mut().now_or_never().is_none());
        drop(all);
        assert_eq!(gate.inside(), 10, "it was let in and does not know yet");
        drop(admitted);
        assert_eq!(gate.inside(), 0);
    }

    proptest! {
        /// Any order of asking, being polled, leaving and going away: never more inside than the limit (but one alone), nothing lost.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((0..5_u8, 0..3_usize, 1..8_u64), 1..200)) {
            const LIMIT: u64 = 10;
            let gate = Gate::new(LIMIT);
            let lanes: Vec<Lane> = (0..3).map(|_| Lane::new(&gate)).collect();
            let mut waiting: Vec<Pin<Box<dyn Future<Output = Inside> + '_>>> = Vec::new();
            let mut inside: Vec<Inside> = Vec::new();
            for (what, index, size) in steps {
                match what {
                    0 | 1 => {
                        let mut future: Pin<Box<dyn Future<Output = Inside> + '_>> = Box::pin(lanes[index].enter(size));
                        match future.as_mut().now_or_never() {
                            Some(entered) => inside.push(entered),
                            None => waiting.push(future),
                        }
                    }
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(index % waiting.len())),
                    3 if !inside.is_empty() => drop(inside.swap_remove(index % inside.len())),
                    _ => {
                        let mut still = Vec::new();
                        for mut future in waiting.drain(..) {
                            match future.as_mut().now_or_never() {
                                Some(entered) => inside.push(entered),
                                None => still.push(future),
                            }
                        }
                        waiting = still;
                    }
                }
                prop_assert!(gate.inside() <= LIMIT);
                prop_assert!(inside.iter().map(Inside::size).sum::<u64>() <= gate.inside());
                prop_assert!(gate.inside() > 0 || !gate.has_waiters(), "somebody waits though the gate is empty");
            }
            drop(waiting);
            drop(inside);
            prop_assert_eq!(gate.inside(), 0);
            prop_assert!(!gate.has_waiters());
        }
    }
}
