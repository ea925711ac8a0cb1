//! The question before a task that deletes objects begins to run.

use dth_proto::{
    error::{ApiError, ErrorCode},
    id::TaskName,
    view::TaskView,
};

use super::{Caller, CommandError, control::answer};
use crate::session::{Session, SessionError};

/// Asks the daemon with what was confirmed on the command line. Where it wants the task's name and there is a terminal, a person is asked for it.
/// `None`: the name was not typed, and nothing has happened.
pub(super) async fn ask(
    caller: &mut Caller<'_>,
    task: &TaskName,
    confirm: Option<TaskName>,
    request: impl AsyncFn(&mut Session, Option<TaskName>) -> Result<TaskView, SessionError>,
) -> Result<Option<TaskView>, CommandError> {
    let mut session = caller.connect().await?;
    let unconfirmed = match request(&mut session, confirm.clone()).await {
        Err(SessionError::Api(error)) if is_open(&error, caller, confirm.as_ref()) => error,
        answered => return Ok(Some(answered?)),
    };
    write!(caller.err, "{}.\nType {task} to go on: ", unconfirmed.message)?;
    caller.err.flush()?;
    if answer(&mut *caller.input)?.trim() != task.as_str() {
        writeln!(caller.err, "nothing has happened")?;
        return Ok(None);
    }
    Ok(Some(request(&mut session, Some(task.clone())).await?))
}

fn is_open(error: &ApiError, caller: &Caller<'_>, confirm: Option<&TaskName>) -> bool {
    error.code == ErrorCode::Unconfirmed && confirm.is_none() && caller.input_is_terminal
}
