//! What of a plan holds at an instant, and until when. Pure: time and zone are given.

use dth_proto::{
    bandwidth::{BandwidthNow, BandwidthPlan, Hours},
    time::Timestamp,
    units::Rate,
};
use jiff::{ToSpan, civil::Date, tz::TimeZone};

/// From and until, in milliseconds since 1970.
type Stretch = (i64, i64);

/// How far ahead a change is looked for: a plan repeats itself every week, and hours over midnight end a day later.
const AHEAD: i64 = 8;

/// The limit of a plan at `now` by the clocks of `zone`, and the next time at which it is another. Hours are those on the wall: where
/// the clocks are put forward they can be shorter, where they are put back, longer (RFC 5545 3.3.5 for times that do not exist or
/// exist twice).
#[must_use]
pub fn at(plan: &BandwidthPlan, now: Timestamp, zone: &TimeZone) -> BandwidthNow {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    let Some(today) = jiff::Timestamp::from_millisecond(now).ok().map(|t| t.to_zoned(zone.clone()).date()) else {
        return BandwidthNow { rate: None, until: None };
    };
    let limits: Vec<(Option<Rate>, Option<Vec<Stretch>>)> =
        plan.entries().iter().map(|entry| (entry.rate, entry.hours.map(|hours| stretches(hours, today, zone)))).collect();
    let rate_at = |time: i64| {
        let holds = |stretches: &Vec<Stretch>| stretches.iter().any(|(from, until)| (*from..*until).contains(&time));
        limits.iter().find(|(_, hours)| hours.as_ref().is_none_or(holds)).and_then(|(rate, _)| *rate)
    };
    let rate = rate_at(now);
    let mut edges: Vec<i64> =
        limits.iter().filter_map(|(_, hours)| hours.as_ref()).flatten().flat_map(|(from, until)| [*from, *until]).collect();
    // beyond, the stretches are not complete
    let horizon = today.checked_add(AHEAD.days()).ok().and_then(|day| instant(day, 0, zone)).unwrap_or(i64::MAX);
    edges.retain(|edge| (now + 1..horizon).contains(edge));
    edges.sort_unstable();
    let until = edges.into_iter().find(|edge| rate_at(*edge) != rate);
    BandwidthNow { rate, until: until.and_then(|at| u64::try_from(at).ok()).map(Timestamp) }
}

fn stretches(hours: Hours, today: Date, zone: &TimeZone) -> Vec<Stretch> {
    (-1..=AHEAD)
        .filter_map(|ahead| {
            let day = today.checked_add(ahead.days()).ok()?;
            let weekday = u8::try_from(day.weekday().to_monday_zero_offset()).ok()?;
            if !hours.begin_on(weekday) {
                return None;
            }
            let last = if hours.over_midnight() { day.tomorrow().ok()? } else { day };
            Some((instant(day, hours.from, zone)?, instant(last, hours.until, zone)?))
        })
        .collect()
}

