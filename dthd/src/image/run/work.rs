//! Copies side by side, as many as the limits allow; each image by itself, so that one failure never ends the run.

use std::{panic::AssertUnwindSafe, sync::Arc};

use dth_proto::failure::{FailureClass, Side};
use futures::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{events::Newest, feed::Task, look::filtered};
use crate::{
    image::{
        copy::{Claims, Copier, Estimate, Image, Unfinished},
        digest::Digest,
    },
    s3::{compare::Recorded, object::ETag},
    store::{Store, item::ItemOutcome},
    transfer::{
        TransferError,
        account::{Account, Open, failed},
        checkpoint::Checkpoint,
        progress::Progress,
        retry::RetryPolicy,
        run::RunInput,
        ticket::Told,
        window::Kind,
        workers::{Queues, work_off},
    },
};

/// How often an image is begun again when its requests failed in a way that may pass.
const TRIES: u32 = 3;
/// How often all is asked for again, and sent again, because the destination lacks what it was thought to have: once for each of the few
/// times that it may lose something under an image.
const DOUBTS: u32 = 4;
/// More images than this at a time help nobody: their manifests are in memory.
const MOST: usize = 128;
/// How images are verified.
const VERIFIED: &str = "digest";

/// See the module.
#[derive(Clone)]
pub(super) struct Work(Arc<Inner>);

struct Inner {
    uid: u64,
    store: Store,
    account: Arc<Account>,
    progress: Arc<Progress>,
    copier: Arc<Copier>,
    books: Arc<Checkpoint>,
    stop: CancellationToken,
    /// Events may tell of an image that is being copied.
    newest: Option<Arc<Newest>>,
    /// Of a run that only tells what a copy would do.
    plans: Option<Claims>,
}

/// A finished image.
struct Done {
    /// Nothing had to be written.
    same: bool,
    /// What a copy would take, where nothing is written.
    planned: Option<Estimate>,
    source: Digest,
    destination: Digest,
}

impl Work {
    pub(super) fn new(
        input: &RunInput,
        copier: Arc<Copier>,
        (account, books): (&Arc<Account>, &Arc<Checkpoint>),
        stop: CancellationToken,
        newest: Option<Arc<Newest>>,
    ) -> Self {
        let (store, progress) = (input.store.clone(), Arc::clone(&input.progress));
        let plans = (!input.record.kind.writes()).then(Claims::default);
        let (account, books) = (Arc::clone(account), Arc::clone(books));
        Self(Arc::new(Inner { uid: input.uid, store, account, progress, copier, books, stop, plans, newest }))
    }

    /// Copies what comes through the queues, at most `most` images at once and not many more than the registries take. When it is told
    /// to stop, no blob is begun that need not be. See [`work_off`].
    pub(super) async fn run(self, queues: Queues<Task>, most: usize) {
        let Self(work) = self;
        let act = |task| {
            let work = Arc::clone(&work);
            async move { work.image(task).await }
        };
        work_off(queues, || most.min(work.wanted()), &work.stop, act).await;
    }
}

impl Inner {
    /// Images enough that both ends have the requests they take, with some ready to follow: more would only wait.
    fn wanted(&self) -> usize {
        let (source, destination) = (&self.copier.source.registry, &self.copier.destination.registry);
        let requests = source.at_a_time(Kind::Read) + destination.at_a_time(Kind::Write);
        (requests / 2).clamp(1, MOST)
    }

