//! The command line of dthd.

mod dial;
mod exit;
mod generate;

use std::{
    ffi::OsString,
    path::{Path, PathBuf, absolute},
};

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

pub use self::exit::Exit;
use crate::{
    app, clock,
    config::{self, Config, ConfigError, Environment, Flags},
    credential::Credentials,
    lock::StateLock,
    store::{self, StoreError},
};

const EXIT_CODES: &str = "Exit codes: 0 ok, 64 usage, 69 unavailable, 70 internal, 73 cannot create state or socket, \
                          75 state or socket in use, 77 not allowed, 78 bad configuration or state schema.";

/// Schedules and executes transfers of S3 objects and container images.
#[derive(Debug, Parser)]
#[command(name = "dthd", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Places,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground (this is what dthd does without a command)
    Run(Places),
    /// Read the configuration, and print the values in force with their origin
    Check {
        #[command(flatten)]
        places: Places,
        /// Load every credential as well, and say which cannot be had
        #[arg(long)]
        online: bool,
    },
    /// Print the commented configuration file with every default
    PrintConfig,
    /// Bridge stdin and stdout to the daemon's socket (what dth --host ssh://… runs)
    DialStdio(DialPlaces),
    /// Look after the state while the daemon is down
    State(State),
    /// Write the man pages into a directory
    Man {
        /// Made if missing
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print shell completions
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Where things are; each wins over its `DTHD_*` variable and the file.
#[derive(Args, Clone, Debug, Default)]
struct Places {
    /// Configuration file [environment: DTHD_CONFIG; default: /etc/dth/dthd.toml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State directory [environment: DTHD_STATE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Unix socket [environment: DTHD_SOCKET]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct DialPlaces {
    /// The daemon's socket [environment: DTHD_SOCKET]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct State {
    #[command(subcommand)]
    action: StateAction,
    /// State directory [environment: DTHD_STATE]
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    /// Configuration file that names it [environment: DTHD_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// What to do with a state that no daemon uses.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum StateAction {
    /// Say what is in it
    Info,
    /// Read all of it and report what cannot be read
    Check,
    /// Copy it to another directory
    Backup {
        /// Must not exist yet, or be empty
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
}

impl Places {
    fn flags(self) -> anyhow::Result<Flags> {
        let place = |path: Option<PathBuf>| path.map(absolute).transpose().context("cannot find the working directory");
        Ok(Flags { config: place(self.config)?, state: place(self.state)?, socket: place(self.socket)? })
    }
}

/// Does what the command line `args` (program name first) says, and reports on stdout and stderr.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // nothing is left to be told when stderr is closed
            let _ = error.print();
            return if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) { Exit::Ok } else { Exit::Usage };
        }
    };
    match execute(cli) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            eprintln!("dthd: {error:#}");
            Exit::of(&error)
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    match cli.command {
        None => app::run(&cli.run.flags()?, &environment),
        Some(Command::Run(places)) => app::run(&places.flags()?, &environment),
        Some(Command::Check { places, online }) => {
            let effective = config::load(&places.flags()?, &environment)?;
            print(&config::show(&effective))?;
            if online { try_credentials(&effective.config) } else { Ok(()) }
        }
        Some(Command::PrintConfig) => print(config::TEMPLATE),
        Some(Command::DialStdio(places)) => dial::run(&places.socket.unwrap_or_else(dth_proto::address::local_socket)),
        Some(Command::State(state)) => {
            let places = Places { config: state.config, state: state.state, socket: None };
            let dir = config::load(&places.flags()?, &environment)?.config.state;
            let lock = StateLock::acquire_existing(&dir, clock::now())?;
            print(&offline(&state.action, lock.dir())?)
        }
        Some(Command::Man { dir }) => generate::man(Cli::command(), &dir),
        Some(Command::Completions { shell }) => print(&generate::completions(Cli::command(), shell)),
    }
}

/// Loads every named credential; each that cannot be had is one line of the error.
fn try_credentials(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let credentials = Credentials::new(config.credentials.clone());
    let mut problems = Vec::new();
    for name in config.credentials.keys() {
        match runtime.block_on(credentials.probe(name)) {
            Ok(()) => print(&format!("credential {name}: can be had\n"))?,
            Err(why) => problems.push(format!("credential {name}: {why}")),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }.into()) }
}

/// Prints to stdout; a reader that has gone (`| head`) is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Works on the state in `dir`, whose lock is held; answers with what to print.
fn offline(action: &StateAction, dir: &Path) -> anyhow::Result<String> {
    Ok(match action {
        StateAction::Info => {
            let info = store::offline::info(dir)?;
            let records: String = info.records.iter().map(|(tree, count)| format!("{tree:<9} {count}\n")).collect();
            let size = dth_proto::units::bytes(info.bytes);
            format!("{}: schema {}, written by {}, {size} on disk\n{records}", dir.display(), info.schema, info.written_by)
        }
        StateAction::Check => {
            let damaged = store::offline::check(dir)?;
            if !damaged.is_empty() {
                let why = format!("{} records are damaged: {}", damaged.len(), damaged.join("; "));
                return Err(StoreError::Unreadable { dir: dir.to_owned(), why }.into());
            }
            format!("{}: every record can be read\n", dir.display())
        }
        StateAction::Backup { to } => {
            let records = store::offline::backup(dir, to)?;
            format!("{records} records copied to {}\n", to.display())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("dthd").chain(args.iter().copied()))
    }

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_command() {
        for args in [&["--state", "/s", "--socket", "/k"][..], &["run", "--state", "/s", "--socket", "/k"]] {
            let cli = parse(args).expect("good");
            let places = match cli.command {
                None => cli.run,
                Some(Command::Run(places)) => places,
                other => panic!("{other:?}"),
            };
            let flags = places.flags().expect("absolute");
            assert_eq!(flags, Flags { config: None, state: Some("/s".into()), socket: Some("/k".into()) });
        }
    }

    #[test]
    fn state_takes_its_flags_on_either_side() {
        for args in [&["state", "--state", "/s", "backup", "/b"][..], &["state", "backup", "/b", "--state", "/s"]] {
            let Some(Command::State(state)) = parse(args).expect("good").command else { panic!("{args:?}") };
            assert_eq!((state.action, state.state), (StateAction::Backup { to: "/b".into() }, Some("/s".into())));
        }
    }

    #[test]
    fn relative_flags_count_from_here() {
        let places = Places { state: Some("state".into()), ..Places::default() };
        let state = places.flags().expect("there is a working directory").state.expect("given");
        assert_eq!(state, std::env::current_dir().expect("there is one").join("state"));
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [&["--frobnicate"][..], &["state"], &["completions", "cmd.exe"], &["--state", "/s", "check"], &["state", "backup"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
