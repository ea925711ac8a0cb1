//! Consumes a task's queue: receives, holds what is worked on, and deletes a message only when what it says is durable.
//!
//! ```text
//!  queue ──receive──> inbox (one turn per item) ──> apply (by the engine) ──> commit (outcomes durable) ──> delete
//!    ^                  │ held longer while it lasts                │ failed: rests, then another turn
//!    └── given back at a pause, and by SQS itself after a crash ────┘
//! ```
//!
//! A message that cannot be read, or is about another bucket, is not deleted: with a dead-letter queue it ends there, and without one it is
//! deleted after it was received [`GIVEN_UP`] times, so that it does not come back for ever. Such messages are counted, and each kind is
//! logged once.

mod apply;
mod consuming;
mod owner;
mod receive;
mod settle;

use std::{collections::HashMap, sync::Arc, time::Duration};

use dth_proto::event::Level;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    apply::{Applied, Apply},
    consuming::Consuming,
    owner::Owner,
};
use self::{
    receive::{Batch, Keeps, Receiver, attributes},
    settle::{delete, settle},
};
use super::{
    inbox::{Finished, Inbox},
    message::Reading,
    queue::{Attributes, Queue, Received},
};
use crate::store::StoreError;

/// For how long a message is held at a time: after a crash it takes so long until it comes again.
const HOLD: Duration = Duration::from_secs(30);
/// Requests that wait for messages at a time, while many come.
const RECEIVERS: usize = 3;
/// Messages held at a time; each takes the room of its keys.
const HELD: usize = 1_000;
/// Items worked on at a time; the engines have bounds of their own behind it.
const WORKING: usize = 256;
/// Rests between the tries of an item. After the last one it is given up, and is a failed item of the run.
const RESTS: [Duration; 5] =
    [Duration::from_secs(2), Duration::from_secs(8), Duration::from_secs(30), Duration::from_mins(2), Duration::from_mins(5)];
/// So often a message is received that is not understood before it is deleted, where there is no dead-letter queue.
pub const GIVEN_UP: u32 = 5;
/// How long the last words to the queue may take, and the answers to what it was asked before.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Something that was begun and has ended.
enum Step<H> {
    Applied { key: Arc<str>, hint: H, last: bool, applied: Applied },
    Rested(Arc<str>),
    Settled(Result<(), StoreError>),
    Held,
}

/// See the module.
pub struct Consumer<A: Apply> {
    queue: Queue,
    apply: Arc<A>,
    owner: Arc<Owner>,
    inbox: Inbox<A::Hint, Keeps>,
    steps: JoinSet<Step<A::Hint>>,
    working: usize,
    /// Turns of items that failed before.
    failed: HashMap<Arc<str>, usize>,
    /// Applied, and not yet settled.
    finished: Vec<Finished<Keeps>>,
    settling: bool,
    /// Messages that are not understood go to a dead-letter queue; `None`: not known yet.
    redrives: Option<bool>,
}

impl<A: Apply> Consumer<A> {
    /// A consumer that has not begun.
    pub fn new(queue: Queue, apply: A, owner: Owner) -> Self {
        Self {
            queue,
            apply: Arc::new(apply),
            owner: Arc::new(owner),
            inbox: Inbox::default(),
            steps: JoinSet::new(),
            working: 0,
            failed: HashMap::new(),
            finished: Vec::new(),
            settling: false,
            redrives: None,
        }
    }

    /// Consumes until `finish` (nothing more is received, and what is worked on is brought to its end), or `stop` (what is not applied is
    /// given back to the queue at once).
    ///
    /// # Errors
    /// When outcomes cannot be made durable, or a turn ended in a defect: the run must end. Messages are in the queue then.
    pub async fn run(mut self, finish: CancellationToken, stop: CancellationToken) -> Result<(), String> {
        let (send, mut received) = mpsc::channel(RECEIVERS);
        let room = Arc::new(Semaphore::new(HELD));
        let mut receivers = JoinSet::new();
        // nothing is asked for any more; what was asked for is still waited for
        let halt = CancellationToken::new();
        let (busy, is_busy) = watch::channel(false);
        let busy = Arc::new(busy);
        for number in 0..RECEIVERS {
            let receiver =
                Receiver { queue: self.queue.clone(), room: Arc::clone(&room), owner: Arc::clone(&self.owner), halt: halt.clone() };
            let helps = (number > 0).then(|| is_busy.clone());
            receivers.spawn(receiver.receive(send.clone(), Arc::clone(&busy), helps));
        }
        drop(send);
        let mut asking = Box::pin(attributes(self.queue.clone()));
        let mut hold = interval(HOLD / 3);
        hold.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        let result = loop {
            self.begin();
            if !open && self.working == 0 && self.finished.is_empty() && !self.settling {
                break Ok(());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                () = finish.cancelled(), if !halt.is_cancelled() => halt.cancel(),
                Some(step) = self.steps.join_next() => match step {
                    Ok(step) => {
                        if let Err(error) = self.step(step) {
                            break Err(error.to_string());
                        }
                    }
                    // the item's message comes again; the panic itself is in the log
                    Err(defect) => break Err(format!("applying an event ended in a defect: {defect}")),
                },
                attributes = &mut asking, if self.redrives.is_none() => self.know(attributes),
                // what was received when it was told to finish is still applied
                batch = received.recv(), if open => match batch {
                    Some(batch) => self.take(batch),
                    None => open = false,
                },
                _ = hold.tick() => self.hold(),
            }
        };
        halt.cancel();
        self.end(&mut received).await;
        receivers.shutdown().await;
        result
    }

