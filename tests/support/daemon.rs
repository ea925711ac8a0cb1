//! `dthd` as a fixture: the real binary with its own state, socket and configuration.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use dth_proto::{
    address::Address,
    connect::{Connection, connect},
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{command::Dth, installed, process::Process};

/// How long a daemon may take until it answers.
const START: Duration = Duration::from_secs(60);
/// Bytes of a thread's stack: three quarters of what `dthd` has otherwise, so that a future that has grown too deep is found here. A debug
/// build takes several times as much as a release build.
const STACK: &str = "1572864";
/// Variables of the tester's environment that must not reach the daemon.
const NOT_INHERITED: [&str; 6] = ["DTHD_CONFIG", "DTHD_STATE", "DTHD_SOCKET", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "NOTIFY_SOCKET"];

/// A daemon in a folder of its own. It may be running or not; it is killed when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Option<Process>,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

impl Daemon {
    /// A daemon that is not started yet, with an empty configuration.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    pub fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("dthd-").tempdir().expect("a temporary folder");
        let daemon = Self { process: None, environment: Vec::new(), folder };
        daemon.configure("");
        daemon
    }

    /// A running daemon with this configuration (TOML).
    ///
    /// # Panics
    /// When it does not answer in time; with its log.
    pub async fn start(config: &str) -> Self {
        let mut daemon = Self::prepare();
        daemon.configure(config);
        daemon.restart().await;
        daemon
    }

    /// Writes the configuration file; a running daemon reads it at its next start or SIGHUP.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, config: &str) {
        fs::write(self.config(), config).expect("the daemon's folder can be written");
    }

    /// Puts a credential file with keys beside the configuration and answers with its path, for `type = "file"`.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn credential(&self, name: &str, id: &str, secret: &str) -> PathBuf {
        let keys = serde_json::json!({"access_key_id": id, "secret_access_key": secret});
        self.secret(&format!("{name}.json"), &keys.to_string())
    }

    /// Puts a file that only its owner can read beside the configuration and answers with its path.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("the daemon's folder can be written");
        path
    }

    /// A variable of the daemon's environment from its next start on.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The folder of configuration, state, socket and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("dthd.toml")
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("dthd.sock")
    }

    /// What all daemons started here have logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.folder.path().join("dthd.log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// `dthd` with the given arguments and this daemon's files, not started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed::from_cargo("dthd"));
        command.args(arguments).env("AWS_EC2_METADATA_DISABLED", "true").env("RUST_MIN_STACK", STACK);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the daemon, or starts it again after its end, without waiting until it answers.
    ///
    /// # Panics
    /// When the binary does not start.
    pub fn spawn(&mut self) {
        // the one before is killed first: two would fight for the state
        self.process = None;
        let mut command = self.command(&["run"]);
        command.arg("--config").arg(self.config()).arg("--state").arg(self.state()).arg("--socket").arg(self.socket());
        self.process = Some(Process::start(&mut command, &self.folder.path().join("dthd.log")).expect("dthd starts"));
    }

    /// [`Daemon::spawn`], and waits until the handshake works.
    ///
    /// # Panics
    /// When the daemon ends or does not answer in time; with its log.
    pub async fn restart(&mut self) {
        self.spawn();
        let begin = Instant::now();
        let address = Address::Unix(self.socket());
        while connect(&address, "dth-tests", true).await.is_err() {
            if let Some(status) = self.process.as_mut().and_then(|process| process.ended().ok().flatten()) {
                panic!("dthd ended with {status}:\n{}", self.log());
            }
            assert!(begin.elapsed() < START, "dthd does not answer after {START:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A connection to the daemon.
    ///
    /// # Panics
    /// When there is none; with the daemon's log.
    pub async fn connect(&self) -> Connection {
        let connection = connect(&Address::Unix(self.socket()), "dth-tests", true).await;
        connection.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// `dth` talking to this daemon.
    #[must_use]
    pub fn dth(&self, arguments: &[&str]) -> Dth {
        Dth::at(&self.socket(), arguments)
    }

    /// `dth create` of a task file, as `dth` answers it.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn create(&self, definition: &str, arguments: &[&str]) -> Dth {
        let file = self.definition(definition);
        let file = file.to_string_lossy();
        self.dth(&[&["create", "--file", &file], arguments].concat())
    }

    /// A task file beside the configuration.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn definition(&self, definition: &str) -> PathBuf {
        let file = self.folder.path().join("task.toml");
        fs::write(&file, definition).expect("the daemon's folder can be written");
        file
    }

    /// The process, while one was started and not killed.
    #[must_use]
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// kill -9, and waits until it is gone.
    ///
    /// # Panics
    /// When the system does not say how it ended.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child can be waited for");
        }
    }

    /// SIGTERM, and waits for the end of the drain.
    ///
    /// # Panics
    /// When it is not running or has not ended after `timeout`; with its log.
    pub async fn stop(&mut self, timeout: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("only a started daemon can be stopped");
        process.signal(Signal::SIGTERM).expect("a running daemon can be signalled");
        process.wait(timeout).await.unwrap_or_else(|error| panic!("dthd after SIGTERM: {error}\n{}", self.log()))
    }

    /// SIGHUP: read the configuration again.
    ///
    /// # Panics
    /// When it is not running.
    pub fn reload(&self) {
        self.process
            .as_ref()
            .expect("only a started daemon can be told to reload")
            .signal(Signal::SIGHUP)
            .expect("a running daemon can be signalled");
    }
}
