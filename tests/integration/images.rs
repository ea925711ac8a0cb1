//! Images between two real registries: what skopeo put into one, it finds in the other, digest for digest.

mod bad_input;
pub mod catalogue;
mod kill;
mod large;
mod repositories;
mod selection;
mod whole;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dth_proto::view::{RunOutcome, RunView};
use dth_tests::{daemon::Daemon, docker_registry::DockerRegistry, task::Task};

/// The value of a Basic `Authorization` header.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A source and a destination.
async fn registries() -> (DockerRegistry, DockerRegistry) {
    tokio::join!(DockerRegistry::start(), DockerRegistry::start())
}

/// All images of one into the other.
fn task(name: &str, from: &DockerRegistry, to: &DockerRegistry) -> Task {
    Task::images(name, &from.endpoint(), &to.endpoint())
}

/// The images to take: repositories by name, each perhaps with a tag.
fn named(task: Task, images: &[&str]) -> Task {
    task.with("source.images", images.iter().map(|image| toml::Value::from(*image)).collect::<Vec<_>>())
}

/// Listed, copied, same, skipped and failed images of a run whose books must balance.
fn counts(run: &RunView) -> [u64; 5] {
    let counters = &run.counters;
    assert!(counters.balanced() && counters.pending == 0, "{run:?}");
    [counters.listed, counters.copied, counters.same, counters.skipped, counters.failed]
}

/// Demands that a run ended in this way without having changed anything at the destination.
async fn changed_nothing(run: &RunView, outcome: RunOutcome, destination: &DockerRegistry, daemon: &Daemon) {
    assert_eq!(run.outcome, Some(outcome), "{run:?}\n{}", daemon.log());
    let writes: Vec<_> = destination.requests().await.into_iter().filter(dth_tests::docker_registry::Request::is_write).collect();
    assert!(writes.is_empty(), "{writes:?}");
}
