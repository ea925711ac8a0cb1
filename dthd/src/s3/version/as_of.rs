//! The keys of a bucket as they were at a time: its versions, one or none per key, as an ordinary listing.

use dth_proto::{failure::Side, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{ListVersions, Place, Version, VersionPage, check_newest_first, senseless};
use crate::{
    s3::{
        list::{Answer, ListPages},
        object::Entry,
        page::Page,
    },
    transfer::TransferError,
};

/// A bucket as it was at a time. Its pages are those of its versions, with what is not the state of a key left out.
#[derive(Clone, Debug)]
pub struct AsOf<B> {
    /// The bucket.
    pub bucket: B,
    /// The time. What was made in the same millisecond is in.
    pub at: Timestamp,
}

/// Where a page ended, as a continuation token: nothing has to be remembered between pages but whether the last key is settled.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    key: String,
    version: Option<String>,
    /// The state of the page's last key is known: its older versions do not matter.
    settled: Option<String>,
    /// The page's last key, settled or not.
    last: Option<String>,
}

impl<B: ListVersions> ListPages for AsOf<B> {
    async fn page(&self, prefix: &str, start_after: Option<&str>, token: Option<&str>) -> Result<Answer, TransferError> {
        let from: Option<Token> = token.and_then(|text| serde_json::from_str(text).ok());
        let place = match (&from, start_after) {
            (Some(token), _) => Some(Place { key: token.key.clone(), version: token.version.clone() }),
            (None, Some(key)) => Some(Place::after(key)),
            (None, None) => None,
        };
        let VersionPage { mut versions, next } = self.bucket.versions(prefix, place.as_ref()).await?;
        // stores differ in whether a key marker alone includes the key
        if let (None, Some(floor)) = (&from, start_after) {
            versions.retain(|(key, _)| key.as_str() > floor);
        }
        let (known, settled) = from.map(|token| (token.last, token.settled)).unwrap_or_default();
        let mut state = State { known, settled };
        let entries = state.reduce(versions, self.at)?;
        let page: Page = entries.into_iter().collect();
        let State { known: last, settled } = state;
        let next = next.map(|place| Token { key: place.key, version: place.version, settled, last });
        let token = next.map(|token| serde_json::to_string(&token).unwrap_or_default());
        Ok(Answer { page, next: token })
    }
}

/// What is known of the last key that was seen.
#[derive(Debug, Default)]
struct State {
    known: Option<String>,
    settled: Option<String>,
}

impl State {
    /// Of versions newest first the first that is not younger than `at`, per key; where that is a delete marker, none.
    fn reduce(&mut self, versions: Vec<(String, Version)>, at: Timestamp) -> Result<Vec<Entry>, TransferError> {
        let mut entries = Vec::new();
        for (key, version) in versions {
            if self.known.as_ref() != Some(&key) {
                check_newest_first(Side::Source, &key, &version)?;
                self.known = Some(key.clone());
            }
            if version.modified > at || self.settled.as_ref() == Some(&key) {
                continue;
            }
            if !version.marker {
                entries.push(version.entry(&key));
            }
            self.settled = Some(key);
        }
        Ok(entries)
    }
}

impl<B: ListVersions> AsOf<B> {
    /// One key as it was; `None`: it was not there.
    ///
    /// # Errors
    /// When its versions cannot be listed.
    pub async fn entry(&self, key: &str) -> Result<Option<Entry>, TransferError> {
        let versions = of_key(&self.bucket, key).await?;
        Ok(State::default().reduce(versions.into_iter().map(|version| (key.to_owned(), version)).collect(), self.at)?.pop())
    }
}

/// Versions of one key that are read at most.
pub const MOST_VERSIONS: usize = 100_000;

/// All versions of one key, newest first.
///
/// # Errors
/// When they cannot be listed, or are more than [`MOST_VERSIONS`].
pub async fn of_key(bucket: &impl ListVersions, key: &str) -> Result<Vec<Version>, TransferError> {
    let mut found = Vec::new();
    let mut place = None;
    loop {
        let page = bucket.versions(key, place.as_ref()).await?;
        // of the keys that begin with it, it comes first
        let (ours, others): (Vec<_>, Vec<_>) = page.versions.into_iter().partition(|(name, _)| name == key);
        found.extend(ours.into_iter().map(|(_, version)| version));
        if found.len() > MOST_VERSIONS {
            return Err(too_many(Side::Source, key));
        }
        match page.next {
            Some(next) if others.is_empty() && place.as_ref() != Some(&next) => place = Some(next),
            _ => return Ok(found),
        }
    }
}

/// A key with more versions than are held in memory.
pub(super) fn too_many(side: Side, key: &str) -> TransferError {
    let message = format!("{key:?} has more than {MOST_VERSIONS} versions: they cannot be put in order; expire some with a lifecycle rule");
    senseless(side, "TooManyVersions", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::{
        list::{Listing, bound::Range, fake::block_on},
        version::fake::{Bucket, keys},
    };
    use std::sync::Arc;

    proptest! {
        #[test]
        fn the_state_of_every_key_is_what_a_look_back_finds(keys in keys(), page in 1usize..9, at in 0u64..8, after in prop::option::of("[a-c]{1,2}")) {
            let bucket = AsOf { bucket: Bucket::of(&keys, page), at: Timestamp(at) };
            let listed = block_on(async {
                let mut listing = Listing::new(Arc::new(bucket.clone()), Side::Source, Range { after: after.clone(), ..Range::default() });
                let mut found = Vec::new();
                while let Some(page) = listing.next().await.expect("in order") {
                    found.extend(page.iter().map(|entry| entry.to_entry()));
                }
                found
            });
            let wanted: Vec<(String, String)> = keys
                .iter()
                .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
                .filter_map(|(key, contents)| {
                    let n = contents.len().min(usize::try_from(at).unwrap_or(usize::MAX)).checked_sub(1)?;
                    contents[n].map(|_| (key.clone(), format!("v{n}")))
                })
                .collect();
            let found: Vec<(String, String)> = listed.into_iter().map(|e| (e.key, e.version.unwrap_or_default())).collect();
            prop_assert_eq!(&found, &wanted);
            for key in keys.keys() {
                let entry = block_on(bucket.entry(key)).expect("listed");
                let alone = entry.map(|e| (e.key, e.version.unwrap_or_default()));
                if after.is_none() {
                    prop_assert_eq!(alone.as_ref(), wanted.iter().find(|(k, _)| k == key));
                }
            }
        }
    }

    #[test]
    fn a_store_that_lists_the_oldest_first_is_noticed() {
        let mut bucket = Bucket::of(&[("k".to_owned(), vec![Some('a'), Some('b')])].into(), 9);
        bucket.versions.reverse();
        let bucket = AsOf { bucket, at: Timestamp(9) };
        let error = block_on(bucket.page("", None, None)).expect_err("no order to rely on");
        assert_eq!(error.code, "VersionsOutOfOrder");
    }
}
