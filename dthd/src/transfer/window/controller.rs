//! How many requests may be in flight: decided from the answers alone, without a clock or a task of its own.
//!
//! Answers are judged in rounds: about half of what is in flight, of requests that began after the last decision, so that a
//! decision is never judged by what was sent before it. A round ends in one of these:
//!
//! - **grow**, when all of the window was used and the median time to the first byte is flat. Without a known brim the window doubles
//!   (slow start; a wide one grows by a quarter); below the brim it closes a quarter of the distance, beyond it it feels its way (CUBIC's shape, RFC 9438).
//! - **hold**, when the median has left the flat range; the step that led there is taken back.
//! - **shrink** by a tenth, when the median shows a queue.
//! - **cut** to 0.7 (CUBIC's factor), when the store asks for less load, or does not answer. Two cuts after which the share of
//!   refusals is what it was show that the load is not the reason: the refusals are *ambient*. The cuts are taken back, and for some
//!   seconds that share counts as none.
//!
//! What the median is compared with is the best one seen. When it has been above that for long, the way itself may have become
//! longer: the window is made small for a round, and what is measured then is the new base.

use std::time::Duration;

use super::{Answer, Verdict};

/// Where windows begin, unless an eighth of the largest is less.
const START: usize = 16;
/// No window is ever smaller.
pub(super) const LEAST: usize = 4;
/// Answers with larger bodies say more about the link than about the store.
const SMALL: u64 = 256 * 1024;
/// A round has at least this many answers...
const FEWEST: usize = 8;
/// ... and this many before a share of refusals is believed.
const ENOUGH: usize = 96;
/// A smaller share of refusals is no reason for anything.
const NOISE: f64 = 0.01;
/// Of a store that refuses nearly everything nobody can tell whether less load would help; it would.
const HOPELESS: f64 = 0.9;
/// For so long ambient refusals count as none; then it is tried again whether less load helps. Twice as long each time it did not...
const AMBIENT: Duration = Duration::from_secs(5);
/// ... but not longer than this.
const LONGEST_AMBIENT: Duration = Duration::from_secs(40);
/// After so many rounds outside the flat range the base is measured again...
const PATIENCE: u32 = 8;
/// ... but not more often than this: it costs two latencies.
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
/// For so long after a cut the window stays a little below the brim.
const PLATEAU: Duration = Duration::from_secs(1);
/// A window this wide grows by a quarter where smaller ones double: what it takes too much costs connections.
const WIDE: usize = 256;
/// What any median may vary by.
const SLACK: Duration = Duration::from_millis(1);

/// So many of so many were refused.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    refused: usize,
    of: usize,
}

impl Share {
    fn value(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.refused as f64 / self.of as f64 }
    }

    /// What two measurements of the same share may differ by: two standard deviations.
    fn tolerance(self, other: Self) -> f64 {
        let (of, mean) = ((self.of + other.of) as f64, (self.refused + other.refused) as f64 / (self.of + other.of).max(1) as f64);
        2.0 * (mean * (1.0 - mean) * of / (self.of.max(1) as f64 * other.of.max(1) as f64)).sqrt()
    }

    fn is_more_than(self, before: Self) -> bool {
        self.value() > before.value() * 1.25 + self.tolerance(before)
    }

    /// Whether it stayed as it was when the load became less: neither fewer were refused nor - under a load far beyond what the store
    /// takes - more accepted. More refusals after a cut are no evidence either: the trouble had only just begun.
    fn is_unmoved_since(self, before: Self) -> bool {
        let (old, new) = (before.value(), self.value());
        let less = old - new > self.tolerance(before) && (new < old * 0.75 || 1.0 - new > (1.0 - old) * 1.15);
        !less && !self.is_more_than(before)
    }
}

