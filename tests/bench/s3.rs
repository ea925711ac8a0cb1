//! `dth-bench s3`: every case, every participant, in turn.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    case::{Case, Changes},
    participant::{Participant, Program},
    report::{Measured, Report, Row, machine},
    trial,
};

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
    /// Writes everything that was measured there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails also when a goal is missed.
    #[arg(long)]
    strict: bool,
}

/// Measures and prints; whether everything was complete and right.
///
/// # Errors
/// When the bench itself does not work.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let programs: Vec<(Participant, Option<Program>)> = Participant::ALL
        .into_iter()
        .filter(|participant| arguments.only.is_empty() || arguments.only.contains(participant))
        .map(|participant| (participant, participant.find()))
        .collect();
    let machine = machine();
    println!("{machine}; median of {} runs, in turn\n", arguments.runs);
    let mut cases = Vec::new();
    for case in arguments.changes.cases() {
        let measured = measure(&case, &programs, arguments.runs).await?;
        println!("{}", measured.table(&case));
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
async fn measure(case: &Case, programs: &[(Participant, Option<Program>)], runs: u32) -> anyhow::Result<Measured> {
    // there is nothing to relay where everything is there
    let takes_part = |participant: Participant| participant.compares() || !case.settings.equal;
    let mut rows: Vec<(Row, Option<&Program>)> = Vec::new();
    for (participant, program) in programs.iter().filter(|(participant, _)| takes_part(*participant)) {
        let name = program.as_ref().map(|program| program.name.clone());
        rows.push((
            Row { participant: *participant, name, runs: Vec::new(), value: None, to_engine: None, to_relay: None },
            program.as_ref(),
        ));
    }
    for n in 1..=runs {
        for (row, program) in &mut rows {
            let Some(program) = program else { continue };
            let figures = trial::run(program, case).await?;
            let word = figures.wrong.clone().unwrap_or_else(|| format!("{:.2} s, {:.2} CPU-s", figures.wall_s, figures.cpu_s));
            eprintln!("{} run {n} {}: {word}", case.name, program.name);
            row.runs.push(figures);
        }
    }
    Ok(Measured::new(case, rows.into_iter().map(|(row, _)| row).collect()))
}
