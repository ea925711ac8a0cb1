//! When a trigger asks for the next run: pure arithmetic on timestamps, without a clock of its own.
//!
//! # Missed times
//!
//! However many times were missed while the daemon was down or a run was going, they make one run: [`Schedule::due`] only asks
//! whether at least one lies between the last start and now.

mod cron;
mod field;

use std::time::Duration;

use dth_proto::{spec::Trigger, time::Timestamp, units};

use self::cron::Cron;

/// Why a trigger cannot be used: the field, what is wrong with it, and one that is right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ScheduleError {
    /// Dotted path in the task file (`trigger.cron`).
    pub field: &'static str,
    /// What is wrong, and an example that is right.
    pub message: String,
}

/// A trigger that was checked and can be evaluated.
#[derive(Clone, Debug)]
pub struct Schedule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    At(Timestamp),
    Every(Duration),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Checks and compiles a trigger.
    ///
    /// # Errors
    /// [`ScheduleError`]: a cron expression that does not parse or that no date can match, an unknown time zone, an empty span.
    pub fn new(trigger: &Trigger) -> Result<Self, ScheduleError> {
        Ok(Self(match trigger {
            Trigger::At { at } => Kind::At(*at),
            Trigger::Every { every } if every.0.as_millis() == 0 => {
                return Err(ScheduleError {
                    field: "trigger.every",
                    message: "is zero: write it like \"15m\", \"1h\" or \"7d\"".to_owned(),
                });
            }
            Trigger::Every { every } => Kind::Every(every.0),
            Trigger::Events { events } => Kind::Every(events.reconcile.0),
            Trigger::Cron { cron, timezone } => Kind::Cron(Box::new(Cron::new(cron, timezone.as_deref())?)),
        }))
    }

    /// When the trigger asks for the next run, seen from `after`; `None`: never again.
    ///
    /// `last_start` is when the task's last run began, whoever started it. `set` is when the trigger was set: when the task was
    /// created, or last edited.
    ///
    /// - at: its time, until a run has begun at or after it.
    /// - every: the last start plus the span; without a run yet, `set`, which means at once.
    /// - cron: the first match later than `after`.
    ///
    /// For at and every the result lies at or before `after` when the run is overdue; then [`Schedule::due`] says so, too.
    #[must_use]
    pub fn next(&self, after: Timestamp, last_start: Option<Timestamp>, set: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::At(at) => last_start.is_none_or(|start| start < *at).then_some(*at),
            // a start "later than now" comes from a clock that was wrong; waiting for it could take years
            Kind::Every(span) => Some(last_start.map_or(set, |start| start.min(after).plus(*span))),
            Kind::Cron(cron) => cron.next(after),
        }
    }

    /// The time at which a run should have begun that has not, if there is one: start it now. Arguments as for [`Schedule::next`].
    ///
    /// Of several missed times it is the first, and after a start none of them is due any more.
    #[must_use]
    pub fn due(&self, now: Timestamp, last_start: Option<Timestamp>, set: Timestamp) -> Option<Timestamp> {
        let tick = match &self.0 {
            Kind::At(_) | Kind::Every(_) => self.next(now, last_start, set)?,
            Kind::Cron(cron) => cron.next(last_start.map_or(set, |start| start.max(set)))?,
        };
        (tick <= now).then_some(tick)
    }

    /// The schedule in words: `once at 2026-12-01T02:00:00.000Z`, `every 1h 00m`, `At 02:00 (Asia/Shanghai)`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.0 {
            Kind::At(at) => format!("once at {at}"),
            Kind::Every(span) => format!("every {}", units::coarse(span.as_secs())),
            Kind::Cron(cron) => cron.describe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Span;
    use proptest::prelude::*;

    use super::*;

    fn ts(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn every(seconds: u64) -> Schedule {
        Schedule::new(&Trigger::Every { every: Span(Duration::from_secs(seconds)) }).expect("a span")
    }

    fn cron(text: &str, zone: &str) -> Schedule {
        Schedule::new(&Trigger::Cron { cron: text.to_owned(), timezone: Some(zone.to_owned()) }).expect(text)
    }

    #[test]
    fn once_runs_once() {
        let at = ts("2026-12-01T02:00:00Z");
        let (before, later) = (ts("2026-11-30T00:00:00Z"), ts("2026-12-05T00:00:00Z"));
        let schedule = Schedule::new(&Trigger::At { at }).expect("a time");
        assert_eq!(schedule.next(before, None, before), Some(at));
        assert_eq!(schedule.due(before, None, before), None);
        // missed while the daemon was down: still wanted
        assert_eq!(schedule.due(later, None, before), Some(at));
        // a start by hand before its time does not replace it
        assert_eq!(schedule.next(before, Some(before), before), Some(at));
        assert_eq!(schedule.next(later, Some(at), before), None);
        assert_eq!(schedule.due(later, Some(at), before), None);
    }

    #[test]
    fn every_counts_from_the_last_start() {
        let set = ts("2026-12-01T00:00:00Z");
        let hourly = every(3600);
        assert_eq!(hourly.due(set, None, set), Some(set), "the first run is wanted at once");
        assert_eq!(hourly.next(set, Some(set), set), Some(ts("2026-12-01T01:00:00Z")));
        assert_eq!(hourly.due(ts("2026-12-01T00:59:59Z"), Some(set), set), None);
        assert_eq!(hourly.due(ts("2026-12-01T01:00:00Z"), Some(set), set), Some(ts("2026-12-01T01:00:00Z")));
        // ten hours down: one run, and the next an hour after that
        let back = ts("2026-12-01T10:30:00Z");
        assert!(hourly.due(back, Some(set), set).is_some());
        assert_eq!(hourly.due(back, Some(back), set), None);
        assert_eq!(hourly.next(back, Some(back), set), Some(ts("2026-12-01T11:30:00Z")));
    }

    #[test]
    fn a_start_in_the_future_does_not_silence_a_task() {
        let now = ts("2026-12-01T00:00:00Z");
        assert_eq!(every(60).next(now, Some(ts("2099-01-01T00:00:00Z")), now), Some(ts("2026-12-01T00:01:00Z")));
    }

    #[test]
    fn missed_matches_make_one_run() {
        let nightly = cron("0 2 * * *", "UTC");
        let set = ts("2026-12-01T12:00:00Z");
        assert_eq!(nightly.due(ts("2026-12-02T01:59:59Z"), None, set), None, "no match since it was set");
        let back = ts("2026-12-05T09:00:00Z");
        assert_eq!(nightly.due(back, None, set), Some(ts("2026-12-02T02:00:00Z")));
        assert_eq!(nightly.due(back, Some(back), set), None);
        assert_eq!(nightly.next(back, Some(back), set), Some(ts("2026-12-06T02:00:00Z")));
        // an edit after the last start forgets what the old trigger missed
        assert_eq!(nightly.due(back, Some(set), back), None);
    }

    #[test]
    fn it_says_what_it_does() {
        assert_eq!(every(5400).describe(), "every 1h 30m");
        assert_eq!(cron("0 2 * * *", "Asia/Shanghai").describe(), "At 02:00 (Asia/Shanghai)");
        assert_eq!(cron("0 8 ? * MON-FRI *", "UTC").describe(), "At 08:00, on Monday, Tuesday, Wednesday, Thursday, and Friday (UTC)");
        assert_eq!(Schedule::new(&Trigger::At { at: Timestamp(0) }).expect("a time").describe(), "once at 1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn an_empty_span_is_refused() {
        let error = Schedule::new(&Trigger::Every { every: Span(Duration::ZERO) }).expect_err("zero");
        assert_eq!(error.to_string(), "trigger.every: is zero: write it like \"15m\", \"1h\" or \"7d\"");
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        prop_oneof![
            (0..4_000_000_000_000u64).prop_map(|ms| Schedule(Kind::At(Timestamp(ms)))),
            (60..1_000_000u64).prop_map(every),
            prop::sample::select(vec!["0 2 * * *", "*/7 * * * *", "0 0 29 2 *", "30 1 * * MON", "0/10 * * * ? 2027"]).prop_flat_map(
                |text| prop::sample::select(vec!["UTC", "Asia/Shanghai", "America/New_York"]).prop_map(move |zone| cron(text, zone))
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_not_due_lies_ahead_and_becomes_due(schedule in schedules(), now in 0..3_000_000_000_000u64,
                                                      start in prop::option::of(0..3_000_000_000_000u64), set in 0..3_000_000_000_000u64) {
            let (now, start, set) = (Timestamp(now), start.map(|s| Timestamp(s.min(now))), Timestamp(set.min(now)));
            if schedule.due(now, start, set).is_some() {
                prop_assert_eq!(schedule.due(now, Some(now), set), None, "a start settles everything missed");
            } else if let Some(next) = schedule.next(now, start, set) {
                prop_assert!(next > now);
                prop_assert_eq!(schedule.due(next, start, set), Some(next));
            }
        }

        #[test]
        fn no_timestamp_panics(schedule in schedules(), now: u64, start: Option<u64>, set: u64) {
            let _ = schedule.next(Timestamp(now), start.map(Timestamp), Timestamp(set));
            let _ = schedule.due(Timestamp(now), start.map(Timestamp), Timestamp(set));
        }
    }
}