/// What was before a cut.
#[derive(Clone, Copy, Debug)]
struct Trial {
    limit: usize,
    share: Share,
    cuts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ambient {
    share: Share,
    until: Duration,
}

#[derive(Debug, Default)]
struct Round {
    since: Duration,
    /// Of good answers to requests of this round.
    latencies: Vec<Duration>,
    /// Answers to requests of this round.
    answers: usize,
    /// Refusals, also of requests that began before: only those from before a cut are of the past.
    refused: usize,
    /// All answers since the flow was steady again after the last decision. A store refuses faster than it does its work: the share of
    /// refusals is right only among all that is answered meanwhile.
    steady: Share,
    /// All of the window was used.
    full: bool,
}

/// See the module. Times are spans since any fixed point.
#[derive(Debug)]
pub(super) struct Controller {
    limit: usize,
    most: usize,
    /// Where growing was too much the last time.
    brim: Option<usize>,
    /// By how much the window grows beyond the brim.
    step: usize,
    /// The window at which the median was flat the last time.
    flat: usize,
    base: Option<Duration>,
    /// The last one measured.
    median: Duration,
    round: Round,
    /// Rounds outside the flat range, in a row.
    uneven: u32,
    /// The window to go back to when the base has been measured.
    probing: Option<usize>,
    probed: Option<Duration>,
    trial: Option<Trial>,
    ambient: Option<Ambient>,
    /// For how long the next ambient refusals will count as none.
    ambient_for: Duration,
    /// When the window was cut the last time.
    cut: Duration,
    plateau: Option<Duration>,
}

impl Controller {
    pub(super) fn new(most: usize) -> Self {
        // where little can be gained, little is begun with: pages of listings are the largest answers there are
        let limit = (most / 8).clamp(LEAST.min(most), START.min(most));
        Self {
            limit,
            most,
            brim: None,
            step: 1,
            flat: limit,
            base: None,
            median: Duration::ZERO,
            round: Round::default(),
            uneven: 0,
            probing: None,
            probed: None,
            trial: None,
            ambient: None,
            ambient_for: AMBIENT,
            cut: Duration::ZERO,
            plateau: None,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A request that began at `began` was answered at `now`, when so many were `inside`, itself included. Gives the limit when it
    /// has changed.
    pub(super) fn answered(&mut self, began: Duration, now: Duration, inside: usize, answer: &Answer) -> Option<usize> {
        let round = &mut self.round;
        let refused = matches!(answer.verdict, Verdict::Throttled | Verdict::TimedOut);
        let steady = round.since + self.median;
        if now >= steady {
            round.steady.of += 1;
            round.steady.refused += usize::from(refused);
        }
        round.refused += usize::from(refused && began >= self.cut);
        if began < round.since {
            return None;
        }
        round.answers += 1;
        round.full |= inside >= self.limit;
        if answer.verdict == Verdict::Good && answer.bytes <= SMALL {
            round.latencies.push(answer.latency);
        }
        let over = if round.refused > 0 {
            round.steady.of >= ENOUGH.max(self.limit / 2) && now >= steady + self.median
        } else {
            round.answers >= FEWEST.max(self.limit / 2)
        };
        if !over {
            return None;
        }
        let before = self.limit;
        self.decide(now);
        self.limit = self.limit.clamp(LEAST.min(self.most), self.most);
        // the buffer is used again
        self.round.latencies.clear();
        self.round = Round { since: now, latencies: std::mem::take(&mut self.round.latencies), ..Round::default() };
        (self.limit != before).then_some(self.limit)
    }

    fn decide(&mut self, now: Duration) {
        let share = if self.round.refused == 0 { Share::default() } else { self.round.steady };
        let median = median(&mut self.round.latencies);
        self.median = median.unwrap_or(self.median);
        if share.value() > NOISE && self.refused(share, now) {
            return;
        }
        if share.value() <= NOISE {
            self.trial = None;
            self.ambient_for = AMBIENT;
        }
        match median {
            Some(median) => self.measured(median, now),
            None if self.round.full && share.value() < HOPELESS => self.creep(),
            None => {}
        }
    }

    /// Whether the refusals decide this round.
    fn refused(&mut self, share: Share, now: Duration) -> bool {
        if let Some(ambient) = self.ambient {
            if !share.is_more_than(ambient.share) && now < ambient.until {
                return false;
            }
            self.ambient = None;
        }
        if let Some(resume) = self.probing.take() {
            self.limit = resume;
        }
        match self.trial {
            Some(trial) if share.is_unmoved_since(trial.share) => {
                if trial.cuts >= 2 && share.value() < HOPELESS {
                    // the brim was none: nothing is known about where there is one
                    (self.limit, self.brim) = (trial.limit, None);
                    self.flat = self.limit;
                    self.trial = None;
                    self.ambient = Some(Ambient { share: trial.share, until: now + self.ambient_for });
                    self.ambient_for = (self.ambient_for * 2).min(LONGEST_AMBIENT);
                    self.cut = now;
                    self.plateau = None;
                    return true;
                }
                self.trial = Some(Trial { cuts: trial.cuts + 1, ..trial });
            }
            _ => self.trial = Some(Trial { limit: self.limit, share, cuts: 1 }),
        }
        self.brim = Some(self.limit);
        self.step = 1;
        self.limit = self.limit * 7 / 10;
        self.flat = self.limit;
        self.cut = now;
        self.plateau = Some(now + PLATEAU);
        true
    }

    fn measured(&mut self, median: Duration, now: Duration) {
        if let Some(resume) = self.probing.take() {
            let longer = self.base.is_some_and(|base| median > base.mul_f64(1.5) + SLACK);
            if longer {
                self.brim = None;
            }
            self.base = Some(median);
            self.limit = resume;
            self.flat = resume;
            self.uneven = 0;
            return;
        }
        let base = self.base.map_or(median, |base| base.min(median));
        self.base = Some(base);
        if median <= base.mul_f64(self.tolerance()) + SLACK {
            self.uneven = 0;
            self.flat = self.limit;
            if self.round.full {
                self.grow(now);
            }
            return;
        }
        self.uneven += 1;
        self.step = 1;
        if self.uneven == 1 && self.limit > self.flat {
            self.limit = self.flat;
            self.brim = Some(self.limit);
        } else if median > base * 3 + SLACK {
            self.limit = self.limit * 9 / 10;
            self.brim = Some(self.limit);
        }
        let due = self.probed.is_none_or(|at| now.saturating_sub(at) >= BETWEEN_PROBES);
        if self.uneven >= PATIENCE && due {
            self.probing = Some(self.limit);
            self.probed = Some(now);
            self.limit = self.limit.min(START);
        }
    }

    /// How far the median may rise and still count as flat. A wide window that is only a little too wide costs hundreds of connections.
    fn tolerance(&self) -> f64 {
        if self.limit < WIDE { 1.5 } else { 1.25 }
    }

    fn grow(&mut self, now: Duration) {
        let plateau = self.plateau.filter(|until| now < *until).is_some();
        let by = match self.brim {
            None if self.limit < WIDE => self.limit,
            None => self.limit / 4,
            Some(brim) if plateau && self.limit >= brim * 7 / 8 => 0,
            Some(brim) if self.limit < brim => ((brim - self.limit) / 4).clamp(1, self.limit),
            Some(_) => {
                let by = self.step;
                self.step = (self.step * 2).min((self.limit / 16).max(1));
                by
            }
        };
        self.limit += by;
    }

    /// Grows without knowing the latency: large bodies only.
    fn creep(&mut self) {
        self.limit += (self.limit / 8).max(1);
    }
}

/// The lower median; `None`: too few to say.
fn median(latencies: &mut [Duration]) -> Option<Duration> {
    if latencies.len() < FEWEST / 2 {
        return None;
    }
    let at = (latencies.len() - 1) / 2;
    Some(*latencies.select_nth_unstable(at).1)
}
