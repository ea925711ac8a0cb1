//! Rates over the last week: three rings of different fineness, asked for a chart.

use std::time::Duration;

use dth_proto::{time::Timestamp, view};
use serde::{Deserialize, Serialize};

use super::{Amounts, ring::Ring};

/// A record covers the time since the last one, if that is at most this long; longer, and nothing is known about the time between.
const SPREAD: Duration = Duration::from_secs(10);
/// Most points a query gives.
const MOST_POINTS: u32 = 500;
/// Slot length and count: 1 s for 15 minutes, 10 s for 6 hours, 1 minute for 7 days.
const RINGS: [(u64, usize); 3] = [(1_000, 900), (10_000, 2_160), (60_000, 10_080)];

/// What happened in one minute, to be stored and restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// Its begin.
    pub at: Timestamp,
    /// What happened in it.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// The history of a run or of the whole daemon. Grows with its age up to about 0.5 MiB.
#[derive(Clone, Debug)]
pub struct History {
    rings: [Ring; 3],
    last: Option<Timestamp>,
}

impl Default for History {
    fn default() -> Self {
        Self { rings: RINGS.map(|(slot_ms, count)| Ring::new(slot_ms, count)), last: None }
    }
}

impl History {
    /// Adds what happened since the last record; once a second is right, also when it is nothing: zero is known, no record is a gap.
    ///
    /// The growth is spread evenly over the time since the last record (up to 10 s). A time before the last record (the clock
    /// was set back) counts for its own slot; no sum is lost as long as the ring still reaches that far.
    pub fn record(&mut self, at: Timestamp, growth: Amounts) {
        let since = self.last.filter(|last| *last < at && at.since(*last) <= SPREAD);
        self.last = Some(at);
        for ring in &mut self.rings {
            let slot = at.0 / ring.slot_ms;
            // the slot of the last record already has its share
            let first = since.map_or(slot, |last| (last.0 / ring.slot_ms + 1).min(slot));
            let count = slot - first + 1;
            let share = growth.map(|n| n / count);
            let rest = growth.map(|n| n % count);
            for earlier in first..slot {
                ring.add(earlier, share);
            }
            ring.add(slot, share.plus(rest));
        }
    }

    /// Rates over the last `range_s` seconds before `now`, oldest first, in at most `points` (and 500) slots of equal length.
    ///
    /// The finest ring that reaches that far answers; a slot is a whole number of the ring's own slots, so there may be fewer
    /// points than asked for. The ring's slot that is still filling is left out. A point is the mean over the time that is known.
    #[must_use]
    pub fn query(&self, range_s: u32, points: u32, now: Timestamp) -> view::History {
        let range_ms = u64::from(range_s.max(1)) * 1_000;
        let ring = self.rings.iter().find(|ring| ring.reach_ms() >= range_ms).unwrap_or(&self.rings[RINGS.len() - 1]);
        let range_ms = range_ms.min(ring.reach_ms());
        let points = u64::from(points.clamp(1, MOST_POINTS));
        let per_point = range_ms.div_ceil(points).div_ceil(ring.slot_ms);
        let end = now.0 / ring.slot_ms;
        let count = range_ms.div_ceil(ring.slot_ms).div_ceil(per_point);
        let means = (0..count).rev().map(|back| {
            let to = end.saturating_sub(back * per_point);
            let known = (to.saturating_sub(per_point)..to).filter_map(|slot| ring.get(slot));
            let (sum, slots) = known.fold((Amounts::default(), 0u64), |(sum, n), amounts| (sum.plus(amounts), n + 1));
            (slots > 0).then(|| (sum, (slots * ring.slot_ms) as f64 / 1_000.0))
        });
        let mut history = view::History {
            until: Timestamp(end * ring.slot_ms),
            slot_s: (per_point * ring.slot_ms) as f64 / 1_000.0,
            bytes: Vec::new(),
            objects: Vec::new(),
            failed: Vec::new(),
        };
        for mean in means {
            history.bytes.push(mean.map(|(sum, s)| (sum.bytes as f64 / s).round() as u64));
            history.objects.push(mean.map(|(sum, s)| sum.objects as f64 / s));
            history.failed.push(mean.map(|(sum, s)| sum.failed as f64 / s));
        }
        history
    }

    /// The minutes that end after `since`, oldest first, to be stored; the last one may still be filling and is given again later.
    #[must_use]
    pub fn minutes(&self, since: Timestamp) -> Vec<Minute> {
        let ring = &self.rings[2];
        let from = since.0 / ring.slot_ms;
        ring.known()
            .filter(|(slot, _)| *slot >= from)
            .map(|(slot, amounts)| Minute { at: Timestamp(slot.saturating_mul(ring.slot_ms)), amounts })
            .collect()
    }

