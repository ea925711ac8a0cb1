//! `dth`: hands the command line to the library and exits with its answer.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use dth_tui::{
    cli::{self, Surroundings},
    config,
    dashboard::{self, Options},
    exit,
};

fn main() -> ExitCode {
    // not locked: the dashboard has threads of its own that write
    let mut out = BufWriter::new(io::stdout());
    let mut surroundings = Surroundings {
        input: &mut io::stdin(),
        input_is_terminal: io::stdin().is_terminal(),
        out: &mut out,
        out_is_terminal: io::stdout().is_terminal(),
        err: &mut io::stderr(),
        host: env::var("DTH_HOST").ok().filter(|h| !h.is_empty()),
        config: config::path(),
    };
    ExitCode::from(cli::run(env::args_os(), &mut surroundings, open_dashboard))
}

/// Starts the dashboard, which needs a terminal.
fn open_dashboard(options: Options) -> u8 {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        let _ = writeln!(io::stderr(), "dth: the dashboard needs a terminal; for scripts there are commands: see dth --help");
        return exit::UNREACHABLE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(dashboard::run(options))) {
        Ok(()) => exit::OK,
        Err(error) => {
            let _ = writeln!(io::stderr(), "dth: {error:#}");
            exit::UNREACHABLE
        }
    }
}
