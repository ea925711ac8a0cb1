//! The whole of it over simulated buckets: any keys, any pages, any slots, any interleaving, any number of crashes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    alphabet::Alphabet,
    sample::Sample,
    schedule::Scheduler,
    split::{Rest, Trust, common},
};
use crate::{
    s3::list::fake::hostile_key,
    store::record::{Remaining, Tally},
    transfer::watermark::{Block, Piece, Seq, Span, Watermark},
};

/// One range as its lister sees it.
struct Lister {
    block: Block,
    part: Remaining,
    at: Option<String>,
    scale: usize,
    asked: usize,
}

/// Both buckets, the books, and what a crash leaves: the checkpoint and the records.
struct World {
    prefix: String,
    source: BTreeSet<String>,
    destination: BTreeSet<String>,
    page: usize,
    slots: usize,
    trust: Trust,
    alphabet: Alphabet,
    mark: Watermark,
    scheduler: Scheduler,
    listers: BTreeMap<Span, Lister>,
    copying: Vec<(Seq, String)>,
    /// Objects with a record, which a crash does not lose.
    copied: BTreeSet<String>,
    /// How often each was copied.
    copies: BTreeMap<String, u32>,
    requests: usize,
    sample: Sample,
}

fn listed() -> Tally {
    let mut tally = Tally::default();
    tally.list(1);
    tally
}

impl World {
    fn new(prefix: &str, source: BTreeSet<String>, destination: BTreeSet<String>, page: usize, slots: usize) -> Self {
        let mut world = Self {
            prefix: prefix.to_owned(),
            source,
            destination,
            page,
            slots,
            trust: Trust::Bytes,
            alphabet: Alphabet::default(),
            mark: Watermark::new(None, Tally::default()),
            scheduler: Scheduler::default(),
            listers: BTreeMap::new(),
            copying: Vec::new(),
            copied: BTreeSet::new(),
            copies: BTreeMap::new(),
            requests: 0,
            sample: Sample::default(),
        };
        world.scheduler.add(world.mark.pieces());
        world
    }

    /// A crash: only the checkpoint and the records are left.
    fn resume(&mut self) {
        let (remaining, tally) = self.mark.checkpoint();
        let mark = Watermark::new(Some(&remaining), tally.clone());
        self.scheduler = Scheduler::default();
        self.scheduler.add(mark.pieces());
        self.mark = mark;
        self.listers.clear();
        self.copying.clear();
    }

    fn schedule(&mut self) {
        while let Some(Piece { span, part }) = self.scheduler.start(self.slots) {
            let at = part.after.clone();
            let lister = Lister { block: Block::new(span), part, at, scale: 0, asked: 0 };
            self.listers.insert(span, lister);
        }
        while let Some((span, count)) = self.scheduler.ask(self.slots, self.mark.spans()) {
            self.listers.get_mut(&span).expect("it runs").asked = count;
        }
    }

    /// A range splits if it was asked to.
    fn split(&mut self, span: Span) {
        let lister = self.listers.get_mut(&span).expect("just found");
        if lister.asked > 0 {
            let after = lister.at.clone().unwrap_or_default();
            let rest = Rest { prefix: &self.prefix, after: &after, until: lister.part.until.as_deref(), scale: lister.scale };
            let cuts = rest.cuts(&self.alphabet, self.trust, std::mem::take(&mut lister.asked));
            if let Some(first) = cuts.first() {
                lister.part.until = Some(first.clone());
            }
            let pieces = self.mark.split(span, &cuts);
            self.scheduler.split(span, pieces);
        }
    }

