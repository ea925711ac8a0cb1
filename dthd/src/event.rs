//! What happened: a bounded ring of events, the same that go to the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dth_proto::{
    event::{Event, EventsReply, EventsRequest, Level},
    id::{Epoch, TaskName},
    wire::{MAX_WAIT, PAGE},
};
use tokio::sync::watch;

use crate::clock;

/// Events kept.
const KEPT: usize = 10_000;

/// Collects events. Cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    epoch: Epoch,
    ring: Arc<Mutex<VecDeque<Event>>>,
    head: Arc<watch::Sender<u64>>,
}

impl EventLog {
    /// An empty log of this start of the daemon.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, ring: Arc::default(), head: Arc::new(watch::Sender::new(0)) }
    }

    /// Records an event and writes it to the log.
    pub fn push(&self, level: Level, task: Option<(&TaskName, Option<u32>)>, message: impl Into<String>) {
        let message = message.into();
        let (name, run) = task.map_or((None, None), |(name, run)| (Some(name.clone()), run));
        let of = name.as_ref().map_or("-", TaskName::as_str);
        match level {
            Level::Debug => tracing::debug!(task = of, "{message}"),
            Level::Info => tracing::info!(task = of, "{message}"),
            Level::Warn => tracing::warn!(task = of, "{message}"),
            Level::Error => tracing::error!(task = of, "{message}"),
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = *self.head.borrow() + 1;
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(Event { seq, at: clock::now(), level, task: name, run, message });
        self.head.send_replace(seq);
    }

    /// Number of the newest event.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Answers a client; waits for the first matching event if it asked to.
    pub async fn answer(&self, request: &EventsRequest) -> EventsReply {
        let mut head = self.head.subscribe();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(request.wait_ms.into()).min(MAX_WAIT);
        let mut after = if request.epoch.as_ref().is_none_or(|e| *e == self.epoch) { request.after } else { 0 };
        loop {
            head.mark_unchanged();
            let (events, next) = self.select(request, after);
            after = next;
            let late = tokio::time::Instant::now() >= deadline;
            if !events.is_empty() || late || tokio::time::timeout_at(deadline, head.changed()).await.is_err() {
                return EventsReply { epoch: self.epoch.clone(), events, next };
            }
        }
    }

    fn select(&self, request: &EventsRequest, after: u64) -> (Vec<Event>, u64) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = request.limit.clamp(1, PAGE) as usize;
        let wanted = |e: &&Event| e.level >= request.level && request.task.as_ref().is_none_or(|t| e.task.as_ref() == Some(t));
        let newest = ring.back().map_or(after, |e| e.seq).max(after);
        if after == 0 {
            let mut events: Vec<Event> = ring.iter().rev().filter(wanted).take(limit).cloned().collect();
            events.reverse();
            return (events, newest);
        }
        let events: Vec<Event> = ring.iter().filter(|e| e.seq > after).filter(wanted).take(limit).cloned().collect();
        let next = if events.len() == limit { events.last().map_or(newest, |e| e.seq) } else { newest };
        (events, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(after: u64, limit: u32, wait_ms: u32) -> EventsRequest {
        EventsRequest { epoch: None, after, task: None, level: Level::Info, limit, wait_ms }
    }

    #[tokio::test]
    async fn pages_follow_each_other() {
        let log = EventLog::new(Epoch::random());
        for n in 0..10 {
            log.push(if n % 2 == 0 { Level::Info } else { Level::Debug }, None, n.to_string());
        }
        let newest = log.answer(&request(0, 2, 0)).await;
        assert_eq!(newest.events.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["6", "8"]);
        let page = log.answer(&request(1, 2, 0)).await;
        assert_eq!(page.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 5]);
        let rest = log.answer(&request(page.next, 50, 0)).await;
        assert_eq!(rest.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(rest.next, 10);
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_event() {
        let log = EventLog::new(Epoch::random());
        let waiting = log.clone();
        let answer = tokio::spawn(async move { waiting.answer(&request(0, 5, 20_000)).await });
        tokio::task::yield_now().await;
        log.push(Level::Debug, None, "not this one");
        log.push(Level::Warn, None, "this one");
        assert_eq!(answer.await.expect("answer").events[0].message, "this one");
    }
}
