//! Objects in an archive, as a run meets them: asked about, restored where the task wants it, and remembered until they are copied.

use dth_proto::spec::{Archived, RestoreTier, S3Options};

use crate::{
    clock,
    s3::{
        archive::{self, State},
        client::Bucket,
        object::Entry,
    },
    store::{
        Store,
        restore::{Restore, Restoring},
    },
    transfer::TransferError,
};

/// Why an archived object is not copied now: a rule's word.
pub(super) const ARCHIVED: &str = "archived";
/// It is being restored: the task looks at it again by itself.
pub(super) const RESTORING: &str = "restoring";

/// See the module.
pub(super) struct Archives {
    uid: u64,
    store: Store,
    source: Bucket,
    archived: Archived,
    tier: RestoreTier,
    days: Option<u32>,
    /// This run may send requests that write.
    writes: bool,
}

impl Archives {
    pub(super) fn new(uid: u64, store: &Store, source: &Bucket, options: &S3Options, writes: bool) -> Self {
        let S3Options { archived, restore_tier, restore_days, .. } = *options;
        Self { uid, store: store.clone(), source: source.clone(), archived, tier: restore_tier, days: restore_days, writes }
    }

    /// Whether the class of an object, as it was listed, is that of an archive.
    pub(super) fn suspects(&self, entry: &Entry) -> bool {
        self.source.profile().archive(&entry.class).is_some()
    }

    /// Why the object cannot be copied now; `None`: it can be. Asks the store, and asks for the object's restoration.
    pub(super) async fn look(&self, entry: &Entry) -> Result<Option<&'static str>, TransferError> {
        let (_, state) = self.source.archive(&entry.key, entry.version_pin(), &entry.class).await?;
        let restores = self.archived == Archived::Restore;
        match state {
            State::Readable => Ok(None),
            State::Restoring if restores => {
                if self.writes && self.store.restore(self.uid, &entry.key).ok().flatten().is_none() {
                    // someone else has asked for it
                    let depth = self.source.profile().archive(&entry.class).unwrap_or(archive::Depth::Deep);
                    self.remember(&entry.key, archive::tier(self.tier, depth), depth);
                }
                Ok(Some(RESTORING))
            }
            State::Archived(depth) if restores && self.writes => {
                let days = Bucket::restore_days(&entry.class, self.days);
                let tier = archive::tier(self.tier, depth);
                let tier = self.source.restore(&entry.key, entry.version.as_deref(), tier, days).await?;
                self.remember(&entry.key, tier, depth);
                Ok(Some(RESTORING))
            }
            State::Restoring | State::Archived(_) => Ok(Some(ARCHIVED)),
        }
    }

    fn remember(&self, key: &str, tier: RestoreTier, depth: archive::Depth) {
        let ready = clock::now().plus(archive::takes(tier, depth));
        self.store.put_restore(self.uid, key, &Restore { ready, tier });
    }

    /// The object is copied, or need not be: nobody waits for it any more.
    pub(super) fn forget(&self, entry: &Entry) {
        if self.suspects(entry) || entry.class == archive::INTELLIGENT {
            self.forget_key(&entry.key);
        }
    }

    /// As [`Self::forget`], whatever the class.
    pub(super) fn forget_key(&self, key: &str) {
        if matches!(self.store.restore(self.uid, key), Ok(Some(_))) {
            self.store.remove_restore(self.uid, key);
        }
    }

    /// At the end of a run: what the task waits for from now on, in words; `None`: nothing. `looked`: the run was one that looks at
    /// what is being restored.
    pub(super) async fn settle(&self, looked: bool) -> Option<String> {
        if !self.writes {
            return None;
        }
        let before = self.store.restoring(self.uid).ok().flatten();
        let counted = match self.store.writer().applied().await {
            Ok(()) => self.store.count_restores(self.uid),
            Err(error) => Err(error),
        };
        let (count, ready) = counted.inspect_err(|error| tracing::warn!("cannot read what is being restored: {error}")).ok()?;
        if count == 0 || self.archived == Archived::Skip {
            if before.is_some() {
                self.store.put_restoring(self.uid, None);
                let _ = self.store.writer().applied().await;
            }
            return None;
        }
        let now = clock::now();
        // a run that asked for more begins to count anew
        let asked = before.as_ref().is_none_or(|before| ready > before.ready);
        let looks = match &before {
            Some(before) if looked => before.looks.saturating_add(1),
            Some(before) if !asked => before.looks,
            _ => 0,
        };
        let next = match before {
            Some(before) if !looked && !asked => before.next,
            _ => now.plus(archive::pause(self.tier, looks)),
        };
        self.store.put_restoring(self.uid, Some(&Restoring { count, ready, looks, next }));
        // whoever ends the run reads it; if it cannot be written, nothing can
        let _ = self.store.writer().applied().await;
        Some(format!("{}; the task copies what is ready by itself", archive::words(count, ready, now)))
    }
}
