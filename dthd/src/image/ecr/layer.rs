//! A layer in parts: what ECR's API takes one after the other, and remembers between two tries.

use aws_sdk_ecr::{
    error::SdkError,
    operation::{complete_layer_upload::CompleteLayerUploadOutput, upload_layer_part::UploadLayerPartError},
    primitives::Blob,
};
use bytes::Bytes;
use dth_proto::failure::FailureClass;
use serde::{Deserialize, Serialize};

use super::{
    Ecr,
    failure::{INVALID_LAYER, LAYER_EXISTS, UPLOAD_NOT_FOUND, is_not_offered},
};
use crate::{image::digest::Digest, transfer::TransferError};

const PART: &str = "UploadLayerPart";
const FINISH: &str = "CompleteLayerUpload";
/// A part, if ECR asks for none that is smaller (AWS: "Amazon ECR service quotas", layer part size 5 to 10 MiB; the API's field would take
/// 20).
const PART_SIZE: u64 = 10 << 20;
/// A part that is not the last, at least.
const LEAST_PART: u64 = 5 << 20;
/// Parts of a layer, at most (same page).
pub const MAX_PARTS: u64 = 4_200;

/// A layer that is being sent. It survives in a journal: ECR knows it by its id for about a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerUpload {
    /// Where it is going.
    pub repository: String,
    /// ECR's.
    pub id: String,
    /// Bytes of every part but the last.
    pub part_size: u64,
}

/// Why a layer did not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// ECR has nothing of this layer any more: begin with a new upload, from its first byte.
    #[error(transparent)]
    Gone(TransferError),
    /// A request failed.
    #[error(transparent)]
    Failed(TransferError),
}

impl From<LayerError> for TransferError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Gone(error) | LayerError::Failed(error) => error,
        }
    }
}

impl From<TransferError> for LayerError {
    fn from(error: TransferError) -> Self {
        // after a wrong digest ECR keeps none of the parts
        if [UPLOAD_NOT_FOUND, INVALID_LAYER].contains(&error.code.as_str()) { Self::Gone(error) } else { Self::Failed(error) }
    }
}

/// What ECR says to a part.
enum Part {
    /// It has all bytes before this one.
    Next(u64),
    /// It is not what should follow; as `Next`.
    Gap(u64, String),
}

impl LayerUpload {
    /// Whether a layer of so many bytes can be sent in parts.
    #[must_use]
    pub fn fits(&self, size: u64) -> bool {
        size.div_ceil(self.part_size.max(1)) <= MAX_PARTS
    }
}

/// The size of parts, by what ECR asks for.
fn part_size(asked: Option<i64>) -> u64 {
    let asked = asked.and_then(|asked| u64::try_from(asked).ok()).filter(|asked| *asked > 0);
    asked.map_or(PART_SIZE, |asked| asked.clamp(LEAST_PART, PART_SIZE))
}

/// The byte behind one that ECR has; nothing is -1 or not there.
fn behind(last: Option<i64>) -> Option<u64> {
    last.and_then(|last| u64::try_from(last.saturating_add(1)).ok())
}

