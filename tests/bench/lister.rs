//! A bucket that exists only as arithmetic, for listings of any length inside one process.

use dth_proto::time::Timestamp;
use dthd::{
    s3::{
        list::{Answer, ListPages},
        page::{EntryRef, Page},
    },
    transfer::TransferError,
};

use crate::keys::Keys;

/// Most keys in one page (AWS).
const MAX_KEYS: u64 = 1_000;
/// Bytes of a key and its ETag, about.
const TEXT: usize = 64;
/// The ETag of all objects.
const ETAG: &str = "0123456789abcdef0123456789abcdef";

/// The listing of computed keys.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic {
    /// Which.
    pub keys: Keys,
    /// When they were modified, in milliseconds since 1970.
    pub modified: u64,
}

impl ListPages for Synthetic {
    async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
        let within = self.keys.within(prefix);
        // a token is the key behind which the listing goes on
        let start = token.or(start_after).map_or(within.start, |key| within.start.max(self.keys.behind(key)));
        let end = within.end.min(start + MAX_KEYS);
        let mut page = Page::with_capacity(MAX_KEYS as usize, MAX_KEYS as usize * TEXT);
        let mut key = Vec::with_capacity(TEXT);
        for n in start..end {
            key.clear();
            self.keys.write(n, &mut key);
            let text = std::str::from_utf8(&key).unwrap_or_default();
            let entry =
                EntryRef { key: text, size: 4_096, etag: ETAG, modified: Timestamp(self.modified), class: "STANDARD", version: None };
            page.push(entry).map_err(|error| {
                TransferError::new(
                    dth_proto::failure::FailureClass::Permanent,
                    dth_proto::failure::Side::Source,
                    "ListObjectsV2",
                    "PageTooLong",
                    error.to_string(),
                )
            })?;
        }
        let last = (end < within.end).then(|| self.keys.key(end.saturating_sub(1)));
        Ok(Answer::new(page, last.is_some(), last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_follow_each_other() {
        for flat in [false, true] {
            let keys = Keys { count: 2_345, flat };
            let bucket = Synthetic { keys, modified: 7 };
            let (mut found, mut next) = (Vec::new(), None);
            loop {
                let answer = bucket.page("", None, next.as_deref()).await.unwrap();
                found.extend(answer.page.iter().map(|entry| entry.key.to_owned()));
                next = answer.next;
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(found, (0..2_345).map(|n| keys.key(n)).collect::<Vec<_>>());
            let behind = bucket.page("", Some(&keys.key(2_340)), None).await.unwrap();
            assert_eq!((behind.page.len(), behind.next), (4, None));
        }
    }
}
