//! Whole jobs in virtual time: a controller at each end, stores with a temper, objects that are read and then written.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use dth_proto::failure::{FailureClass, Side as End};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Answer, Kind, Verdict, controller::Controller};
use crate::transfer::{TransferError, retry::RetryPolicy};

/// How a store answers a request that arrives now: after how long, and what.
type Store = Box<dyn FnMut(Duration, &mut StdRng) -> (Duration, Verdict)>;

const MS: Duration = Duration::from_millis(1);

/// A store without limits.
fn steady(latency: impl Fn(Duration) -> Duration + 'static) -> Store {
    Box::new(move |now, _| (latency(now), Verdict::Good))
}

/// A store that does `count` requests at a time, each in `service`; the others queue.
fn processors(count: usize, service: Duration) -> Store {
    let mut free = vec![Duration::ZERO; count];
    Box::new(move |now, rng| {
        let first = free.iter_mut().min().expect("at least one");
        *first = (*first).max(now) + service.mul_f64(rng.random_range(0.8..1.2));
        (*first - now, Verdict::Good)
    })
}

/// A store that takes so many requests per second and refuses the rest; a tenth of a second's worth may come at once.
fn metered(latency: Duration, per_second: f64) -> Store {
    let (mut level, mut at) = (per_second / 10.0, Duration::ZERO);
    Box::new(move |now, _| {
        level = ((now - at).as_secs_f64() * per_second + level).min(per_second / 10.0);
        at = now;
        if level < 1.0 {
            return (latency, Verdict::Throttled);
        }
        level -= 1.0;
        (latency, Verdict::Good)
    })
}

