//! Which ranges are listed now, and which is asked to give some of its keys away.
//!
//! Ranges wait in a line and begin when there is a slot. When slots are free and nobody waits, a range that waits for its next page
//! is asked to split: the widest first. Nothing ever waits for all others. Ranges that turn out to hold next to nothing cost a request
//! each; splitting goes on only as long as little is lost that way.

use std::collections::{BTreeMap, VecDeque};

use super::split::Width;
use crate::transfer::watermark::{Piece, Span};

/// Ranges read side by side before the first page is known.
const FIRST: u64 = 4;
/// Ranges more for every page: a bucket of few pages is not cut into many.
const PER_PAGE: u64 = 4;
/// Pages that may be lost to empty ranges from the beginning, and one of so many that were full after that.
const LOST: u64 = 64;
const LOST_OF: u64 = 10;
/// With fewer ranges than this, half of the pages may be lost.
const FEW: usize = 16;
/// Ranges that may be unfinished before splitting pauses: each is a line of the checkpoint.
pub const MOST_SPANS: usize = 512;

struct Running {
    /// What it can give away, while it waits for a page and has not been asked.
    width: Option<Width>,
    /// Ranges it was asked for and has not answered yet.
    asked: usize,
    keys: u64,
}

/// See the module.
#[derive(Default)]
pub struct Scheduler {
    running: BTreeMap<Span, Running>,
    waiting: VecDeque<Piece>,
    /// Keys of the largest page so far.
    page: u64,
    keys: u64,
    /// Keys that would have fitted on the pages of ranges that ended.
    lost: u64,
}

impl Scheduler {
    /// Ranges to be listed.
    pub fn add(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        self.waiting.extend(pieces);
    }

    /// The next range to list, if one more may be listed: at most `slots`, and not more than so few pages are worth.
    pub fn start(&mut self, slots: usize) -> Option<Piece> {
        if self.running.len() >= self.most(slots) {
            return None;
        }
        let piece = self.waiting.pop_front()?;
        self.running.insert(piece.span, Running { width: None, asked: 0, keys: 0 });
        Some(piece)
    }

    /// A range has read `keys` keys of one page, and waits for the next.
    pub fn waits(&mut self, span: Span, keys: u64, width: Option<Width>) {
        self.count(span, keys);
        if let Some(range) = self.running.get_mut(&span)
            && range.asked == 0
        {
            range.width = width;
        }
    }

    /// Whom to ask to split, and for how many new ranges. `spans`: ranges that are not finished, also those that wait only for copies.
    pub fn ask(&mut self, slots: usize, spans: usize) -> Option<(Span, usize)> {
        let asked: usize = self.running.values().map(|range| range.asked).sum();
        let free = self.most(slots).saturating_sub(self.running.len() + self.waiting.len() + asked);
        let free = free.min(MOST_SPANS.saturating_sub(spans + asked));
        // a range that ends loses half a page, as a rule
        let lost = self.lost + (self.running.len() + self.waiting.len() + asked) as u64 * self.page / 2;
        // a bucket that is hard to cut costs more rather than being read one page after the other
        let share = if self.running.len() < FEW { self.keys / 2 } else { self.keys / LOST_OF };
        let affordable = (share + LOST * self.page).saturating_sub(lost) * 2 / self.page.max(1);
        let free = free.min(usize::try_from(affordable).unwrap_or(usize::MAX));
        if free == 0 {
            return None;
        }
        let able = self.running.values().filter(|range| range.width.is_some()).count();
        let (span, range) = self.running.iter_mut().max_by_key(|(_, range)| (range.width, range.keys))?;
        range.width.take()?;
        range.asked = free.div_ceil(able);
        Some((*span, range.asked))
    }

    /// A range that was asked has split, or could not.
    pub fn split(&mut self, span: Span, pieces: Vec<Piece>) {
        if let Some(range) = self.running.get_mut(&span) {
            range.asked = 0;
        }
        self.waiting.extend(pieces);
    }

    /// A range is at its end, with `keys` keys on its last page.
    pub fn ended(&mut self, span: Span, keys: u64) {
        self.count(span, keys);
        if let Some(range) = self.running.remove(&span) {
            let page = self.page.max(1);
            self.lost += range.keys.div_ceil(page).max(1) * page - range.keys;
        }
    }

