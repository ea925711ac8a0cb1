//! Uploads of blobs under way, so that a restarted daemon goes on with large ones where they were. What is in them is the engine's; here
//! they are JSON by task and name.

use serde::{Serialize, de::DeserializeOwned};

use super::{Store, StoreError, from_json, named_key, task_key, to_json};

/// The blob uploads of one task. Cheap to clone.
#[derive(Clone)]
pub struct BlobUploads {
    store: Store,
    uid: u64,
}

impl BlobUploads {
    /// Those of the task `uid`.
    #[must_use]
    pub fn of(store: &Store, uid: u64) -> Self {
        Self { store: store.clone(), uid }
    }

    /// How far the upload with this name was; what cannot be read is as good as none: the upload begins again.
    #[must_use]
    pub fn find<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let found = self.store.trees.blobs.get(named_key(self.uid, name)).ok().flatten()?;
        from_json(&self.store.dir, "blobs", &found).ok()
    }

    /// Adds or replaces an upload; it is durable when this returns.
    ///
    /// # Errors
    /// When the disk refused it.
    pub async fn put<T: Serialize>(&self, name: &str, upload: &T) -> Result<(), StoreError> {
        self.store.writer.put(&self.store.trees.blobs, named_key(self.uid, name), to_json(upload));
        self.store.writer.durable().await
    }

    /// Forgets an upload some time soon.
    pub fn remove(&self, name: &str) {
        self.store.writer.remove(&self.store.trees.blobs, named_key(self.uid, name));
    }

    /// Forgets all uploads of the task.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.store.writer.applied().await?;
        for key in self.store.trees.blobs.scan_prefix(task_key(self.uid)).keys() {
            self.store.writer.room().await?;
            self.store.writer.remove(&self.store.trees.blobs, key?.to_vec());
        }
        self.store.writer.durable().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uploads_are_kept_by_task_and_name() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let (ours, others) = (BlobUploads::of(&store, 7), BlobUploads::of(&store, 8));
        ours.put("a", &1_u64).await.expect("written");
        ours.put("a", &2_u64).await.expect("replaced");
        ours.put("b", &3_u64).await.expect("written");
        others.put("a", &4_u64).await.expect("written");
        assert_eq!((ours.find::<u64>("a"), ours.find::<u64>("c"), ours.find::<String>("a")), (Some(2), None, None));
        ours.remove("a");
        store.writer().applied().await.expect("applied");
        assert_eq!(ours.find::<u64>("a"), None);
        ours.clear().await.expect("cleared");
        assert_eq!((ours.find::<u64>("b"), others.find::<u64>("a")), (None, Some(4)));
    }
}
