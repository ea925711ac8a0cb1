//! Whether a definition can be accepted: its own rules, and what it names in this daemon's configuration. All problems at once.

use dth_proto::{
    error::{ApiError, ErrorCode},
    spec::TaskSpec,
};

use super::engine;
use crate::{config::Config, schedule::Schedule};

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
    found.extend(engine::problems(spec, config));
    if let Some(trigger) = &spec.trigger
        && let Err(error) = Schedule::new(trigger)
    {
        found.push(error.to_string());
    }
    found
}