    async fn image(&self, Task { mut open, image, reason, mut ticket }: Task) {
        let _turn = match &self.newest {
            None => None,
            Some(newest) if ticket.is_some() => Some(newest.told(&open.key).await),
            Some(newest) => match newest.listed(&open.key).await {
                Some(turn) => Some(turn),
                // newer than what was listed is there
                None => return self.account.same(&open),
            },
        };
        let (tries, result) = {
            let tries = self.tries(&mut open, &image);
            AssertUnwindSafe(tries).catch_unwind().await.unwrap_or_else(|_| (1, Err(defect())))
        };
        let mut given_up = false;
        match result {
            Ok(done) if done.same => {
                self.record(&image, &done);
                self.account.same(&open);
            }
            Ok(Done { planned: Some(it), .. }) => self.account.planned(&open, it.bytes, it.requests, reason),
            Ok(done) => {
                self.record(&image, &done);
                let (source_etag, destination_etag) = (done.source.to_string(), done.destination.to_string());
                let (reason, verified) = (reason.to_owned(), VERIFIED.to_owned());
                self.account.copied(&open, open.size, tries, ItemOutcome::Copied { reason, verified, source_etag, destination_etag });
            }
            // not finished: it stays pending, and the next pass looks at it again
            Err(Unfinished::Stopped) => return,
            Err(Unfinished::Gone) => self.account.skipped(&open, "gone", true),
            Err(Unfinished::NotSelected) => self.account.skipped(&open, "not-selected", true),
            Err(Unfinished::Stale(error) | Unfinished::Failed(error)) => {
                if let Some(ticket) = ticket.take_if(|ticket| ticket.takes_back(&error)) {
                    self.account.withdraw(&open);
                    return ticket.tell(Told::Failed(error));
                }
                given_up = true;
                self.account.failed(&open, tries, failed(&error));
            }
        }
        if let Some(ticket) = ticket {
            ticket.tell(if given_up { Told::GivenUp } else { Told::Done });
        }
    }

    /// Tries it as often as that may help.
    async fn tries(&self, open: &mut Open, image: &Image) -> (u32, Result<Done, Unfinished>) {
        let retry = RetryPolicy::default();
        let (mut tries, mut doubts) = (1, 0);
        loop {
            let error = match self.once(open, image, doubts > 0).await {
                Err(Unfinished::Stale(error)) if doubts < DOUBTS => {
                    tracing::debug!(key = %open.key, code = %error.code, "the destination is asked again");
                    self.copier.memory.forget(&image.pair.to);
                    doubts += 1;
                    continue;
                }
                // bytes that are wrong have been read again already
                Err(Unfinished::Failed(error)) if tries < TRIES && error.is_retryable() && error.code != "DIGEST_MISMATCH" => error,
                result => return (tries, result),
            };
            let Some(wait) = retry.next_wait(tries, &error, rand::random()) else { return (tries, Err(error.into())) };
            tokio::select! {
                () = self.stop.cancelled() => return (tries, Err(Unfinished::Stopped)),
                () = sleep(wait) => tries += 1,
            }
        }
    }

    async fn once(&self, open: &mut Open, image: &Image, doubt: bool) -> Result<Done, Unfinished> {
        let reading = self.progress.fly(&open.key, 0);
        // boxed: what is large in it is only there while it is used
        let plan = Box::pin(self.copier.plan(image, doubt)).await?;
        // what arrived in an earlier try belongs to the image as well
        self.account.sized(open, plan.size.max(open.size));
        drop(reading);
        let mut done = Done { same: plan.is_done(), planned: None, source: plan.source_digest.clone(), destination: plan.digest().clone() };
        if let Some(claims) = self.plans.as_ref().filter(|_| !done.same) {
            done.planned = Some(Box::pin(self.copier.estimate(image, &plan, claims)).await?);
        } else if !done.same {
            if image.is_sent_unasked(doubt) {
                self.books.begun().await;
            }
            let flight = self.progress.fly(&open.key, open.size);
            Box::pin(self.copier.execute(image, &plan, &flight.item, doubt)).await?;
        }
        Ok(done)
    }

    /// Where platforms were left out, the digests differ: what became of which must be remembered.
    fn record(&self, image: &Image, done: &Done) {
        if done.source != done.destination {
            let name = filtered(&image.pair.to, image.tag.as_deref(), &self.copier.options.platforms);
            let pair = Recorded { source_etag: ETag::new(done.source.as_str()), destination_etag: ETag::new(done.destination.as_str()) };
            self.store.put_pair(self.uid, &name, &pair);
        }
    }
}

/// The copy of one image panicked; the others go on.
fn defect() -> Unfinished {
    let message = "the copy ended in a defect of dthd: its log says where";
    TransferError::new(FailureClass::Unknown, Side::Destination, "CopyImage", "Defect", message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(_: impl FnOnce(Arc<Inner>, Task) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_hundred_images_that_wait_take_little_memory() {
        let each = size_of_future(|work: Arc<Inner>, task: Task| async move { work.image(task).await });
        println!("{each} bytes per image");
        assert!(each <= 4 * 1024, "{each} bytes each");
    }
}