    /// One of the ranges that run gets its next page.
    fn step(&mut self, which: usize) {
        let Some(span) = self.listers.keys().nth(which % self.listers.len().max(1)).copied() else { return };
        self.split(span);
        self.requests += 1;
        let lister = self.listers.get_mut(&span).expect("still there");
        let behind = (lister.at.clone()).map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut found = self.source.range((behind, std::ops::Bound::Unbounded)).filter(|key| key.starts_with(&self.prefix));
        let page: Vec<&String> = found.by_ref().take(self.page).collect();
        let mut ended = found.next().is_none();
        let (mut keys, mut opened) = (0, Vec::new());
        for key in &page {
            if !lister.part.contains(key) {
                ended = true;
                break;
            }
            keys += 1;
            self.alphabet.see(key.strip_prefix(&self.prefix).unwrap_or(key));
            if self.destination.contains(*key) {
                lister.block.finished(key, 1, |tally| tally.counters.same += 1);
            } else if self.copied.contains(*key) {
                lister.block.finished(key, 1, |tally| tally.counters.copied += 1);
            } else {
                opened.push((lister.block.open(key, 1), (*key).clone()));
            }
        }
        if let (Some(first), Some(last)) = (page.first(), page.get(keys.max(1) - 1)) {
            lister.scale = common(first, last);
            lister.at = Some((*last).clone());
        }
        self.mark.enter(&mut lister.block);
        self.copying.extend(opened);
        if ended {
            self.mark.listed(span);
            self.scheduler.ended(span, keys as u64);
            self.listers.remove(&span);
        } else {
            self.sample.page(lister.at.as_deref().unwrap_or_default());
            let after = lister.at.clone().unwrap_or_default();
            let rest = Rest { prefix: &self.prefix, after: &after, until: lister.part.until.as_deref(), scale: lister.scale };
            let width = rest.width(&self.alphabet, self.trust);
            self.scheduler.waits(span, keys as u64, width);
        }
    }

    fn finish(&mut self, which: usize) {
        if !self.copying.is_empty() {
            let (seq, key) = self.copying.swap_remove(which % self.copying.len());
            let mut tally = listed();
            tally.counters.copied += 1;
            self.mark.done(seq, tally);
            *self.copies.entry(key.clone()).or_default() += 1;
            self.copied.insert(key);
        }
    }

    fn is_done(&self) -> bool {
        self.listers.is_empty() && self.copying.is_empty() && self.scheduler.running() == 0 && self.mark.spans() == 0
    }
}

#[derive(Clone, Debug)]
enum Act {
    Page(usize),
    Finish(usize),
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => any::<usize>().prop_map(Act::Page),
        10 => any::<usize>().prop_map(Act::Finish),
        1 => Just(Act::Crash),
    ]
}

fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    let short = prop::collection::btree_set(hostile_key(), 0..40);
    let numbers = prop::collection::btree_set((0..2_000_u32).prop_map(|n| format!("{n:06}")), 0..80);
    let hex = prop::collection::btree_set("[0-9a-f]{3}", 0..80);
    let dates = prop::collection::btree_set("20[12][0-9]/[01][0-9]/[a-d]", 0..80);
    prop_oneof![short, numbers, hex, dates]
}