/// A store that refuses a share of everything, whatever the load; after two milliseconds, without doing any work.
fn moody(mut store: Store, share: impl Fn(Duration) -> f64 + 'static) -> Store {
    Box::new(move |now, rng| if rng.random_bool(share(now)) { (MS * 2, Verdict::Throttled) } else { store(now, rng) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    number: u64,
    /// 0: to be read, 1: to be written.
    stage: usize,
    failed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Answered { object: Object, began: Duration, verdict: u8 },
    Again(Object),
}

struct Side {
    controller: Controller,
    store: Store,
    inside: usize,
    waiting: VecDeque<Object>,
}

struct Job {
    now: Duration,
    order: u64,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sides: [Side; 2],
    rng: StdRng,
    left: u64,
    next: u64,
    /// Per side: times of good answers and of refusals.
    good: [Vec<Duration>; 2],
    refused: [Vec<Duration>; 2],
    /// Objects that ran out of tries; they begin again, as a run does it.
    given_up: u64,
    finished: Vec<Duration>,
}

const VERDICTS: [Verdict; 4] = [Verdict::Good, Verdict::Throttled, Verdict::TimedOut, Verdict::Other];

impl Job {
    /// `objects` through two windows, at most 1,024 at a time as by default.
    fn new(objects: u64, source: Store, destination: Store) -> Self {
        let side = |kind: Kind, store| Side { controller: Controller::new(kind.most()), store, inside: 0, waiting: VecDeque::new() };
        let mut job = Self {
            now: Duration::ZERO,
            order: 0,
            events: BinaryHeap::new(),
            sides: [side(Kind::Read, source), side(Kind::Write, destination)],
            rng: StdRng::seed_from_u64(7),
            left: objects,
            next: 0,
            good: Default::default(),
            refused: Default::default(),
            given_up: 0,
            finished: Vec::new(),
        };
        for _ in 0..1024 {
            job.begin();
        }
        job
    }

    fn begin(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            self.next += 1;
            self.ask(Object { number: self.next, stage: 0, failed: 0 });
        }
    }

    fn at(&mut self, when: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((when, self.order, event)));
    }

    fn ask(&mut self, object: Object) {
        self.sides[object.stage].waiting.push_back(object);
        self.admit(object.stage);
    }

    fn admit(&mut self, stage: usize) {
        loop {
            let side = &mut self.sides[stage];
            if side.inside >= side.controller.limit() {
                return;
            }
            let Some(object) = side.waiting.pop_front() else { return };
            side.inside += 1;
            let (latency, verdict) = (side.store)(self.now, &mut self.rng);
            let verdict = VERDICTS.iter().position(|v| *v == verdict).expect("all are there") as u8;
            self.at(self.now + latency, Event::Answered { object, began: self.now, verdict });
        }
    }

    /// Until `end`, or until everything is done.
    fn run(&mut self, end: Duration) -> &mut Self {
        while let Some(Reverse((when, _, event))) = self.events.pop() {
            if when > end {
                self.events.push(Reverse((when, 0, event)));
                self.now = end;
                break;
            }
            self.now = when;
            match event {
                Event::Again(object) => self.ask(object),
                Event::Answered { object, began, verdict } => {
                    let stage = object.stage;
                    let verdict = VERDICTS[usize::from(verdict)];
                    let answer = Answer { latency: when - began, bytes: 4096, verdict };
                    let side = &mut self.sides[stage];
                    side.controller.answered(began, when, side.inside, &answer);
                    side.inside -= 1;
                    self.answered(object, verdict);
                    self.admit(stage);
                }
            }
        }
        self
    }

    fn answered(&mut self, object: Object, verdict: Verdict) {
        if verdict == Verdict::Good {
            self.good[object.stage].push(self.now);
            if object.stage == 0 {
                self.ask(Object { stage: 1, failed: 0, ..object });
            } else {
                self.finished.push(self.now);
                self.begin();
            }
            return;
        }
        self.refused[object.stage].push(self.now);
        let failed = object.failed + 1;
        let error = TransferError::new(FailureClass::Throttled, End::Source, "GetObject", "SlowDown", "");
        match RetryPolicy::default().next_wait(failed, &error, self.rng.random()) {
            Some(wait) => self.at(self.now + wait, Event::Again(Object { failed, ..object })),
            None => {
                self.given_up += 1;
                self.ask(Object { stage: 0, failed: 0, ..object });
            }
        }
    }

    fn limits(&self) -> [usize; 2] {
        [0, 1].map(|side| self.sides[side].controller.limit())
    }

    /// Objects finished per second in a span.
    fn rate(&self, from: Duration, to: Duration) -> f64 {
        within(&self.finished, from, to) as f64 / (to - from).as_secs_f64()
    }
}

