//! Cron expressions: five fields by Vixie's rules or EventBridge's six, on the wall clock of a time zone.
//!
//! [`field`](super::field) checks the text, so that an error names the field and an example; croner finds the dates. Where
//! the wall clock jumps (daylight saving time), croner follows Vixie cron:
//!
//! - An hour that does not exist: a fixed time in it runs at the first instant after it, so that a nightly run is not lost; an
//!   interval (`*` or `*/n` in minute or hour) goes on with the hours that exist.
//! - An hour that exists twice: a fixed time runs in the first one only; an interval runs in both.

use croner::parser::{CronParser, Seconds, Year};
use dth_proto::time::Timestamp;
use jiff::tz::TimeZone;

use super::{
    ScheduleError,
    field::{Dialect, Field},
};

/// A checked expression with its time zone.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    pattern: croner::Cron,
    zone: TimeZone,
    zone_name: String,
}

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Cron {
    /// Reads an expression; `zone`: IANA name, `None`: UTC.
    ///
    /// # Errors
    /// [`ScheduleError`] on `trigger.cron` or `trigger.timezone`.
    pub(super) fn new(text: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone_name = zone.unwrap_or("UTC");
        let zone = time_zone(zone_name)?;
        let pattern = parse(text).map_err(|message| ScheduleError { field: "trigger.cron", message })?;
        let cron = Self { pattern, zone, zone_name: zone_name.to_owned() };
        if cron.next(Timestamp(0)).is_none() {
            let message = format!("{text:?} never happens: no date matches it; write it like \"0 2 * * *\" (every day at 02:00)");
            return Err(ScheduleError { field: "trigger.cron", message });
        }
        Ok(cron)
    }

    /// The first match later than `after`; `None`: never again.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let found = self.pattern.find_next_occurrence(&instant.to_zoned(self.zone.clone()), false).ok()?;
        u64::try_from(found.timestamp().as_millisecond()).ok().map(Timestamp)
    }

    /// `At 02:00 (Asia/Shanghai)`.
    pub(super) fn describe(&self) -> String {
        format!("{} ({})", self.pattern.describe().trim_end_matches('.'), self.zone_name)
    }
}

fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name).map_err(|_| ScheduleError {
        field: "trigger.timezone",
        message: format!("{name:?} is not a time zone: use an IANA name like \"Asia/Shanghai\", \"America/New_York\" or \"UTC\""),
    })
}

/// Checks every field and hands the expression to croner in numbers.
fn parse(text: &str) -> Result<croner::Cron, String> {
    let plain = unwrap(text.trim());
    let plain = NICKNAMES.iter().find(|(name, _)| plain.eq_ignore_ascii_case(name)).map_or(plain, |(_, fields)| fields);
    let fields: Vec<&str> = plain.split_whitespace().collect();
    let dialect = match fields.len() {
        5 => Dialect::Vixie,
        6 => Dialect::EventBridge,
        n => {
            return Err(format!(
                "{text:?} has {n} field{}: write 5 (minute hour day month weekday) like \"0 2 * * *\", or EventBridge's 6 (… year) like \"0 2 * * ? *\"",
                if n == 1 { "" } else { "s" }
            ));
        }
    };
    let read: Vec<Result<String, String>> = Field::ALL.iter().zip(&fields).map(|(field, text)| field.read(text, dialect)).collect();
    let wrong: Vec<&str> = read.iter().filter_map(|r| r.as_ref().err().map(String::as_str)).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let mut numbers: Vec<String> = read.into_iter().flatten().collect();
    match dialect {
        Dialect::Vixie => {
            // crontab(5): a day field that begins with * does not count as restricted, and then both must match; else either
            if fields[2].starts_with('*') || fields[4].starts_with('*') {
                numbers[4].insert(0, '+');
            }
            numbers.push("*".to_owned());
        }
        Dialect::EventBridge if (fields[2] == "?") == (fields[4] == "?") => {
            return Err(format!(
                "{text:?}: EventBridge wants a ? in exactly one of day of month and day of week, like \"0 2 * * ? *\" or \"0 2 ? * MON-FRI *\""
            ));
        }
        Dialect::EventBridge => {}
    }
    CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(dialect == Dialect::EventBridge)
        .build()
        .parse(&format!("0 {}", numbers.join(" ")))
        .map_err(|error| format!("{text:?}: {error}; write it like \"0 2 * * *\""))
}

