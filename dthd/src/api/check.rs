//! Preflights that clients have begun: each runs by itself and is asked for its steps.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dth_proto::{
    check::{CheckReply, CheckState, CheckStep},
    error::{ApiError, ErrorCode},
    id::RequestId,
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
    /// Those that a request id was given for.
    asked: HashMap<String, u64>,
}

impl Jobs {
    fn add(&mut self, seen: watch::Receiver<CheckReply>) -> u64 {
        self.next += 1;
        self.jobs.insert(self.next, seen);
        if self.jobs.len() > KEPT {
            self.jobs.pop_first();
            let jobs = &self.jobs;
            self.asked.retain(|_, number| jobs.contains_key(number));
        }
        self.next
    }
}

/// A step replaces the earlier one of the same side and name.
fn take(steps: &watch::Sender<CheckReply>, step: CheckStep) {
    steps.send_modify(|reply| match reply.steps.iter_mut().find(|s| s.side == step.side && s.name == step.name) {
        Some(old) => *old = step,
        None => reply.steps.push(step),
    });
}

impl Checks {
    /// Begins a preflight; answers with its number.
    #[must_use]
    pub fn start(&self, spec: TaskSpec, resources: &Arc<Resources>) -> u64 {
        let (steps, seen) = watch::channel(CheckReply { steps: Vec::new(), done: false });
        let resources = Arc::clone(resources);
        tokio::spawn(async move {
            engine::check(&spec, &resources, |step| take(&steps, step)).await;
            steps.send_modify(|reply| reply.done = true);
        });
        self.lock().add(seen)
    }

    /// Begins to set up the events of a task; answers with a number as for a preflight. The same request again is answered with the same
    /// number; after a restart of the daemon it is done again, which changes nothing.
    #[must_use]
    pub fn set_up(&self, id: &RequestId, spec: TaskSpec, policy: bool, resources: &Arc<Resources>) -> u64 {
        let mut jobs = self.lock();
        if let Some(number) = jobs.asked.get(&id.0).filter(|number| jobs.jobs.contains_key(number)) {
            return *number;
        }
        let (steps, seen) = watch::channel(CheckReply { steps: Vec::new(), done: false });
        let resources = Arc::clone(resources);
        tokio::spawn(async move {
            engine::setup_events(&spec, policy, &resources, |step| take(&steps, step)).await;
            steps.send_modify(|reply| reply.done = true);
        });
        let number = jobs.add(seen);
        jobs.asked.insert(id.0.clone(), number);
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
