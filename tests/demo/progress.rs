//! The demo's tasks: created, started and followed to their end over the daemon's socket.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use dth_proto::{
    connect::Connection,
    id::{RequestId, TaskName},
    spec::{Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, TaskSpec},
    units,
    view::{RunView, TaskView},
    watch::{Mirror, WatchRequest},
    wire,
};

use crate::data::Route;

/// Shortest time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(1);

/// The definition of a route's task between two endpoints.
///
/// # Errors
/// When the name breaks the rule for names.
pub fn spec(route: &Route, source: &str, destination: &str) -> anyhow::Result<TaskSpec> {
    let store = |bucket: &str, endpoint: &str| Store {
        provider: "other".to_owned(),
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credential: Some("anonymous".to_owned()),
        path_style: Some(true),
    };
    Ok(TaskSpec {
        name: TaskName::new(route.task)?,
        description: route.description.to_owned(),
        labels: BTreeMap::new(),
        job: Job::S3(S3Job {
            source: S3Source { store: store(route.source, source), prefix: route.source_prefix.to_owned(), ..S3Source::default() },
            destination: S3Destination {
                store: store(route.destination, destination),
                prefix: route.destination_prefix.to_owned(),
                strip_prefix: route.source_prefix.to_owned(),
                ..S3Destination::default()
            },
            options: S3Options::default(),
        }),
        limits: TaskLimits::default(),
        trigger: None,
        report: None,
    })
}

/// Creates a task and starts its first run.
///
/// # Errors
/// When the daemon refuses it.
pub async fn create(connection: &Connection, spec: TaskSpec) -> anyhow::Result<()> {
    let name = spec.name.clone();
    let answer = connection.client.create(wire::context(), RequestId::random(), spec, true, None).await?;
    answer.map(drop).with_context(|| format!("cannot create the task {name}"))
}

/// Follows the first run of every task to its end, with a line per task and second through `say`.
///
/// # Errors
/// When the connection is lost.
pub async fn follow(connection: &Connection, tasks: usize, say: impl Fn(&str)) -> anyhow::Result<Vec<RunView>> {
    let mut mirror = Mirror::default();
    loop {
        let request = WatchRequest {
            epoch: mirror.epoch.clone(),
            seq: mirror.seq,
            min_interval_ms: INTERVAL.as_millis() as u32,
            max_wait_ms: 10_000,
            focus: None,
        };
        let wait = Duration::from_millis(request.max_wait_ms.into());
        let reply = connection.client.watch(wire::deadline_after(wait), request).await??;
        mirror.apply(&reply);
        for task in &reply.changed {
            if let Some(text) = line(task) {
                say(&text);
            }
        }
        let ended: Vec<RunView> = mirror.tasks.values().filter_map(|task| task.run.clone()).filter(|run| run.outcome.is_some()).collect();
        if ended.len() == tasks {
            return Ok(ended);
        }
    }
}

/// `photos-to-archive   1,204 of 4,000+ objects   31.4 MB of 99.0 MB   12.0 MB/s   running`
fn line(task: &TaskView) -> Option<String> {
    let run = task.run.as_ref()?;
    let counters = &run.counters;
    let done = counters.listed - counters.pending;
    let floor = if run.listing_done { "" } else { "+" };
    let word = run.outcome.map_or(task.word.as_str(), |outcome| outcome.word());
    let rate = task.live.as_ref().map_or(run.bytes_per_s, |live| live.rate);
    let items = if task.engine == "image" { "images" } else { "objects" };
    Some(format!(
        "{:<20} {:>6} of {:>6}{floor:1} {items:<7}  {:>8} of {:>8}{floor:1}  {:>10}  {word}",
        task.name,
        units::grouped(done),
        units::grouped(counters.listed),
        units::bytes(counters.bytes_done),
        units::bytes(counters.bytes_listed),
        units::rate(rate),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ROUTES;

    #[test]
    fn definitions_follow_the_rules() {
        for route in ROUTES {
            let spec = spec(&route, "http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
            assert!(spec.problems().is_empty(), "{:?}", spec.problems());
            let Job::S3(job) = &spec.job else { panic!("an S3 task") };
            let key = format!("{}x//y", route.source_prefix);
            assert_eq!(job.destination.key_for(&key), route.destination_key(&key));
        }
    }
}
