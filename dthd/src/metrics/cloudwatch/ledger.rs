//! What was counted and not yet published: turns running totals into points, and never loses or invents one.
//!
//! For every task and metric, at every moment: published + taken + pending = the total sampled last. A batch is *taken* out
//! of the ledger to be sent; it is dropped when the answer was good, else put back. So a point is published or pending, never both.

use std::collections::{BTreeMap, VecDeque};

use dth_proto::{id::TaskName, time::Timestamp};

use super::datum::{Datum, Metric};
use crate::metrics::Amounts;

/// Most data in one request (CloudWatch API reference, PutMetricData: 1,000 metrics, 1 MB).
const BATCH_DATA: usize = 1_000;
/// Most bytes in one request, with room for the envelope below CloudWatch's 1 MB.
const BATCH_BYTES: usize = 900_000;
/// Points kept per task during an outage: a day of minutes. Beyond that the oldest is merged into the next.
const POINTS: usize = 1_440;

/// Running totals of one task since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSample {
    /// The task.
    pub task: TaskName,
    /// `s3` or `image`.
    pub engine: &'static str,
    /// Totals. One that shrinks is taken for a task that was deleted and made anew: it counts from zero.
    pub total: Amounts,
    /// Events received and applied, likewise.
    pub events: EventTotals,
    /// Age of the oldest event that is not applied, in seconds, as a level; `None`: nobody consumes events now.
    pub lag_s: Option<u64>,
}

/// Messages about events. Depending on the place a running total, or the growth within a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTotals {
    /// Received, each once.
    pub received: u64,
    /// Applied.
    pub applied: u64,
}

impl EventTotals {
    fn plus(self, other: Self) -> Self {
        Self { received: self.received + other.received, applied: self.applied + other.applied }
    }

    /// Growth since `earlier`; what shrank began again from zero.
    fn since(self, earlier: Self) -> Self {
        let grown = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
        Self { received: grown(self.received, earlier.received), applied: grown(self.applied, earlier.applied) }
    }
}

/// Runs of one engine, as a level and not a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSample {
    /// `s3` or `image`.
    pub engine: &'static str,
    /// Runs that are going.
    pub running: u64,
    /// Runs that wait for a free slot.
    pub waiting: u64,
}

/// Everything that is published, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Every task that did something since the daemon started. A task that is missing keeps what is pending.
    pub tasks: Vec<TaskSample>,
    /// Every engine, also one without runs.
    pub jobs: Vec<JobSample>,
}

/// Who a point is about.
type Series = (TaskName, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    at: Timestamp,
    growth: Amounts,
    events: EventTotals,
}

/// What is high or low, and does not add up.
#[derive(Clone, Debug)]
enum Level {
    Jobs(JobSample),
    Lag(Series, u64),
}

#[derive(Debug, Default)]
struct Book {
    seen: (Amounts, EventTotals),
    pending: VecDeque<Point>,
}

/// The books of all tasks.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Most points per task, and most levels.
    limit: usize,
    books: BTreeMap<Series, Book>,
    levels: VecDeque<(Timestamp, Level)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { limit: POINTS, books: BTreeMap::new(), levels: VecDeque::new() }
    }
}

/// Points on their way: the data of one request, and what is needed to put them back.
#[derive(Debug, Default)]
pub(super) struct Batch {
    points: Vec<(Series, Point)>,
    levels: Vec<(Timestamp, Level)>,
}

impl Ledger {
    /// Takes a sample. Growth of zero makes no point; levels always do, so that an alarm can tell zero from silence.
    pub(super) fn record(&mut self, at: Timestamp, sample: &Sample) {
        for TaskSample { task, engine, total, events, lag_s } in &sample.tasks {
            let book = self.books.entry((task.clone(), engine)).or_default();
            let (growth, new) = (total.since(book.seen.0), events.since(book.seen.1));
            book.seen = (*total, *events);
            if !growth.is_zero() || new != EventTotals::default() {
                book.pending.push_back(Point { at, growth, events: new });
                book.fit(self.limit);
            }
            self.levels.extend(lag_s.map(|lag| (at, Level::Lag((task.clone(), engine), lag))));
        }
        self.levels.extend(sample.jobs.iter().map(|jobs| (at, Level::Jobs(*jobs))));
        self.fit_levels();
    }

