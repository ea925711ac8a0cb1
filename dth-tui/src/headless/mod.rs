//! Commands for scripts: one request or a few, an answer as a table or as JSON, an exit code that tells how it went.

mod cell;
mod check;
mod confirm;
mod control;
mod create;
mod doctor;
mod edit;
mod explain;
mod export;
mod failures;
mod follow;
mod import;
mod items;
mod list;
mod log;
mod manual;
mod output;
mod plan;
mod report;
mod runs;
mod show;
mod status;
mod table;
mod task_file;
mod verify;
mod wait;
mod watch;

#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use dth_proto::{document::BadDocument, spec::Store, view::Action};

pub use self::output::Format;
use self::output::Output;
use crate::{
    cli::{Command, Surroundings, Target},
    exit,
    filter::FilterError,
    import::ImportError,
    sanitise::sanitise,
    session::{Session, SessionError},
};

/// Why a command ends without its answer.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// The daemon could not be asked, or said no.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The task file is wrong.
    #[error(transparent)]
    Document(#[from] BadDocument),
    /// The definition cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A file cannot be read or written.
    #[error("cannot {verb} {file}: {source}")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// Its name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// A filter that means nothing.
    #[error("--filter: {0}")]
    Filter(#[from] FilterError),
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Session(error) if error.is_unreachable() => exit::UNREACHABLE,
            Self::Session(_) | Self::Document(_) | Self::Import(_) | Self::File { .. } => exit::FAILED,
            Self::Usage(_) | Self::Filter(_) => exit::USAGE,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
            Self::Output(_) => exit::FAILED,
        }
    }

    /// What goes to standard error, one entry per line, harmless for a terminal.
    fn lines(&self) -> Vec<String> {
        let lines = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Vec::new(),
            Self::Document(bad) => bad.lines(),
            Self::Import(error) => format!("dth: {error}").lines().map(str::to_owned).collect(),
            Self::Session(SessionError::Api(error)) => {
                let details = error.details.iter().map(|d| format!("  {d}"));
                let hint = error.hint.iter().map(|h| format!("hint: {h}"));
                std::iter::once(format!("dth: {}", error.message)).chain(details).chain(hint).collect()
            }
            other => vec![format!("dth: {other}")],
        };
        lines.iter().map(|line| sanitise(line).into_owned()).collect()
    }
}

/// Carries out a command and answers with its exit code, see [`crate::exit`]. Errors are already told on standard error.
pub fn run(command: Command, target: Target, format: Format, surroundings: &mut Surroundings<'_>) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(surroundings.err, "dth: cannot start: {error}");
            return exit::FAILED;
        }
    };
    let mut caller = Caller {
        input: &mut *surroundings.input,
        input_is_terminal: surroundings.input_is_terminal,
        output: Output::new(&mut *surroundings.out, format),
        out_is_terminal: surroundings.out_is_terminal,
        err: &mut *surroundings.err,
        target,
    };
    let result = runtime.block_on(dispatch(command, &mut caller));
    // the answer so far comes before the error
    let flushed = surroundings.out.flush().map_err(CommandError::from);
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            for line in error.lines() {
                // a closed standard error leaves nothing to say it with
                let _ = writeln!(surroundings.err, "{line}");
            }
            error.exit_code()
        }
    }
}

/// Who called: the streams of the command, the daemon it is for, and the form of its answer.
struct Caller<'a> {
    input: &'a mut dyn Read,
    input_is_terminal: bool,
    output: Output<'a>,
    out_is_terminal: bool,
    err: &'a mut dyn Write,
    target: Target,
}

impl Caller<'_> {
    /// Connects; ssh may ask for a password only where somebody can answer.
    async fn connect(&self) -> Result<Session, CommandError> {
        Ok(Session::open(self.target.address.clone(), !self.input_is_terminal).await?)
    }
}

/// The line on standard error that says why nothing comes for a while.
fn lost(error: &SessionError) -> String {
    sanitise(&format!("dth: {error}; trying again")).into_owned()
}

async fn dispatch(command: Command, caller: &mut Caller<'_>) -> Result<u8, CommandError> {
    match command {
        Command::Status { exit_code } => status::run(caller, exit_code).await,
        Command::List { filter } => list::run(caller, &filter).await,
        Command::Show(task) => show::run(caller, &task.task).await,
        Command::Create { file, start, confirm } => create::run(caller, &file, start, confirm.confirm).await,
        Command::Edit { task, file, confirm } => edit::run(caller, &task.task, &file, confirm.confirm).await,
        Command::Clone { task, new } => edit::clone(caller, &task.task, &new).await,
        Command::Export(task) => export::run(caller, &task.task).await,
        Command::Check { task: Some(task), .. } => check::task(caller, &task).await,
        Command::Check { file, .. } => check::file(caller, &file.unwrap_or_else(|| "-".into())).await,
        Command::SetupEvents { task, policy } => check::setup_events(caller, &task.task, policy).await,
        Command::Plan { task, file, items } => plan::run(caller, plan::What { task, file }, items).await,
        Command::Verify { task, wait } => verify::run(caller, &task.task, wait).await,
        Command::Explain { task, key } => explain::run(caller, &task.task, &key).await,
        Command::Report { task, run, to, format } => report::run(caller, &task.task, run, &to, format).await,
        Command::Doctor(doctor) => doctor::run(caller, &Store::from(doctor)).await,
        Command::Import { file, out, queue } => import::run(caller, &import::Which { file: &file, out: out.as_deref(), queue }),
        Command::Start { task, confirm } => control::start(caller, &task.task, confirm.confirm).await,
        Command::Pause(task) => control::run(caller, &task.task, Action::Pause).await,
        Command::Resume(task) => control::run(caller, &task.task, Action::Resume).await,
        Command::Stop(task) => control::run(caller, &task.task, Action::Stop).await,
        Command::Delete { task, yes } => control::delete(caller, &task.task, yes).await,
        Command::Retry { task, class } => control::retry(caller, &task.task, class).await,
        Command::Runs(task) => runs::run(caller, &task.task).await,
        Command::Wait { task, timeout } => wait::run(caller, &task.task, timeout).await,
        Command::Failures { task, run, class } => failures::run(caller, &task.task, run, class).await,
        Command::Items { task, run, outcome, prefix } => items::run(caller, &task.task, &items::Which { run, outcome, prefix }).await,
        Command::Log { follow, task, level } => log::run(caller, &log::Which { task, level }, follow).await,
        Command::Watch { plain } => watch::run(caller, plain).await,
        Command::Man { dir } => manual::pages(&dir),
        Command::Completions { shell } => manual::completions(shell, caller),
    }
}
