//! The checkpoint of a run: written every second, and by whoever has outcomes that must not be lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

use super::{account::Account, run::RunInput};
use crate::store::{RunRecord, Store, StoreError};

/// See the module.
pub struct Checkpoint {
    uid: u64,
    began: RunRecord,
    /// Time at work before this pass, and since when it lasts.
    worked: Duration,
    since: Instant,
    account: Arc<Account>,
    store: Store,
    /// Of two writers the later one must not write what is older.
    order: Mutex<()>,
    first: OnceCell<()>,
}

impl Checkpoint {
    /// Of a pass that begins now.
    #[must_use]
    pub fn new(input: &RunInput, account: &Arc<Account>) -> Arc<Self> {
        Arc::new(Self {
            uid: input.uid,
            began: input.record.clone(),
            worked: input.record.worked,
            since: Instant::now(),
            account: Arc::clone(account),
            store: input.store.clone(),
            order: Mutex::default(),
            first: OnceCell::new(),
        })
    }

    /// Writes it; durable a moment later.
    pub fn put(&self) {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.put_run(self.uid, &self.account.record(&self.began, self.worked + self.since.elapsed()));
    }

    /// Writes it with everything that was entered before, and waits until it is on disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn durable(&self) -> Result<(), StoreError> {
        self.put();
        self.store.writer().durable().await
    }

    /// That this pass has begun is on disk when this returns, if the disk takes it; it is written once, for all who wait. Who relies on
    /// nothing having been sent before waits for this with what it sends first: a pass after a kill must not rely on it again.
    pub async fn begun(&self) {
        if let Err(error) = self.first.get_or_try_init(|| self.durable()).await {
            tracing::debug!("the beginning of a run is not on disk: {error}");
        }
    }
}
