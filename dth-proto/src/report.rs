//! Reports of runs: all records of one, in a form that other programs read. Who writes one hands over page after page, and holds one at a time.

use std::{
    io::{self, Write},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::view::{ItemView, RunView};

/// The form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line; the first has the run's figures.
    #[default]
    Ndjson,
    /// A header, and one line per record (RFC 4180).
    Csv,
}

/// The first line of ndjson.
#[derive(Serialize)]
struct Summary<'a> {
    report: &'a RunView,
}

/// A record as a line of csv: always the same columns.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    size: u64,
    outcome: &'a str,
    at: String,
    tries: u32,
    reason: &'a str,
    verified: &'a str,
    source_etag: &'a str,
    destination_etag: &'a str,
    class: &'a str,
    side: &'a str,
    message: &'a str,
}

/// Of csv, in the order of [`Line`].
const COLUMNS: [&str; 12] =
    ["key", "size", "outcome", "at", "tries", "reason", "verified", "source_etag", "destination_etag", "class", "side", "message"];

impl Format {
    /// Both, with their words, which are extensions of file names as well.
    pub const ALL: [(&str, Self); 2] = [("ndjson", Self::Ndjson), ("csv", Self::Csv)];

    /// As in [`Format::ALL`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// As HTTP calls it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Writes what comes before the records.
    ///
    /// # Errors
    /// Of `out`.
    pub fn head(self, run: &RunView, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Ndjson => {
                serde_json::to_writer(&mut out, &Summary { report: run })?;
                out.write_all(b"\n")
            }
            Self::Csv => {
                let mut lines = lines(out);
                lines.write_record(COLUMNS)?;
                lines.flush()
            }
        }
    }

    /// Writes records.
    ///
    /// # Errors
    /// Of `out`.
    pub fn items(self, items: &[ItemView], mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Ndjson => {
                for item in items {
                    serde_json::to_writer(&mut out, item)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            }
            Self::Csv => {
                let mut lines = lines(out);
                for item in items {
                    lines.serialize(line(item))?;
                }
                lines.flush()
            }
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|(word, _)| *word == text);
        known.map(|(_, format)| format).ok_or_else(|| format!("{text:?} is not a form of reports: ndjson or csv"))
    }
}

fn lines<W: Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().has_headers(false).from_writer(out)
}

fn line(item: &ItemView) -> Line<'_> {
    Line {
        key: &item.key,
        size: item.size,
        outcome: &item.outcome,
        at: item.at.to_string(),
        tries: item.tries,
        reason: item.reason.as_deref().unwrap_or_default(),
        verified: item.verified.as_deref().unwrap_or_default(),
        source_etag: item.source_etag.as_deref().unwrap_or_default(),
        destination_etag: item.destination_etag.as_deref().unwrap_or_default(),
        class: item.class.map_or("", |class| class.word()),
        side: item.side.map_or("", |side| side.word()),
        message: item.message.as_deref().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        failure::{FailureClass, Side},
        id::TaskName,
        time::Timestamp,
        view::{Counters, RunKind},
    };

    fn run_view() -> RunView {
        RunView {
            task: TaskName::new("t").expect("good name"),
            run: 3,
            kind: RunKind::Copy,
            outcome: None,
            started: None,
            ended: None,
            duration_s: 0.0,
            counters: Counters { listed: 2, copied: 1, failed: 1, ..Counters::default() },
            bytes_per_s: 0,
            listing_done: true,
            cause: String::new(),
            error: None,
        }
    }

    fn item(key: &str) -> ItemView {
        ItemView {
            key: key.to_owned(),
            size: 5,
            outcome: "failed".to_owned(),
            at: Timestamp(0),
            tries: 1,
            reason: None,
            verified: None,
            source_etag: None,
            destination_etag: None,
            class: Some(FailureClass::Auth),
            side: Some(Side::Source),
            message: Some("no\nway".to_owned()),
        }
    }

    fn written(format: Format) -> String {
        let mut text = Vec::new();
        format.head(&run_view(), &mut text).expect("memory");
        for key in ["a,b", "c\"d\ne"] {
            format.items(&[item(key)], &mut text).expect("memory");
        }
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn csv_survives_every_key() {
        let text = written(Format::Csv);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), COLUMNS);
        let keys: Vec<String> = reader.records().map(|record| record.expect("a record")[0].to_owned()).collect();
        assert_eq!(keys, ["a,b", "c\"d\ne"]);
    }

    #[test]
    fn ndjson_begins_with_the_figures() {
        let text = written(Format::Ndjson);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((lines.len(), &lines[0]["report"]["listed"], &lines[2]["key"]), (3, &2.into(), &"c\"d\ne".into()));
    }
}
