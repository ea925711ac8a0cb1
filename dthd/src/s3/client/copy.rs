//! Copies that the store makes by itself: of whole objects, and of ranges that become parts.

use std::ops::Range;

use dth_proto::failure::{FailureClass, Side};

use super::{Bucket, Put};
use crate::{
    s3::{
        metadata::Creation,
        object::Pin,
        verify::Algorithm,
        wire::{Copying, Origin},
    },
    transfer::TransferError,
};

const COPY: &str = "CopyObject";
const PART: &str = "UploadPartCopy";

/// What is copied: one generation of an object, in a bucket of the same store.
#[derive(Clone, Copy, Debug)]
pub struct CopyFrom<'a> {
    /// Its bucket, with the key of ours that it may be encrypted with.
    pub bucket: &'a Bucket,
    /// Its key.
    pub key: &'a str,
    /// Its generation.
    pub pin: Pin<'a>,
}

/// What the copy is to have besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct CopyAsked<'a> {
    /// Metadata and tags count only where they are replaced.
    pub creation: &'a Creation,
    /// The metadata of `creation` instead of the source's.
    pub replace_metadata: bool,
    /// The tags of `creation` instead of the source's.
    pub replace_tags: bool,
    /// The checksum to store with it; `None`: that of the source.
    pub checksum: Option<Algorithm>,
}

impl Bucket {
    /// Lets the store make an object of another one of at most 5 GiB (AWS: CopyObject).
    ///
    /// # Errors
    /// `Changed` at the source when that generation is gone; others as classified, also those in an answer with status 200.
    pub async fn copy_object(&self, key: &str, from: CopyFrom<'_>, asked: CopyAsked<'_>) -> Result<Put, TransferError> {
        let CopyAsked { creation, replace_metadata, replace_tags, checksum } = asked;
        self.copying(COPY, key, from, Copying::Whole { creation, replace_metadata, replace_tags, checksum }).await
    }

    /// Lets the store make a part (from 1) of an upload of a range of an object, which must not be empty.
    ///
    /// # Errors
    /// As [`Bucket::copy_object`]; code `NoSuchUpload` when the upload is gone.
    pub async fn copy_part(&self, key: &str, id: &str, number: u32, from: CopyFrom<'_>, range: &Range<u64>) -> Result<Put, TransferError> {
        self.copying(PART, key, from, Copying::Part { id, number, range }).await
    }

    async fn copying(&self, operation: &'static str, key: &str, from: CopyFrom<'_>, what: Copying<'_>) -> Result<Put, TransferError> {
        let source = &from.bucket.inner;
        let origin =
            |customer| Origin { bucket: &source.name, key: from.key, pin: from.pin, requester_pays: source.requester_pays, customer };
        let send = async |origin: Origin<'_>| {
            self.call(operation, 0, || async {
                let answer = self.inner.wire.copy(key, origin, what, self.customer.as_ref()).await;
                answer.map_err(|failure| about_the_source(self.unsent(operation, failure)))
            })
            .await
        };
        let mut copied = send(origin(from.bucket.customer.as_ref())).await;
        if let Err(error) = &copied
            && from.bucket.is_not_sealed(error)
        {
            copied = send(origin(None)).await.or(copied);
        }
        let copied = copied?;
        if copied.etag.as_str().is_empty() {
            return Err(self.error(FailureClass::Transient, operation, "IncompleteAnswer", "the answer names no ETag"));
        }
        Ok(copied)
    }
}

impl Bucket {
    /// Whether both buckets are in one store, so that it can copy between them: at one endpoint, or, of AWS's own endpoints, in one
    /// partition (the destination's region reads from the source's).
    #[must_use]
    pub fn is_in_one_store_with(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.inner.wire.site(), other.inner.wire.site());
        let same = match (&ours.endpoint, &theirs.endpoint) {
            (Some(a), Some(b)) => a.trim_end_matches('/').eq_ignore_ascii_case(b.trim_end_matches('/')),
            (None, None) => partition(&ours.region) == partition(&theirs.region),
            _ => false,
        };
        same && self.provider() == other.provider()
    }
}

/// The group of regions that share accounts and copies (AWS: "Partitions" of the General Reference); empty: the commercial one.
fn partition(region: &str) -> &str {
    const OTHERS: [&str; 7] = ["cn-", "us-gov-", "us-iso-", "us-isob-", "us-isof-", "eu-isoe-", "eusc-"];
    OTHERS.into_iter().find(|begin| region.starts_with(begin)).unwrap_or_default()
}

/// What the destination says about the source of a copy, as if the source had said it.
fn about_the_source(mut error: TransferError) -> TransferError {
    match error.code.as_str() {
        "PreconditionFailed" | "NoSuchKey" | "NoSuchVersion" => (error.side, error.class) = (Side::Source, FailureClass::Changed),
        "InvalidObjectState" => error.side = Side::Source,
        _ => {}
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions() {
        for (a, b, same) in [
            ("us-east-1", "eu-west-1", true),
            ("cn-north-1", "cn-northwest-1", true),
            ("us-gov-west-1", "us-gov-east-1", true),
            ("us-east-1", "cn-north-1", false),
            ("us-east-1", "us-gov-west-1", false),
            ("us-iso-east-1", "us-isob-east-1", false),
        ] {
            assert_eq!(partition(a) == partition(b), same, "{a} {b}");
        }
    }
}
