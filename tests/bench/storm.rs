//! `dth-bench storm`: a store that refuses a share of the requests, beside the same store on a good day.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use dth_proto::{
    units::{ByteSize, grouped},
    view::RunOutcome,
};
use serde::Serialize;

use crate::{
    engine,
    keys::Keys,
    participant::Participant,
    process::Process,
    report::{machine, number},
    serve::{Counts, Settings},
    trial::Server,
};

/// Goodput in the storm relative to the good day.
const GOAL: f64 = 0.6;
/// More objects than can be copied meanwhile.
const ENDLESS: u64 = 20_000_000;
/// The share of the time that is left for settling.
const SETTLE: f64 = 0.25;

/// What to measure and how.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// How long the storm lasts.
    #[arg(long = "for", value_name = "SPAN", default_value = "1m", value_parser = humantime::parse_duration)]
    span: Duration,
    /// Share of the requests that are refused.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    refuse: f64,
    /// Wait of each request.
    #[arg(long, value_name = "SPAN", default_value = "40ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// Bytes of each object.
    #[arg(long, value_name = "SIZE", default_value = "4KiB")]
    size: ByteSize,
    /// Writes everything that was measured there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fails also when the goal is missed.
    #[arg(long)]
    strict: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: String,
    /// Objects per second after settling, on a good day.
    clean: f64,
    /// The same in the storm.
    storm: f64,
    ratio: f64,
    met: bool,
    /// Objects of the run in the storm.
    objects: u64,
    /// What is not right about that run.
    wrong: Option<String>,
    clean_counts: Counts,
    storm_counts: Counts,
}

/// Measures and prints; whether no object failed.
///
/// # Errors
/// When the bench itself does not work.
pub async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let machine = machine();
    println!("{machine}\n");
    let settings = |count, refuse| Settings {
        keys: Keys { count, flat: false },
        size: arguments.size,
        equal: false,
        latency: arguments.latency,
        refuse,
        refuse_for: arguments.span,
    };
    let (clean_counts, _) = copy(&settings(ENDLESS, 0.0), Some(arguments.span)).await?;
    let clean = settled(&clean_counts, arguments.span);
    anyhow::ensure!(clean > 0.0, "nothing was copied in {:?} on a good day", arguments.span);
    // as many as fill the storm on a good day: the run goes on behind its end, to its own
    let objects = (clean * arguments.span.as_secs_f64()).ceil() as u64;
    let (storm_counts, wrong) = copy(&settings(objects, arguments.refuse), None).await?;
    let storm = settled(&storm_counts, arguments.span);
    let ratio = storm / clean;
    let report = Report { machine, clean, storm, ratio, met: ratio >= GOAL, objects, wrong, clean_counts, storm_counts };
    print(&report, arguments);
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report.wrong.is_none() && (report.met || !arguments.strict))
}

fn print(report: &Report, arguments: &Arguments) {
    let Arguments { refuse, span, latency, size, .. } = arguments;
    println!("{size} objects, {latency:?} per request, {:.0} % of the requests refused for {span:?}", refuse * 100.0);
    println!("{:<20} {:>15} {:>15} {:>15}", "", "objects/s", "requests", "refused");
    for (name, rate, counts) in [("good day", report.clean, &report.clean_counts), ("storm", report.storm, &report.storm_counts)] {
        println!("{name:<20} {:>15} {:>15} {:>15}", number(rate), grouped(counts.total()), grouped(counts.refused));
    }
    match &report.wrong {
        None => println!("all {} objects of the storm arrived, none failed", grouped(report.objects)),
        Some(wrong) => println!("NOT RIGHT: {wrong}"),
    }
    println!("goal: storm >= {GOAL} of the good day: {}, {}", number(report.ratio), if report.met { "met" } else { "MISSED" });
}

/// Objects per second after settling, until the storm is over or the last object is there.
fn settled(counts: &Counts, span: Duration) -> f64 {
    let seconds = &counts.written_per_second;
    let end = seconds.len().min(span.as_secs() as usize);
    let begin = (span.as_secs_f64() * SETTLE) as usize;
    let window = seconds.get(begin..end).unwrap_or_default();
    window.iter().sum::<u64>() as f64 / window.len().max(1) as f64
}

/// Copies until the end, or kills the daemon after `span`; what the server counted, and what is not right about a run that ended.
async fn copy(settings: &Settings, span: Option<Duration>) -> anyhow::Result<(Counts, Option<String>)> {
    let folder = tempfile::Builder::new().prefix("dth-bench-").tempdir().context("cannot make a temporary folder")?;
    let server = Server::start(settings).await?;
    let program = Participant::Engine.find().context("this program does not find itself")?;
    let mut process = Process::start(&mut program.command(&server.endpoint, settings, 0, folder.path()))?;
    let connection = engine::reach(folder.path()).await?;
    let name = engine::create(&connection, engine::task(&server.endpoint)?).await?;
    let ended = engine::ended(&connection, &name);
    let run = match span {
        Some(span) => tokio::time::timeout(span, ended).await.ok().transpose()?,
        None => Some(ended.await?),
    };
    drop(connection);
    let wrong = match &run {
        Some(run) => {
            process.close();
            process.end().await?;
            let counters = &run.counters;
            let whole = run.outcome == Some(RunOutcome::Succeeded) && counters.copied == settings.keys.count;
            (!whole).then(|| format!("{:?}: copied {}, failed {}", run.outcome, counters.copied, counters.failed))
        }
        None => {
            process.kill().await?;
            None
        }
    };
    let (counts, _) = server.end().await?;
    let lost = run.is_some() && (counts.written != settings.keys.count || counts.wrong > 0);
    let wrong = wrong.or_else(|| lost.then(|| format!("{} written, {} wrong", counts.written, counts.wrong)));
    Ok((counts, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settling_is_left_out() {
        let counts = Counts { written_per_second: vec![9, 9, 1, 2, 3, 4, 5, 6, 9, 9], ..Counts::default() };
        assert!((settled(&counts, Duration::from_secs(8)) - 3.5).abs() < 1e-9);
        assert!((settled(&counts, Duration::from_secs(40)) - 0.0).abs() < 1e-9);
        assert!((settled(&Counts::default(), Duration::from_secs(8)) - 0.0).abs() < 1e-9);
    }
}
