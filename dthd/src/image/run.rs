//! One run of an image task: list, compare by digest, copy; count, record, checkpoint.
//!
//! ```text
//!          ┌ repository: list both ends, compare ┐
//! feed ────┤ repository                          ├──> queue (bounded) ──> work (images side by side) ──> account ──> store
//!          └ repository …                        ┘
//! ```
//!
//! Repositories are looked at side by side and entered into the books in the order of their images' keys. A run that is continued looks
//! again at what remains by its checkpoint; what it had already copied of that is recognised by its records and its digests.

mod ends;
mod events;
mod explain;
mod feed;
mod look;
mod work;

use std::sync::Arc;

use dth_proto::{event::Level, spec::ImageJob};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

pub use self::explain::explain;
use self::{ends::Ends, feed::Feed, work::Work};
use crate::{
    events::consumer::Consuming,
    store::{RunKind, RunRecord, Store, blob::BlobUploads},
    transfer::{
        account::Account,
        checkpoint::Checkpoint,
        pass::{Pass, PassEnd, until_told},
        run::{RunEnd, RunInput},
        told_to_stop,
        workers::Queues,
    },
};

/// Compared images that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 400 bytes each.
const QUEUE: usize = 10_000;
/// The same for images that events tell of.
const URGENT: usize = 64;

/// Works until everything is done or `stop` says otherwise; gives back the record with its last checkpoint.
pub async fn run(mut input: RunInput, job: ImageJob) -> (RunRecord, RunEnd) {
    let began = Instant::now();
    let account = input.account();
    if !input.record.kind.writes() && input.record.remaining.is_some() {
        // which blobs are counted already is known to the process that counted them
        account.restart();
    }
    let stop = CancellationToken::new();
    let mut told = input.stop.clone();
    let opened = tokio::select! {
        opened = Ends::open(&input, &job, &account, &stop) => Some(opened),
        () = told_to_stop(&mut told) => None,
    };
    let end = match opened {
        Some(Ok(ends)) => pass(&mut input, &job, ends, &account, stop).await,
        Some(Err(why)) => PassEnd::Failed(why),
        None => PassEnd::Stopped,
    };
    let end = finish(&input, end).await;
    (input.closed(&account, began.elapsed()), end)
}

async fn pass(input: &mut RunInput, job: &ImageJob, ends: Ends, account: &Arc<Account>, stop: CancellationToken) -> PassEnd {
    let books = Checkpoint::new(input, account);
    let (queue, tasks) = mpsc::channel(QUEUE);
    let limit = input.resources.config().limits.objects.max(1) as usize;
    let Ends { look, copier } = ends;
    let look = Arc::new(look);
    let (urgent, urgent_tasks) = mpsc::channel(URGENT);
    let consuming = match events::consumer(input, job, (&look, account), urgent, &books).await {
        Ok(consumer) => consumer.map(Consuming::begin),
        Err(why) => return PassEnd::Failed(why),
    };
    let newest = consuming.is_some().then(Arc::default);
    let work = Work::new(input, copier, (account, &books), stop.clone(), newest);
    let listing = match input.record.kind {
        RunKind::Events => {
            account.listing_done();
            tokio::spawn(until_told(queue, input.stop.clone(), stop.clone()))
        }
        _ => tokio::spawn(Feed::new(input, look, account, queue).run(stop.clone())),
    };
    let working = tokio::spawn(work.run(Queues { listed: tasks, urgent: urgent_tasks }, limit));
    // nothing that is found about an image is about the others
    let (_, found) = mpsc::channel(1);
    Pass { listing, working, consuming, found, stop_listing: stop.clone(), stop_working: stop }.run(input, &books).await
}

/// From the end of the pass to the end of the run. Uploads that no run will continue are forgotten.
async fn finish(input: &RunInput, end: PassEnd) -> RunEnd {
    let end = end.of_run(input, |never| match never {});
    if input.gives_up_uploads(&end)
        && let Err(why) = forget_uploads(&input.store, input.uid).await
    {
        input.events.push(Level::Warn, Some((&input.name, Some(input.record.run))), why);
    }
    end
}

/// Forgets the uploads that nobody will go on with; registries forget them by themselves.
///
/// # Errors
/// When the state cannot be written.
pub async fn forget_uploads(store: &Store, uid: u64) -> Result<(), String> {
    BlobUploads::of(store, uid).clear().await.map_err(|e| e.to_string())
}
