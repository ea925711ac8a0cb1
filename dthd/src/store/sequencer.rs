//! The last event of each key that was acted upon: what is older, or the same again, need not be looked at after a restart either.

use std::time::Duration;

use dth_proto::time::Timestamp;

use super::{Store, StoreError, named_key, task_key};
use crate::events::Sequencer;

/// Bytes of the time at the front of a value.
const TIME: usize = 8;

impl Store {
    /// Records the newest event of a key that was acted upon.
    pub fn put_sequencer(&self, uid: u64, key: &str, sequencer: &Sequencer, at: Timestamp) {
        let mut value = at.0.to_be_bytes().to_vec();
        value.extend_from_slice(sequencer.as_str().as_bytes());
        self.writer.put(&self.trees.sequencers, named_key(uid, key), value);
    }

    /// The newest event of a key that was acted upon; `None`: none that is remembered.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sequencer(&self, uid: u64, key: &str) -> Result<Option<Sequencer>, StoreError> {
        let Some(value) = self.trees.sequencers.get(named_key(uid, key))? else { return Ok(None) };
        Ok(value.get(TIME..).and_then(|text| std::str::from_utf8(text).ok()).and_then(Sequencer::new))
    }

    /// Forgets what is older than `kept`: no queue gives an event that long after it happened.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn forget_sequencers(&self, uid: u64, kept: Duration, now: Timestamp) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for entry in self.trees.sequencers.scan_prefix(task_key(uid)) {
            let (key, value) = entry?;
            let at = value.get(..TIME).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
            if now.since(Timestamp(at)) > kept {
                self.writer.room().await?;
                self.writer.remove(&self.trees.sequencers, key.to_vec());
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sequencers_are_kept_over_restarts_and_forgotten_in_time() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        let sequencer = |text: &str| Sequencer::new(text).expect(text);
        store.put_sequencer(7, "old", &sequencer("0A"), Timestamp(1_000));
        store.put_sequencer(7, "a/ä", &sequencer("0B"), Timestamp(9_000));
        store.put_sequencer(8, "old", &sequencer("0C"), Timestamp(1_000));
        store.writer().durable().await.expect("durable");
        drop(store);
        let store = Store::open(dir.path()).expect("again");
        assert_eq!(store.sequencer(7, "a/ä").expect("readable"), Some(sequencer("0B")));
        assert_eq!(store.forget_sequencers(7, Duration::from_secs(5), Timestamp(10_000)).await.expect("readable"), 1);
        store.writer().applied().await.expect("applied");
        for (uid, key, expected) in [(7, "old", None), (7, "a/ä", Some("0B")), (8, "old", Some("0C")), (8, "a/ä", None)] {
            assert_eq!(store.sequencer(uid, key).expect("readable"), expected.map(sequencer), "{uid} {key}");
        }
    }
}
