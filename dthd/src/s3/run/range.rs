//! One range of a run: both ends listed over the same keys, joined, decided, entered into the books; and split when asked to.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dth_proto::failure::Side;
use futures::FutureExt;
use tokio::sync::mpsc;

use super::{feed::Task, records::Records, rules::Rules};
use crate::{
    s3::{
        compare::CopyReason,
        join::{Join, Met, Pair},
        list::{ListError, ListPages},
        prefix::Place,
        provider::ByteOrder,
        range::{
            alphabet::Alphabet,
            split::{Rest, Trust, Width, common},
        },
        sorted::SortSettings,
        stream::{Bound, EntryStream, Range as Keys},
    },
    store::{Store, StoreError},
    transfer::{
        account::Open,
        watermark::{Block, Piece, Span},
    },
};

/// Objects to copy that are gathered before they are entered and handed over.
const GATHERED: usize = 64;
/// Of so many keys one is looked at for its characters.
const LOOKED_AT: u64 = 64;

/// What the ranges of one pass share.
pub(super) struct Shared<S, D> {
    pub(super) source: Arc<S>,
    pub(super) destination: Arc<D>,
    pub(super) source_order: ByteOrder,
    pub(super) destination_order: ByteOrder,
    pub(super) sort: SortSettings,
    pub(super) prefix: String,
    /// Of many prefixes: those of the source, and where their keys go.
    pub(super) places: Option<[Place; 2]>,
    pub(super) rules: Rules,
    pub(super) store: Store,
    /// Uid and number of the run, where earlier passes may have left records.
    pub(super) continued: Option<(u64, u32)>,
    pub(super) queue: mpsc::Sender<Task>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// The characters of the source's keys.
    pub(super) alphabet: Mutex<Alphabet>,
    /// A source of unknown order has shown that it is not that of directories.
    pub(super) proven: AtomicBool,
    /// Whether the destination had anything when the pass began; a destination that had nothing cannot hide anything.
    pub(super) had_keys: OnceLock<bool>,
}

/// What a range tells whoever schedules.
pub(super) enum Event {
    /// It has read so many more keys, up to `last`, and waits for the next page.
    Waits { span: Span, keys: u64, last: String, width: Option<Width> },
    /// It was asked to split, and these are the new ranges.
    Split { span: Span, pieces: Vec<Piece> },
}

/// How a range ended.
pub(super) enum RangeEnd {
    /// Everything in it is entered; keys since the last [`Event::Waits`].
    Listed { span: Span, keys: u64 },
    /// Nobody takes what is to be copied.
    Stopped,
}

/// Why a range failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangeError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module.
pub(super) struct Range<S, D> {
    shared: Arc<Shared<S, D>>,
    after: Option<String>,
    until: Option<String>,
    /// The same for those who list.
    bounds: [Bound; 2],
    block: Block,
    records: Option<Records>,
    asks: mpsc::Receiver<usize>,
    /// What was not merged yet.
    seen: Alphabet,
    window: Window,
    /// Keys since whoever schedules was last told.
    keys: u64,
    /// The last key of the block is of an object that only the destination has.
    passed: bool,
}

/// The keys of about one page, for the scale at which cuts make sense.
#[derive(Default)]
struct Window {
    first: String,
    keys: u64,
    page: u64,
    scale: usize,
}

impl Window {
    fn key(&mut self, key: &str) {
        if self.keys == 0 {
            self.first.clear();
            self.first.push_str(key);
        }
        self.keys += 1;
    }

    /// A page, or a part of it, is at its end.
    fn page(&mut self, keys: u64, last: &str) {
        self.page = self.page.max(keys);
        if self.keys * 2 >= self.page {
            self.scale = common(&self.first, last);
            self.keys = 0;
        }
    }
}

impl<S: ListPages, D: ListPages> Range<S, D> {
    pub(super) fn new(shared: &Arc<Shared<S, D>>, piece: Piece, asks: mpsc::Receiver<usize>) -> Self {
        let Piece { span, part } = piece;
        let there = part.until.as_deref().map(|key| shared.rules.map.map_any(key));
        Self {
            records: shared.continued.map(|(uid, run)| Records::new(&shared.store, uid, run, part.after.clone())),
            bounds: [Bound::at(part.until.as_deref()), Bound::at(there.as_deref())],
            after: part.after,
            until: part.until,
            block: Block::new(span),
            asks,
            seen: Alphabet::default(),
            window: Window::default(),
            keys: 0,
            passed: false,
            shared: Arc::clone(shared),
        }
    }

    /// Lists to the range's end, wherever that is by then.
    pub(super) async fn run(mut self) -> Result<RangeEnd, RangeError> {
        let shared = Arc::clone(&self.shared);
        let is_whole = self.after.is_none() && self.until.is_none();
        let mut join = self.join()?;
        let mut tasks = Vec::new();
        loop {
            // records are written behind, but memory stays bounded
            shared.store.writer().room().await?;
            if !self.fill(&mut join).await? {
                break;
            }
            // the first thing a pass does is list everything; if not, what lies outside of the range is not known
            let had_keys = *shared.had_keys.get_or_init(|| !is_whole || join.destination_has_keys());
            let mut behind = false;
            while tasks.len() < GATHERED
                && let Some(met) = join.next()
            {
                let is_behind = |key: &str| self.until.as_deref().is_some_and(|until| key > until);
                match met {
                    Met::Pair(pair) if is_behind(pair.source.key) => behind = true,
                    Met::Pair(pair) => tasks.extend(self.pair(pair, had_keys)),
                    Met::Extra(extra) => match shared.rules.map.unmap(extra.key) {
                        Some(key) if is_behind(&key) => behind = true,
                        Some(key) => self.extra(&key, extra.size),
                        // no source key can go there
                        None => {}
                    },
                }
                if behind {
                    break;
                }
            }
            shared.rules.account.enter(&mut self.block);
            for task in tasks.drain(..) {
                if shared.queue.send(task).await.is_err() {
                    return Ok(RangeEnd::Stopped);
                }
            }
            if behind || self.until.as_deref() == Some(self.block.last()) {
                break;
            }
        }
        let span = self.block.span();
        shared.rules.account.listed(span);
        Ok(RangeEnd::Listed { span, keys: self.keys })
    }

