//! Which engine does a task's job; nothing else asks.

use std::sync::Arc;

use dth_proto::{
    check::CheckStep,
    spec::{Job, TaskSpec, Trigger},
    view::Explanation,
};

use super::report::Reporter;
use crate::{
    config::Config,
    credential, events, image, s3,
    store::{RunRecord, Store},
    transfer::{
        resources::Resources,
        run::{RunEnd, RunInput},
    },
};

/// Works until everything is done, its report included, or the run is told to stop; gives back the record with its last checkpoint.
pub async fn run(input: RunInput) -> (RunRecord, RunEnd) {
    let (reporter, progress) = (Reporter::of(&input), Arc::clone(&input.progress));
    let (mut record, mut end) = match input.record.spec.job.clone() {
        Job::S3(job) => s3::run::run(input, job).await,
        Job::Image(job) => image::run::run(input, job).await,
    };
    if matches!(end, RunEnd::Suspended) {
        return (record, end);
    }
    // a run that is over shows everything it counted; one that goes on, if only to write its report, continues from its checkpoint
    let checkpoint = std::mem::replace(&mut record.tally, progress.tally());
    if let Some(reporter) = reporter {
        end = Box::pin(reporter.after(&record, end)).await;
    }
    if matches!(end, RunEnd::Suspended) {
        record.tally = checkpoint;
    }
    (record, end)
}

/// Why one item is copied or not; asks both ends, reads only. The record of the last run is for the caller to add.
///
/// # Errors
/// When an end cannot be opened, or the key cannot be one, in words.
pub async fn explain(input: &RunInput, key: &str) -> Result<Explanation, String> {
    match &input.record.spec.job {
        Job::S3(job) => Box::pin(s3::run::explain(input, job, key)).await,
        Job::Image(job) => Box::pin(image::run::explain(input, job, key)).await,
    }
}

/// Ends what a run that nobody will continue has begun at the destination.
///
/// # Errors
/// What may be left there, in words.
pub async fn abandon(store: &Store, resources: &Resources, uid: u64, spec: &TaskSpec) -> Result<(), String> {
    match &spec.job {
        Job::S3(job) => s3::run::abort_uploads(store, resources, uid, spec, job)
            .await
            .map_err(|error| format!("multipart uploads may be left behind: {error}")),
        // a registry forgets uploads that nobody goes on with
        Job::Image(_) => image::run::forget_uploads(store, uid).await,
    }
}

/// Tries both ends of a definition; each step that is told replaces the earlier one of the same side and name.
pub async fn check(spec: &TaskSpec, resources: &Resources, mut tell: impl FnMut(CheckStep) + Send) {
    let credentials = resources.credentials();
    match &spec.job {
        Job::S3(job) => s3::check::check(job, &credentials, &mut tell).await,
        Job::Image(job) => image::check::check(job, resources, &mut tell).await,
    }
    if let Some(Trigger::Events { events }) = &spec.trigger {
        match &spec.job {
            Job::S3(job) => events::check::objects(job, events, &credentials, &mut tell).await,
            Job::Image(job) => events::check::images(job, events, &credentials, &mut tell).await,
        }
    }
    if let Some(place) = &spec.report {
        s3::check::report(place, &credentials, &mut tell).await;
    }
}

/// Makes the source send its events to the task's queue; steps as for [`check`]. A task without events has none.
pub async fn setup_events(spec: &TaskSpec, policy: bool, resources: &Resources, mut tell: impl FnMut(CheckStep) + Send) {
    let Some(Trigger::Events { events }) = &spec.trigger else { return };
    let credentials = resources.credentials();
    match &spec.job {
        Job::S3(job) => events::setup::objects(spec.name.as_str(), (job, events), policy, &credentials, &mut tell).await,
        Job::Image(job) => events::setup::images((job, events), policy, &credentials, &mut tell).await,
    }
}

/// What the engine and this daemon's configuration say against a definition.
#[must_use]
pub fn problems(spec: &TaskSpec, config: &Config) -> Vec<String> {
    let mut found = match &spec.job {
        Job::S3(job) => s3::check::problems(job, config),
        Job::Image(job) => image::check::problems(job, config),
    };
    if let Some(Trigger::Events { events }) = &spec.trigger
        && let Err(unknown) = credential::known_to_aws(events.credential.as_deref(), &config.credentials)
    {
        found.push(format!("trigger.events.credential: {unknown}"));
    }
    if let Some(place) = &spec.report {
        found.extend(s3::check::store_problems("report", &place.store, config));
    }
    found
}