    /// What the queue says of itself; `None`: it may not be asked, and nothing must be guessed.
    fn know(&mut self, attributes: Option<Attributes>) {
        self.redrives = Some(attributes.as_ref().is_none_or(|attributes| attributes.redrive.is_some()));
        if let Some(attributes) = attributes {
            let apply = Arc::clone(&self.apply);
            self.steps.spawn(async move {
                apply.kept(attributes.retention).await;
                Step::Held
            });
        }
    }

    /// Begins what can be begun.
    fn begin(&mut self) {
        while self.working < WORKING
            && let Some((key, hint)) = self.inbox.take()
        {
            let last = self.failed.get(&key).is_some_and(|turns| *turns >= RESTS.len());
            let apply = Arc::clone(&self.apply);
            self.working += 1;
            self.steps.spawn(async move {
                let applied = apply.apply(Arc::clone(&key), hint.clone(), last).await;
                Step::Applied { key, hint, last, applied }
            });
        }
        if !self.settling && !self.finished.is_empty() {
            self.settling = true;
            let finished = std::mem::take(&mut self.finished);
            let (queue, apply, owner) = (self.queue.clone(), Arc::clone(&self.apply), Arc::clone(&self.owner));
            self.steps.spawn(async move { Step::Settled(settle(&queue, &*apply, &owner, finished).await) });
        }
        self.owner.totals.events.holds(self.inbox.held() as u64, self.inbox.oldest());
    }

    fn step(&mut self, step: Step<A::Hint>) -> Result<(), StoreError> {
        match step {
            Step::Applied { key, hint, last, applied } => {
                self.working -= 1;
                match applied {
                    Applied::Done => {
                        self.failed.remove(&key);
                        self.finished.extend(self.inbox.applied(&key));
                    }
                    Applied::Again(error) if !last => {
                        let turns = self.failed.entry(Arc::clone(&key)).or_default();
                        let rest = RESTS[(*turns).min(RESTS.len() - 1)];
                        *turns += 1;
                        tracing::debug!(%error, ?rest, "an event is applied again");
                        self.inbox.rest(&key, &hint);
                        self.steps.spawn(async move {
                            sleep(rest).await;
                            Step::Rested(key)
                        });
                    }
                    // it stays with its messages, which are given back
                    Applied::Again(_) | Applied::Stopped => self.inbox.rest(&key, &hint),
                }
            }
            Step::Rested(key) => self.inbox.wake(&key),
            Step::Settled(result) => {
                self.settling = false;
                result?;
            }
            Step::Held => {}
        }
        Ok(())
    }

    fn take(&mut self, Batch { messages, mut room }: Batch) {
        let mut unwanted = Vec::new();
        for message in messages {
            let Some(keeps) = room.split(1) else { continue };
            match self.apply.read(&message.body) {
                Reading::Changes(changes) => {
                    if self.inbox.receive(&message.id, message.handle, message.sent, changes, keeps) {
                        self.owner.totals.events.received();
                    }
                }
                Reading::Nothing(_) => {
                    self.owner.totals.events.received();
                    self.finished.push(Finished { handle: message.handle, keeps });
                }
                Reading::Unknown(kind) => unwanted.extend(self.unknown(kind, message)),
            }
        }
        if !unwanted.is_empty() {
            let (queue, owner) = (self.queue.clone(), Arc::clone(&self.owner));
            self.steps.spawn(async move {
                delete(&queue, &owner, &unwanted).await;
                Step::Held
            });
        }
    }

    /// A message that is not understood: its handle when it is to be deleted.
    fn unknown(&self, kind: &'static str, message: Received) -> Option<String> {
        if message.receives <= 1 && self.owner.totals.events.unknown(kind) {
            let end = match self.redrives {
                Some(true) => "left to the dead-letter queue".to_owned(),
                _ => format!("deleted after {GIVEN_UP} receives unless the queue has a dead-letter queue"),
            };
            self.owner.tell(Level::Warn, format!("message {} is {kind}: such messages are counted, and {end}", message.id));
        }
        (self.redrives == Some(false) && message.receives >= GIVEN_UP).then_some(message.handle)
    }

    /// Holds everything longer that is not done.
    fn hold(&mut self) {
        let handles: Vec<String> = self.inbox.handles().map(str::to_owned).collect();
        if !handles.is_empty() {
            let (queue, owner) = (self.queue.clone(), Arc::clone(&self.owner));
            self.steps.spawn(async move {
                // what is not held comes again: a comparison more
                if let Err(error) = queue.hold(&handles, HOLD).await {
                    owner.trouble("ChangeMessageVisibility", &error);
                } else {
                    owner.fine("ChangeMessageVisibility");
                }
                Step::Held
            });
        }
    }

    /// Settles what is done, and gives back what is not.
    async fn end(mut self, received: &mut mpsc::Receiver<Batch>) {
        // what has ended by now is settled
        while let Some(step) = self.steps.try_join_next() {
            if let Ok(step) = step
                && self.step(step).is_err()
            {
                break;
            }
        }
        self.steps.shutdown().await;
        let mut back: Vec<String> = self.inbox.handles().map(str::to_owned).collect();
        // what was asked for a moment ago
        let _ = timeout(LAST_WORDS, async {
            while let Some(batch) = received.recv().await {
                back.extend(batch.messages.into_iter().map(|message| message.handle));
            }
        })
        .await;
        let finished = std::mem::take(&mut self.finished);
        let last = async {
            if !finished.is_empty() {
                // what is not settled comes again
                let _ = settle(&self.queue, &*self.apply, &self.owner, finished).await;
            }
            if !back.is_empty() {
                let _ = self.queue.hold(&back, Duration::ZERO).await;
            }
        };
        if timeout(LAST_WORDS, last).await.is_err() {
            tracing::debug!("the event queue was not told everything in time: messages come again when SQS holds them no longer");
        }
        self.owner.totals.events.idle();
    }
}
