//! `dth-bench engine`: the daemon in a process of its own, and the task that it is given.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use dth_proto::{
    address::Address,
    connect::{Connection, connect},
    id::{RequestId, TaskName},
    spec::{Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, TaskSpec},
    view::RunView,
    wire,
};
use dthd::{
    config::{self, Environment, Flags},
    daemon,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::serve::{DESTINATION, SOURCE};

/// Prefix of the variables with the keys that requests are signed with.
const PREFIX: &str = "DTH_BENCH_";
/// How long the daemon may take until it answers.
const START: Duration = Duration::from_secs(30);
/// Longest wait of one call.
const WAIT: Duration = Duration::from_secs(60);

/// Where the daemon keeps its things.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// An empty folder.
    #[arg(long)]
    folder: PathBuf,
}

/// Runs the daemon with its defaults until standard input ends.
///
/// # Errors
/// When it does not start.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let file = arguments.folder.join("dthd.toml");
    std::fs::write(&file, format!("[credentials.bench]\ntype = \"env\"\nprefix = \"{PREFIX}\"\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let flags = Flags { config: Some(file), state: Some(arguments.folder.join("state")), socket: Some(socket(&arguments.folder)) };
    // an empty environment: what this machine's own daemon is told must not reach this one
    let config = config::load(&flags, &Environment::of(std::iter::empty::<(String, String)>(), false))?.config;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        let mut byte = [0];
        while !matches!(tokio::io::stdin().read(&mut byte).await, Ok(0) | Err(_)) {}
        stopping.cancel();
    });
    Ok(daemon::run_until(config, stop).await?)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("dthd.sock")
}

/// The variables the daemon needs: any keys do, the server does not look at signatures.
#[must_use]
pub fn environment() -> [(String, &'static str); 2] {
    [(format!("{PREFIX}AWS_ACCESS_KEY_ID"), "AKIDBENCH"), (format!("{PREFIX}AWS_SECRET_ACCESS_KEY"), "not checked")]
}

/// A connection to the daemon of a folder, as soon as it answers.
///
/// # Errors
/// When it does not within half a minute.
pub async fn reach(folder: &Path) -> anyhow::Result<Connection> {
    let address = Address::Unix(socket(folder));
    let begin = Instant::now();
    loop {
        match connect(&address, "dth-bench", true).await {
            Ok(connection) => return Ok(connection),
            Err(error) if begin.elapsed() > START => return Err(error).context("the daemon does not answer"),
            // the socket is there before long
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The task: everything in the source's bucket, with defaults only.
///
/// # Errors
/// When the name breaks the rule for names.
pub fn task(endpoint: &str) -> anyhow::Result<TaskSpec> {
    let store = |bucket: &str| Store {
        provider: "aws".to_owned(),
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credential: Some("bench".to_owned()),
        path_style: Some(true),
    };
    Ok(TaskSpec {
        name: TaskName::new("bench")?,
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        job: Job::S3(S3Job {
            source: S3Source { store: store(SOURCE), ..S3Source::default() },
            destination: S3Destination { store: store(DESTINATION), ..S3Destination::default() },
            // one store serves both buckets, and what passes through the daemon is measured
            options: S3Options { server_side_copy: false, ..S3Options::default() },
        }),
        limits: TaskLimits::default(),
        trigger: None,
        report: None,
    })
}

/// Creates the task and starts its first run.
///
/// # Errors
/// When the daemon refuses it.
pub async fn create(connection: &Connection, spec: TaskSpec) -> anyhow::Result<TaskName> {
    let name = spec.name.clone();
    connection.client.create(wire::context(), RequestId::random(), spec, true, None).await?.context("the daemon refuses the task")?;
    Ok(name)
}

/// Waits for the end of a task's run.
///
/// # Errors
/// When the daemon is gone.
pub async fn ended(connection: &Connection, name: &TaskName) -> anyhow::Result<RunView> {
    loop {
        let wait = connection.client.wait_run(wire::deadline_after(WAIT), name.clone(), WAIT.as_millis() as u32);
        let run = wait.await?.context("the daemon does not know the run")?;
        if run.outcome.is_some() {
            return Ok(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_follows_the_rules() {
        let spec = task("http://127.0.0.1:1").unwrap();
        assert!(spec.problems().is_empty(), "{:?}", spec.problems());
    }
}