    /// Ranges being listed.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    fn count(&mut self, span: Span, keys: u64) {
        self.page = self.page.max(keys);
        self.keys += keys;
        if let Some(range) = self.running.get_mut(&span) {
            range.keys += keys;
        }
    }

    fn most(&self, slots: usize) -> usize {
        let pages = self.keys / self.page.max(1);
        slots.max(1).min(usize::try_from(FIRST + PER_PAGE * pages).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        s3::range::{
            alphabet::Alphabet,
            split::{Rest, Trust},
        },
        store::record::{Remaining, Tally},
        transfer::watermark::Watermark,
    };

    fn pieces(count: usize) -> Vec<Piece> {
        let parts: Vec<Remaining> =
            (0..count).map(|n| Remaining { after: Some(format!("{n:03}")), until: Some(format!("{:03}", n + 1)) }).collect();
        Watermark::new(Some(&parts), Tally::default()).pieces()
    }

    fn width(after: &str) -> Option<Width> {
        let mut alphabet = Alphabet::default();
        alphabet.see("0");
        Rest { prefix: "", after, until: Some("99"), scale: 0 }.width(&alphabet, Trust::Bytes)
    }

    #[test]
    fn ranges_begin_in_line_as_pages_and_slots_allow() {
        let mut scheduler = Scheduler::default();
        let pieces = pieces(40);
        scheduler.add(pieces.clone());
        let begun: Vec<Piece> = std::iter::from_fn(|| scheduler.start(64)).collect();
        assert_eq!(begun, pieces[..4], "nothing is known yet");
        scheduler.waits(pieces[0].span, 1_000, None);
        scheduler.waits(pieces[1].span, 1_000, None);
        assert_eq!(std::iter::from_fn(|| scheduler.start(64)).count(), 8);
        for _ in 0..50 {
            scheduler.waits(pieces[0].span, 1_000, None);
        }
        assert_eq!(std::iter::from_fn(|| scheduler.start(20)).count(), 8, "20 slots");
        scheduler.ended(pieces[0].span, 5);
        assert_eq!(scheduler.start(20).map(|piece| piece.span), Some(pieces[20].span));
        assert_eq!(scheduler.start(0), None, "one is always allowed, and no more");
    }

    #[test]
    fn the_widest_is_asked_first_and_once() {
        let mut scheduler = Scheduler::default();
        let pieces = pieces(3);
        scheduler.add(pieces.clone());
        while scheduler.start(8).is_some() {}
        let (narrow, wide, wider) = (pieces[0].span, pieces[1].span, pieces[2].span);
        assert_eq!(scheduler.ask(8, 3), None, "nobody has shown a page");
        scheduler.waits(narrow, 10, width("98"));
        scheduler.waits(wide, 10, width("5"));
        scheduler.waits(wider, 10, width("2"));
        assert_eq!(scheduler.ask(8, 3), Some((wider, 2)), "five slots between three");
        assert_eq!(scheduler.ask(8, 3), Some((wide, 2)));
        assert_eq!(scheduler.ask(8, 3), Some((narrow, 1)));
        assert_eq!(scheduler.ask(8, 3), None);
        scheduler.split(wide, Vec::new());
        assert_eq!(scheduler.ask(8, 3), None, "it could not, and has not moved since");
        scheduler.waits(wide, 10, width("6"));
        assert_eq!(scheduler.ask(8, MOST_SPANS), None, "the checkpoint is long enough");
        assert_eq!(scheduler.ask(8, 3).map(|(span, _)| span), Some(wide));
    }

    #[test]
    fn splitting_pauses_when_ranges_turn_out_empty() {
        let mut scheduler = Scheduler::default();
        let pieces = pieces(200);
        let (first, mut empty) = (pieces[0].span, pieces[1..].iter().map(|piece| piece.span));
        scheduler.add(pieces.clone());
        for _ in 0..50 {
            scheduler.start(200);
            scheduler.waits(first, 1_000, width("5"));
        }
        while scheduler.start(200).is_some() {}
        let asked = |scheduler: &mut Scheduler| {
            let asked = scheduler.ask(1_000, 1);
            scheduler.split(first, Vec::new());
            scheduler.waits(first, 0, width("5"));
            asked.map(|(_, count)| count)
        };
        assert_eq!(asked(&mut scheduler), None, "half a page each of 200 is more than 64 and 5 of 50");
        empty.by_ref().take(130).for_each(|span| scheduler.ended(span, 1_000));
        assert_eq!(asked(&mut scheduler), Some(94), "64 and 18 of 180, less 35 for 70 that run, at half a page each");
        empty.by_ref().take(50).for_each(|span| scheduler.ended(span, 0));
        assert_eq!(asked(&mut scheduler), Some(44), "50 are lost, and 20 run");
        empty.by_ref().take(4).for_each(|span| scheduler.ended(span, 0));
        assert_eq!(asked(&mut scheduler), Some(40));
        empty.for_each(|span| scheduler.ended(span, 0));
        assert_eq!(scheduler.running(), 1);
        assert_eq!(asked(&mut scheduler), Some(169), "one alone may lose half of all");
    }
}
