//! The removal of objects that the source has no more: only behind a fresh look at the source that leaves no doubt.
//!
//! A HEAD cannot tell an object that is gone from a bucket that is, so two answers are wanted: a 404 for the key, and a listing of the bucket that
//! does not have it. Whoever removes many asks for the second once for all of them.

use dth_proto::failure::{FailureClass, Side};

use super::ends::Ends;
use crate::{
    s3::{client::Bucket, object::Pin},
    store::Store,
    transfer::{TransferError, run::RunInput},
};

/// What is to become of an object of the destination.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is to be deleted, or is.
    Delete,
    /// It was gone already.
    Gone,
    /// The source has it.
    Keep,
    /// Nobody knows, or it could not be deleted: it stays.
    Fail(TransferError),
}

/// See the module.
pub(super) struct Removal {
    uid: u64,
    store: Store,
    source: Bucket,
    pub(super) destination: Bucket,
}

impl Removal {
    /// For a run between these ends.
    pub(super) fn new(input: &RunInput, ends: &Ends) -> Self {
        Self { uid: input.uid, store: input.store.clone(), source: ends.source.clone(), destination: ends.destination.clone() }
    }

    /// Which end is asked whether an object is gone.
    pub(super) fn source(&self) -> &Bucket {
        &self.source
    }

    /// Only a 404 of the source condemns an object.
    pub(super) async fn look(&self, key: &str) -> Verdict {
        match self.source.head(key, Pin::default()).await {
            Ok(_) => Verdict::Keep,
            Err(error) if is_missing(&error) => Verdict::Delete,
            Err(error) => Verdict::Fail(error),
        }
    }

    /// The same where the destination may have lost it already: in a versioned bucket another delete would make another delete marker.
    pub(super) async fn look_at_both(&self, key: &str, destination_key: &str) -> Verdict {
        match self.look(key).await {
            Verdict::Delete if self.destination.head(destination_key, Pin::default()).await.is_err_and(|error| is_missing(&error)) => {
                Verdict::Gone
            }
            verdict => verdict,
        }
    }

    /// Whether the source's bucket answers, and does not list a key that it answered 404 for.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn is_not_listed(&self, key: &str) -> Result<bool, TransferError> {
        let listed = self.source.list_some(key, None, None, Some(1)).await?;
        Ok(listed.page.first().is_none_or(|first| first.key != key))
    }

    /// Removes one object, after all that is to be asked.
    pub(super) async fn remove(&self, key: &str, destination_key: &str) -> Verdict {
        match self.look_at_both(key, destination_key).await {
            Verdict::Delete => {}
            verdict => return verdict,
        }
        match self.is_not_listed(key).await {
            Ok(true) => {}
            Ok(false) => return Verdict::Keep,
            Err(error) => return Verdict::Fail(error),
        }
        match self.destination.delete(destination_key).await {
            Ok(()) => {
                self.forget(destination_key);
                Verdict::Delete
            }
            Err(error) => Verdict::Fail(error),
        }
    }

    /// An object is removed: what was recorded of its copy is of no use any more.
    pub(super) fn forget(&self, destination_key: &str) {
        self.store.remove_pair(self.uid, destination_key);
    }
}

/// The store says that there is no such object; not that there is no such bucket, and not that nobody may know. The source is asked for a
/// key only: nothing else that it says of one is of this class.
pub(super) fn is_missing(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "NotFound" | "NoSuchKey") && (error.side == Side::Destination || error.class == FailureClass::Changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_key_is_missing() {
        for (code, class, missing) in [
            ("NotFound", FailureClass::Changed, true),
            ("NoSuchKey", FailureClass::Changed, true),
            ("NoSuchBucket", FailureClass::Permanent, false),
            ("AccessDenied", FailureClass::Auth, false),
            ("PreconditionFailed", FailureClass::Changed, false),
            ("MethodNotAllowed", FailureClass::Permanent, false),
            ("RequestTimeout", FailureClass::Transient, false),
            ("NotFound", FailureClass::Permanent, false),
        ] {
            assert_eq!(is_missing(&TransferError::new(class, Side::Source, "HeadObject", code, "")), missing, "{code}");
        }
        let there = TransferError::new(FailureClass::Permanent, Side::Destination, "HeadObject", "NotFound", "");
        assert!(is_missing(&there), "at the destination a missing object has another class");
    }
}
