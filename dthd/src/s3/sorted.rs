//! Listings of stores that are not in byte order, sorted on disk in bounded memory.

mod chunk;
mod memory;
mod merge;
mod record;
mod run;

use std::{path::PathBuf, sync::Arc};

use dth_proto::failure::Side;

use self::{
    chunk::Chunk,
    memory::{Held, Memory},
    merge::Merge,
    run::{Entries, Runs, RunsError},
};
use super::{
    list::{Batch, Feed, ListError, ListPages, PageCursor, Pages, Sink, bound::Range},
    page::Page,
};

/// How a listing is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortSettings {
    /// Where the sorted runs go; made when missing. The files have no name there: the system removes them with the last
    /// handle, so also after a crash nothing is left to clear. Takes about 70 bytes and the key for each entry,
    /// twice that while runs are merged.
    pub directory: PathBuf,
    /// Bytes of entries sorted at once. More makes fewer runs. Merging stays below it too, from 64 KiB on.
    pub chunk_bytes: usize,
    /// Runs merged at once, and so files open (twice that over many passes); at least 2.
    pub fan_in: usize,
}

impl SortSettings {
    /// 16 MiB chunks, 64 runs at once: one pass up to 1 GiB of entries, two up to 64 GiB.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, chunk_bytes: 16 << 20, fan_in: 64 }
    }

    /// Bytes read ahead of each run, and written behind.
    fn buffer_bytes(&self) -> usize {
        (self.chunk_bytes / self.fan_in / 2).clamp(256, 64 << 10)
    }

    /// Bytes of entries handed over at once; three such batches exist at most (built, waiting, consumed).
    fn batch_bytes(&self) -> usize {
        (self.chunk_bytes / 16).clamp(1, 1 << 20)
    }
}

/// The keys of a prefix in byte order, whatever order the store lists them in. The whole listing is read before the first
/// entry comes out. Of several entries with one key (a listing that was changed while it was read) the newest stays.
/// Dropping it stops the work and frees the disk.
pub struct Sorted {
    feed: Feed,
    memory: Arc<Memory>,
}

impl Sorted {
    /// Starts to read and sort the keys of a range. The listing is read to its end, whatever the range: keys may stand anywhere
    /// in it. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(source: Arc<impl ListPages>, side: Side, range: Range, settings: SortSettings) -> Self {
        Self::over(PageCursor::unordered(source, side, range), side, settings)
    }

    /// Starts to read and sort pages of any order.
    pub(super) fn over(pages: impl Pages, side: Side, settings: SortSettings) -> Self {
        let memory = Arc::new(Memory::default());
        let feed = Feed::spawn(side, |sink| {
            let sorter = Sorter { side, settings, memory: memory.clone() };
            async move {
                let pages = Feed::prefetch(pages, side);
                if let Err(error) = sorter.sort(pages, &sink).await {
                    // nobody listens: then nobody misses it either
                    let _ = sink.send(Err(error)).await;
                }
            }
        });
        Self { feed, memory }
    }

    /// The next page, which may be empty; `None` at the end, and only there. Cancel safe.
    ///
    /// # Errors
    /// Final: every later call fails as well.
    pub async fn next(&mut self) -> Result<Option<Page>, ListError> {
        self.feed.next().await
    }

    /// The most bytes that entries and file buffers took at any time so far, besides the two pages being read.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.memory.peak()
    }
}

/// Reads pages into chunks, chunks into runs, runs into one stream.
struct Sorter {
    side: Side,
    settings: SortSettings,
    memory: Arc<Memory>,
}

