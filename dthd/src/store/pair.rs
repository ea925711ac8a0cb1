//! ETags of copies whose ETags cannot be compared (multipart with another layout, KMS): what the source had when it was copied,
//! and what the destination answered. As long as both listings still show these, the copy is good.

use super::{Store, StoreError, named_key};
use crate::s3::{compare::Recorded, object::ETag};

impl Store {
    /// Records a copy.
    pub fn put_pair(&self, uid: u64, destination_key: &str, pair: &Recorded) {
        let value = format!("{}\n{}", pair.source_etag, pair.destination_etag);
        self.writer.put(&self.trees.pairs, named_key(uid, destination_key), value.into_bytes());
    }

    /// What was recorded at the last copy.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pair(&self, uid: u64, destination_key: &str) -> Result<Option<Recorded>, StoreError> {
        let Some(bytes) = self.trees.pairs.get(named_key(uid, destination_key))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        Ok(text
            .split_once('\n')
            .map(|(source, destination)| Recorded { source_etag: ETag::new(source), destination_etag: ETag::new(destination) }))
    }
}
