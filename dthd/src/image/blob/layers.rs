//! A large layer part by part through ECR's API, with a journal: whoever goes on with it, after a failure or another start of the daemon,
//! begins behind the last part that arrived. What the parts come to is checked by ECR, before the layer can be seen.

use bytes::{Bytes, BytesMut};
use dth_proto::failure::{FailureClass, Side};

use super::{
    Blob, Blobs, Reader,
    journal::{Entry, Journaled, Session},
    stream::Sent,
};
use crate::{
    image::{
        digest::Hasher,
        ecr::{Ecr, LayerError, LayerUpload},
    },
    transfer::TransferError,
};

/// A part that was read, and what the digest is up to its end: `None` when what came before it was read by another process.
struct Part {
    bytes: Bytes,
    hasher: Option<Hasher>,
}

impl Blobs {
    /// See the module.
    pub(super) async fn layers(&self, it: Blob<'_>, size: u64) -> Result<(), TransferError> {
        let Some(ecr) = &self.destination.ecr else { return Err(not_ecr()) };
        let entry = self.entry(it);
        let mut sent = Sent::of(it, size);
        let result = self.all_parts(ecr, it, size, &entry, &mut sent).await;
        entry.settle(&result);
        if result.is_ok() {
            sent.keep(size);
        }
        result
    }

    async fn all_parts(&self, ecr: &Ecr, it: Blob<'_>, size: u64, entry: &Entry<'_>, sent: &mut Sent<'_>) -> Result<(), TransferError> {
        let (upload, mut offset) = self.begin_layer(ecr, it, entry).await?;
        sent.go_to(offset);
        // the one that is sent, and the next one
        let _held = self.budget.take(2 * upload.part_size).await;
        let mut reader = self.reader(it, offset, Some(size));
        let mut hasher = (offset == 0).then(|| it.blob.digest.hasher());
        let mut part = read(&mut reader, hasher.take(), upload.part_size).await?;
        while !part.bytes.is_empty() {
            let end = offset + part.bytes.len() as u64;
            let following =
                async { if end < size { read(&mut reader, part.hasher.clone(), upload.part_size).await.map(Some) } else { Ok(None) } };
            let (next, following) = tokio::join!(ecr.put_layer_part(&upload, offset, part.bytes.clone()), following);
            offset = next.map_err(begun_anew)?;
            sent.go_to(offset);
            entry.note(Session::Layer(upload.clone()), offset).await;
            let done = part.hasher.take();
            part = match following? {
                Some(following) if offset == end => following,
                None if offset == end => {
                    hasher = done;
                    break;
                }
                // ECR wants to go on elsewhere
                _ => {
                    reader = self.reader(it, offset, Some(size));
                    read(&mut reader, None, upload.part_size).await?
                }
            };
        }
        if let Some(hasher) = hasher {
            let digest = hasher.finish();
            if digest != it.blob.digest {
                return Err(self.wrong(it, &digest));
            }
        }
        ecr.finish_layer(upload, &it.blob.digest).await.map_err(begun_anew)
    }

    /// The upload that the journal has, or a new one.
    async fn begin_layer(&self, ecr: &Ecr, it: Blob<'_>, entry: &Entry<'_>) -> Result<(LayerUpload, u64), TransferError> {
        if let Some(Journaled { session: Session::Layer(upload), offset }) = entry.find() {
            return Ok((upload, offset));
        }
        let Some(upload) = ecr.start_layer(it.to).await? else {
            // what only speaks a part of ECR's API has a registry all the same
            self.memory.takes_only_whole_blobs();
            let message = format!("the API behind {} does not take layers in parts", self.destination.registry.host());
            let code = "NotImplementedException";
            return Err(TransferError::new(FailureClass::Transient, Side::Destination, "InitiateLayerUpload", code, message));
        };
        Ok((upload, 0))
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
