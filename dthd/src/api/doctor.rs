//! Examinations of stores that clients have begun: one at a time, each asked for what it has found.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dth_proto::{
    doctor::DoctorReply,
    error::{ApiError, ErrorCode},
    spec::Store,
};
use tokio::sync::{Semaphore, watch};

use crate::{s3::doctor, transfer::resources::Resources};

/// Examinations kept for clients to ask for; the oldest is forgotten first.
const KEPT: usize = 16;

/// The examinations.
#[derive(Clone)]
pub struct Doctors {
    jobs: Arc<Mutex<Jobs>>,
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Jobs {
    next: u64,
    jobs: BTreeMap<u64, watch::Receiver<DoctorReply>>,
}

impl Default for Doctors {
    fn default() -> Self {
        Self { jobs: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Doctors {
    /// Begins an examination, which ends by itself; answers with its number.
    ///
    /// # Errors
    /// `Invalid` with everything that speaks against it; `Unavailable` while another store is examined.
    pub fn start(&self, store: Store, resources: &Resources) -> Result<u64, ApiError> {
        let problems = doctor::problems(&store, &resources.config());
        if let Some(first) = problems.first() {
            let message = if problems.len() == 1 { first.clone() } else { format!("{} problems", problems.len()) };
            let details = if problems.len() == 1 { Vec::new() } else { problems };
            return Err(ApiError { details, ..ApiError::new(ErrorCode::Invalid, message) });
        }
        let turn = Arc::clone(&self.turn).try_acquire_owned();
        let turn = turn.map_err(|_| {
            ApiError::new(ErrorCode::Unavailable, "another store is being examined")
                .hint("try again in a minute: there is one examination at a time")
        })?;
        let (findings, seen) = watch::channel(DoctorReply::default());
        let credentials = resources.credentials();
        tokio::spawn(async move {
            let tell = &mut |probe| findings.send_modify(|reply| reply.probes.push(probe));
            let end = doctor::examine(&store, &credentials, tell).await;
            drop(turn);
            findings.send_modify(|reply| *reply = DoctorReply { probes: std::mem::take(&mut reply.probes), ..end });
        });
        let mut jobs = self.lock();
        jobs.next += 1;
        let number = jobs.next;
        jobs.jobs.insert(number, seen);
        if jobs.jobs.len() > KEPT {
            jobs.jobs.pop_first();
        }
        Ok(number)
    }

    /// Where an examination stands; waits until more than `seen` things were tried, or it is done.
    ///
    /// # Errors
    /// `NotFound` when there is no such examination (any more).
    pub async fn poll(&self, job: u64, seen: u32, wait: Duration) -> Result<DoctorReply, ApiError> {
        let found = self.lock().jobs.get(&job).cloned();
        let mut findings =
            found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no examination {job}")).hint("begin it again"))?;
        let news = |reply: &DoctorReply| reply.done || reply.probes.len() > seen as usize;
        // time over, or the examination itself is gone: either way the answer is what there is
        let _ = tokio::time::timeout(wait, findings.wait_for(news)).await;
        let reply = findings.borrow().clone();
        Ok(reply)
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