fn instant(day: Date, minute: u16, zone: &TimeZone) -> Option<i64> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let time = if hour == 24 { day.tomorrow().ok()?.at(0, 0, 0, 0) } else { day.at(hour, minute, 0, 0) };
    zone.to_timestamp(time).ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(text: &str) -> BandwidthPlan {
        text.parse().expect(text)
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect(name)
    }

    /// `at` in the words of the test table: `200MB/s until 2026-11-02T18:00`.
    fn words(text: &str, local: &str, name: &str) -> String {
        let zone = zone(name);
        let now = local.parse::<jiff::civil::DateTime>().expect(local).to_zoned(zone.clone()).expect(local).timestamp();
        let now = at(&plan(text), Timestamp(now.as_millisecond() as u64), &zone);
        let rate = now.rate.map_or("off".to_owned(), |rate| rate.to_string());
        now.until.map_or(rate.clone(), |until| {
            let until = jiff::Timestamp::from_millisecond(until.0 as i64).expect("near").to_zoned(zone.clone());
            format!("{rate} until {}", until.strftime("%FT%H:%M"))
        })
    }

    #[test]
    fn the_first_whose_hours_fit_holds() {
        const OFFICE: &str = "200MB/s mon-fri 08:00-18:00, 50MB/s 22:00-06:00, 1GB/s";
        // 2026-11-02 is a Monday
        for (text, local, expected) in [
            ("5MB/s", "2026-11-02T09:00", "5MB/s"),
            ("off", "2026-11-02T09:00", "off"),
            ("5MB/s 08:00-18:00", "2026-11-02T07:59", "off until 2026-11-02T08:00"),
            ("5MB/s 08:00-18:00", "2026-11-02T08:00", "5MB/s until 2026-11-02T18:00"),
            ("5MB/s 08:00-18:00", "2026-11-02T18:00", "off until 2026-11-03T08:00"),
            (OFFICE, "2026-11-02T09:00", "200MB/s until 2026-11-02T18:00"),
            (OFFICE, "2026-11-02T18:00", "1GB/s until 2026-11-02T22:00"),
            (OFFICE, "2026-11-03T01:00", "50MB/s until 2026-11-03T06:00"),
            (OFFICE, "2026-11-07T09:00", "1GB/s until 2026-11-07T22:00"),
            ("5MB/s fri 22:00-06:00", "2026-11-07T05:00", "5MB/s until 2026-11-07T06:00"),
            ("5MB/s fri 22:00-06:00", "2026-11-06T05:00", "off until 2026-11-06T22:00"),
            ("5MB/s fri 22:00-06:00", "2026-11-07T06:00", "off until 2026-11-13T22:00"),
            ("5MB/s sat-sun, 1MB/s", "2026-11-06T12:00", "1MB/s until 2026-11-07T00:00"),
            ("5MB/s sat-sun, 1MB/s", "2026-11-07T12:00", "5MB/s until 2026-11-09T00:00"),
            ("5MB/s 18:00-24:00, 5MB/s 00:00-06:00", "2026-11-02T20:00", "5MB/s until 2026-11-03T06:00"),
            ("5MB/s mon-sun", "2026-11-02T20:00", "5MB/s"),
            ("off 12:00-13:00, 5MB/s", "2026-11-02T12:30", "off until 2026-11-02T13:00"),
        ] {
            assert_eq!(words(text, local, "Asia/Shanghai"), expected, "{text} at {local}");
        }
    }

    #[test]
    fn hours_are_those_on_the_wall_when_the_clocks_change() {
        // Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00
        for (text, local, expected) in [
            ("5MB/s 01:00-04:00", "2026-03-29T01:30", "5MB/s until 2026-03-29T04:00"),
            ("5MB/s 02:30-04:00", "2026-03-29T01:30", "off until 2026-03-29T03:30"),
            ("5MB/s 01:00-04:00", "2026-10-25T01:30", "5MB/s until 2026-10-25T04:00"),
            ("5MB/s 08:00-18:00", "2026-10-24T20:00", "off until 2026-10-25T08:00"),
        ] {
            assert_eq!(words(text, local, "Europe/Berlin"), expected, "{text} at {local}");
        }
        // three hours on the wall are two in spring and four in autumn
        let zone = zone("Europe/Berlin");
        for (day, seconds) in [("2026-03-29T00:30", 2 * 3600), ("2026-10-25T00:30", 4 * 3600)] {
            let before = day.parse::<jiff::civil::DateTime>().expect(day).to_zoned(zone.clone()).expect(day).timestamp();
            let limits = plan("5MB/s 01:00-04:00");
            let begin = at(&limits, Timestamp(before.as_millisecond() as u64), &zone).until.expect("it begins");
            let end = at(&limits, begin, &zone).until.expect("it ends");
            assert_eq!(end.since(begin).as_secs(), seconds, "{day}");
        }
    }

    proptest! {
        /// Until the change nothing changes, and at the change something does.
        #[test]
        fn until_is_the_next_change(
            entries in prop::collection::vec((prop::option::of(1..4_u64), 0..7_u8, 0..7_u8, 0..96_u16, 0..96_u16), 1..5),
            now in 1_700_000_000_000..1_900_000_000_000_u64,
            later in 0.0..1.0_f64,
        ) {
            let text: Vec<String> = entries
                .iter()
                .filter(|(.., from, until)| from != until)
                .map(|(rate, first, last, from, until)| {
                    let rate = rate.map_or("off".to_owned(), |r| format!("{r}MB/s"));
                    let day = |d: &u8| ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::from(*d)];
                    let clock = |m: &u16| format!("{:02}:{:02}", m / 4, m % 4 * 15);
                    format!("{rate} {}-{} {}-{}", day(first), day(last), clock(from), clock(until))
                })
                .chain(["9MB/s".to_owned()])
                .collect();
            let plan: BandwidthPlan = text.join(",").parse().expect("good");
            let zone = zone("America/New_York");
            let current = at(&plan, Timestamp(now), &zone);
            match current.until {
                Some(until) => {
                    prop_assert!(until.0 > now);
                    prop_assert_ne!(at(&plan, until, &zone).rate, current.rate);
                    let between = now + ((until.0 - now - 1) as f64 * later) as u64;
                    let meanwhile = at(&plan, Timestamp(between), &zone);
                    prop_assert_eq!((meanwhile.rate, meanwhile.until), (current.rate, Some(until)));
                }
                None => prop_assert_eq!(at(&plan, Timestamp(now + (later * 6e8) as u64), &zone).rate, current.rate),
            }
        }
    }
}
