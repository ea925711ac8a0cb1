//! One field of a cron expression: what may stand in it, and its form in numbers.

use std::ops::RangeInclusive;

/// Who defined the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Five fields, Vixie cron: days of the week 0-7, 0 and 7 are Sunday.
    Vixie,
    /// Six fields, Amazon EventBridge: days of the week 1-7 from Sunday, `?`, a year.
    EventBridge,
}

/// Which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
    Year,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// EventBridge's own bounds for the year (EventBridge user guide, "Cron expressions").
const YEARS: RangeInclusive<u16> = 1970..=2199;

impl Field {
    pub(super) const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek, Self::Year];

    fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
        }
    }

    fn bounds(self, dialect: Dialect) -> RangeInclusive<u16> {
        match (self, dialect) {
            (Self::Minute, _) => 0..=59,
            (Self::Hour, _) => 0..=23,
            (Self::DayOfMonth, _) => 1..=31,
            (Self::Month, _) => 1..=12,
            (Self::DayOfWeek, Dialect::Vixie) => 0..=7,
            (Self::DayOfWeek, Dialect::EventBridge) => 1..=7,
            (Self::Year, _) => YEARS,
        }
    }

    fn example(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Minute, Dialect::Vixie) => "0-59 like 0, 30, */15 or 5-59/10",
            (Self::Minute, Dialect::EventBridge) => "0-59 like 0, 30 or 0/15",
            (Self::Hour, _) => "0-23 like 2, 8-18 or */6",
            (Self::DayOfMonth, _) => "1-31 like 1, 1-7, L (last day) or 15W (nearest weekday)",
            (Self::Month, _) => "1-12 or JAN-DEC like 6, */3 or JAN,JUL",
            (Self::DayOfWeek, Dialect::Vixie) => "0-7 (0 and 7 are Sunday) or SUN-SAT like 1-5, MON, 5L (last Friday) or MON#1",
            (Self::DayOfWeek, Dialect::EventBridge) => "1-7 (1 is Sunday) or SUN-SAT like MON-FRI, 6L (last Friday) or 2#1",
            (Self::Year, _) => "1970-2199 like 2027 or 2026-2030",
        }
    }

    /// The field in numbers, with `*`, `-`, `/`, `,`, `L`, `W` and `#` as croner reads them; `?` becomes `*`.
    ///
    /// # Errors
    /// What is wrong and an example, when the text is not allowed here.
    pub(super) fn read(self, text: &str, dialect: Dialect) -> Result<String, String> {
        let wrong = || format!("{text:?} cannot stand for the {}: use {}", self.name(), self.example(dialect));
        if text == "?" && dialect == Dialect::EventBridge && matches!(self, Self::DayOfMonth | Self::DayOfWeek) {
            return Ok("*".to_owned());
        }
        if text == "*" {
            return Ok(text.to_owned());
        }
        let upper = text.to_ascii_uppercase();
        let items: Option<Vec<String>> = upper.split(',').map(|item| self.item(item, dialect)).collect();
        items.map(|items| items.join(",")).ok_or_else(wrong)
    }

    /// One element of the comma-separated list.
    fn item(self, text: &str, dialect: Dialect) -> Option<String> {
        if let Some((range, step)) = text.split_once('/') {
            let step = number(step).filter(|s| *s > 0)?;
            let range = match range {
                "*" if self == Self::Year => format!("{}-{}", YEARS.start(), YEARS.end()),
                "*" => "*".to_owned(),
                // Vixie cron knows no start without an end
                _ if range.contains('-') => self.range(range, dialect)?,
                _ if dialect == Dialect::EventBridge => format!("{}-{}", self.value(range, dialect)?, self.bounds(dialect).end()),
                _ => return None,
            };
            return Some(format!("{range}/{step}"));
        }
        if text.contains('-') {
            return self.range(text, dialect);
        }
        match self {
            Self::DayOfMonth => self.day_of_month(text, dialect),
            Self::DayOfWeek => self.day_of_week(text, dialect),
            _ => self.value(text, dialect).map(|v| v.to_string()),
        }
    }

    fn day_of_month(self, text: &str, dialect: Dialect) -> Option<String> {
        match (text, text.strip_suffix('W')) {
            ("L" | "LW", _) => Some(text.to_owned()),
            (_, Some(day)) => Some(format!("{}W", self.value(day, dialect)?)),
            _ => Some(self.value(text, dialect)?.to_string()),
        }
    }

    fn day_of_week(self, text: &str, dialect: Dialect) -> Option<String> {
        if text == "L" {
            // EventBridge: the last day of the week
            return (dialect == Dialect::EventBridge).then(|| "7".to_owned());
        }
        if let Some((day, nth)) = text.split_once('#') {
            let nth = number(nth).filter(|n| (1..=5).contains(n))?;
            return Some(format!("{}#{nth}", self.value(day, dialect)?));
        }
        match text.strip_suffix('L') {
            Some(day) => Some(format!("{}#L", self.value(day, dialect)?)),
            None => Some(self.value(text, dialect)?.to_string()),
        }
    }

    fn range(self, text: &str, dialect: Dialect) -> Option<String> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (self.value(from, dialect)?, self.value(to, dialect)?);
        (from <= to).then(|| format!("{from}-{to}"))
    }

    fn value(self, text: &str, dialect: Dialect) -> Option<u16> {
        let named = |names: &[&str], first: u16| names.iter().zip(first..).find(|(name, _)| **name == text).map(|(_, value)| value);
        let by_name = match self {
            Self::Month => named(&MONTHS, 1),
            Self::DayOfWeek => named(&DAYS, *self.bounds(dialect).start()),
            _ => None,
        };
        by_name.or_else(|| number(text)).filter(|v| self.bounds(dialect).contains(v))
    }
}

