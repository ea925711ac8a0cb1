//! `dth import`: definitions of AWS Data Transfer Hub become task files. Nothing is asked of a daemon.

use std::{fs::OpenOptions, io::Write, path::Path};

use serde::Serialize;

use super::{
    Caller, CommandError,
    output::Row,
    table::{Align, Column},
    task_file,
};
use crate::{
    exit,
    import::{self, Extra, Fate, Outcome, Parameter},
    sanitise::sanitise_lines,
};

impl Row for Parameter {
    const COLUMNS: &'static [Column] = &[("PARAMETER", Align::Left), ("VALUE", Align::Left), ("BECOMES", Align::Left)];

    fn cells(&self) -> Vec<String> {
        let value = if self.is_default && !self.value.is_empty() { format!("{} (default)", self.value) } else { self.value.clone() };
        let fate = match &self.fate {
            Fate::Becomes(what) => what.clone(),
            Fate::NotNeeded(why) => format!("not needed: {why}"),
            Fate::ToDo(what) => format!("TO DO: {what}"),
            Fate::Unknown(why) => format!("UNKNOWN: {why}"),
        };
        vec![self.name.clone(), value, fate]
    }
}

/// A definition and what it has become, for programs.
#[derive(Serialize)]
struct Answer<'a> {
    definition: &'a str,
    tasks: Vec<&'a str>,
    parameters: &'a [Parameter],
    dthd_toml: &'a str,
}

/// What was asked for.
pub(super) struct Which<'a> {
    /// The definitions; `-` is standard input.
    pub(super) file: &'a Path,
    /// Where the task files go; `None`: to standard output.
    pub(super) out: Option<&'a Path>,
    /// See [`Extra`].
    pub(super) queue: Option<String>,
}

/// 1 when a parameter is unknown: something of the definition is lost.
pub(super) fn run(caller: &mut Caller<'_>, which: &Which<'_>) -> Result<u8, CommandError> {
    let (name, text) = task_file::text(caller, which.file)?;
    let outcomes = import::import(&name, &text, &Extra { queue: which.queue.clone() })?;
    if let Some(dir) = which.out {
        for task in outcomes.iter().flat_map(|outcome| &outcome.tasks) {
            write(&dir.join(format!("{}.toml", task.spec.name)), &task.toml)?;
        }
    }
    for outcome in &outcomes {
        show(caller, outcome, which.out)?;
    }
    let unknown = outcomes.iter().flat_map(|outcome| &outcome.parameters).any(|parameter| matches!(parameter.fate, Fate::Unknown(_)));
    Ok(if unknown { exit::FAILED } else { exit::OK })
}

/// A file that is there already is somebody's work.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source| CommandError::File { verb: "write", file: path.display().to_string(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn show(caller: &mut Caller<'_>, outcome: &Outcome, out: Option<&Path>) -> Result<(), CommandError> {
    if !caller.output.is_table() {
        let tasks = outcome.tasks.iter().map(|task| task.toml.as_str()).collect();
        let Outcome { definition, parameters, snippet, .. } = outcome;
        return Ok(caller.output.document(&Answer { definition, tasks, parameters, dthd_toml: snippet })?);
    }
    // as comments, so that what comes out can go into a file as it is
    let mut table = super::table::Table::new(Parameter::COLUMNS);
    let cells: Vec<_> = outcome.parameters.iter().map(Row::cells).collect();
    let mut text = format!("# {}\n", outcome.definition);
    text.extend(table.page(&cells).lines().map(|line| format!("#   {line}\n")));
    if !outcome.snippet.is_empty() {
        text.push_str("#\n# for dthd.toml:\n#\n");
        text.extend(outcome.snippet.lines().map(|line| format!("#   {line}\n")));
    }
    for task in &outcome.tasks {
        match out {
            Some(dir) => text.push_str(&format!("#\n# written to {}\n", dir.join(format!("{}.toml", task.spec.name)).display())),
            None => text.push_str(&format!("\n{}", task.toml)),
        }
    }
    Ok(caller.output.raw(&sanitise_lines(&text))?)
}
