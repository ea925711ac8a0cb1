//! `dth report`: all records of a run, written to a file page by page.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use dth_proto::{
    id::TaskName,
    view::{ItemView, ItemsRequest, RunView},
    wire,
};
use serde::Serialize;

use super::{Caller, CommandError, cell};
use crate::{
    exit,
    session::{Session, SessionError},
};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line; the first has the run's figures.
    Ndjson,
    /// A header, and one line per record.
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

/// Writes records in one form; holds one of them at a time.
enum Sink<W: Write> {
    Ndjson(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Sink<W> {
    fn begin(format: Format, mut out: W, run: &RunView) -> io::Result<Self> {
        match format {
            Format::Ndjson => {
                serde_json::to_writer(&mut out, &Summary { report: run })?;
                out.write_all(b"\n")?;
                Ok(Self::Ndjson(out))
            }
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
                writer.write_record(COLUMNS)?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    fn item(&mut self, item: &ItemView) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => {
                serde_json::to_writer(&mut *out, item)?;
                out.write_all(b"\n")
            }
            Self::Csv(out) => Ok(out.serialize(line(item))?),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Ndjson(mut out) => {
                out.flush()?;
                Ok(out)
            }
            Self::Csv(out) => out.into_inner().map_err(csv::IntoInnerError::into_error),
        }
    }
}

/// Of csv, in the order of [`Line`].
const COLUMNS: [&str; 12] =
    ["key", "size", "outcome", "at", "tries", "reason", "verified", "source_etag", "destination_etag", "class", "side", "message"];

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

pub(super) async fn run(
    caller: &mut Caller<'_>,
    task: &TaskName,
    run: Option<u32>,
    to: &Path,
    format: Option<Format>,
) -> Result<u8, CommandError> {
    let format = form(to, format)?;
    let mut session = caller.connect().await?;
    let run = figures(&mut session, task, run).await?;
    if to == Path::new("-") {
        pages(&mut session, task, &run, Sink::begin(format, caller.output.writer(), &run)?).await?;
        return Ok(exit::OK);
    }
    let failed = |source: io::Error| CommandError::File { verb: "write", file: to.to_string_lossy().into_owned(), source };
    // who finds the file finds all of it
    let part = partial(to);
    let file = BufWriter::new(fs::File::create(&part).map_err(failed)?);
    let written = async {
        let sink = Sink::begin(format, file, &run).map_err(failed)?;
        pages(&mut session, task, &run, sink).await
    };
    let count = match written.await {
        Ok(count) => count,
        Err(error) => {
            // what is incomplete helps nobody
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    fs::rename(&part, to).map_err(failed)?;
    caller.output.line(&format!("{} of run {} of {task} in {}", cell::plural(count, "record"), run.run, to.display()))?;
    Ok(exit::OK)
}

/// The form that is asked for, else that of the extension.
fn form(to: &Path, format: Option<Format>) -> Result<Format, CommandError> {
    if let Some(format) = format {
        return Ok(format);
    }
    match to.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        Some("csv") => Ok(Format::Csv),
        _ => {
            let message = format!("--to {}: the form is not clear: name the file .ndjson or .csv, or use --format", to.display());
            Err(CommandError::Usage(message))
        }
    }
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// A run with its figures; `None`: the newest.
async fn figures(session: &mut Session, task: &TaskName, run: Option<u32>) -> Result<RunView, CommandError> {
    let before = run.and_then(|run| run.checked_add(1));
    let runs = session
        .call(|client| {
            let task = task.clone();
            async move { client.runs(wire::context(), task, before, 1).await }
        })
        .await?;
    let found = runs.into_iter().find(|found| run.is_none_or(|run| run == found.run));
    found.ok_or_else(|| {
        let which = run.map_or_else(|| format!("{task} has never run"), |run| format!("{task} has no run {run}"));
        CommandError::Usage(format!("{which}: dth runs {task} shows all"))
    })
}

async fn pages<W: Write>(session: &mut Session, task: &TaskName, run: &RunView, mut sink: Sink<W>) -> Result<u64, CommandError> {
    let mut count: u64 = 0;
    let mut after = None;
    loop {
        let request = ItemsRequest { run: Some(run.run), outcome: None, prefix: None, after, limit: wire::PAGE };
        let reply = ask(session, task, &request).await?;
        for item in &reply.items {
            sink.item(item)?;
        }
        count += reply.items.len() as u64;
        after = reply.next;
        if after.is_none() {
            sink.finish()?;
            return Ok(count);
        }
    }
}

async fn ask(session: &mut Session, task: &TaskName, request: &ItemsRequest) -> Result<dth_proto::view::ItemsReply, SessionError> {
    session
        .call(|client| {
            let (task, request) = (task.clone(), request.clone());
            async move { client.items(wire::context(), task, request).await }
        })
        .await
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        failure::{FailureClass, Side},
        time::Timestamp,
        view::{Counters, RunKind},
    };

    use super::*;

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
        let mut sink = Sink::begin(format, Vec::new(), &run_view()).expect("memory");
        for key in ["a,b", "c\"d\ne"] {
            sink.item(&item(key)).expect("memory");
        }
        String::from_utf8(sink.finish().expect("memory")).expect("text")
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

    #[test]
    fn the_form_is_that_of_the_extension() {
        for (name, format) in [("a.csv", Some(Format::Csv)), ("a.NDJSON", Some(Format::Ndjson)), ("a.txt", None), ("-", None)] {
            assert_eq!(form(Path::new(name), None).ok(), format, "{name}");
            assert_eq!(form(Path::new(name), Some(Format::Csv)).ok(), Some(Format::Csv));
        }
    }
}