fn within(times: &[Duration], from: Duration, to: Duration) -> usize {
    times.iter().filter(|t| (from..to).contains(*t)).count()
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_link_with_latency_is_filled() {
    let mut job = Job::new(20_000, steady(|_| MS * 40), steady(|_| MS * 40));
    job.run(MS * 500);
    println!("after 0.5 s: {:?}", job.limits());
    assert!(job.limits()[0] >= 512, "{:?}", job.limits());
    job.run(s(60));
    println!("20,000 objects: {:?}", job.now);
    assert_eq!(job.finished.len(), 20_000);
    assert!(job.now <= s(3), "{:?}", job.now);
}

#[test]
fn a_store_that_is_out_of_processors_is_not_pressed() {
    let mut job = Job::new(u64::MAX, processors(2, MS / 10), processors(2, MS / 10));
    let mut most = [0; 2];
    for tick in 1..=2_000 {
        job.run(MS * 5 * tick);
        most = [0, 1].map(|side| most[side].max(job.limits()[side]));
    }
    let rate = job.rate(s(1), s(10));
    println!("two processors: at most {most:?}, {rate:.0} of 20,000 per second");
    assert!(most.iter().all(|limit| *limit <= 64), "{most:?}");
    assert!(rate >= 19_000.0, "{rate}");
}

#[test]
fn a_store_with_a_rate_is_used_to_the_rate() {
    for latency in [5, 20, 100] {
        let mut job = Job::new(u64::MAX, steady(move |_| MS * latency), metered(MS * latency, 3_500.0));
        job.run(s(60));
        let (good, refused) = (within(&job.good[1], s(10), s(60)), within(&job.refused[1], s(10), s(60)));
        let share = refused as f64 / (good + refused) as f64;
        println!("3,500 per second, {latency} ms: {} per second, {:.1} % refused, window {:?}", good / 50, share * 100.0, job.limits());
        assert!(good >= 3_500 * 50 * 8 / 10, "{latency} ms: {good}");
        assert!(share <= 0.1, "{latency} ms: {share}");
    }
}

#[test]
fn refusals_that_have_nothing_to_do_with_the_load_do_not_stop_the_work() {
    type Make = fn() -> Store;
    let far: Make = || steady(|_| MS * 40);
    let farther: Make = || steady(|_| MS * 150);
    let near: Make = || processors_behind(2, MS / 5, |_| MS * 2);
    for (name, store, from, seconds, seed) in [
        ("40 ms", far, 0, 60, 7),
        ("40 ms", far, 0, 20, 8),
        ("40 ms", far, 0, 20, 9),
        ("40 ms", far, 10, 20, 7),
        ("150 ms", farther, 10, 20, 7),
        ("10,000 per second, 2 ms", near, 0, 20, 7),
    ] {
        let (begin, end) = (s(from), s(from + seconds));
        let during = move |share: f64| move |now: Duration| if now >= begin && now < end { share } else { 0.0 };
        let clean = Job::new(u64::MAX, store(), store()).run(end).rate(begin, end);
        let mut job = Job::new(u64::MAX, moody(store(), during(0.3)), moody(store(), during(0.3)));
        job.rng = StdRng::seed_from_u64(seed);
        let stormy = job.run(end).rate(begin, end);
        let (percent, limits, given_up) = (stormy / clean * 100.0, job.limits(), job.given_up);
        println!("30 % refused, {name}, from {from} s: {stormy:.0} of {clean:.0} ({percent:.0} %), window {limits:?}, given up {given_up}");
        assert!(percent >= 60.0, "{name} from {from} s: {stormy} of {clean}");
    }
}

#[test]
fn a_way_that_becomes_longer_is_learned() {
    let latency = |now: Duration| if now < s(3) { MS * 10 } else { MS * 150 };
    // few objects per second would be seen before: the window is small when the way changes
    let mut job = Job::new(u64::MAX, processors_behind(2, MS / 5, latency), steady(|_| MS));
    job.run(s(3));
    let before = job.limits()[0];
    job.run(s(30));
    println!("10 ms -> 150 ms: window {before} -> {:?}, {:.0} of 10,000 per second", job.limits(), job.rate(s(20), s(30)));
    assert!(job.limits()[0] > before, "{before} -> {:?}", job.limits());
    assert!(job.rate(s(20), s(30)) >= 0.6 * 1024.0 / 0.151, "{}", job.rate(s(20), s(30)));
}

/// Processors at the end of a way.
fn processors_behind(count: usize, service: Duration, way: impl Fn(Duration) -> Duration + 'static) -> Store {
    let mut queue = processors(count, service);
    Box::new(move |now, rng| {
        let (there, verdict) = queue(now, rng);
        (there + way(now), verdict)
    })
}

#[test]
fn a_storm_is_survived() {
    for (share, until) in [(1.0, 15), (0.5, 15), (0.3, 20)] {
        let storm = move |now: Duration| if now >= s(10) && now < s(until) { share } else { 0.0 };
        let mut job = Job::new(u64::MAX, moody(steady(|_| MS * 40), storm), moody(steady(|_| MS * 40), storm));
        job.run(s(until + 15));
        let (before, after) = (job.rate(s(5), s(10)), job.rate(s(until + 10), s(until + 15)));
        println!("{share} refused for {} s: {before:.0} before, {after:.0} ten seconds after", until - 10);
        assert!(after >= 0.9 * before, "{share}: {after} of {before}");
    }
}
