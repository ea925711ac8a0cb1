//! How a task's events are going, in numbers: written by whoever consumes the queue, read by screens and metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dth_proto::time::Timestamp;

/// See the module. Counts run since the daemon started.
#[derive(Debug, Default)]
pub struct Gauge {
    received: AtomicU64,
    applied: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody consumes the queue.
    consumed: bool,
    held: u64,
    oldest: Option<Timestamp>,
    /// By what does not work: receiving, deleting.
    troubles: BTreeMap<&'static str, Trouble>,
    /// Messages that could not be read or were not for the task, by kind.
    unknown: BTreeMap<&'static str, u64>,
}

/// The queue cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Somebody consumes the queue.
    pub consumed: bool,
    /// Messages received, each once however often the queue gave it.
    pub received: u64,
    /// Messages applied: what they say is at the destination, or was left out or given up by name.
    pub applied: u64,
    /// Messages held and not yet applied.
    pub held: u64,
    /// When the oldest of them was sent.
    pub oldest: Option<Timestamp>,
    /// The queue cannot be used.
    pub trouble: Option<Trouble>,
    /// Messages that could not be read or were not for the task.
    pub unknown: u64,
}

impl Gauge {
    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(super) fn applied(&self, messages: u64) {
        self.applied.fetch_add(messages, Relaxed);
    }

    /// A message of this kind was not understood; `true` when it is the first.
    pub(super) fn unknown(&self, kind: &'static str) -> bool {
        let mut state = self.state();
        let count = state.unknown.entry(kind).or_default();
        *count += 1;
        *count == 1
    }

    pub(super) fn holds(&self, held: u64, oldest: Option<Timestamp>) {
        let mut state = self.state();
        (state.consumed, state.held, state.oldest) = (true, held, oldest);
    }

    /// The queue does not do this; `true` when it did before.
    pub(super) fn trouble(&self, operation: &'static str, now: Timestamp, why: String) -> bool {
        let mut state = self.state();
        let since = state.troubles.get(operation).map(|trouble| trouble.since);
        state.troubles.insert(operation, Trouble { since: since.unwrap_or(now), why });
        since.is_none()
    }

    /// The queue does this; gives back since when it did not.
    pub(super) fn fine(&self, operation: &'static str) -> Option<Timestamp> {
        self.state().troubles.remove(operation).map(|trouble| trouble.since)
    }

    /// Nobody consumes any more: nothing is held, and what troubled does not.
    pub(super) fn idle(&self) {
        let mut state = self.state();
        (state.consumed, state.held, state.oldest) = (false, 0, None);
        state.troubles.clear();
    }

    /// Everything at one moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            consumed: state.consumed,
            received: self.received.load(Relaxed),
            applied: self.applied.load(Relaxed),
            held: state.held,
            oldest: state.oldest,
            trouble: state.troubles.values().min_by_key(|trouble| trouble.since).cloned(),
            unknown: state.unknown.values().sum(),
        }
    }

    /// Plain values: whole also when a holder panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// [`Self::lag`] in seconds, while somebody consumes the queue.
    #[must_use]
    pub fn lag_if_consumed(&self, now: Timestamp) -> Option<u64> {
        self.consumed.then(|| self.lag(now).as_secs())
    }

    /// Age of the oldest event that is not applied. While the queue cannot be read, at least so long as that lasts: there may be events in
    /// it that are as old.
    #[must_use]
    pub fn lag(&self, now: Timestamp) -> Duration {
        let oldest = self.oldest.map_or(Duration::ZERO, |sent| now.since(sent));
        self.trouble.as_ref().map_or(oldest, |trouble| oldest.max(now.since(trouble.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_the_oldest_event_or_as_long_as_nobody_can_tell() {
        let gauge = Gauge::default();
        let lag = |now: u64| gauge.snapshot().lag(Timestamp(now)).as_millis();
        assert_eq!(lag(9_000), 0);
        gauge.holds(2, Some(Timestamp(4_000)));
        assert_eq!(lag(9_000), 5_000);
        assert!(gauge.trouble("receive", Timestamp(1_000), "no route".to_owned()));
        assert!(
            !gauge.trouble("receive", Timestamp(2_000), "refused".to_owned()) && gauge.trouble("delete", Timestamp(3_000), String::new())
        );
        assert_eq!(lag(9_000), 8_000);
        assert_eq!(gauge.snapshot().trouble, Some(Trouble { since: Timestamp(1_000), why: "refused".to_owned() }));
        assert_eq!((gauge.fine("receive"), gauge.fine("receive")), (Some(Timestamp(1_000)), None));
        assert_eq!(lag(9_000), 6_000);
        assert_eq!(gauge.fine("delete"), Some(Timestamp(3_000)));
        assert_eq!(lag(9_000), 5_000);
        gauge.idle();
        assert_eq!(lag(9_000), 0);
        assert!(gauge.unknown("not JSON") && !gauge.unknown("not JSON") && gauge.unknown("another"));
        assert_eq!(gauge.snapshot().unknown, 3);
    }
}
