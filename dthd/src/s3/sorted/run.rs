//! Sorted runs on disk, and how many of them are kept.

use std::{
    cmp::Ordering,
    fs::File,
    io::{self, BufReader, BufWriter, Seek, Write},
    sync::Arc,
};

use super::{Held, Memory, Merge, SortSettings, record};
use crate::s3::object::Entry;

/// A run could not be written or read.
#[derive(Debug)]
pub(super) struct RunsError {
    pub(super) operation: &'static str,
    pub(super) source: io::Error,
}

fn writing(source: io::Error) -> RunsError {
    RunsError { operation: "write", source }
}

fn reading(source: io::Error) -> RunsError {
    RunsError { operation: "read", source }
}

/// By key; of one key the newest first, and then by the rest, so that the result does not depend on the listing's order.
pub(super) fn order(a: &Entry, b: &Entry) -> Ordering {
    let rest = |e: &Entry| (e.modified, e.size);
    a.key.cmp(&b.key).then_with(|| rest(b).cmp(&rest(a))).then_with(|| b.etag.as_str().cmp(a.etag.as_str()))
}

/// Sorts by key and leaves the newest of each.
pub(super) fn newest_first(chunk: &mut Vec<Entry>) {
    chunk.sort_unstable_by(order);
    chunk.dedup_by(|later, kept| later.key == kept.key);
}

/// A file of sorted entries, each key once. It has no name, so it is gone with its handle.
pub(super) struct Run {
    file: File,
    entries: u64,
}

/// Whether the reader of the sorted listing is gone. A merge can take minutes, and a daemon that stops waits for it.
pub(super) type Unwanted = Arc<dyn Fn() -> bool + Send + Sync>;

const ENTRIES_BETWEEN_LOOKS: u64 = 4096;

/// A run that is read from its beginning.
pub(super) struct RunReader {
    file: BufReader<File>,
    left: u64,
    _held: Held,
}

impl Iterator for RunReader {
    type Item = Result<Entry, RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = record::read(&mut self.file).map_err(reading);
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

/// All runs of a listing, in levels: a level that is full is merged into one run of the next, so that open files are few
/// and every entry is written once per level.
pub(super) struct Runs {
    settings: SortSettings,
    memory: Arc<Memory>,
    is_unwanted: Unwanted,
    levels: Vec<Vec<Run>>,
}

impl Runs {
    pub(super) fn new(settings: SortSettings, memory: Arc<Memory>, is_unwanted: Unwanted) -> Self {
        // a merge of one run would go on forever
        let settings = SortSettings { fan_in: settings.fan_in.max(2), ..settings };
        Self { settings, memory, is_unwanted, levels: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Writes a chunk, in whatever order it is, as a run.
    pub(super) fn add(&mut self, mut chunk: Vec<Entry>, held: Held) -> Result<(), RunsError> {
        newest_first(&mut chunk);
        let run = self.write(chunk.into_iter().map(Ok))?;
        drop(held);
        self.push(0, run)
    }

    fn push(&mut self, level: usize, run: Run) -> Result<(), RunsError> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(run);
        if self.levels[level].len() < self.settings.fan_in {
            return Ok(());
        }
        let full = std::mem::take(&mut self.levels[level]);
        let merged = self.merge(full)?;
        self.push(level + 1, merged)
    }

    fn write(&self, entries: impl Iterator<Item = Result<Entry, RunsError>>) -> Result<Run, RunsError> {
        let SortSettings { directory, .. } = &self.settings;
        std::fs::create_dir_all(directory).map_err(writing)?;
        let file = tempfile::tempfile_in(directory).map_err(writing)?;
        let _held = self.memory.hold(self.settings.buffer_bytes());
        let mut buffered = BufWriter::with_capacity(self.settings.buffer_bytes(), file);
        let mut count: u64 = 0;
        for entry in entries {
            if count.is_multiple_of(ENTRIES_BETWEEN_LOOKS) && (self.is_unwanted)() {
                return Err(writing(io::Error::new(io::ErrorKind::Interrupted, "nobody reads the listing any more")));
            }
            record::write(&entry?, &mut buffered).map_err(writing)?;
            count += 1;
        }
        buffered.flush().map_err(writing)?;
        let mut file = buffered.into_inner().map_err(|e| writing(e.into_error()))?;
        file.rewind().map_err(writing)?;
        Ok(Run { file, entries: count })
    }

    fn merge(&self, runs: Vec<Run>) -> Result<Run, RunsError> {
        self.write(self.read(runs)?)
    }

    fn read(&self, runs: Vec<Run>) -> Result<Merge<RunReader>, RunsError> {
        let buffer = self.settings.buffer_bytes();
        let reader = |run: Run| {
            let held = self.memory.hold(buffer);
            RunReader { file: BufReader::with_capacity(buffer, run.file), left: run.entries, _held: held }
        };
        Merge::new(runs.into_iter().map(reader).collect(), self.memory.hold(0))
    }

    /// Everything in order. Merges the smallest runs first, until the rest can be read at once.
    pub(super) fn into_merge(mut self) -> Result<Merge<RunReader>, RunsError> {
        let mut runs: Vec<Run> = std::mem::take(&mut self.levels).into_iter().flatten().collect();
        while runs.len() > self.settings.fan_in {
            // as few as needed: what is merged here is written once more
            let excess = (runs.len() - self.settings.fan_in + 1).min(self.settings.fan_in);
            let smallest = runs.drain(..excess).collect();
            let merged = self.merge(smallest)?;
            runs.push(merged);
        }
        self.read(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::memory, *};
    use crate::s3::list::fake::entry;

    #[test]
    fn runs_never_outnumber_what_levels_allow() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 3 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| false));
        for n in 0..100 {
            let chunk = vec![entry(&format!("{:03}", n * 37 % 100))];
            let held = memory.hold(memory::of(&chunk[0]));
            runs.add(chunk, held).expect("disk");
            let open: usize = runs.levels.iter().map(Vec::len).sum();
            // 100 = 10201 in base 3: five levels of two at most
            assert!(open <= 10, "{open} files open after {n}");
        }
        let keys: Vec<String> = runs.into_merge().expect("disk").map(|e| e.expect("entry").key).collect();
        assert_eq!(keys, (0..100).map(|n| format!("{n:03}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_cut_short_is_an_error() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 2 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| false));
        runs.add(vec![entry("a"), entry("b")], memory.hold(0)).expect("disk");
        let file = &runs.levels[0][0].file;
        file.set_len(file.metadata().expect("metadata").len() - 1).expect("cut");
        let last = runs.into_merge().expect("the first entry is whole").last().expect("something");
        assert_eq!(last.expect_err("cut short").operation, "read");
    }

    #[test]
    fn work_that_nobody_wants_ends() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 2 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| true));
        let error = runs.add(vec![entry("a")], memory.hold(0)).expect_err("unwanted");
        assert_eq!(error.source.kind(), io::ErrorKind::Interrupted);
    }
}