/// Digits only: `parse` alone would take `+5`.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_numbers() {
        use Dialect::{EventBridge, Vixie};
        for (field, dialect, text, numbers) in [
            (Field::Minute, Vixie, "*/15", "*/15"),
            (Field::Minute, EventBridge, "0/15", "0-59/15"),
            (Field::Hour, Vixie, "8-18,22", "8-18,22"),
            (Field::Month, Vixie, "jan-mar", "1-3"),
            (Field::DayOfWeek, Vixie, "MON-FRI", "1-5"),
            (Field::DayOfWeek, EventBridge, "MON-FRI", "2-6"),
            (Field::DayOfWeek, EventBridge, "?", "*"),
            (Field::DayOfWeek, EventBridge, "L", "7"),
            (Field::DayOfWeek, EventBridge, "6L", "6#L"),
            (Field::DayOfWeek, EventBridge, "3#2", "3#2"),
            (Field::DayOfMonth, EventBridge, "3W", "3W"),
            (Field::DayOfMonth, EventBridge, "LW", "LW"),
            (Field::Year, EventBridge, "*", "*"),
            (Field::Year, EventBridge, "2026/2", "2026-2199/2"),
        ] {
            assert_eq!(field.read(text, dialect).as_deref(), Ok(numbers), "{text}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        use Dialect::{EventBridge, Vixie};
        for (field, dialect, text) in [
            (Field::Minute, Vixie, "60"),
            (Field::Minute, Vixie, "5/15"),
            (Field::Minute, Vixie, "*/0"),
            (Field::Minute, Vixie, ""),
            (Field::Minute, Vixie, "1,"),
            (Field::Minute, Vixie, "+5"),
            (Field::Minute, Vixie, "?"),
            (Field::Hour, Vixie, "18-8"),
            (Field::Hour, Vixie, "24"),
            (Field::DayOfMonth, Vixie, "0"),
            (Field::DayOfMonth, Vixie, "W"),
            (Field::DayOfMonth, Vixie, "?"),
            (Field::Month, Vixie, "MON"),
            (Field::DayOfWeek, Vixie, "8"),
            (Field::DayOfWeek, Vixie, "L"),
            (Field::DayOfWeek, EventBridge, "0"),
            (Field::DayOfWeek, EventBridge, "2#6"),
            (Field::Year, EventBridge, "1969"),
            (Field::Year, EventBridge, "99999999"),
        ] {
            assert!(field.read(text, dialect).is_err(), "{field:?} {text}");
        }
    }
}
