//! A second request for the last parts of an object that one slow read would hold up.
//!
//! One connection in a hundred is ten times slower than the others. In the middle of an object nobody notices; at its end everything
//! waits for it. There, a read that takes far longer than its peers is raced by another one. Both are pinned to one generation, so
//! it does not matter which of them wins. Few such reads are allowed, so that a store that is slow as a whole gets no more load.

use std::{
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Reads that must have been seen before one is called slow.
const SAMPLES: usize = 20;
/// Newest reads that are remembered.
const REMEMBERED: usize = 256;
/// How many times the 95th percentile a slow read takes.
const SLOW: u32 = 2;
/// One second request is allowed per this many first ones (2 %), and one more.
const PER_REQUESTS: u64 = 50;

/// How often it is looked again while nothing is known yet.
const UNKNOWN: Duration = Duration::from_secs(1);
/// How often it is looked again while a slow read is not among the last ones.
const AGAIN: Duration = Duration::from_millis(50);

/// What is known of a run's reads of parts, and how many of them were raced. Decides; sends nothing.
#[derive(Debug, Default)]
struct Reads {
    /// The newest, in the order of their age modulo [`REMEMBERED`].
    took: Vec<Duration>,
    next: usize,
    begun: u64,
    raced: u64,
}

impl Reads {
    fn finished(&mut self, took: Duration) {
        if self.took.len() < REMEMBERED {
            self.took.push(took);
        } else {
            self.took[self.next] = took;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// How long a read may take until it counts as slow; `None`: too few were seen.
    fn patience(&self) -> Option<Duration> {
        if self.took.len() < SAMPLES {
            return None;
        }
        let mut sorted = self.took.clone();
        let (_, p95, _) = sorted.select_nth_unstable((self.took.len() * 95 / 100).min(self.took.len() - 1));
        Some(*p95 * SLOW)
    }

    /// Takes one second request from the budget, if there is one left.
    fn take(&mut self) -> bool {
        let allowed = self.raced < self.begun / PER_REQUESTS + 1;
        self.raced += u64::from(allowed);
        allowed
    }
}

/// See the module. One per run.
#[derive(Debug, Default)]
pub struct Hedge(Mutex<Reads>);

impl Hedge {
    /// Runs `read`; races it with another one when it turns out slow while `last` says that it is among the last ones. The first
    /// success wins; an error is told when nothing else is left to wait for. What loses is dropped.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn race<T, E, F>(&self, last: impl Fn() -> bool, read: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let began = Instant::now();
        self.reads().begun += 1;
        let mut first = pin!(read());
        loop {
            // what counts as slow is known only when enough others have ended, and what counts as last may change: look again
            let patience = self.reads().patience();
            let wait = match patience.map(|patience| patience.saturating_sub(began.elapsed())) {
                None => UNKNOWN,
                Some(Duration::ZERO) => AGAIN,
                Some(left) => left,
            };
            tokio::select! {
                biased;
                result = &mut first => return self.ended(began, result),
                () = sleep(wait) => {}
            }
            let slow = patience.is_some_and(|patience| began.elapsed() >= patience);
            if slow && last() && self.reads().take() {
                break;
            }
        }
        tracing::debug!(after = ?began.elapsed(), "a slow read is raced by another one");
        let again = Instant::now();
        let mut second = pin!(read());
        tokio::select! {
            biased;
            result = &mut first => match result {
                Ok(_) => self.ended(began, result),
                Err(_) => self.ended(again, second.await),
            },
            result = &mut second => match result {
                Ok(_) => self.ended(again, result),
                Err(_) => self.ended(began, first.await),
            },
        }
    }

    fn ended<T, E>(&self, began: Instant, result: Result<T, E>) -> Result<T, E> {
        if result.is_ok() {
            self.reads().finished(began.elapsed());
        }
        result
    }

    /// Plain numbers: they are whole also when a holder panicked.
    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn patience_follows_the_newest_reads() {
        let mut reads = Reads::default();
        for n in 1..20 {
            reads.finished(MS * n);
            assert_eq!(reads.patience(), None, "{n}");
        }
        reads.finished(MS * 20);
        assert_eq!(reads.patience(), Some(MS * 40), "19 of 20 are faster than the slowest");
        for _ in 0..REMEMBERED {
            reads.finished(MS * 3);
        }
        assert_eq!(reads.patience(), Some(MS * 6), "what is long ago is forgotten");
        for _ in 0..REMEMBERED / 25 {
            reads.finished(MS * 100);
        }
        assert_eq!(reads.patience(), Some(MS * 6), "4 % are outliers");
    }

    #[test]
    fn the_budget_is_one_and_two_in_a_hundred() {
        for (begun, allowed) in [(1, 1), (49, 1), (50, 2), (100, 3), (1_000, 21)] {
            let mut reads = Reads { begun, ..Reads::default() };
            let taken = (0..100).filter(|_| reads.take()).count();
            assert_eq!(taken, allowed, "{begun}");
        }
    }

    /// A store whose reads take 10 ms, but for some that never answer.
    async fn read(hedge: &Hedge, asked: &AtomicU32, hangs: &[u32], last: bool) -> Result<u32, String> {
        let get = || async {
            let n = asked.fetch_add(1, Ordering::Relaxed);
            if hangs.contains(&n) {
                pending::<()>().await;
            }
            sleep(MS * 10).await;
            Ok(n)
        };
        hedge.race(|| last, get).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_at_the_end_is_overtaken() {
        let (hedge, asked) = (Hedge::default(), AtomicU32::new(0));
        for n in 0..30 {
            assert_eq!(read(&hedge, &asked, &[30, 32], true).await, Ok(n));
        }
        let began = Instant::now();
        assert_eq!(read(&hedge, &asked, &[30, 32], true).await, Ok(31), "the second request wins");
        assert!(began.elapsed() < MS * 100, "{:?}", began.elapsed());
        let exhausted = tokio::time::timeout(Duration::from_secs(60), read(&hedge, &asked, &[30, 32], true)).await;
        assert!(exhausted.is_err(), "31 requests allow one more, and it has been used");
        assert_eq!(asked.load(Ordering::Relaxed), 33);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_raced_in_the_middle_or_before_enough_is_known() {
        for (seen, last) in [(30, false), (5, true)] {
            let (hedge, asked) = (Hedge::default(), AtomicU32::new(0));
            for n in 0..seen {
                assert_eq!(read(&hedge, &asked, &[seen], last).await, Ok(n));
            }
            let hanging = tokio::time::timeout(Duration::from_secs(60), read(&hedge, &asked, &[seen], last)).await;
            assert!(hanging.is_err());
            assert_eq!(asked.load(Ordering::Relaxed), seen + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_told_only_when_the_other_read_fails_too() {
        for (second, expected) in [(Ok(7), Ok(7)), (Err("second"), Err("first"))] {
            let (hedge, asked) = (Hedge::default(), AtomicU32::new(0));
            for _ in 0..30 {
                assert!(read(&hedge, &asked, &[], true).await.is_ok());
            }
            let turn = AtomicU32::new(0);
            let get = || async {
                // the first is slow and fails long after the second has ended
                if turn.fetch_add(1, Ordering::Relaxed) == 0 {
                    sleep(if second.is_ok() { MS * 25 } else { MS * 500 }).await;
                    return Err("first");
                }
                sleep(MS * 10).await;
                second
            };
            assert_eq!(hedge.race(|| true, get).await, expected);
        }
    }
}
