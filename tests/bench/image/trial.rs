//! One run of the engine or of skopeo between two real registries.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueEnum;
use dth_proto::{
    id::TaskName,
    spec::{ImageDestination, ImageJob, ImageOptions, ImageSource, Job, Registry, TaskLimits, TaskSpec},
    view::{RunOutcome, RunView},
};
use dth_tests::{
    docker_registry::{DockerRegistry, Request},
    image::Blob,
    installed,
    skopeo::Skopeo,
    tunnel::Tunnel,
};
use serde::Serialize;
use tokio::process::Command;

use super::case::{Case, REPOSITORY};
use crate::{
    engine,
    process::{Ended, Process},
};

/// The longest time a run may take.
const LIMIT: Duration = Duration::from_mins(20);
/// As much of what a program complains about as is shown.
const COMPLAINT: usize = 300;

/// A program that copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Participant {
    /// `dthd`.
    Engine,
    /// skopeo: `copy` of one image, `sync` of many.
    Skopeo,
}

impl Participant {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 2] = [Self::Engine, Self::Skopeo];

    /// Its name and version; `None` when it is not installed.
    #[must_use]
    pub fn find(self) -> Option<String> {
        if self == Self::Engine {
            return Some(format!("dthd {}", env!("CARGO_PKG_VERSION")));
        }
        let output = std::process::Command::new(installed::find("skopeo")?).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(format!("skopeo {}", text.split_whitespace().nth(2)?))
    }
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// From the start of the process to its end; for the engine, which is a daemon, from the creation of the task to the end of its run.
    pub wall_s: f64,
    /// CPU of the whole process, from its start to its end.
    pub cpu_s: f64,
    /// Highest resident memory, bytes.
    pub peak: u64,
    /// Requests to the source.
    pub source_requests: u64,
    /// Requests to the destination.
    pub destination_requests: u64,
    /// Those of them that were to change something.
    pub writes: u64,
    /// CPU of the source's registry meanwhile.
    pub source_cpu_s: f64,
    /// CPU of the destination's.
    pub destination_cpu_s: f64,
    /// The shortest wall time in which these registries can do what they did on this machine, whoever asks them: with all of its cores for
    /// nothing else, and with one core for one upload, whose bytes a registry takes one after the other.
    pub floor_s: f64,
    /// Why the run is not complete or not right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// A registry with the images of a case.
pub struct Filled {
    registry: DockerRegistry,
    storage: PathBuf,
    /// Tag, manifest, digests of the blobs.
    images: Vec<(String, Bytes, Vec<String>)>,
}

impl Filled {
    /// Starts a registry, which keeps what it has below `storage`, and fills it.
    pub async fn start(case: &Case, storage: &Path) -> Self {
        let registry = DockerRegistry::start_in(storage).await;
        let mut images = Vec::new();
        for (tag, image) in case.make() {
            registry.push(REPOSITORY, &[&tag], &image).await;
            let blobs = image.stored_blobs().into_iter().map(Blob::digest).collect();
            images.push((tag, image.bytes, blobs));
        }
        Self { registry, storage: storage.to_owned(), images }
    }

    /// What another registry lacks.
    async fn missing(&self, destination: &DockerRegistry) -> Option<String> {
        for (tag, manifest, blobs) in &self.images {
            if destination.manifest(REPOSITORY, tag).await.as_ref() != Some(manifest) {
                return Some(format!("{REPOSITORY}:{tag} is not at the destination as it is at the source"));
            }
            for blob in blobs {
                if !destination.has_blob(REPOSITORY, blob).await {
                    return Some(format!("{REPOSITORY}:{tag} lacks its blob {blob}"));
                }
            }
        }
        None
    }
}

/// Runs a participant once, from `source` to a registry of its own beside it, or to `filled` where nothing is to change.
///
/// # Errors
/// When the bench itself does not work; a participant that fails is told in [`Figures::wrong`].
pub async fn run(participant: Participant, case: &Case, source: &Filled, filled: Option<&Filled>) -> anyhow::Result<Figures> {
    let fresh = if filled.is_none() { Some(DockerRegistry::start_in(&source.storage).await) } else { None };
    let destination = fresh.as_ref().or(filled.map(|filled| &filled.registry)).context("a destination")?;
    let (before, cpu_before) = (looked(&source.registry, destination).await, [&source.registry, destination].map(cpu_of));
    let tunnels = if case.latency.is_zero() {
        None
    } else {
        let open = async |registry: &DockerRegistry| Tunnel::open(registry.address(), case.latency).await;
        Some((open(&source.registry).await?, open(destination).await?))
    };
    let (from, to) = match &tunnels {
        Some((from, to)) => (from.address(), to.address()),
        None => (source.registry.address(), destination.address()),
    };
    let took = tokio::time::timeout(LIMIT, async {
        match participant {
            Participant::Engine => engine_run(&from, &to, case).await,
            Participant::Skopeo => skopeo_run(&from, &to, case).await,
        }
    });
    // dropped when it takes too long, which kills the process
    let took = took.await.unwrap_or_else(|_| anyhow::bail!("not done after {LIMIT:?}"));
    let source_cpu_s = cpu_of(&source.registry) - cpu_before[0];
    let destination_cpu_s = cpu_of(destination) - cpu_before[1];
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let one_upload = if case.is_one_upload() { destination_cpu_s } else { 0.0 };
    let floor_s = one_upload.max((source_cpu_s + destination_cpu_s) / cores);
    let after = looked(&source.registry, destination).await;
    let mut figures = took.unwrap_or_else(|error| Figures { wrong: Some(format!("{error:#}")), ..Figures::default() });
    if figures.wrong.is_none() {
        figures.wrong = source.missing(destination).await;
    }
    let writes = after.1[before.1.len()..].iter().filter(|request| request.is_write()).count() as u64;
    if case.unchanged && participant == Participant::Engine && writes > 0 {
        figures.wrong = figures.wrong.or_else(|| Some(format!("{writes} requests to change what is the same")));
    }
    let (source_requests, destination_requests) = ((after.0.len() - before.0.len()) as u64, (after.1.len() - before.1.len()) as u64);
    Ok(Figures { source_requests, destination_requests, writes, source_cpu_s, destination_cpu_s, floor_s, ..figures })
}

