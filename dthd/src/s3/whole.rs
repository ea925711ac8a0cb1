//! Whether the parts that were received make the object that the source's ETag describes.

use dth_proto::failure::{FailureClass, Side};
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use tokio::{sync::mpsc, task};
use tokio_util::task::AbortOnDropHandle;

use super::{
    copy::{Copier, mismatch},
    journal::Journal,
    layout::parts,
    metadata::ObjectInfo,
    object::{ETag, Entry},
    payload::Payload,
    verify::{Md5Sum, multipart_etags_are_md5},
};
use crate::transfer::{TransferError, budget::Held};

/// What the source's ETag can tell about an object that is copied in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// It is the MD5 of all bytes.
    Bytes(Md5Sum),
    /// It is made of the MD5s of parts, and ours are cut like the first of them.
    Parts,
    /// Nothing.
    None,
}

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
                    part.bytes.pieces().iter().for_each(|piece| md5.update(piece));
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

    async fn sum(self) -> Option<Md5Sum> {
        drop(self.parts);
        self.sum.await.ok()
    }
}

impl<J: Journal> Copier<J> {
    /// `from_the_start`: no part was sent by an earlier process, so that all bytes pass here.
    pub(super) fn witness(&self, entry: &Entry, info: &ObjectInfo, part_size: u64, from_the_start: bool) -> Witness {
        let md5 = Md5Sum::from_etag(&entry.etag).filter(|_| self.source_etags_are_md5());
        match (md5, entry.etag.parts()) {
            _ if info.opaque_etag => Witness::None,
            // a checksum that the source has stored is compared as well, and cheaper
            (Some(md5), _) if from_the_start && info.checksum.is_none() => Witness::Bytes(md5),
            (_, Some(count)) if multipart_etags_are_md5(self.source.provider()) && entry.size.div_ceil(part_size) == u64::from(count) => {
                Witness::Parts
            }
            _ => Witness::None,
        }
    }

    /// Hears the witness, before the parts become an object; answers with the method's name when it has spoken for them. `expected` is
    /// the ETag that our parts give.
    pub(super) async fn vouched(
        &self,
        entry: &Entry,
        part_size: u64,
        witness: Witness,
        whole: Option<WholeMd5>,
        expected: Option<&ETag>,
    ) -> Result<Option<&'static str>, TransferError> {
        let wrong = |what: &str| {
            let message = format!("the bytes received have the {what}, the ETag of the object says {}", entry.etag);
            Err(mismatch(Side::Source, "GetObject", message))
        };
        match (witness, whole, expected) {
            (Witness::Bytes(announced), Some(whole), _) => match whole.sum().await {
                Some(sum) if sum == announced => Ok(Some("whole-md5")),
                Some(sum) => wrong(&format!("MD5 {}", sum.hex())),
                None => Ok(None),
            },
            (Witness::Parts, _, Some(expected)) if *expected == entry.etag => Ok(Some("multipart-etag")),
            (Witness::Parts, _, Some(expected)) if self.is_cut_like_this(entry, part_size).await? => wrong(&format!("ETag {expected}")),
            _ => Ok(None),
        }
    }

    /// Whether all parts of the source have the sizes of ours: only then the ETags must agree. Asked for every part, but only when
    /// they do not.
    async fn is_cut_like_this(&self, entry: &Entry, part_size: u64) -> Result<bool, TransferError> {
        let ask = |part: super::layout::Part| async move {
            match self.source.head_part(&entry.key, part.number).await {
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
    use super::*;
    use crate::transfer::budget::Budget;

    #[tokio::test]
    async fn the_sum_is_that_of_all_bytes_and_gives_their_memory_back() {
        let budget = Budget::new(1 << 20);
        let whole = WholeMd5::begin();
        for part in ["hel", "", "lo"] {
            whole.add(Received { bytes: bytes::Bytes::from(part).into(), held: budget.take(part.len() as u64).await });
        }
        assert_eq!(whole.sum().await, Some(Md5Sum::of(b"hello")));
        assert_eq!(budget.used(), 0);
    }
}
