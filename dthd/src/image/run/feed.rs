//! Which repositories a run looks at, and how what was found comes into the books: in the order of the images' keys.

use std::{collections::BTreeMap, sync::Arc};

use dth_proto::failure::FailureClass;
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    PassEnd,
    look::{Decision, Look, Looked, Wanted, whole},
};
use crate::{
    image::{
        copy::Image,
        digest::Digest,
        item::{self, Item},
    },
    store::{
        RunKind, Store,
        item::{ItemOutcome, ItemRecord},
        record::{Remaining, Tally},
    },
    transfer::{
        account::{Account, Open},
        run::RunInput,
        ticket::Ticket,
        watermark::{Block, Piece},
    },
};

/// Repositories looked at side by side. What was found of all of them is in memory until it is entered.
const SIDE_BY_SIDE: usize = 8;
/// Failed items read from the store at once.
const PAGE: usize = 500;

/// An image that must be copied.
#[derive(Debug)]
pub(super) struct Task {
    /// Its entry in the books.
    pub(super) open: Open,
    /// Which.
    pub(super) image: Image,
    /// Why.
    pub(super) reason: &'static str,
    /// Of an image that an event told of.
    pub(super) ticket: Option<Ticket>,
}

/// See the module.
pub(super) struct Feed {
    uid: u64,
    kind: RunKind,
    store: Store,
    look: Arc<Look>,
    account: Arc<Account>,
    queue: mpsc::Sender<Task>,
}

impl Feed {
    pub(super) fn new(input: &RunInput, look: Arc<Look>, account: &Arc<Account>, queue: mpsc::Sender<Task>) -> Self {
        let (kind, store) = (input.record.kind.clone(), input.store.clone());
        Self { uid: input.uid, kind, store, look, account: Arc::clone(account), queue }
    }

    /// Looks at everything, or until it is told to stop. Nothing is looked at any more when this returns.
    pub(super) async fn run(self, stop: CancellationToken) -> PassEnd {
        tokio::select! {
            () = stop.cancelled() => PassEnd::Stopped,
            end = self.all() => end,
        }
    }

    async fn all(&self) -> PassEnd {
        let wanted = match self.wanted().await {
            Ok(wanted) => wanted,
            Err(why) => return PassEnd::Failed(why),
        };
        let names: Vec<String> = wanted.iter().map(|wanted| wanted.repository.clone()).collect();
        let collisions = self.look.names.collisions(&names);
        if !collisions.is_empty() {
            return PassEnd::Failed(collisions.join("; "));
        }
        let pieces = self.account.pieces();
        let mut waiting = wanted.into_iter().filter(|wanted| pieces.iter().any(|piece| touches(&piece.part, &wanted.repository)));
        let mut looking = FuturesOrdered::new();
        let mut blocks: Vec<(Piece, Block)> = pieces.iter().map(|piece| (piece.clone(), Block::new(piece.span))).collect();
        loop {
            while looking.len() < SIDE_BY_SIDE
                && let Some(wanted) = waiting.next()
            {
                looking.push_back(self.look(wanted));
            }
            let Some(looked) = looking.next().await else { break };
            let looked = match looked {
                Ok(looked) => looked,
                Err(defect) => return PassEnd::Failed(format!("the comparison ended in a defect: {defect}")),
            };
            if let Err(error) = self.store.writer().room().await {
                return PassEnd::Failed(error.to_string());
            }
            for task in self.enter(&mut blocks, looked) {
                if self.queue.send(task).await.is_err() {
                    return PassEnd::Stopped;
                }
            }
        }
        for (piece, _) in blocks {
            self.account.listed(piece.span);
        }
        self.account.listing_done();
        PassEnd::Complete
    }

    /// Begins to look; goes on while what was found of others is entered.
    fn look(&self, wanted: Wanted) -> AbortOnDropHandle<Looked> {
        let look = Arc::clone(&self.look);
        AbortOnDropHandle::new(tokio::spawn(async move { look.at(wanted).await }))
    }

    /// Repositories in the order of their images' keys.
    async fn wanted(&self) -> Result<Vec<Wanted>, String> {
        let mut wanted = match self.kind {
            RunKind::Full | RunKind::Plan | RunKind::Verify => {
                self.repositories().await?.into_iter().map(|repository| Wanted { repository, items: None }).collect()
            }
            RunKind::Retry { of, class } => self.failures(of, class)?,
            // nothing is listed
            RunKind::Events => Vec::new(),
            // no registry has an archive
            RunKind::Restore => Vec::new(),
        };
        wanted.sort_by(|a: &Wanted, b| item::order(&a.repository, &b.repository));
        wanted.dedup_by(|a, b| a.repository == b.repository);
        Ok(wanted)
    }

    async fn repositories(&self) -> Result<Vec<String>, String> {
        let selection = &self.look.selection;
        let mut names = match (selection.named(), &self.look.source.ecr) {
            (Some(named), _) => named,
            (None, Some(ecr)) => ecr.repositories().await.map_err(|e| e.to_string())?,
            (None, None) => self.look.source.registry.repositories().await.map_err(|e| e.to_string())?,
        };
        names.retain(|name| selection.keep_repository(name));
        Ok(names)
    }

