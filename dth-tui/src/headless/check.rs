//! `dth check`: the daemon tries both ends of a task, and we tell what it found.

use std::path::Path;

use dth_proto::{
    check::{CheckReply, CheckState, CheckStep},
    id::{RequestId, TaskName},
    spec::TaskSpec,
    wire,
};

use super::{
    Caller, CommandError,
    output::{Format, Row},
    show,
    table::{Align, Column},
    task_file,
};
use crate::{exit, session::Session};

impl Row for CheckStep {
    // steps are shown as they come: titles as wide as the longest word keep the columns straight from the first line on
    const COLUMNS: &'static [Column] =
        &[("STATE ", Align::Left), ("SIDE       ", Align::Left), ("STEP      ", Align::Left), ("FOUND", Align::Left)];

    fn cells(&self) -> Vec<String> {
        let state = match self.state {
            CheckState::Ok => "ok",
            CheckState::Warn => "WARN",
            CheckState::Failed => "FAILED",
            CheckState::Running => "not finished",
        };
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; hint: {hint}"));
        vec![state.to_owned(), self.side.word().to_owned(), self.name.clone(), format!("{}{hint}", self.message)]
    }
}

pub(super) async fn task(caller: &mut Caller<'_>, task: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let detail = show::detail(&mut session, task).await?;
    run(caller, &mut session, &detail.spec).await
}

pub(super) async fn file(caller: &mut Caller<'_>, file: &Path) -> Result<u8, CommandError> {
    let spec = task_file::read(caller, file)?;
    let mut session = caller.connect().await?;
    run(caller, &mut session, &spec).await
}

async fn run(caller: &mut Caller<'_>, session: &mut Session, spec: &TaskSpec) -> Result<u8, CommandError> {
    let job = session
        .call(|client| {
            let spec = spec.clone();
            async move { client.check_start(wire::context(), spec).await }
        })
        .await?;
    follow(caller, session, job).await
}

/// `dth setup-events`: the daemon changes the source's notifications, step by step.
pub(super) async fn setup_events(caller: &mut Caller<'_>, task: &TaskName, policy: bool) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let id = RequestId::random();
    let job = session
        .call(|client| {
            let (id, task) = (id.clone(), task.clone());
            async move { client.setup_events(wire::context(), id, task, policy).await }
        })
        .await?;
    follow(caller, &mut session, job).await
}

/// Shows the steps of a job as they end.
async fn follow(caller: &mut Caller<'_>, session: &mut Session, job: u64) -> Result<u8, CommandError> {
    let whole = caller.output.format() == Format::Json;
    let mut list = caller.output.list();
    let mut shown = 0;
    let reply = loop {
        let seen = u32::try_from(shown).unwrap_or(u32::MAX);
        let wait = wire::MAX_WAIT;
        let reply = session
            .call(|client| async move {
                let max_wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                client.check_poll(wire::deadline_after(wait), job, seen, max_wait_ms).await
            })
            .await?;
        let ended = ended(&reply).max(shown);
        if !whole {
            list.page(&reply.steps[shown..ended])?;
        }
        shown = ended;
        if reply.done {
            break reply;
        }
    };
    if whole {
        caller.output.document(&reply)?;
    } else {
        list.finish()?;
    }
    Ok(if reply.passed() { exit::OK } else { exit::FAILED })
}

/// How many steps, from the first, will not change any more.
fn ended(reply: &CheckReply) -> usize {
    if reply.done {
        return reply.steps.len();
    }
    reply.steps.iter().position(|step| step.state == CheckState::Running).unwrap_or(reply.steps.len())
}
