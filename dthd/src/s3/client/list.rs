//! Listing a bucket, with the exact bytes of every key.

use aws_sdk_s3::{
    error::SdkError,
    operation::list_objects_v2::ListObjectsV2Output,
    primitives::DateTime,
    types::{EncodingType, ObjectStorageClass},
};
use dth_proto::{failure::FailureClass, time::Timestamp};
use percent_encoding::percent_decode;

use super::Bucket;
use crate::{
    s3::{
        list::{Answer, ListPages},
        object::bare,
        page::{EntryRef, Page},
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
        limit: Option<i32>,
    ) -> Result<Answer, TransferError> {
        self.call(LIST, 0, || async {
            let output = self
                .inner
                .client
                .list_objects_v2()
                .bucket(&self.inner.name)
                .set_prefix(Some(prefix.to_owned()).filter(|p| !p.is_empty()))
                .set_start_after(start_after.filter(|_| token.is_none()).map(str::to_owned))
                .set_continuation_token(token.map(str::to_owned))
                .set_max_keys(limit)
                .encoding_type(EncodingType::Url)
                .set_request_payer(self.payer())
                .send()
                .await
                .map_err(|e: SdkError<_, _>| self.failed(LIST, &e))?;
            self.page_of(output)
        })
        .await
    }

    fn page_of(&self, output: ListObjectsV2Output) -> Result<Answer, TransferError> {
        let incomplete = |why: &str| self.error(FailureClass::Transient, LIST, "IncompletePage", why);
        // A store that does not say so has not encoded the keys.
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let (truncated, token) = (output.is_truncated().unwrap_or(false), output.next_continuation_token().map(str::to_owned));
        let mut page = Page::with_capacity(output.contents().len(), 0);
        for object in output.contents.unwrap_or_default() {
            let raw = object.key.ok_or_else(|| incomplete("an object has no key"))?;
            let key = if encoded { decode(&raw) } else { Some(raw.clone()) };
            let key = key.ok_or_else(|| {
                self.error(FailureClass::Permanent, LIST, "InvalidKey", format!("a key is not UTF-8: {raw:?} (percent-encoded)"))
            })?;
            let size = object.size.and_then(|s| u64::try_from(s).ok());
            let entry = EntryRef {
                size: size.ok_or_else(|| incomplete("an object has no size"))?,
                key: &key,
                etag: bare(object.e_tag.as_deref().unwrap_or_default()),
                modified: timestamp(object.last_modified.as_ref()),
                class: object.storage_class.as_ref().map(ObjectStorageClass::as_str).unwrap_or_default(),
            };
            page.push(entry).map_err(|e| self.error(FailureClass::Permanent, LIST, "InvalidPage", e.to_string()))?;
        }
        Ok(Answer::new(page, truncated, token))
    }
}

/// A time of the SDK; 1970 when there is none.
pub(super) fn timestamp(time: Option<&DateTime>) -> Timestamp {
    Timestamp(time.and_then(|t| t.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0))
}

/// `encoding-type=url` is form encoding: `+` is a space. `None` when the bytes are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_exactly() {
        for (encoded, key) in [
            ("plain/key", "plain/key"),
            ("a+b%2Bc%20d", "a b+c d"),
            ("%E4%BD%A0%0A%01", "你\n\u{1}"),
            ("100%25", "100%"),
            ("50%", "50%"),
            ("%2F%2F..%2F", "//../"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(key), "{encoded}");
        }
        assert_eq!(decode("%FF%FE"), None);
    }
}
