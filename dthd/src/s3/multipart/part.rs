//! The parts of one copy: read, hashed where the plan says so, sent, and looked at again when they turn out wrong.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use dth_proto::failure::Side;
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::{
    s3::{
        client::{CopyFrom, UploadedPart},
        copy::{Copier, CopyError, SENDS, is_digest, mismatch},
        journal::Journal,
        layout::{Part, parts},
        object::{ETag, Entry},
        payload::Payload,
        verify::{
            self, Algorithm, Checksum, Md5Sum, StoredChecksum, multipart_etag,
            plan::{Guard, MultipartPlan},
        },
        whole::{Received, WholeMd5},
    },
    transfer::{TransferError, budget::Held, progress::ItemProgress},
};

/// A part the destination has, and what is known about its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) size: u64,
    pub(super) etag: ETag,
    /// Computed here, or what the destination says by an ETag that is known to be one.
    pub(super) md5: Option<Md5Sum>,
    /// Likewise.
    pub(super) checksum: Option<StoredChecksum>,
    /// The one that the upload was created for.
    pub(super) kept: Option<Checksum>,
}

/// A part that is done: its number, what is known of it, and its bytes where they passed here.
type Done = (u32, Sent, Option<Received>);

/// What all parts of a copy share.
pub(super) struct Job<'a> {
    pub(super) entry: &'a Entry,
    pub(super) key: &'a str,
    pub(super) id: &'a str,
    pub(super) plan: MultipartPlan,
    /// The store copies the parts by itself.
    pub(super) by_store: bool,
    pub(super) progress: &'a ItemProgress,
    /// Parts that the destination does not have.
    pub(super) left: AtomicUsize,
    /// The destination's ETags do not tell what arrived, or told that it was wrong: every part goes with its MD5.
    pub(super) hash: AtomicBool,
}

/// Which of the parts a store has can stay: those with the number and size the layout gives them. The last one listed wins.
/// `etags_are_md5`: those of the store's parts.
pub(super) fn usable(listed: Vec<UploadedPart>, size: u64, part_size: u64, etags_are_md5: bool) -> BTreeMap<u32, Sent> {
    let count = size.div_ceil(part_size.max(1));
    listed
        .into_iter()
        .filter(|p| {
            let start = u64::from(p.number).saturating_sub(1) * part_size;
            p.number > 0 && u64::from(p.number) <= count && p.size == part_size.min(size - start)
        })
        .map(|p| {
            let md5 = Md5Sum::from_etag(&p.etag).filter(|_| etags_are_md5);
            let checksum = p.checksum.and_then(|kept| kept.crc());
            (p.number, Sent { size: p.size, md5, etag: p.etag, checksum, kept: p.checksum })
        })
        .collect()
}

/// The checksum of all parts together, when each has one of this kind.
pub(super) fn combined(plan: &MultipartPlan, sent: &BTreeMap<u32, Sent>) -> Option<StoredChecksum> {
    let crc = plan.computed().1?;
    let parts: Option<Vec<(u64, u64)>> =
        sent.values().map(|p| p.checksum.filter(|stored| stored.crc == crc).map(|stored| (stored.value, p.size))).collect();
    Some(StoredChecksum { crc, value: crc.combine(parts?) })
}

/// The checksum of all parts together that the upload was created for, when it is a CRC and each part has one.
pub(super) fn combined_kept(plan: &MultipartPlan, sent: &BTreeMap<u32, Sent>) -> Option<StoredChecksum> {
    let Algorithm::Crc(crc) = plan.algorithm()? else { return None };
    let part = |p: &Sent| p.kept.and_then(|kept| kept.crc()).filter(|kept| kept.crc == crc).map(|kept| (kept.value, p.size));
    let parts: Option<Vec<(u64, u64)>> = sent.values().map(part).collect();
    Some(StoredChecksum { crc, value: crc.combine(parts?) })
}

/// The ETag that the parts give, when the MD5 of each is known.
pub(super) fn expected(sent: &BTreeMap<u32, Sent>) -> Option<ETag> {
    let md5s: Option<Vec<Md5Sum>> = sent.values().map(|p| p.md5).collect();
    md5s.map(|md5s| multipart_etag(&md5s))
}

impl<J: Journal> Copier<J> {
    /// Sends parts side by side until all are sent or `stop` says so. In order, where their bytes are hashed as a whole.
    pub(super) async fn send(
        &self,
        job: &Job<'_>,
        missing: Vec<Part>,
        stop: &CancellationToken,
        whole: Option<&WholeMd5>,
        sent: &mut BTreeMap<u32, Sent>,
    ) -> Result<(), TransferError> {
        let parallel = self.parts.max(1);
        let sending = stream::iter(missing).take_until(stop.cancelled()).map(|part| async move {
            if job.by_store { Box::pin(self.part_by_store(job, part)).await } else { self.part(job, part).await }
        });
        let mut sending = pin!(match whole {
            Some(_) => sending.buffered(parallel).left_stream(),
            None => sending.buffer_unordered(parallel).right_stream(),
        });
        while let Some((number, part, received)) = sending.try_next().await? {
            sent.insert(number, part);
            if let Some((whole, received)) = whole.zip(received) {
                whole.add(received);
            }
        }
        Ok(())
    }

    /// Reads and sends one part. Its bytes are held from the budget from before the first is read until the last is accepted.
    async fn part(&self, job: &Job<'_>, part: Part) -> Result<Done, TransferError> {
        let (bytes, held) = self.read(job, part).await?;
        let sent = self.upload(job, part, &bytes).await?;
        job.left.fetch_sub(1, Relaxed);
        job.progress.add(part.len);
        Ok((part.number, sent, Some(Received { bytes, held })))
    }

