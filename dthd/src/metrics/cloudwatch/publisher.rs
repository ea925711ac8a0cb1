//! The task that samples and sends, at every interval and once more at the end.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{CloudWatchSink, PutError},
    health::Health,
    ledger::{Batch, Ledger, Sample},
};
use crate::{clock, config};

/// How long [`Publisher::shutdown`] may take.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// Where the numbers come from. Called from the publisher's own task, so it must be quick and take no lock that a transfer holds for long.
pub trait Source: Send + Sync + 'static {
    /// Totals and levels now.
    fn sample(&self) -> Sample;
}

/// Where they go.
pub(super) trait Sink: Send + Sync + 'static {
    fn put(&self, batch: &Batch) -> impl Future<Output = Result<(), PutError>> + Send;
}

/// A handle on the running publisher. Dropped without [`Publisher::shutdown`], it stops without the last flush.
#[derive(Debug)]
pub struct Publisher {
    stop: CancellationToken,
    health: watch::Receiver<Health>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts to publish every `config.interval`, the first time at once. It has a task of its own and never blocks a caller.
    #[must_use]
    pub fn spawn(config: &config::CloudWatch, client: aws_sdk_cloudwatch::Client, source: Arc<dyn Source>) -> Self {
        let region = client.config().region().map_or("(no region)", AsRef::as_ref);
        let target = format!("CloudWatch {region} {:?}", config.namespace);
        let sink = CloudWatchSink { namespace: config.namespace.clone(), client };
        Self::start(target, config.interval, sink, source)
    }

    fn start(target: String, every: Duration, sink: impl Sink, source: Arc<dyn Source>) -> Self {
        let (health, seen) = watch::channel(Health { target, ..Health::default() });
        let stop = CancellationToken::new();
        let worker = Worker { ledger: Ledger::default(), sink, source, health, stop: stop.clone() };
        Self { stop, health: seen, task: tokio::spawn(worker.work(every)) }
    }

    /// How publishing is going.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Follows how publishing is going.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Samples and sends a last time, in at most 5 s; what cannot be sent by then is lost with the process.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if timeout(LAST_FLUSH, &mut self.task).await.is_err() {
            tracing::warn!("metrics: the last {} points could not be published within {LAST_FLUSH:?}", self.health().buffered);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker<S> {
    ledger: Ledger,
    sink: S,
    source: Arc<dyn Source>,
    health: watch::Sender<Health>,
    stop: CancellationToken,
}

impl<S: Sink> Worker<S> {
    async fn work(mut self, every: Duration) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.round().await;
        }
        self.round().await;
    }

    /// One sample, and everything that waits.
    async fn round(&mut self) {
        let sample = self.source.sample();
        self.ledger.record(clock::now(), &sample);
        // seen by a shutdown that runs out of time
        self.health.send_modify(|health| health.buffered = self.ledger.pending());
        let error = self.send().await;
        let (pending, failing) = (self.ledger.pending(), self.health.borrow().failing.is_some());
        // an outage of a day is two lines, not one a minute
        match &error {
            Some(error) if !failing => tracing::warn!("metrics: {error}; points are kept for the next try"),
            None if failing => tracing::info!("metrics: published again, {pending} points wait"),
            _ => tracing::debug!("metrics: {pending} points wait"),
        }
        self.health.send_modify(|health| health.round(clock::now(), pending, error.map(|e| e.to_string())));
    }

    /// Sends batch after batch; one that is refused does not hold the others up, one without an answer ends the round.
    async fn send(&mut self) -> Option<PutError> {
        let (mut kept, mut first) = (Vec::new(), None);
        while let Some(batch) = self.ledger.take() {
            let Err(error) = self.sink.put(&batch).await else { continue };
            kept.push(batch);
            let unreachable = matches!(error, PutError::Unreachable(_));
            first.get_or_insert(error);
            if unreachable {
                break;
            }
        }
        self.ledger.put_back(kept);
        first
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use dth_proto::id::TaskName;

    use super::{
        super::ledger::{EventTotals, TaskSample},
        *,
    };
    use crate::metrics::Amounts;

    #[derive(Default)]
    struct Counter(AtomicU64);

    impl Source for Counter {
        fn sample(&self) -> Sample {
            let bytes = self.0.load(Ordering::SeqCst);
            let total = Amounts { bytes, ..Amounts::default() };
            let (task, events) = (TaskName::new("t").expect("a name"), EventTotals::default());
            Sample { tasks: vec![TaskSample { task, engine: "s3", total, events, lag_s: None }], jobs: Vec::new() }
        }
    }

    /// Counts what arrives; `broken` is what it answers instead.
    #[derive(Clone, Default)]
    struct Fake {
        published: Arc<AtomicU64>,
        broken: Arc<Mutex<Option<PutError>>>,
    }

    impl Sink for Fake {
        async fn put(&self, batch: &Batch) -> Result<(), PutError> {
            if let Some(error) = self.broken.lock().expect("not poisoned").clone() {
                return Err(error);
            }
            self.published.fetch_add(batch.data().iter().map(|d| d.value).sum(), Ordering::SeqCst);
            Ok(())
        }
    }

    async fn until(publisher: &mut Publisher, condition: impl FnMut(&Health) -> bool) -> Health {
        let waited = timeout(Duration::from_secs(20), publisher.health.wait_for(condition)).await;
        waited.expect("in time").expect("the publisher runs").clone()
    }

    #[tokio::test]
    async fn an_outage_loses_nothing() {
        let (source, sink) = (Arc::new(Counter::default()), Fake::default());
        let mut publisher = Publisher::start("fake".to_owned(), Duration::from_millis(2), sink.clone(), source.clone());
        source.0.store(100, Ordering::SeqCst);
        until(&mut publisher, |_| sink.published.load(Ordering::SeqCst) == 100).await;

        *sink.broken.lock().expect("not poisoned") = Some(PutError::Unreachable("no route".to_owned()));
        source.0.store(250, Ordering::SeqCst);
        let failing = until(&mut publisher, |h| h.failing.is_some() && h.buffered == 1).await;
        assert_eq!(failing.failing.map(|f| f.error), Some("PutMetricData: no route".to_owned()));
        source.0.store(300, Ordering::SeqCst);
        until(&mut publisher, |h| h.buffered == 2).await;

        *sink.broken.lock().expect("not poisoned") = None;
        until(&mut publisher, |h| h.failing.is_none() && h.buffered == 0).await;
        assert_eq!(sink.published.load(Ordering::SeqCst), 300);
    }

    #[tokio::test]
    async fn the_last_flush_takes_what_came_after_the_last_interval() {
        let (source, sink) = (Arc::new(Counter::default()), Fake::default());
        let mut publisher = Publisher::start("fake".to_owned(), Duration::from_secs(3600), sink.clone(), source.clone());
        until(&mut publisher, |h| h.last_ok.is_some()).await;
        source.0.store(77, Ordering::SeqCst);
        publisher.shutdown().await;
        assert_eq!(sink.published.load(Ordering::SeqCst), 77);
    }
}
