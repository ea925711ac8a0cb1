//! `dth-bench image`: the engine beside skopeo, between two real registries.

mod case;
mod report;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use dth_tests::installed;

use self::{
    case::{Case, Changes},
    report::{Measured, Report, Row},
    trial::{Filled, Participant},
};
use crate::report::machine;

/// Memory as a folder, on Linux (shm_overview(7)).
const MEMORY: &str = "/dev/shm";

/// What to measure and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What to change about the cases.
    #[command(flatten)]
    changes: Changes,
    /// Runs of each participant; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Only these participants.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Participant>,
    /// The registries keep what they have below this folder [default: /dev/shm, memory, where there is one]: a disk that is busy with
    /// what the run before has left would be what is measured.
    #[arg(long, value_name = "FOLDER")]
    storage: Option<PathBuf>,
    /// Writes everything that was measured there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails also when a goal is missed.
    #[arg(long)]
    strict: bool,
}

impl Arguments {
    fn storage(&self) -> PathBuf {
        let memory = || Some(Path::new(MEMORY)).filter(|folder| folder.is_dir()).map(Path::to_owned);
        self.storage.clone().or_else(memory).unwrap_or_else(std::env::temp_dir)
    }
}

/// Measures and prints; whether everything was complete and right.
///
/// # Errors
/// When the bench itself does not work.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    installed::find("docker-registry").context("docker-registry is missing: run ./tests/run, which installs it")?;
    let machine = machine();
    let storage = arguments.storage();
    anyhow::ensure!(storage.is_dir(), "--storage {}: there is no such folder", storage.display());
    println!("{machine}; registries in {}; median of {} runs, in turn\n", storage.display(), arguments.runs);
    let mut cases = Vec::new();
    for case in arguments.changes.cases() {
        let measured = measure(&case, arguments).await?;
        println!("{}", measured.table());
        cases.push(measured);
    }
    let right = cases.iter().all(Measured::right);
    let met = cases.iter().flat_map(|case| &case.goals).all(|goal| goal.met);
    if let Some(file) = &arguments.json {
        let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
        let text = serde_json::to_string_pretty(&Report { machine, command, cases })?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(right && (met || !arguments.strict))
}

/// All runs of a case: everyone once, then everyone again, so that a machine that slows down slows all of them.
async fn measure(case: &Case, arguments: &Arguments) -> anyhow::Result<Measured> {
    let chosen = |participant: &Participant| arguments.only.is_empty() || arguments.only.contains(participant);
    let rows = Participant::ALL.into_iter().filter(chosen);
    let mut rows: Vec<Row> = rows.map(|participant| Row { participant, name: participant.find(), runs: Vec::new() }).collect();
    let storage = arguments.storage();
    let source = Filled::start(case, &storage).await;
    let filled = if case.unchanged { Some(Filled::start(case, &storage).await) } else { None };
    for n in 1..=arguments.runs {
        for row in &mut rows {
            let Some(name) = &row.name else { continue };
            let figures = trial::run(row.participant, case, &source, filled.as_ref()).await?;
            let word = figures.wrong.clone().unwrap_or_else(|| format!("{:.2} s, {:.2} CPU-s", figures.wall_s, figures.cpu_s));
            eprintln!("{} run {n} {name}: {word}", case.name);
            row.runs.push(figures);
        }
    }
    Ok(Measured::new(case, rows))
}
