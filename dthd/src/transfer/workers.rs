//! Works on what comes through two queues, many at a time, each by itself: one that fails, or panics, never ends the others.

use std::{future::Future, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long what is in flight may take when it is told to stop: small items finish, large ones continue later from what they have sent.
const GRACE: Duration = Duration::from_secs(3);

/// What is to be worked on.
pub struct Queues<T> {
    /// What was listed.
    pub listed: mpsc::Receiver<T>,
    /// What goes before that: somebody waits for it.
    pub urgent: mpsc::Receiver<T>,
}

/// Works at most on as many at a time as `most` says, which is asked again and again, until both queues are closed and empty, or until
/// `stop`: then what is in flight has a moment to finish, and the rest is left. When this returns, nothing is in flight.
pub async fn work_off<T, F>(queues: Queues<T>, most: impl Fn() -> usize, stop: &CancellationToken, act: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Queues { mut listed, mut urgent } = queues;
    let mut flying = JoinSet::new();
    let (mut open, mut open_urgent) = (true, true);
    while open || open_urgent || !flying.is_empty() {
        let has_room = flying.len() < most();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = flying.join_next() => {}
            item = urgent.recv(), if open_urgent && has_room => match item {
                Some(item) => drop(flying.spawn(act(item))),
                None => open_urgent = false,
            },
            item = listed.recv(), if open && has_room => match item {
                Some(item) => drop(flying.spawn(act(item))),
                None => open = false,
            },
        }
    }
    let finished = async { while flying.join_next().await.is_some() {} };
    if timeout(GRACE, finished).await.is_err() {
        flying.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::pending,
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    use tokio::{task::yield_now, time::sleep};

    use super::*;

    fn queue<T>(items: impl IntoIterator<Item = T>) -> mpsc::Receiver<T> {
        let (send, queue) = mpsc::channel(100);
        items.into_iter().for_each(|item| send.try_send(item).unwrap_or_else(|_| panic!("there is room")));
        queue
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_ones_go_first_and_no_more_than_the_most_at_a_time() {
        let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
        let now = Arc::new(AtomicUsize::new(0));
        let (asked, highest) = (Cell::new(0), Arc::new(AtomicUsize::new(0)));
        let queues = Queues { listed: queue(0..6), urgent: queue(10..13) };
        let most = || {
            asked.set(asked.get() + 1);
            2
        };
        work_off(queues, most, &CancellationToken::new(), |n| {
            let (seen, now, highest) = (Arc::clone(&seen), Arc::clone(&now), Arc::clone(&highest));
            async move {
                seen.lock().expect("whole").push(n);
                highest.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(Duration::from_millis(1)).await;
                now.fetch_sub(1, SeqCst);
            }
        })
        .await;
        assert_eq!(*seen.lock().expect("whole"), [10, 11, 12, 0, 1, 2, 3, 4, 5]);
        assert_eq!((highest.load(SeqCst), now.load(SeqCst)), (2, 0));
        // per item once when it begins and once when it ends, and for the ends of two queues: the windows behind it have locks
        assert!(asked.get() <= 9 * 2 + 2, "asked {} times", asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_ends_by_itself() {
        let done = Arc::new(AtomicUsize::new(0));
        let queues = Queues { listed: queue(0..5), urgent: queue([]) };
        work_off(
            queues,
            || 9,
            &CancellationToken::new(),
            |n| {
                let done = Arc::clone(&done);
                async move {
                    assert_ne!(n, 2, "a defect");
                    done.fetch_add(1, SeqCst);
                }
            },
        )
        .await;
        assert_eq!(done.load(SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waits_a_moment_and_leaves_nothing_in_flight() {
        struct Flying(Arc<AtomicUsize>);
        impl Drop for Flying {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        let (flying, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stop = CancellationToken::new();
        let (send, listed) = mpsc::channel(100);
        (0..9).for_each(|n| send.try_send(n).expect("room"));
        let began = tokio::time::Instant::now();
        let working = work_off(
            Queues { listed, urgent: queue([]) },
            || 2,
            &stop,
            |n| {
                flying.fetch_add(1, SeqCst);
                let (inside, done) = (Flying(Arc::clone(&flying)), Arc::clone(&done));
                async move {
                    let _inside = inside;
                    if n > 0 {
                        pending::<()>().await;
                    }
                    sleep(GRACE / 2).await;
                    done.fetch_add(1, SeqCst);
                }
            },
        );
        let stopping = async {
            while flying.load(SeqCst) < 2 {
                yield_now().await;
            }
            stop.cancel();
        };
        tokio::join!(working, stopping);
        assert_eq!((flying.load(SeqCst), done.load(SeqCst), began.elapsed()), (0, 1, GRACE));
        assert!(send.is_closed(), "the rest is left");
    }
}