/// All requests that both have had.
async fn looked(source: &DockerRegistry, destination: &DockerRegistry) -> (Vec<Request>, Vec<Request>) {
    (source.requests().await, destination.requests().await)
}

/// CPU that a registry has used, seconds.
fn cpu_of(registry: &DockerRegistry) -> f64 {
    cpu_s(registry.id())
}

/// CPU that a process has used, by fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)): hundredths of a second.
fn cpu_s(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // the name of the program, field 2, may hold anything, and ends with the last parenthesis
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2)).into_iter().flatten();
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn figures(ended: &Ended, wall_s: f64, wrong: Option<String>) -> Figures {
    Figures { wall_s, cpu_s: ended.user_s + ended.system_s, peak: ended.peak, wrong, ..Figures::default() }
}

/// skopeo as fast as it goes without changing a digest.
async fn skopeo_run(from: &str, to: &str, case: &Case) -> anyhow::Result<Figures> {
    let skopeo = Skopeo::prepare();
    let mut command = if case.images == 1 {
        let image = |address: &str| format!("docker://{address}/{REPOSITORY}:v1");
        skopeo.command("copy", &["src", "dest"], &["--quiet", "--all", "--preserve-digests", &image(from), &image(to)])
    } else {
        // it puts the last segment of the repository's name behind the destination
        let folder = REPOSITORY.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (from, to) = (format!("{from}/{REPOSITORY}"), format!("{to}/{folder}"));
        skopeo.command("sync", &["src", "dest"], &["--all", "--preserve-digests", "--src", "docker", "--dest", "docker", &from, &to])
    };
    let begin = Instant::now();
    let mut process = Process::start(&mut command)?;
    process.close();
    let ended = process.end().await?;
    let wall_s = begin.elapsed().as_secs_f64();
    let complaint = || {
        let said = ended.errors.trim();
        let tail = said.char_indices().rev().nth(COMPLAINT).map_or(0, |(at, _)| at);
        format!("{}: {}", ended.status, &said[tail..])
    };
    Ok(figures(&ended, wall_s, (!ended.status.success()).then(complaint)))
}

/// The daemon: started, given its task, waited for, stopped.
async fn engine_run(from: &str, to: &str, case: &Case) -> anyhow::Result<Figures> {
    let folder = tempfile::Builder::new().prefix("dth-bench-").tempdir().context("cannot make a temporary folder")?;
    let program: PathBuf = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(["engine", "--folder"]).arg(folder.path()).envs(engine::environment());
    let mut process = Process::start(&mut command)?;
    let connection = engine::reach(folder.path()).await?;
    let begin = Instant::now();
    let name = engine::create(&connection, task(from, to)?).await?;
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
    let done = if case.unchanged { counters.same } else { counters.copied };
    if run.outcome == Some(RunOutcome::Succeeded) && done == case.images as u64 {
        return None;
    }
    let word = run.outcome.map_or("not ended", |outcome| outcome.word());
    let why = run.error.as_deref().unwrap_or_default();
    Some(format!(
        "{word}: listed {}, same {}, copied {}, failed {} {why}",
        counters.listed, counters.same, counters.copied, counters.failed
    ))
}

/// The task: the repository from one registry to the other, with defaults only.
fn task(from: &str, to: &str) -> anyhow::Result<TaskSpec> {
    let registry =
        |address: &str| Registry { registry: format!("http://{address}"), credential: Some("anonymous".to_owned()), ..Registry::default() };
    Ok(TaskSpec {
        name: TaskName::new("bench")?,
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        job: Job::Image(ImageJob {
            source: ImageSource { registry: registry(from), images: vec![REPOSITORY.to_owned()] },
            destination: ImageDestination { registry: registry(to), ..ImageDestination::default() },
            options: ImageOptions::default(),
        }),
        limits: TaskLimits::default(),
        trigger: None,
        report: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_follows_the_rules() {
        let spec = task("127.0.0.1:1", "127.0.0.1:2").unwrap();
        assert!(spec.problems().is_empty(), "{:?}", spec.problems());
    }

    #[test]
    fn the_cpu_of_a_process_is_read() {
        assert_eq!(cpu_s(0), 0.0);
        let begin = Instant::now();
        let mut sum = 0_u64;
        while begin.elapsed() < Duration::from_millis(100) {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0 && cpu_s(std::process::id()) >= 0.05);
    }
}
