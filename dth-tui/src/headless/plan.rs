//! `dth plan`: what a run would do, and what that would cost.

use std::{path::PathBuf, time::Duration};

use dth_proto::{
    id::TaskName,
    spec::{Job, TaskSpec},
    units,
    view::{Action, Cost, ItemView, ItemsRequest, PlanReply, PlannedRequests, RunKind, RunOutcome},
    wire,
};
use serde::Serialize;

use super::{
    Caller, CommandError, cell, show,
    table::{Align, Column, Table},
    task_file,
};
use crate::{
    exit,
    sanitise::sanitise,
    session::{Session, SessionError},
};

/// How long one question waits for the end of a plan.
const WAIT: Duration = Duration::from_secs(10);

/// What is planned; one of them is there.
pub(super) struct What {
    /// A task.
    pub(super) task: Option<TaskName>,
    /// A definition.
    pub(super) file: Option<PathBuf>,
}

/// What programs read.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    plan: &'a PlanReply,
    /// The first items, as many as were asked for.
    items: &'a [ItemView],
}

pub(super) async fn run(caller: &mut Caller<'_>, what: What, items: usize) -> Result<u8, CommandError> {
    if let Some(task) = &what.task {
        let mut session = caller.connect().await?;
        let run = begin(&mut session, task, RunKind::Plan).await?;
        let plan = ended(&mut session, task, run).await?;
        let items = first(&mut session, task, run, items).await?;
        return tell(caller, &plan, &items);
    }
    let spec = task_file::read(caller, &what.file.unwrap_or_else(|| "-".into()))?;
    let mut session = caller.connect().await?;
    let (hidden, run) = begin_spec(&mut session, &spec).await?;
    let mut plan = ended(&mut session, &hidden, run).await?;
    let items = first(&mut session, &hidden, run, items).await?;
    plan.detail.view.name = spec.name.clone();
    plan.detail.view.trigger = spec.trigger.as_ref().map_or_else(|| "manual".to_owned(), ToString::to_string);
    if let Some(run) = &mut plan.detail.view.run {
        run.task = spec.name.clone();
    }
    plan.detail.spec = spec;
    forget(&mut session, &hidden).await;
    tell(caller, &plan, &items)
}

/// Queues a run that changes nothing; answers with its number.
pub(super) async fn begin(session: &mut Session, task: &TaskName, kind: RunKind) -> Result<u32, SessionError> {
    let view = session
        .change(|client, id| {
            let task = task.clone();
            async move { client.begin(wire::context(), id, task, kind).await }
        })
        .await?;
    Ok(view.run.map_or(1, |run| run.run))
}

async fn begin_spec(session: &mut Session, spec: &TaskSpec) -> Result<(TaskName, u32), SessionError> {
    let view = session
        .change(|client, id| {
            let spec = spec.clone();
            async move { client.plan_spec(wire::context(), id, spec).await }
        })
        .await?;
    Ok((view.name, view.run.map_or(1, |run| run.run)))
}

/// Waits for the end of a run that changes nothing.
pub(super) async fn ended(session: &mut Session, task: &TaskName, run: u32) -> Result<PlanReply, SessionError> {
    loop {
        let reply = session
            .call(|client| {
                let task = task.clone();
                async move { client.plan(wire::deadline_after(WAIT), task, Some(run), wire::millis(WAIT)).await }
            })
            .await?;
        if reply.detail.view.run.as_ref().is_some_and(|run| run.outcome.is_some()) {
            return Ok(reply);
        }
    }
}

/// The daemon forgets a plan by itself as well, a little later.
async fn forget(session: &mut Session, name: &TaskName) {
    let _ = session
        .change(|client, id| {
            let name = name.clone();
            async move { client.control(wire::context(), id, name, Action::Delete, None).await }
        })
        .await;
}

/// The first planned items of a run.
pub(super) async fn first(session: &mut Session, task: &TaskName, run: u32, count: usize) -> Result<Vec<ItemView>, SessionError> {
    let mut items: Vec<ItemView> = Vec::new();
    let mut after = None;
    while items.len() < count {
        let limit = u32::try_from(count - items.len()).unwrap_or(u32::MAX).min(wire::PAGE);
        let request = ItemsRequest { run: Some(run), outcome: Some("planned".to_owned()), prefix: None, after, limit };
        let reply = session
            .call(|client| {
                let (task, request) = (task.clone(), request.clone());
                async move { client.items(wire::context(), task, request).await }
            })
            .await?;
        items.extend(reply.items);
        after = reply.next;
        if after.is_none() {
            break;
        }
    }
    Ok(items)
}

