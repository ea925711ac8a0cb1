//! The objects of one page of a listing, in one piece of memory.
//!
//! Listings are read by the hundred million: a page costs two allocations, not several per object. Texts lie one behind the
//! other in an arena; a row of 32 bytes says where an object's begin and end.

use dth_proto::time::Timestamp;

use super::object::{ETag, Entry};

/// Objects in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    text: String,
    rows: Vec<Row>,
    /// Storage classes seen on the page; almost always one.
    classes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    start: u32,
    key: u16,
    etag: u16,
    /// 0: none.
    version: u16,
    class: u8,
    size: u64,
    modified: u64,
}

/// One object of a page. The fields mean what they mean in [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// The key, exactly.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// The entity tag without quotes; empty when the listing has none.
    pub etag: &'a str,
    /// Last-Modified.
    pub modified: Timestamp,
    /// Storage class; empty when the store says nothing.
    pub class: &'a str,
    /// Which version; `None` in a listing of the latest.
    pub version: Option<&'a str>,
}

/// What does not fit into a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A key, entity tag or page is longer than any store's.
    #[error("a text of {0} bytes does not fit into a page")]
    TooLong(usize),
    /// More storage classes than there are.
    #[error("more than 255 storage classes on one page")]
    Classes,
}

impl EntryRef<'_> {
    /// A copy that stands by itself.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry {
            key: self.key.to_owned(),
            size: self.size,
            etag: ETag::new(self.etag),
            modified: self.modified,
            class: self.class.to_owned(),
            version: self.version.map(str::to_owned),
        }
    }
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { key, size, etag, modified, class, version } = entry;
        Self { key, size: *size, etag: etag.as_str(), modified: *modified, class, version: version.as_deref() }
    }
}

impl Page {
    /// Room for so many objects with `text` bytes of keys and entity tags.
    #[must_use]
    pub fn with_capacity(objects: usize, text: usize) -> Self {
        Self { text: String::with_capacity(text), rows: Vec::with_capacity(objects), classes: Vec::new() }
    }

    /// Makes room for so many more objects with `text` bytes of keys and entity tags.
    pub fn reserve(&mut self, objects: usize, text: usize) {
        self.rows.reserve(objects);
        self.text.reserve(text);
    }

    /// Adds an object behind the others.
    ///
    /// # Errors
    /// [`PageError`] for what no store sends; the page is unchanged then.
    pub fn push(&mut self, entry: EntryRef<'_>) -> Result<(), PageError> {
        let long = |text: &str| u16::try_from(text.len()).map_err(|_| PageError::TooLong(text.len()));
        let (key, etag, version) = (long(entry.key)?, long(entry.etag)?, long(entry.version.unwrap_or_default())?);
        let start = u32::try_from(self.text.len()).map_err(|_| PageError::TooLong(self.text.len()))?;
        let class = match self.classes.iter().position(|class| class == entry.class) {
            Some(class) => class,
            None => {
                self.classes.push(entry.class.to_owned());
                self.classes.len() - 1
            }
        };
        let class = u8::try_from(class).map_err(|_| PageError::Classes)?;
        self.text.push_str(entry.key);
        self.text.push_str(entry.etag);
        self.text.push_str(entry.version.unwrap_or_default());
        self.rows.push(Row { start, key, etag, version, class, size: entry.size, modified: entry.modified.0 });
        Ok(())
    }

    /// Objects on the page.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The object at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<EntryRef<'_>> {
        self.rows.get(index).map(|row| self.entry(row))
    }

    /// The first object.
    #[must_use]
    pub fn first(&self) -> Option<EntryRef<'_>> {
        self.get(0)
    }

    /// The last object.
    #[must_use]
    pub fn last(&self) -> Option<EntryRef<'_>> {
        self.rows.last().map(|row| self.entry(row))
    }

    /// All objects in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EntryRef<'_>> {
        self.rows.iter().map(|row| self.entry(row))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.rows.iter().map(|row| self.key(row))
    }

    /// Leaves out objects; the memory of their texts stays taken.
    pub fn retain(&mut self, mut keep: impl FnMut(EntryRef<'_>) -> bool) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| keep(self.entry(row)));
        self.rows = rows;
    }

    /// Bytes of memory behind it.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.rows.capacity() * size_of::<Row>()
    }

    fn key(&self, row: &Row) -> &str {
        let start = row.start as usize;
        &self.text[start..start + usize::from(row.key)]
    }

    fn entry(&self, row: &Row) -> EntryRef<'_> {
        let start = row.start as usize;
        let etag = start + usize::from(row.key);
        let version = etag + usize::from(row.etag);
        EntryRef {
            key: &self.text[start..etag],
            etag: &self.text[etag..version],
            size: row.size,
            modified: Timestamp(row.modified),
            class: &self.classes[usize::from(row.class)],
            version: (row.version > 0).then(|| &self.text[version..version + usize::from(row.version)]),
        }
    }
}

impl FromIterator<Entry> for Page {
    /// What does not fit ([`PageError`]) is left out; entries that came from a page always fit.
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut page = Self::default();
        for entry in entries {
            let _ = page.push(EntryRef::from(&entry));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let class = prop_oneof![Just(""), Just("STANDARD"), Just("DEEP_ARCHIVE")];
        let version = prop::option::of("[0-9a-z._]{1,32}");
        let parts = ("\\PC{0,40}", any::<u64>(), "[0-9a-f]{0,34}", any::<u64>(), class, version);
        parts.prop_map(|(key, size, etag, modified, class, version)| Entry {
            version,
            key,
            size,
            etag: ETag::new(&etag),
            modified: Timestamp(modified),
            class: class.to_owned(),
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(entries in prop::collection::vec(entry(), 0..50)) {
            let page: Page = entries.iter().cloned().collect();
            prop_assert_eq!(page.len(), entries.len());
            let back: Vec<Entry> = page.iter().map(|e| e.to_entry()).collect();
            prop_assert_eq!(page.last().map(|e| e.to_entry()), entries.last().cloned());
            prop_assert_eq!(back, entries);
        }
    }

    #[test]
    fn what_is_left_out_is_gone_and_the_rest_is_whole() {
        let entries = ["a", "b", "c"].map(crate::s3::list::fake::entry);
        let mut page: Page = entries.iter().cloned().collect();
        page.retain(|e| e.key != "b");
        assert_eq!(page.iter().map(|e| e.to_entry()).collect::<Vec<_>>(), [entries[0].clone(), entries[2].clone()]);
        assert_eq!(page.keys().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut page = Page::default();
        let long = "x".repeat(70_000);
        let entry = EntryRef { key: &long, size: 1, etag: "", modified: Timestamp(0), class: "", version: None };
        assert_eq!(page.push(entry), Err(PageError::TooLong(70_000)));
        assert!(page.is_empty());
    }
}
