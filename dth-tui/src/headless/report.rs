//! `dth report`: all records of a run, written to a file page by page.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use dth_proto::{
    id::TaskName,
    report::Format,
    view::{ItemsRequest, RunView},
    wire,
};

use super::{Caller, CommandError, cell};
use crate::{
    exit,
    session::{Session, SessionError},
};

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
        pages(&mut session, task, &run, format, caller.output.writer()).await?;
        return Ok(exit::OK);
    }
    let failed = |source: io::Error| CommandError::File { verb: "write", file: to.to_string_lossy().into_owned(), source };
    // who finds the file finds all of it
    let part = partial(to);
    let file = BufWriter::new(fs::File::create(&part).map_err(failed)?);
    let count = match pages(&mut session, task, &run, format, file).await {
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

async fn pages(session: &mut Session, task: &TaskName, run: &RunView, format: Format, mut out: impl Write) -> Result<u64, CommandError> {
    format.head(run, &mut out)?;
    let mut count: u64 = 0;
    let mut after = None;
    loop {
        let request = ItemsRequest { run: Some(run.run), outcome: None, prefix: None, after, limit: wire::PAGE };
        let reply = ask(session, task, &request).await?;
        format.items(&reply.items, &mut out)?;
        count += reply.items.len() as u64;
        after = reply.next;
        if after.is_none() {
            out.flush()?;
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
    use super::*;

    #[test]
    fn the_form_is_that_of_the_extension() {
        for (name, format) in [("a.csv", Some(Format::Csv)), ("a.NDJSON", Some(Format::Ndjson)), ("a.txt", None), ("-", None)] {
            assert_eq!(form(Path::new(name), None).ok(), format, "{name}");
            assert_eq!(form(Path::new(name), Some(Format::Csv)).ok(), Some(Format::Csv));
        }
    }
}
