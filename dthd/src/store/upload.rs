//! Multipart uploads under way: the journal behind [`crate::s3::journal::Journal`].

use super::{Store, StoreError, from_json, named_key, task_key, to_json};
use crate::s3::journal::{Journal, JournalError, Upload};

/// The uploads of one task.
#[derive(Clone)]
pub struct Uploads {
    store: Store,
    uid: u64,
}

impl Uploads {
    /// The journal of the task `uid`.
    #[must_use]
    pub fn of(store: &Store, uid: u64) -> Self {
        Self { store: store.clone(), uid }
    }
}

impl Journal for Uploads {
    fn find(&self, key: &str) -> Result<Option<Upload>, JournalError> {
        let store = &self.store;
        let bytes = store.trees.uploads.get(named_key(self.uid, key)).map_err(StoreError::from)?;
        Ok(bytes.map(|bytes| from_json(&store.dir, "uploads", &bytes)).transpose()?)
    }

    async fn put(&self, upload: Upload) -> Result<(), JournalError> {
        self.store.writer.put(&self.store.trees.uploads, named_key(self.uid, &upload.key), to_json(&upload));
        Ok(self.store.writer.durable().await?)
    }

    async fn remove(&self, key: &str) -> Result<(), JournalError> {
        self.store.writer.remove(&self.store.trees.uploads, named_key(self.uid, key));
        Ok(self.store.writer.durable().await?)
    }

    fn all(&self) -> Result<Vec<Upload>, JournalError> {
        let store = &self.store;
        let values = store.trees.uploads.scan_prefix(task_key(self.uid)).values();
        let read = |bytes: sled::Result<sled::IVec>| from_json(&store.dir, "uploads", &bytes?);
        Ok(values.map(read).collect::<Result<_, StoreError>>()?)
    }
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