impl Sorter {
    async fn sort(&self, mut pages: Feed, sink: &Sink) -> Result<(), ListError> {
        let is_unwanted = {
            let sink = sink.clone();
            Arc::new(move || sink.is_closed())
        };
        let mut runs = Runs::new(self.settings.clone(), self.memory.clone(), is_unwanted);
        let empty = || Chunk::new(self.memory.hold(0));
        let mut chunk = empty();
        while let Some(page) = pages.next().await? {
            if !chunk.is_empty() && chunk.bytes() + Chunk::bytes_of(&page) > self.settings.chunk_bytes {
                runs = self.spill(runs, std::mem::replace(&mut chunk, empty())).await?;
            }
            chunk.push(page);
        }
        if !runs.is_empty() {
            runs = self.spill(runs, std::mem::replace(&mut chunk, empty())).await?;
        }
        let (settings, memory, sink) = (self.settings.clone(), self.memory.clone(), sink.clone());
        self.blocking(move || match runs.is_empty() {
            true => emit(chunk.sorted(), &settings, &memory, &sink),
            false => emit(runs.into_merge()?, &settings, &memory, &sink),
        })
        .await
    }

    async fn spill(&self, mut runs: Runs, chunk: Chunk) -> Result<Runs, ListError> {
        self.blocking(move || {
            runs.add(chunk)?;
            Ok(runs)
        })
        .await
    }

    /// Sorting and files keep a thread busy for milliseconds to seconds.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, RunsError> + Send + 'static) -> Result<T, ListError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(RunsError { operation, source })) => {
                Err(ListError::Disk { side: self.side, operation, directory: self.settings.directory.clone(), source })
            }
            Err(_) => Err(ListError::stopped(self.side)),
        }
    }
}

/// Hands `entries` over in pages; ends early when nobody listens.
fn emit(mut entries: impl Entries, settings: &SortSettings, memory: &Arc<Memory>, sink: &Sink) -> Result<(), RunsError> {
    let mut batch = Page::default();
    let mut held = memory.hold(0);
    while let Some(entry) = entries.next()? {
        let bytes = memory::of(&entry);
        let is_full = !batch.is_empty() && held.bytes() + bytes > settings.batch_bytes();
        // what comes from a page fits into an empty one, but perhaps not into one with many storage classes
        if is_full || batch.push(entry).is_err() {
            let held = std::mem::replace(&mut held, memory.hold(0));
            if !hand_over(std::mem::take(&mut batch), held, sink) {
                return Ok(());
            }
            batch.push(entry).map_err(RunsError::unfit)?;
        }
        held.grow(bytes);
    }
    if hand_over(batch, held, sink) {
        // an error here means that nobody listens
        let _ = sink.blocking_send(Ok(Batch::End));
    }
    Ok(())
}

