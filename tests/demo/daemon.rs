//! The daemon inside the demo's own process, with everything in a temporary folder.

use std::{collections::BTreeMap, path::Path, time::Duration};

use dth_proto::{
    address::Address,
    connect::{Connection, connect},
    units::ByteSize,
};
use dthd::config::{Access, Config, Limits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the daemon may take until it answers.
const START: Duration = Duration::from_secs(20);

/// A running daemon.
pub struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    /// Where it listens.
    pub address: Address,
}

/// Starts the daemon with its state and socket in `folder` and connects to it.
///
/// # Errors
/// When it does not start or does not answer.
pub async fn start(folder: &Path) -> anyhow::Result<(Daemon, Connection)> {
    let config = Config {
        file: None,
        state: folder.join("state"),
        socket: folder.join("dthd.sock"),
        limits: Limits { memory: ByteSize(256 << 20), bandwidth: None, runs: 4, objects: 32, parts: 4 },
        credentials: BTreeMap::new(),
        access: Access::default(),
        cloudwatch: None,
        log_filter: "warn".to_owned(),
        drain: Duration::from_secs(5),
    };
    let address = Address::Unix(config.socket.clone());
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(serve(config, stop.clone()));
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
        self.running.await?
    }
}

async fn serve(_config: Config, _stop: CancellationToken) -> anyhow::Result<()> {
    anyhow::bail!("this build has no daemon in it")
}
