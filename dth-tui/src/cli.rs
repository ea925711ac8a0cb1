//! The command line: what can be typed, and who carries it out.

mod command;
mod options;

use std::{
    ffi::OsString,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use clap::Parser;
use dth_proto::address::Address;

pub use self::{
    command::{Command, Confirm, Doctor, Task},
    options::{Global, Look},
};
use crate::{
    config::{Config, ConfigError},
    dashboard::Options,
    exit, headless,
    sanitise::sanitise_lines,
};

const EXIT_CODES: &str = "\
Exit codes:
  0   done; all well
  1   refused, failed, or problems were found
  2   dthd cannot be reached
  3   `dth wait` timed out
  64  the command line is wrong

Without a command, the dashboard starts. `dth help COMMAND` has an example of each.";

/// Watch and control dthd, which copies S3 objects and container images between clouds.
#[derive(Debug, Parser)]
#[command(name = "dth", version, after_help = EXIT_CODES, disable_help_subcommand = false, max_term_width = 100)]
pub struct Cli {
    /// Which daemon, and how answers look.
    #[command(flatten)]
    pub global: Global,
    /// How the dashboard looks.
    #[command(flatten)]
    pub look: Look,
    /// `None`: the dashboard.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Everything a command touches besides the daemon, so that tests can hand in their own.
pub struct Surroundings<'a> {
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Somebody can answer questions.
    pub input_is_terminal: bool,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Somebody looks at the output.
    pub out_is_terminal: bool,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// `$DTH_HOST`, if set and not empty.
    pub host: Option<String>,
    /// Where `tui.toml` is; see [`crate::config::path`].
    pub config: Option<PathBuf>,
}

/// Which daemon to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address.
    pub address: Address,
    /// The name it was asked for by (`--context`).
    pub context: Option<String>,
}

/// Carries out a command line (`args[0]` is the program) and answers with the exit code, see [`crate::exit`]. Without a
/// command `dashboard` is called.
pub fn run(args: impl IntoIterator<Item = OsString>, surroundings: &mut Surroundings<'_>, dashboard: impl FnOnce(Options) -> u8) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, surroundings),
    };
    let target = match target(&cli.global, surroundings) {
        Ok(target) => target,
        Err(message) => {
            // a closed standard error leaves nothing to say it with
            let _ = writeln!(surroundings.err, "dth: {}", sanitise_lines(&message));
            return exit::USAGE;
        }
    };
    match cli.command {
        None => {
            let Look { read_only, glyphs, color } = cli.look;
            dashboard(Options { address: target.address, read_only, glyphs, color })
        }
        Some(command) => headless::run(command, target, cli.global.output, surroundings),
    }
}

/// Help and version go to standard output and are no failure; everything else is a mistake of usage.
fn explain(error: &clap::Error, surroundings: &mut Surroundings<'_>) -> u8 {
    let text = error.render().to_string();
    let text = sanitise_lines(&text);
    if error.use_stderr() {
        let _ = write!(surroundings.err, "{text}");
        return exit::USAGE;
    }
    // a reader that has seen enough of the help is no failure
    let _ = write!(surroundings.out, "{text}").and_then(|()| surroundings.out.flush());
    exit::OK
}

/// Flag, then `--context`, then `DTH_HOST`, then the local socket.
fn target(global: &Global, surroundings: &Surroundings<'_>) -> Result<Target, String> {
    if let Some(address) = &global.host {
        return Ok(Target { address: address.clone(), context: None });
    }
    if let Some(name) = &global.context {
        let address = context(name, surroundings.config.as_deref()).map_err(|e| e.to_string())?;
        return Ok(Target { address, context: Some(name.clone()) });
    }
    let address = match &surroundings.host {
        Some(text) => text.parse().map_err(|e| format!("DTH_HOST: {e}"))?,
        None => Address::local(),
    };
    Ok(Target { address, context: None })
}

fn context(name: &str, path: Option<&Path>) -> Result<Address, ConfigError> {
    let (config, file) = match path {
        Some(path) => (Config::load(path)?, path.to_string_lossy().into_owned()),
        None => (Config::default(), "tui.toml".to_owned()),
    };
    config.context(name, &file)
}
