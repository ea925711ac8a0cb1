//! `dth verify`: whether both ends are equal.

use dth_proto::{
    id::TaskName,
    spec::Job,
    units,
    view::{RunKind, RunOutcome, RunView},
};

use super::{Caller, CommandError, cell, plan};
use crate::exit;

/// Differences that are shown; `dth items --outcome planned` has all of them.
const SHOWN: usize = 20;

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, wait: bool) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let run = plan::begin(&mut session, task, RunKind::Verify).await?;
    if !wait {
        caller.output.line(&format!("queued run {run} of {task}, which verifies; dth wait {task} waits for its end"))?;
        return Ok(exit::OK);
    }
    let reply = plan::ended(&mut session, task, run).await?;
    let Some(view) = &reply.detail.view.run else { return Ok(exit::FAILED) };
    caller.output.document(view)?;
    caller.output.line(&sentence(view))?;
    if caller.output.is_table() && view.counters.planned + view.counters.to_delete > 0 {
        let items = plan::first(&mut session, task, run, SHOWN).await?;
        caller.output.raw(&plan::planned(&items, matches!(reply.detail.spec.job, Job::Image(_))))?;
    }
    Ok(if view.outcome == Some(RunOutcome::Succeeded) { exit::OK } else { exit::FAILED })
}

/// `photos run 4: different: 3 of 9 items, 1 item only at the destination; 0 failed`.
fn sentence(view: &RunView) -> String {
    let c = &view.counters;
    let (task, run) = (&view.task, view.run);
    let only = if c.to_delete > 0 { format!(", {} only at the destination", cell::plural(c.to_delete, "item")) } else { String::new() };
    match (view.outcome, c.planned + c.to_delete) {
        (Some(RunOutcome::Succeeded), _) => {
            format!("{task} run {run}: equal: {} compared, {} skipped", cell::plural(c.same, "item"), units::grouped(c.skipped))
        }
        (Some(RunOutcome::Incomplete), 1..) => {
            let (n, of, failed) = (units::grouped(c.planned), cell::plural(c.listed, "item"), units::grouped(c.failed));
            format!("{task} run {run}: different: {n} of {of}{only}; {failed} failed")
        }
        _ => {
            let why = view.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            format!("{task} run {run}: {}, {} failed{why}", cell::outcome(view), units::grouped(c.failed))
        }
    }
}
