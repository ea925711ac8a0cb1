//! How far a run is done without a gap.
//!
//! Items are listed in key order and finish in any order. The watermark is the last key up to which everything is finished, with the
//! counts of all items up to it: a checkpoint that a restart can continue from without losing or counting anything twice.
//!
//! Finished neighbours are merged, so memory grows with the items that are not finished, never with the run.

use std::collections::BTreeMap;

use crate::store::record::Tally;

/// Place of an item in the order of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(u64);

enum Segment {
    /// One item that is not finished; its key.
    Open(String),
    /// One or more finished neighbours: last key, and their counts.
    Done { last: String, tally: Box<Tally> },
}

/// See the module.
pub struct Watermark {
    segments: BTreeMap<u64, Segment>,
    next: u64,
    cursor: Option<String>,
    tally: Tally,
}

impl Watermark {
    /// Continues from a checkpoint.
    #[must_use]
    pub fn new(cursor: Option<String>, tally: Tally) -> Self {
        Self { segments: BTreeMap::new(), next: 0, cursor, tally }
    }

    /// An item was listed.
    pub fn open(&mut self, key: String) -> Seq {
        let seq = self.next;
        self.next += 1;
        self.segments.insert(seq, Segment::Open(key));
        Seq(seq)
    }

    /// An item is finished; `tally` holds its counts, listing included.
    pub fn done(&mut self, seq: Seq, tally: Tally) {
        let Some(Segment::Open(key)) = self.segments.remove(&seq.0) else { return };
        let (mut at, mut last, mut tally) = (seq.0, key, tally);
        if let Some((&before, Segment::Done { .. })) = self.segments.range(..at).next_back()
            && let Some(Segment::Done { tally: earlier, .. }) = self.segments.remove(&before)
        {
            at = before;
            tally = merged(*earlier, &tally);
        }
        if let Some((&after, Segment::Done { .. })) = self.segments.range(at..).next()
            && let Some(Segment::Done { last: later, tally: rest }) = self.segments.remove(&after)
        {
            last = later;
            tally = merged(tally, &rest);
        }
        self.segments.insert(at, Segment::Done { last, tally: Box::new(tally) });
        self.advance();
    }

    fn advance(&mut self) {
        if let Some(first) = self.segments.first_entry()
            && matches!(first.get(), Segment::Done { .. })
            && let Segment::Done { last, tally } = first.remove()
        {
            self.cursor = Some(last);
            self.tally.add(&tally);
        }
    }

    /// The last key up to which everything is finished, and the counts up to it.
    #[must_use]
    pub fn checkpoint(&self) -> (Option<&str>, &Tally) {
        (self.cursor.as_deref(), &self.tally)
    }

    /// How much memory this takes, in segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }
}

fn merged(mut left: Tally, right: &Tally) -> Tally {
    left.add(right);
    left
}

#[cfg(test)]
mod tests {
    use dth_proto::view::Counters;
    use proptest::prelude::*;

    use super::*;

    fn one() -> Tally {
        Tally { counters: Counters { listed: 1, copied: 1, ..Counters::default() }, ..Tally::default() }
    }

    proptest! {
        /// Whatever the order in which items finish: the checkpoint is the longest finished beginning, and its counts are exact.
        #[test]
        fn the_checkpoint_is_the_finished_beginning(order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mut mark = Watermark::new(None, Tally::default());
            let seqs: Vec<Seq> = (0..order.len()).map(|n| mark.open(format!("{n:03}"))).collect();
            let mut finished = vec![false; order.len()];
            for (step, index) in order.into_iter().enumerate() {
                mark.done(seqs[index], one());
                finished[index] = true;
                let beginning = finished.iter().take_while(|f| **f).count();
                let (cursor, tally) = mark.checkpoint();
                let expected = beginning.checked_sub(1).map(|n| format!("{n:03}"));
                prop_assert_eq!(cursor, expected.as_deref());
                prop_assert_eq!(tally.counters.copied, beginning as u64);
                let open = finished.len() - step - 1;
                prop_assert!(mark.segments() <= 2 * open + 1);
            }
            prop_assert_eq!(mark.segments(), 0);
        }
    }
}
