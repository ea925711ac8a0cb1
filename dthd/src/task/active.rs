//! A run that is going: how it is told to stop, and what is measured of it every second.

use std::{sync::Arc, time::Duration};

use dth_proto::{time::Timestamp, view::Live};
use tokio::{sync::watch, time::Instant};

use crate::{
    metrics::{Amounts, history::History},
    store::{RunKind, RunRecord},
    transfer::{
        Stop,
        progress::Progress,
        rate::{self, Rates, Remaining},
    },
};

/// How exactly a standstill is told, in seconds.
const STALL_STEP_S: u64 = 10;

/// A run that is going.
pub struct Active {
    /// What it has done.
    pub progress: Arc<Progress>,
    /// The record it began with; the run itself writes its checkpoints.
    pub began: RunRecord,
    /// Tells it to stop.
    pub stop: watch::Sender<Stop>,
    /// Its rates over time.
    pub history: History,
    /// Its rates now.
    pub live: Live,
    rates: Rates,
    seen: Amounts,
    since: Instant,
}

impl Active {
    /// A run that begins or continues now.
    #[must_use]
    pub fn new(progress: Arc<Progress>, began: RunRecord, stop: watch::Sender<Stop>) -> Self {
        let mut active = Self {
            rates: Rates::new(Duration::ZERO, rate::Progress::default()),
            seen: Amounts::default(),
            progress,
            began,
            stop,
            history: History::default(),
            live: Live::default(),
            since: Instant::now(),
        };
        let start = active.amounts();
        active.seen = start;
        active.rates = Rates::new(Duration::ZERO, active.done());
        active
    }

    /// Time at work, earlier processes included.
    #[must_use]
    pub fn worked(&self) -> Duration {
        self.began.worked + self.since.elapsed()
    }

    /// Whether it has been asked to end or to pause at once.
    #[must_use]
    pub fn stopping(&self) -> bool {
        *self.stop.borrow() >= Stop::Suspend
    }

    /// Best rate seen, bytes per second.
    #[must_use]
    pub fn best_rate(&self) -> u64 {
        self.rates.best_bytes_per_s()
    }

    /// Measures; answers with what happened since the last time.
    pub fn sample(&mut self, now: Timestamp) -> Amounts {
        let at = self.since.elapsed();
        let counters = self.progress.counters();
        self.rates.sample(at, self.done());
        self.live = self.rates.live(
            at,
            Remaining {
                bytes: counters.bytes_listed.saturating_sub(counters.bytes_done).saturating_sub(self.progress.partial()),
                objects: counters.pending,
                listing_done: self.progress.is_listing_done(),
            },
        );
        // in steps, so that a screen does not change every second because nothing happens
        self.live.stalled_s = self.live.stalled_s.map(|s| s - s % STALL_STEP_S);
        // where nothing happens at the source there is nothing to do
        if self.began.kind == RunKind::Events && counters.pending == 0 {
            self.live.stalled_s = None;
        }
        let amounts = self.amounts();
        let growth = Amounts {
            bytes: amounts.bytes.saturating_sub(self.seen.bytes),
            objects: amounts.objects.saturating_sub(self.seen.objects),
            failed: amounts.failed.saturating_sub(self.seen.failed),
        };
        self.seen = amounts;
        self.history.record(now, growth);
        growth
    }

    fn amounts(&self) -> Amounts {
        let counters = self.progress.counters();
        Amounts { bytes: self.progress.moved(), objects: counters.copied, failed: counters.failed }
    }

    fn done(&self) -> rate::Progress {
        let counters = self.progress.counters();
        rate::Progress { bytes: self.progress.moved(), objects: counters.listed - counters.pending, activity: counters.listed }
    }
}
