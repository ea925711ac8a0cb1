//! Preflights that clients have begun: each runs by itself and is asked for its steps.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dth_proto::{
    check::{CheckReply, CheckState},
    error::{ApiError, ErrorCode},
    spec::TaskSpec,
};
use tokio::sync::watch;

use crate::{task::engine, transfer::resources::Resources};

/// Preflights kept for clients to ask for; the oldest is forgotten first.
const KEPT: usize = 64;

/// The preflights.
#[derive(Clone, Default)]
pub struct Checks(Arc<Mutex<Jobs>>);

#[derive(Default)]
struct Jobs {
    next: u64,
    jobs: BTreeMap<u64, watch::Receiver<CheckReply>>,
}

impl Checks {
    /// Begins a preflight; answers with its number.
    #[must_use]
    pub fn start(&self, spec: TaskSpec, resources: &Arc<Resources>) -> u64 {
        let (steps, seen) = watch::channel(CheckReply { steps: Vec::new(), done: false });
        let resources = Arc::clone(resources);
        tokio::spawn(async move {
            engine::check(&spec, &resources, |step| {
                steps.send_modify(|reply| match reply.steps.iter_mut().find(|s| s.side == step.side && s.name == step.name) {
                    Some(old) => *old = step,
                    None => reply.steps.push(step),
                });
            })
            .await;
            steps.send_modify(|reply| reply.done = true);
        });
        let mut jobs = self.lock();
        jobs.next += 1;
        let number = jobs.next;
        jobs.jobs.insert(number, seen);
        if jobs.jobs.len() > KEPT {
            jobs.jobs.pop_first();
        }
        number
    }

    /// Where a preflight stands; waits until more than `seen` steps have ended, or all of them.
    ///
    /// # Errors
    /// `NotFound` when there is no such preflight (any more).
    pub async fn poll(&self, job: u64, seen: u32, wait: Duration) -> Result<CheckReply, ApiError> {
        let found = self.lock().jobs.get(&job).cloned();
        let mut steps =
            found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no preflight {job}")).hint("begin it again"))?;
        let ended = |reply: &CheckReply| reply.steps.iter().filter(|s| s.state != CheckState::Running).count();
        let news = |reply: &CheckReply| reply.done || ended(reply) > seen as usize;
        // time over, or the preflight itself is gone: either way the answer is what there is
        let _ = tokio::time::timeout(wait, steps.wait_for(news)).await;
        let reply = steps.borrow().clone();
        Ok(reply)
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
