//! Copies one object by parts, so that a restart continues it and nothing is left behind.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use dth_proto::failure::{FailureClass, Side};
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    client::UploadedPart,
    copy::{Copied, Copier, CopyError, CopyRequest, READS, is_digest, mismatch},
    journal::{Journal, Upload},
    layout::{Layout, Part, PartLimits, layout, parts, uniform},
    metadata::ObjectInfo,
    object::{ETag, Entry},
    verify::{self, Crc, Md5Sum, multipart_etag, multipart_word, wrongly_assembled},
    whole::{Received, WholeMd5, Witness},
};
use crate::{
    clock,
    transfer::{TransferError, progress::ItemProgress},
};

/// Clocks of stores count in seconds.
const SLACK: Duration = Duration::from_secs(2);

/// How often an upload that is lost, or holds wrong bytes, is begun again.
const RESTARTS: u32 = 2;

/// A part the destination has, and what is known about its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    size: u64,
    etag: ETag,
    /// `None`: sent by an earlier process, and the ETag is no MD5.
    md5: Option<Md5Sum>,
    /// `None`: sent by an earlier process, or not asked for.
    crc: Option<u64>,
}

/// What all parts of a copy share.
struct Job<'a> {
    entry: &'a Entry,
    key: &'a str,
    id: &'a str,
    crc: Option<Crc>,
    progress: &'a ItemProgress,
}

/// The upload is not there any more.
fn is_no_upload(error: &TransferError) -> bool {
    error.side == Side::Destination && matches!(error.code.as_str(), "NoSuchUpload" | "NotFound")
}

/// Which of the parts a store has can stay: those with the number and size the layout gives them. The last one listed wins.
fn usable(listed: Vec<UploadedPart>, size: u64, part_size: u64) -> BTreeMap<u32, Sent> {
    let count = size.div_ceil(part_size.max(1));
    listed
        .into_iter()
        .filter(|p| {
            let start = u64::from(p.number).saturating_sub(1) * part_size;
            p.number > 0 && u64::from(p.number) <= count && p.size == part_size.min(size - start)
        })
        .map(|p| (p.number, Sent { size: p.size, md5: Md5Sum::from_etag(&p.etag), etag: p.etag, crc: None }))
        .collect()
}

impl<J: Journal> Copier<J> {
    /// By parts; see the module.
    pub(super) async fn multipart(&self, entry: &Entry, request: CopyRequest<'_>) -> Result<Copied, CopyError> {
        let key = request.destination_key;
        let info = self.source.head(&entry.key, Some(&entry.etag)).await?;
        if info.etag != entry.etag || info.size != entry.size {
            let message = format!("asked for the generation {}, got {}", entry.etag, info.etag);
            return Err(TransferError::new(FailureClass::Changed, Side::Source, "HeadObject", "OtherGeneration", message).into());
        }
        let part_size = self.part_size(entry).await?;
        let mut restarts = 0;
        loop {
            let (upload, id, sent) = self.begin(entry, key, part_size, &info).await?;
            let result = self.transfer(entry, &upload, &id, sent, &info, &request).await;
            let error = match result {
                Err(CopyError::Failed(error)) => error,
                other => return other,
            };
            let wrong = error.code == "DigestMismatch";
            let again = restarts < RESTARTS && (is_no_upload(&error) || wrong);
            if is_no_upload(&error) {
                self.journal.remove(key).await?;
            } else if wrong || matches!(error.class, FailureClass::Changed | FailureClass::Permanent) {
                // The parts are of no use, and must not be continued. If they cannot be given up now, the journal knows them.
                if let Err(left) = self.discard(&upload).await {
                    tracing::warn!(key = ?key, error = %left, "an upload could not be aborted yet");
                }
            }
            if !again {
                return Err(error.into());
            }
            restarts += 1;
        }
    }

