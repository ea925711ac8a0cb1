//! One run of one participant against a server of its own.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use dth_proto::view::{RunOutcome, RunView};
use tokio::process::Command;

use crate::{
    case::Case,
    engine,
    figures::Figures,
    participant::{Participant, Program},
    process::{Ended, Process},
    serve::{Counts, Settings},
};

/// The longest time a run may take.
const LIMIT: Duration = Duration::from_mins(20);
/// As much of what a program complains about as is shown.
const COMPLAINT: usize = 300;

/// A server of its own.
pub struct Server {
    process: Process,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
}

impl Server {
    /// Starts it and waits for its address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").args(settings.arguments());
        let mut process = Process::start(&mut command)?;
        let endpoint = process.line().await.context("the server did not start")?;
        Ok(Self { process, endpoint })
    }

    /// Ends it; what it counted, and its CPU in seconds.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn end(mut self) -> anyhow::Result<(Counts, f64)> {
        self.process.close();
        let ended = self.process.end().await?;
        let counts =
            serde_json::from_str(&ended.out).with_context(|| format!("the server ended with {}: {}", ended.status, ended.errors))?;
        Ok((counts, ended.user_s + ended.system_s))
    }
}

/// Runs a participant once.
///
/// # Errors
/// When the bench itself does not work; a participant that fails is told in [`Figures::wrong`].
pub async fn run(program: &Program, case: &Case) -> anyhow::Result<Figures> {
    let folder = tempfile::Builder::new().prefix("dth-bench-").tempdir().context("cannot make a temporary folder")?;
    let server = Server::start(&case.settings).await?;
    let mut command = program.command(&server.endpoint, &case.settings, case.connections, folder.path());
    let took = tokio::time::timeout(LIMIT, async {
        match program.participant {
            Participant::Engine => engine_run(&mut command, &server.endpoint, folder.path(), case).await,
            _ => program_run(&mut command).await,
        }
    });
    // dropped when it takes too long, which kills the process
    let took = took.await.unwrap_or_else(|_| anyhow::bail!("not done after {LIMIT:?}"));
    let (counts, server_cpu_s) = server.end().await?;
    let mut figures = took.unwrap_or_else(|error| Figures { wrong: Some(format!("{error:#}")), ..Figures::default() });
    figures.wrong = figures.wrong.or_else(|| not_written(&counts, case.to_write()));
    Ok(Figures { counts, server_cpu_s, ..figures })
}

/// What the server misses.
fn not_written(counts: &Counts, wanted: u64) -> Option<String> {
    match counts {
        Counts { wrong: 0, written, .. } if *written == wanted => None,
        Counts { wrong: 0, written, .. } => Some(format!("{written} of {wanted} objects were written")),
        Counts { wrong, .. } => Some(format!("{wrong} writes of unknown keys or wrong lengths")),
    }
}

fn figures(ended: &Ended, wall_s: f64, wrong: Option<String>) -> Figures {
    let (user_s, system_s) = (ended.user_s, ended.system_s);
    Figures { wall_s, cpu_s: user_s + system_s, user_s, system_s, peak: ended.peak, wrong, ..Figures::default() }
}

/// A program that copies and ends.
async fn program_run(command: &mut Command) -> anyhow::Result<Figures> {
    let begin = Instant::now();
    let mut process = Process::start(command)?;
    process.close();
    let ended = process.end().await?;
    let wall_s = begin.elapsed().as_secs_f64();
    let complaint = || {
        let said = format!("{}{}", ended.errors, ended.out);
        format!("{}: {}", ended.status, said.trim().chars().take(COMPLAINT).collect::<String>())
    };
    Ok(figures(&ended, wall_s, (!ended.status.success()).then(complaint)))
}

/// The daemon: started, given its task, waited for, stopped.
async fn engine_run(command: &mut Command, endpoint: &str, folder: &Path, case: &Case) -> anyhow::Result<Figures> {
    let mut process = Process::start(command.stdout(Stdio::piped()))?;
    let connection = engine::reach(folder).await?;
    let begin = Instant::now();
    let name = engine::create(&connection, engine::task(endpoint)?).await?;
    let run = engine::ended(&connection, &name).await?;
    let wall_s = begin.elapsed().as_secs_f64();
    drop(connection);
    process.close();
    let ended = process.end().await?;
    let wrong = if ended.status.success() { not_done(&run, case) } else { Some(format!("{}: {}", ended.status, ended.errors.trim())) };
    Ok(figures(&ended, wall_s, wrong))
}

/// What the engine's own account lacks.
fn not_done(run: &RunView, case: &Case) -> Option<String> {
    let counters = &run.counters;
    let all = case.settings.keys.count;
    let done = if case.settings.equal { counters.same } else { counters.copied };
    if run.outcome == Some(RunOutcome::Succeeded) && counters.listed == all && done == all {
        return None;
    }
    let word = run.outcome.map_or("not ended", |outcome| outcome.word());
    let why = run.error.as_deref().unwrap_or_default();
    Some(format!(
        "{word}: listed {}, same {}, copied {}, failed {} {why}",
        counters.listed, counters.same, counters.copied, counters.failed
    ))
}
