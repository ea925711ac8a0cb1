//! Listing a bucket, with the exact bytes of every key.

use dth_proto::failure::FailureClass;

use super::Bucket;
use crate::{
    s3::{
        error::classify,
        list::{
            Answer, ListPages,
            xml::{ScanError, scan},
        },
        wire::Listing,
    },
    transfer::TransferError,
};

const LIST: &str = "ListObjectsV2";

impl ListPages for Bucket {
    async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
        self.list_some(prefix, start_after, token, None).await
    }
}

impl Bucket {
    /// One page of at most `limit` objects (1000 and no more, says S3) whose keys begin with `prefix`, in the store's order.
    /// `start_after` begins behind a key; `token` continues a listing and comes from the page before.
    ///
    /// # Errors
    /// When the page cannot be had, or has an object without key or size.
    pub async fn list_some(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        token: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Answer, TransferError> {
        let profile = self.inner.profile;
        let what = Listing { prefix, start_after, token, limit, version: profile.list_version, url_encoding: profile.url_encoding };
        self.call(LIST, 0, || async {
            let body = self.inner.wire.list(what).await.map_err(|failure| self.unsent(LIST, failure))?;
            scan(&body).map_err(|error| self.no_page(&error))
        })
        .await
    }

    fn no_page(&self, error: &ScanError) -> TransferError {
        match error {
            ScanError::Store { code, message } => self.error(classify(self.inner.side, LIST, 200, code), LIST, code, message.clone()),
            ScanError::NoKey | ScanError::NoSize { .. } => self.error(FailureClass::Transient, LIST, "IncompletePage", error.to_string()),
            ScanError::NotUtf8 { .. } => self.error(FailureClass::Permanent, LIST, "InvalidKey", error.to_string()),
            _ => self.unreadable(LIST, 200, &error.to_string()),
        }
    }
}