fn tell(caller: &mut Caller<'_>, plan: &PlanReply, items: &[ItemView]) -> Result<u8, CommandError> {
    caller.output.document(&Document { plan, items })?;
    if caller.output.is_table() {
        caller.output.raw(&text(plan, items))?;
    }
    let outcome = plan.detail.view.run.as_ref().and_then(|run| run.outcome);
    Ok(if outcome == Some(RunOutcome::Succeeded) { exit::OK } else { exit::FAILED })
}

/// The plan for people.
pub(super) fn text(plan: &PlanReply, items: &[ItemView]) -> String {
    const FIELDS: &[Column] = &[("", Align::Left), ("", Align::Left)];
    let detail = &plan.detail;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |label: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![label.to_owned(), value]);
        }
    };
    row("task", format!("{} ({})", detail.view.name, detail.view.engine));
    row("from", format!("{} ({})", detail.view.from, detail.view.from_where));
    row("to", format!("{} ({})", detail.view.to, detail.view.to_where));
    if let Some(run) = &detail.view.run {
        let c = &run.counters;
        row("outcome", format!("{} {}, {}", run.kind.word(), cell::outcome(run), cell::seconds(run.duration_s)));
        row("error", run.error.clone().unwrap_or_default());
        row("items", cell::accounting(c));
        row("to copy", format!("{}, {}", cell::plural(c.planned, "item"), units::bytes(c.bytes_planned)));
        row("because", show::counts(&detail.planned));
        row("to skip", show::counts(&detail.skipped));
        if c.to_delete > 0 {
            row("to delete", format!("{} that only the destination has", cell::plural(c.to_delete, "item")));
        }
    }
    let mut text = Table::bare(FIELDS).page(&rows);
    if !plan.requests.is_empty() {
        text.push('\n');
        text.push_str(&requests(&plan.requests));
    }
    if !plan.costs.is_empty() {
        text.push('\n');
        text.push_str(&costs(&plan.costs));
    }
    for line in &plan.unknown {
        text.push_str(&sanitise(&format!("not estimated: {line}")));
        text.push('\n');
    }
    if !items.is_empty() {
        text.push('\n');
        text.push_str(&planned(items, matches!(detail.spec.job, Job::Image(_))));
    }
    text
}

fn requests(requests: &[PlannedRequests]) -> String {
    const COLUMNS: &[Column] = &[("REQUESTS", Align::Right), ("SIDE", Align::Left), ("KIND", Align::Left)];
    let rows: Vec<_> =
        requests.iter().map(|one| vec![units::grouped(one.count), one.side.word().to_owned(), one.operation.clone()]).collect();
    Table::new(COLUMNS).page(&rows)
}

/// With the sum last; where a price is not known the sum is a floor.
fn costs(costs: &[Cost]) -> String {
    const COLUMNS: &[Column] = &[("USD", Align::Right), ("SIDE", Align::Left), ("FOR", Align::Left), ("AMOUNT", Align::Right)];
    let mut rows: Vec<_> = costs
        .iter()
        .map(|cost| {
            let amount = if cost.what == "transfer out" { units::bytes(cost.amount) } else { units::grouped(cost.amount) };
            vec![cost.usd.map_or_else(|| "?".to_owned(), usd), cost.side.word().to_owned(), cost.what.clone(), amount]
        })
        .collect();
    let known: f64 = costs.iter().filter_map(|cost| cost.usd).sum();
    let floor = if costs.iter().all(|cost| cost.usd.is_some()) { "" } else { ">= " };
    rows.push(vec![format!("{floor}{}", usd(known)), "all".to_owned(), String::new(), String::new()]);
    Table::new(COLUMNS).page(&rows)
}

fn usd(amount: f64) -> String {
    format!("{amount:.4}")
}

/// Items with their reasons.
pub(super) fn planned(items: &[ItemView], images: bool) -> String {
    const COLUMNS: &[Column] = &[("REASON", Align::Left), ("SIZE", Align::Right), ("KEY", Align::Left)];
    const IMAGES: &[Column] = &[("REASON", Align::Left), ("SIZE", Align::Right), ("IMAGE", Align::Left)];
    let rows: Vec<_> =
        items.iter().map(|item| vec![cell::or_nothing(item.reason.clone()), units::bytes(item.size), item.key.clone()]).collect();
    Table::new(if images { IMAGES } else { COLUMNS }).page(&rows)
}

#[cfg(test)]
mod tests {
    use dth_proto::failure::Side;

    use super::*;

    #[test]
    fn a_sum_of_what_is_known_is_a_floor() {
        let cost = |usd| Cost { side: Side::Source, what: "reads".to_owned(), amount: 7, price: usd, usd };
        assert!(costs(&[cost(Some(0.5)), cost(Some(0.25))]).contains("\n0.7500  all"));
        assert!(costs(&[cost(Some(0.5)), cost(None)]).contains(">= 0.5000  all"));
    }
}
