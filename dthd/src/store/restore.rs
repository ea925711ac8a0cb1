//! Objects whose restoration from an archive a task has asked for: they are looked at again by runs of their own, until they are copied.

use dth_proto::{spec::RestoreTier, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, from_json, named_key, task_key, to_json};

/// One object that is being restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// When it should be ready at the latest.
    pub ready: Timestamp,
    /// In which tier it is restored.
    pub tier: RestoreTier,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// Objects that are being restored.
    pub count: u64,
    /// When the last of them should be ready.
    pub ready: Timestamp,
    /// How often they have been looked at since one was last asked for.
    pub looks: u32,
    /// When they are looked at next.
    pub next: Timestamp,
}

/// Source keys that are being restored, and the key to continue after when there may be more.
pub type RestorePage = (Vec<(String, Restore)>, Option<String>);

impl Store {
    /// Remembers that an object is being restored.
    pub fn put_restore(&self, uid: u64, key: &str, restore: &Restore) {
        self.writer.put(&self.trees.restores, named_key(uid, key), to_json(restore));
    }

    /// Forgets an object that was copied, or is no more.
    pub fn remove_restore(&self, uid: u64, key: &str) {
        self.writer.remove(&self.trees.restores, named_key(uid, key));
    }

    /// Whether an object is being restored.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restore(&self, uid: u64, key: &str) -> Result<Option<Restore>, StoreError> {
        let found = self.trees.restores.get(named_key(uid, key))?;
        found.map(|bytes| from_json(&self.dir, "restores", &bytes)).transpose()
    }

    /// What is being restored for a task, in key order behind `after`, at most `limit`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restores(&self, uid: u64, after: Option<&str>, limit: usize) -> Result<RestorePage, StoreError> {
        let first = after.map_or_else(|| task_key(uid).to_vec(), |after| [named_key(uid, after), vec![0]].concat());
        let mut found: Vec<(String, Restore)> = Vec::new();
        for record in self.trees.restores.range(first..) {
            let (key, value) = record?;
            let Some(name) = key.strip_prefix(&task_key(uid)) else { break };
            if found.len() == limit {
                let next = found.last().map(|(key, _)| key.clone());
                return Ok((found, next));
            }
            found.push((String::from_utf8_lossy(name).into_owned(), from_json(&self.dir, "restores", &value)?));
        }
        Ok((found, None))
    }

    /// How many objects are being restored for a task, and when the last should be ready.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn count_restores(&self, uid: u64) -> Result<(u64, Timestamp), StoreError> {
        let (mut count, mut ready) = (0, Timestamp(0));
        for value in self.trees.restores.scan_prefix(task_key(uid)).values() {
            let restore: Restore = from_json(&self.dir, "restores", &value?)?;
            count += 1;
            ready = ready.max(restore.ready);
        }
        Ok((count, ready))
    }

    /// What a task waits for; `None`: nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restoring(&self, uid: u64) -> Result<Option<Restoring>, StoreError> {
        Ok(self.meta::<Option<Restoring>>(&restoring_key(uid))?.flatten())
    }

    /// Replaces what a task waits for.
    pub fn put_restoring(&self, uid: u64, restoring: Option<&Restoring>) {
        match restoring {
            Some(restoring) => self.put_meta(&restoring_key(uid), &restoring),
            None => self.writer.remove(&self.trees.meta, restoring_key(uid).into_bytes()),
        }
    }
}

/// Under which name of the tree `meta` it is.
fn restoring_key(uid: u64) -> String {
    format!("restoring {uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_being_restored_is_kept_per_task() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let at = |ready| Restore { ready: Timestamp(ready), tier: RestoreTier::Bulk };
        for (uid, key, ready) in [(7, "b", 5), (7, "a", 9), (7, "c", 1), (8, "a", 99)] {
            store.put_restore(uid, key, &at(ready));
        }
        store.remove_restore(7, "c");
        let restoring = Restoring { count: 2, ready: Timestamp(9), looks: 3, next: Timestamp(4) };
        store.put_restoring(7, Some(&restoring));
        store.writer().applied().await.expect("applied");
        assert_eq!(store.count_restores(7).expect("readable"), (2, Timestamp(9)));
        assert_eq!(store.restores(7, None, 1).expect("readable"), (vec![("a".to_owned(), at(9))], Some("a".to_owned())));
        assert_eq!(store.restores(7, Some("a"), 5).expect("readable"), (vec![("b".to_owned(), at(5))], None));
        assert_eq!((store.restore(7, "b").expect("readable"), store.restore(7, "c").expect("readable")), (Some(at(5)), None));
        assert_eq!((store.restoring(7).expect("readable"), store.restoring(8).expect("readable")), (Some(restoring), None));
        store.put_restoring(7, None);
        store.remove_task(7).await.expect("removed");
        assert_eq!((store.restoring(7).expect("readable"), store.count_restores(7).expect("readable").0), (None, 0));
        assert_eq!(store.count_restores(8).expect("readable").0, 1);
    }
}
