//! `dth create`: a new task from a file.

use std::path::Path;

use dth_proto::{id::RequestId, wire};

use super::{Caller, CommandError, task_file};
use crate::exit;

pub(super) async fn run(caller: &mut Caller<'_>, file: &Path, start: bool) -> Result<u8, CommandError> {
    let spec = task_file::read(caller, file)?;
    let mut session = caller.connect().await?;
    let id = RequestId::random();
    let view = session
        .call(|client| {
            let (id, spec) = (id.clone(), spec.clone());
            async move { client.create(wire::context(), id, spec, start).await }
        })
        .await?;
    caller.output.document(&view)?;
    let and = if start { ", its first run is queued" } else { "" };
    caller.output.line(&format!("created {}{and}", view.name))?;
    Ok(exit::OK)
}
