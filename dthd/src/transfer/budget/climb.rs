//! How much of the memory is worth using: from the bytes that were given back alone, without a clock of its own.
//!
//! More in flight helps only where the way is long: there goodput grows with it. So the soft limit begins small and climbs by steps,
//! as long as somebody waits for bytes and each step is paid back by goodput; a step that is not is taken back, and the next attempt
//! waits twice as long. On a short way it stays where it began; what is not used is given up again.

use std::time::Duration;

/// Where the soft limit begins, in bytes.
pub(super) const START: u64 = 32 << 20;
/// A first step multiplies the limit by this...
const STEP: f64 = 1.5;
/// ... one after a step that paid by this...
const STRIDE: f64 = 2.0;
/// ... and goodput has to gain this share of what the limit gained: where the way is long it gains nearly all.
const SHARE: f64 = 0.5;
/// Goodput that still rises by more than this from one measurement to the next would make any step look as if it paid.
const STEADY: f64 = 1.08;
/// Goodput is measured over at least this...
const SPAN: Duration = Duration::from_millis(500);
/// ... and so many bodies: fewer would show how large they are, not how fast.
const BODIES: u32 = 32;
/// How long the first attempt after one that failed waits...
const WAIT: Duration = Duration::from_secs(10);
/// ... and the last.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// For so long nobody may have waited before the limit is lowered by a step.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum State {
    /// Goodput at the limit is being measured; what it was before, if that is known.
    Measuring { before: Option<f64> },
    /// The limit has been raised; what is given back now was taken before.
    Settling(Step),
    /// Goodput at the higher limit is being measured.
    Trying(Step),
    /// The last step did not pay.
    Resting { until: Duration },
}

/// From where the limit was raised, and what goodput must be for it to stay there.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: u64,
    paid: f64,
}

/// See the module. Times are spans since any fixed point.
#[derive(Debug)]
pub(super) struct Climb {
    limit: u64,
    most: u64,
    state: State,
    rest: Duration,
    since: Duration,
    bytes: u64,
    bodies: u32,
    /// How often somebody waited when bytes were given back.
    wanted: u32,
    last_wanted: Duration,
}

impl Climb {
    pub(super) fn new(most: u64) -> Self {
        Self {
            limit: START.min(most),
            most,
            state: State::Measuring { before: None },
            rest: WAIT,
            since: Duration::ZERO,
            bytes: 0,
            bodies: 0,
            wanted: 0,
            last_wanted: Duration::ZERO,
        }
    }

    /// `bytes` were given back at `now`; `wanted`: somebody waits for them. Gives the limit when it has changed.
    pub(super) fn given_back(&mut self, now: Duration, bytes: u64, wanted: bool) -> Option<u64> {
        self.bytes += bytes;
        self.bodies += 1;
        self.wanted += u32::from(wanted);
        if wanted {
            self.last_wanted = now;
        }
        let span = now.saturating_sub(self.since);
        if span < SPAN || self.bodies < BODIES {
            return None;
        }
        let goodput = self.bytes as f64 / span.as_secs_f64();
        // a limit that nobody runs into says nothing about goodput
        let pressed = self.wanted * 2 > self.bodies;
        (self.since, self.bytes, self.bodies, self.wanted) = (now, 0, 0, 0);
        let before = self.limit;
        self.decide(now, goodput, pressed);
        (self.limit != before).then_some(self.limit)
    }

