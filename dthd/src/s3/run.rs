//! One run of an S3 task: list, compare, copy, verify; count, record, checkpoint.
//!
//! ```text
//!          ┌ range: list both ends, join, decide ┐
//! feed ────┤ range                               ├──> queue (bounded) ──> work (copies side by side) ──> account ──> store
//!          └ range …                             ┘
//! ```
//!
//! A run that is continued after a crash lists again what remains by its checkpoint; what it had already copied of that is recognised
//! by its records and neither copied nor counted twice. The same happens when a store turns out not to list in byte order: the pass
//! begins again with that side sorted on disk, in one range.

mod archives;
mod compare;
mod delete;
mod ends;
mod estimate;
mod events;
mod explain;
mod failures;
mod feed;
mod guard;
mod range;
mod records;
mod removal;
mod rules;
mod versions;
mod work;

use std::sync::Arc;

use dth_proto::{
    event::Level,
    failure::Side,
    spec::{Compare, S3Job, Versions},
    view::RunOutcome,
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

pub(super) use self::ends::customer_key;
pub use self::{compare::compare, ends::abort_uploads, explain::explain};
use self::{
    delete::Deletes,
    ends::Ends,
    failures::{Failures, Which},
    feed::{End, Feed},
    rules::Rules,
    versions::{Keys, VersionFeed},
    work::Work,
};
use crate::{
    clock,
    events::consumer::Consuming,
    s3::{list::ListPages, prefix::Selection, version::as_of::AsOf},
    store::{RunKind, RunRecord},
    transfer::{
        account::Account,
        checkpoint::Checkpoint,
        pass::{self, Pass, until_told},
        run::{RunEnd, RunInput},
        told_to_stop,
        turns::Turns,
        window::Kind,
        workers::Queues,
    },
};

/// Decided objects that may wait for a worker. Lets the listing run ahead, so that totals are known early; costs about 300 bytes
/// each.
const QUEUE: usize = 10_000;
/// The same for objects that events tell of; each costs whoever told of it nothing but waiting.
const URGENT: usize = 64;

/// How one pass over the listing ended.
type PassEnd = pass::PassEnd<Otherwise>;

/// How else than any other.
enum Otherwise {
    /// A store does not list in byte order: begin again.
    Unordered(Side),
    /// Everything is copied, and nothing deleted, because it would have been too much.
    Guarded(String),
}

/// Works until everything is done or `stop` says otherwise; gives back the record with its last checkpoint.
pub async fn run(mut input: RunInput, mut job: S3Job) -> (RunRecord, RunEnd) {
    if input.record.kind == RunKind::Verify && job.options.compare == Compare::Always {
        // what is always copied may be equal nevertheless
        job.options.compare = Compare::Auto;
    }
    let began = Instant::now();
    let account = input.account();
    let end = match Ends::open(&input, &job).await {
        Ok(mut ends) => {
            let end = match ends.keep_versions(&job).await {
                Ok(()) => select(&mut input, &job, &ends, &account).await,
                Err(why) => Err(PassEnd::Failed(why)),
            };
            let end = match end {
                Ok(selection) => passes(&mut input, &job, &selection, &mut ends, &account).await,
                Err(end) => end,
            };
            let end = finish(&input, &ends, end).await;
            if !matches!(end, RunEnd::Suspended)
                && let Some(waits) = ends.archives.settle(input.record.kind == RunKind::Restore).await
            {
                input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), waits);
            }
            end
        }
        Err(why) => RunEnd::Finished(RunOutcome::Failed, Some(why)),
    };
    (input.closed(&account, began.elapsed()), end)
}

