//! The end of messages: what they said is durable, then they are deleted.

use tokio::time::sleep;

use super::{
    Apply, Owner,
    receive::{Keeps, backoff},
};
use crate::{
    events::{inbox::Finished, queue::Queue},
    store::StoreError,
};

/// Tries to delete messages that are done; after that the queue will give them again, which costs a comparison.
const DELETES: u32 = 5;

/// Makes outcomes durable, then deletes the messages that asked for them.
pub(super) async fn settle<A: Apply>(queue: &Queue, apply: &A, owner: &Owner, finished: Vec<Finished<Keeps>>) -> Result<(), StoreError> {
    apply.commit().await?;
    owner.totals.events.applied(finished.len() as u64);
    let handles: Vec<String> = finished.iter().map(|finished| finished.handle.clone()).collect();
    delete(queue, owner, &handles).await;
    Ok(())
}

/// Deletes messages, with patience. What stays comes again.
pub(super) async fn delete(queue: &Queue, owner: &Owner, handles: &[String]) {
    for attempt in 1..=DELETES {
        match queue.delete(handles).await {
            Ok(left) => {
                if left > 0 {
                    tracing::debug!(left, "messages were not deleted: they come again");
                }
                owner.fine("DeleteMessage");
                return;
            }
            Err(error) => {
                owner.trouble("DeleteMessage", &error);
                sleep(backoff(attempt)).await;
            }
        }
    }
}
