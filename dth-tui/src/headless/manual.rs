//! `dth man` and `dth completions`: what a package installs beside the binary.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Caller, CommandError};
use crate::{cli::Cli, exit};

/// Writes `dth.1` and one page per command.
pub(super) fn pages(dir: &Path) -> Result<u8, CommandError> {
    let wrong = |source| CommandError::File { verb: "write manual pages into", file: dir.to_string_lossy().into_owned(), source };
    clap_mangen::generate_to(Cli::command(), dir).map_err(wrong)?;
    Ok(exit::OK)
}

/// Prints what the shell sources.
pub(super) fn completions(shell: Shell, caller: &mut Caller<'_>) -> Result<u8, CommandError> {
    // through memory, because clap_complete panics when it cannot write
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dth", &mut script);
    caller.output.raw(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}