/// Takes EventBridge's `cron(…)` away.
fn unwrap(text: &str) -> &str {
    text.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next matches after `after`, as `MM-DDTHH:MM` in the zone's wall clock, with the year when it is not that of `after`.
    fn matches(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::new(text, Some(zone)).expect(text);
        let mut at: Timestamp = after.parse().expect(after);
        let mut found = Vec::new();
        while found.len() < count
            && let Some(next) = cron.next(at)
        {
            assert!(next > at, "{text}");
            found.push(next.to_string()[..16].to_owned());
            at = next;
        }
        found
    }

    #[test]
    fn expressions_match_these_times_utc() {
        for (text, zone, after, expected) in [
            // five fields
            ("0 2 * * *", "UTC", "2026-12-01T02:00:00Z", vec!["2026-12-02T02:00", "2026-12-03T02:00"]),
            ("*/15 * * * *", "UTC", "2026-12-01T00:50:00Z", vec!["2026-12-01T01:00", "2026-12-01T01:15"]),
            ("@daily", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-02T00:00"]),
            ("0 2 * * *", "Asia/Shanghai", "2026-12-01T00:00:00Z", vec!["2026-12-01T18:00", "2026-12-02T18:00"]),
            ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", vec!["2028-02-29T00:00", "2032-02-29T00:00"]),
            (
                "0 2 31 * *",
                "UTC",
                "2026-01-31T02:00:00Z",
                vec!["2026-03-31T02:00", "2026-05-31T02:00", "2026-07-31T02:00", "2026-08-31T02:00"],
            ),
            // day of month or day of week when both are restricted
            ("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", vec!["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"]),
            // and when one begins with a star: odd days that are Mondays
            ("0 0 */2 * MON", "UTC", "2026-11-01T00:00:00Z", vec!["2026-11-09T00:00", "2026-11-23T00:00"]),
            ("0 0 * * 7", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-06T00:00"]),
            ("0 0 * * 0", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-06T00:00"]),
            ("0 0 L * *", "UTC", "2028-02-01T00:00:00Z", vec!["2028-02-29T00:00", "2028-03-31T00:00"]),
            // EventBridge: 1 is Sunday
            ("0 12 ? * 1 *", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-06T12:00"]),
            ("cron(15 10 ? * 6L *)", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-25T10:15", "2027-01-29T10:15"]),
            ("0 8 ? * MON#1 *", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-07T08:00", "2027-01-04T08:00"]),
            ("0 8 ? * L *", "UTC", "2026-12-01T00:00:00Z", vec!["2026-12-05T08:00"]),
            ("0/10 8-9 ? * MON-FRI *", "UTC", "2026-12-04T09:45:00Z", vec!["2026-12-04T09:50", "2026-12-07T08:00"]),
            // 2026-08-15 is a Saturday, 2026-11-15 a Sunday
            (
                "0 0 15W * ? *",
                "UTC",
                "2026-08-01T00:00:00Z",
                vec!["2026-08-14T00:00", "2026-09-15T00:00", "2026-10-15T00:00", "2026-11-16T00:00"],
            ),
            ("0 0 LW * ? *", "UTC", "2026-10-01T00:00:00Z", vec!["2026-10-30T00:00", "2026-11-30T00:00"]),
            ("0 0 1 1 ? 2027-2028", "UTC", "2026-12-01T00:00:00Z", vec!["2027-01-01T00:00", "2028-01-01T00:00"]),
            // the original's default for a one-time task: a year that is over
            ("0/60 * * * ? 2000", "UTC", "2026-12-01T00:00:00Z", vec![]),
        ] {
            let found = matches(text, zone, after, expected.len().max(1));
            assert_eq!(found, expected, "{text} {zone}");
        }
    }

    #[test]
    fn a_fixed_time_in_a_missing_hour_runs_right_after_it() {
        // New York 2026-03-08: 02:00 EST is followed by 03:00 EDT (07:00Z)
        let found = matches("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3);
        assert_eq!(found, ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"]);
        let intervals = matches("*/30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 3);
        assert_eq!(intervals, ["2026-03-08T06:30", "2026-03-08T07:00", "2026-03-08T07:30"]);
    }

    #[test]
    fn a_fixed_time_in_a_repeated_hour_runs_once() {
        // New York 2026-11-01: 01:00-02:00 happens as EDT (05:00Z) and again as EST (06:00Z)
        let found = matches("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2);
        assert_eq!(found, ["2026-11-01T05:30", "2026-11-02T06:30"]);
        let intervals = matches("*/30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 4);
        assert_eq!(intervals, ["2026-11-01T05:30", "2026-11-01T06:00", "2026-11-01T06:30", "2026-11-01T07:00"]);
    }

    #[test]
    fn errors_name_the_field_and_an_example() {
        for (text, zone, message) in [
            ("0 25 * * *", None, "trigger.cron: \"25\" cannot stand for the hour: use 0-23 like 2, 8-18 or */6"),
            ("0 2 * *", None, "trigger.cron: \"0 2 * *\" has 4 fields: write 5"),
            ("0 2 30 2 *", None, "trigger.cron: \"0 2 30 2 *\" never happens"),
            ("0 2 * * * *", None, "trigger.cron: \"0 2 * * * *\": EventBridge wants a ? in exactly one"),
            ("@reboot", None, "trigger.cron: \"@reboot\" has 1 field:"),
            (
                "0 2 * * *",
                Some("Asia/Peking"),
                "trigger.timezone: \"Asia/Peking\" is not a time zone: use an IANA name like \"Asia/Shanghai\"",
            ),
        ] {
            let error = Cron::new(text, zone).expect_err(text).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let both = Cron::new("61 25 * * *", None).expect_err("two wrong fields").to_string();
        assert!(both.contains("\"61\"") && both.contains("\"25\""), "{both}");
    }
}
