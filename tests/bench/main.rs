//! `dth-bench`: what copying and comparing cost, beside the peers and beside the least that is possible.

mod case;
mod compare;
mod content;
mod cursor;
mod engine;
mod figures;
mod image;
mod keys;
mod list;
mod lister;
mod participant;
mod process;
mod relay;
mod report;
mod s3;
mod serve;
mod storm;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the engines and the peers found here (rclone, s3sync, skopeo) on the same servers, each in a process of its own.
#[derive(Debug, Parser)]
#[command(name = "dth-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copying and comparing: CPU, wall clock, memory, requests.
    S3(s3::Arguments),
    /// Copying images between two real registries: the same figures, beside skopeo.
    Image(image::Arguments),
    /// Listing: memory with 100 million keys, and many ranges beside one cursor.
    List(list::Arguments),
    /// Copying from and to a store that refuses every third request.
    Storm(storm::Arguments),
    /// The server at no cost, which the others use.
    Serve(serve::Settings),
    /// The raw relay.
    Relay(relay::Arguments),
    /// The daemon, for one run.
    Engine(engine::Arguments),
    /// The engine's comparison of two synthetic buckets, for one run.
    Compare(compare::Arguments),
    /// A listing with one cursor.
    Cursor(cursor::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::S3(arguments) => s3::run(&arguments).await,
        Command::Image(arguments) => image::run(&arguments).await,
        Command::List(arguments) => list::run(&arguments).await,
        Command::Storm(arguments) => storm::run(&arguments).await,
        Command::Serve(settings) => serve::run(settings).await.map(|()| true),
        Command::Relay(arguments) => relay::run(arguments).await.map(|()| true),
        Command::Engine(arguments) => engine::run(arguments).await.map(|()| true),
        Command::Compare(arguments) => compare::run(arguments).await.map(|()| true),
        Command::Cursor(arguments) => cursor::run(arguments).await.map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dth-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
