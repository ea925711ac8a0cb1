//! How fast a run is, when it will be done, and whether it has stalled: from counters sampled at irregular times.

use std::{collections::VecDeque, time::Duration};

use dth_proto::view::Live;

/// Half-life of the mean shown as "now".
const NOW_HALF_LIFE: Duration = Duration::from_secs(15);
/// Half-life of the mean behind the ETA: calm enough not to jump with every slow object.
const ETA_HALF_LIFE: Duration = Duration::from_secs(300);
/// Span of the slow mean shown beside "now".
const HOUR: Duration = Duration::from_secs(3600);
/// Distance of the marks kept for the hour mean.
const MARK: Duration = Duration::from_secs(60);
/// No byte and no finished item for this long is a stall.
const STALL: Duration = Duration::from_secs(60);
/// Shorter observation gives no ETA and no best rate.
const WARM_UP: Duration = Duration::from_secs(5);

/// What a run has done so far. Every field only ever grows within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that arrived at the destination, parts of unfinished objects included.
    pub bytes: u64,
    /// Items that are no longer pending, whatever their outcome.
    pub objects: u64,
    /// Anything else that shows life without being either: keys listed, requests answered.
    pub activity: u64,
}

/// What is left of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Bytes.
    pub bytes: u64,
    /// Items.
    pub objects: u64,
    /// The listing is complete, so both numbers are final.
    pub listing_done: bool,
}

/// The rates of one run. Times are spans since any fixed origin of a monotone clock.
#[derive(Clone, Debug)]
pub struct Rates {
    started: Duration,
    last: Duration,
    moved: Duration,
    seen: Progress,
    now: Means,
    eta: Means,
    best: f64,
    /// (time, bytes) about once a minute over the last hour, oldest first.
    marks: VecDeque<(Duration, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Means {
    bytes: Mean,
    objects: Mean,
}

/// An exponential mean that is unbiased from the first sample on: the weight of what was not observed is divided out.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, amount: u64, span: Duration, half_life: Duration) {
        let seconds = span.as_secs_f64();
        let keep = (-seconds / half_life.as_secs_f64()).exp2();
        self.sum = self.sum * keep + amount as f64 / seconds * (1.0 - keep);
        self.weight = self.weight * keep + (1.0 - keep);
    }