    /// The failed items of an earlier run.
    fn failures(&self, of: u32, class: Option<FailureClass>) -> Result<Vec<Wanted>, String> {
        let mut keys = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let wanted = |record: &ItemRecord| record.is_failure(class);
            let (items, next) = self.store.items(self.uid, of, "", after.as_deref(), PAGE, wanted).map_err(|e| e.to_string())?;
            keys.extend(items.into_iter().map(|(key, _)| key));
            after = next;
            if after.is_none() {
                return Ok(by_repository(keys));
            }
        }
    }

    /// Enters what was found of a repository; gives back what must be copied.
    fn enter(&self, blocks: &mut [(Piece, Block)], looked: Looked) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (key, decision) in looked {
            // what is outside of what remains was finished before
            let Some((_, block)) = blocks.iter_mut().find(|(piece, _)| piece.part.contains(&key)) else { continue };
            match decision {
                Decision::Copy { image, reason } => tasks.push(Task { open: Open::new(block, &key, 0), image, reason, ticket: None }),
                Decision::Same => {
                    if self.account.is_continued() {
                        // an earlier start may have failed with it
                        self.account.forget(&key);
                    }
                    block.finished(&key, 0, |tally| tally.add(&Tally::same(0)));
                }
                Decision::Copied(record) => {
                    let ItemOutcome::Copied { verified, .. } = &record.outcome else { continue };
                    block.finished(&key, record.size, |tally| tally.add(&Tally::copied(record.size, verified)));
                }
                Decision::Skipped { rule, record } => {
                    if record {
                        self.account.note_skipped(&key, 0, rule);
                    }
                    block.finished(&key, 0, |tally| tally.add(&Tally::skipped(0, rule)));
                }
                Decision::Failed(outcome) => {
                    self.account.note_failed(&key, 0, 1, outcome);
                    block.finished(&key, 0, |tally| tally.add(&Tally::failed(0)));
                }
            }
        }
        for (_, block) in blocks {
            self.account.enter(block);
        }
        tasks
    }
}

/// Whether some key of a repository may lie in a part of the listing. They are all between `name:` and `nameA`: `:` and `@` come before
/// letters.
fn touches(part: &Remaining, repository: &str) -> bool {
    let (first, end) = (format!("{repository}:"), format!("{repository}A"));
    part.after.as_deref().is_none_or(|after| after < end.as_str()) && part.until.as_deref().is_none_or(|until| until >= first.as_str())
}

/// Items by their repositories, from their keys; a repository that could not be listed is looked at as a whole.
fn by_repository(keys: Vec<String>) -> Vec<Wanted> {
    let mut all: BTreeMap<String, Option<Vec<Item>>> = BTreeMap::new();
    for key in keys {
        let repository = item::repository_of(&key).to_owned();
        let name = &key[repository.len()..];
        let found = match (name.strip_prefix(':'), name.strip_prefix('@').and_then(|text| text.parse::<Digest>().ok())) {
            _ if key == whole(&repository) => None,
            (Some(tag), _) => Some(Item::tagged(&repository, tag, None)),
            (None, Some(digest)) => Some(Item::untagged(&repository, digest)),
            (None, None) => None,
        };
        let items = all.entry(repository).or_insert_with(|| Some(Vec::new()));
        match (items.as_mut(), found) {
            (Some(items), Some(item)) => items.push(item),
            _ => *items = None,
        }
    }
    all.into_iter().map(|(repository, items)| Wanted { repository, items }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(after: Option<&str>, until: Option<&str>) -> Remaining {
        Remaining { after: after.map(str::to_owned), until: until.map(str::to_owned) }
    }

    #[test]
    fn only_what_remains_is_looked_at() {
        for (after, until, expected) in [
            (None, None, true),
            (Some("a"), None, true),
            (Some("team/app"), None, true),
            (Some("team/app:v1"), None, true),
            (Some("team/app@sha256:ff"), None, true),
            (Some("team/app0:v1"), None, true),
            (Some("team/appz:v1"), None, false),
            (Some("team/b:v1"), None, false),
            (None, Some("team/app"), false),
            (None, Some("team/app:"), true),
            (None, Some("team/app-x:v1"), false),
            (None, Some("team/b:v1"), true),
        ] {
            assert_eq!(touches(&part(after, until), "team/app"), expected, "{after:?} {until:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_remains_is_left_out(
            repository in "[a-b]{1,2}([-./_][a-b0]{1,2})?", tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,3}", digest in any::<bool>(),
            after in prop::option::of("[a-b0:@A._/-]{0,5}"), until in prop::option::of("[a-b0:@A._/-]{0,5}"),
        ) {
            let item = if digest { Item::untagged(&repository, Digest::sha256(tag.as_bytes())) } else { Item::tagged(&repository, &tag, None) };
            let part = part(after.as_deref(), until.as_deref());
            for key in [item.key(), whole(&repository)] {
                prop_assert!(!part.contains(&key) || touches(&part, &repository), "{}", key);
            }
        }
    }

    #[test]
    fn failed_items_are_found_again_by_their_keys() {
        let digest = Digest::sha256(b"x");
        let keys = ["a:*", "b:v1", "b:v2", &format!("b@{digest}"), "c:v1", "c:*"].map(str::to_owned).to_vec();
        let b = vec![Item::tagged("b", "v1", None), Item::tagged("b", "v2", None), Item::untagged("b", digest)];
        let wanted = |repository: &str, items| Wanted { repository: repository.to_owned(), items };
        assert_eq!(by_repository(keys), [wanted("a", None), wanted("b", Some(b)), wanted("c", None)]);
    }
}