/// Whether somebody listens.
fn hand_over(page: Page, held: Held, sink: &Sink) -> bool {
    sink.blocking_send(Ok(Batch::Page { page, memory: Some(Box::new(held)) })).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dth_proto::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::s3::{
        list::{
            bound::Bound,
            fake::{Bucket, Faults, block_on, entry, hostile_key},
        },
        object::Entry,
    };

    fn settings(chunk_bytes: usize, fan_in: usize) -> (SortSettings, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("directory");
        (SortSettings { directory: directory.path().join("runs"), chunk_bytes, fan_in }, directory)
    }

    fn sort(bucket: Bucket, range: Range, settings: SortSettings) -> Result<(Vec<Entry>, usize), ListError> {
        block_on(async {
            let mut sorted = Sorted::new(Arc::new(bucket), Side::Source, range, settings);
            let mut entries = Vec::new();
            while let Some(page) = sorted.next().await? {
                entries.extend(page.iter().map(|e| e.to_entry()));
            }
            Ok((entries, sorted.peak_bytes()))
        })
    }

    /// What the settings allow: a chunk and the buffer that writes it, or a merge with its batches.
    fn bound(settings: &SortSettings, largest: usize) -> usize {
        let chunk = settings.chunk_bytes.max(largest) + settings.buffer_bytes();
        let merge = 2 * settings.fan_in * (settings.buffer_bytes() + 2 * largest) + settings.buffer_bytes();
        let batches = 3 * settings.batch_bytes().max(largest) + largest;
        chunk.max(merge) + batches
    }

    #[test]
    fn memory_is_bounded_by_the_settings_and_not_by_the_listing() {
        let (settings, directory) = settings(8 << 10, 4);
        let mut peaks = Vec::new();
        for count in [2_000u32, 20_000] {
            // a permutation: 7919 is prime to both counts
            let keys = (0..count).map(|n| format!("{:08}", u64::from(n) * 7919 % u64::from(count)));
            let bucket = Bucket::in_order(keys.map(|k| entry(&k)), 100);
            let (entries, peak) = sort(bucket, Range::default(), settings.clone()).expect("sorted");
            assert!(entries.iter().enumerate().all(|(n, e)| e.key == format!("{n:08}")) && entries.len() == count as usize);
            let largest = memory::of(&(&entry("00000000")).into());
            assert!(peak <= bound(&settings, largest), "{peak} bytes at {count}");
            assert!(peak <= settings.chunk_bytes * 3 / 2, "{peak} bytes are far over a chunk");
            assert!(peak >= settings.chunk_bytes / 2, "{peak} bytes are too few to be counted right");
            peaks.push(peak);
        }
        assert!(peaks[1] <= peaks[0] + peaks[0] / 2, "ten times the objects: {peaks:?}");
        let left: Vec<_> = std::fs::read_dir(directory.path().join("runs")).expect("made").collect();
        assert!(left.is_empty(), "no file has a name");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told() {
        let (mut settings, directory) = settings(10, 2);
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("write");
        settings.directory = file;
        let bucket = Bucket::in_order(["b", "a", "c"].map(entry), 2);
        let error = sort(bucket, Range::default(), settings).expect_err("a file is no directory");
        assert!(error.to_string().starts_with("cannot write the sorted source listing in "), "{error}");
    }

    #[test]
    fn a_failed_page_fails_the_listing() {
        let (settings, _directory) = settings(10, 2);
        let faults = Faults { fail_at: Some(2), ..Faults::default() };
        let bucket = Bucket::in_order(["b", "a", "d", "c"].map(entry), 1).with(faults);
        assert!(matches!(sort(bucket, Range::default(), settings), Err(ListError::Failed(_))));
    }

    #[test]
    fn without_tokens_there_is_no_way_on() {
        let (settings, _directory) = settings(10, 2);
        let bucket = Bucket::in_order(["b", "a", "d", "c"].map(entry), 1).with(Faults { no_tokens: true, ..Faults::default() });
        let Err(ListError::Failed(error)) = sort(bucket, Range::default(), settings) else { panic!("must fail") };
        assert_eq!(error.code, "ListNoToken");
    }

    proptest! {
        #[test]
        fn any_order_comes_out_sorted_and_newest(
            listed in prop::collection::vec((hostile_key(), 0u64..1_000), 0..60),
            page in 1usize..9,
            chunk_bytes in prop::sample::select(vec![1usize, 300, 1_000, 1 << 20]),
            fan_in in 2usize..5,
            prefix in prop_oneof![3 => Just(String::new()), 1 => hostile_key()],
            after in prop::option::of(hostile_key()),
            until in prop::option::of(hostile_key()),
        ) {
            let listed: Vec<Entry> =
                listed.into_iter().map(|(key, at)| Entry { modified: Timestamp(at), ..entry(&key) }).collect();
            let mut wanted: BTreeMap<&str, &Entry> = BTreeMap::new();
            for entry in &listed {
                let behind = after.as_ref().is_none_or(|a| entry.key > *a);
                if entry.key.starts_with(&prefix) && behind && until.as_ref().is_none_or(|u| entry.key <= *u) {
                    let newest = wanted.entry(&entry.key).or_insert(entry);
                    if entry.modified > newest.modified {
                        *newest = entry;
                    }
                }
            }
            let wanted: Vec<Entry> = wanted.into_values().cloned().collect();
            let (settings, _directory) = settings(chunk_bytes, fan_in);
            let largest = listed.iter().map(|e| memory::of(&e.into())).max().unwrap_or(0);
            let range = Range { prefix, after, until: Bound::at(until.as_deref()) };
            let bound = bound(&settings, largest);
            let (entries, peak) = sort(Bucket::in_order(listed, page), range, settings).expect("sorted");
            prop_assert_eq!(entries, wanted);
            prop_assert!(peak <= bound, "{} over {}", peak, bound);
        }
    }
}
