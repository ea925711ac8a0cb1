//! Preflight of an image task: tries both ends with the requests a run would make, and says what is missing.

mod destination;
mod hint;
mod problem;
mod source;
mod step;

use std::{sync::Arc, time::Duration};

use dth_proto::{
    check::CheckStep,
    failure::Side,
    spec::{ImageJob, Registry},
};
use tokio::time::timeout;

pub use self::problem::problems;
use self::step::Steps;
use super::{
    end::{End, EndError},
    registry::login_for,
    select::Selection,
};
use crate::transfer::{progress::RequestCounters, resources::Resources};

/// Repositories that are tried at most: a check is watched by a person.
const TRIED: usize = 10;
/// How long a side may take: somebody waits for the answer, and a run would be more patient.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries both ends. Each step is told twice: when it begins (`CheckState::Running`) and how it ended; a later step of the same side and name
/// replaces the earlier one. Ends at the first step of a side that makes its next ones pointless.
pub async fn check(job: &ImageJob, resources: &Resources, mut tell: impl FnMut(CheckStep) + Send) {
    let mut steps = Steps::new(Side::Source, &mut tell);
    let selection = match Selection::new(&job.source, &job.options) {
        Ok(selection) => selection,
        Err(problems) => return steps.failed("list", problems.join("; "), Some("correct the task".to_owned())),
    };
    let found = timeout(PATIENCE, try_source(job, &selection, resources, &mut steps)).await;
    let found = found.unwrap_or_else(|_| {
        steps.overdue(&job.source.registry, PATIENCE);
        None
    });
    // without an image to look at, the repositories that the task names still have names at the destination
    let repositories = found.or_else(|| selection.named()).unwrap_or_default();
    let mut steps = Steps::new(Side::Destination, &mut tell);
    if timeout(PATIENCE, try_destination(job, &repositories, resources, &mut steps)).await.is_err() {
        steps.overdue(&job.destination.registry, PATIENCE);
    }
}

/// Gives back some of the repositories that are there and wanted.
async fn try_source(
    job: &ImageJob,
    selection: &Selection,
    resources: &Resources,
    steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>,
) -> Option<Vec<String>> {
    let end = open(&job.source.registry, resources, steps).await?;
    let listing = source::list(&end, job, selection, steps).await?;
    source::read(&end, job, listing.sample.as_ref(), steps).await;
    Some(listing.repositories)
}

async fn try_destination(
    job: &ImageJob,
    repositories: &[String],
    resources: &Resources,
    steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>,
) {
    if let Some(end) = open(&job.destination.registry, resources, steps).await {
        destination::check(&end, job, repositories, steps).await;
    }
}

/// Finds what to sign in with, and prepares the registry.
async fn open(registry: &Registry, resources: &Resources, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) -> Option<End> {
    let described = if registry.is_ecr() { aws(registry, resources, steps).await? } else { login(registry, resources, steps).await? };
    steps.ok("credential", described);
    steps.running("reach", format!("asking {}", registry.place()));
    let counters = Arc::new(RequestCounters::default());
    match End::open(registry, steps.side(), resources, &counters).await {
        Ok(end) => Some(end),
        // ECR was asked for the account, by what it gives a token for
        Err(EndError::Site(error)) => {
            steps.refused("credential", &error, registry, None);
            None
        }
        Err(error) => {
            steps.failed("reach", error.to_string(), None);
            None
        }
    }
}

/// What signs requests to ECR, in words.
async fn aws(registry: &Registry, resources: &Resources, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) -> Option<String> {
    let named = registry.credential.as_deref();
    steps.running("credential", format!("loading {}", named.unwrap_or("the SDK's default chain")));
    let credential = match resources.credential(named).await {
        Ok(credential) => credential,
        Err(error) => {
            steps.failed("credential", error.to_string(), None);
            return None;
        }
    };
    if let Err(error) = credential.probe().await {
        let hint = match named {
            None => "configure AWS credentials for the daemon's user, or name a credential in the task",
            Some(_) => "correct the credential in dthd.toml, or what it refers to",
        };
        steps.failed("credential", format!("nothing to sign with in {}: {error}", credential.describe()), Some(hint.to_owned()));
        return None;
    }
    let signs = if credential.is_anonymous() { "requests are not signed" } else { "found" };
    Some(format!("{}: {signs}", credential.describe()))
}

/// How the task signs in to another registry, in words.
async fn login(registry: &Registry, resources: &Resources, steps: &mut Steps<'_, impl FnMut(CheckStep) + Send>) -> Option<String> {
    let named = registry.credential.as_deref();
    steps.running("credential", format!("loading {}", named.unwrap_or("docker's config.json")));
    match login_for(registry, steps.side(), &resources.credentials()).await {
        Ok(login) => Some(format!("{}: {}", named.unwrap_or(&registry.place()), login.describe())),
        Err(error) => {
            steps.failed("credential", error.to_string(), None);
            None
        }
    }
}

#[cfg(test)]
mod tests;
