//! Versions of objects, as stores list them: newest first under each key, with delete markers between them.
//!
//! | file | holds |
//! |---|---|
//! | [`as_of`] | the keys as they were at a time, as an ordinary listing |
//! | [`cursor`] | key by key through a listing of versions |
//! | `order` | their order, where a store's answer does not tell it |
//! | [`plan`] | which versions of a key are still to be copied |

pub mod as_of;
pub mod cursor;
#[cfg(test)]
pub(super) mod fake;
pub(super) mod order;
pub mod plan;

use std::future::Future;

use dth_proto::{failure::FailureClass, failure::Side, time::Timestamp};

use super::{
    object::{ETag, Entry},
    page::EntryRef,
};
use crate::transfer::TransferError;

/// The request behind every page, for error messages.
pub(super) const OPERATION: &str = "ListObjectVersions";
/// The id of what was written while the bucket kept no versions (AWS: "Working with objects in a versioning-suspended bucket").
pub const NULL: &str = "null";
/// What stands between key and version in the names of items.
const MARK: &str = "?versionId=";

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id; [`NULL`] for what was written without one.
    pub id: String,
    /// It is what a request without a version finds.
    pub latest: bool,
    /// A delete marker: from then on there was no object.
    pub marker: bool,
    /// When it was made.
    pub modified: Timestamp,
    /// Bytes; 0 of a delete marker.
    pub size: u64,
    /// Empty of a delete marker.
    pub etag: ETag,
    /// Storage class as the store spells it; empty when it says nothing.
    pub class: String,
}

impl Version {
    /// The version as a listing of objects would show it, with its id.
    #[must_use]
    pub fn entry(&self, key: &str) -> Entry {
        self.entry_ref(key).to_entry()
    }

    /// The same, lent.
    #[must_use]
    pub fn entry_ref<'a>(&'a self, key: &'a str) -> EntryRef<'a> {
        let Self { id, size, etag, modified, class, .. } = self;
        EntryRef { key, size: *size, etag: etag.as_str(), modified: *modified, class, version: Some(id) }
    }
}

/// How an item that is a version is called in records and reports.
#[must_use]
pub fn item_name(key: &str, id: &str) -> String {
    format!("{key}{MARK}{id}")
}

/// The key of an item that is a version; the name itself when it is none.
#[must_use]
pub fn key_of_item(name: &str) -> &str {
    name.rsplit_once(MARK).map_or(name, |(key, _)| key)
}

/// Where a page of versions ended: `KeyMarker` and `VersionIdMarker`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Keys come after this one, or are this one.
    pub key: String,
    /// Its versions behind this one come first; `None`: none of its versions.
    pub version: Option<String>,
}

impl Place {
    /// Behind all versions of a key.
    #[must_use]
    pub fn after(key: &str) -> Self {
        Self { key: key.to_owned(), version: None }
    }
}

/// One page: keys in the store's order, versions of a key newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Key and version.
    pub versions: Vec<(String, Version)>,
    /// Where the next page begins; `None` at the end of the listing.
    pub next: Option<Place>,
}

/// A bucket whose versions can be listed.
pub trait ListVersions: Send + Sync + 'static {
    /// The versions of keys that begin with `prefix`, behind `place`.
    ///
    /// # Errors
    /// Final: whoever implements this has tried again already, as far as that helps.
    fn versions(&self, prefix: &str, place: Option<&Place>) -> impl Future<Output = Result<VersionPage, TransferError>> + Send;
}

/// Whether a bucket keeps versions (`GetBucketVersioning`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// Every write makes one.
    Enabled,
    /// It has; what is written now replaces the version [`NULL`].
    Suspended,
    /// It never has.
    Never,
}

/// A listing of versions that cannot be relied on.
pub(super) fn senseless(side: Side, code: &str, message: impl Into<String>) -> TransferError {
    TransferError::new(FailureClass::Permanent, side, OPERATION, code, message)
}

/// The first version of a key, as a store lists them, must be the latest: of one that lists them the other way round, pages would be misread.
pub(super) fn check_newest_first(side: Side, key: &str, first: &Version) -> Result<(), TransferError> {
    if first.latest {
        return Ok(());
    }
    let message =
        format!("the versions of {key:?} do not come newest first, as S3 lists them: versions of this store cannot be copied in order");
    Err(senseless(side, "VersionsOutOfOrder", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_by_key_and_version() {
        for (key, id) in [("a/b", "v.1_2"), ("?versionId=x", NULL), ("", "1")] {
            assert_eq!(key_of_item(&item_name(key, id)), key);
        }
        assert_eq!(key_of_item("plain"), "plain");
    }
}
