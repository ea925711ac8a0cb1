//! What events say of images: one that was pushed is compared and copied as in a full run.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use dth_proto::{
    failure::{FailureClass, Side},
    spec::ImageJob,
};
use tokio::sync::mpsc;

use super::{
    feed::Task,
    look::{Decision, Look, Wanted},
};
use crate::{
    events::{
        consumer::{Applied, Apply, Consumer, Owner},
        inbox::Hint,
        message::Reading,
        push,
        queue::Queue,
    },
    image::{
        digest::Digest,
        item::{self, Item},
        select::Listed,
    },
    store::{StoreError, item::ItemOutcome, record::Tally},
    transfer::{
        TransferError,
        account::{Account, Open},
        checkpoint::Checkpoint,
        run::RunInput,
        ticket::{Ticket, Told, may_pass},
        turns::{Turn, Turns},
        watermark::{Block, Span},
    },
};

/// Copies of one image by an event and by a listing, so that the older one is not the last: a manifest that was listed is there for good,
/// also when its tag has moved on.
#[derive(Default)]
pub(super) struct Newest {
    turns: Turns,
    /// Images that events have brought up to date in this run.
    told: Mutex<HashSet<String>>,
}

impl Newest {
    /// Waits until nobody else copies the image; `None`: an event has brought it up to date since it was listed.
    pub(super) async fn listed(&self, key: &str) -> Option<Turn> {
        let turn = self.turns.take(key).await;
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(key);
        (!told).then_some(turn)
    }

    /// The same for an event.
    pub(super) async fn told(&self, key: &str) -> Turn {
        let turn = self.turns.take(key).await;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        turn
    }
}

/// A push says nothing but that there was one: the registry is asked what the tag is now.
#[derive(Clone, Debug)]
pub(super) struct Pushed;

impl Hint for Pushed {
    fn merge(&mut self, _: &Self) {}
}

/// See the module.
pub(super) struct Events {
    look: Arc<Look>,
    account: Arc<Account>,
    /// Account and region of an ECR source.
    place: Option<(Option<String>, Option<String>)>,
    queue: mpsc::Sender<Task>,
    checkpoint: Arc<Checkpoint>,
}

/// The consumer of a run whose task has events; `None`: it has none, or may not write.
///
/// # Errors
/// When the queue cannot be asked at all, in words.
pub(super) async fn consumer(
    input: &RunInput,
    job: &ImageJob,
    (look, account): (&Arc<Look>, &Arc<Account>),
    queue: mpsc::Sender<Task>,
    checkpoint: &Arc<Checkpoint>,
) -> Result<Option<Consumer<Events>>, String> {
    let Some(events) = input.events_to_apply() else { return Ok(None) };
    let source = &job.source.registry;
    let opened = Queue::open(events, source.region.as_deref(), &input.resources.credentials()).await.map_err(|e| e.to_string())?;
    let apply = Events {
        look: Arc::clone(look),
        account: Arc::clone(account),
        place: source.is_ecr().then(|| (source.account.clone(), source.region.clone())),
        queue,
        checkpoint: Arc::clone(checkpoint),
    };
    Ok(Some(Consumer::new(opened, apply, Owner::of(input))))
}

impl Apply for Events {
    type Hint = Pushed;

    fn read(&self, body: &str) -> Reading<(String, Pushed)> {
        let pushes = match push::read(body) {
            Reading::Changes(pushes) => pushes,
            Reading::Nothing(why) => return Reading::Nothing(why),
            Reading::Unknown(why) => return Reading::Unknown(why),
        };
        if pushes.iter().any(|push| !self.is_here(push)) {
            return Reading::Unknown("about another registry");
        }
        let wanted: Vec<_> = pushes.into_iter().filter(|push| self.selects(push)).map(|push| (key_of(&push), Pushed)).collect();
        if wanted.is_empty() { Reading::Nothing("about images that the task does not select") } else { Reading::Changes(wanted) }
    }

