//! Listing the versions of a bucket, and whether it keeps any.

use aws_sdk_s3::types::BucketVersioningStatus;
use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::{
        list::xml::{self, ScanError},
        version::{ListVersions, OPERATION, Place, VersionPage, Versioning},
        wire::Versions,
    },
    transfer::TransferError,
};

const VERSIONING: &str = "GetBucketVersioning";

impl ListVersions for Bucket {
    async fn versions(&self, prefix: &str, place: Option<&Place>) -> Result<VersionPage, TransferError> {
        let place = place.map(|place| (place.key.as_str(), place.version.as_deref()));
        let what = Versions { prefix, place, url_encoding: self.inner.profile.url_encoding };
        let page = self.call(OPERATION, 0, || async {
            let body = self.inner.wire.list_versions(what).await.map_err(|failure| self.unsent(OPERATION, failure))?;
            xml::scan_versions(&body).map_err(|error| match error {
                // it does not look at the query
                ScanError::OtherDocument { root } if root.starts_with("List") => self.no_versions(),
                error => self.error(error.class(), OPERATION, error.code(), error.to_string()),
            })
        });
        page.await.map_err(|error| if is_unknown(&error) { self.no_versions() } else { error })
    }
}

impl Bucket {
    /// Whether the bucket keeps versions.
    ///
    /// # Errors
    /// When it cannot be told; a store that knows no versions says so in words.
    pub async fn versioning(&self) -> Result<Versioning, TransferError> {
        let asked = self.call(VERSIONING, 0, || async {
            let request = self.sdk().get_bucket_versioning().bucket(&self.inner.name);
            request.send().await.map_err(|e| self.failed(VERSIONING, &e))
        });
        let answer = asked.await.map_err(|error| if is_unknown(&error) { self.no_versions() } else { error })?;
        Ok(match answer.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
            None => Versioning::Never,
        })
    }

    fn no_versions(&self) -> TransferError {
        let message = format!("the store at {} does not list versions: set versions = \"latest\", and no as_of", self.inner.place);
        self.error(FailureClass::Permanent, OPERATION, "NotImplemented", message)
    }
}

fn is_unknown(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation")
}
