//! `dth wait`: until a run has ended, through lost connections and restarts of the daemon.

use std::{cell::Cell, time::Duration};

use dth_proto::{
    id::TaskName,
    service::DthClient,
    time::Span,
    units,
    view::{RunOutcome, RunView},
    wire,
};
use tokio::time::{Instant, timeout_at};

use super::{Caller, CommandError, cell};
use crate::{
    exit,
    sanitise::sanitise,
    session::{Session, SessionError},
};

/// How much later than the deadline a daemon that stopped answering is given up.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, timeout: Option<Span>) -> Result<u8, CommandError> {
    // a span beyond the clock's range is no deadline
    let deadline = timeout.and_then(|span| Instant::now().checked_add(span.0));
    let mut session = caller.connect().await?;
    let mut last: Option<RunView> = None;
    loop {
        let lost = |error: &SessionError| {
            // waiting goes on whether or not somebody reads this
            let _ = writeln!(caller.err, "{}", super::lost(error));
        };
        let left = deadline.map_or(wire::MAX_WAIT, |end| end.saturating_duration_since(Instant::now()).min(wire::MAX_WAIT));
        // the first question, and the first after a lost connection, only asks which run it is: by then another may be going
        let wait = Cell::new(if last.is_some() { left } else { Duration::ZERO });
        let poll = session.call_patiently(deadline, lost, |client| poll(client, task.clone(), wait.take()));
        let polled = match deadline.and_then(|end| end.checked_add(GRACE)) {
            Some(end) => timeout_at(end, poll).await.ok(),
            None => Some(poll.await),
        };
        let mut view = match polled {
            Some(Ok(view)) => view,
            Some(Err(error)) if !error.may_pass() => return Err(error.into()),
            // out of time while the daemon was away
            Some(Err(_)) | None => return timed_out(caller, task, timeout, last.as_ref()),
        };
        if let Some(known) = last.as_ref().filter(|known| known.run != view.run) {
            // a newer run began while we were away: the one that was waited for has ended
            view = earlier(&mut session, task, known.run).await?.unwrap_or(view);
        }
        if let Some(outcome) = view.outcome {
            caller.output.document(&view)?;
            caller.output.line(&sentence(&view))?;
            return Ok(if outcome == RunOutcome::Succeeded { exit::OK } else { exit::FAILED });
        }
        last = Some(view);
        if deadline.is_some_and(|end| Instant::now() >= end) {
            return timed_out(caller, task, timeout, last.as_ref());
        }
    }
}

async fn poll(
    client: DthClient,
    task: TaskName,
    wait: Duration,
) -> Result<Result<RunView, dth_proto::error::ApiError>, tarpc::client::RpcError> {
    client.wait_run(wire::deadline_after(wait), task, wire::millis(wait)).await
}

async fn earlier(session: &mut Session, task: &TaskName, run: u32) -> Result<Option<RunView>, SessionError> {
    let runs = session
        .call(|client| {
            let task = task.clone();
            async move { client.runs(wire::context(), task, run.checked_add(1), 1).await }
        })
        .await?;
    Ok(runs.into_iter().find(|view| view.run == run))
}

fn timed_out(caller: &mut Caller<'_>, task: &TaskName, timeout: Option<Span>, last: Option<&RunView>) -> Result<u8, CommandError> {
    let after = timeout.map_or_else(String::new, |span| format!(" after {span}"));
    let state = match last {
        Some(view) => format!("run {} of {task} is {}{after}", view.run, going(view)),
        None => format!("the run of {task} is not known{after}: dthd did not answer"),
    };
    writeln!(caller.err, "dth: {}", sanitise(&state))?;
    if let Some(view) = last {
        caller.output.document(view)?;
    }
    Ok(exit::TIMED_OUT)
}

fn going(view: &RunView) -> String {
    match view.started {
        None => "still queued".to_owned(),
        Some(_) => {
            let c = &view.counters;
            format!("still going: {} of {} left", units::grouped(c.pending), cell::plural(c.listed, "item"))
        }
    }
}

/// `photos run 3: succeeded, 7 of 9 items copied (1.25 GB) in 4m 10s, 0 failed`.
fn sentence(view: &RunView) -> String {
    let c = &view.counters;
    let why = view.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!(
        "{} run {}: {}, {} of {} copied ({}) in {}, {} failed{why}",
        view.task,
        view.run,
        cell::outcome(view),
        units::grouped(c.copied),
        cell::plural(c.listed, "item"),
        units::bytes(c.bytes_copied),
        cell::seconds(view.duration_s),
        units::grouped(c.failed),
    )
}
