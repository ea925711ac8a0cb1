//! Points in time as this machine's user reads them.

use dth_proto::time::Timestamp;
use jiff::tz::TimeZone;

/// The zone that times are shown in.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// This machine's zone; UTC when it cannot be told.
    #[must_use]
    pub fn local() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    fn format(&self, at: Timestamp, pattern: &str) -> String {
        let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        at.map_or_else(|| "-".to_owned(), |at| at.to_zoned(self.0.clone()).strftime(pattern).to_string())
    }

    /// `14:02:31`.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M:%S")
    }

    /// `Fri 14:02:31`.
    #[must_use]
    pub fn day_time(&self, at: Timestamp) -> String {
        self.format(at, "%a %H:%M:%S")
    }

    /// Five or six columns: `14:02` on the day of `now`, else `Nov 03`.
    #[must_use]
    pub fn short(&self, at: Timestamp, now: Timestamp) -> String {
        let same_day = self.format(at, "%F") == self.format(now, "%F");
        self.format(at, if same_day { "%H:%M" } else { "%b %d" })
    }

    /// Of something to come: `02:00` within a day from `now`, else `Nov 03`.
    #[must_use]
    pub fn next(&self, at: Timestamp, now: Timestamp) -> String {
        const DAY_MS: u64 = 86_400_000;
        self.format(at, if at.0.saturating_sub(now.0) < DAY_MS { "%H:%M" } else { "%b %d" })
    }

    /// `2026-11-03 14:02`.
    #[must_use]
    pub fn full(&self, at: Timestamp) -> String {
        self.format(at, "%F %H:%M")
    }

    /// Day and minute of something within the coming weeks: `Tue 01:00`; further away [`Self::full`].
    #[must_use]
    pub fn coming(&self, at: Timestamp, now: Timestamp) -> String {
        const WEEK_MS: u64 = 7 * 86_400_000;
        if at.0.saturating_sub(now.0) < WEEK_MS { self.format(at, "%a %H:%M") } else { self.full(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_absurd_ones_do_no_harm() {
        let zone = Zone(TimeZone::fixed(jiff::tz::offset(8)));
        let at = Timestamp(1_796_090_400_000);
        assert_eq!(zone.full(at), "2026-12-01 10:00");
        assert_eq!(zone.day_time(at), "Tue 10:00:00");
        assert_eq!(zone.short(at, at), "10:00");
        assert_eq!(zone.short(at, Timestamp(at.0 + 86_400_000)), "Dec 01");
        assert_eq!(zone.next(Timestamp(at.0 + 43_200_000), at), "22:00");
        assert_eq!(zone.full(Timestamp(u64::MAX)), "-");
    }
}
