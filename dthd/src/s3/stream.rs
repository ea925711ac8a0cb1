//! The entries of a range in byte order, however the store comes to them.

use std::sync::Arc;

use dth_proto::failure::Side;

pub use super::list::bound::{Bound, Range};
use super::{
    list::{ListError, ListPages, Listing},
    page::Page,
    prefix::{Place, PrefixCursor},
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
    /// Starts to read the keys of a range: directly, unless the store is known not to list in byte order. Must be called
    /// within a tokio runtime.
    ///
    /// Once a page has reached `range.until`, no further one is asked for; what that page has behind it is not cut off.
    ///
    /// A store of unknown order is trusted until it proves otherwise with [`ListError::Unordered`]; then begin the range
    /// anew with [`ByteOrder::No`] for that side.
    #[must_use]
    pub fn open(source: Arc<impl ListPages>, side: Side, range: Range, order: ByteOrder, sort: SortSettings) -> Self {
        match order {
            ByteOrder::Yes | ByteOrder::Unknown => Listing::new(source, side, range).into(),
            ByteOrder::No => Sorted::new(source, side, range, sort).into(),
        }
    }

    /// The same of the keys that begin with one of many prefixes instead of `range.prefix`.
    ///
    /// # Errors
    /// When the prefixes cannot be read back from the disk.
    pub fn within(
        place: &Place,
        source: Arc<impl ListPages>,
        side: Side,
        range: Range,
        order: ByteOrder,
        sort: SortSettings,
    ) -> Result<Self, ListError> {
        let directory = sort.directory.clone();
        let cursor = PrefixCursor::new(source, side, place, range, order != ByteOrder::No);
        let cursor = cursor.map_err(|source| ListError::Disk { side, operation: "read", directory, source })?;
        Ok(match order {
            ByteOrder::Yes | ByteOrder::Unknown => Listing::over(cursor, side).into(),
            ByteOrder::No => Sorted::over(cursor, side, sort).into(),
        })
    }

    /// The next page, which may be empty; `None` at the end, and only there. Cancel safe.
    ///
    /// # Errors
    /// Final: every later call fails as well.
    pub async fn next(&mut self) -> Result<Option<Page>, ListError> {
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
                let range = Range { after: Some("a".to_owned()), ..Range::default() };
                let sort = SortSettings::new(directory.path().to_owned());
                let mut stream = EntryStream::open(bucket, Side::Source, range, order, sort);
                let mut keys = Vec::new();
                while let Some(page) = stream.next().await? {
                    keys.extend(page.keys().map(str::to_owned));
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
