//! A run over all versions: key by key at both ends, and per key one version after the other, oldest first.
//!
//! Items are versions, named `key?versionId=…`. Keys are copied side by side; what a key lacks at the destination is appended in the source's
//! order, so a version that fails stops the later ones of its key.

use std::{collections::VecDeque, sync::Arc};

use dth_proto::failure::{FailureClass, Side};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    PassEnd,
    archives::{Away, RESTORE, RESTORING},
    ends::Ends,
    estimate,
    failures::Which,
    rules::{Rules, too_long},
    work::{Inner, Work, is_in_archive, unjournaled},
};
use crate::{
    s3::{
        client::Bucket,
        compare::{CopyReason, Recorded},
        copy::{Copied, CopyError},
        key::KeyTooLong,
        object::{ETag, Entry},
        prefix::Selection,
        version::{
            Version,
            as_of::of_key,
            cursor::KeyCursor,
            item_name, key_of_item,
            plan::{Fate, fates},
        },
    },
    store::{
        Store, StoreError,
        item::{ItemOutcome, ItemRecord},
        record::Tally,
    },
    transfer::{
        TransferError,
        account::{Account, OpenGroup, failed},
        watermark::{Block, Piece},
        workers::Queues,
    },
};

/// Versions that may wait to be copied, over all keys; a key with more waits alone.
const WAITING: u32 = 20_000;
/// Keys that are decided before they are entered into the books.
const GATHERED: usize = 64;
/// What a delete marker's copy is verified by: the store's answer.
const MARKER: &str = "delete-marker";
/// The destination has a later version already.
const SUPERSEDED: &str = "superseded";

/// The versions of one key that are to be copied.
pub(super) struct KeyTask {
    open: OpenGroup,
    key: String,
    destination_key: String,
    /// Oldest first.
    versions: VecDeque<Version>,
    _room: OwnedSemaphorePermit,
}

/// What is decided about one key.
struct Decided {
    tally: Tally,
    copy: VecDeque<Version>,
}

/// Which keys are looked at.
pub(super) enum Keys {
    /// All that the task selects.
    All,
    /// Those of some items.
    Of(Which),
}

/// Lists both ends and decides.
pub(super) struct VersionFeed {
    uid: u64,
    keys: Keys,
    store: Store,
    source: Arc<Bucket>,
    destination: Arc<Bucket>,
    selection: Selection,
    rules: Rules,
    queue: mpsc::Sender<KeyTask>,
    room: Arc<Semaphore>,
}

/// Why a listing ended.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    List(#[from] TransferError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the sorted prefixes cannot be read back: {0}")]
    Prefixes(String),
    #[error("nobody takes what is to be copied")]
    Closed,
}

impl VersionFeed {
    pub(super) fn new(
        uid: u64,
        keys: Keys,
        store: &Store,
        ends: &Ends,
        selection: &Selection,
        rules: Rules,
        queue: mpsc::Sender<KeyTask>,
    ) -> Self {
        Self {
            uid,
            keys,
            store: store.clone(),
            source: Arc::new(ends.source.clone()),
            destination: Arc::new(ends.destination.clone()),
            selection: selection.clone(),
            rules,
            queue,
            room: Arc::new(Semaphore::new(WAITING as usize)),
        }
    }

    pub(super) async fn run(self, stop: CancellationToken) -> PassEnd {
        let end = tokio::select! {
            () = stop.cancelled() => return PassEnd::Stopped,
            end = self.all() => end,
        };
        match end {
            Ok(()) => {
                self.rules.account.listing_done();
                PassEnd::Complete
            }
            Err(FeedError::Closed) => PassEnd::Stopped,
            Err(error) => PassEnd::Failed(error.to_string()),
        }
    }

    async fn all(&self) -> Result<(), FeedError> {
        for piece in self.rules.account.pieces() {
            let span = piece.span;
            match self.keys {
                Keys::All => self.piece(piece).await?,
                Keys::Of(which) => self.items(piece, which).await?,
            }
            self.rules.account.listed(span);
        }
        Ok(())
    }

