//! Requests that wait for messages, while there is room for them; and patience with a queue that does not answer.

use std::{sync::Arc, time::Duration};

use dth_proto::failure::FailureClass;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{HOLD, Owner};
use crate::events::queue::{Attributes, BATCH, Queue, QueueError, Received};

/// Waits between requests to a queue that does not answer: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The room that a message takes until it is settled.
pub(super) type Keeps = OwnedSemaphorePermit;

/// What a receiver got, with the room it takes.
pub(super) struct Batch {
    pub(super) messages: Vec<Received>,
    pub(super) room: Keeps,
}

/// One of those who receive.
pub(super) struct Receiver {
    pub(super) queue: Queue,
    pub(super) room: Arc<Semaphore>,
    pub(super) owner: Arc<Owner>,
    pub(super) halt: CancellationToken,
}

impl Receiver {
    /// Receives while there is room. One does always; the others help (`helps`) while whole batches come.
    pub(super) async fn receive(self, send: mpsc::Sender<Batch>, busy: Arc<watch::Sender<bool>>, mut helps: Option<watch::Receiver<bool>>) {
        let mut failed = 0;
        loop {
            let ready = async {
                if let Some(helps) = &mut helps {
                    let _ = helps.wait_for(|busy| *busy).await;
                }
                Arc::clone(&self.room).acquire_many_owned(BATCH as u32).await
            };
            let Some(Ok(room)) = self.halt.run_until_cancelled(ready).await else { return };
            match self.queue.receive(HOLD).await {
                Ok(messages) => {
                    failed = 0;
                    self.owner.fine("ReceiveMessage");
                    let is_full = messages.len() >= BATCH;
                    busy.send_if_modified(|busy| std::mem::replace(busy, is_full) != is_full);
                    if !messages.is_empty() && send.send(Batch { messages, room }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    failed += 1;
                    self.owner.trouble("ReceiveMessage", &error);
                    if self.halt.run_until_cancelled(sleep(backoff(failed))).await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// What the queue says of itself; asked until it is known. `None`: it may not be asked.
pub(super) async fn attributes(queue: Queue) -> Option<Attributes> {
    let mut failed = 0;
    loop {
        match queue.attributes().await {
            Ok(attributes) => return Some(attributes),
            Err(QueueError::Request { class: FailureClass::Auth, .. }) => return None,
            Err(_) => {
                failed += 1;
                sleep(backoff(failed)).await;
            }
        }
    }
}

/// Doubles from the first to the longest wait; half of it by chance.
pub(super) fn backoff(failed: u32) -> Duration {
    let bound = BACKOFF.0.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(BACKOFF.1);
    bound.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_down_is_asked_less_and_less_often() {
        for (failed, least, most) in [(1, 100, 200), (2, 200, 400), (6, 3_200, 6_400), (20, 5_000, 10_000), (u32::MAX, 5_000, 10_000)] {
            let wait = backoff(failed).as_millis();
            assert!((least..=most).contains(&wait), "{failed}: {wait} ms");
        }
    }
}
