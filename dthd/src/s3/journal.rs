//! What is known about multipart uploads that are under way, so that a restarted daemon continues them and leaves none behind.

use std::future::Future;

use dth_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    object::{ETag, Entry},
    verify::plan::Guard,
};

/// One multipart upload under way. Written durably before the upload is created (without `upload_id`) and again when the
/// store has named it, so that there is no moment in which an upload exists that the journal does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Destination key.
    pub key: String,
    /// `None`: creation was begun, the answer was not seen.
    pub upload_id: Option<String>,
    /// Generation of the source that the parts come from.
    pub source_etag: ETag,
    /// Bytes of the source.
    pub size: u64,
    /// Bytes of each part but the last.
    pub part_size: u64,
    /// What goes along with each part; before this was recorded, an MD5.
    #[serde(default)]
    pub guard: Guard,
    /// When creation was begun.
    pub started: Timestamp,
}

impl Upload {
    /// Whether its parts come from this generation of the source.
    #[must_use]
    pub fn is_of(&self, entry: &Entry) -> bool {
        self.source_etag == entry.etag && self.size == entry.size
    }
}

/// The journal could not be written or read (disk full, I/O error).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write the upload journal: {0}")]
pub struct JournalError(pub String);

/// The uploads of one task. Every call that returns `Ok` is durable.
pub trait Journal: Send + Sync + 'static {
    /// The upload of a destination key, if one is under way.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn find(&self, key: &str) -> Result<Option<Upload>, JournalError>;
    /// Adds or replaces the upload of `upload.key`.
    fn put(&self, upload: Upload) -> impl Future<Output = Result<(), JournalError>> + Send;
    /// Forgets the upload of a key.
    fn remove(&self, key: &str) -> impl Future<Output = Result<(), JournalError>> + Send;
    /// All uploads of the task.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn all(&self) -> Result<Vec<Upload>, JournalError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::verify::Crc;

    #[test]
    fn uploads_from_before_guards_were_recorded_are_read() {
        let old = r#"{"key":"k","upload_id":"u","source_etag":"e","size":9,"part_size":5,"started":"1970-01-01T00:00:00.007Z"}"#;
        let upload: Upload = serde_json::from_str(old).expect("readable for good");
        assert_eq!((upload.guard, upload.started), (Guard::Md5, Timestamp(7)));
        for guard in [Guard::Etag, Guard::Md5, Guard::Crc(Crc::Crc64Nvme)] {
            let text = serde_json::to_string(&Upload { guard, ..upload.clone() }).expect("plain data");
            assert_eq!(serde_json::from_str::<Upload>(&text).expect("as written").guard, guard, "{text}");
        }
    }
}
