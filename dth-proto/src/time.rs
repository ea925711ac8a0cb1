//! Points in time and spans, as they cross the wire and stand in task files.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// Milliseconds since 1970-01-01T00:00:00Z; as text RFC 3339 in UTC (`2026-12-01T02:00:00.000Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(pub u64);

/// A text is not a timestamp or a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// Not RFC 3339.
    #[error("{0:?} is not a time: write it like 2026-12-01T02:00:00Z")]
    Timestamp(String),
    /// Not a duration with a unit.
    #[error("{0:?} is not a duration: write it like 90s, 15m, 1h or 7d")]
    Span(String),
}

impl Timestamp {
    /// The time of a [`SystemTime`]; before 1970 counts as 1970.
    #[must_use]
    pub fn from_system(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The same point as a [`SystemTime`].
    #[must_use]
    pub fn to_system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.min(MAX_MS))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `self` later by `span`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write.
const MAX_MS: u64 = 253_402_300_799_999;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.to_system()).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Self, BadTime> {
        humantime::parse_rfc3339(text).map(Self::from_system).map_err(|_| BadTime::Timestamp(text.to_owned()))
    }
}

/// A span of time written with a unit: `90s`, `15m`, `1h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl FromStr for Span {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Self, BadTime> {
        humantime::parse_duration(text.trim()).map(Self).map_err(|_| BadTime::Span(text.to_owned()))
    }
}

as_text!(Timestamp, Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_survive_text() {
        for ms in [0, 1, 1_796_000_000_123, MAX_MS] {
            assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
        }
        assert_eq!("2026-12-01T02:00:00Z".parse(), Ok(Timestamp(1_796_090_400_000)));
        assert!("tomorrow".parse::<Timestamp>().is_err());
        // an absurd number from a peer must not panic when shown
        assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn spans_survive_text() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.0.as_secs(), seconds);
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        assert!("5".parse::<Span>().is_err());
    }
}