    fn decide(&mut self, now: Duration, goodput: f64, pressed: bool) {
        self.state = match self.state {
            State::Measuring { before: Some(before) } if pressed && goodput <= before * STEADY => self.step(STEP, goodput),
            State::Settling(step) => State::Trying(step),
            State::Trying(step) if goodput < step.paid => {
                self.limit = step.from;
                let until = now + self.rest;
                self.rest = (self.rest * 2).min(LONGEST_WAIT);
                State::Resting { until }
            }
            State::Trying(_) => {
                self.rest = WAIT;
                if pressed { self.step(STRIDE, goodput) } else { State::Measuring { before: Some(goodput) } }
            }
            State::Resting { until } if now < until => State::Resting { until },
            State::Measuring { .. } | State::Resting { .. } => State::Measuring { before: Some(goodput) },
        };
        if now.saturating_sub(self.last_wanted) >= IDLE && self.limit > START.min(self.most) {
            self.limit = ((self.limit as f64 / STEP) as u64).max(START.min(self.most));
            self.last_wanted = now;
            self.state = State::Measuring { before: None };
        }
    }

    /// From a limit at which goodput is this.
    fn step(&mut self, factor: f64, goodput: f64) -> State {
        let from = self.limit;
        if from >= self.most {
            return State::Measuring { before: Some(goodput) };
        }
        self.limit = ((from as f64 * factor) as u64).min(self.most);
        let gained = self.limit as f64 / from as f64 - 1.0;
        State::Settling(Step { from, paid: goodput * (1.0 + gained * SHARE) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const MOST: u64 = 512 * MIB;

    /// Parts of 8 MiB on a way with a latency and a rate: what is in flight takes the latency or its share of the rate, whichever is
    /// longer. Gives the limit after `seconds`.
    fn travel(climb: &mut Climb, begin: f64, seconds: f64, latency: f64, rate: f64, wanted: bool) -> u64 {
        let mut now = begin;
        let mut limit = climb.limit;
        while now < begin + seconds {
            let flying = limit.min(MOST) / (8 * MIB);
            let each = (latency / flying as f64).max(8.0 * MIB as f64 / rate);
            now += each;
            limit = climb.given_back(Duration::from_secs_f64(now), 8 * MIB, wanted).unwrap_or(limit);
        }
        limit
    }

    #[test]
    fn on_a_short_way_it_stays_small() {
        let mut climb = Climb::new(MOST);
        let mut now = 0.0;
        for _ in 0..600 {
            let limit = travel(&mut climb, now, 0.1, 0.002, 1.5e9, true);
            now += 0.1;
            assert!(limit <= START * 3 / 2, "{} MiB after {now} s", limit / MIB);
        }
        assert_eq!(climb.limit, START, "a step that does not pay is taken back");
    }

    #[test]
    fn on_a_long_way_it_climbs_as_far_as_it_pays() {
        // 150 ms at 2 GB/s: 300 MB fill it
        let mut climb = Climb::new(MOST);
        let limit = travel(&mut climb, 0.0, 30.0, 0.15, 2e9, true);
        assert!((230 * MIB..=432 * MIB).contains(&limit), "{} MiB", limit / MIB);
        let mut climb = Climb::new(MOST);
        assert_eq!(travel(&mut climb, 0.0, 60.0, 1.0, 1e12, true), MOST, "no more than the memory");
        let mut climb = Climb::new(16 * MIB);
        assert_eq!((climb.limit, travel(&mut climb, 0.0, 30.0, 1.0, 1e12, true)), (16 * MIB, 16 * MIB));
    }

    #[test]
    fn a_beginning_that_gets_faster_by_itself_is_no_reason() {
        let mut climb = Climb::new(MOST);
        let mut now = 0.0;
        for step in 1..=20 {
            travel(&mut climb, now, 0.5, 0.002, 1e8 * 1.2_f64.powi(step), true);
            now += 0.5;
            assert_eq!(climb.limit, START, "after {now} s");
        }
    }

    #[test]
    fn what_nobody_waits_for_is_given_up() {
        let mut climb = Climb::new(MOST);
        assert!(travel(&mut climb, 0.0, 30.0, 0.15, 2e9, true) > START);
        assert_eq!(travel(&mut climb, 30.0, 300.0, 0.15, 2e9, false), START);
        let mut never = Climb::new(MOST);
        assert_eq!(travel(&mut never, 0.0, 60.0, 1.0, 1e12, false), START, "nobody runs into it");
    }
}
