//! `dth-demo`: two S3 stores, two registries and the daemon in one process, and the proof that every object and image arrived as it was.

mod daemon;
mod data;
mod images;
mod progress;
mod verify;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use dth_proto::{
    address::Address,
    units::{self, ByteSize},
    view::RunView,
};
use dth_tests::{registry, s3::Server};
use dth_tui::{dashboard, glyph::Glyphs, theme::ColorChoice};
use serde::Serialize;

use crate::verify::Verdict;

/// How long the transfer should take where someone watches it.
const WATCHED: Duration = Duration::from_secs(25);
/// Latency of both stores where someone watches.
const LATENCY: Duration = Duration::from_millis(4);

/// Moves a few thousand objects between two S3 stores in memory, and images between two registries, and proves that they arrived: needs no
/// account and no network.
#[derive(Debug, Parser)]
#[command(name = "dth-demo", version)]
struct Arguments {
    /// Print lines of progress instead of showing the dashboard (also without a terminal).
    #[arg(long)]
    headless: bool,
    /// Small objects; a few large ones and some with hostile keys come on top.
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    objects: u64,
    /// Usual size of a small object.
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = object_size)]
    object_size: ByteSize,
    /// Container images.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    images: u64,
    /// Form of the summary.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Up to 1 MiB: the stores keep everything in memory, and some objects are 32 times as large.
fn object_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: units::BadUnit| error.to_string())?;
    if (1..=1 << 20).contains(&size.0) { Ok(size) } else { Err(format!("{size} is not from 1B to 1MiB")) }
}

/// What the demo found out.
#[derive(Debug, Serialize)]
struct Summary {
    /// Objects at the source.
    objects: u64,
    /// Their bytes.
    bytes: u64,
    /// From the first task to the end of the last run.
    transfer_s: f64,
    runs: Vec<RunView>,
    verdict: Verdict,
    /// Images at the source.
    images: u64,
    image_verdict: images::Verdict,
    /// Every object and every image is at the destination as it was at the source.
    identical: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match demo(&arguments).await {
        Ok(summary) => {
            report(&summary, arguments.output);
            if summary.identical { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("dth-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> anyhow::Result<Summary> {
    let watched = !arguments.headless && arguments.output == Output::Text && std::io::stdout().is_terminal();
    // standard output belongs to the JSON when it was asked for
    let say = |line: &str| if arguments.output == Output::Json { eprintln!("{line}") } else { println!("{line}") };
    let source = Server::start().await.context("cannot start the source store")?;
    let destination = Server::start().await.context("cannot start the destination store")?;
    let amount = data::Amount { objects: arguments.objects, object_size: arguments.object_size.0, large: &data::LARGE };
    let (objects, bytes) = data::fill(source.store(), amount);
    data::ROUTES.iter().for_each(|route| destination.store().create_bucket(route.destination));
    let (from, to) = tokio::try_join!(registry::Server::start(), registry::Server::start()).context("cannot start the registries")?;
    let images = arguments.images;
    let image_bytes = images::fill(from.store(), images);
    say(&format!("{} objects, {}, from {} to {}", units::grouped(objects), units::bytes(bytes), source.endpoint(), destination.endpoint()));
    say(&format!("{} images, {}, from {} to {}", units::grouped(images), units::bytes(image_bytes), from.endpoint(), to.endpoint()));
    let slow = |on: bool| {
        let latency = if on { LATENCY } else { Duration::ZERO };
        let bandwidth = |bytes: u64| on.then_some((bytes / WATCHED.as_secs()).max(1));
        source.set_bandwidth(bandwidth(bytes));
        from.set_bandwidth(bandwidth(image_bytes));
        source.set_latency(latency);
        destination.set_latency(latency);
        from.set_latency(latency);
        to.set_latency(latency);
    };
    slow(watched);
    let folder = tempfile::Builder::new().prefix("dth-demo-").tempdir().context("cannot make a temporary folder")?;
    let (daemon, connection) = daemon::start(folder.path()).await?;
    let begin = Instant::now();
    for route in data::ROUTES {
        progress::create(&connection, progress::spec(&route, &source.endpoint(), &destination.endpoint())?).await?;
    }
    progress::create(&connection, images::spec(&from.endpoint(), &to.endpoint())?).await?;
    if watched {
        dashboard(daemon.address.clone()).await?;
        // nobody watches any more: finish at full speed
        slow(false);
    }
    let runs = progress::follow(&connection, data::ROUTES.len() + 1, say).await?;
    let transfer_s = begin.elapsed().as_secs_f64();
    daemon.stop().await?;
    let mut verdict = Verdict::default();
    data::ROUTES.iter().for_each(|route| verdict.add(source.store(), destination.store(), route));
    let image_verdict = images::Verdict::of(from.store(), to.store());
    let identical =
        verdict.identical() && verdict.compared == objects && image_verdict.differences == 0 && image_verdict.compared == images;
    Ok(Summary { objects, bytes, transfer_s, runs, verdict, images, image_verdict, identical })
}

async fn dashboard(address: Address) -> anyhow::Result<()> {
    let options = dashboard::Options { address, read_only: false, glyphs: Glyphs::default(), color: ColorChoice::default() };
    dashboard::run(options).await
}

fn report(summary: &Summary, output: Output) {
    if output == Output::Json {
        // plain data with string keys always has a JSON form
        println!("{}", serde_json::to_string_pretty(summary).unwrap_or_default());
        return;
    }
    let verdict = &summary.verdict;
    for run in &summary.runs {
        let word = run.outcome.map_or("not ended", |outcome| outcome.word());
        let counters = &run.counters;
        println!("{}: {word}, {} copied, {} failed, {} requests", run.task, counters.copied, counters.failed, counters.requests);
    }
    println!(
        "{} of {} objects compared byte by byte ({}, with content type, headers, metadata and tags), transferred in {:.1} s",
        units::grouped(verdict.compared),
        units::grouped(summary.objects),
        units::bytes(verdict.bytes),
        summary.transfer_s
    );
    let images = &summary.image_verdict;
    println!(
        "{} of {} images compared digest by digest ({} manifests, {} blobs)",
        units::grouped(images.compared),
        units::grouped(summary.images),
        units::grouped(images.manifests),
        units::grouped(images.blobs)
    );
    for example in verdict.examples.iter().chain(&images.examples) {
        println!("  {example}");
    }
    match (summary.identical, verdict.differences + images.differences) {
        (true, _) => println!("all identical"),
        (false, differences) => println!("NOT identical: {differences} differences"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["dth-demo", "--object-size", "1MiB", "--objects", "10", "-o", "json"]).is_ok());
        for bad in [["--object-size", "2MiB"], ["--object-size", "x"], ["--objects", "0"], ["-o", "xml"]] {
            assert!(Arguments::try_parse_from(["dth-demo", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
    }
}