    /// Takes out as many of the oldest points as fit one request; `None` when nothing is pending.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let (mut data, mut bytes) = (0, 0);
        let mut fits = |more: &[Datum]| {
            let size: usize = more.iter().map(Datum::size).sum();
            let fits = data + more.len() <= BATCH_DATA && bytes + size <= BATCH_BYTES;
            if fits {
                (data, bytes) = (data + more.len(), bytes + size);
            }
            fits
        };
        'full: {
            while let Some(level) = self.levels.front() {
                if !fits(&level_data(level)) {
                    break 'full;
                }
                batch.levels.extend(self.levels.pop_front());
            }
            for (series, book) in &mut self.books {
                while let Some(point) = book.pending.front() {
                    if !fits(&point_data(series, point)) {
                        break 'full;
                    }
                    batch.points.extend(book.pending.pop_front().map(|point| (series.clone(), point)));
                }
            }
        }
        (!batch.points.is_empty() || !batch.levels.is_empty()).then_some(batch)
    }

    /// Takes back batches that were not published, in the order they were taken.
    pub(super) fn put_back(&mut self, batches: Vec<Batch>) {
        for batch in batches.into_iter().rev() {
            for (series, point) in batch.points.into_iter().rev() {
                let book = self.books.entry(series).or_default();
                book.pending.push_front(point);
                book.fit(self.limit);
            }
            for level in batch.levels.into_iter().rev() {
                self.levels.push_front(level);
            }
        }
        self.fit_levels();
    }

    /// Points that wait, levels included.
    pub(super) fn pending(&self) -> usize {
        self.books.values().map(|book| book.pending.len()).sum::<usize>() + self.levels.len()
    }

    /// Old levels are worth nothing: the oldest go.
    fn fit_levels(&mut self) {
        let excess = self.levels.len().saturating_sub(self.limit);
        self.levels.drain(..excess);
    }
}

impl Book {
    /// Merges the oldest points until the rest fits: their time becomes less exact, their sum does not.
    fn fit(&mut self, limit: usize) {
        while self.pending.len() > limit
            && let Some(oldest) = self.pending.pop_front()
            && let Some(next) = self.pending.front_mut()
        {
            next.growth = next.growth.plus(oldest.growth);
            next.events = next.events.plus(oldest.events);
        }
    }
}

impl Batch {
    /// The data to send, in the order of their points.
    pub(super) fn data(&self) -> Vec<Datum> {
        let levels = self.levels.iter().flat_map(level_data);
        let points = self.points.iter().flat_map(|(series, point)| point_data(series, point));
        levels.chain(points).collect()
    }
}

/// At most five data; what did not grow is not sent.
fn point_data((task, engine): &Series, point: &Point) -> Vec<Datum> {
    let Amounts { bytes, objects, failed } = point.growth;
    let EventTotals { received, applied } = point.events;
    let values = [
        (Metric::CompletedBytes, bytes),
        (Metric::TransferredObjects, objects),
        (Metric::FailedObjects, failed),
        (Metric::ReceivedEvents, received),
        (Metric::AppliedEvents, applied),
    ];
    values
        .into_iter()
        .filter(|(_, value)| *value > 0)
        .map(|(metric, value)| Datum { metric, task: Some(task.clone()), engine, at: point.at, value })
        .collect()
}

