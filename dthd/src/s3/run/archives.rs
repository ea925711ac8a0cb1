//! Objects in an archive, as a run meets them: asked about, restored where the task wants it, and remembered until they are copied.

use std::sync::atomic::{AtomicBool, Ordering};

use dth_proto::spec::{Archived, RestoreTier, S3Options};

use crate::{
    clock,
    s3::{
        archive::{self, Depth, State},
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

/// What becomes of an object that cannot be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// It is left out, by this word.
    Skipped(&'static str),
    /// A run that writes would ask for its restoration.
    Planned,
}

/// Why a run that changes nothing would work on an archived object.
pub(super) const RESTORE: &str = "restore";

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
    /// Something is being restored: what is copied may be waited for.
    waits: AtomicBool,
}

impl Archives {
    pub(super) fn new(uid: u64, store: &Store, source: &Bucket, options: &S3Options, writes: bool) -> Self {
        // if it cannot be told, it is looked for
        let waits = AtomicBool::new(store.restores(uid, None, 1).map_or(true, |(keys, _)| !keys.is_empty()));
        let S3Options { archived, restore_tier, restore_days, .. } = *options;
        Self { uid, store: store.clone(), source: source.clone(), archived, tier: restore_tier, days: restore_days, writes, waits }
    }

    /// Whether the class of an object, as it was listed, is that of an archive.
    pub(super) fn suspects(&self, entry: &Entry) -> bool {
        self.source.profile().archive(&entry.class).is_some()
    }

    /// What becomes of the object, if it cannot be read now; `None`: it can be. Asks the store, and asks for the object's restoration.
    /// `refused`: the store has refused to give it.
    pub(super) async fn look(&self, entry: &Entry, refused: bool) -> Result<Option<Away>, TransferError> {
        let (_, state) = self.source.archive(&entry.key, entry.version_pin(), &entry.class).await?;
        let restores = self.archived == Archived::Restore;
        match state {
            // the class of an archive that its profile does not name
            State::Readable if refused => self.ask(entry, Depth::Deep).await.map(Some),
            State::Readable => Ok(None),
            State::Restoring if restores => {
                if self.writes && self.store.restore(self.uid, &entry.key).ok().flatten().is_none() {
                    // someone else has asked for it
                    let depth = self.source.profile().archive(&entry.class).unwrap_or(Depth::Deep);
                    self.remember(&entry.key, archive::tier(self.tier, depth), depth);
                }
                Ok(Some(Away::Skipped(RESTORING)))
            }
            State::Archived(depth) => self.ask(entry, depth).await.map(Some),
            State::Restoring => Ok(Some(Away::Skipped(ARCHIVED))),
        }
    }

    /// Asks for the restoration, where the task wants it.
    async fn ask(&self, entry: &Entry, depth: Depth) -> Result<Away, TransferError> {
        match self.archived {
            Archived::Skip => Ok(Away::Skipped(ARCHIVED)),
            Archived::Restore if !self.writes => Ok(Away::Planned),
            Archived::Restore => {
                let days = Bucket::restore_days(&entry.class, self.days);
                let tier = archive::tier(self.tier, depth);
                let tier = self.source.restore(&entry.key, entry.version.as_deref(), tier, days).await?;
                self.remember(&entry.key, tier, depth);
                Ok(Away::Skipped(RESTORING))
            }
        }
    }

    fn remember(&self, key: &str, tier: RestoreTier, depth: Depth) {
        let ready = clock::now().plus(archive::takes(tier, depth));
        self.store.put_restore(self.uid, key, &Restore { ready, tier });
        self.waits.store(true, Ordering::Relaxed);
    }

    /// The object is copied, or need not be: nobody waits for it any more.
    pub(super) fn forget(&self, key: &str) {
        if self.waits.load(Ordering::Relaxed) && matches!(self.store.restore(self.uid, key), Ok(Some(_))) {
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
        if before.is_none() && !self.waits.load(Ordering::Relaxed) {
            return None;
        }
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
