//! Listing a bucket, with the exact bytes of every key.

use dth_proto::{failure::FailureClass, time::Timestamp};
use memchr::memmem;

use super::{Bucket, decode};
use crate::{
    s3::{
        list::{ListPages, Page},
        object::{ETag, Entry},
        wire::{Listing, unescape},
    },
    transfer::TransferError,
};

const LIST: &str = "ListObjectsV2";

impl ListPages for Bucket {
    async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Page, TransferError> {
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
    ) -> Result<Page, TransferError> {
        let profile = self.inner.profile;
        let what = Listing { prefix, start_after, token, limit, version: profile.list_version, url_encoding: profile.url_encoding };
        self.call(LIST, 0, || async {
            let body = self.inner.wire.list(what).await.map_err(|failure| self.unsent(LIST, failure))?;
            self.page_of(&body)
        })
        .await
    }

    fn page_of(&self, body: &[u8]) -> Result<Page, TransferError> {
        let incomplete = |why: &str| self.error(FailureClass::Transient, LIST, "IncompletePage", why);
        if memmem::find(body, b"</ListBucketResult>").is_none() {
            return Err(self.unreadable(LIST, 200, "it is not a whole page of a listing"));
        }
        let mut entries = Vec::new();
        let mut around = Vec::new();
        let mut rest = body;
        while let Some(start) = memmem::find(rest, b"<Contents>") {
            let end = memmem::find(rest, b"</Contents>").filter(|end| *end > start).ok_or_else(|| incomplete("an object has no end"))?;
            around.extend_from_slice(&rest[..start]);
            entries.push(&rest[start..end]);
            rest = &rest[end + "</Contents>".len()..];
        }
        around.extend_from_slice(rest);
        let encoded = text_of(&around, "EncodingType").as_deref() == Some("url");
        let exact = |raw: &str| if encoded { decode(raw) } else { Some(raw.to_owned()) };
        let entries = entries.into_iter().map(|xml| {
            let raw = text_of(xml, "Key").ok_or_else(|| incomplete("an object has no key"))?;
            let key = exact(&raw).ok_or_else(|| {
                self.error(FailureClass::Permanent, LIST, "InvalidKey", format!("a key is not UTF-8: {raw:?} (percent-encoded)"))
            })?;
            let size = text_of(xml, "Size").and_then(|size| size.parse().ok()).ok_or_else(|| incomplete("an object has no size"))?;
            let modified = text_of(xml, "LastModified").and_then(|time| time.parse::<jiff::Timestamp>().ok());
            let modified = modified.and_then(|time| u64::try_from(time.as_millisecond()).ok()).unwrap_or(0);
            let etag = ETag::new(&text_of(xml, "ETag").unwrap_or_default());
            Ok(Entry { key, size, etag, modified: Timestamp(modified), class: text_of(xml, "StorageClass").unwrap_or_default() })
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let truncated = text_of(&around, "IsTruncated").as_deref() == Some("true");
        let marker = || text_of(&around, "NextMarker").and_then(|marker| exact(&marker));
        let token = text_of(&around, "NextContinuationToken").or_else(marker);
        Ok(Page::new(entries, truncated, token))
    }
}

/// The text of the first element of a name.
fn text_of(xml: &[u8], name: &str) -> Option<String> {
    let start = memmem::find(xml, format!("<{name}>").as_bytes())? + name.len() + 2;
    let end = start + memmem::find(&xml[start..], b"<")?;
    Some(unescape(std::str::from_utf8(&xml[start..end]).ok()?).into_owned())
}
