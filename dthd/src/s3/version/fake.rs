//! A versioned bucket for tests, listed in pages of any size.

use proptest::prelude::*;

use super::{ListVersions, Place, Version, VersionPage};
use crate::{s3::object::ETag, transfer::TransferError};
use dth_proto::time::Timestamp;

/// Keys in byte order, versions of each newest first.
#[derive(Clone)]
pub(in crate::s3) struct Bucket {
    pub(in crate::s3) versions: Vec<(String, Version)>,
    pub(in crate::s3) page: usize,
}

/// A version whose content is a letter, made at a time; `None`: a delete marker.
pub(in crate::s3) fn version(id: &str, content: Option<char>, at: u64) -> Version {
    Version {
        id: id.to_owned(),
        latest: false,
        marker: content.is_none(),
        modified: Timestamp(at),
        size: u64::from(content.is_some()),
        etag: ETag::new(&content.map(|c| format!("{:032x}", u32::from(c))).unwrap_or_default()),
        class: String::new(),
    }
}

impl Bucket {
    /// Keys with the contents of their versions, oldest first; one version per tick of the clock, which begins at 1 for every key.
    pub(in crate::s3) fn of(keys: &std::collections::BTreeMap<String, Vec<Option<char>>>, page: usize) -> Self {
        let mut versions = Vec::new();
        for (key, contents) in keys {
            let count = contents.len();
            for (n, content) in contents.iter().enumerate().rev() {
                let made = version(&format!("v{n}"), *content, n as u64 + 1);
                versions.push((key.clone(), Version { latest: n + 1 == count, ..made }));
            }
        }
        Self { versions, page }
    }
}

impl ListVersions for Bucket {
    async fn versions(&self, prefix: &str, place: Option<&Place>) -> Result<VersionPage, TransferError> {
        let all = self.versions.iter().filter(|(key, _)| key.starts_with(prefix));
        let behind = |(key, version): &&(String, Version)| match place {
            None => true,
            Some(Place { key: last, version: None }) => key > last,
            Some(Place { key: last, version: Some(id) }) => {
                let at = self.versions.iter().position(|(k, v)| k == last && v.id == *id);
                let here = self.versions.iter().position(|(k, v)| k == key && v.id == version.id);
                here > at
            }
        };
        let mut left = all.filter(behind);
        let versions: Vec<_> = left.by_ref().take(self.page).cloned().collect();
        let next = left.next().and(versions.last()).map(|(key, v)| Place { key: key.clone(), version: Some(v.id.clone()) });
        Ok(VersionPage { versions, next })
    }
}

/// Some keys with some versions.
pub(in crate::s3) fn keys() -> impl Strategy<Value = std::collections::BTreeMap<String, Vec<Option<char>>>> {
    let content = prop_oneof![3 => prop::char::range('a', 'd').prop_map(Some), 1 => Just(None)];
    prop::collection::btree_map("[a-c]{1,2}", prop::collection::vec(content, 1..7), 0..8)
}
