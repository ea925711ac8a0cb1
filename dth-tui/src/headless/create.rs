//! `dth create`: a new task from a file.

use std::path::Path;

use dth_proto::{
    id::{RequestId, TaskName},
    service::DthClient,
    wire,
};

use super::{Caller, CommandError, confirm, task_file};
use crate::{exit, session::Session};

pub(super) async fn run(caller: &mut Caller<'_>, file: &Path, start: bool, confirm: Option<TaskName>) -> Result<u8, CommandError> {
    let spec = task_file::read(caller, file)?;
    let id = RequestId::random();
    let name = spec.name.clone();
    let create = async |session: &mut Session, confirm: Option<TaskName>| {
        let create = |client: DthClient| {
            let (id, spec, confirm) = (id.clone(), spec.clone(), confirm.clone());
            async move { client.create(wire::context(), id, spec, start, confirm).await }
        };
        session.call(create).await
    };
    let Some(view) = confirm::ask(caller, &name, confirm, create).await? else { return Ok(exit::FAILED) };
    caller.output.document(&view)?;
    let and = if start { ", its first run is queued" } else { "" };
    caller.output.line(&format!("created {}{and}", view.name))?;
    Ok(exit::OK)
}