    /// Both listings side by side.
    async fn piece(&self, piece: Piece) -> Result<(), FeedError> {
        let Piece { span, part } = piece;
        let (map, mut block) = (&self.rules.map, Block::new(span));
        let mut source = KeyCursor::new(Arc::clone(&self.source), Side::Source, self.selection.prefix(), part.after.clone());
        let there = map.destination_prefix(self.selection.prefix());
        let mut destination =
            KeyCursor::new(Arc::clone(&self.destination), Side::Destination, &there, part.after.as_deref().map(|key| map.start_after(key)));
        let mut tasks = Vec::new();
        while let Some((key, versions)) = source.next().await? {
            if part.until.as_ref().is_some_and(|until| key > *until) {
                break;
            }
            if !self.selection.selects(&key).map_err(|e| FeedError::Prefixes(e.to_string()))? {
                continue;
            }
            let destination_key = map.map_any(&key);
            let copies = destination.seek(&destination_key).await?;
            self.key(&mut block, &mut tasks, (&key, &key), versions, copies).await?;
            if tasks.len() >= GATHERED {
                self.hand_over(&mut block, &mut tasks).await?;
            }
        }
        self.hand_over(&mut block, &mut tasks).await
    }

    /// The keys of items, each asked for by itself.
    async fn items(&self, piece: Piece, which: Which) -> Result<(), FeedError> {
        let mut block = Block::new(piece.span);
        let mut after = piece.part.after;
        // a key and the last of its items: what is behind that is not done
        let mut waiting: Option<(String, String)> = None;
        loop {
            let (names, next) = which.page(&self.store, self.uid, after.as_deref())?;
            for name in names {
                let key = key_of_item(&name).to_owned();
                if let Some((before, last)) = waiting.take().filter(|(before, _)| *before != key) {
                    self.item(&mut block, &before, &last).await?;
                }
                waiting = Some((key, name));
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        match waiting {
            Some((key, last)) => self.item(&mut block, &key, &last).await,
            None => Ok(()),
        }
    }

    async fn item(&self, block: &mut Block, key: &str, place: &str) -> Result<(), FeedError> {
        let destination_key = self.rules.map.map_any(key);
        let (versions, copies) = tokio::join!(of_key(&*self.source, key), of_key(&*self.destination, &destination_key));
        let (versions, copies) = (versions?, copies?);
        let mut tasks = Vec::new();
        if versions.is_empty() {
            self.store.remove_restore(self.uid, key);
        } else {
            self.key(block, &mut tasks, (key, place), versions, copies).await?;
        }
        self.hand_over(block, &mut tasks).await
    }

    async fn hand_over(&self, block: &mut Block, tasks: &mut Vec<KeyTask>) -> Result<(), FeedError> {
        self.store.writer().room().await?;
        self.rules.account.enter(block);
        for task in tasks.drain(..) {
            self.queue.send(task).await.map_err(|_| FeedError::Closed)?;
        }
        Ok(())
    }

    /// Decides about a key, whose place in the books is `place`. Versions come newest first.
    async fn key(
        &self,
        block: &mut Block,
        tasks: &mut Vec<KeyTask>,
        (key, place): (&str, &str),
        mut versions: Vec<Version>,
        mut copies: Vec<Version>,
    ) -> Result<(), FeedError> {
        versions.reverse();
        copies.reverse();
        let Decided { tally, copy } = self.decide(key, versions, &copies);
        if copy.is_empty() {
            block.finished_all(place, &tally);
            return Ok(());
        }
        let count = u32::try_from(copy.len()).unwrap_or(WAITING).min(WAITING);
        let room = match Arc::clone(&self.room).try_acquire_many_owned(count) {
            Ok(room) => room,
            // those who work give it back, when they have got it
            Err(_) => {
                self.hand_over(block, tasks).await?;
                Arc::clone(&self.room).acquire_many_owned(count).await.map_err(|_| FeedError::Closed)?
            }
        };
        let open = OpenGroup::new(block, place, tally, copy.len() as u64);
        let destination_key = self.rules.map.map_any(key);
        tasks.push(KeyTask { open, key: key.to_owned(), destination_key, versions: copy, _room: room });
        Ok(())
    }

    /// What becomes of each version; both ends oldest first.
    fn decide(&self, key: &str, versions: Vec<Version>, copies: &[Version]) -> Decided {
        let (account, filter) = (&self.rules.account, &self.rules.filter);
        let mut decided = Decided { tally: Tally::default(), copy: VecDeque::new() };
        let destination_key = self.rules.map.map_any(key);
        let beyond = KeyTooLong::check(&destination_key).err();
        let mut wanted = Vec::new();
        for version in versions {
            decided.tally.list(version.size);
            let rule = if version.marker { filter.skip_by_key(key) } else { filter.skip(&version.entry_ref(key)) };
            if let Some(rule) = rule {
                decided.tally.add(&Tally::skipped(version.size, rule.word()));
            } else if let Some(error) = &beyond {
                account.note_failed(&item_name(key, &version.id), version.size, 1, too_long(error));
                decided.tally.add(&Tally::failed(version.size));
            } else {
                wanted.push(version);
            }
        }
        let fates = fates(&wanted, copies, |version, copy| self.is_copy(&destination_key, version, copy));
        for (version, fate) in wanted.into_iter().zip(fates) {
            let name = item_name(key, &version.id);
            match fate {
                Fate::Copy => decided.copy.push_back(version),
                Fate::There => decided.tally.add(&there(account, &name, version.size)),
                Fate::Superseded => {
                    account.note_skipped(&name, version.size, SUPERSEDED);
                    decided.tally.add(&Tally::skipped(version.size, SUPERSEDED));
                }
            }
        }
        decided
    }

    /// Whether a version of the destination is a copy of one of the source: by its content where both ends say the same of it, else by what was
    /// recorded when it was made.
    fn is_copy(&self, destination_key: &str, version: &Version, copy: &Version) -> bool {
        if version.marker != copy.marker || version.size != copy.size {
            return false;
        }
        if version.marker || version.etag == copy.etag {
            return true;
        }
        let recorded = self.store.pair(self.uid, &item_name(destination_key, &copy.id)).ok().flatten();
        recorded.is_some_and(|pair| pair.source_etag == version.etag && pair.destination_etag == copy.etag)
    }
}

/// What a version counts as that is at the destination: copied, where an earlier pass of this run has copied it.
fn there(account: &Account, name: &str, size: u64) -> Tally {
    match account.recorded(name) {
        Some(ItemRecord { size, outcome: ItemOutcome::Copied { verified, .. }, .. }) => Tally::copied(size, &verified),
        Some(_) => {
            account.forget(name);
            Tally::same(size)
        }
        None => Tally::same(size),
    }
}

impl Work {
    /// As [`Work::run`], with keys instead of objects.
    pub(super) async fn run_keys(self, queue: mpsc::Receiver<KeyTask>, most: usize) {
        // events bring no versions
        let (_, urgent) = mpsc::channel(1);
        self.each(Queues { listed: queue, urgent }, most, |work, task| async move { work.key(task).await }).await;
    }
}

impl Inner {
    /// Copies the versions of a key, one after the other. A key that is not finished is listed again by the next pass.
    async fn key(&self, mut task: KeyTask) {
        // what becomes of the versions behind one that could not be copied
        let mut blocked: Option<ItemOutcome> = None;
        while let Some(version) = task.versions.pop_front() {
            let (tries, outcome) = match &blocked {
                None => match self.version(&task, &version).await {
                    Some(done) => done,
                    None => return,
                },
                Some(behind) => (1, behind.clone()),
            };
            if blocked.is_none() {
                blocked = behind(&outcome);
            }
            let name = item_name(&task.key, &version.id);
            self.account.close_one(&mut task.open, (&name, version.size), tries, outcome, || estimate::copy(version.size, self.copier()));
        }
        if blocked.is_none() {
            self.archives.forget(&task.key);
        }
        self.account.close_group(task.open);
    }

    /// Copies one version, or makes a delete marker; `None`: it was told to stop.
    async fn version(&self, task: &KeyTask, version: &Version) -> Option<(u32, ItemOutcome)> {
        if self.stop.is_cancelled() {
            return None;
        }
        if !self.writes && version.marker {
            return Some((1, planned()));
        }
        if version.marker {
            return Some(match self.destination.delete(&task.destination_key).await {
                Ok(()) => (1, copied_as(MARKER, &ETag::default(), &ETag::default())),
                Err(error) => (1, failed(&error)),
            });
        }
        let entry = version.entry(&task.key);
        if self.archives.suspects(&entry)
            && let Some(away) = Box::pin(self.away(&entry, false)).await
        {
            return Some((1, away));
        }
        if !self.writes {
            return Some((1, planned()));
        }
        let (tries, result) = Box::pin(self.copy(&entry, &task.destination_key)).await;
        let outcome = match result {
            Ok(copied) => self.version_copied(task, &copied).await,
            Err(CopyError::Stopped) => return None,
            Err(CopyError::Vanished) => ItemOutcome::Skipped { reason: "vanished".to_owned() },
            Err(CopyError::Failed(error)) if is_in_archive(&error) => {
                Box::pin(self.away(&entry, true)).await.unwrap_or_else(|| failed(&error))
            }
            Err(CopyError::Failed(error)) => failed(&error),
            Err(CopyError::Journal(error)) => unjournaled(&error),
        };
        Some((tries, outcome))
    }

    async fn away(&self, entry: &Entry, refused: bool) -> Option<ItemOutcome> {
        match self.archives.look(entry, refused).await {
            Ok(None) => None,
            Ok(Some(Away::Skipped(why))) => Some(ItemOutcome::Skipped { reason: why.to_owned() }),
            Ok(Some(Away::Planned)) => Some(ItemOutcome::Planned { reason: RESTORE.to_owned() }),
            Err(error) if error.class == FailureClass::Changed => Some(ItemOutcome::Skipped { reason: "vanished".to_owned() }),
            Err(error) => Some(failed(&error)),
        }
    }

    async fn version_copied(&self, task: &KeyTask, copied: &Copied) -> ItemOutcome {
        if copied.source_etag != copied.destination_etag
            && let Some(version) = &copied.destination_version
        {
            let pair = Recorded { source_etag: copied.source_etag.clone(), destination_etag: copied.destination_etag.clone() };
            self.store.put_pair(self.uid, &item_name(&task.destination_key, version), &pair);
            // nothing else tells that it is a copy: it must be known before another is made behind it
            if let Err(error) = self.store.writer().durable().await {
                tracing::error!("{error}");
            }
        }
        copied_as(copied.verified, &copied.source_etag, &copied.destination_etag)
    }
}

fn planned() -> ItemOutcome {
    ItemOutcome::Planned { reason: CopyReason::Missing.word().to_owned() }
}

fn copied_as(verified: &str, source_etag: &ETag, destination_etag: &ETag) -> ItemOutcome {
    ItemOutcome::Copied {
        reason: CopyReason::Missing.word().to_owned(),
        verified: verified.to_owned(),
        source_etag: source_etag.as_str().to_owned(),
        destination_etag: destination_etag.as_str().to_owned(),
    }
}

/// What becomes of the versions behind one with this outcome; `None`: they are copied. One that was skipped for good does not stop them.
fn behind(outcome: &ItemOutcome) -> Option<ItemOutcome> {
    match outcome {
        ItemOutcome::Skipped { reason } if reason == RESTORING => Some(outcome.clone()),
        ItemOutcome::Failed { class, side, operation, code, message, request_id } => Some(ItemOutcome::Failed {
            class: *class,
            side: *side,
            operation: operation.clone(),
            code: "EarlierVersionFailed".to_owned(),
            message: format!("an earlier version of the key failed ({code}: {message}): versions are copied in order"),
            request_id: request_id.clone(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_a_key_and_what_does_not() {
        let skipped = |reason: &str| ItemOutcome::Skipped { reason: reason.to_owned() };
        assert_eq!(behind(&skipped("archived")), None);
        assert_eq!(behind(&skipped("vanished")), None);
        assert_eq!(behind(&copied_as(MARKER, &ETag::default(), &ETag::default())), None);
        assert_eq!(behind(&skipped(RESTORING)), Some(skipped(RESTORING)));
        let error = TransferError::new(FailureClass::Auth, Side::Source, "GetObject", "AccessDenied", "no");
        let Some(ItemOutcome::Failed { class, code, message, .. }) = behind(&failed(&error)) else { panic!("it stops the others") };
        assert_eq!((class, code.as_str()), (FailureClass::Auth, "EarlierVersionFailed"));
        assert!(message.contains("AccessDenied: no"), "{message}");
    }
}
