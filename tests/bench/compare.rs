//! `dth-bench compare`: the engine's listing and comparing of two synthetic buckets, without a network.

use std::{path::PathBuf, sync::Arc, time::Instant};

use clap::Args;
use dth_proto::spec::Job;
use serde::{Deserialize, Serialize};

use crate::{engine, keys::Keys, lister::Synthetic};

/// Ranges that are listed at the same time: as many as the daemon begins with, and stays at where no time passes between pages.
const SLOTS: usize = 8;

/// What is compared.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The keys at both ends.
    #[command(flatten)]
    keys: Keys,
    /// An empty folder for the state.
    #[arg(long)]
    folder: PathBuf,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Compared {
    /// Keys found at the source.
    pub listed: u64,
    /// Keys that are the same at the destination.
    pub same: u64,
    /// Time it took, seconds.
    pub wall_s: f64,
}

/// Compares, and prints [`Compared`] as JSON.
///
/// # Errors
/// When the comparison fails.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Job::S3(job) = engine::task("http://127.0.0.1:1")?.job else { anyhow::bail!("not an S3 task") };
    let source = Arc::new(Synthetic { keys: arguments.keys, modified: 1_767_323_045_000 });
    let destination = Arc::new(Synthetic { keys: arguments.keys, modified: 1_770_177_906_000 });
    let begin = Instant::now();
    let tally = dthd::s3::run::compare(source, destination, &job, &arguments.folder, || SLOTS).await.map_err(anyhow::Error::msg)?;
    let compared = Compared { listed: tally.counters.listed, same: tally.counters.same, wall_s: begin.elapsed().as_secs_f64() };
    println!("{}", serde_json::to_string(&compared)?);
    Ok(())
}
