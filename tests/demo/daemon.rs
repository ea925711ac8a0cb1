//! The daemon inside the demo's own process, with everything in a temporary folder.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use dth_proto::{
    address::Address,
    connect::{Connection, connect},
};
use dthd::{
    config::{self, Environment, Flags},
    daemon::{self, DaemonError},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the daemon may take until it answers.
const START: Duration = Duration::from_secs(20);

/// A running daemon.
pub struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<Result<(), DaemonError>>,
    /// Where it listens.
    pub address: Address,
}

/// Starts the daemon with its state and socket in `folder` and connects to it.
///
/// # Errors
/// When it does not start or does not answer.
pub async fn start(folder: &Path) -> anyhow::Result<(Daemon, Connection)> {
    // an empty file and an empty environment: what this machine's own daemon is told must not reach this one
    let file = folder.join("dthd.toml");
    std::fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    let flags = Flags { config: Some(file), state: Some(folder.join("state")), socket: Some(folder.join("dthd.sock")) };
    let config = config::load(&flags, &Environment::of(std::iter::empty::<(String, String)>(), false))?.config;
    let address = Address::Unix(config.socket.clone());
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(daemon::run_until(config, stop.clone()));
    let answers = async {
        loop {
            match connect(&address, "dth-demo", true).await {
                Ok(connection) => return connection,
                // the socket is there before long
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let connection = tokio::select! {
        ended = &mut running => {
            ended??;
            anyhow::bail!("the daemon ended before it answered");
        }
        connection = tokio::time::timeout(START, answers) => connection.map_err(|_| anyhow::anyhow!("the daemon does not answer after {START:?}"))?,
    };
    Ok((Daemon { stop, running, address }, connection))
}

impl Daemon {
    /// Tells it to stop and waits until it has.
    ///
    /// # Errors
    /// What the daemon ended with.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.running.await??)
    }
}