impl Ecr {
    /// Begins a layer; `None`: this server does not offer that, as some do that stand in for ECR.
    ///
    /// # Errors
    /// When ECR does not want it.
    pub async fn start_layer(&self, repository: &str) -> Result<Option<LayerUpload>, TransferError> {
        const START: &str = "InitiateLayerUpload";
        let service = self.service();
        let request = || {
            let request = service.sdk().initiate_layer_upload().repository_name(repository);
            request.set_registry_id(service.account().cloned()).send()
        };
        let answer = match service.call(START, repository, 0, request).await {
            Ok(answer) => answer,
            Err(error) if is_not_offered(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(id) = answer.upload_id().filter(|id| !id.is_empty()) else {
            let message = format!("{} began a layer without an id", self.place());
            return Err(service.error(FailureClass::Transient, START, "UnexpectedAnswer", message));
        };
        Ok(Some(LayerUpload { repository: repository.to_owned(), id: id.to_owned(), part_size: part_size(answer.part_size()) }))
    }

    /// Sends the part that begins at `first_byte`, and answers with the byte that ECR wants next: behind this part, or where it has a gap
    /// (`InvalidLayerPartException`), which may be before or within this part. Needs 3.4 times the part's memory: the API speaks JSON.
    ///
    /// # Errors
    /// [`LayerError::Gone`]: begin anew. A part that ECR refuses although it is what should follow fails as it is.
    pub async fn put_layer_part(&self, upload: &LayerUpload, first_byte: u64, bytes: Bytes) -> Result<u64, LayerError> {
        let service = self.service();
        let length = bytes.len() as u64;
        let end = first_byte.saturating_add(length);
        let request = || async {
            let request = service.sdk().upload_layer_part().set_registry_id(service.account().cloned());
            let request = request.repository_name(&upload.repository).upload_id(&upload.id);
            let request = request.part_first_byte(signed(first_byte)).part_last_byte(signed(end.saturating_sub(1)));
            match request.layer_part_blob(Blob::new(bytes.to_vec())).send().await {
                Ok(answer) => Ok(Part::Next(behind(answer.last_byte_received()).unwrap_or(end))),
                Err(SdkError::ServiceError(refusal)) => match refusal.err() {
                    UploadLayerPartError::InvalidLayerPartException(gap) => {
                        let said = gap.message().unwrap_or("the part does not follow the one before").to_owned();
                        Ok(Part::Gap(behind(gap.last_valid_byte_received()).unwrap_or(0), said))
                    }
                    _ => Err(SdkError::ServiceError(refusal)),
                },
                Err(error) => Err(error),
            }
        };
        match service.call(PART, &upload.repository, length, request).await? {
            Part::Next(next) => Ok(next),
            // it arrived before, and the answer was lost; or an earlier one did not
            Part::Gap(next, _) if next != first_byte => Ok(next),
            Part::Gap(_, said) => {
                let message = format!("{said}; bytes {first_byte} to {end} of a layer for {}", upload.repository);
                Err(LayerError::Failed(service.error(FailureClass::Permanent, PART, "InvalidLayerPartException", message)))
            }
        }
    }

    /// Ends a layer: ECR computes its digest. One that is there already is well.
    ///
    /// # Errors
    /// [`LayerError::Gone`] also when the digest was another: the layer was damaged on its way.
    pub async fn finish_layer(&self, upload: LayerUpload, digest: &Digest) -> Result<(), LayerError> {
        let service = self.service();
        let request = || {
            let request = service.sdk().complete_layer_upload().set_registry_id(service.account().cloned());
            request.repository_name(&upload.repository).upload_id(&upload.id).layer_digests(digest.as_str()).send()
        };
        let error = match service.call(FINISH, &upload.repository, 0, request).await {
            Ok(answer) => return self.agrees(&answer, digest).map_err(LayerError::Gone),
            Err(error) => error,
        };
        // an end that was heard, but whose answer was lost, leaves no upload behind
        let may_be_there = matches!(error.code.as_str(), LAYER_EXISTS | UPLOAD_NOT_FOUND);
        let there = error.code == LAYER_EXISTS
            || may_be_there && self.missing_blobs(&upload.repository, std::slice::from_ref(digest)).await?.is_empty();
        if there { Ok(()) } else { Err(error.into()) }
    }

    fn agrees(&self, answer: &CompleteLayerUploadOutput, digest: &Digest) -> Result<(), TransferError> {
        match answer.layer_digest().filter(|has| *has != digest.as_str()) {
            None => Ok(()),
            Some(has) => {
                let message = format!("{} has a layer {has} where {digest} was sent", self.place());
                Err(self.service().error(FailureClass::Transient, FINISH, "DIGEST_MISMATCH", message))
            }
        }
    }
}

/// A position as the API has it; no layer is that large.
fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_the_quota() {
        for (asked, expected) in [
            (None, 10 << 20),
            (Some(0), 10 << 20),
            (Some(-1), 10 << 20),
            (Some(20_971_520), 10 << 20),
            (Some(8 << 20), 8 << 20),
            (Some(1), 5 << 20),
        ] {
            assert_eq!(part_size(asked), expected, "{asked:?}");
        }
        let upload = LayerUpload { repository: "r".into(), id: "i".into(), part_size: 10 << 20 };
        assert!(upload.fits(4_200 * (10 << 20)) && !upload.fits(4_200 * (10 << 20) + 1));
    }

    #[test]
    fn positions() {
        assert_eq!([None, Some(-1), Some(0), Some(9)].map(behind), [None, Some(0), Some(1), Some(10)]);
    }
}
