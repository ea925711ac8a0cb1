//! `dth edit` and `dth clone`: definitions of tasks that exist.

use std::path::Path;

use dth_proto::{
    id::{RequestId, TaskName},
    service::DthClient,
    wire,
};

use super::{Caller, CommandError, confirm, task_file};
use crate::{exit, session::Session};

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, file: &Path, confirm: Option<TaskName>) -> Result<u8, CommandError> {
    let spec = task_file::read(caller, file)?;
    let id = RequestId::random();
    let edit = async |session: &mut Session, confirm: Option<TaskName>| {
        let edit = |client: DthClient| {
            let (id, task, spec, confirm) = (id.clone(), task.clone(), spec.clone(), confirm.clone());
            async move { client.edit(wire::context(), id, task, spec, confirm).await }
        };
        session.call(edit).await
    };
    let Some(view) = confirm::ask(caller, task, confirm, edit).await? else { return Ok(exit::FAILED) };
    caller.output.document(&view)?;
    let renamed = if view.name == *task { String::new() } else { format!(", now {}", view.name) };
    caller.output.line(&format!("changed {task}{renamed}"))?;
    Ok(exit::OK)
}

pub(super) async fn clone(caller: &mut Caller<'_>, task: &TaskName, new: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let view = session
        .change(|client, id| {
            let (task, new) = (task.clone(), new.clone());
            async move { client.clone_task(wire::context(), id, task, new).await }
        })
        .await?;
    caller.output.document(&view)?;
    caller.output.line(&format!("created {} from {task}", view.name))?;
    Ok(exit::OK)
}
