//! Preflight of an image task.

use dth_proto::{check::CheckStep, spec::ImageJob};

use crate::{config::Config, transfer::resources::Resources};

/// What speaks against a job before anything is tried.
#[must_use]
pub fn problems(_job: &ImageJob, _config: &Config) -> Vec<String> {
    Vec::new()
}

/// Tries both ends.
pub async fn check(_job: &ImageJob, _resources: &Resources, _tell: impl FnMut(CheckStep) + Send) {}
