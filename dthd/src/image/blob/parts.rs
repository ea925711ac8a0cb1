//! A large blob part by part, with a journal: whoever goes on with it, after a failure or another start of the daemon, begins behind the
//! last part that arrived. What the parts come to is checked by the destination, before the blob can be seen.

use bytes::{Bytes, BytesMut};
use dth_proto::failure::{FailureClass, Side};
use serde::{Deserialize, Serialize};

use super::{Blob, Blobs, Reader, Way, stream::Sent};
use crate::{
    image::{
        digest::Hasher,
        ecr::{LayerError, LayerUpload},
        registry::Upload,
    },
    transfer::TransferError,
};

/// Bytes of a chunk.
const CHUNK: u64 = 8 << 20;

/// An upload under way, as the journal has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Journaled {
    session: Session,
    /// Bytes that have arrived.
    offset: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Session {
    Layer(LayerUpload),
    Chunks(Upload),
}

impl Session {
    /// Bytes of each part but the last.
    fn part(&self) -> u64 {
        match self {
            Self::Layer(upload) => upload.part_size,
            Self::Chunks(upload) => CHUNK.max(upload.chunk_min.unwrap_or(0)),
        }
    }
}

/// A part that was read, and what the digest is up to its end: `None` when what came before it was read by another process.
struct Part {
    bytes: Bytes,
    hasher: Option<Hasher>,
}

impl Blobs {
    /// See the module.
    pub(super) async fn parts(&self, it: Blob<'_>, way: Way, size: u64) -> Result<(), TransferError> {
        let name = format!("{}/{}@{}", self.destination.registry.host(), it.to, it.blob.digest);
        let mut sent = Sent { progress: it.progress, bytes: 0 };
        let result = self.all_parts(it, way, size, &name, &mut sent).await;
        match &result {
            Ok(()) => {
                self.journal.remove(&name);
                sent.keep(size);
            }
            // what failed in a way that may pass goes on from here; the rest begins again
            Err(error) if error.is_retryable() && !super::is_wrong(error) => {}
            Err(_) => self.journal.remove(&name),
        }
        result
    }

    async fn all_parts(&self, it: Blob<'_>, way: Way, size: u64, name: &str, sent: &mut Sent<'_>) -> Result<(), TransferError> {
        let Journaled { mut session, mut offset } = self.begin(it, way, name).await?;
        sent.add(offset);
        // the one that is sent, and the next one
        let size_of_part = session.part();
        let _held = self.budget.take(2 * size_of_part).await;
        let mut reader = self.reader(it, offset, Some(size));
        let mut hasher = (offset == 0).then(|| it.blob.digest.hasher());
        let mut part = read(&mut reader, hasher.take(), size_of_part).await?;
        while !part.bytes.is_empty() {
            let end = offset + part.bytes.len() as u64;
            let following =
                async { if end < size { read(&mut reader, part.hasher.clone(), size_of_part).await.map(Some) } else { Ok(None) } };
            let (next, following) = tokio::join!(self.send_part(it, &mut session, offset, part.bytes.clone()), following);
            let next = next?;
            if next < end && matches!(session, Session::Chunks(_)) && next <= offset {
                // such as ECR's registry, behind a name that is not ECR's
                self.memory.takes_no_chunks();
                let message =
                    format!("{} drops chunks: it wants byte {next} again after {end} were sent", self.destination.registry.host());
                return Err(TransferError::new(FailureClass::Transient, Side::Destination, "PatchBlob", "BLOB_UPLOAD_INVALID", message));
            }
            sent.add(next.saturating_sub(offset));
            offset = next;
            let journaled = Journaled { session: session.clone(), offset };
            if let Err(error) = self.journal.put(name, &journaled).await {
                tracing::debug!("an upload is not journaled: {error}");
            }
            let done = part.hasher.take();
            part = match following? {
                Some(following) if next == end => following,
                None if next == end => {
                    hasher = done;
                    break;
                }
                // the destination wants to go on elsewhere
                _ => {
                    reader = self.reader(it, offset, Some(size));
                    read(&mut reader, None, size_of_part).await?
                }
            };
        }
        if let Some(hasher) = hasher {
            let digest = hasher.finish();
            if digest != it.blob.digest {
                if let Session::Chunks(upload) = session {
                    self.destination.registry.cancel(upload).await;
                }
                return Err(self.wrong(it, &digest));
            }
        }
        match (session, &self.destination.ecr) {
            (Session::Layer(upload), Some(ecr)) => ecr.finish_layer(upload, &it.blob.digest).await.map_err(begun_anew),
            (Session::Chunks(upload), _) => self.destination.registry.finish_upload(upload, &it.blob.digest).await,
            (Session::Layer(_), None) => Err(not_ecr()),
        }
    }

