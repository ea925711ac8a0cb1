//! What is asked about an object as a whole while its parts are sent: its MD5, and how the source is cut.

use dth_proto::failure::FailureClass;
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use tokio::{sync::mpsc, task};
use tokio_util::task::AbortOnDropHandle;

use super::{copy::Copier, journal::Journal, layout::parts, object::Entry, payload::Payload, verify::Md5Sum};
use crate::transfer::{TransferError, budget::Held};

/// The bytes of one part, with the memory they hold.
pub(super) struct Received {
    pub(super) bytes: Payload,
    pub(super) held: Held,
}

/// The MD5 of a whole object, computed beside the sending of its parts.
pub(super) struct WholeMd5 {
    parts: mpsc::UnboundedSender<Received>,
    sum: AbortOnDropHandle<Md5Sum>,
}

impl WholeMd5 {
    pub(super) fn begin() -> Self {
        // what waits here holds its share of the memory budget
        let (parts, mut received) = mpsc::unbounded_channel::<Received>();
        let sum = task::spawn(async move {
            let mut md5 = Md5::new();
            while let Some(part) = received.recv().await {
                let add = move |mut md5: Md5| {
                    for piece in part.bytes.pieces() {
                        md5.update(piece);
                    }
                    drop(part.held);
                    md5
                };
                let before = md5.clone();
                // it is not run only when the runtime is going down: whoever waits for the sum is gone as well
                md5 = task::spawn_blocking(move || add(before)).await.unwrap_or(md5);
            }
            Md5Sum(md5.finalize().into())
        });
        Self { parts, sum: AbortOnDropHandle::new(sum) }
    }

    /// Parts come in order.
    pub(super) fn add(&self, part: Received) {
        // the task ends only after this sender
        let _ = self.parts.send(part);
    }

    /// The MD5; `None` when the runtime is going down.
    pub(super) async fn sum(self) -> Option<Md5Sum> {
        drop(self.parts);
        self.sum.await.ok()
    }
}

impl<J: Journal> Copier<J> {
    /// Whether all parts of the source have the sizes of ours: only then the ETags must agree. Asked for every part, but only when
    /// they do not.
    pub(super) async fn is_cut_like_this(&self, entry: &Entry, part_size: u64) -> Result<bool, TransferError> {
        let ask = |part: super::layout::Part| async move {
            match self.source.head_part(&entry.key, entry.version.as_deref(), part.number).await {
                Ok(info) => Ok(info.size == part.len),
                Err(error) if error.class == FailureClass::Permanent => Ok(false),
                Err(error) => Err(error),
            }
        };
        let answers = stream::iter(parts(entry.size, part_size)).map(ask).buffer_unordered(self.parts.max(1));
        answers.try_all(|like_this| async move { like_this }).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transfer::budget::Budget;

    #[tokio::test]
    async fn the_sum_is_that_of_all_bytes_and_gives_their_memory_back() {
        let budget = Budget::new(1 << 20);
        let whole = WholeMd5::begin();
        for part in ["hel", "", "lo"] {
            whole.add(Received { bytes: Bytes::from(part).into(), held: budget.take(part.len() as u64).await });
        }
        assert_eq!(whole.sum().await, Some(Md5Sum::of(b"hello")));
        assert_eq!(budget.used(), 0);
    }
}
