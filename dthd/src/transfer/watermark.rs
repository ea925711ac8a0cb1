//! How far a listing is done, part by part, without a gap.
//!
//! A listing is read in spans that are split while they are read. In each, items are listed in key order and finish in any order. The
//! books keep per span the last key up to which everything in it is finished; what remains of all spans, with the counts of everything
//! outside, is a checkpoint from which a restart continues without losing or counting anything twice.
//!
//! Finished neighbours are merged, so memory grows with the items that are not finished, never with the run.

mod block;

use std::collections::BTreeMap;

use self::block::Step;
pub use self::block::{Block, Entered};
use crate::store::record::{Remaining, Tally};

/// A part of the listing in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// Items outside of any listing: each is finished by itself, and none of them is part of what remains.
    pub const OUTSIDE: Self = Self(u64::MAX);
}

/// Place of an item: its span, and its place in the order of the span's listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seq {
    span: Span,
    place: u64,
}

/// A span and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name in the books.
    pub span: Span,
    /// Its keys.
    pub part: Remaining,
}

enum Segment {
    /// One item that is not finished; its key.
    Open(String),
    /// One or more finished neighbours: last key, and their counts.
    Done { last: String, tally: Box<Tally> },
}

/// One span: what remains of it, and what of that is known.
struct Books {
    part: Remaining,
    segments: BTreeMap<u64, Segment>,
    /// All of it has been listed.
    listed: bool,
}

/// See the module.
pub struct Watermark {
    spans: BTreeMap<Span, Books>,
    next: u64,
    tally: Tally,
    /// Of `tally`, what came from outside of the listing since this was made.
    outside: Tally,
}

impl Watermark {
    /// Continues from a checkpoint; `None`: from the beginning.
    #[must_use]
    pub fn new(remaining: Option<&[Remaining]>, tally: Tally) -> Self {
        let mut mark = Self { spans: BTreeMap::new(), next: 0, tally, outside: Tally::default() };
        for part in remaining.unwrap_or(&[Remaining::default()]) {
            mark.add(part.clone());
        }
        mark
    }

    /// Begins again at the first key with nothing counted but what came from outside. Spans and places from before mean nothing any more.
    /// Gives back what is counted.
    pub fn restart(&mut self) -> Tally {
        self.spans.clear();
        self.tally = self.outside.clone();
        self.add(Remaining::default());
        self.tally.clone()
    }

    /// What is still to be listed or finished, in key order.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = self.spans.iter().map(|(span, books)| Piece { span: *span, part: books.part.clone() }).collect();
        pieces.sort_by(|a, b| a.part.after.cmp(&b.part.after));
        pieces
    }

    /// Enters what was listed, and empties the block. Blocks of one span are entered by whoever lists it, in key order.
    pub fn enter(&mut self, block: &mut Block) -> Entered {
        let (steps, entered) = block.take();
        if block.span() == Span::OUTSIDE {
            for step in steps {
                if let Step::Finished { tally, .. } = step {
                    self.add_outside(&tally);
                }
            }
            return entered;
        }
        let Some(books) = self.spans.get_mut(&block.span()) else {
            return Entered::default();
        };
        for step in steps {
            match step {
                Step::Open { place, key } => drop(books.segments.insert(place, Segment::Open(key))),
                Step::Finished { place, last, tally } => books.finished(place, last, tally, &mut self.tally),
            }
        }
        entered
    }

    /// An open item is finished; `tally` holds its counts, listing included.
    pub fn done(&mut self, seq: Seq, tally: Tally) {
        if seq.span == Span::OUTSIDE {
            self.add_outside(&tally);
            return;
        }
        if let Some(books) = self.spans.get_mut(&seq.span) {
            books.done(seq.place, tally, &mut self.tally);
            self.forget_finished(seq.span);
        }
    }

    /// Cuts a span behind each of these keys, which come in order, behind everything that was listed of it, and before its end. The
    /// span keeps its first piece; the others are given back.
    pub fn split(&mut self, span: Span, at: &[String]) -> Vec<Piece> {
        let Some(books) = self.spans.get_mut(&span) else { return Vec::new() };
        let Some(first) = at.first() else { return Vec::new() };
        let end = books.part.until.replace(first.clone());
        let ends = at.iter().skip(1).cloned().map(Some).chain([end]);
        let parts: Vec<Remaining> = at.iter().cloned().map(Some).zip(ends).map(|(after, until)| Remaining { after, until }).collect();
        parts.into_iter().map(|part| Piece { span: self.add(part.clone()), part }).collect()
    }

    /// Everything of a span has been listed.
    pub fn listed(&mut self, span: Span) {
        if let Some(books) = self.spans.get_mut(&span) {
            books.listed = true;
            self.forget_finished(span);
        }
    }

    /// What remains, in key order, and the counts of everything else.
    #[must_use]
    pub fn checkpoint(&self) -> (Vec<Remaining>, &Tally) {
        (self.pieces().into_iter().map(|piece| piece.part).collect(), &self.tally)
    }

    /// Spans that are not finished.
    #[must_use]
    pub fn spans(&self) -> usize {
        self.spans.len()
    }

    /// How much memory this takes, in segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.spans.values().map(|books| books.segments.len()).sum()
    }

    /// Counts what belongs to no listing.
    pub fn add_outside(&mut self, tally: &Tally) {
        self.tally.add(tally);
        self.outside.add(tally);
    }

    fn add(&mut self, part: Remaining) -> Span {
        let span = Span(self.next);
        self.next += 1;
        self.spans.insert(span, Books { part, segments: BTreeMap::new(), listed: false });
        span
    }

    fn forget_finished(&mut self, span: Span) {
        if self.spans.get(&span).is_some_and(|books| books.listed && books.segments.is_empty()) {
            self.spans.remove(&span);
        }
    }
}

