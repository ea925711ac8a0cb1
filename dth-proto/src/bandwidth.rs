//! A limit in bytes per second that may depend on the clock: `200MB/s 08:00-18:00`, else another, else none.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    document::Table,
    time::Timestamp,
    units::{BadUnit, Rate},
};

/// Limits in the order in which they are asked: the first whose hours fit holds; when none fits there is no limit. One rate
/// alone is written, and stored, as that rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct BandwidthPlan {
    entries: Vec<PlanEntry>,
}

/// One limit of a plan: `200MB/s`, `200MB/s 08:00-18:00`, `off mon-fri 22:00-06:00`, `1GB/s sat-sun`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEntry {
    /// `None`: no limit (`off`).
    pub rate: Option<Rate>,
    /// When it holds; `None`: at all times.
    pub hours: Option<Hours>,
}

/// Hours of some days. Those that end before they begin last until the next day: `fri 22:00-06:00` ends on Saturday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// First and last day on which they begin, Monday is 0; `sat-mon` goes over Sunday.
    pub days: (u8, u8),
    /// Minutes from midnight, 0 to 1,439.
    pub from: u16,
    /// Minutes from midnight, 1 to 1,440; less than or equal to `from` on the next day.
    pub until: u16,
}

/// What of a plan holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BandwidthNow {
    /// `None`: no limit.
    pub rate: Option<Rate>,
    /// When it changes; `None`: it does not.
    pub until: Option<Timestamp>,
}

/// A text is not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// Its rate is none.
    #[error("{0}; or \"off\" for no limit")]
    Rate(#[from] BadUnit),
    /// Its hours are none.
    #[error("{0:?} are no hours: write them like 08:00-18:00, or 22:00-06:00 over midnight")]
    Hours(String),
    /// They begin when they end.
    #[error("{0:?} begin when they end: leave the hours out for the whole day")]
    Empty(String),
    /// Its days are none.
    #[error("{0:?} are no days: write them like mon-fri or sat, in front of the hours")]
    Days(String),
    /// Behind one that always holds.
    #[error("{0:?} never holds: {1:?} in front of it has no hours and holds at all times; put it last")]
    Unreachable(String, String),
    /// Nothing is written.
    #[error("no limit is written: write one like \"200MB/s\", or leave the key out")]
    Nothing,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;

impl Hours {
    /// Whether they begin on a day, Monday is 0.
    #[must_use]
    pub fn begin_on(&self, day: u8) -> bool {
        let (first, last) = self.days;
        if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
    }

    /// Whether they end on the day after they begin.
    #[must_use]
    pub fn over_midnight(&self) -> bool {
        self.until <= self.from
    }
}

impl BandwidthPlan {
    /// A plan of several limits.
    ///
    /// # Errors
    /// [`BadPlan::Nothing`] and [`BadPlan::Unreachable`].
    pub fn new(entries: Vec<PlanEntry>) -> Result<Self, BadPlan> {
        if entries.is_empty() {
            return Err(BadPlan::Nothing);
        }
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].hours.is_none()) {
            return Err(BadPlan::Unreachable(pair[1].to_string(), pair[0].to_string()));
        }
        Ok(Self { entries })
    }

    /// Reads one limit or a list of them: `limits.bandwidth` of a task and of the daemon.
    pub fn read(table: &mut Table<'_, '_>, key: &str) -> Option<Self> {
        let entries = table.parsed_list(key)?;
        let name = table.full(key);
        Self::new(entries).map_err(|error| table.problem(Some(key), format!("{name}: {error}"))).ok()
    }

    /// Its limits, in order; never empty.
    #[must_use]
    pub fn entries(&self) -> &[PlanEntry] {
        &self.entries
    }
}

impl From<Rate> for BandwidthPlan {
    fn from(rate: Rate) -> Self {
        Self { entries: vec![PlanEntry { rate: Some(rate), hours: None }] }
    }
}

fn clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<u16>().ok()).flatten();
    let at = two(hours)? * 60 + two(minutes).filter(|m| *m < 60)?;
    (at <= DAY).then_some(at)
}

fn days(text: &str) -> Option<(u8, u8)> {
    let day = |name: &str| DAYS.iter().position(|d| d.eq_ignore_ascii_case(name)).and_then(|d| u8::try_from(d).ok());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((day(first)?, day(last)?))
}

impl FromStr for PlanEntry {
    type Err = BadPlan;
    fn from_str(text: &str) -> Result<Self, BadPlan> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let mut hours: Option<Hours> = None;
        if let Some(word) = words.pop_if(|word| word.contains(':')) {
            let (from, until) = word.split_once('-').ok_or_else(|| BadPlan::Hours(word.to_owned()))?;
            let (Some(from), Some(until)) = (clock(from).filter(|from| *from < DAY), clock(until)) else {
                return Err(BadPlan::Hours(word.to_owned()));
            };
            if from == until {
                return Err(BadPlan::Empty(word.to_owned()));
            }
            // midnight is the end of a day
            hours = Some(Hours { days: (0, 6), from, until: if until == 0 { DAY } else { until } });
        }
        // the unit of a rate can be a word of its own
        if words.len() > 1
            && let Some(word) =
                words.pop_if(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains('/') && !word.ends_with("ps"))
        {
            let days = days(word).ok_or_else(|| BadPlan::Days(word.to_owned()))?;
            hours = Some(Hours { days, ..hours.unwrap_or(Hours { days, from: 0, until: DAY }) });
        }
        let rate = words.join(" ");
        let rate = if rate.eq_ignore_ascii_case("off") { None } else { Some(rate.parse()?) };
        Ok(Self { rate, hours })
    }
}