    fn join(&self) -> Result<Join, ListError> {
        let Shared { source, destination, source_order, destination_order, sort, prefix, places, rules, .. } = &*self.shared;
        let keys = Keys { prefix: prefix.clone(), after: self.after.clone(), until: self.bounds[0].clone() };
        let there = Keys {
            prefix: rules.map.destination_prefix(prefix),
            after: self.after.as_deref().map(|key| rules.map.start_after(key)),
            until: self.bounds[1].clone(),
        };
        let (source, destination) = (Arc::clone(source), Arc::clone(destination));
        let (source, destination) = match places {
            None => (
                EntryStream::open(source, Side::Source, keys, *source_order, sort.clone()),
                EntryStream::open(destination, Side::Destination, there, *destination_order, sort.clone()),
            ),
            Some([from, to]) => (
                EntryStream::within(from, source, Side::Source, keys, *source_order, sort.clone())?,
                EntryStream::within(to, destination, Side::Destination, there, *destination_order, sort.clone())?,
            ),
        };
        let join = Join::new(source, destination, &rules.map, prefix);
        Ok(if rules.mirrors { join.with_extras() } else { join })
    }

    /// Waits for more of both listings; `false` at the end of the source's. Meanwhile the range can be split.
    async fn fill(&mut self, join: &mut Join) -> Result<bool, ListError> {
        let mut filled = pin!(join.fill());
        if let Some(result) = filled.as_mut().now_or_never() {
            return result;
        }
        self.tell();
        loop {
            tokio::select! {
                biased;
                result = &mut filled => return result,
                Some(count) = self.asks.recv() => self.split(count),
            }
        }
    }

    fn tell(&mut self) {
        if self.keys > 0 {
            self.window.page(self.keys, self.block.last());
            let seen = std::mem::take(&mut self.seen);
            let width = {
                let mut alphabet = self.alphabet();
                alphabet.merge(&seen);
                self.rest().width(&alphabet, self.trust())
            };
            let (span, last) = (self.block.span(), self.block.last().to_owned());
            let keys = std::mem::take(&mut self.keys);
            // whoever schedules is gone: then the range is as well, in a moment
            let _ = self.shared.events.send(Event::Waits { span, keys, last, width });
        }
    }

    fn split(&mut self, count: usize) {
        let cuts = self.rest().cuts(&self.alphabet(), self.trust(), count);
        let pieces = self.shared.rules.account.split(self.block.span(), &cuts);
        if let Some(first) = cuts.into_iter().next() {
            // the source's first: behind the destination's end nothing is known of it
            self.bounds[0].set(Some(&first));
            self.bounds[1].set(Some(&self.shared.rules.map.map_any(&first)));
            self.until = Some(first);
        }
        let _ = self.shared.events.send(Event::Split { span: self.block.span(), pieces });
    }

    fn rest(&self) -> Rest<'_> {
        let (prefix, after) = (self.shared.prefix.as_str(), self.block.last());
        Rest { prefix, after, until: self.until.as_deref(), scale: self.window.scale }
    }

    /// It only grows: it is whole also when a holder panicked.
    fn alphabet(&self) -> MutexGuard<'_, Alphabet> {
        self.shared.alphabet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trust(&self) -> Trust {
        match self.shared.source_order {
            ByteOrder::Yes => Trust::Bytes,
            _ if self.shared.proven.load(Ordering::Relaxed) => Trust::Bytes,
            _ => Trust::Unknown,
        }
    }

    fn pair(&mut self, pair: Pair<'_>, had_keys: bool) -> Option<Task> {
        let Pair { source, destination } = pair;
        let shared = &self.shared;
        // an extra's key says nothing of the source's order
        let before = if std::mem::take(&mut self.passed) { "" } else { self.block.last() };
        if shared.source_order == ByteOrder::Unknown && Trust::is_proven_by(before, source.key) {
            shared.proven.store(true, Ordering::Relaxed);
        }
        if self.keys.is_multiple_of(LOOKED_AT) {
            self.seen.see(source.key.strip_prefix(&shared.prefix).unwrap_or(source.key));
        }
        self.window.key(source.key);
        self.keys += 1;
        let reason = shared.rules.decide(&mut self.block, source, destination, self.records.as_mut());
        let task = reason.map(|reason| Task {
            open: Open::new(&mut self.block, source.key, source.size),
            entry: source.to_entry(),
            destination_key: shared.rules.map.map_any(source.key),
            reason,
            ask_first: had_keys && reason == CopyReason::Missing && shared.destination_order == ByteOrder::Unknown,
            ticket: None,
        });
        if shared.rules.mirrors && destination.is_some() {
            self.block.passed(source.key, |tally| tally.there += 1);
        }
        task
    }

    /// Only the destination has an object, where this source key would go.
    fn extra(&mut self, key: &str, size: u64) {
        self.passed = true;
        self.shared.rules.extra(&mut self.block, key, size);
    }
}
