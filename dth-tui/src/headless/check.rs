//! `dth check`: the daemon tries both ends of a task, and we tell what it found.

use std::path::Path;

use dth_proto::{
    check::{CheckReply, CheckState, CheckStep},
    id::TaskName,
    service::DthClient,
    spec::TaskSpec,
    wire,
};

use super::{
    Caller, CommandError,
    follow::{self, Progress, Question},
    output::Row,
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
    let job = session
        .change(|client, id| {
            let task = task.clone();
            async move { client.setup_events(wire::context(), id, task, policy).await }
        })
        .await?;
    follow(caller, &mut session, job).await
}

/// Shows the steps of a job as they end.
async fn follow(caller: &mut Caller<'_>, session: &mut Session, job: u64) -> Result<u8, CommandError> {
    let poll = async |client: DthClient, ask: Question| client.check_poll(ask.context, job, ask.seen, ask.max_wait_ms).await;
    let reply: CheckReply = follow::job(caller, session, poll).await?;
    Ok(if reply.passed() { exit::OK } else { exit::FAILED })
}

impl Progress for CheckReply {
    type Row = CheckStep;

    fn ended(&self) -> &[CheckStep] {
        let running = self.steps.iter().position(|step| step.state == CheckState::Running);
        match running {
            Some(at) if !self.done => &self.steps[..at],
            _ => &self.steps,
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