impl FromStr for BandwidthPlan {
    type Err = BadPlan;
    /// Limits with commas between them.
    fn from_str(text: &str) -> Result<Self, BadPlan> {
        Self::new(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for PlanEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "{rate}")?,
            None => f.write_str("off")?,
        }
        self.hours.map_or(Ok(()), |hours| write!(f, " {hours}"))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (usize::from(self.days.0), usize::from(self.days.1));
        let whole_day = (self.from, self.until) == (0, DAY);
        match (first, last) {
            (0, 6) if !whole_day => {}
            (first, last) if first == last => f.write_str(DAYS[first])?,
            (first, last) => write!(f, "{}-{}", DAYS[first], DAYS[last])?,
        }
        if whole_day {
            return Ok(());
        }
        let gap = if (first, last) == (0, 6) { "" } else { " " };
        write!(f, "{gap}{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.until / 60, self.until % 60)
    }
}

impl fmt::Display for BandwidthPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.entries.iter().map(ToString::to_string).collect();
        f.pad(&all.join(", "))
    }
}

/// As it stands in files and records.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Written> for BandwidthPlan {
    type Error = BadPlan;
    fn try_from(written: Written) -> Result<Self, BadPlan> {
        match written {
            Written::One(text) => text.parse(),
            Written::Several(texts) => Self::new(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?),
        }
    }
}

impl From<BandwidthPlan> for Written {
    fn from(plan: BandwidthPlan) -> Self {
        match plan.entries.as_slice() {
            [one] => Self::One(one.to_string()),
            several => Self::Several(several.iter().map(ToString::to_string).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_text() {
        for (text, written) in [
            ("200MB/s", "200MB/s"),
            ("off", "off"),
            ("8 kbps", "8kB/s"),
            ("200 MB/s 08:00-18:00", "200MB/s 08:00-18:00"),
            ("10Gbit/s Mon-Fri 08:00-18:30", "1250MB/s mon-fri 08:00-18:30"),
            ("OFF fri 22:00-06:00", "off fri 22:00-06:00"),
            ("1GB/s sat-sun", "1GB/s sat-sun"),
            ("1GB/s sat-mon 18:00-00:00", "1GB/s sat-mon 18:00-24:00"),
            ("1GB/s mon-sun", "1GB/s mon-sun"),
            ("1GB/s 00:00-24:00", "1GB/s mon-sun"),
        ] {
            let entry: PlanEntry = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(entry.to_string(), written);
            assert_eq!(written.parse(), Ok(entry), "{written}");
        }
    }

    #[test]
    fn mistakes_are_named_with_the_way_out() {
        for (text, words) in [
            ("fast", "\"fast\" is not a rate: write it like 800MB/s or 10Gbit/s, and more than 0; or \"off\" for no limit"),
            ("0MB/s", "more than 0"),
            ("200MB/s 8:00-18:00", "\"8:00-18:00\" are no hours: write them like 08:00-18:00"),
            ("200MB/s 08:00", "\"08:00\" are no hours"),
            ("200MB/s 08:60-18:00", "are no hours"),
            ("200MB/s 24:00-08:00", "are no hours"),
            ("200MB/s 08:00-24:01", "are no hours"),
            ("200MB/s 08:00-08:00", "begin when they end"),
            ("200MB/s 00:00-00:00", "begin when they end"),
            ("200MB/s moon-fri 08:00-18:00", "\"moon-fri\" are no days: write them like mon-fri or sat"),
            ("08:00-18:00", "\"\" is not a rate"),
            ("", "\"\" is not a rate"),
            ("200MB/s, 100MB/s 08:00-18:00", "\"100MB/s 08:00-18:00\" never holds: \"200MB/s\" in front of it has no hours"),
        ] {
            let bad = text.parse::<BandwidthPlan>().expect_err(text).to_string();
            assert!(bad.contains(words), "{text}: {bad}");
        }
        assert_eq!(BandwidthPlan::new(Vec::new()), Err(BadPlan::Nothing));
    }

    #[test]
    fn one_rate_is_stored_as_ever_and_several_as_a_list() {
        for (text, json) in [("800MB/s", "\"800MB/s\""), ("1MB/s 08:00-18:00, off", "[\"1MB/s 08:00-18:00\",\"off\"]")] {
            let plan: BandwidthPlan = text.parse().expect(text);
            assert_eq!(serde_json::to_string(&plan).expect("json"), json);
            assert_eq!(serde_json::from_str::<BandwidthPlan>(json).expect("back"), plan);
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
        assert_eq!("800MB/s".parse(), Ok(BandwidthPlan::from(Rate(800_000_000))));
        let bad = serde_json::from_str::<BandwidthPlan>("[]").expect_err("nothing");
        assert!(bad.to_string().contains("no limit is written"), "{bad}");
    }

    #[test]
    fn days_go_around_the_week() {
        let hours = |text: &str| text.parse::<PlanEntry>().expect(text).hours.expect("hours");
        let on = |text: &str| (0..7).filter(|day| hours(text).begin_on(*day)).collect::<Vec<u8>>();
        assert_eq!(on("1MB/s mon-fri"), [0, 1, 2, 3, 4]);
        assert_eq!(on("1MB/s sat-mon"), [0, 5, 6]);
        assert_eq!(on("1MB/s 08:00-18:00"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(on("1MB/s wed 22:00-06:00"), [2]);
        assert!(hours("1MB/s 22:00-06:00").over_midnight() && !hours("1MB/s 18:00-00:00").over_midnight());
    }
}
