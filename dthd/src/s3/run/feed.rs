//! Both listings of a run, range by range side by side: who is listed, who splits, and when all is listed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Otherwise, PassEnd,
    range::{Event, Range, RangeEnd, RangeError, Shared},
    rules::Rules,
};
use crate::{
    s3::{
        compare::CopyReason,
        list::{ListError, ListPages},
        object::Entry,
        prefix::{Place, Selection},
        provider::ByteOrder,
        range::{sample::Sample, schedule::Scheduler, split::Trust},
        sorted::SortSettings,
    },
    store::Store,
    transfer::{account::Open, ticket::Ticket, watermark::Span},
};

/// Cuts of a listing of many prefixes that was never read before.
const FIRST_CUTS: usize = 32;

/// An object that must be copied.
#[derive(Debug)]
pub(super) struct Task {
    /// Its entry in the books.
    pub(super) open: Open,
    /// The generation that was compared.
    pub(super) entry: Entry,
    /// Where it goes.
    pub(super) destination_key: String,
    /// Why.
    pub(super) reason: CopyReason,
    /// The destination's listing lacked it, and is not known to be in byte order: ask before copying.
    pub(super) ask_first: bool,
    /// Of an object that an event told of.
    pub(super) ticket: Option<Ticket>,
}

/// How many ranges may be listed at once; asked again and again.
pub(super) type Slots = Box<dyn Fn() -> usize + Send + Sync>;

/// One end of a pass.
pub(super) struct End<B> {
    pub(super) bucket: Arc<B>,
    pub(super) order: ByteOrder,
}

/// See the module.
pub(super) struct Feed<S, D> {
    uid: u64,
    shared: Arc<Shared<S, D>>,
    slots: Slots,
    events: mpsc::UnboundedReceiver<Event>,
    scheduler: Scheduler,
    /// Of ranges that are listed: how to ask them to split.
    asks: BTreeMap<Span, mpsc::Sender<usize>>,
    running: JoinSet<Result<RangeEnd, RangeError>>,
    /// Of a listing that is read from its beginning.
    sample: Option<Sample>,
}

impl<S: ListPages, D: ListPages> Feed<S, D> {
    /// What remains of the run with this uid and number, of what is selected.
    pub(super) fn new(
        (uid, run): (u64, u32),
        store: &Store,
        (source, destination): (End<S>, End<D>),
        (selection, rules): (&Selection, Rules),
        sort: SortSettings,
        queue: mpsc::Sender<Task>,
        slots: Slots,
    ) -> Self {
        let sorted = source.order == ByteOrder::No || destination.order == ByteOrder::No;
        let account = Arc::clone(&rules.account);
        if sorted && account.pieces().len() > 1 {
            // each range would sort the whole listing
            account.restart();
        }
        let continued = account.is_continued();
        let (tell, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            source: source.bucket,
            destination: destination.bucket,
            source_order: source.order,
            destination_order: destination.order,
            sort,
            prefix: selection.prefix().to_owned(),
            places: selection.many().map(|many| [Place::source(many), Place::destination(many, selection.map())]),
            rules,
            store: store.clone(),
            continued: continued.then_some((uid, run)),
            queue,
            events: tell,
            alphabet: Mutex::default(),
            proven: AtomicBool::new(false),
            had_keys: OnceLock::new(),
        });
        let mut scheduler = Scheduler::default();
        let mut pieces = account.pieces();
        let from_the_beginning = matches!(&pieces[..], [whole] if whole.part.after.is_none() && whole.part.until.is_none());
        if from_the_beginning && !sorted {
            // wrong or stale ones cost a request each
            let trust = if source.order == ByteOrder::Yes { Trust::Bytes } else { Trust::Unknown };
            let mut cuts = store.cuts(uid).unwrap_or_default();
            if let Some(many) = selection.many().filter(|_| cuts.is_empty()) {
                cuts = many.sample(FIRST_CUTS);
            }
            cuts.retain(|cut| trust.allows(selection.prefix(), cut));
            pieces.extend(account.split(pieces[0].span, &cuts));
            if let Some(first) = cuts.into_iter().next() {
                pieces[0].part.until = Some(first);
            }
        }
        scheduler.add(pieces);
        Self {
            uid,
            shared,
            slots: if sorted { Box::new(|| 1) } else { slots },
            events,
            scheduler,
            asks: BTreeMap::new(),
            running: JoinSet::new(),
            sample: (from_the_beginning && !sorted).then(Sample::default),
        }
    }

    /// Lists everything, or until it is told to stop. Nothing is listed any more when this returns.
    pub(super) async fn run(mut self, stop: CancellationToken) -> PassEnd {
        let end = tokio::select! {
            () = stop.cancelled() => PassEnd::Stopped,
            end = self.all() => end,
        };
        self.running.shutdown().await;
        if matches!(end, PassEnd::Complete) {
            if let Some(sample) = self.sample {
                self.shared.store.put_cuts(self.uid, &sample.cuts());
            }
            self.shared.rules.account.listing_done();
        }
        end
    }

    async fn all(&mut self) -> PassEnd {
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
            self.schedule();
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.take(event),
                ended = self.running.join_next() => match ended {
                    Some(ended) => {
                        // what it said before is older
                        while let Ok(event) = self.events.try_recv() {
                            self.take(event);
                        }
                        if let Some(end) = self.ended(ended) {
                            return end;
                        }
                    }
                    None => return PassEnd::Complete,
                },
            }
        }
    }

    fn schedule(&mut self) {
        let slots = (self.slots)();
        while let Some(piece) = self.scheduler.start(slots) {
            let (ask, asks) = mpsc::channel(1);
            self.asks.insert(piece.span, ask);
            self.running.spawn(Range::new(&self.shared, piece, asks).run());
        }
        // nobody can take more copies: then listing is not what takes time
        if self.shared.queue.capacity() == 0 {
            return;
        }
        while let Some((span, count)) = self.scheduler.ask(slots, self.shared.rules.account.spans()) {
            let asked = self.asks.get(&span).is_some_and(|ask| ask.try_send(count).is_ok());
            if !asked {
                self.scheduler.split(span, Vec::new());
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Waits { span, keys, last, width } => {
                self.scheduler.waits(span, keys, width);
                if let Some(sample) = &mut self.sample {
                    sample.page(&last);
                }
            }
            Event::Split { span, pieces } => self.scheduler.split(span, pieces),
        }
    }

    fn ended(&mut self, ended: Result<Result<RangeEnd, RangeError>, JoinError>) -> Option<PassEnd> {
        match ended {
            Ok(Ok(RangeEnd::Listed { span, keys })) => {
                self.asks.remove(&span);
                self.scheduler.ended(span, keys);
                None
            }
            Ok(Ok(RangeEnd::Stopped)) => Some(PassEnd::Stopped),
            Ok(Err(RangeError::List(ListError::Unordered { side, .. }))) => Some(PassEnd::Other(Otherwise::Unordered(side))),
            Ok(Err(error)) => Some(PassEnd::Failed(error.to_string())),
            Err(defect) => Some(PassEnd::Failed(format!("the listing ended in a defect: {defect}"))),
        }
    }
}
