//! The report of a run that is over, written to the bucket that its task names: page by page, in parts when it is large.

use std::{io, sync::Arc};

use bytes::Bytes;
use dth_proto::{
    event::Level,
    failure::Side,
    id::TaskName,
    spec::ReportPlace,
    view::{ItemView, RunOutcome},
    wire::PAGE,
};
use tokio::{sync::watch, task::spawn_blocking};

use super::view::run_view;
use crate::{
    clock,
    event::EventLog,
    s3::{
        client::{Bucket, UploadedPart},
        metadata::{Creation, Metadata},
        payload::Payload,
    },
    store::{RunRecord, Store},
    transfer::{
        Stop,
        resources::Resources,
        retry::RetryPolicy,
        run::{RunEnd, RunInput},
        told_to_stop,
    },
};

/// Bytes of a part, and the most that is sent in one request. With 10,000 parts (AWS: "Amazon S3 multipart upload limits") a report may
/// have 160 GiB, which are half a billion records and more.
const PART: usize = 16 << 20;

/// Writes the report of one run.
pub(super) struct Reporter {
    place: ReportPlace,
    uid: u64,
    name: TaskName,
    store: Store,
    events: EventLog,
    resources: Arc<Resources>,
    stop: watch::Receiver<Stop>,
}

impl Reporter {
    /// Of a run that will have a report: its task names a place for them, and it does more than plan.
    pub(super) fn of(input: &RunInput) -> Option<Self> {
        let place = input.record.spec.report.clone()?;
        input.record.kind.has_report().then(|| Self {
            place,
            uid: input.uid,
            name: input.name.clone(),
            store: input.store.clone(),
            events: input.events.clone(),
            resources: Arc::clone(&input.resources),
            stop: input.stop.clone(),
        })
    }

    /// Writes the report if the run is over and was not cancelled. A daemon that stops meanwhile continues the run at its next start, and
    /// then writes the report; one that cannot be written is told, and changes nothing about the run.
    pub(super) async fn after(self, record: &RunRecord, end: RunEnd) -> RunEnd {
        let RunEnd::Finished(outcome, why) = &end else { return end };
        if *outcome == RunOutcome::Cancelled {
            return end;
        }
        let over = RunRecord { outcome: Some(*outcome), error: why.clone(), ended: Some(clock::now()), ..record.clone() };
        let mut stop = self.stop.clone();
        let written = tokio::select! {
            written = self.write(&over) => written,
            () = told_to_stop(&mut stop) => {
                if *self.stop.borrow() == Stop::Suspend {
                    return RunEnd::Suspended;
                }
                Err("it was cancelled".to_owned())
            }
        };
        let at = Some((&self.name, Some(record.run)));
        let (bucket, key) = (&self.place.store.bucket, self.place.key(&self.name, record.run));
        match written {
            Ok(records) => {
                self.events.push(Level::Info, at, format!("report of run {}: s3://{bucket}/{key}, {records} records", record.run));
            }
            Err(why) => {
                let way_out = format!("dth report {} --run {} --to FILE writes it", self.name, record.run);
                self.events.push(Level::Warn, at, format!("the report s3://{bucket}/{key} could not be written: {why}; {way_out}"));
            }
        }
        end
    }

    async fn write(&self, run: &RunRecord) -> Result<u64, String> {
        let credential = self.resources.credential(self.place.store.credential.as_deref()).await.map_err(|e| e.to_string())?;
        let (retry, windows) = (RetryPolicy::default(), Some(&self.resources.windows));
        let bucket = Bucket::open(&self.place.store, Side::Destination, &credential, false, retry, Arc::default(), windows).await;
        let bucket = bucket.map_err(|e| e.to_string())?;
        let mut object = Object::new(bucket, self.place.key(&self.name, run.run), self.place.format.content_type());
        let written = self.records(run, &mut object).await;
        match written {
            Ok(records) => object.finish().await.map(|()| records),
            Err(why) => {
                object.give_up().await;
                Err(why)
            }
        }
    }

    async fn records(&self, run: &RunRecord, object: &mut Object) -> Result<u64, String> {
        let format = self.place.format;
        self.store.writer().applied().await.map_err(|e| e.to_string())?;
        let view = run_view(&self.name, run, &run.tally.counters);
        object.add(|out| format.head(&view, out)).await?;
        let (mut count, mut after) = (0, None);
        loop {
            let (store, uid, number) = (self.store.clone(), self.uid, run.run);
            let page = move || store.items(uid, number, "", after.as_deref(), PAGE as usize, |_| true);
            let (page, next) = spawn_blocking(page).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
            let page: Vec<ItemView> = page.into_iter().map(|(key, record)| record.view(key)).collect();
            object.add(|out| format.items(&page, out)).await?;
            count += page.len() as u64;
            if next.is_none() {
                return Ok(count);
            }
            after = next;
        }
    }
}

/// An object that is written from its beginning to its end, of which [`PART`] bytes and a page are in memory.
struct Object {
    bucket: Bucket,
    key: String,
    creation: Creation,
    waiting: Vec<u8>,
    upload: Option<String>,
    parts: Vec<UploadedPart>,
}

impl Object {
    fn new(bucket: Bucket, key: String, content_type: &str) -> Self {
        let metadata = Metadata { content_type: Some(content_type.to_owned()), ..Metadata::default() };
        let creation = Creation { metadata, ..Creation::default() };
        Self { bucket, key, creation, waiting: Vec::new(), upload: None, parts: Vec::new() }
    }

    async fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), String> {
        write(&mut self.waiting).map_err(|e| e.to_string())?;
        if self.waiting.len() >= PART { self.part().await } else { Ok(()) }
    }

    async fn part(&mut self) -> Result<(), String> {
        let body = Payload::from(Bytes::from(std::mem::take(&mut self.waiting)));
        let id = match &self.upload {
            Some(id) => id.clone(),
            None => {
                // a start of the daemon that was killed has left its own
                for left in self.bucket.list_uploads(&self.key).await.map_err(|e| e.to_string())? {
                    if left.key == self.key {
                        self.bucket.abort_upload(&self.key, &left.id).await.map_err(|e| e.to_string())?;
                    }
                }
                let id = self.bucket.create_upload(&self.key, &self.creation, None).await.map_err(|e| e.to_string())?;
                self.upload.insert(id).clone()
            }
        };
        let number = u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let put = self.bucket.upload_part(&self.key, &id, number, &body, Some(&body.md5()), None).await.map_err(|e| e.to_string())?;
        self.parts.push(UploadedPart { number, size: body.len(), etag: put.etag, checksum: put.checksum });
        Ok(())
    }

    async fn finish(mut self) -> Result<(), String> {
        if self.upload.is_none() {
            let body = Payload::from(Bytes::from(std::mem::take(&mut self.waiting)));
            let put = self.bucket.put(&self.key, &body, &self.creation, Some(&body.md5()), None).await;
            return put.map(drop).map_err(|e| e.to_string());
        }
        let completed = async {
            if !self.waiting.is_empty() {
                self.part().await?;
            }
            let id = self.upload.as_deref().unwrap_or_default();
            self.bucket.complete_upload(&self.key, id, &self.parts, None).await.map(drop).map_err(|e| e.to_string())
        };
        let completed = completed.await;
        if completed.is_err() {
            self.give_up().await;
        }
        completed
    }

    /// Leaves nothing behind, as far as the store lets it.
    async fn give_up(&self) {
        if let Some(id) = &self.upload
            && let Err(error) = self.bucket.abort_upload(&self.key, id).await
        {
            tracing::debug!(key = self.key, "the upload of a report is left behind: {error}");
        }
    }
}
