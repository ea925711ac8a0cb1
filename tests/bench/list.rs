//! `dth-bench list`: whether listings stay flat in memory, and how much faster many ranges are than one cursor.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use dth_proto::units::{ByteSize, grouped};
use serde::Serialize;
use tokio::process::Command;

use crate::{
    case::Case,
    compare::Compared,
    cursor::Walked,
    figures::{Figures, Metric, median},
    keys::Keys,
    participant::Participant,
    process::Process,
    report::{machine, number},
    serve::Settings,
    trial,
};

/// Keys of the comparison whose memory is the measure for the larger one.
const FEW: u64 = 1_000_000;
/// The larger one may take so much more memory.
const FLAT: f64 = 1.1;
/// Keys per second that must be compared.
const RATE: f64 = 300_000.0;
/// How much faster than one cursor a flat bucket must be listed.
const CURSORS: f64 = 20.0;

/// What to measure and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Keys at both ends of the comparison inside one process.
    #[arg(long, value_name = "N", default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    keys: u64,
    /// Keys of the flat bucket that is listed over HTTP.
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    served: u64,
    /// Wait of each of its pages.
    #[arg(long, value_name = "SPAN", default_value = "40ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// All keys of the comparison in one prefix, without folders.
    #[arg(long)]
    flat: bool,
    /// Runs of each; the median counts.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Writes everything that was measured there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails also when a goal is missed.
    #[arg(long)]
    strict: bool,
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
struct Report {
    machine: String,
    few: Vec<Inside>,
    many: Vec<Inside>,
    cursor: Vec<Walked>,
    ranges: Vec<Figures>,
    goals: Vec<Goal>,
}

/// A comparison inside one process.
#[derive(Debug, Serialize)]
struct Inside {
    #[serde(flatten)]
    compared: Compared,
    cpu_s: f64,
    peak: u64,
    wrong: Option<String>,
}

#[derive(Debug, Serialize)]
struct Goal {
    what: &'static str,
    wanted: f64,
    reached: Option<f64>,
    met: bool,
}

impl Goal {
    fn at_least(what: &'static str, wanted: f64, reached: Option<f64>) -> Self {
        Self { what, wanted, reached, met: reached.is_some_and(|reached| reached >= wanted) }
    }

    fn at_most(what: &'static str, wanted: f64, reached: Option<f64>) -> Self {
        Self { what, wanted, reached, met: reached.is_some_and(|reached| reached <= wanted) }
    }
}

/// Measures and prints; whether everything was complete and right.
///
/// # Errors
/// When the bench itself does not work.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut report = Report { machine: machine(), ..Report::default() };
    println!("{}; median of {} runs, in turn\n", report.machine, arguments.runs);
    let keys = |count| Keys { count, flat: arguments.flat };
    let case = flat_bucket(arguments);
    let engine = Participant::Engine.find().context("this program does not find itself")?;
    for _ in 0..arguments.runs {
        report.few.push(inside(keys(FEW.min(arguments.keys))).await?);
        report.many.push(inside(keys(arguments.keys)).await?);
        report.cursor.push(one_cursor(&case.settings).await?);
        report.ranges.push(trial::run(&engine, &case).await?);
    }
    let right = print(&mut report, arguments, &case);
    let met = report.goals.iter().all(|goal| goal.met);
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(right && (met || !arguments.strict))
}

fn flat_bucket(arguments: &Arguments) -> Case {
    Case {
        name: "flat",
        settings: Settings {
            keys: Keys { count: arguments.served, flat: true },
            size: ByteSize(4_096),
            equal: true,
            latency: arguments.latency,
            refuse: 0.0,
            refuse_for: Duration::ZERO,
        },
        connections: 1,
        metric: Metric::Wall,
        goals: Vec::new(),
    }
}

