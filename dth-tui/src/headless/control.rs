//! `dth start`, `pause`, `resume`, `stop`, `delete`, `retry`: the life of a task.

use std::io::{self, BufRead, Read};

use dth_proto::{
    failure::FailureClass,
    id::{RequestId, TaskName},
    service::DthClient,
    view::Action,
    wire,
};

use super::{Caller, CommandError, confirm};
use crate::{exit, session::Session};

/// Longest answer to a question, in bytes: a task's name and the end of its line.
const LONGEST_ANSWER: u64 = 66;

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, action: Action) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let view = session
        .change(|client, id| {
            let task = task.clone();
            async move { client.control(wire::context(), id, task, action, None).await }
        })
        .await?;
    caller.output.document(&view)?;
    caller.output.line(&done(&view.name, action))?;
    Ok(exit::OK)
}

/// Starts a task; one that deletes only when it is named once more.
pub(super) async fn start(caller: &mut Caller<'_>, task: &TaskName, confirm: Option<TaskName>) -> Result<u8, CommandError> {
    let id = RequestId::random();
    let start = async |session: &mut Session, confirm: Option<TaskName>| {
        let start = |client: DthClient| {
            let (id, task, confirm) = (id.clone(), task.clone(), confirm.clone());
            async move { client.control(wire::context(), id, task, Action::Start, confirm).await }
        };
        session.call(start).await
    };
    let Some(view) = confirm::ask(caller, task, confirm, start).await? else { return Ok(exit::FAILED) };
    caller.output.document(&view)?;
    caller.output.line(&done(&view.name, Action::Start))?;
    Ok(exit::OK)
}

/// What the daemon has accepted; a run may need a moment to follow.
fn done(task: &TaskName, action: Action) -> String {
    match action {
        Action::Start => format!("queued a run of {task}"),
        Action::Pause => format!("pausing {task}"),
        Action::Resume => format!("resuming {task}"),
        Action::Stop => format!("stopping {task}"),
        Action::Delete => format!("deleted {task}"),
    }
}

/// Asks first, unless told not to.
pub(super) async fn delete(caller: &mut Caller<'_>, task: &TaskName, yes: bool) -> Result<u8, CommandError> {
    if !yes {
        if !caller.input_is_terminal {
            return Err(CommandError::Usage(format!(
                "{task} is not deleted: there is no terminal to ask on; use dth delete {task} --yes if you mean it"
            )));
        }
        write!(caller.err, "Delete task {task} with its history on {}? What was copied stays. [y/N] ", caller.target.address)?;
        caller.err.flush()?;
        if !agreed(&answer(&mut *caller.input)?) {
            writeln!(caller.err, "{task} is not deleted")?;
            return Ok(exit::FAILED);
        }
    }
    run(caller, task, Action::Delete).await
}

/// One line, as far as it matters.
pub(super) fn answer(input: &mut dyn Read) -> io::Result<String> {
    let mut line = String::new();
    io::BufReader::new(input.take(LONGEST_ANSWER)).read_line(&mut line)?;
    Ok(line)
}

fn agreed(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

pub(super) async fn retry(caller: &mut Caller<'_>, task: &TaskName, class: Option<FailureClass>) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let view = session
        .change(|client, id| {
            let task = task.clone();
            async move { client.retry(wire::context(), id, task, class).await }
        })
        .await?;
    caller.output.document(&view)?;
    let which = class.map_or_else(String::new, |class| format!("{class} "));
    caller.output.line(&format!("queued a run of {} for its {which}failures", view.name))?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (text, yes) in
            [("y\n", true), ("YES\r\nrest", true), (" y \n", true), ("", false), ("\n", false), ("n\n", false), ("yep\n", false)]
        {
            assert_eq!(agreed(&answer(&mut text.as_bytes()).expect("memory")), yes, "{text:?}");
        }
    }
}