    async fn apply(&self, key: Arc<str>, _: Pushed, last: bool) -> Applied {
        let Some(item) = item_of(&key) else { return Applied::Done };
        let wanted = Wanted { repository: item.repository.clone(), items: Some(vec![item]) };
        let mut looked = self.look.at(wanted).await;
        // a repository that cannot be asked is told under a key of its own
        let Some((_, decision)) = looked.pop_first() else { return Applied::Done };
        let mut block = Block::new(Span::OUTSIDE);
        match decision {
            Decision::Copy { image, reason } => {
                let open = Open::new(&mut block, &key, 0);
                self.account.enter(&mut block);
                let (ticket, told) = Ticket::new(last);
                if self.queue.send(Task { open, image, reason, ticket: Some(ticket) }).await.is_err() {
                    return Applied::Stopped;
                }
                return match told.await {
                    Ok(Told::Done | Told::GivenUp | Told::Vanished) => Applied::Done,
                    Ok(Told::Failed(error)) => Applied::Again(error),
                    Err(_) => Applied::Stopped,
                };
            }
            Decision::Same | Decision::Copied(_) => {
                if self.account.has_failed(&key) {
                    self.account.forget(&key);
                }
                block.finished(&key, 0, |tally| tally.add(&Tally::same(0)));
            }
            Decision::Skipped { rule, record } => self.skipped(&mut block, &key, rule, record),
            Decision::Failed(outcome) => match transfer_error(&outcome) {
                // it was pushed, and removed since
                Some(error) if error.code == "MANIFEST_UNKNOWN" && error.side == Side::Source => {
                    self.skipped(&mut block, &key, "gone", true);
                }
                Some(error) if !last && may_pass(&error) => return Applied::Again(error),
                _ => {
                    self.account.note_failed(&key, 0, 1, outcome);
                    block.finished(&key, 0, |tally| tally.add(&Tally::failed(0)));
                }
            },
        }
        self.account.enter(&mut block);
        Applied::Done
    }

    async fn commit(&self) -> Result<(), StoreError> {
        self.checkpoint.durable().await
    }
}

impl Events {
    /// Whether an image was pushed to the task's source, as far as the message says where.
    fn is_here(&self, push: &push::Push) -> bool {
        let (Some((account, region)), Some((of, at))) = (&self.place, &push.place) else { return true };
        account.as_ref().is_none_or(|account| account == of) && region.as_ref().is_none_or(|region| region == at)
    }

    /// Whether a full run would copy it. A signature or the like is no image of its own: it follows with the next full compare.
    fn selects(&self, push: &push::Push) -> bool {
        let selection = &self.look.selection;
        let is_named = selection.named().is_none_or(|named| named.contains(&push.repository));
        if !is_named || !selection.keep_repository(&push.repository) {
            return false;
        }
        let digest = push.digest.as_ref().and_then(|digest| digest.parse::<Digest>().ok());
        let listed = Listed { tag: push.tag.clone(), digest, ..Listed::default() };
        let key = key_of(push);
        selection.pick(&push.repository, vec![listed]).images.iter().any(|item| item.key() == key)
    }

    fn skipped(&self, block: &mut Block, key: &str, rule: &str, record: bool) {
        if record {
            self.account.note_skipped(key, 0, rule);
        }
        block.finished(key, 0, |tally| tally.add(&Tally::skipped(0, rule)));
    }
}

/// The key of an image that was pushed.
fn key_of(push: &push::Push) -> String {
    item::key(&push.repository, push.tag.as_deref(), push.digest.as_deref())
}

/// The image of a key.
fn item_of(key: &str) -> Option<Item> {
    let repository = item::repository_of(key);
    let name = &key[repository.len()..];
    match (name.strip_prefix(':'), name.strip_prefix('@')) {
        (Some(tag), _) => Some(Item::tagged(repository, tag, None)),
        (None, Some(digest)) => Some(Item::untagged(repository, digest.parse().ok()?)),
        (None, None) => None,
    }
}

/// A failed outcome as the failure that it came from.
fn transfer_error(outcome: &ItemOutcome) -> Option<TransferError> {
    let ItemOutcome::Failed { class, side, code, message, .. } = outcome else { return None };
    // the operation is in the message for a person; nothing is decided by it
    Some(TransferError::new(*class, *side, "LookAtImage", code, message.clone())).filter(|error| error.class != FailureClass::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_images_again() {
        let digest = Digest::sha256(b"x");
        for item in [Item::tagged("team/app", "v1", None), Item::untagged("a", digest)] {
            assert_eq!(item_of(&item.key()), Some(item));
        }
        assert_eq!((item_of("team/app"), item_of("a@sha256:x")), (None, None));
    }

    #[tokio::test]
    async fn what_was_listed_before_an_event_is_not_copied_behind_it() {
        let newest = Newest::default();
        assert!(newest.listed("a:v1").await.is_some());
        drop(newest.told("a:v1").await);
        assert!(newest.listed("a:v1").await.is_none());
        assert!(newest.listed("a:v2").await.is_some());
    }
}