    /// The size of the parts, equal to the source's where its ETag can be repeated.
    async fn part_size(&self, entry: &Entry) -> Result<u64, TransferError> {
        let source = match entry.etag.parts() {
            Some(count) => match self.source.head_part(&entry.key, 1).await {
                Ok(first) if first.etag == entry.etag || first.parts == Some(count) => uniform(entry.size, count, first.size),
                Ok(_) => None,
                // Not every store knows partNumber.
                Err(error) if error.class == FailureClass::Permanent => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        match layout(entry.size, source, PartLimits::default()) {
            Ok(Layout::Parts(size)) => Ok(size),
            Ok(Layout::Single) => Ok(entry.size.max(1)),
            Err(error) => {
                let message = error.to_string();
                Err(TransferError::new(FailureClass::Permanent, Side::Destination, "CreateMultipartUpload", "EntityTooLarge", message))
            }
        }
    }

    /// Continues the upload the journal knows if it is of this generation, else begins one.
    async fn begin(
        &self,
        entry: &Entry,
        key: &str,
        part_size: u64,
        info: &ObjectInfo,
    ) -> Result<(Upload, String, BTreeMap<u32, Sent>), CopyError> {
        if let Some(known) = self.journal.find(key)? {
            let same = known.source_etag == entry.etag && known.size == entry.size && known.part_size > 0;
            match known.upload_id.clone().filter(|_| same) {
                Some(id) => match self.destination.list_parts(key, &id).await {
                    Ok(listed) => {
                        let sent = usable(listed, entry.size, known.part_size);
                        tracing::info!(key = ?key, parts = sent.len(), "upload continued");
                        return Ok((known, id, sent));
                    }
                    Err(error) if is_no_upload(&error) => self.journal.remove(key).await?,
                    // A store whose answer cannot be used cannot tell what it has: begin again.
                    Err(error) if error.class == FailureClass::Permanent || error.code == "UnexpectedAnswer" => {
                        self.discard(&known).await?;
                    }
                    Err(error) => return Err(error.into()),
                },
                None => self.discard(&known).await?,
            }
        }
        let creation = self.creation(&entry.key, info).await?;
        let mut attempt = 0;
        loop {
            let mut upload = Upload {
                key: key.to_owned(),
                upload_id: None,
                source_etag: entry.etag.clone(),
                size: entry.size,
                part_size,
                started: clock::now(),
            };
            self.journal.put(upload.clone()).await?;
            let error = match self.destination.create_upload(key, &creation, None).await {
                Ok(id) => {
                    upload.upload_id = Some(id.clone());
                    self.journal.put(upload.clone()).await?;
                    return Ok((upload, id, BTreeMap::new()));
                }
                Err(error) => error,
            };
            if !error.is_retryable() {
                // The store said no: there is no upload.
                self.journal.remove(key).await?;
            }
            attempt += 1;
            let Some(wait) = self.destination.next_wait(attempt, &error) else { return Err(error.into()) };
            self.destination.pause(wait).await;
            if error.is_retryable() {
                // The answer may have been lost, not the request.
                self.discard(&upload).await?;
            }
        }
    }

    /// Sends the parts that are missing, checks the whole, and makes the object of them.
    async fn transfer(
        &self,
        entry: &Entry,
        upload: &Upload,
        id: &str,
        mut sent: BTreeMap<u32, Sent>,
        info: &ObjectInfo,
        request: &CopyRequest<'_>,
    ) -> Result<Copied, CopyError> {
        let progress = request.progress;
        let all = parts(entry.size, upload.part_size);
        let count = u32::try_from(all.clone().count()).unwrap_or(u32::MAX);
        progress.begin(entry.size, count);
        for part in sent.values() {
            progress.add(part.size);
        }
        let before: u64 = sent.values().map(|p| p.size).sum();
        let crc = info.checksum.map(|c| c.crc);
        let job = Job { entry, key: &upload.key, id, crc, progress };
        let missing: Vec<Part> = all.filter(|p| !sent.contains_key(&p.number)).collect();
        let witness = self.witness(entry, info, upload.part_size, sent.is_empty());
        let whole = matches!(witness, Witness::Bytes(_)).then(WholeMd5::begin);
        self.send(&job, missing, request.stop, whole.as_ref(), &mut sent).await?;
        if sent.len() < count as usize {
            return Err(CopyError::Stopped);
        }

        let crcs: Option<Vec<(u64, u64)>> = sent.values().map(|p| Some((p.crc?, p.size))).collect();
        let checked = match info.checksum.zip(crcs) {
            Some((stored, crcs)) => {
                if stored.crc.combine(crcs) != stored.value {
                    let message = "the bytes received do not have the checksum the source has stored";
                    return Err(mismatch(Side::Source, "GetObject", message).into());
                }
                Some(stored.crc)
            }
            None => None,
        };
        let md5s: Option<Vec<Md5Sum>> = sent.values().map(|p| p.md5).collect();
        let expected = md5s.map(|md5s| multipart_etag(&md5s));
        let vouched = self.vouched(entry, upload.part_size, witness, whole, expected.as_ref()).await?;
        let listed: Vec<UploadedPart> =
            sent.into_iter().map(|(number, p)| UploadedPart { number, size: p.size, etag: p.etag, checksum: None }).collect();
        let etag = self.complete(upload, id, &listed, expected.as_ref()).await?;
        self.journal.remove(&upload.key).await?;
        if let Some(expected) = expected.filter(|e| wrongly_assembled(self.destination.provider(), &etag, e)) {
            let message = format!("the store assembled an object with the ETag {etag} from parts that give {expected}");
            let error = TransferError::new(FailureClass::Permanent, Side::Destination, "CompleteMultipartUpload", "WrongObject", message);
            return Err(error.into());
        }
        Ok(Copied {
            size: entry.size,
            source_etag: entry.etag.clone(),
            verified: vouched.unwrap_or_else(|| multipart_word(etag == entry.etag, checked)),
            destination_etag: etag,
            bytes_sent: entry.size - before,
        })
    }

    /// Sends parts side by side until all are sent or `stop` says so. In order, where their bytes are hashed as a whole.
    async fn send(
        &self,
        job: &Job<'_>,
        missing: Vec<Part>,
        stop: &CancellationToken,
        whole: Option<&WholeMd5>,
        sent: &mut BTreeMap<u32, Sent>,
    ) -> Result<(), TransferError> {
        let parallel = self.parts.max(1);
        let sending = stream::iter(missing).take_until(stop.cancelled()).map(|part| self.part(job, part));
        let mut sending = pin!(match whole {
            Some(_) => sending.buffered(parallel).left_stream(),
            None => sending.buffer_unordered(parallel).right_stream(),
        });
        while let Some((number, part, received)) = sending.try_next().await? {
            sent.insert(number, part);
            if let Some(whole) = whole {
                whole.add(received);
            }
        }
        Ok(())
    }

    /// Reads and sends one part. Its bytes are held from the budget from before the first is read until the last is accepted.
    async fn part(&self, job: &Job<'_>, part: Part) -> Result<(u32, Sent, Received), TransferError> {
        let held = self.budget.take(part.len).await;
        let mut reads = 0;
        loop {
            self.bandwidth.take(part.len).await;
            let got = self.source.get_range(&job.entry.key, &job.entry.etag, part.range()).await?;
            reads += 1;
            let sums = verify::sums(&got.body, true, job.crc).await;
            let md5 = sums.md5.unwrap_or_else(|| got.body.md5());
            let error = match self.destination.upload_part(job.key, job.id, part.number, &got.body, Some(&md5), None).await {
                Ok(put) if !put.opaque_etag && verify::contradicts(&put.etag, &md5) => {
                    let message = format!("sent part {} with the MD5 {}, the store has {}", part.number, md5.hex(), put.etag);
                    mismatch(Side::Destination, "UploadPart", message)
                }
                Ok(put) => {
                    job.progress.add(part.len);
                    let sent = Sent { size: part.len, etag: put.etag, md5: Some(md5), crc: sums.crc };
                    return Ok((part.number, sent, Received { bytes: got.body, held }));
                }
                Err(error) if is_digest(&error) => error,
                Err(error) => return Err(error),
            };
            if reads >= READS {
                return Err(error);
            }
        }
    }

    /// Makes the object of its parts. After a lost answer the object may be there already.
    async fn complete(&self, upload: &Upload, id: &str, parts: &[UploadedPart], expected: Option<&ETag>) -> Result<ETag, CopyError> {
        let mut attempt = 0;
        loop {
            let error = match self.destination.complete_upload(&upload.key, id, parts, None).await {
                Ok(put) => return Ok(put.etag),
                Err(error) => error,
            };
            attempt += 1;
            let wait = self.destination.next_wait(attempt, &error);
            if is_no_upload(&error) || error.is_retryable() {
                let gone = is_no_upload(&error);
                if let Ok(found) = self.destination.head(&upload.key, None).await
                    && landed(&found, upload, parts.len(), expected, gone)
                {
                    if !gone {
                        // An upload whose completion was answered with an error may still be there.
                        self.destination.abort_upload(&upload.key, id).await?;
                    }
                    return Ok(found.etag);
                }
            }
            let Some(wait) = wait else { return Err(error.into()) };
            self.destination.pause(wait).await;
        }
    }

    /// Ends an upload and forgets it. One whose name was never seen is looked for: those of exactly this key that were created
    /// since then are ours, because a key is copied by one copier at a time.
    async fn discard(&self, upload: &Upload) -> Result<(), CopyError> {
        match &upload.upload_id {
            Some(id) => self.destination.abort_upload(&upload.key, id).await?,
            None => match self.destination.list_uploads(&upload.key).await {
                Ok(found) => {
                    for left in found.iter().filter(|u| u.initiated.plus(SLACK) >= upload.started) {
                        self.destination.abort_upload(&left.key, &left.id).await?;
                    }
                }
                // Stores without this request cannot be asked.
                Err(error) if matches!(error.code.as_str(), "NotImplemented" | "MethodNotAllowed" | "NoSuchBucket") => {}
                Err(error) => return Err(error.into()),
            },
        }
        self.journal.remove(&upload.key).await?;
        Ok(())
    }

    /// Ends all uploads of the task, for a task that was stopped or a run that ended. Uploads of others are left alone.
    ///
    /// # Errors
    /// The first error, after all were tried; what could not be ended stays in the journal.
    pub async fn abort_all(&self) -> Result<usize, CopyError> {
        let mut ended = 0;
        let mut failed = None;
        for upload in self.journal.all()? {
            match self.discard(&upload).await {
                Ok(()) => ended += 1,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(ended), Err)
    }
}

/// Whether the object at the destination is the one whose completion was not answered. `gone`: the upload does not exist any
/// more, so it was completed or ended; otherwise an object that was there before must not be taken for it. Where ETags say
/// nothing, it takes the right size and a recent time as well.
fn landed(found: &ObjectInfo, upload: &Upload, parts: usize, expected: Option<&ETag>, gone: bool) -> bool {
    if found.size != upload.size {
        return false;
    }
    let recent = found.modified.plus(SLACK) >= upload.started;
    if expected == Some(&found.etag) {
        return gone || recent;
    }
    let comparable = expected.is_some() && found.etag.parts() == u32::try_from(parts).ok();
    gone && recent && !comparable
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;
    use crate::s3::metadata::Metadata;

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
        let kept = usable(all, 20 * MIB, 8 * MIB);
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [1, 3], "2 has the wrong size, 4 and 0 are no parts of the object");
        assert_eq!(kept[&1].md5.map(|m| m.hex()).as_deref(), Some(md5));
        assert_eq!(kept[&3].md5, None);
    }

    #[test]
    fn completions_without_an_answer() {
        let upload = Upload {
            key: "k".into(),
            upload_id: Some("u".into()),
            source_etag: ETag::new("s"),
            size: 10,
            part_size: 5,
            started: Timestamp(100_000),
        };
        let expected = multipart_etag(&[Md5Sum::of(b"a"), Md5Sum::of(b"b")]);
        let other = multipart_etag(&[Md5Sum::of(b"b"), Md5Sum::of(b"a")]);
        let opaque = ETag::new("opaque");
        for (size, etag, modified, gone, want) in [
            (10, &expected, 100_000, false, true),
            (10, &expected, 99_000, false, true),
            (10, &expected, 50_000, false, false),
            (10, &expected, 50_000, true, true),
            (9, &expected, 100_000, true, false),
            (10, &other, 100_000, true, false),
            (10, &opaque, 100_000, true, true),
            (10, &opaque, 50_000, true, false),
            (10, &opaque, 100_000, false, false),
        ] {
            let found = ObjectInfo {
                size,
                etag: etag.clone(),
                modified: Timestamp(modified),
                metadata: Metadata::default(),
                class: None,
                tags: 0,
                checksum: None,
                opaque_etag: false,
                parts: None,
                version: None,
            };
            assert_eq!(landed(&found, &upload, 2, Some(&expected), gone), want, "{size} {etag} {modified} {gone}");
        }
    }
}
