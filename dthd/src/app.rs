//! The daemon's life: build everything, run until told to stop, drain.

use std::time::Duration;

use anyhow::Context;
use nix::sys::stat::{Mode, umask};
use tokio::sync::mpsc;

use crate::{
    clock,
    config::{self, Config, Environment, Flags},
    lock::StateLock,
    logging::{self, LogHandle},
    shutdown::{self, Request, Shutdown},
    systemd,
};

/// Time asked for beyond the drain itself: closing connections and writing what is left.
const AFTER_DRAIN: Duration = Duration::from_secs(15);

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// Everything that keeps it from starting; `cli::Exit::of` knows the code of each.
pub fn run(flags: &Flags, environment: &Environment) -> anyhow::Result<()> {
    let config = config::load(flags, environment)?.config;
    let log = logging::init(&config.log_filter, config.log_format)?;
    // the socket must not be open to others before it has its mode, and state is nobody else's business
    umask(Mode::from_bits_truncate(0o077));
    let lock = StateLock::acquire(&config.state, clock::now())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(serve(flags, environment, config, &log, &lock));
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

async fn serve(flags: &Flags, environment: &Environment, mut config: Config, log: &LogHandle, lock: &StateLock) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let mut requests = shutdown::listen(&shutdown).context("cannot listen for signals")?;
    tracing::info!(state = %lock.dir().display(), "ready");
    systemd::ready("ready");
    while let Some(request) = next(&mut requests, &shutdown).await {
        match request {
            Request::Reload => config = reload(flags, environment, config, log),
            Request::Summary => tracing::info!(file = ?config.file, "summary"),
        }
    }
    systemd::stopping("draining");
    systemd::extend_timeout(config.drain + AFTER_DRAIN);
    Ok(())
}

async fn next(requests: &mut mpsc::Receiver<Request>, shutdown: &Shutdown) -> Option<Request> {
    tokio::select! {
        request = requests.recv() => request,
        () = shutdown.draining() => None,
    }
}

/// The configuration to go on with: a broken file changes nothing.
fn reload(flags: &Flags, environment: &Environment, old: Config, log: &LogHandle) -> Config {
    systemd::reloading();
    let config = match config::load(flags, environment) {
        Ok(new) => {
            let (config, needs_restart) = config::reload(&old, new.config);
            if !needs_restart.is_empty() {
                tracing::warn!(keys = needs_restart.join(", "), "these changes need a restart");
            }
            if let Err(error) = log.set_filter(&config.log_filter) {
                tracing::error!(%error, "the old log filter stays");
            }
            tracing::info!("configuration reloaded");
            config
        }
        Err(error) => {
            for problem in &error.problems {
                tracing::error!("{problem}");
            }
            tracing::error!("the old configuration stays");
            old
        }
    };
    systemd::ready("ready");
    config
}
