//! Key by key through a listing of versions.

use std::{collections::VecDeque, sync::Arc};

use dth_proto::failure::Side;

use super::{ListVersions, Place, Version, VersionPage, as_of::MOST_VERSIONS, as_of::too_many, check_newest_first, senseless};
use crate::transfer::TransferError;

/// A key with all its versions, newest first.
pub type Key = (String, Vec<Version>);

/// Reads a listing of versions in byte order; holds one page and the versions of one key.
pub struct KeyCursor<B> {
    bucket: Arc<B>,
    side: Side,
    prefix: String,
    /// Keys up to here are not wanted.
    after: Option<String>,
    page: VecDeque<(String, Version)>,
    place: Option<Place>,
    ended: bool,
    /// The key that was given out last.
    last: Option<String>,
    /// A key that was read and not given out yet.
    ahead: Option<Key>,
}

impl<B: ListVersions> KeyCursor<B> {
    /// The keys that begin with `prefix` and come behind `after`.
    #[must_use]
    pub fn new(bucket: Arc<B>, side: Side, prefix: &str, after: Option<String>) -> Self {
        let place = after.as_deref().map(Place::after);
        let prefix = prefix.to_owned();
        Self { bucket, side, prefix, after, page: VecDeque::new(), place, ended: false, last: None, ahead: None }
    }

    /// The next key; `None` at the end, and only there.
    ///
    /// # Errors
    /// When a page cannot be had, keys are not in byte order (`ListUnordered`), versions not newest first (`VersionsOutOfOrder`), or a
    /// key has more than can be put in order (`TooManyVersions`).
    pub async fn next(&mut self) -> Result<Option<Key>, TransferError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let mut found: Option<Key> = None;
        loop {
            while let Some((key, _)) = self.page.front() {
                if found.as_ref().is_some_and(|(ours, _)| ours != key) {
                    return Ok(found);
                }
                let Some((key, version)) = self.page.pop_front() else { break };
                if self.after.as_ref().is_some_and(|after| key <= *after) {
                    continue;
                }
                match &mut found {
                    Some((_, versions)) if versions.len() == MOST_VERSIONS => return Err(too_many(self.side, &key)),
                    Some((_, versions)) => versions.push(version),
                    None => {
                        self.check_order(&key)?;
                        check_newest_first(self.side, &key, &version)?;
                        self.last = Some(key.clone());
                        found = Some((key, vec![version]));
                    }
                }
            }
            if self.ended {
                return Ok(found);
            }
            let VersionPage { versions, next } = self.bucket.versions(&self.prefix, self.place.as_ref()).await?;
            if next.is_some() && next == self.place {
                return Err(senseless(self.side, "ListLoop", "the store answered with the same page again"));
            }
            self.ended = next.is_none();
            self.place = next;
            self.page = versions.into();
        }
    }

    /// The versions of `key`, which is greater than any asked for before; none when it is not there. Lesser keys are passed over.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn seek(&mut self, key: &str) -> Result<Vec<Version>, TransferError> {
        loop {
            match self.next().await? {
                Some((found, _)) if found.as_str() < key => {}
                Some((found, versions)) if found == key => return Ok(versions),
                ahead => {
                    self.ahead = ahead;
                    return Ok(Vec::new());
                }
            }
        }
    }

    fn check_order(&self, key: &str) -> Result<(), TransferError> {
        match self.last.as_deref().filter(|last| *last >= key) {
            Some(last) => {
                let message = format!("the listing of versions is not in byte order: {key:?} came after {last:?}");
                Err(senseless(self.side, "ListUnordered", message))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::{
        list::fake::block_on,
        version::fake::{Bucket, keys},
    };

    proptest! {
        #[test]
        fn every_key_comes_once_with_all_its_versions(keys in keys(), page in 1usize..9, after in prop::option::of("[a-c]{1,2}")) {
            let mut cursor = KeyCursor::new(Arc::new(Bucket::of(&keys, page)), Side::Source, "", after.clone());
            let found = block_on(async {
                let mut found = Vec::new();
                while let Some((key, versions)) = cursor.next().await.expect("in order") {
                    found.push((key, versions.len()));
                }
                found
            });
            let behind = keys.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
            let wanted: Vec<(String, usize)> = behind.map(|(key, contents)| (key.clone(), contents.len())).collect();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn keys_are_found_by_going_forward(keys in keys(), page in 1usize..9, asked in prop::collection::btree_set("[a-c]{1,2}", 0..8)) {
            let mut cursor = KeyCursor::new(Arc::new(Bucket::of(&keys, page)), Side::Destination, "", None);
            for key in &asked {
                let found = block_on(cursor.seek(key)).expect("in order");
                prop_assert_eq!(found.len(), keys.get(key).map_or(0, Vec::len), "{}", key);
            }
        }
    }

    #[test]
    fn disorder_is_told() {
        let mut bucket = Bucket::of(&[("a".to_owned(), vec![Some('a')]), ("b".to_owned(), vec![Some('b')])].into(), 9);
        bucket.versions.reverse();
        let mut cursor = KeyCursor::new(Arc::new(bucket), Side::Source, "", None);
        assert!(block_on(cursor.next()).is_ok_and(|key| key.is_some()));
        assert_eq!(block_on(cursor.next()).expect_err("a after b").code, "ListUnordered");
    }
}
