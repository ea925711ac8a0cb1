//! ETags of copies whose ETags cannot be compared (multipart with another layout, KMS): what the source had when it was copied,
//! and what the destination answered. As long as both listings still show these, the copy is good. Many of them share one value of the
//! database (see `block`); those from before stand alone.

use super::{Store, StoreError, block, named_key, writer::Blocks};
use crate::s3::{compare::Recorded, object::ETag};

/// Bytes of the uid at the front of a key; blocks hold the pairs of one task.
pub(super) const PREFIX: usize = 8;

impl Store {
    /// Records a copy.
    pub fn put_pair(&self, uid: u64, destination_key: &str, pair: &Recorded) {
        let value = format!("{}\n{}", pair.source_etag, pair.destination_etag);
        self.writer.record(Blocks::Pairs, named_key(uid, destination_key), Some(value.into_bytes()));
    }

    /// Forgets a copy that is no more.
    pub fn remove_pair(&self, uid: u64, destination_key: &str) {
        self.writer.record(Blocks::Pairs, named_key(uid, destination_key), None);
    }

    /// What was recorded at the last copy.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pair(&self, uid: u64, destination_key: &str) -> Result<Option<Recorded>, StoreError> {
        let Some(bytes) = block::get(&self.trees.pairs, PREFIX, &named_key(uid, destination_key))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        Ok(text
            .split_once('\n')
            .map(|(source, destination)| Recorded { source_etag: ETag::new(source), destination_etag: ETag::new(destination) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pairs_from_before_blocks_stay() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        store.trees.pairs.insert(named_key(7, "b"), b"old-1\nold-2").expect("insert");
        let pair = |source: &str, destination: &str| Recorded { source_etag: ETag::new(source), destination_etag: ETag::new(destination) };
        for key in ["a", "c"] {
            store.put_pair(7, key, &pair("new-1", "new-2"));
        }
        store.put_pair(8, "b", &pair("other", "task"));
        store.writer().applied().await.expect("applied");
        for (uid, key, expected) in [
            (7, "a", Some(pair("new-1", "new-2"))),
            (7, "b", Some(pair("old-1", "old-2"))),
            (7, "c", Some(pair("new-1", "new-2"))),
            (7, "d", None),
            (8, "b", Some(pair("other", "task"))),
            (8, "a", None),
        ] {
            assert_eq!(store.pair(uid, key).expect("readable"), expected, "{uid} {key}");
        }
    }
}