/// Reads and sorts the prefixes of the run. A run that is continued begins again when its list has become another: what is finished was
/// finished by the other list.
async fn select(input: &mut RunInput, job: &S3Job, ends: &Ends, account: &Account) -> Result<Selection, PassEnd> {
    let selection = tokio::select! {
        selection = Selection::open(job, &ends.sort, ends.list.as_ref()) => selection.map_err(PassEnd::Failed)?,
        () = told_to_stop(&mut input.stop) => return Err(PassEnd::Stopped),
    };
    if let Some(many) = selection.many() {
        let now = (input.record.run, many.digest());
        let before = input.store.prefixes(input.uid).map_err(|e| PassEnd::Failed(e.to_string()))?;
        if before.is_some_and(|before| before.0 == now.0 && before.1 != now.1) {
            let message = "the prefix list has changed since the run began: it begins again".to_owned();
            input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), message);
            account.forget_planned().await.map_err(|e| PassEnd::Failed(e.to_string()))?;
            account.restart();
        }
        input.store.put_prefixes(input.uid, now);
    }
    Ok(selection)
}

async fn passes(input: &mut RunInput, job: &S3Job, selection: &Selection, ends: &mut Ends, account: &Arc<Account>) -> PassEnd {
    loop {
        let end = pass(input, job, selection, ends, account).await;
        let side = match end {
            PassEnd::Complete if job.mirrors() => return Deletes::new(input, account, ends, selection.map()).run(job).await,
            PassEnd::Other(Otherwise::Unordered(side)) => side,
            end => return end,
        };
        if !ends.sort(side) {
            return PassEnd::Failed(format!("the {} listing is not in byte order even after sorting", side.word()));
        }
        let message = format!("the {} does not list in byte order: its listing is sorted on disk from now on", side.word());
        input.events.push(Level::Info, Some((&input.name, Some(input.record.run))), message);
        ends.remember_order(&input.store, side);
        // all records must be readable before the pass asks which objects are done
        if let Err(error) = account.forget_planned().await {
            return PassEnd::Failed(error.to_string());
        }
        account.restart();
    }
}

async fn pass(input: &mut RunInput, job: &S3Job, selection: &Selection, ends: &Ends, account: &Arc<Account>) -> PassEnd {
    let books = Checkpoint::new(input, account);
    let (urgent, urgent_jobs) = mpsc::channel(URGENT);
    let turns: Arc<Turns> = Arc::default();
    let consuming = match consume(input, (job, selection), ends, account, (urgent, &turns), &books).await {
        Ok(consuming) => consuming,
        Err(why) => return PassEnd::Failed(why),
    };
    let (stop_listing, stop_working) = (CancellationToken::new(), CancellationToken::new());
    let (tell, found) = mpsc::channel(1);
    let work = Work::new(input, ends, account, tell, stop_working.clone(), consuming.is_some().then_some(turns));
    let (listing, working) = match begin(input, (job, selection), ends, account, (work, urgent_jobs), stop_listing.clone()) {
        Ok(begun) => begun,
        Err(why) => return PassEnd::Failed(why),
    };
    Pass { listing, working, consuming, found, stop_listing, stop_working }.run(input, &books).await
}

/// Begins to consume the task's events, if it has some and the run may write.
async fn consume(
    input: &RunInput,
    (job, selection): (&S3Job, &Selection),
    ends: &Ends,
    account: &Arc<Account>,
    (urgent, turns): (mpsc::Sender<feed::Task>, &Arc<Turns>),
    books: &Arc<Checkpoint>,
) -> Result<Option<Consuming>, String> {
    // events bring the latest version only; the rules of a definition say so
    let Some(from) = input.events_to_apply().filter(|_| job.options.versions == Versions::Latest) else { return Ok(None) };
    let rules = rules(input, (job, selection), ends, account)?;
    let consumer = events::consumer(input, (from, job, selection), ends, rules, (urgent, turns), books).await?;
    Ok(Some(Consuming::begin(consumer)))
}

