//! Copies one object by parts, so that a restart continues it and nothing is left behind.

mod part;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize},
    time::Duration,
};

use dth_proto::failure::{FailureClass, Side};
use tokio_util::sync::CancellationToken;

use self::part::{Job, Sent, combined, combined_kept, expected, usable};
use super::{
    client::{Put, UploadedPart},
    copy::{Copied, Copier, CopyError, CopyRequest, is_digest, mismatch},
    journal::{Journal, Upload},
    layout::{Layout, Part, REPEATED, layout, layout_by_store, parts, uniform},
    metadata::ObjectInfo,
    object::{ETag, Entry, Pin},
    verify::{
        self, StoredChecksum,
        plan::{Guard, MultipartPlan, Witness},
        wrongly_assembled,
    },
    whole::WholeMd5,
};
use crate::{clock, transfer::TransferError};

/// Clocks of stores count in seconds.
const SLACK: Duration = Duration::from_secs(2);

/// How often an upload that is lost, or holds wrong bytes, is begun again.
const RESTARTS: u32 = 2;

/// How an object is cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    part_size: u64,
    /// As the source is, as far as is known.
    replicated: bool,
}

/// An upload to work on.
struct Begun {
    upload: Upload,
    id: String,
    plan: MultipartPlan,
    sent: BTreeMap<u32, Sent>,
}

/// The upload is not there any more.
fn is_no_upload(error: &TransferError) -> bool {
    error.side == Side::Destination && matches!(error.code.as_str(), "NoSuchUpload" | "NotFound")
}

/// Bytes that are at the destination are wrong: nothing of the upload may be continued.
fn is_wrong(error: &TransferError) -> bool {
    // a part that was sent twice may have the other ETag
    is_digest(error) || error.code == "InvalidPart"
}

