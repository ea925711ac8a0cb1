//! Whether a definition can be accepted: its own rules, and what it names in this daemon's configuration. All problems at once.

use dth_proto::{
    error::{ApiError, ErrorCode},
    spec::{Job, Store, TaskSpec},
};

use crate::{
    config::Config,
    credential,
    s3::{filter::Filter, provider},
    schedule::Schedule,
};

/// Refuses a definition that cannot work.
///
/// # Errors
/// `Invalid` with every problem.
pub fn admit(spec: &TaskSpec, config: &Config) -> Result<(), ApiError> {
    let problems = problems(spec, config);
    if problems.is_empty() {
        return Ok(());
    }
    let count = problems.len();
    let message = format!("the definition of {} has {count} problem{}", spec.name, if count == 1 { "" } else { "s" });
    Err(ApiError::new(ErrorCode::Invalid, message).details(problems))
}

fn problems(spec: &TaskSpec, config: &Config) -> Vec<String> {
    let mut found: Vec<String> = spec.problems().iter().map(ToString::to_string).collect();
    let Job::S3(job) = &spec.job;
    for (end, store) in [("source", &job.source.store), ("destination", &job.destination.store)] {
        found.extend(store_problems(end, store, config));
    }
    if let Err(globs) = Filter::new(&job.options, crate::clock::now()) {
        found.extend(globs);
    }
    if !job.source.prefix.starts_with(&job.destination.strip_prefix) {
        found.push(format!(
            "destination.strip_prefix: {:?} must be a beginning of source.prefix {:?}, so that every key has it",
            job.destination.strip_prefix, job.source.prefix
        ));
    }
    if let Some(trigger) = &spec.trigger
        && let Err(error) = Schedule::new(trigger)
    {
        found.push(error.to_string());
    }
    found
}

fn store_problems(end: &str, store: &Store, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    match provider::find(&store.provider) {
        Err(unknown) => found.push(format!("{end}.provider: {unknown}")),
        Ok(profile) if store.provider != "aws" && store.endpoint.is_none() && profile.endpoint(store.region.as_deref()).is_none() => {
            found.push(format!("{end}.endpoint: is missing: {} has no endpoint of its own for this region", store.provider));
        }
        Ok(_) => {}
    }
    if let Err(unknown) = credential::known(store.credential.as_deref(), &config.credentials) {
        found.push(format!("{end}.credential: {unknown}"));
    }
    found
}
