//! `dth`: hands the command line to the library and exits with its answer.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use dth_tui::{
    cli::{self, Surroundings, Target},
    config, exit,
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
    ExitCode::from(cli::run(env::args_os(), &mut surroundings, dashboard))
}

/// Starts the dashboard, which needs a terminal.
fn dashboard(target: &Target) -> u8 {
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        return start_dashboard(target);
    }
    let _ = writeln!(io::stderr(), "dth: the dashboard needs a terminal; for scripts there are commands: see dth --help");
    exit::UNREACHABLE
}

fn start_dashboard(target: &Target) -> u8 {
    let _ = writeln!(io::stderr(), "dth: this build has no dashboard to show {}; see dth --help for its commands", target.address);
    exit::UNREACHABLE
}
