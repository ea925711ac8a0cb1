//! Listing a bucket, with the exact bytes of every key.

use super::Bucket;
use crate::{
    s3::{
        list::{
            Answer, ListPages,
            xml::{self, ScanError},
        },
        wire::Listing,
    },
    transfer::TransferError,
};

/// Of both versions of the request: one name for one thing.
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
            xml::scan(&body).map_err(|error| self.unscanned(&error))
        })
        .await
    }

    fn unscanned(&self, error: &ScanError) -> TransferError {
        self.error(error.class(), LIST, error.code(), error.to_string())
    }
}
