//! Why one item is copied or not: what its engine finds at both ends, and the record of the newest run that had it.

use std::sync::Arc;

use dth_proto::{
    error::{ApiError, ErrorCode},
    id::TaskName,
    view::Explanation,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::service::{Shared, unreadable};
use crate::{
    clock,
    store::{RunKind, RunRecord, StoreError, record::Tally},
    task::engine,
    transfer::{Stop, progress::Progress, run::RunInput},
};

/// Runs in which the record of the item is looked for, newest first.
const RUNS_LOOKED_AT: usize = 100;

/// See the module. Reads only; what has been handed to the store's writer is to be applied before.
///
/// # Errors
/// [`ErrorCode::NotFound`] without such a task, [`ErrorCode::Invalid`] when an end cannot be opened or the key cannot be one,
/// [`ErrorCode::Internal`] when the records cannot be read.
pub(super) async fn explain(shared: &Shared, name: TaskName, key: String) -> Result<Explanation, ApiError> {
    let spec = shared.tasks.detail(name.clone()).await?.spec;
    let uid = shared.tasks.uid(name.clone()).await?;
    // ends with this request: nobody stops it otherwise
    let (going, stop) = watch::channel(Stop::Go);
    let input = RunInput {
        uid,
        name: name.clone(),
        record: RunRecord::queued(0, RunKind::Plan, spec, String::new(), clock::now()),
        store: shared.store.clone(),
        events: shared.events.clone(),
        resources: Arc::clone(&shared.resources),
        progress: Progress::new(Tally::default(), false, Arc::default()),
        stop,
    };
    let asked = key.clone();
    // with a stack of its own: what an SDK's client takes of it does not come on top of what the service has taken
    let asking = tokio::spawn(async move {
        let _going = going;
        engine::explain(&input, &asked).await
    });
    let explained = AbortOnDropHandle::new(asking).await.map_err(unreadable)?;
    let mut explanation = explained.map_err(|why| ApiError::new(ErrorCode::Invalid, format!("cannot explain {key:?} of {name}: {why}")))?;
    let store = shared.store.clone();
    let last = move || {
        for run in store.runs(uid, None, RUNS_LOOKED_AT)? {
            if let Some(record) = store.item(uid, run.run, &key)? {
                return Ok::<_, StoreError>(Some((run.run, record.view(key))));
            }
        }
        Ok(None)
    };
    explanation.last = tokio::task::spawn_blocking(last).await.map_err(unreadable)?.map_err(unreadable)?;
    Ok(explanation)
}