/// Begins to list, and to work on what is listed.
fn begin(
    input: &RunInput,
    (job, selection): (&S3Job, &Selection),
    ends: &Ends,
    account: &Arc<Account>,
    (work, urgent): (Work, mpsc::Receiver<feed::Task>),
    stop: CancellationToken,
) -> Result<(JoinHandle<PassEnd>, JoinHandle<()>), String> {
    let limit = input.resources.config().limits.objects.max(1) as usize;
    if job.options.versions == Versions::Latest {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let listing = feed(input, (job, selection), ends, account, queue, stop)?;
        return Ok((listing, tokio::spawn(work.run(Queues { listed: jobs, urgent }, limit))));
    }
    let keys = match input.record.kind {
        RunKind::Retry { of, class } => Keys::Of(Which::Failed(of, class)),
        RunKind::Restore => Keys::Of(Which::Restoring),
        RunKind::Full | RunKind::Plan | RunKind::Verify | RunKind::Events => Keys::All,
    };
    let rules = rules(input, (job, selection), ends, account)?;
    let (queue, jobs) = mpsc::channel(QUEUE);
    let feed = VersionFeed::new(input.uid, keys, &input.store, ends, selection, rules, queue);
    Ok((tokio::spawn(feed.run(stop)), tokio::spawn(work.run_keys(jobs, limit))))
}

fn rules(input: &RunInput, (job, selection): (&S3Job, &Selection), ends: &Ends, account: &Arc<Account>) -> Result<Rules, String> {
    let since = input.record.started.unwrap_or_else(clock::now);
    Rules::new(input.uid, &input.store, account, job, selection, ends.rules, since)
}

/// Begins to list what remains: everything the task selects, the failed items of an earlier run, or what is being restored.
fn feed(
    input: &RunInput,
    (job, selection): (&S3Job, &Selection),
    ends: &Ends,
    account: &Arc<Account>,
    queue: mpsc::Sender<feed::Task>,
    stop: CancellationToken,
) -> Result<JoinHandle<PassEnd>, String> {
    if input.record.kind == RunKind::Events {
        account.listing_done();
        return Ok(tokio::spawn(until_told(queue, input.stop.clone(), stop)));
    }
    let rules = rules(input, (job, selection), ends, account)?;
    let which = match input.record.kind {
        RunKind::Retry { of, class } => Some(Which::Failed(of, class)),
        RunKind::Restore => Some(Which::Restoring),
        RunKind::Full | RunKind::Plan | RunKind::Verify | RunKind::Events => None,
    };
    Ok(match (which, job.options.as_of) {
        (Some(which), as_of) => {
            let failures = Failures::new(input, (which, as_of), ends, rules, queue);
            tokio::spawn(failures.run(stop))
        }
        (None, Some(at)) => all(input, selection, ends, AsOf { bucket: ends.source.clone(), at }, rules, queue, stop),
        (None, None) => all(input, selection, ends, ends.source.clone(), rules, queue, stop),
    })
}

/// Begins to list everything the task selects.
fn all(
    input: &RunInput,
    selection: &Selection,
    ends: &Ends,
    listed: impl ListPages,
    rules: Rules,
    queue: mpsc::Sender<feed::Task>,
    stop: CancellationToken,
) -> JoinHandle<PassEnd> {
    let source = End { bucket: Arc::new(listed), order: ends.source_order };
    let destination = End { bucket: Arc::new(ends.destination.clone()), order: ends.destination_order };
    let (left, right) = (ends.source.clone(), ends.destination.clone());
    // a page of each end is asked for at a time; the end that takes fewer decides
    let slots = Box::new(move || left.at_a_time(Kind::List).min(right.at_a_time(Kind::List)));
    let sort = ends.sort.clone();
    let run = (input.uid, input.record.run);
    let feed = Feed::new(run, &input.store, (source, destination), (selection, rules), sort, queue, slots);
    tokio::spawn(feed.run(stop))
}

/// From the end of the last pass to the end of the run. Uploads that no run will continue are aborted.
async fn finish(input: &RunInput, ends: &Ends, end: PassEnd) -> RunEnd {
    let end = end.of_run(input, |other| match other {
        Otherwise::Guarded(why) => RunEnd::Finished(RunOutcome::Incomplete, Some(why)),
        Otherwise::Unordered(side) => RunEnd::Finished(RunOutcome::Failed, Some(format!("the {} is out of order", side.word()))),
    });
    if input.gives_up_uploads(&end)
        && let Err(error) = ends.abort_uploads().await
    {
        let message = format!("multipart uploads may be left behind: {error}");
        input.events.push(Level::Warn, Some((&input.name, Some(input.record.run))), message);
    }
    end
}
