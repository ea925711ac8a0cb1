//! Sizes and rates: read with any usual unit, shown in decimal units, because links and bills are.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// A number of bytes, written with a unit (`512MiB`, `8 MB`, `300`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Bytes per second, written with a unit (`800MB/s`, `10Gbit/s`); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub u64);

/// A text is not a size or a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUnit {
    /// Not a size.
    #[error("{0:?} is not a size: write it like 512MiB, 8MB or 5GB")]
    Size(String),
    /// Not a rate.
    #[error("{0:?} is not a rate: write it like 800MB/s or 10Gbit/s, and more than 0")]
    Rate(String),
}

const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// `12.5MB` -> 12,500,000. Units are matched without regard to case, so `kb`, `KB` and `kB` are one.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim();
    let factor = match unit {
        "" => 1,
        _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    scale(&number.replace('_', ""), factor)
}

/// Exact for whole numbers, rounded down for fractions.
fn scale(number: &str, factor: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = number.parse::<f64>().ok()? * factor as f64;
    (value.is_finite() && value >= 0.0 && value < u64::MAX as f64).then_some(value as u64)
}

fn parse_rate(text: &str) -> Option<u64> {
    let per = text.trim().strip_suffix("/s").or_else(|| text.trim().strip_suffix("ps"))?.trim();
    let lower = per.to_ascii_lowercase();
    let bits = ["bit", "bits"].iter().find_map(|suffix| lower.strip_suffix(suffix));
    let value = match bits {
        Some(rest) => {
            let split = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(rest.len());
            let (number, unit) = rest.split_at(split);
            let factor = match unit.trim() {
                "" => 1,
                "k" => 1_000,
                "m" => 1_000_000,
                "g" => 1_000_000_000,
                "t" => 1_000_000_000_000,
                _ => return None,
            };
            scale(&number.replace('_', ""), factor)? / 8
        }
        None => parse_bytes(per)?,
    };
    (value > 0).then_some(value)
}

/// The largest unit that divides `bytes` exactly, so that what was typed comes back out.
fn exact(bytes: u64) -> String {
    let (name, factor) = UNITS
        .iter()
        .filter(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .max_by_key(|(_, factor)| *factor)
        .map_or(("B", 1), |(n, f)| (*n, *f));
    format!("{}{name}", bytes / factor)
}

impl FromStr for ByteSize {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        parse_bytes(text).map(Self).ok_or_else(|| BadUnit::Size(text.to_owned()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&exact(self.0))
    }
}

impl FromStr for Rate {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        parse_rate(text).map(Self).ok_or_else(|| BadUnit::Rate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", exact(self.0)))
    }
}

as_text!(ByteSize, Rate);

/// Three significant digits, decimal unit: `1.25 GB`, `612 MB`, `41.0 kB`, `0 B`.
#[must_use]
pub fn bytes(value: u64) -> String {
    decimal(value, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], " ")
}

/// [`bytes`] per second: `1.25 GB/s`.
#[must_use]
pub fn rate(per_second: u64) -> String {
    format!("{}/s", bytes(per_second))
}

/// [`rate`] in bits: `10.0 Gbit/s`.
#[must_use]
pub fn bit_rate(bytes_per_second: u64) -> String {
    let units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"];
    decimal(bytes_per_second.saturating_mul(8), &units, " ")
}

/// A count in at most five characters from 10,000 on: `9,999`, `38.2M`.
#[must_use]
pub fn count(value: u64) -> String {
    if value < 10_000 {
        return grouped(value);
    }
    decimal(value, &["", "k", "M", "G", "T", "P", "E"], "")
}

/// All digits, in groups of three: `1,204`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Two units at most: `3d 11h`, `9h 08m`, `4m 10s`, `12s`; over 30 days `>30d`.
#[must_use]
pub fn eta(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    match seconds {
        s if s > 30 * DAY => ">30d".to_owned(),
        s => coarse(s),
    }
}

/// Two units at most, without a limit: for ages and durations.
#[must_use]
pub fn coarse(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    match seconds {
        s if s >= DAY => format!("{}d {:02}h", s / DAY, s % DAY / 3_600),
        s if s >= 3_600 => format!("{}h {:02}m", s / 3_600, s % 3_600 / 60),
        s if s >= 60 => format!("{}m {:02}s", s / 60, s % 60),
        s => format!("{s}s"),
    }
}

fn decimal(value: u64, units: &[&str; 7], gap: &str) -> String {
    if value < 1_000 {
        return format!("{value}{}{}", if units[0].is_empty() { "" } else { gap }, units[0]);
    }
    let mut scaled = value as f64;
    let mut unit = 0;
    // 999.5 would be shown as 1000
    while scaled >= 999.5 && unit < units.len() - 1 {
        scaled /= 1_000.0;
        unit += 1;
    }
    let digits = match scaled {
        s if s < 9.995 => 2,
        s if s < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{gap}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, value) in [("512MiB", 512 << 20), ("8 mb", 8_000_000), ("0", 0), ("1.5kB", 1_500), ("5TiB", 5 << 40)] {
            assert_eq!(text.parse(), Ok(ByteSize(value)), "{text}");
            assert_eq!(ByteSize(value).to_string().parse(), Ok(ByteSize(value)));
        }
        assert_eq!(ByteSize(512 << 20).to_string(), "512MiB");
        for bad in ["", "MB", "5 QB", "-1", "1e400", "99999999999TB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates_are_read_and_written_back() {
        for (text, value) in [("800MB/s", 800_000_000), ("10Gbit/s", 1_250_000_000), ("8 kbit/s", 1_000), ("1MiB/s", 1 << 20)] {
            assert_eq!(text.parse(), Ok(Rate(value)), "{text}");
            assert_eq!(Rate(value).to_string().parse(), Ok(Rate(value)));
        }
        for bad in ["800MB", "0MB/s", "fast", "", "/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn three_digits_are_shown() {
        for (value, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (9_996, "10.0 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_250_000_000, "1.25 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        assert_eq!(count(9_999), "9,999");
        assert_eq!(count(38_200_000), "38.2M");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bit_rate(1_250_000_000), "10.0 Gbit/s");
    }

    #[test]
    fn spans_use_two_units() {
        for (s, text) in [(0, "0s"), (59, "59s"), (250, "4m 10s"), (32_880, "9h 08m"), (298_800, "3d 11h"), (9_999_999, ">30d")] {
            assert_eq!(eta(s), text);
        }
    }
}
