//! `dth show`: one task with its last run.

use dth_proto::{
    failure::FailureGroup,
    id::TaskName,
    units,
    view::{Phase, RunKind, RunView, TaskDetail},
    wire,
};

use super::{
    Caller, CommandError, cell,
    table::{Align, Column, Table},
};
use crate::{
    exit,
    session::{Session, SessionError},
};

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let detail = detail(&mut session, task).await?;
    caller.output.document(&detail)?;
    if caller.output.is_table() {
        caller.output.raw(&text(&detail))?;
    }
    Ok(exit::OK)
}

/// One task in full.
pub(super) async fn detail(session: &mut Session, task: &TaskName) -> Result<TaskDetail, SessionError> {
    session
        .call(|client| {
            let task = task.clone();
            async move { client.task(wire::context(), task).await }
        })
        .await
}

fn text(detail: &TaskDetail) -> String {
    const FIELDS: &[Column] = &[("", Align::Left), ("", Align::Left)];
    let task = &detail.view;
    let mut rows = Vec::new();
    let mut row = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![label.to_owned(), value]);
        }
    };
    row("task", format!("{} ({})", task.name, task.engine));
    row("state", task.word.clone());
    row("note", task.note.clone());
    row("about", detail.spec.description.clone());
    row("from", format!("{} ({})", task.from, task.from_where));
    row("to", format!("{} ({})", task.to, task.to_where));
    row("labels", task.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", "));
    row("trigger", task.trigger.clone());
    row("next", task.next_run.map_or_else(String::new, cell::time));
    row("created", format!("{} by {}", cell::time(task.created), task.created_by));
    if let Some(run) = &task.run {
        row("run", run_line(run));
        row("because", run.cause.clone());
        row("error", run.error.clone().unwrap_or_default());
        row("items", items(run));
        row("bytes", bytes(run));
        row("requests", format!("{}, {} of them again", units::grouped(run.counters.requests), units::grouped(run.counters.retries)));
        row("rate", cell::rate(task).unwrap_or_default());
        row("eta", cell::eta(task).unwrap_or_default());
        row("planned", counts(&detail.planned));
        row("skipped", counts(&detail.skipped));
        row("verified", counts(&detail.verified));
    }
    let mut text = Table::bare(FIELDS).page(&rows);
    if !detail.phases.is_empty() {
        text.push('\n');
        text.push_str(&phases(&detail.phases));
    }
    if !detail.failures.is_empty() {
        text.push('\n');
        text.push_str(&failures(&detail.failures));
    }
    text
}

fn run_line(run: &RunView) -> String {
    let started = run.started.map_or_else(String::new, |at| format!(", started {}", cell::time(at)));
    let ended = run.ended.map_or_else(String::new, |at| format!(", ended {}", cell::time(at)));
    let kind = if run.kind == RunKind::Copy { String::new() } else { format!(" ({})", run.kind.word()) };
    format!("{}{kind}: {}{started}{ended}, {} at work", run.run, cell::outcome(run), cell::seconds(run.duration_s))
}

fn items(run: &RunView) -> String {
    let deleted = if run.counters.deleted > 0 { format!("; {} deleted", units::grouped(run.counters.deleted)) } else { String::new() };
    let delete = if run.counters.to_delete > 0 { format!("; {} to delete", units::grouped(run.counters.to_delete)) } else { String::new() };
    let floor = if run.listing_done { "" } else { "so far " };
    format!("{floor}{}{deleted}{delete}", cell::accounting(&run.counters))
}

fn bytes(run: &RunView) -> String {
    let c = &run.counters;
    format!(
        "{} of {} done, {} copied, {} on average",
        units::bytes(c.bytes_done),
        units::bytes(c.bytes_listed),
        units::bytes(c.bytes_copied),
        units::rate(run.bytes_per_s)
    )
}

pub(super) fn counts(by_word: &std::collections::BTreeMap<String, u64>) -> String {
    by_word.iter().map(|(word, n)| format!("{} {word}", units::grouped(*n))).collect::<Vec<_>>().join(", ")
}

fn phases(phases: &[Phase]) -> String {
    const COLUMNS: &[Column] =
        &[("PHASE", Align::Left), ("DONE", Align::Right), ("OF", Align::Right), ("UNIT", Align::Left), ("STATE", Align::Left)];
    let amount = |phase: &Phase, n| if phase.unit == "bytes" { units::bytes(n) } else { units::grouped(n) };
    let rows: Vec<_> = phases
        .iter()
        .map(|p| {
            let state = if p.finished { "finished" } else { "" };
            // before the end of a listing nobody knows
            let total = if p.total == 0 && !p.finished { "-".to_owned() } else { amount(p, p.total) };
            vec![p.name.clone(), amount(p, p.done), total, p.unit.clone(), state.to_owned()]
        })
        .collect();
    Table::new(COLUMNS).page(&rows)
}

fn failures(groups: &[FailureGroup]) -> String {
    const COLUMNS: &[Column] = &[
        ("FAILED", Align::Right),
        ("CLASS", Align::Left),
        ("CODE", Align::Left),
        ("SIDE", Align::Left),
        ("OPERATION", Align::Left),
        ("HINT", Align::Left),
    ];
    let rows: Vec<_> = groups
        .iter()
        .map(|g| {
            let [class, side] = [g.class.word(), g.side.word()].map(str::to_owned);
            vec![units::grouped(g.count), class, g.code.clone(), side, g.operation.clone(), g.hint.clone().unwrap_or_default()]
        })
        .collect();
    Table::new(COLUMNS).page(&rows)
}