impl<J: Journal> Copier<J> {
    /// By parts; see the module.
    ///
    /// `by_store`: the store copies the parts by itself.
    pub(super) async fn multipart(&self, entry: &Entry, request: CopyRequest<'_>, by_store: bool) -> Result<Copied, CopyError> {
        let key = request.destination_key;
        let continued = self.journal.find(key)?.is_some_and(|known| known.is_of(entry));
        let (info, mut cut) = if continued {
            (self.pinned(entry).await?, None)
        } else {
            let (info, cut) = tokio::try_join!(self.pinned(entry), self.cut(entry, by_store))?;
            (info, Some(cut))
        };
        let mut restarts = 0;
        loop {
            let begun = self.begin(entry, key, &mut cut, &info, (restarts > 0, by_store)).await?;
            let upload = begun.upload.clone();
            let error = match self.transfer((entry, &info), begun, &request, by_store).await {
                Err(CopyError::Failed(error)) => error,
                other => return other,
            };
            let again = restarts < RESTARTS && (is_no_upload(&error) || is_wrong(&error));
            if is_no_upload(&error) {
                self.journal.remove(key).await?;
            } else if is_wrong(&error) || matches!(error.class, FailureClass::Changed | FailureClass::Permanent) {
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

    /// What the source says of the generation that is to be copied.
    pub(super) async fn pinned(&self, entry: &Entry) -> Result<ObjectInfo, TransferError> {
        let info = self.source.head(&entry.key, entry.pin()).await?;
        if info.etag == entry.etag && info.size == entry.size {
            return Ok(info);
        }
        let message = format!("asked for the generation {}, got {}", entry.etag, info.etag);
        Err(TransferError::new(FailureClass::Changed, Side::Source, "HeadObject", "OtherGeneration", message))
    }

    /// How the object is cut: as the source is, where its ETag can be repeated.
    async fn cut(&self, entry: &Entry, by_store: bool) -> Result<Cut, TransferError> {
        let limits = self.destination.profile().parts;
        // what does not pass here need not fit into memory
        let largest = if by_store { limits.max } else { REPEATED };
        let source = match entry.etag.parts() {
            Some(count) => match self.source.head_part(&entry.key, entry.version.as_deref(), 1).await {
                Ok(first) if first.etag == entry.etag || first.parts == Some(count) => uniform(entry.size, count, first.size, largest),
                Ok(_) => None,
                // Not every store knows partNumber.
                Err(error) if error.class == FailureClass::Permanent => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let layout = if by_store { layout_by_store(entry.size, source, limits) } else { layout(entry.size, source, limits) };
        match layout {
            Ok(Layout::Parts(part_size)) => Ok(Cut { part_size, replicated: source == Some(part_size) }),
            Ok(Layout::Single) => Ok(Cut { part_size: entry.size.max(1), replicated: false }),
            Err(error) => Err(self.unwritable(&error)),
        }
    }

    /// Continues the upload the journal knows if it is of this generation and sent as it would be now, else begins one. `doubtful`:
    /// bytes turned out wrong before; `by_store`: the store copies the parts.
    async fn begin(
        &self,
        entry: &Entry,
        key: &str,
        cut: &mut Option<Cut>,
        info: &ObjectInfo,
        (doubtful, by_store): (bool, bool),
    ) -> Result<Begun, CopyError> {
        let facts = self.facts(&entry.etag, info);
        // what will be locked must come with a digest (AWS: Object Lock, PutObject and UploadPart)
        let guarded = doubtful || (self.options.object_lock && info.lock.is_some());
        let plan_of = |replicated, whole| match by_store {
            true => MultipartPlan::by_store(&facts, replicated),
            false => MultipartPlan::of(&facts, replicated, whole, guarded),
        };
        if let Some(known) = self.journal.find(key)? {
            let replicated = entry.etag.parts().map(u64::from) == Some(entry.size.div_ceil(known.part_size.max(1)));
            let plan = |whole| plan_of(replicated, whole);
            let same = known.is_of(entry) && known.part_size > 0 && known.guard == plan(false).guard;
            match known.upload_id.clone().filter(|_| same) {
                Some(id) => match self.destination.list_parts(key, &id).await {
                    Ok(listed) => {
                        let sent = usable(listed, entry.size, known.part_size, facts.part_etags_are_md5);
                        tracing::info!(key = ?key, parts = sent.len(), "upload continued");
                        return Ok(Begun { id, plan: plan(sent.is_empty()), sent, upload: known });
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
        let Cut { part_size, replicated } = match cut {
            Some(cut) => *cut,
            None => *cut.insert(self.cut(entry, by_store).await?),
        };
        let plan = plan_of(replicated, true);
        let creation = self.creation(entry, info.clone()).await?;
        let mut attempt = 0;
        loop {
            let mut upload = Upload {
                key: key.to_owned(),
                upload_id: None,
                source_etag: entry.etag.clone(),
                size: entry.size,
                part_size,
                guard: plan.guard,
                started: clock::now(),
            };
            self.journal.put(upload.clone()).await?;
            let error = match self.destination.create_upload(key, &creation, plan.algorithm()).await {
                Ok(id) => {
                    upload.upload_id = Some(id.clone());
                    self.journal.put(upload.clone()).await?;
                    return Ok(Begun { upload, id, plan, sent: BTreeMap::new() });
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
        (entry, info): (&Entry, &ObjectInfo),
        begun: Begun,
        request: &CopyRequest<'_>,
        by_store: bool,
    ) -> Result<Copied, CopyError> {
        let Begun { upload, id, plan, mut sent } = begun;
        let progress = request.progress;
        let all = parts(entry.size, upload.part_size);
        let count = u32::try_from(all.clone().count()).unwrap_or(u32::MAX);
        progress.begin(entry.size, count);
        for part in sent.values() {
            progress.add(part.size);
        }
        let before: u64 = sent.values().map(|p| p.size).sum();
        let missing: Vec<Part> = all.filter(|p| !sent.contains_key(&p.number)).collect();
        let left = AtomicUsize::new(missing.len());
        let job = Job { entry, key: &upload.key, id: &id, plan, by_store, progress, left, hash: AtomicBool::new(false) };
        let whole = matches!(plan.witness, Witness::Bytes(_)).then(WholeMd5::begin);
        self.send(&job, missing, request.stop, whole.as_ref(), &mut sent).await?;
        if sent.len() < count as usize {
            return Err(CopyError::Stopped);
        }
        let spoken = self.heard(&job, upload.part_size, request.stop, whole, &mut sent).await?;
        let expected = expected(&sent);
        let checksum = match plan.witness {
            // also where parts of an earlier process have none that is known: the destination computes them all
            Witness::Checksum(stored) if plan.crc() == Some(stored.crc) => Some(stored),
            _ => combined_kept(&plan, &sent),
        };
        let known = |p: &Sent| p.kept.filter(|kept| Some(kept.algorithm) == plan.algorithm());
        let listed: Vec<UploadedPart> =
            sent.into_iter().map(|(number, p)| UploadedPart { number, size: p.size, checksum: known(&p), etag: p.etag }).collect();
        let put = self.complete(&upload, &id, &listed, expected.as_ref(), checksum).await?;
        self.journal.remove(&upload.key).await?;
        let other = expected.filter(|e| !put.opaque_etag && wrongly_assembled(self.destination.profile(), &put.etag, e));
        let message = match other {
            Some(expected) => Err(format!("the store assembled an object with the ETag {} from parts that give {expected}", put.etag)),
            None => verify::accepted(&Put { opaque_etag: true, ..put.clone() }, None, checksum.map(Into::into)),
        };
        if let Err(message) = message {
            let error = TransferError::new(FailureClass::Permanent, Side::Destination, "CompleteMultipartUpload", "WrongObject", message);
            return Err(error.into());
        }
        let (verified, passed) = match by_store {
            true => (self.proven_by_store(&upload.key, entry, info, &put, spoken).await?, 0),
            false => (plan.word(spoken, put.etag == entry.etag), entry.size - before),
        };
        Ok(Copied {
            size: entry.size,
            source_etag: entry.etag.clone(),
            verified,
            destination_etag: put.etag,
            destination_version: put.version,
            bytes_sent: passed,
        })
    }

    /// Hears the witness, before the parts become an object: whether it has spoken for them.
    async fn heard(
        &self,
        job: &Job<'_>,
        part_size: u64,
        stop: &CancellationToken,
        whole: Option<WholeMd5>,
        sent: &mut BTreeMap<u32, Sent>,
    ) -> Result<bool, CopyError> {
        let wrong = |what: String| {
            let message = format!("the bytes received have the {what}");
            Err(mismatch(Side::Source, "GetObject", message).into())
        };
        let etag = &job.entry.etag;
        match (job.plan.witness, whole) {
            (Witness::Checksum(stored), _) => match combined(&job.plan, sent) {
                Some(sum) if sum == stored => Ok(true),
                Some(sum) => wrong(format!("{} {}, the source has stored {}", sum.crc.word(), sum.base64(), stored.base64())),
                // the destination hears it; what it answers to the end of the upload shows whether it has listened
                None => Ok(job.plan.crc().is_some() && !job.by_store),
            },
            (Witness::Bytes(announced), Some(whole)) => match whole.sum().await {
                Some(sum) if sum == announced => Ok(true),
                Some(sum) => wrong(format!("MD5 {}, the ETag of the object says {etag}", sum.hex())),
                None => Ok(false),
            },
            (Witness::PartEtags, _) => {
                if expected(sent).as_ref() == Some(etag) {
                    return Ok(true);
                }
                if job.plan.guard == Guard::Etag && !job.by_store {
                    self.look_again(job, part_size, stop, sent).await?;
                }
                match expected(sent) {
                    Some(found) if found == *etag => Ok(true),
                    Some(found) if self.is_cut_like_this(job.entry, part_size).await? => {
                        wrong(format!("ETag {found}, the object has {etag}"))
                    }
                    _ => Ok(false),
                }
            }
            (Witness::Bytes(_) | Witness::None, _) => Ok(false),
        }
    }

    /// Makes the object of its parts. After a lost answer the object may be there already.
    async fn complete(
        &self,
        upload: &Upload,
        id: &str,
        parts: &[UploadedPart],
        expected: Option<&ETag>,
        checksum: Option<StoredChecksum>,
    ) -> Result<Put, CopyError> {
        let whole = checksum.as_ref().map(|stored| (stored, upload.size));
        let mut attempt = 0;
        loop {
            let error = match self.destination.complete_upload(&upload.key, id, parts, whole).await {
                Ok(put) => return Ok(put),
                Err(error) => error,
            };
            attempt += 1;
            let wait = self.destination.next_wait(attempt, &error);
            if is_no_upload(&error) || error.is_retryable() {
                let gone = is_no_upload(&error);
                if let Ok(found) = self.destination.head(&upload.key, Pin::default()).await
                    && landed(&found, upload, parts.len(), expected, gone)
                {
                    if !gone {
                        // An upload whose completion was answered with an error may still be there.
                        self.destination.abort_upload(&upload.key, id).await?;
                    }
                    let checksum = found.checksum.map(Into::into);
                    return Ok(Put { etag: found.etag, opaque_etag: found.opaque_etag, checksum, version: found.version });
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
    use crate::s3::verify::{Md5Sum, multipart_etag};

    #[test]
    fn completions_without_an_answer() {
        let upload = Upload {
            key: "k".into(),
            upload_id: Some("u".into()),
            source_etag: ETag::new("s"),
            size: 10,
            part_size: 5,
            guard: Guard::Md5,
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
            let found = ObjectInfo { size, etag: etag.clone(), modified: Timestamp(modified), ..ObjectInfo::default() };
            assert_eq!(landed(&found, &upload, 2, Some(&expected), gone), want, "{size} {etag} {modified} {gone}");
        }
    }
}