/// Prints the tables and puts the goals into the report; whether all runs were complete and right.
fn print(report: &mut Report, arguments: &Arguments, case: &Case) -> bool {
    println!("listing and comparing inside one process, equal at both ends");
    println!("{:>15} {:>15} {:>15} {:>15} {:>15}", "keys", "keys/s", "wall s", "CPU s", "peak MB");
    let of = |runs: &[Inside], value: fn(&Inside) -> f64| {
        runs.iter().all(|run| run.wrong.is_none()).then(|| median(runs.iter().map(value).collect())).flatten()
    };
    let rate = |run: &Inside| run.compared.listed as f64 / run.compared.wall_s;
    for runs in [&report.few, &report.many] {
        let cell = |value| of(runs, value).map_or_else(|| "-".to_owned(), number);
        let listed = runs.first().map_or(0, |run| run.compared.listed);
        let (peak, wall, cpu) = (cell(|run| run.peak as f64 / 1e6), cell(|run| run.compared.wall_s), cell(|run| run.cpu_s));
        println!("{:>15} {:>15} {wall:>15} {cpu:>15} {peak:>15}", grouped(listed), cell(rate));
        runs.iter().filter_map(|run| run.wrong.as_deref()).for_each(|wrong| println!("NOT RIGHT: {wrong}"));
    }
    println!("\nover HTTP, {} keys in one prefix, {:?} per page, equal at both ends", grouped(arguments.served), arguments.latency);
    let cursor = median(report.cursor.iter().map(|walked| walked.keys as f64 / walked.wall_s).collect());
    let right = report.ranges.iter().all(|run| run.wrong.is_none());
    let wall = median(report.ranges.iter().map(|run| run.wall_s).collect()).filter(|_| right);
    let ranges = wall.map(|wall| case.settings.keys.count as f64 / wall);
    let cell = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), number);
    println!("{:<20} {:>15}", "", "keys/s");
    println!("{:<20} {:>15}", "one cursor", cell(cursor));
    println!("{:<20} {:>15}", "dthd", cell(ranges));
    report.ranges.iter().filter_map(|run| run.wrong.as_deref()).for_each(|wrong| println!("NOT RIGHT: {wrong}"));
    let peak = |runs| of(runs, |run| run.peak as f64);
    let more = peak(&report.many).zip(peak(&report.few)).map(|(many, few)| many / few);
    let times = ranges.zip(cursor).map(|(ranges, cursor)| ranges / cursor);
    report.goals = vec![
        Goal::at_most("memory of the many relative to that of the few", FLAT, more),
        Goal::at_least("keys compared per second", RATE, of(&report.many, rate)),
        Goal::at_least("rate relative to one cursor", CURSORS, times),
    ];
    println!();
    for goal in &report.goals {
        println!("goal: {}, {}: {}, {}", goal.what, number(goal.wanted), cell(goal.reached), if goal.met { "met" } else { "MISSED" });
    }
    right && report.few.iter().chain(&report.many).all(|run| run.wrong.is_none())
}

/// Compares in a process of its own.
async fn inside(keys: Keys) -> anyhow::Result<Inside> {
    let folder = tempfile::Builder::new().prefix("dth-bench-").tempdir().context("cannot make a temporary folder")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["compare", &format!("--objects={}", keys.count)]).args(keys.flat.then_some("--flat"));
    let mut process = Process::start(command.arg("--folder").arg(folder.path()))?;
    process.close();
    let ended = process.end().await?;
    let compared: Compared = serde_json::from_str(&ended.out).unwrap_or_default();
    let all = ended.status.success() && compared.listed == keys.count && compared.same == keys.count;
    let wrong = (!all).then(|| format!("{}: {} listed, {} same; {}", ended.status, compared.listed, compared.same, ended.errors.trim()));
    Ok(Inside { compared, cpu_s: ended.user_s + ended.system_s, peak: ended.peak, wrong })
}

/// One cursor over the same bucket.
async fn one_cursor(settings: &Settings) -> anyhow::Result<Walked> {
    let server = trial::Server::start(settings).await?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut process = Process::start(command.args(["cursor", "--endpoint", &server.endpoint]))?;
    process.close();
    let ended = process.end().await?;
    server.end().await?;
    serde_json::from_str(&ended.out).with_context(|| format!("one cursor: {}: {}", ended.status, ended.errors.trim()))
}
