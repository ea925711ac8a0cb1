//! Who takes part: the engine, the raw relay, and the peers where they are installed.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Serialize;
use tokio::process::Command;

use crate::{
    engine,
    serve::{DESTINATION, SOURCE, Settings},
};

/// From this size on, objects are large: peers are told to copy few of them in many parts.
const LARGE: u64 = 64 << 20;

/// A program that copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Participant {
    /// GET into PUT and nothing else: the limit.
    Relay,
    /// `dthd`.
    Engine,
    /// rclone.
    Rclone,
    /// s3sync.
    #[value(name = "s3sync")]
    S3sync,
}

impl Participant {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Relay, Self::Engine, Self::Rclone, Self::S3sync];

    /// Whether it compares before it copies.
    #[must_use]
    pub fn compares(self) -> bool {
        self != Self::Relay
    }

    /// The program and what it calls itself; `None` when it is not installed.
    #[must_use]
    pub fn find(self) -> Option<Program> {
        let own = |name: String| Some(Program { participant: self, name, path: env::current_exe().ok()? });
        match self {
            Self::Relay => own("raw hyper relay".to_owned()),
            Self::Engine => own(format!("dthd {}", env!("CARGO_PKG_VERSION"))),
            Self::Rclone => installed(self, "rclone"),
            Self::S3sync => installed(self, "s3sync"),
        }
    }
}

/// A participant that is there.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which.
    pub participant: Participant,
    /// Name and version.
    pub name: String,
    path: PathBuf,
}

/// Looks on PATH, and where cargo installs.
fn installed(participant: Participant, program: &str) -> Option<Program> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    folders.extend([home.join(".cargo/bin"), home.join(".cache/peers/bin")]);
    let path = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())?;
    Some(Program { participant, name: version(&path).unwrap_or_else(|| program.to_owned()), path })
}

/// `rclone v1.60.1-DEV`, `s3sync 1.62.4`: the first two words of the first line.
fn version(path: &Path) -> Option<String> {
    let output = std::process::Command::new(path).arg("--version").env_remove("AWS_CA_BUNDLE").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<&str> = text.lines().next()?.split_whitespace().take(2).collect();
    (words.len() == 2).then(|| words.join(" "))
}

impl Program {
    /// The command that copies from one bucket of the server to the other. `connections` is for those that must be told how much to do
    /// at a time; `folder` is for those that keep something.
    #[must_use]
    pub fn command(&self, endpoint: &str, settings: &Settings, connections: usize, folder: &Path) -> Command {
        let mut command = Command::new(&self.path);
        let large = settings.size.0 >= LARGE;
        match self.participant {
            Participant::Relay => {
                command.args(["relay", "--endpoint", endpoint, "--connections", &connections.to_string()]);
                command.arg(format!("--objects={}", settings.keys.count)).args(settings.keys.flat.then_some("--flat"));
            }
            Participant::Engine => {
                command.args(["engine", "--folder"]).arg(folder).envs(engine::environment());
            }
            Participant::Rclone => rclone(&mut command, endpoint, connections, large),
            Participant::S3sync => s3sync(&mut command, endpoint, connections, large),
        }
        command
    }
}

/// As fast as it gets: no modification times, no HEAD before or after, no look at the bucket. Two remotes, or it would ask the server to
/// copy.
fn rclone(command: &mut Command, endpoint: &str, connections: usize, large: bool) {
    command.args(["copy", &format!("from:{SOURCE}"), &format!("to:{DESTINATION}"), "--config", "/notfound", "--quiet", "--stats", "0"]);
    command.args(["--size-only", "--use-server-modtime", "--buffer-size", "0"]);
    command.args(["--s3-no-head", "--s3-no-head-object", "--s3-no-check-bucket"]);
    let transfers = if large { 4 } else { connections.min(256) };
    command.args(["--transfers", &transfers.to_string(), "--checkers", &transfers.to_string()]);
    if large {
        command.args(["--s3-chunk-size", "16Mi", "--s3-upload-cutoff", "16Mi", "--s3-upload-concurrency", "4"]);
    }
    for remote in ["FROM", "TO"] {
        for (name, value) in [
            ("TYPE", "s3"),
            // AWS in all but this: with AWS itself, rclone puts the bucket into the host name
            ("PROVIDER", "Minio"),
            ("REGION", "us-east-1"),
            ("ENDPOINT", endpoint),
            ("FORCE_PATH_STYLE", "true"),
            ("ACCESS_KEY_ID", "AKIDBENCH"),
            ("SECRET_ACCESS_KEY", "notchecked"),
        ] {
            command.env(format!("RCLONE_CONFIG_{remote}_{name}"), value);
        }
    }
}

/// Its defaults but for the number of workers: it verifies by ETag, and asks for no tags.
fn s3sync(command: &mut Command, endpoint: &str, connections: usize, large: bool) {
    for side in ["source", "target"] {
        command.arg(format!("--{side}-force-path-style"));
        for (name, value) in
            [("endpoint-url", endpoint), ("region", "us-east-1"), ("access-key", "AKIDBENCH"), ("secret-access-key", "notchecked")]
        {
            command.arg(format!("--{side}-{name}={value}"));
        }
    }
    let workers = if large { 4 } else { connections.min(256) };
    command.args(["--worker-size", &workers.to_string(), "--disable-tagging", "--show-no-progress", "-qq"]);
    command.args([format!("s3://{SOURCE}"), format!("s3://{DESTINATION}")]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_not_found() {
        assert!(installed(Participant::Rclone, "no-such-program-anywhere").is_none());
        assert!(Participant::Engine.find().is_some_and(|program| program.name.starts_with("dthd ")));
    }

    #[test]
    fn programs_say_their_version() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("peer");
        std::fs::write(&script, "#!/bin/sh\necho 'peer v1.2 (x86)'\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(version(&script).as_deref(), Some("peer v1.2"));
    }
}
