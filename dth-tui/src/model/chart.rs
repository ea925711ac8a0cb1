//! Which rates over time are wanted, which are there, and when to ask again.

use dth_proto::{id::TaskName, time::Timestamp, view::History};

/// Ranges that `+` and `-` walk through, in seconds.
pub const RANGES_S: [u32; 6] = [120, 300, 900, 3_600, 21_600, 86_400];

/// Rates over time.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// The range the user chose; `None`: what fits the runs that are going.
    pub chosen_s: Option<u32>,
    /// What is there: of which task (`None`: all), over how many seconds.
    pub have: Option<(Option<TaskName>, u32, History)>,
    /// When it was asked for last, and what.
    pub asked: Option<(Timestamp, Option<TaskName>, u32)>,
}

impl Chart {
    /// The range to show when the oldest run that is going began `age_s` ago: the shortest that holds it, at most an hour.
    #[must_use]
    pub fn range_s(&self, age_s: u64) -> u32 {
        self.chosen_s.unwrap_or_else(|| RANGES_S[..4].iter().copied().find(|r| u64::from(*r) >= age_s).unwrap_or(3_600))
    }

    /// Whether to ask for `task` over `range_s` now: something else is wanted than was asked for, or a slot of the chart has
    /// passed. The last makes a chart of an hour cost one answer in 50 s.
    #[must_use]
    pub fn is_due(&self, task: Option<&TaskName>, range_s: u32, points: u32, now: Timestamp) -> bool {
        let Some((at, asked_task, asked_range)) = &self.asked else {
            return true;
        };
        let slot_ms = u64::from(range_s) * 1000 / u64::from(points.max(1));
        asked_task.as_ref() != task || *asked_range != range_s || now.0.saturating_sub(at.0) >= slot_ms.max(1000)
    }

    /// The next longer (`true`) or shorter range.
    pub fn step(&mut self, longer: bool, current_s: u32) {
        let at = RANGES_S.iter().position(|r| *r >= current_s).unwrap_or(RANGES_S.len() - 1);
        let next = if longer { (at + 1).min(RANGES_S.len() - 1) } else { at.saturating_sub(1) };
        self.chosen_s = Some(RANGES_S[next]);
    }

    /// The rates of `task`, if those are the ones that are there.
    #[must_use]
    pub fn of(&self, task: Option<&TaskName>) -> Option<(&History, u32)> {
        self.have.as_ref().filter(|(t, ..)| t.as_ref() == task).map(|(_, range, history)| (history, *range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_grows_with_the_run_and_stays_where_the_user_put_it() {
        let mut chart = Chart::default();
        assert_eq!([0, 121, 1_000, 999_999].map(|age| chart.range_s(age)), [120, 300, 3_600, 3_600]);
        chart.step(true, 3_600);
        assert_eq!(chart.range_s(0), 21_600);
        (0..9).for_each(|_| chart.step(false, chart.range_s(0)));
        assert_eq!(chart.range_s(999_999), 120);
    }

    #[test]
    fn it_is_asked_for_once_per_slot() {
        let mut chart = Chart::default();
        assert!(chart.is_due(None, 3_600, 72, Timestamp(0)));
        chart.asked = Some((Timestamp(0), None, 3_600));
        assert!(!chart.is_due(None, 3_600, 72, Timestamp(49_999)));
        assert!(chart.is_due(None, 3_600, 72, Timestamp(50_000)));
        assert!(chart.is_due(None, 900, 72, Timestamp(1)));
        let name = TaskName::new("a").expect("name");
        assert!(chart.is_due(Some(&name), 3_600, 72, Timestamp(1)));
    }
}