    /// A history that begins with stored minutes, in any order; of a week or less.
    #[must_use]
    pub fn restore(minutes: &[Minute]) -> Self {
        let mut history = Self::default();
        let ring = &mut history.rings[2];
        let mut ordered = minutes.to_vec();
        ordered.sort_by_key(|minute| minute.at);
        for minute in ordered {
            ring.add(minute.at.0 / ring.slot_ms, minute.amounts);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 1_796_083_200_000;

    fn copied(bytes: u64) -> Amounts {
        Amounts { bytes, objects: bytes / 100, failed: 0 }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp(DAY + second * 1_000)
    }

    #[test]
    fn a_steady_rate_is_steady_at_every_range() {
        let mut history = History::default();
        for s in 0..40_000 {
            history.record(at(s), copied(1_000));
        }
        for (range, points, slot_s, count) in [
            (60, 60, 1.0, 60),
            (900, 75, 12.0, 75),
            (3_600, 72, 50.0, 72),
            (3_600, 500, 10.0, 360),
            (36_000, 60, 600.0, 60),
            (61, 10, 7.0, 9),
        ] {
            let shown = history.query(range, points, at(40_000));
            assert_eq!((shown.slot_s, shown.bytes.len()), (slot_s, count), "{range} {points}");
            assert!(shown.bytes.iter().all(|b| *b == Some(1_000)), "{range} {points}: {:?}", shown.bytes);
            assert!(shown.objects.iter().all(|o| *o == Some(10.0)));
        }
    }

    #[test]
    fn what_is_not_known_is_a_gap_and_not_zero() {
        let mut history = History::default();
        history.record(at(0), copied(0));
        history.record(at(1), copied(500));
        history.record(at(30), copied(700));
        let shown = history.query(32, 32, at(31));
        assert_eq!(shown.until, at(31));
        assert_eq!(shown.bytes[0], None);
        assert_eq!(shown.bytes[1..3], [Some(0), Some(500)]);
        assert!(shown.bytes[3..31].iter().all(Option::is_none));
        assert_eq!(shown.bytes[31], Some(700));
        // a mean is over what is known, so a gap does not make it look slow
        assert_eq!(history.query(32, 1, at(31)).bytes, [Some(400)]);
        assert_eq!(History::default().query(60, 2, at(0)).bytes, [None, None]);
    }

    #[test]
    fn a_late_record_fills_the_seconds_before_it() {
        let mut history = History::default();
        history.record(at(10), copied(100));
        history.record(at(14), copied(402));
        assert_eq!(history.query(5, 5, at(15)).bytes, [Some(100), Some(100), Some(100), Some(100), Some(102)]);
    }

    #[test]
    fn stored_minutes_come_back() {
        let mut history = History::default();
        for s in 0..600 {
            history.record(at(s), copied(60));
        }
        let stored = history.minutes(Timestamp(0));
        assert_eq!(stored.len(), 10);
        assert_eq!(stored.iter().map(|m| m.amounts.bytes).sum::<u64>(), 36_000);
        assert_eq!(history.minutes(at(540)).len(), 1, "only what is new");
        let text = serde_json::to_string(&stored).expect("serialises");
        let mut restored = History::restore(&serde_json::from_str::<Vec<Minute>>(&text).expect("reads back"));
        assert_eq!(restored.minutes(Timestamp(0)), stored);
        restored.record(at(599), copied(60));
        assert_eq!(restored.query(86_400, 1, at(660)).bytes, [Some(60)]);
    }

    fn sum(ring: &Ring) -> Amounts {
        ring.known().fold(Amounts::default(), |sum, (_, amounts)| sum.plus(amounts))
    }

    proptest! {
        #[test]
        fn sums_are_preserved(steps in prop::collection::vec((-3_000..15_000i64, 0..1_000_000u64, 0..9u64), 1..55)) {
            let mut history = History::default();
            let (mut now, mut total) = (DAY, Amounts::default());
            for (ms, bytes, failed) in steps {
                now = now.saturating_add_signed(ms);
                let growth = Amounts { bytes, objects: bytes / 7, failed };
                history.record(Timestamp(now), growth);
                total = total.plus(growth);
            }
            for ring in &history.rings {
                prop_assert_eq!(sum(ring), total);
            }
        }

        #[test]
        fn no_clock_panics(times in prop::collection::vec(any::<u64>(), 0..20), range: u32, points: u32, now: u64) {
            let mut history = History::default();
            for ms in times {
                history.record(Timestamp(ms), copied(ms));
            }
            let shown = history.query(range, points, Timestamp(now));
            prop_assert!(shown.bytes.len() <= 500 && shown.slot_s > 0.0);
            prop_assert!(shown.bytes.len() == shown.objects.len() && shown.bytes.len() == shown.failed.len());
            prop_assert_eq!(History::restore(&history.minutes(Timestamp(0))).minutes(Timestamp(0)), history.minutes(Timestamp(0)));
        }
    }
}