    fn value(self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

impl Rates {
    /// Begins to observe at `at`, when `progress` was already done: at the start of a run, after a resume, after a restart.
    #[must_use]
    pub fn new(at: Duration, progress: Progress) -> Self {
        Self {
            started: at,
            last: at,
            moved: at,
            seen: progress,
            now: Means::default(),
            eta: Means::default(),
            best: 0.0,
            marks: VecDeque::from([(at, progress.bytes)]),
        }
    }

    /// Takes a sample; once a second is right. One that is not later than the last only counts as movement.
    pub fn sample(&mut self, at: Duration, progress: Progress) {
        if progress.bytes > self.seen.bytes || progress.objects > self.seen.objects || progress.activity > self.seen.activity {
            self.moved = self.moved.max(at);
        }
        let Some(span) = at.checked_sub(self.last).filter(|span| !span.is_zero()) else { return };
        // a counter that went back is the caller's mistake; it must not become a rate
        let bytes = progress.bytes.saturating_sub(self.seen.bytes);
        let objects = progress.objects.saturating_sub(self.seen.objects);
        for (means, half_life) in [(&mut self.now, NOW_HALF_LIFE), (&mut self.eta, ETA_HALF_LIFE)] {
            means.bytes.add(bytes, span, half_life);
            means.objects.add(objects, span, half_life);
        }
        self.last = at;
        self.seen = progress;
        if self.observed() >= WARM_UP {
            self.best = self.best.max(self.now.bytes.value());
        }
        if self.marks.back().is_none_or(|(marked, _)| at.saturating_sub(*marked) >= MARK) {
            self.marks.push_back((at, progress.bytes));
        }
        while self.marks.get(1).is_some_and(|(marked, _)| at.saturating_sub(*marked) >= HOUR) {
            self.marks.pop_front();
        }
    }

    fn observed(&self) -> Duration {
        self.last.saturating_sub(self.started)
    }

    /// Bytes per second now: exponential mean, half-life 15 s.
    #[must_use]
    pub fn bytes_per_s(&self) -> u64 {
        self.now.bytes.value().round() as u64
    }

    /// Items per second now, likewise; to a hundredth.
    #[must_use]
    pub fn objects_per_s(&self) -> f64 {
        (self.now.objects.value() * 100.0).round() / 100.0
    }

    /// Bytes per second, plain mean of the last hour, or since the start if that is shorter.
    #[must_use]
    pub fn hour_bytes_per_s(&self) -> u64 {
        let Some(&(since, bytes)) = self.marks.front() else { return 0 };
        let span = self.last.saturating_sub(since).as_secs_f64();
        if span > 0.0 { (self.seen.bytes.saturating_sub(bytes) as f64 / span).round() as u64 } else { 0 }
    }

    /// The highest value [`Rates::bytes_per_s`] had after the first seconds.
    #[must_use]
    pub fn best_bytes_per_s(&self) -> u64 {
        self.best.round() as u64
    }

    /// Seconds since the last byte, finished item or other sign of life, once it is 60 or more.
    #[must_use]
    pub fn stalled_s(&self, at: Duration) -> Option<u64> {
        let quiet = at.saturating_sub(self.moved);
        (quiet >= STALL).then_some(quiet.as_secs())
    }

    /// Seconds left, by the slow mean; `None` while listing, stalled, or as long as nothing can be said.
    #[must_use]
    pub fn eta_s(&self, at: Duration, left: Remaining) -> Option<u64> {
        if !left.listing_done || self.stalled_s(at).is_some() {
            return None;
        }
        // bytes tell the time, unless only empty objects are left
        let (amount, rate) = match (left.bytes, left.objects) {
            (0, 0) => return Some(0),
            (0, objects) => (objects, self.eta.objects.value()),
            (bytes, _) => (bytes, self.eta.bytes.value()),
        };
        let seconds = amount as f64 / rate;
        (self.observed() >= WARM_UP && seconds.is_finite()).then(|| seconds.round() as u64)
    }

    /// All of it, as screens show it.
    #[must_use]
    pub fn live(&self, at: Duration, left: Remaining) -> Live {
        Live {
            rate: self.bytes_per_s(),
            rate_hour: self.hour_bytes_per_s(),
            objects_per_s: self.objects_per_s(),
            eta_s: self.eta_s(at, left),
            stalled_s: self.stalled_s(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1_000_000;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at_bytes(bytes: u64) -> Progress {
        Progress { bytes, objects: bytes / MB, activity: 0 }
    }

    /// `seconds` at `rate` from second `from` on.
    fn run(rates: &mut Rates, from: u64, seconds: u64, rate: u64) {
        let start = rates.seen.bytes;
        for i in 1..=seconds {
            rates.sample(s(from + i), at_bytes(start + i * rate));
        }
    }

    #[test]
    fn a_steady_rate_is_shown_from_the_first_second() {
        let mut rates = Rates::new(s(100), at_bytes(500 * MB));
        run(&mut rates, 100, 1, 10 * MB);
        assert_eq!((rates.bytes_per_s(), rates.objects_per_s()), (10 * MB, 10.0));
        run(&mut rates, 101, 7199, 10 * MB);
        assert_eq!((rates.bytes_per_s(), rates.hour_bytes_per_s(), rates.best_bytes_per_s()), (10 * MB, 10 * MB, 10 * MB));
    }

    #[test]
    fn half_of_a_change_is_seen_after_the_half_life() {
        let mut rates = Rates::new(s(0), at_bytes(0));
        run(&mut rates, 0, 600, 10 * MB);
        run(&mut rates, 600, 15, 20 * MB);
        let now = rates.bytes_per_s();
        assert!((14_900_000..=15_100_000).contains(&now), "{now}");
    }

    #[test]
    fn the_hour_mean_forgets_what_is_older() {
        let mut rates = Rates::new(s(0), at_bytes(0));
        run(&mut rates, 0, 3600, 100 * MB);
        run(&mut rates, 3600, 3660, 10 * MB);
        let hour = rates.hour_bytes_per_s();
        assert!((10 * MB..=12 * MB).contains(&hour), "{hour}");
        assert!(rates.marks.len() <= 62);
    }

    #[test]
    fn the_eta_is_told_only_when_it_is_known() {
        let left = Remaining { bytes: 3_600 * MB, objects: 10, listing_done: true };
        let mut rates = Rates::new(s(0), at_bytes(0));
        assert_eq!(rates.eta_s(s(0), left), None, "nothing was observed");
        run(&mut rates, 0, 2, MB);
        assert_eq!(rates.eta_s(s(2), left), None, "too little was observed");
        run(&mut rates, 2, 58, MB);
        assert_eq!(rates.eta_s(s(60), left), Some(3_600));
        assert_eq!(rates.eta_s(s(60), Remaining { listing_done: false, ..left }), None, "the total is a floor");
        assert_eq!(rates.eta_s(s(60), Remaining { bytes: 0, objects: 0, ..left }), Some(0));
        assert_eq!(rates.eta_s(s(60), Remaining { bytes: 0, objects: 30, ..left }), Some(30), "only empty objects are left");
        assert_eq!(rates.eta_s(s(119), left), Some(3_600));
        assert_eq!((rates.stalled_s(s(119)), rates.stalled_s(s(120))), (None, Some(60)));
        assert_eq!(rates.eta_s(s(120), left), None, "stalled");
    }

    #[test]
    fn only_listing_is_not_a_stall_and_has_no_rate() {
        let mut rates = Rates::new(s(0), Progress::default());
        for i in 1..=300 {
            rates.sample(s(i), Progress { activity: i * 1000, ..Progress::default() });
        }
        assert_eq!(rates.live(s(300), Remaining { bytes: 5, objects: 1, listing_done: true }), Live::default());
        assert_eq!(rates.stalled_s(s(365)), Some(65));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_changes_nothing() {
        let mut rates = Rates::new(s(10), at_bytes(0));
        run(&mut rates, 10, 20, MB);
        let before = rates.bytes_per_s();
        rates.sample(s(30), at_bytes(25 * MB));
        rates.sample(s(3), at_bytes(26 * MB));
        assert_eq!(rates.bytes_per_s(), before);
        // the bytes are not lost: they count with the next good sample
        rates.sample(s(31), at_bytes(27 * MB));
        assert!(rates.bytes_per_s() > before);
    }

    proptest! {
        #[test]
        fn rates_stay_between_the_slowest_and_the_fastest_span(steps in prop::collection::vec((1..5_000u64, 0..1_000_000_000u64), 1..200)) {
            let mut rates = Rates::new(s(0), Progress::default());
            let (mut at, mut bytes) = (0, 0);
            let (mut slowest, mut fastest) = (f64::MAX, 0f64);
            for (ms, amount) in steps {
                at += ms;
                bytes += amount;
                let rate = amount as f64 * 1000.0 / ms as f64;
                (slowest, fastest) = (slowest.min(rate), fastest.max(rate));
                rates.sample(Duration::from_millis(at), Progress { bytes, objects: 0, activity: 0 });
            }
            for mean in [rates.now.bytes.value(), rates.eta.bytes.value(), rates.hour_bytes_per_s() as f64] {
                prop_assert!(mean >= slowest * 0.999_999 - 1.0 && mean <= fastest * 1.000_001 + 1.0, "{slowest} {mean} {fastest}");
            }
        }

        #[test]
        fn nothing_panics(samples in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..20), left: u64, objects: u64, at: u64) {
            let mut rates = Rates::new(Duration::from_millis(at), Progress::default());
            for (ms, bytes, objects, activity) in samples {
                rates.sample(Duration::from_millis(ms), Progress { bytes, objects, activity });
            }
            let live = rates.live(Duration::from_millis(at), Remaining { bytes: left, objects, listing_done: true });
            prop_assert!(live.objects_per_s.is_finite());
        }
    }
}
