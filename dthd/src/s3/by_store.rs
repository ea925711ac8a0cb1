//! Objects that the store copies by itself, where both ends are one store: CopyObject, and UploadPartCopy for large ones.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dth_proto::{
    failure::{FailureClass, Side},
    spec::S3Options,
};

use super::{
    client::{Bucket, CopyAsked, CopyFrom, Put},
    copy::{Copied, Copier, CopyError, CopyRequest, mismatch},
    journal::Journal,
    metadata::{Creation, Metadata, ObjectInfo},
    object::{Entry, Pin},
    verify::{Algorithm, Checksum, checksum::is_same, plan::Facts},
    version::NULL,
};
use crate::transfer::TransferError;

/// The word in records for a copy whose ETag or checksum at the destination is the source's.
const PROVEN: &str = "server-side";
/// The word for one of which neither store says more than its size.
const SIZED: &str = "server-side-size";

/// Whether the store copies by itself in this run, as far as is known by now.
#[derive(Debug)]
pub struct StoreCopies(AtomicBool);

impl StoreCopies {
    /// Where both ends are one store that copies, and the task allows it. Whether the destination's credential may read the source is
    /// not known before it has tried.
    #[must_use]
    pub fn between(source: &Bucket, destination: &Bucket, options: &S3Options) -> Self {
        let one = destination.profile().copies && destination.is_in_one_store_with(source);
        Self(AtomicBool::new(options.server_side_copy && one))
    }

    /// See the type.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// From now on everything passes here.
    fn give_up(&self, error: &TransferError) {
        if self.0.swap(false, Relaxed) {
            tracing::info!(code = %error.code, error = %error.message, "the store does not copy by itself: objects are read and written");
        }
    }
}

/// What to do after the store has not copied an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// What it said holds for every way to copy it.
    Fail,
    /// Read and write this one: that shows what is wrong, if something is.
    Relay,
    /// The same, for all others as well.
    RelayAll,
}

fn next(error: &TransferError) -> Next {
    match (error.code.as_str(), error.class) {
        ("NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation", _) | (_, FailureClass::Auth) => Next::RelayAll,
        // it was there a moment ago for the source's credential
        ("NoSuchKey" | "NoSuchVersion", _) => Next::Relay,
        (_, FailureClass::Permanent) if error.side == Side::Destination => Next::Relay,
        _ => Next::Fail,
    }
}

impl<J: Journal> Copier<J> {
    /// Lets the store copy the object; `None`: it does not, and nothing of it is left.
    pub(super) async fn by_store(&self, entry: &Entry, request: CopyRequest<'_>) -> Option<Result<Copied, CopyError>> {
        let result = if entry.size <= self.destination.profile().parts.max {
            self.object_by_store(entry, request).await.map_err(CopyError::from)
        } else if self.destination.copies_parts() {
            self.multipart(entry, request, true).await
        } else {
            return None;
        };
        if let Err(CopyError::Failed(error)) = &result {
            match next(error) {
                Next::Fail => {}
                Next::Relay => return None,
                Next::RelayAll => {
                    self.by_store.give_up(error);
                    return None;
                }
            }
        }
        Some(result)
    }

    /// By one CopyObject.
    async fn object_by_store(&self, entry: &Entry, request: CopyRequest<'_>) -> Result<Copied, TransferError> {
        let CopyRequest { destination_key: key, progress, .. } = request;
        progress.begin(entry.size, 1);
        let info = self.pinned(entry).await?;
        let creation = Creation::of(info.clone(), &[], self.wanted());
        let asked = CopyAsked {
            replace_metadata: is_other(&creation.metadata, &info.metadata),
            replace_tags: !self.options.tags && info.tags > 0 && self.destination.profile().tags,
            checksum: self.target.checksum.as_deref().and_then(Algorithm::named),
            creation: &creation,
        };
        let from = CopyFrom { bucket: &self.source, key: &entry.key, pin: entry.pin() };
        let put = self.destination.copy_object(key, from, asked).await?;
        self.kept(key, entry.size).await?;
        let verified = self.proven_by_store(key, entry, &info, &put, false).await?;
        progress.add(entry.size);
        Ok(Copied {
            size: entry.size,
            source_etag: entry.etag.clone(),
            destination_etag: put.etag,
            destination_version: put.version,
            verified,
            bytes_sent: 0,
        })
    }

