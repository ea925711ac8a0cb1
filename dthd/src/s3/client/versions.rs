//! Listing the versions of a bucket, and whether it keeps any.

use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::{
        list::xml::{self, ScanError, ScannedVersions},
        version::{ListVersions, OPERATION, Place, VersionPage, Versioning, order::put_in_order},
        wire::Versions,
    },
    transfer::TransferError,
};

const VERSIONING: &str = "GetBucketVersioning";

impl ListVersions for Bucket {
    async fn versions(&self, prefix: &str, place: Option<&Place>) -> Result<VersionPage, TransferError> {
        let (mut page, in_doubt) = self.some_versions(prefix, place, None).await?;
        for (key, count) in in_doubt {
            let ids = self.one_by_one(&key, place.filter(|place| place.key == key), count).await?;
            put_in_order(&mut page.versions, &key, &ids);
        }
        Ok(page)
    }
}

impl Bucket {
    async fn some_versions(&self, prefix: &str, place: Option<&Place>, limit: Option<u32>) -> Result<ScannedVersions, TransferError> {
        let place = place.map(|place| (place.key.as_str(), place.version.as_deref()));
        let what = Versions { prefix, place, limit, url_encoding: self.inner.profile.url_encoding };
        let page = self.call(OPERATION, 0, || async {
            let body = self.inner.wire.list_versions(what).await.map_err(|failure| self.unsent(OPERATION, failure))?;
            xml::scan_versions(&body).map_err(|error| self.unscanned_versions(OPERATION, error))
        });
        page.await.map_err(|error| if is_unknown(&error) { self.no_versions() } else { error })
    }

    /// The ids of a key's versions behind `place`, newest first: pages of one have an order even where others have none. Not all of the
    /// `count` that were asked for, where the store has no such pages.
    async fn one_by_one(&self, key: &str, place: Option<&Place>, count: usize) -> Result<Vec<String>, TransferError> {
        let mut ids = Vec::new();
        let mut place = place.cloned();
        while ids.len() < count {
            let (page, _) = self.some_versions(key, place.as_ref(), Some(1)).await?;
            let [(found, version)] = page.versions.as_slice() else { break };
            if found != key {
                break;
            }
            ids.push(version.id.clone());
            if page.next.is_none() || page.next == place {
                break;
            }
            place = page.next;
        }
        Ok(ids)
    }

    /// Whether the bucket keeps versions.
    ///
    /// # Errors
    /// When it cannot be told; a store that knows no versions says so in words.
    pub async fn versioning(&self) -> Result<Versioning, TransferError> {
        let asked = self.call(VERSIONING, 0, || async {
            let body = self.inner.wire.versioning().await.map_err(|failure| self.unsent(VERSIONING, failure))?;
            xml::scan_versioning(&body).map_err(|error| self.unscanned_versions(VERSIONING, error))
        });
        asked.await.map_err(|error| if is_unknown(&error) { self.no_versions() } else { error })
    }

    fn unscanned_versions(&self, operation: &'static str, error: ScanError) -> TransferError {
        match error {
            // it does not look at the query
            ScanError::OtherDocument { root } if root.starts_with("List") => self.no_versions(),
            error => self.error(error.class(), operation, error.code(), error.to_string()),
        }
    }

    fn no_versions(&self) -> TransferError {
        let message = format!("the store at {} does not list versions: set versions = \"latest\", and no as_of", self.inner.place);
        self.error(FailureClass::Permanent, OPERATION, "NotImplemented", message)
    }
}

fn is_unknown(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation")
}
