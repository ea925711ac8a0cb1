//! A limit in bytes per second, by the clock, that can be changed while it is in use: the daemon's, and the task's behind it.

pub mod plan;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dth_proto::{
    bandwidth::{BandwidthNow, BandwidthPlan},
    time::Timestamp,
    units::Rate,
};
use jiff::tz::TimeZone;
use tokio::{sync::Notify, time::Instant};

use super::fair::{Gate, Lane};
use crate::clock;

/// A token bucket, with an optional wider one that is asked as well. Clones share a bucket and a lane; the narrower limits of one take
/// turns, so that each gets as many bytes as any other that waits.
#[derive(Clone)]
pub struct Bandwidth {
    bucket: Arc<Bucket>,
    lane: Arc<Order>,
    wider: Option<Arc<Bandwidth>>,
}

/// One queue of takers: each gets all its bytes before the next begins.
struct Order {
    lane: Lane,
    first: tokio::sync::Mutex<()>,
}

struct Bucket {
    gate: Arc<Gate>,
    state: Mutex<State>,
    wall: Arc<Wall>,
    changed: Notify,
}

/// The clock on the wall that plans go by; one for a limit and all narrower ones.
struct Wall {
    zone: Mutex<TimeZone>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// `level` tokens at `at`; negative: bytes promised to the one who waits.
struct State {
    plan: Option<BandwidthPlan>,
    now: BandwidthNow,
    /// When the plan is asked again.
    check: Option<Instant>,
    level: f64,
    at: Instant,
}

/// A bucket holds at most this much of a second, so that a pause is not followed by a burst; turns are as long.
const BURST: f64 = 0.1;
/// A turn is never for less.
const TURN: u64 = 16 * 1024;
/// A plan with hours is asked again at least so often: the clock on the wall can be set, and a machine can sleep.
const CHECK: Duration = Duration::from_secs(60);

impl fmt::Debug for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.bucket.lock();
        write!(f, "Bandwidth({:?} now {:?})", state.plan.as_ref().map(ToString::to_string), state.now.rate)
    }
}

impl State {
    /// What the plan says at `at`.
    fn ask(&mut self, at: Instant, wall: &Wall) {
        self.now = BandwidthNow { rate: None, until: None };
        self.check = None;
        let Some(plan) = &self.plan else { return };
        let now = (wall.now)();
        self.now = plan::at(plan, now, &wall.zone());
        self.check = self.now.until.map(|until| at + until.since(now).min(CHECK));
    }

    /// Brings `level`, and the rate, to `at`.
    fn refill(&mut self, at: Instant, wall: &Wall) {
        if let Some(Rate(rate)) = self.now.rate {
            let rate = rate as f64;
            self.level = (self.level + rate * at.saturating_duration_since(self.at).as_secs_f64()).min(rate * BURST);
        }
        self.at = at;
        if self.check.is_some_and(|check| at >= check) {
            self.ask(at, wall);
        }
        if self.now.rate.is_none() {
            self.level = 0.0;
        }
    }
}

