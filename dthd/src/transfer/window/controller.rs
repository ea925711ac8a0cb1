//! How many requests may be in flight: decided from the answers alone, without a clock or a task of its own.
//!
//! Answers are judged in rounds: about half of what is in flight, of requests that began after the last decision, so that a
//! decision is never judged by what was sent before it. A round ends in one of these:
//!
//! - **grow**, when all of the window was used and the median time to the first byte is flat. Without a known brim the window doubles
//!   (slow start); below the brim it closes a quarter of the distance, beyond it it feels its way (CUBIC's shape, RFC 9438).
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

/// Where every window begins.
pub(super) const START: usize = 16;
/// No window is ever smaller.
pub(super) const LEAST: usize = 4;
/// Answers with larger bodies say more about the link than about the store.
const SMALL: u64 = 256 * 1024;
/// A round has at least this many answers...
const FEWEST: usize = 8;
/// ... and this many before a share of refusals is believed.
const ENOUGH: usize = 48;
/// A smaller share of refusals is no reason for anything.
const NOISE: f64 = 0.01;
/// Of a store that refuses nearly everything nobody can tell whether less load would help; it would.
const HOPELESS: f64 = 0.9;
/// For so long ambient refusals count as none; then it is tried again whether less load helps.
const AMBIENT: Duration = Duration::from_secs(5);
/// After so many rounds outside the flat range the base is measured again...
const PATIENCE: u32 = 8;
/// ... but not more often than this: it costs two latencies.
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
/// What any median may vary by.
const SLACK: Duration = Duration::from_millis(1);

/// A share of refusals before and after cuts.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// The window before the first cut, and its brim.
    before: (usize, Option<usize>),
    share: f64,
    cuts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ambient {
    share: f64,
    until: Duration,
}

#[derive(Debug, Default)]
struct Round {
    since: Duration,
    /// Of good answers to requests of this round.
    latencies: Vec<Duration>,
    /// Answers to requests of this round.
    answers: usize,
    refused: usize,
    /// All answers since the flow was steady again after the last decision. A store refuses faster than it does its work: the share of
    /// refusals is right only among all that is answered meanwhile.
    steady: [usize; 2],
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
}

impl Controller {
    pub(super) fn new(most: usize) -> Self {
        let limit = START.min(most);
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
            round.steady[0] += 1;
            round.steady[1] += usize::from(refused);
        }
        if began < round.since {
            return None;
        }
        round.answers += 1;
        round.refused += usize::from(refused);
        round.full |= inside >= self.limit;
        if answer.verdict == Verdict::Good && answer.bytes <= SMALL {
            round.latencies.push(answer.latency);
        }
        let over = if round.refused > 0 {
            round.steady[0] >= ENOUGH.max(self.limit / 2) && now >= steady + self.median
        } else {
            round.answers >= FEWEST.max(self.limit / 2)
        };
        if !over {
            return None;
        }
        let before = self.limit;
        let dbg = (self.round.steady, self.round.refused, self.round.answers, now);
        self.decide(now);
        if std::env::var("DBG").is_ok() { eprintln!("{dbg:?} {before} -> {} {:?} {:?} {:?}", self.limit, self.trial, self.ambient, self.brim); }
        self.limit = self.limit.clamp(LEAST.min(self.most), self.most);
        // the buffer is used again
        self.round.latencies.clear();
        self.round = Round { since: now, latencies: std::mem::take(&mut self.round.latencies), ..Round::default() };
        (self.limit != before).then_some(self.limit)
    }

    fn decide(&mut self, now: Duration) {
        let [answers, refused] = self.round.steady;
        let share = if self.round.refused == 0 { 0.0 } else { refused as f64 / answers as f64 };
        let median = median(&mut self.round.latencies);
        self.median = median.unwrap_or(self.median);
        if share > NOISE && self.refused(share, now) {
            return;
        }
        if share <= NOISE {
            self.trial = None;
        }
        match median {
            Some(median) => self.measured(median, now),
            None if self.round.full && share < HOPELESS => self.creep(),
            None => {}
        }
    }

    /// Whether the refusals decide this round.
    fn refused(&mut self, share: f64, now: Duration) -> bool {
        if let Some(ambient) = self.ambient {
            if !is_more(ambient.share, share) && now < ambient.until {
                return false;
            }
            self.ambient = None;
        }
        if let Some(resume) = self.probing.take() {
            self.limit = resume;
        }
        match self.trial {
            Some(trial) if unmoved(trial.share, share) => {
                if trial.cuts >= 2 && share < HOPELESS {
                    (self.limit, self.brim) = trial.before;
                    self.trial = None;
                    self.ambient = Some(Ambient { share: share.max(trial.share), until: now + AMBIENT });
                    return true;
                }
                self.trial = Some(Trial { cuts: trial.cuts + 1, ..trial });
            }
            _ => self.trial = Some(Trial { before: (self.limit, self.brim), share, cuts: 1 }),
        }
        self.brim = Some(self.limit);
        self.step = 1;
        self.limit = self.limit * 7 / 10;
        self.flat = self.limit;
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
        if median <= base.mul_f64(1.75) + SLACK {
            self.uneven = 0;
            self.flat = self.limit;
            if self.round.full {
                self.grow();
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

    fn grow(&mut self) {
        let by = match self.brim {
            None => self.limit,
            Some(brim) if self.limit < brim => ((brim - self.limit) / 4).clamp(1, self.limit),
            Some(_) => {
                let by = self.step;
                self.step = (self.step * 2).min((self.limit / 8).max(1));
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

/// Whether less load left refusals as they were: neither fewer in number, nor - under a load far beyond what the store takes - more
/// accepted. More of them after a cut is no evidence: the trouble has only just begun.
fn unmoved(before: f64, after: f64) -> bool {
    let fewer = after < before * 0.75 || 1.0 - after > (1.0 - before) * 1.15;
    !fewer && !is_more(before, after)
}

fn is_more(before: f64, after: f64) -> bool {
    after > before * 1.25 + 0.05
}

/// The lower median; `None`: too few to say.
fn median(latencies: &mut [Duration]) -> Option<Duration> {
    if latencies.len() < FEWEST / 2 {
        return None;
    }
    let at = (latencies.len() - 1) / 2;
    Some(*latencies.select_nth_unstable(at).1)
}