    /// The upload that the journal has and the destination still knows, or a new one.
    async fn begin(&self, it: Blob<'_>, way: Way, name: &str) -> Result<Journaled, TransferError> {
        match self.journal.find::<Journaled>(name) {
            Some(Journaled { session: Session::Chunks(mut upload), .. }) if way == Way::Chunks => {
                if let Some(offset) = self.destination.registry.upload_offset(&mut upload).await.ok().flatten() {
                    return Ok(Journaled { session: Session::Chunks(upload), offset });
                }
            }
            Some(journaled @ Journaled { session: Session::Layer(_), .. }) if way == Way::Layers => return Ok(journaled),
            _ => {}
        }
        let session = match (way, &self.destination.ecr) {
            (Way::Layers, Some(ecr)) => Session::Layer(ecr.start_layer(it.to).await?),
            _ => Session::Chunks(self.destination.registry.start_upload(it.to).await?),
        };
        Ok(Journaled { session, offset: 0 })
    }

    async fn send_part(&self, it: Blob<'_>, session: &mut Session, offset: u64, bytes: Bytes) -> Result<u64, TransferError> {
        match (session, &self.destination.ecr) {
            (Session::Layer(upload), Some(ecr)) => ecr.put_layer_part(upload, offset, bytes).await.map_err(begun_anew),
            (Session::Chunks(upload), _) => {
                let error = match self.destination.registry.patch(upload, offset, bytes.clone()).await {
                    Ok(next) => return Ok(next),
                    Err(error) if error.is_retryable() => error,
                    Err(error) => {
                        if offset == 0 {
                            // it may take the blob as a whole
                            self.memory.takes_no_chunks();
                        }
                        return Err(error);
                    }
                };
                tracing::debug!(digest = %it.blob.digest, code = %error.code, "a chunk broke off");
                self.destination
                    .registry
                    .upload_offset(upload)
                    .await?
                    .ok_or(TransferError { code: "BLOB_UPLOAD_UNKNOWN".to_owned(), ..error })
            }
            (Session::Layer(_), None) => Err(not_ecr()),
        }
    }
}

/// An upload of which ECR has nothing any more is not gone on with.
fn begun_anew(error: LayerError) -> TransferError {
    match error {
        LayerError::Gone(error) if !super::is_wrong(&error) => {
            TransferError { class: FailureClass::Permanent, code: "UploadNotFoundException".to_owned(), ..error }
        }
        LayerError::Gone(error) | LayerError::Failed(error) => error,
    }
}

/// The journal is of another time, in which the destination was ECR.
fn not_ecr() -> TransferError {
    let message = "the upload was begun by ECR's API, and the destination is not ECR any more";
    TransferError::new(FailureClass::Permanent, Side::Destination, "UploadLayerPart", "UploadNotFoundException", message)
}

/// The next part; empty at the end.
async fn read(reader: &mut Reader<'_>, mut hasher: Option<Hasher>, most: u64) -> Result<Part, TransferError> {
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < most {
        let room = most - bytes.len() as u64;
        let Some(piece) = reader.next_up_to(room).await? else { break };
        if bytes.is_empty() {
            bytes.reserve(usize::try_from(most).unwrap_or(0).min(reader.left() + piece.len()));
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Part { bytes: bytes.freeze(), hasher })
}
