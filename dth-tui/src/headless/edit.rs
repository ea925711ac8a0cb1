//! `dth edit` and `dth clone`: definitions of tasks that exist.

use std::path::Path;

use dth_proto::{
    id::{RequestId, TaskName},
    wire,
};

use super::{Caller, CommandError, task_file};
use crate::exit;

pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName, file: &Path) -> Result<u8, CommandError> {
    let spec = task_file::read(caller, file)?;
    let mut session = caller.connect().await?;
    let id = RequestId::random();
    let view = session
        .call(|client| {
            let (id, task, spec) = (id.clone(), task.clone(), spec.clone());
            async move { client.edit(wire::context(), id, task, spec).await }
        })
        .await?;
    caller.output.document(&view)?;
    let renamed = if view.name == *task { String::new() } else { format!(", now {}", view.name) };
    caller.output.line(&format!("changed {task}{renamed}"))?;
    Ok(exit::OK)
}

pub(super) async fn clone(caller: &mut Caller<'_>, task: &TaskName, new: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let id = RequestId::random();
    let view = session
        .call(|client| {
            let (id, task, new) = (id.clone(), task.clone(), new.clone());
            async move { client.clone_task(wire::context(), id, task, new).await }
        })
        .await?;
    caller.output.document(&view)?;
    caller.output.line(&format!("created {} from {task}", view.name))?;
    Ok(exit::OK)
}
