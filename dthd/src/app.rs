//! The process's life: configuration, log, signals; the [`daemon`] in between.

use std::time::Duration;

use anyhow::Context;
use nix::sys::stat::{Mode, umask};

use crate::{
    api::Bound,
    config::{self, Config, Environment, Flags},
    daemon::{self, Control},
    logging::{self, LogHandle},
    shutdown::{self, Shutdown},
    systemd,
};

/// How long threads that block may hold up the end of the process.
const LAST_THREADS: Duration = Duration::from_secs(5);

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// Everything that keeps it from starting; `cli::Exit::of` knows the code of each.
pub fn run(flags: &Flags, environment: &Environment) -> anyhow::Result<()> {
    let config = config::load(flags, environment)?.config;
    let log = logging::init(&config.log_filter, config.log_format)?;
    // the socket must not be open to others before it has its mode, and state is nobody else's business
    umask(Mode::from_bits_truncate(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(serve(flags.clone(), environment.clone(), config, log));
    runtime.shutdown_timeout(LAST_THREADS);
    result
}

async fn serve(flags: Flags, environment: Environment, config: Config, log: LogHandle) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let requests = shutdown::listen(&shutdown).context("cannot listen for signals")?;
    let passed = systemd::passed_listener().context("cannot take over the socket of the service manager")?;
    let passed = passed.map(|socket| Bound::passed(socket, &config.socket)).transpose()?;
    let reload = Box::new(move |old: &Config| reload(&flags, &environment, old, &log));
    Ok(daemon::run(config, Control { shutdown, requests, reload, passed }).await?)
}

/// The configuration to go on with; a broken file changes nothing.
fn reload(flags: &Flags, environment: &Environment, old: &Config, log: &LogHandle) -> Result<Config, String> {
    let new = config::load(flags, environment).map_err(|error| error.problems.join("; "))?;
    let (config, needs_restart) = config::reload(old, new.config);
    if !needs_restart.is_empty() {
        tracing::warn!(keys = needs_restart.join(", "), "these changes need a restart");
    }
    log.set_filter(&config.log_filter).map_err(|error| error.to_string())?;
    Ok(config)
}
