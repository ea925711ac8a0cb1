//! `dth export`: the task file that gives a task's definition.

use dth_proto::id::TaskName;

use super::{Caller, CommandError, show};
use crate::{exit, sanitise::sanitise_lines};

/// A file gets the definition exactly as it is; a terminal gets it harmless.
pub(super) async fn run(caller: &mut Caller<'_>, task: &TaskName) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let detail = show::detail(&mut session, task).await?;
    if caller.output.is_table() {
        let text = detail.spec.to_toml();
        caller.output.raw(&if caller.out_is_terminal { sanitise_lines(&text) } else { text.as_str().into() })?;
    } else {
        caller.output.document(&detail.spec)?;
    }
    Ok(exit::OK)
}
