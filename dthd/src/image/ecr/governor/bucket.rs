//! How many requests per second one API takes: a token bucket whose rate is learnt. Pure: times are spans since a fixed origin.

use std::time::Duration;

/// Of a quota, what is used without being asked: clocks differ, and others use the account as well.
const SHARE: f64 = 0.9;
/// What remains of the rate when ECR says "less".
const CUT: f64 = 0.7;
/// "Less" is said to all requests in flight at once, and means it once.
const BURST: Duration = Duration::from_secs(1);
/// From nothing back to the first rate.
const RECOVERY: Duration = Duration::from_secs(60);
/// What was too much is kept for this long.
const MEMORY: Duration = Duration::from_secs(600);
/// Below the rate that was too much by this factor.
const BELOW: f64 = 0.95;
/// Growth in a minute of the part above the first rate: quotas can be raised, and only a try shows it.
const PROBE: f64 = 1.2;
/// A longer pause between requests tells no more about the load than this.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Per second, at first.
    first: f64,
    /// Per second, now.
    rate: f64,
    /// Requests that may be sent at once.
    tokens: f64,
    /// When `tokens` were counted.
    counted: Duration,
    /// Whether somebody had to wait since then: a rate that nobody uses up is no evidence.
    short: bool,
    /// The last time ECR said "less", and the rate that it was said to.
    refused: Option<(Duration, f64)>,
}

impl Bucket {
    /// For an API with a quota of so many requests per second (at least 1).
    pub(super) fn new(quota: u32, now: Duration) -> Self {
        let first = f64::from(quota.max(1)) * SHARE;
        let mut bucket = Self { first, rate: first, tokens: 0.0, counted: now, short: false, refused: None };
        bucket.tokens = bucket.most();
        bucket
    }

    /// Requests per second, now.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Tokens that can be saved up: with those of one second they are still no more than the quota.
    fn most(&self) -> f64 {
        (self.rate / 10.0).max(1.0)
    }

    /// A request may be sent, or this must pass before asking again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let span = now.saturating_sub(self.counted);
        self.climb(now, span.min(LONGEST_STEP));
        self.tokens = (self.tokens + self.rate * span.as_secs_f64()).min(self.most());
        self.counted = self.counted.max(now);
        // what is computed in fractions may lack the last of them
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens = (self.tokens - 1.0).max(0.0);
            self.short = false;
            return Ok(());
        }
        self.short = true;
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate).max(Duration::from_millis(1)))
    }

    fn climb(&mut self, now: Duration, span: Duration) {
        if !self.short {
            return;
        }
        let ceiling = match self.refused {
            Some((at, rate)) if now.saturating_sub(at) < MEMORY => rate * BELOW,
            _ => f64::INFINITY,
        };
        let seconds = span.as_secs_f64();
        let grown = if self.rate < self.first {
            (self.rate + self.first * seconds / RECOVERY.as_secs_f64()).min(self.first)
        } else {
            self.rate * PROBE.powf(seconds / 60.0)
        };
        // a ceiling keeps the rate from growing; it does not lower it
        self.rate = grown.min(ceiling).max(self.rate);
    }

    /// ECR said "less".
    pub(super) fn refused(&mut self, now: Duration) {
        if self.refused.is_some_and(|(at, _)| now.saturating_sub(at) < BURST) {
            return;
        }
        self.refused = Some((now, self.rate));
        self.rate = (self.rate * CUT).max(self.first / 100.0);
        self.tokens = 0.0;
        self.counted = self.counted.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Requests sent between two points in time, by somebody who always has more.
    fn greedy(bucket: &mut Bucket, from: Duration, to: Duration) -> Vec<Duration> {
        let (mut now, mut sent) = (from, Vec::new());
        while now < to {
            match bucket.take(now) {
                Ok(()) => sent.push(now),
                Err(wait) => now += wait,
            }
        }
        sent
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The most requests within any second; they are in order.
    fn peak(sent: &[Duration]) -> usize {
        let until = |start: Duration| sent.partition_point(|&at| at < start + s(1));
        sent.iter().enumerate().map(|(n, &start)| until(start) - n).max().unwrap_or(0)
    }

    #[test]
    fn a_new_bucket_stays_below_its_quota() {
        for quota in [10, 100, 500] {
            let mut bucket = Bucket::new(quota, s(0));
            let sent = greedy(&mut bucket, s(0), s(20));
            assert!(peak(&sent) <= quota as usize, "{quota}: {}", peak(&sent));
            assert!(sent.len() >= quota as usize * 17, "{quota}: {} in 20 s", sent.len());
        }
    }

    #[test]
    fn nobody_waits_for_the_first() {
        let mut bucket = Bucket::new(10, s(5));
        assert_eq!(bucket.take(s(5)), Ok(()));
        let wait = bucket.take(s(5)).expect_err("the next has to wait");
        assert_eq!(wait.as_millis(), 111);
        assert_eq!(bucket.take(s(5) + wait), Ok(()));
    }

    #[test]
    fn a_refusal_counts_once_and_is_forgotten_slowly() {
        let mut bucket = Bucket::new(100, s(0));
        greedy(&mut bucket, s(0), s(1));
        for ms in [1000, 1010, 1500] {
            bucket.refused(Duration::from_millis(ms));
        }
        assert!((62.0..65.0).contains(&bucket.rate()), "{}", bucket.rate());
        bucket.refused(s(3));
        assert!((43.0..46.0).contains(&bucket.rate()), "{}", bucket.rate());
        // back to just below what was too much, and no further for ten minutes
        greedy(&mut bucket, s(3), s(300));
        assert!((59.0..62.0).contains(&bucket.rate()), "{}", bucket.rate());
        greedy(&mut bucket, s(300), s(660));
        assert!(bucket.rate() > 85.0, "{}", bucket.rate());
    }

    #[test]
    fn a_raised_quota_is_found_and_an_unused_one_is_not_tried() {
        let mut busy = Bucket::new(10, s(0));
        greedy(&mut busy, s(0), s(600));
        assert!(busy.rate() > 40.0, "{}", busy.rate());
        let mut idle = Bucket::new(10, s(0));
        for second in 0..600 {
            assert_eq!(idle.take(s(second)), Ok(()));
        }
        assert!(idle.rate() < 10.0, "{}", idle.rate());
    }

    /// A server that refuses what is more than `quota` in a second gets little of it.
    #[test]
    fn a_lower_quota_is_learnt() {
        let quota = 5;
        let mut bucket = Bucket::new(10, s(0));
        let (mut now, mut taken, mut refusals) = (s(0), Vec::<Duration>::new(), 0);
        while now < s(120) {
            if let Err(wait) = bucket.take(now) {
                now += wait;
                continue;
            }
            if taken.iter().filter(|&&at| at + s(1) > now).count() >= quota {
                refusals += 1;
                bucket.refused(now);
            } else {
                taken.push(now);
            }
        }
        assert!(refusals <= 20, "{refusals}");
        assert!(taken.len() >= 120 * quota * 6 / 10, "{}", taken.len());
    }

    proptest! {
        #[test]
        fn waits_are_finite_and_enough(quota in 1_u32..5_000, steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..200)) {
            let mut bucket = Bucket::new(quota, s(0));
            let mut now = s(0);
            for (ms, refused) in steps {
                now += Duration::from_millis(ms);
                if refused {
                    bucket.refused(now);
                }
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(wait <= s(120), "{wait:?} at {}/s", bucket.rate());
                    now += wait;
                    prop_assert!(bucket.take(now).is_ok() || wait == Duration::from_millis(1));
                }
            }
        }
    }
}
