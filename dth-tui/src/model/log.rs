//! The newest events, as many as fit in memory kept for them.

use std::collections::VecDeque;

use dth_proto::{
    event::{Event, EventsReply, Level},
    id::{Epoch, TaskName},
};

/// Most events held.
pub const HELD: usize = 2_000;

/// Events, oldest first, and what of them is shown.
#[derive(Clone, Debug)]
pub struct Log {
    /// The events.
    pub events: VecDeque<Event>,
    /// Epoch and number to ask behind.
    pub after: (Option<Epoch>, u64),
    /// A request is under way.
    pub asking: bool,
    /// Only this level and above.
    pub level: Level,
    /// Only this task.
    pub task: Option<TaskName>,
    /// The newest event stays in view; off, `cursor` stays where it is.
    pub follow: bool,
    /// Event under the cursor, counted from the oldest that is shown.
    pub cursor: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { events: VecDeque::new(), after: (None, 0), asking: false, level: Level::Info, task: None, follow: true, cursor: 0 }
    }
}

impl Log {
    /// The events that pass level and task, oldest first.
    #[must_use]
    pub fn shown(&self) -> Vec<&Event> {
        let passes = |e: &&Event| e.level >= self.level && self.task.as_ref().is_none_or(|t| e.task.as_ref() == Some(t));
        self.events.iter().filter(passes).collect()
    }

    /// Row of the cursor among `len` rows.
    #[must_use]
    pub fn position(&self, len: usize) -> usize {
        let last = len.saturating_sub(1);
        if self.follow { last } else { self.cursor.min(last) }
    }

    /// Takes an answer; one of another epoch replaces what is there, for its numbers begin again.
    pub fn take(&mut self, reply: EventsReply) {
        self.asking = false;
        if self.after.0.as_ref() != Some(&reply.epoch) {
            self.events.clear();
        }
        let before = self.shown().len();
        self.events.extend(reply.events);
        let extra = self.events.len().saturating_sub(HELD);
        self.events.drain(..extra);
        // rows that fell off the old end pull the cursor with them
        self.cursor = self.cursor.saturating_sub(extra.min(before));
        self.after = (Some(reply.epoch), reply.next);
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;

    fn events(epoch: &str, range: std::ops::Range<u64>) -> EventsReply {
        let next = range.end;
        let event = |seq| Event { seq, at: Timestamp(seq), level: Level::Info, task: None, run: None, message: format!("event {seq}") };
        EventsReply { epoch: Epoch(epoch.to_owned()), events: range.map(event).collect(), next }
    }

    #[test]
    fn it_is_bounded_and_starts_over_with_the_daemon() {
        let mut log = Log::default();
        log.take(events("a", 1..1_500));
        log.take(events("a", 1_500..3_001));
        assert_eq!((log.events.len(), log.events[0].seq), (HELD, 1_001));
        log.take(events("b", 1..3));
        assert_eq!((log.events.len(), log.after.1), (2, 3));
    }

    #[test]
    fn level_and_position() {
        let mut log = Log::default();
        log.take(events("a", 1..11));
        assert_eq!(log.position(log.shown().len()), 9);
        log.level = Level::Warn;
        assert!(log.shown().is_empty());
        log.follow = false;
        log.cursor = 50;
        assert_eq!((log.position(10), log.position(0)), (9, 0));
    }
}