proptest! {
    /// Each object of the source is produced exactly once, as the logic of sets says, whatever is split, in whatever order ranges go
    /// on, and wherever it is stopped.
    #[test]
    fn equals_the_logic_of_sets(
        source in keys(), destination in keys(), both in keys(),
        prefix in prop_oneof![3 => Just(String::new()), 1 => Just("20".to_owned()), 1 => hostile_key()],
        page in 1usize..6, slots in 1usize..12, known in any::<bool>(),
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let source: BTreeSet<String> = source.union(&both).cloned().collect();
        let destination: BTreeSet<String> = destination.union(&both).cloned().collect();
        let wanted: BTreeSet<&String> = source.iter().filter(|key| key.starts_with(&prefix)).collect();
        let mut world = World::new(&prefix, source.clone(), destination.clone(), page, slots);
        world.trust = if known { Trust::Bytes } else { Trust::Unknown };
        let mut acts = acts.into_iter();
        let mut turn = 0;
        while !world.is_done() {
            world.schedule();
            turn += 1;
            match acts.next() {
                Some(Act::Page(which)) => world.step(which),
                Some(Act::Finish(which)) => world.finish(which),
                Some(Act::Crash) => world.resume(),
                None => {
                    world.step(turn);
                    world.finish(turn);
                }
            }
            let (remaining, tally) = world.mark.checkpoint();
            let outside = wanted.iter().filter(|key| !remaining.iter().any(|part| part.contains(key))).count();
            prop_assert_eq!(tally.counters.listed, outside as u64);
            prop_assert!(turn < 10_000, "it does not end");
        }
        let (remaining, tally) = world.mark.checkpoint();
        prop_assert!(remaining.is_empty());
        let missing: Vec<&String> = wanted.iter().filter(|key| !destination.contains(**key)).copied().collect();
        prop_assert_eq!(tally.counters.listed, wanted.len() as u64);
        prop_assert_eq!(tally.counters.same, (wanted.len() - missing.len()) as u64);
        prop_assert_eq!(tally.counters.copied, missing.len() as u64);
        prop_assert_eq!(world.copies.keys().collect::<Vec<_>>(), missing);
        prop_assert!(world.copies.values().all(|count| *count == 1));
    }
}

/// Keys on a page where their number matters.
const PAGE: usize = 100;

/// Lists a bucket with as many requests in flight as there are slots, all of which take the same time: how many of these times it takes,
/// and how many requests.
fn rounds(keys: &[String], cuts: &[String]) -> (usize, usize, Vec<String>) {
    let source: BTreeSet<String> = keys.iter().cloned().collect();
    let mut world = World::new("", source.clone(), source, PAGE, 64);
    let whole = world.mark.pieces()[0].span;
    world.mark.split(whole, cuts);
    world.resume();
    let mut rounds = 0;
    while !world.is_done() {
        world.schedule();
        for span in world.listers.keys().copied().collect::<Vec<_>>() {
            world.split(span);
        }
        world.schedule();
        let running: Vec<Span> = world.listers.keys().copied().collect();
        for span in running {
            let place = world.listers.keys().position(|running| *running == span).expect("it runs");
            world.step(place);
        }
        rounds += 1;
    }
    (rounds, world.requests, world.sample.cuts())
}

/// Buckets of 300 pages with 64 slots: many times as fast as one cursor, at a bounded price in requests; and again with the cuts of the
/// first time, when no scale has to be found.
#[test]
fn buckets_of_any_shape_are_listed_side_by_side() {
    let hex = |n: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let date = |n: u64| format!("{}/{:02}/{:02}/{}.json", 2015 + n % 10, n / 10 % 12 + 1, n / 120 % 28 + 1, hex(n));
    let uneven = |n: u64| match n % 8 {
        0 => format!("logs/{}", date(n / 8)),
        1..=4 => format!("users/{}/avatar.png", hex(n)),
        _ => format!("photos/IMG_{n:07}.jpg"),
    };
    let shapes: [(&str, &dyn Fn(u64) -> String); 5] = [
        ("numbers", &|n| format!("{n:08}")),
        ("long numbers below a directory", &|n| format!("data/part-{n:020}.parquet")),
        ("hexadecimal", &hex),
        ("dates", &date),
        ("uneven", &uneven),
    ];
    for (name, key) in shapes {
        let keys: Vec<String> = (0..300 * PAGE as u64).map(key).collect();
        let (first, requests, cuts) = rounds(&keys, &[]);
        let (again, fewer, _) = rounds(&keys, &cuts);
        println!("{name}: 300 pages in {first} rounds and {requests} requests, then {again} and {fewer}");
        assert!(first <= 30 && again <= 15, "{name}: {first} rounds, then {again}");
        assert!(requests <= 700 && fewer <= 500, "{name}: {requests} requests, then {fewer}");
    }
}
