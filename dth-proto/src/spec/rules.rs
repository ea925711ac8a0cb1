//! The rules a definition must keep, whoever wrote it: a file, the wizard, or another client.

mod image;
mod keep;
mod report;
mod s3;

use std::fmt;

use super::{EventQueue, Job, TaskSpec, Trigger, Versions};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Dotted path of the field (`destination.bucket`).
    pub field: &'static str,
    /// What is wrong, and the way out.
    pub message: String,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Shortest `every`.
const SHORTEST_EVERY_S: u64 = 60;
/// Longest key on S3, in bytes (AWS: "Object key naming guidelines").
pub(crate) const LONGEST_KEY: usize = 1024;

pub(super) fn problems(spec: &TaskSpec) -> Vec<SpecProblem> {
    let mut found = Vec::new();
    let mut add = |field, message: String| found.push(SpecProblem { field, message });
    match &spec.job {
        Job::S3(job) => s3::problems(job, &mut add),
        Job::Image(job) => image::problems(job, &mut add),
    }
    if let Some(place) = &spec.report {
        report::problems(place, spec, &mut add);
    }
    match &spec.trigger {
        Some(Trigger::Every { every }) if every.0.as_secs() < SHORTEST_EVERY_S => {
            add("trigger.every", format!("{every} is too short: at least {SHORTEST_EVERY_S}s"));
        }
        Some(Trigger::Cron { cron, .. }) if cron.trim().is_empty() => {
            add("trigger.cron", "is empty: write it like \"0 2 * * *\"".to_owned());
        }
        Some(Trigger::Events { events }) => {
            events_of(events, &mut add);
            if let Job::S3(job) = &spec.job
                && (job.options.versions != Versions::Latest || job.options.as_of.is_some())
            {
                let why = "tell of the latest version only: use every or cron with versions = \"all\" and as_of";
                add("trigger.events", format!("events {why}"));
            }
        }
        _ => {}
    }
    found
}

fn events_of(events: &EventQueue, add: &mut impl FnMut(&'static str, String)) {
    let path = ["https://", "http://"].iter().find_map(|scheme| events.queue.strip_prefix(scheme)).and_then(|rest| rest.split_once('/'));
    if path.is_none_or(|(host, path)| host.is_empty() || host.contains([' ', '@', '?', '#']) || path.trim_matches('/').is_empty()) {
        let message = format!("{:?} is not the URL of a queue: write it like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME", events.queue);
        add("trigger.events.queue", message);
    } else if events.queue.ends_with(".fifo") {
        add("trigger.events.queue", "is a FIFO queue, to which S3 sends nothing: use a standard queue".to_owned());
    }
    if events.reconcile.0.as_secs() < SHORTEST_EVERY_S {
        add("trigger.events.reconcile", format!("{} is too short: at least {SHORTEST_EVERY_S}s", events.reconcile));
    }
}