    /// Compares what the store says about the copy with what it says about the source; asks where the answer to the copy is not enough.
    /// `proven`: its parts have shown it.
    pub(super) async fn proven_by_store(
        &self,
        key: &str,
        entry: &Entry,
        info: &ObjectInfo,
        put: &Put,
        proven: bool,
    ) -> Result<&'static str, TransferError> {
        let told = told(&self.facts(&entry.etag, info), entry, put);
        let told = match told.or(proven.then_some(true)) {
            None => {
                // some stores name it where nothing is versioned, and then know no version of this name
                let version = put.version.as_deref().filter(|version| *version != NULL);
                let found = self.destination.head(key, Pin { etag: None, version }).await?;
                if found.size != entry.size {
                    let message = format!("the copy has {} bytes, the source {}", found.size, entry.size);
                    return Err(mismatch(Side::Destination, "CopyObject", message));
                }
                is_same(&info.checksums, &found.checksums)
            }
            told => told,
        };
        match told {
            Some(true) => Ok(PROVEN),
            None => Ok(SIZED),
            Some(false) => {
                let message = format!("the copy has other content than the source: ETag {}, the source has {}", put.etag, entry.etag);
                Err(mismatch(Side::Destination, "CopyObject", message))
            }
        }
    }
}

/// What the answer to a copy says about its content; `None`: nothing that can be compared.
fn told(facts: &Facts, entry: &Entry, put: &Put) -> Option<bool> {
    let checksum = facts.checksum.map(Checksum::from).zip(put.checksum);
    if let Some((ours, theirs)) = checksum.filter(|(ours, theirs)| ours.algorithm == theirs.algorithm) {
        return Some(ours == theirs);
    }
    if put.etag == entry.etag {
        return Some(true);
    }
    let comparable = facts.md5.is_some() && facts.md5_is_certain && !put.opaque_etag && put.etag.looks_like_md5();
    comparable.then_some(false)
}

/// Whether the copy gets other metadata than the source has. What no directive copies does not count: it is said in any case.
fn is_other(wanted: &Metadata, found: &Metadata) -> bool {
    let copied = |metadata: &Metadata| Metadata { redirect: None, ..metadata.clone() };
    copied(wanted) != copied(found)
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;
    use crate::s3::{
        object::ETag,
        verify::{Crc, Md5Sum, StoredChecksum},
    };

    #[test]
    fn what_follows_a_copy_that_was_not_made() {
        use FailureClass::{Auth, Changed, Permanent, Throttled, Transient};
        use Side::{Destination, Source};
        for (class, side, code, expected) in [
            (Auth, Destination, "AccessDenied", Next::RelayAll),
            (Permanent, Destination, "NotImplemented", Next::RelayAll),
            (Permanent, Destination, "InvalidRequest", Next::Relay),
            (Changed, Source, "NoSuchKey", Next::Relay),
            (Changed, Source, "PreconditionFailed", Next::Fail),
            (Permanent, Source, "InvalidObjectState", Next::Fail),
            (Throttled, Destination, "SlowDown", Next::Fail),
            (Transient, Destination, "InternalError", Next::Fail),
        ] {
            assert_eq!(next(&TransferError::new(class, side, "CopyObject", code, "")), expected, "{code}");
        }
    }

    #[test]
    fn answers_are_compared_where_they_can_be() {
        let md5 = Md5Sum::of(b"x").hex();
        let stored = |value| StoredChecksum { crc: Crc::Crc32, value };
        for (etag, certain, ours, answered, theirs, opaque, expected) in [
            (md5.as_str(), true, None, md5.as_str(), None, false, Some(true)),
            (&md5, true, None, "00000000000000000000000000000000", None, false, Some(false)),
            (&md5, false, None, "00000000000000000000000000000000", None, false, None),
            (&md5, true, None, "00000000000000000000000000000000", None, true, None),
            (&md5, true, Some(1), "00000000000000000000000000000000", Some(1), true, Some(true)),
            ("a-2", true, Some(1), &md5, Some(2), false, Some(false)),
            ("a-2", true, None, &md5, None, false, None),
            (&md5, true, None, "opaque", None, false, None),
        ] {
            let entry =
                Entry { key: "k".into(), size: 1, etag: ETag::new(etag), modified: Timestamp(0), class: String::new(), version: None };
            let facts = Facts {
                md5: Md5Sum::from_etag(&entry.etag),
                md5_is_certain: certain,
                parts: None,
                checksum: ours.map(stored),
                takes_checksums: true,
                part_etags_are_md5: true,
                asked: None,
            };
            let put =
                Put { etag: ETag::new(answered), opaque_etag: opaque, checksum: theirs.map(stored).map(Checksum::from), version: None };
            assert_eq!(told(&facts, &entry, &put), expected, "{etag} {answered}");
        }
    }

    #[test]
    fn metadata_that_no_directive_copies_is_no_difference() {
        let found = Metadata { content_type: Some("text/x".into()), redirect: Some("/a".into()), ..Metadata::default() };
        assert!(!is_other(&Metadata { redirect: None, ..found.clone() }, &found));
        assert!(is_other(&Metadata { content_type: None, ..found.clone() }, &found));
    }
}