impl Books {
    /// Finished neighbours behind everything that was entered before.
    fn finished(&mut self, place: u64, last: String, tally: Box<Tally>, outside: &mut Tally) {
        if self.segments.is_empty() {
            self.part.after = Some(last);
            outside.add(&tally);
            return;
        }
        if let Some(mut segment) = self.segments.last_entry()
            && let Segment::Done { last: end, tally: sum } = segment.get_mut()
        {
            *end = last;
            sum.add(&tally);
            return;
        }
        self.segments.insert(place, Segment::Done { last, tally });
    }

    fn done(&mut self, place: u64, tally: Tally, outside: &mut Tally) {
        let Some(Segment::Open(key)) = self.segments.remove(&place) else { return };
        let (mut at, mut last, mut tally) = (place, key, tally);
        if let Some((&before, Segment::Done { .. })) = self.segments.range(..at).next_back()
            && let Some(Segment::Done { tally: earlier, .. }) = self.segments.remove(&before)
        {
            at = before;
            tally.add(&earlier);
        }
        if let Some((&after, Segment::Done { .. })) = self.segments.range(at..).next()
            && let Some(Segment::Done { last: later, tally: rest }) = self.segments.remove(&after)
        {
            last = later;
            tally.add(&rest);
        }
        self.segments.insert(at, Segment::Done { last, tally: Box::new(tally) });
        if let Some(first) = self.segments.first_entry()
            && matches!(first.get(), Segment::Done { .. })
            && let Segment::Done { last, tally } = first.remove()
        {
            self.part.after = Some(last);
            outside.add(&tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn copied() -> Tally {
        let mut tally = Tally::copied(1, "content-md5");
        tally.list(1);
        tally
    }

    fn key(n: usize) -> String {
        format!("{n:03}")
    }

    #[derive(Clone, Debug)]
    enum Act {
        /// List the next item of one of the spans; finished at once or not.
        List { span: usize, same: bool },
        /// Enter what was listed of a span.
        Enter { span: usize },
        /// Finish one of the open items.
        Finish { which: usize },
        /// Split a span in two or three.
        Split { span: usize, at: [usize; 2] },
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            8 => (any::<usize>(), any::<bool>()).prop_map(|(span, same)| Act::List { span, same }),
            2 => any::<usize>().prop_map(|span| Act::Enter { span }),
            4 => any::<usize>().prop_map(|which| Act::Finish { which }),
            2 => (any::<usize>(), any::<[usize; 2]>()).prop_map(|(span, at)| Act::Split { span, at }),
        ]
    }

    /// A span as its lister sees it: items `next..end` are to come.
    struct Lister {
        block: Block,
        next: usize,
        end: usize,
    }

    const ITEMS: usize = 40;

    proptest! {
        /// However spans are listed, split, and finished: what remains holds every unfinished item, and the counts are those of
        /// all items outside of it, each once. At the end nothing remains and everything is counted.
        #[test]
        fn what_remains_and_what_is_counted_are_everything_once(acts in prop::collection::vec(act(), 0..300)) {
            let mut mark = Watermark::new(None, Tally::default());
            let first = mark.pieces()[0].span;
            let mut listers = vec![Lister { block: Block::new(first), next: 0, end: ITEMS }];
            let mut open: Vec<(Seq, usize)> = Vec::new();
            let mut waiting: Vec<(Seq, usize)> = Vec::new();
            let mut finished = [false; ITEMS];
            let mut entered = 0;
            // then everything is brought to its end
            let rest = (0..ITEMS).flat_map(|n| [Act::List { span: n, same: true }; 1].into_iter().cycle().take(ITEMS).chain([Act::Enter { span: n }]));
            let finish = (0..ITEMS).map(|_| Act::Finish { which: 0 });
            for act in acts.into_iter().chain(rest).chain(finish) {
                let count = listers.len();
                match act {
                    Act::List { span, same } => {
                        let lister = &mut listers[span % count];
                        if lister.next < lister.end {
                            let item = lister.next;
                            lister.next += 1;
                            if same {
                                lister.block.finished(&key(item), 1, |tally| tally.counters.same += 1);
                                finished[item] = true;
                            } else {
                                waiting.push((lister.block.open(&key(item), 1), item));
                            }
                        }
                    }
                    Act::Enter { span } => {
                        let lister = &mut listers[span % count];
                        let span = lister.block.span();
                        let brought = mark.enter(&mut lister.block);
                        let opened: Vec<_> = waiting.extract_if(.., |(seq, _)| seq.span == span).collect();
                        prop_assert_eq!(brought.open, opened.len() as u64);
                        entered += brought.tally.counters.listed;
                        open.extend(opened);
                        if lister.next == lister.end {
                            mark.listed(span);
                        }
                    }
                    Act::Finish { which } => {
                        if !open.is_empty() {
                            let (seq, item) = open.swap_remove(which % open.len());
                            mark.done(seq, copied());
                            finished[item] = true;
                        }
                    }
                    Act::Split { span, at } => {
                        let lister = &mut listers[span % count];
                        // behind what was listed, before the end
                        let mut cuts: Vec<usize> = at.iter().map(|at| at % ITEMS).filter(|at| (lister.next..lister.end.saturating_sub(1)).contains(at)).collect();
                        cuts.sort_unstable();
                        cuts.dedup();
                        let keys: Vec<String> = cuts.iter().map(|at| key(*at)).collect();
                        let pieces = mark.split(lister.block.span(), &keys);
                        prop_assert_eq!(pieces.len(), cuts.len());
                        let mut ends: Vec<usize> = cuts.iter().map(|at| at + 1).chain([lister.end]).collect();
                        lister.end = ends.remove(0);
                        let begins: Vec<usize> = cuts.iter().map(|at| at + 1).collect();
                        for ((piece, next), end) in pieces.into_iter().zip(begins).zip(ends) {
                            listers.push(Lister { block: Block::new(piece.span), next, end });
                        }
                    }
                }
                let (remaining, tally) = mark.checkpoint();
                let outside = |item: &usize| !remaining.iter().any(|part| part.contains(&key(*item)));
                prop_assert!((0..ITEMS).filter(outside).all(|item| finished[item]), "{:?}", remaining);
                prop_assert_eq!(tally.counters.listed, (0..ITEMS).filter(outside).count() as u64);
                prop_assert_eq!(tally.counters.listed, tally.counters.same + tally.counters.copied);
                prop_assert!(remaining.windows(2).all(|w| w[0].until.is_some() && w[0].until <= w[1].after), "{:?}", remaining);
                prop_assert!(mark.segments() <= 2 * open.len() + mark.spans());
            }
            let (remaining, tally) = mark.checkpoint();
            prop_assert_eq!(&remaining[..], &[][..]);
            prop_assert_eq!((tally.counters.listed, entered), (ITEMS as u64, ITEMS as u64));
        }
    }

    #[test]
    fn items_outside_of_the_listing_are_counted_when_they_are_finished() {
        let mut mark = Watermark::new(None, Tally::default());
        let mut block = Block::new(Span::OUTSIDE);
        let open = block.open("x", 1);
        block.finished("y", 1, |tally| tally.counters.same += 1);
        let entered = mark.enter(&mut block);
        assert_eq!((entered.open, entered.tally.counters.listed), (1, 2));
        assert_eq!(mark.checkpoint().1.counters.listed, 1, "what is open is not counted: its event comes again");
        mark.done(open, copied());
        assert_eq!((mark.checkpoint().1.counters.listed, mark.segments()), (2, 0));
        assert_eq!(mark.restart().counters.listed, 2, "a new listing does not list them again");
        assert_eq!(mark.checkpoint().0, [Remaining::default()]);
    }

    #[test]
    fn a_checkpoint_is_continued_and_a_restart_forgets_it() {
        let part = |after: &str, until: Option<&str>| Remaining { after: Some(after.to_owned()), until: until.map(str::to_owned) };
        let checkpoint = [part("b", Some("d")), part("m", None)];
        let mut mark = Watermark::new(Some(&checkpoint), copied());
        assert_eq!(mark.checkpoint(), (checkpoint.to_vec(), &copied()));
        let mut block = Block::new(mark.pieces()[0].span);
        let before = block.open("c", 1);
        mark.enter(&mut block);
        mark.restart();
        // of another time
        mark.done(before, copied());
        assert_eq!(mark.enter(&mut block), Entered::default());
        assert_eq!(mark.checkpoint(), (vec![Remaining::default()], &Tally::default()));
        assert_eq!(Watermark::new(Some(&[]), copied()).spans(), 0);
    }
}