    /// Lets the store copy one part.
    async fn part_by_store(&self, job: &Job<'_>, part: Part) -> Result<Done, TransferError> {
        let from = CopyFrom { bucket: &self.source, key: &job.entry.key, pin: job.entry.pin() };
        let put = self.destination.copy_part(job.key, job.id, part.number, from, &part.range()).await?;
        job.left.fetch_sub(1, Relaxed);
        job.progress.add(part.len);
        let md5 = Md5Sum::from_etag(&put.etag).filter(|_| !put.opaque_etag && self.destination.profile().multipart_etag_is_md5);
        let sent = Sent { size: part.len, md5, etag: put.etag, checksum: put.checksum.and_then(|sum| sum.crc()), kept: put.checksum };
        Ok((part.number, sent, None))
    }

    /// Reads one part; a read that is slow at the end of the object is raced by another one, with memory and bandwidth of its own.
    async fn read(&self, job: &Job<'_>, part: Part) -> Result<(Payload, Held), TransferError> {
        let held = self.budget.take(part.len).await;
        self.bandwidth.take(part.len).await;
        let first = AtomicBool::new(true);
        let read = || {
            let first = first.swap(false, Relaxed);
            async move {
                let mut more = None;
                if !first {
                    more = Some(self.budget.take(part.len).await);
                    self.bandwidth.take(part.len).await;
                }
                let got = self.source.get_range(&job.entry.key, job.entry.pin(), part.range()).await?;
                Ok::<_, TransferError>((got.body, more))
            }
        };
        let (bytes, more) = self.hedge.race(|| job.left.load(Relaxed) < self.parts.max(1), read).await?;
        Ok((bytes, more.unwrap_or(held)))
    }

    /// Sends one part, with what makes the destination refuse other bytes.
    async fn upload(&self, job: &Job<'_>, part: Part, bytes: &Payload) -> Result<Sent, TransferError> {
        let (md5, crc) = job.plan.computed();
        let mut sums = verify::sums(bytes, md5 || job.hash.load(Relaxed), crc).await;
        let checksum = crc.zip(sums.crc).map(|(crc, value)| StoredChecksum { crc, value });
        let guard = checksum.filter(|_| job.plan.crc().is_some()).map(Checksum::from);
        let guard = match job.plan.extra {
            Some(extra) => Some(extra.of(bytes).await),
            None => guard,
        };
        let mut sends = 0;
        loop {
            sends += 1;
            let put = self.destination.upload_part(job.key, job.id, part.number, bytes, sums.md5.as_ref(), guard.as_ref()).await;
            let error = match put {
                Ok(put) => {
                    let told = Md5Sum::from_etag(&put.etag).filter(|_| !put.opaque_etag);
                    match verify::accepted(&put, sums.md5, guard) {
                        Ok(()) if job.plan.guard == Guard::Etag && sums.md5.or(told).is_none() => {
                            job.hash.store(true, Relaxed);
                            sums = verify::sums(bytes, true, crc).await;
                            continue;
                        }
                        Ok(()) => return Ok(Sent { size: part.len, md5: sums.md5.or(told), etag: put.etag, checksum, kept: guard }),
                        Err(message) => mismatch(Side::Destination, "UploadPart", message),
                    }
                }
                Err(error) if is_digest(&error) => error,
                Err(error) => return Err(error),
            };
            if sends >= SENDS {
                return Err(error);
            }
        }
    }

    /// Reads all parts again after the destination's ETags did not give the source's, and sends again those that are not there as
    /// they are read now.
    pub(super) async fn look_again(
        &self,
        job: &Job<'_>,
        part_size: u64,
        stop: &CancellationToken,
        sent: &mut BTreeMap<u32, Sent>,
    ) -> Result<(), CopyError> {
        tracing::debug!(key = ?job.entry.key, "the parts do not give the ETag of the source: they are read again");
        job.hash.store(true, Relaxed);
        let known: BTreeMap<u32, Option<Md5Sum>> = sent.iter().map(|(number, part)| (*number, part.md5)).collect();
        let look = |part: Part| {
            let there = known.get(&part.number).copied().flatten();
            async move {
                let (bytes, _held) = self.read(job, part).await?;
                let now = verify::sums(&bytes, true, None).await.md5;
                let wrong = if now == there { None } else { Some(self.upload(job, part, &bytes).await?) };
                Ok::<_, TransferError>((part.number, wrong))
            }
        };
        let all = stream::iter(parts(job.entry.size, part_size)).take_until(stop.cancelled());
        let mut looking = pin!(all.map(look).buffer_unordered(self.parts.max(1)));
        let mut seen = 0;
        while let Some((number, again)) = looking.try_next().await? {
            seen += 1;
            sent.extend(again.map(|again| (number, again)));
        }
        if seen < sent.len() { Err(CopyError::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn listed(number: u32, size: u64, etag: &str) -> UploadedPart {
        UploadedPart { number, size, etag: ETag::new(etag), checksum: None }
    }

    #[test]
    fn parts_that_can_stay() {
        let md5 = "5d41402abc4b2a76b9719d911017c592";
        let all = vec![
            listed(1, 8 * MIB, md5),
            listed(2, 7 * MIB, md5),
            listed(3, 4 * MIB, "opaque"),
            listed(4, 8 * MIB, md5),
            listed(0, 8 * MIB, md5),
        ];
        let kept = usable(all.clone(), 20 * MIB, 8 * MIB, true);
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [1, 3], "2 has the wrong size, 4 and 0 are no parts of the object");
        assert_eq!(kept[&1].md5.map(|m| m.hex()).as_deref(), Some(md5));
        assert_eq!(kept[&3].md5, None);
        assert_eq!(usable(all, 20 * MIB, 8 * MIB, false)[&1].md5, None, "with KMS an ETag only looks like an MD5");
    }
}