impl Wall {
    fn zone(&self) -> TimeZone {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bandwidth {
    /// A limit of its own, by the clocks of `zone`; `None`: unlimited until [`Bandwidth::set`].
    #[must_use]
    pub fn new(plan: Option<BandwidthPlan>, zone: TimeZone) -> Self {
        Self::by(plan, Arc::new(Wall { zone: Mutex::new(zone), now: Box::new(clock::now) }), None)
    }

    fn by(plan: Option<BandwidthPlan>, wall: Arc<Wall>, wider: Option<Arc<Self>>) -> Self {
        let now = Instant::now();
        let mut state = State { plan, now: BandwidthNow { rate: None, until: None }, check: None, level: 0.0, at: now };
        state.ask(now, &wall);
        let bucket = Arc::new(Bucket { gate: Gate::new(1), state: Mutex::new(state), wall, changed: Notify::new() });
        Self { lane: Order::of(&bucket), bucket, wider }
    }

    /// A limit inside this one, with a lane of its own in it: what takes from it takes from both.
    #[must_use]
    pub fn narrower(&self, plan: Option<BandwidthPlan>) -> Self {
        let wider = Self { lane: Order::of(&self.bucket), ..self.clone() };
        Self::by(plan, Arc::clone(&self.bucket.wall), Some(Arc::new(wider)))
    }

    /// Changes the limit for everyone, also for those who wait already. Narrower limits see another zone within a minute.
    pub fn set(&self, plan: Option<BandwidthPlan>, zone: TimeZone) {
        let bucket = &self.bucket;
        *bucket.wall.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
        {
            let mut state = bucket.lock();
            let now = Instant::now();
            state.refill(now, &bucket.wall);
            state.plan = plan;
            state.ask(now, &bucket.wall);
        }
        bucket.changed.notify_waiters();
    }

    /// What of this limit holds now, without the wider one's.
    #[must_use]
    pub fn now(&self) -> BandwidthNow {
        let mut state = self.bucket.lock();
        state.refill(Instant::now(), &self.bucket.wall);
        state.now
    }

    /// Waits until `bytes` may be moved. Dropping the future gives back what it has not waited for yet.
    pub async fn take(&self, bytes: u64) {
        let mut limit = Some(self);
        while let Some(this) = limit {
            this.take_here(bytes).await;
            limit = this.wider.as_deref();
        }
    }

    async fn take_here(&self, bytes: u64) {
        if self.now().rate.is_none() {
            return;
        }
        let _first = self.lane.first.lock().await;
        let mut left = bytes;
        while left > 0 {
            let Some(Rate(rate)) = self.now().rate else { return };
            let turn = ((rate as f64 * BURST) as u64).max(TURN).min(left);
            let _turn = self.lane.lane.enter_at(1, turn).await;
            self.bucket.take(turn).await;
            left -= turn;
        }
    }
}

impl Order {
    fn of(bucket: &Bucket) -> Arc<Self> {
        Arc::new(Self { lane: Lane::new(&bucket.gate), first: tokio::sync::Mutex::new(()) })
    }
}

/// Gives a promise back when the one who waited goes away.
struct Debt<'a> {
    bucket: &'a Bucket,
    bytes: f64,
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if self.bytes > 0.0 {
            self.bucket.lock().level += self.bytes;
        }
    }
}

