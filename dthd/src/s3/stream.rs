//! The entries of a prefix in byte order, however the store comes to them.

use std::sync::Arc;

use dth_proto::failure::Side;

use super::{
    list::{ListError, ListPages, Listing},
    object::Entry,
    provider::ByteOrder,
    sorted::{SortSettings, Sorted},
};

/// Entries in strict byte order of their keys.
pub enum EntryStream {
    /// As the store lists them.
    Ordered(Listing),
    /// Sorted on disk.
    Sorted(Sorted),
}

impl EntryStream {
    /// Starts to read the keys that begin with `prefix` and come after `start_after`: directly, unless the store is known
    /// not to list in byte order. Must be called within a tokio runtime.
    ///
    /// A store of unknown order is trusted until it proves otherwise with [`ListError::Unordered`]; then begin the range
    /// anew with [`ByteOrder::No`] for that side.
    #[must_use]
    pub fn open(
        source: Arc<impl ListPages>,
        side: Side,
        prefix: String,
        start_after: Option<String>,
        order: ByteOrder,
        sort: SortSettings,
    ) -> Self {
        match order {
            ByteOrder::Yes | ByteOrder::Unknown => Listing::new(source, side, prefix, start_after).into(),
            ByteOrder::No => Sorted::new(source, side, prefix, start_after, sort).into(),
        }
    }

    /// The next entry; `None` at the end, and only there. Cancel safe.
    ///
    /// # Errors
    /// Final: every later call fails as well.
    pub async fn next(&mut self) -> Result<Option<Entry>, ListError> {
        match self {
            Self::Ordered(listing) => listing.next().await,
            Self::Sorted(sorted) => sorted.next().await,
        }
    }
}

impl From<Listing> for EntryStream {
    fn from(listing: Listing) -> Self {
        Self::Ordered(listing)
    }
}

impl From<Sorted> for EntryStream {
    fn from(sorted: Sorted) -> Self {
        Self::Sorted(sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::list::fake::{Bucket, block_on, entry};

    #[test]
    fn stores_are_sorted_where_they_must_be_and_checked_elsewhere() {
        let directory = tempfile::tempdir().expect("directory");
        for (order, wanted) in [(ByteOrder::Yes, None), (ByteOrder::Unknown, None), (ByteOrder::No, Some(["a-b", "a/x", "b"]))] {
            let result: Result<Vec<String>, ListError> = block_on(async {
                // directory by directory
                let bucket = Arc::new(Bucket::in_order(["a", "a/x", "a-b", "b"].map(entry), 2));
                let sort = SortSettings::new(directory.path().to_owned());
                let mut stream = EntryStream::open(bucket, Side::Source, String::new(), Some("a".to_owned()), order, sort);
                let mut keys = Vec::new();
                while let Some(entry) = stream.next().await? {
                    keys.push(entry.key);
                }
                Ok(keys)
            });
            match wanted {
                Some(keys) => assert_eq!(result.expect("sorted"), keys),
                None => assert!(matches!(result, Err(ListError::Unordered { .. })), "{order:?}: {result:?}"),
            }
        }
    }
}
