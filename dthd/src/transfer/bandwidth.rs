//! A limit in bytes per second that can be changed while it is in use: the daemon's, and the task's behind it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dth_proto::units::Rate;
use tokio::{sync::Notify, time::Instant};

/// A token bucket, with an optional wider one that is asked as well. Cheap to clone; all clones are one bucket.
#[derive(Clone, Debug)]
pub struct Bandwidth {
    bucket: Arc<Bucket>,
    wider: Option<Arc<Bandwidth>>,
}

#[derive(Debug)]
struct Bucket {
    state: Mutex<State>,
    changed: Notify,
}

/// `level` tokens at `at`; negative: bytes promised to those who are waiting.
#[derive(Debug)]
struct State {
    rate: Option<Rate>,
    level: f64,
    at: Instant,
}

/// A bucket holds at most this much of a second, so that a pause is not followed by a burst.
const BURST: f64 = 0.1;

impl State {
    /// Brings `level` to `now`.
    fn refill(&mut self, now: Instant) {
        if let Some(Rate(rate)) = self.rate {
            let rate = rate as f64;
            self.level = (self.level + rate * now.saturating_duration_since(self.at).as_secs_f64()).min(rate * BURST);
        } else {
            self.level = 0.0;
        }
        self.at = now;
    }
}

impl Bandwidth {
    /// A limit of its own; `None`: unlimited until [`Bandwidth::set`].
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        let state = State { rate, level: 0.0, at: Instant::now() };
        Self { bucket: Arc::new(Bucket { state: Mutex::new(state), changed: Notify::new() }), wider: None }
    }

    /// A limit inside this one: what takes from it takes from both.
    #[must_use]
    pub fn narrower(&self, rate: Option<Rate>) -> Self {
        Self { wider: Some(Arc::new(self.clone())), ..Self::new(rate) }
    }

    /// Changes the rate for everyone, also for those who wait already.
    pub fn set(&self, rate: Option<Rate>) {
        let mut state = self.bucket.lock();
        state.refill(Instant::now());
        state.rate = rate;
        if rate.is_none() {
            state.level = 0.0;
        }
        drop(state);
        self.bucket.changed.notify_waiters();
    }

    /// The rate of this limit, without the wider one's.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.bucket.lock().rate
    }

    /// Waits until `bytes` may be moved. Dropping the future gives the bytes back.
    pub async fn take(&self, bytes: u64) {
        let mut limit = Some(self);
        while let Some(this) = limit {
            this.bucket.take(bytes).await;
            limit = this.wider.as_deref();
        }
    }
}

/// Gives a promise back when the one who waited goes away.
struct Debt<'a> {
    bucket: &'a Bucket,
    bytes: f64,
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.bucket.lock().level += self.bytes;
    }
}

impl Bucket {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, bytes: u64) {
        // Enabled before the level is read, so that a change between the two is not missed.
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let mut since = Instant::now();
        let (mut debt, mut ahead, mut rate) = {
            let mut state = self.lock();
            state.refill(since);
            if state.rate.is_none() {
                return;
            }
            state.level -= bytes as f64;
            (Debt { bucket: self, bytes: bytes as f64 }, -state.level, state.rate)
        };
        while let Some(Rate(per_second)) = rate {
            if ahead <= 0.0 {
                break;
            }
            let wait = Duration::try_from_secs_f64(ahead / per_second as f64).unwrap_or(Duration::MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => break,
                () = changed.as_mut() => {
                    ahead -= per_second as f64 * since.elapsed().as_secs_f64();
                    since = Instant::now();
                    rate = self.lock().rate;
                    changed.set(self.changed.notified());
                    changed.as_mut().enable();
                }
            }
        }
        debt.bytes = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KB: u64 = 1000;

    #[tokio::test(start_paused = true)]
    async fn bytes_flow_at_the_rate() {
        let limit = Bandwidth::new(Some(Rate(100 * KB)));
        let start = Instant::now();
        for _ in 0..10 {
            limit.take(50 * KB).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((4.8..=5.2).contains(&took), "500 kB at 100 kB/s took {took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_followed_by_a_burst() {
        let limit = Bandwidth::new(Some(Rate(100 * KB)));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let start = Instant::now();
        limit.take(200 * KB).await;
        let took = start.elapsed().as_secs_f64();
        assert!((1.8..=2.0).contains(&took), "{took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wider_limit_holds_too() {
        let daemon = Bandwidth::new(Some(Rate(100 * KB)));
        let (fast, other) = (daemon.narrower(Some(Rate(1000 * KB))), daemon.narrower(None));
        let start = Instant::now();
        tokio::join!(fast.take(200 * KB), other.take(200 * KB));
        let took = start.elapsed().as_secs_f64();
        assert!((3.8..=4.4).contains(&took), "400 kB through 100 kB/s took {took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_reaches_those_who_wait() {
        let limit = Bandwidth::new(Some(Rate(KB)));
        let start = Instant::now();
        let waiting = limit.clone();
        let waiter = tokio::spawn(async move { waiting.take(1000 * KB).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        limit.set(Some(Rate(1000 * KB)));
        waiter.await.expect("waits");
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..=2.1).contains(&took), "{took}s");
        limit.set(None);
        limit.take(u64::MAX).await;
        assert_eq!(limit.rate(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_away_gives_back() {
        let limit = Bandwidth::new(Some(Rate(KB)));
        let given_up = tokio::time::timeout(Duration::from_secs(1), limit.take(1000 * KB)).await;
        assert!(given_up.is_err());
        let start = Instant::now();
        limit.take(KB).await;
        assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    }
}