impl Bucket {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the one whose turn it is.
    async fn take(&self, bytes: u64) {
        {
            let mut state = self.lock();
            state.refill(Instant::now(), &self.wall);
            if state.now.rate.is_none() {
                return;
            }
            state.level -= bytes as f64;
        }
        let mut debt = Debt { bucket: self, bytes: bytes as f64 };
        loop {
            // Enabled before the level is read, so that a change between the two is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let wait = {
                let mut state = self.lock();
                let now = Instant::now();
                state.refill(now, &self.wall);
                match state.now.rate {
                    // less than a byte is owed: the clock is not that fine
                    Some(Rate(rate)) if state.level <= -1.0 => {
                        let paid = Duration::try_from_secs_f64(-state.level / rate as f64).unwrap_or(Duration::MAX);
                        state.check.map_or(paid, |check| paid.min(check.saturating_duration_since(now)))
                    }
                    _ => break,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
        debt.bytes = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KB: u64 = 1000;

    fn fixed(rate: u64) -> Bandwidth {
        Bandwidth::new(Some(Rate(rate).into()), TimeZone::UTC)
    }

    /// A limit whose clock on the wall shows `begin` (UTC) now and goes with tokio's.
    fn clocked(plan: &str, begin: &str) -> Bandwidth {
        let (begin, start) = (begin.parse::<Timestamp>().expect(begin), Instant::now());
        let now = Box::new(move || begin.plus(start.elapsed()));
        Bandwidth::by(Some(plan.parse().expect(plan)), Arc::new(Wall { zone: Mutex::new(TimeZone::UTC), now }), None)
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_flow_at_the_rate() {
        let limit = fixed(100 * KB);
        let start = Instant::now();
        for _ in 0..10 {
            limit.take(50 * KB).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((4.8..=5.2).contains(&took), "500 kB at 100 kB/s took {took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_followed_by_a_burst() {
        let limit = fixed(100 * KB);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let start = Instant::now();
        limit.take(200 * KB).await;
        let took = start.elapsed().as_secs_f64();
        assert!((1.8..=2.0).contains(&took), "{took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wider_limit_holds_too() {
        let daemon = fixed(100 * KB);
        let (fast, other) = (daemon.narrower(Some(Rate(1000 * KB).into())), daemon.narrower(None));
        let start = Instant::now();
        tokio::join!(fast.take(200 * KB), other.take(200 * KB));
        let took = start.elapsed().as_secs_f64();
        assert!((3.8..=4.4).contains(&took), "400 kB through 100 kB/s took {took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_reaches_those_who_wait() {
        let limit = fixed(KB);
        let start = Instant::now();
        let waiting = limit.clone();
        let waiter = tokio::spawn(async move { waiting.take(1000 * KB).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        limit.set(Some(Rate(1000 * KB).into()), TimeZone::UTC);
        waiter.await.expect("waits");
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..=2.1).contains(&took), "{took}s");
        limit.set(None, TimeZone::UTC);
        limit.take(u64::MAX).await;
        assert_eq!(limit.now().rate, None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_away_gives_back() {
        let limit = fixed(KB);
        let given_up = tokio::time::timeout(Duration::from_secs(1), limit.take(1000 * KB)).await;
        assert!(given_up.is_err());
        let start = Instant::now();
        limit.take(KB).await;
        assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_changes_at_its_minute() {
        let limit = clocked("100kB/s 08:00-18:00, 1MB/s", "2026-11-02T07:59:30Z");
        assert_eq!(limit.now().rate, Some(Rate(1000 * KB)));
        let start = Instant::now();
        // 30 MB before eight, the rest at a tenth of the rate
        limit.take(31_000 * KB).await;
        let took = start.elapsed().as_secs_f64();
        assert!((39.0..=41.0).contains(&took), "{took}s");
        assert_eq!(
            (limit.now().rate, limit.now().until.map(|t| t.to_string())),
            (Some(Rate(100 * KB)), Some("2026-11-02T18:00:00.000Z".to_owned()))
        );
        tokio::time::sleep(Duration::from_secs(10 * 3600)).await;
        let start = Instant::now();
        limit.take(10_000 * KB).await;
        let took = start.elapsed().as_secs_f64();
        assert!((9.5..=10.5).contains(&took), "{took}s");
    }

    #[tokio::test(start_paused = true)]
    async fn hours_without_a_limit_begin_for_those_who_wait_too() {
        let limit = clocked("1kB/s 08:00-18:00", "2026-11-02T17:59:00Z");
        let start = Instant::now();
        limit.take(1_000_000 * KB).await;
        let took = start.elapsed().as_secs_f64();
        assert!((59.0..=61.0).contains(&took), "{took}s");
        assert_eq!(limit.now().rate, None);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_get_as_many_bytes_as_any_other() {
        let daemon = fixed(100 * KB);
        let (busy, late) = (daemon.narrower(None), daemon.narrower(None));
        let start = Instant::now();
        let many: Vec<_> = (0..1000).map(|_| busy.take(100 * KB)).collect();
        let busy_ones = futures::future::join_all(many);
        let late_one = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            late.take(100 * KB).await;
            start.elapsed().as_secs_f64()
        };
        let took = tokio::select! {
            _ = busy_ones => panic!("1,000 seconds of work"),
            took = late_one => took,
        };
        assert!((6.0..=7.5).contains(&took), "half of the rate from the fifth second on: {took}s");
    }
}
