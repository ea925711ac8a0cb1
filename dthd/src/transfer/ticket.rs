//! Who wants to know what became of an item that is on its way to the workers.

use dth_proto::failure::FailureClass;
use tokio::sync::oneshot;

use super::TransferError;

/// What became of it.
#[derive(Debug)]
pub enum Told {
    /// It is copied, or need not be; that is in the books.
    Done,
    /// It was given up; that is in the books.
    GivenUp,
    /// It vanished at the source; nothing is in the books.
    Vanished,
    /// It failed, and may not the next time; nothing is in the books.
    Failed(TransferError),
}

/// Dropped without a word: the run is stopped.
#[derive(Debug)]
pub struct Ticket {
    last: bool,
    tell: oneshot::Sender<Told>,
}

impl Ticket {
    /// A ticket, and where it is answered. `last`: what fails now is given up.
    #[must_use]
    pub fn new(last: bool) -> (Self, oneshot::Receiver<Told>) {
        let (tell, told) = oneshot::channel();
        (Self { last, tell }, told)
    }

    /// Whether a failure goes back to whoever asked, instead of into the books.
    #[must_use]
    pub fn takes_back(&self, error: &TransferError) -> bool {
        !self.last && may_pass(error)
    }

    /// Says what became of it.
    pub fn tell(self, told: Told) {
        // who asked may have gone with the run
        let _ = self.tell.send(told);
    }
}

/// Whether time may heal a failure: rights can be given, and an object that changes comes to rest.
#[must_use]
pub fn may_pass(error: &TransferError) -> bool {
    error.is_retryable() || matches!(error.class, FailureClass::Auth | FailureClass::Changed)
}
