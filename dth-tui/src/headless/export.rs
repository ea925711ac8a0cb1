//! `dth export`: the task file that gives a task's definition.

use dth_proto::{id::TaskName, wire};

use super::{Caller, CommandError};
use crate::{exit, sanitise::sanitise_lines};

/// A file gets the definition exactly as it is; a terminal gets it harmless.
pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let detail = session
        .call(|client| {
            let task = task.clone();
            async move { client.task(wire::context(), task).await }
        })
        .await?;
    if caller.output.is_table() {
        let text = detail.spec.to_toml();
        caller.output.raw(&if caller.out_is_terminal { sanitise_lines(&text) } else { text.as_str().into() })?;
    } else {
        caller.output.document(&detail.spec)?;
    }
    Ok(exit::OK)
}
