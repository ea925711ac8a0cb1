//! What a consumer asks of the engine whose task has the events.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    events::{inbox::Hint, message::Reading},
    store::StoreError,
    transfer::TransferError,
};

/// What the task's engine does with items.
pub trait Apply: Send + Sync + 'static {
    /// What is said of an item.
    type Hint: Hint + Send + Sync + 'static;

    /// What a message says to this task: items by their keys.
    fn read(&self, body: &str) -> Reading<(String, Self::Hint)>;

    /// Brings the destination to the item's newest state, and enters the outcome into the books. `last`: what fails now has failed for
    /// good, and is entered as that.
    fn apply(&self, key: Arc<str>, hint: Self::Hint, last: bool) -> impl Future<Output = Applied> + Send;

    /// The queue keeps messages for so long: no event comes later than that after it happened.
    fn kept(&self, retention: Duration) -> impl Future<Output = ()> + Send {
        let _ = retention;
        std::future::ready(())
    }

    /// Makes all outcomes that were entered durable.
    fn commit(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How a turn of an item ended.
#[derive(Debug)]
pub enum Applied {
    /// Its outcome is in the books.
    Done,
    /// It failed, and may not the next time; nothing is in the books.
    Again(TransferError),
    /// The run is stopped; nothing is in the books.
    Stopped,
}