fn level_data((at, level): &(Timestamp, Level)) -> Vec<Datum> {
    match level {
        Level::Jobs(jobs) => {
            let datum = |metric, value| Datum { metric, task: None, engine: jobs.engine, at: *at, value };
            vec![datum(Metric::RunningJobs, jobs.running), datum(Metric::WaitingJobs, jobs.waiting)]
        }
        Level::Lag((task, engine), lag) => {
            vec![Datum { metric: Metric::EventLag, task: Some(task.clone()), engine, at: *at, value: *lag }]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(n: usize) -> TaskName {
        TaskName::new(format!("task-{n}")).expect("a name")
    }

    fn total(bytes: u64) -> Amounts {
        Amounts { bytes, objects: bytes / 10, failed: bytes / 100 }
    }

    fn sample(totals: &[u64]) -> Sample {
        let tasks = totals.iter().enumerate().map(|(n, bytes)| TaskSample {
            task: task(n),
            engine: "s3",
            total: total(*bytes),
            events: EventTotals::default(),
            lag_s: None,
        });
        Sample { tasks: tasks.collect(), jobs: Vec::new() }
    }

    fn value(data: &[Datum], metric: Metric) -> u64 {
        data.iter().filter(|d| d.metric == metric).map(|d| d.value).sum()
    }

    #[test]
    fn growth_is_published_once_and_zero_is_not() {
        let mut ledger = Ledger::default();
        assert!(ledger.take().is_none());
        ledger.record(Timestamp(1), &sample(&[0, 50]));
        let first = ledger.take().expect("one task grew").data();
        assert_eq!(first.len(), 2, "no failed item, no datum: {first:?}");
        assert_eq!((value(&first, Metric::CompletedBytes), value(&first, Metric::TransferredObjects)), (50, 5));
        ledger.record(Timestamp(2), &sample(&[0, 50]));
        assert!(ledger.take().is_none());
        ledger.record(Timestamp(3), &sample(&[0, 170]));
        assert_eq!(value(&ledger.take().expect("it grew").data(), Metric::CompletedBytes), 120);
    }

    #[test]
    fn events_are_counted_and_their_lag_is_a_level() {
        let mut ledger = Ledger::default();
        let of = |received, applied, lag_s| TaskSample {
            task: task(1),
            engine: "s3",
            total: Amounts::default(),
            events: EventTotals { received, applied },
            lag_s,
        };
        for (at, task) in [(1, of(5, 3, Some(2))), (2, of(5, 5, Some(0))), (3, of(5, 5, None))] {
            ledger.record(Timestamp(at), &Sample { tasks: vec![task], jobs: Vec::new() });
        }
        let data = ledger.take().expect("data").data();
        assert_eq!((value(&data, Metric::ReceivedEvents), value(&data, Metric::AppliedEvents)), (5, 5));
        let lags: Vec<_> = data.iter().filter(|d| d.metric == Metric::EventLag).map(|d| (d.at.0, d.value, d.task.clone())).collect();
        assert_eq!(lags, [(1, 2, Some(task(1))), (2, 0, Some(task(1)))]);
    }

    #[test]
    fn levels_are_published_even_when_zero() {
        let mut ledger = Ledger::default();
        ledger.record(Timestamp(7), &Sample { tasks: Vec::new(), jobs: vec![JobSample { engine: "s3", running: 0, waiting: 3 }] });
        let data = ledger.take().expect("levels").data();
        let datum = |metric, value| Datum { metric, task: None, engine: "s3", at: Timestamp(7), value };
        assert_eq!(data, [datum(Metric::RunningJobs, 0), datum(Metric::WaitingJobs, 3)]);
    }

    #[test]
    fn points_keep_their_own_time_over_an_outage() {
        let mut ledger = Ledger::default();
        for minute in 1..=3 {
            ledger.record(Timestamp(minute), &sample(&[minute * 10]));
            let batch = ledger.take().expect("it grew");
            ledger.put_back(vec![batch]);
        }
        let times: Vec<_> = ledger
            .take()
            .expect("three")
            .data()
            .into_iter()
            .filter(|d| d.metric == Metric::CompletedBytes)
            .map(|d| (d.at.0, d.value))
            .collect();
        assert_eq!(times, [(1, 10), (2, 10), (3, 10)]);
    }

    #[test]
    fn a_long_outage_merges_the_oldest() {
        let mut ledger = Ledger::default();
        for minute in 1..=2_000 {
            ledger.record(Timestamp(minute), &sample(&[minute]));
        }
        assert_eq!(ledger.pending(), POINTS);
        let first = ledger.take().expect("full").data().into_iter().next().expect("a datum");
        assert_eq!((first.at, first.value), (Timestamp(561), 561), "561 minutes in one point, at the time of the last");
    }

    #[test]
    fn a_request_keeps_cloudwatch_limits() {
        let mut ledger = Ledger::default();
        ledger.record(Timestamp(1), &sample(&[1_000_000; 1_234]));
        let mut sizes = Vec::new();
        while let Some(batch) = ledger.take() {
            let data = batch.data();
            assert!(data.iter().map(Datum::size).sum::<usize>() <= BATCH_BYTES);
            sizes.push(data.len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), 1_234 * 3);
        assert!(sizes.iter().all(|n| *n <= BATCH_DATA), "{sizes:?}");
        assert!(sizes[0] > 900, "batches are filled: {sizes:?}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Grow(usize, u64),
        Restart(usize),
        Round(Vec<bool>),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..5usize, 0..1_000_000u64).prop_map(|(n, by)| Step::Grow(n, by)),
            1 => (0..5usize).prop_map(Step::Restart),
            3 => prop::collection::vec(any::<bool>(), 0..6).prop_map(Step::Round),
        ]
    }

    proptest! {
        #[test]
        fn what_is_published_is_what_was_counted_whatever_fails(steps in prop::collection::vec(step(), 0..120)) {
            // three points: merging is part of the game
            let mut ledger = Ledger { limit: 3, ..Ledger::default() };
            let (mut totals, mut counted, mut published) = ([0u64; 5], Amounts::default(), Amounts::default());
            let publish = |batch: &Batch, published: &mut Amounts| {
                let data = batch.data();
                *published = published.plus(Amounts {
                    bytes: value(&data, Metric::CompletedBytes),
                    objects: value(&data, Metric::TransferredObjects),
                    failed: value(&data, Metric::FailedObjects),
                });
            };
            for (minute, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Grow(n, by) => {
                        counted = counted.plus(total(totals[n] + by).since(total(totals[n])));
                        totals[n] += by;
                    }
                    Step::Restart(n) => totals[n] = 0,
                    Step::Round(answers) => {
                        let mut kept = Vec::new();
                        for good in answers {
                            let Some(batch) = ledger.take() else { break };
                            if good { publish(&batch, &mut published) } else { kept.push(batch) }
                        }
                        ledger.put_back(kept);
                    }
                }
                ledger.record(Timestamp(minute as u64), &sample(&totals));
            }
            while let Some(batch) = ledger.take() {
                publish(&batch, &mut published);
            }
            prop_assert_eq!(published, counted);
        }
    }
}
