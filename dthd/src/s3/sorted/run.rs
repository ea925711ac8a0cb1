//! Sorted runs on disk, and how many of them are kept.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Seek, Write},
    sync::Arc,
};

use super::{
    Held, Memory, Merge, SortSettings,
    chunk::Chunk,
    memory,
    record::{self, Record},
};
use crate::s3::page::{EntryRef, PageError};

/// A run could not be written or read.
#[derive(Debug)]
pub(super) struct RunsError {
    pub(super) operation: &'static str,
    pub(super) source: io::Error,
}

impl RunsError {
    /// A record holds what no page of a listing can.
    pub(super) fn unfit(error: PageError) -> Self {
        reading(io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn writing(source: io::Error) -> RunsError {
    RunsError { operation: "write", source }
}

fn reading(source: io::Error) -> RunsError {
    RunsError { operation: "read", source }
}

/// Entries in order, each key once, lent one after the other.
pub(super) trait Entries {
    /// The next entry; `None` at the end.
    fn next(&mut self) -> Result<Option<EntryRef<'_>>, RunsError>;
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
    record: Record,
    buffer: usize,
    /// The file's buffer and the entry.
    held: Held,
}

impl RunReader {
    /// Reads the next entry; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, RunsError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        self.left = left;
        self.record.read(&mut self.file).map_err(reading)?;
        self.held.set(self.buffer + memory::of(&self.record.entry()));
        Ok(true)
    }

    /// The entry that was read last.
    pub(super) fn entry(&self) -> EntryRef<'_> {
        self.record.entry()
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
    pub(super) fn add(&mut self, chunk: Chunk) -> Result<(), RunsError> {
        let run = self.write(chunk.sorted())?;
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

    fn write(&self, mut entries: impl Entries) -> Result<Run, RunsError> {
        let SortSettings { directory, .. } = &self.settings;
        std::fs::create_dir_all(directory).map_err(writing)?;
        let file = tempfile::tempfile_in(directory).map_err(writing)?;
        let _held = self.memory.hold(self.settings.buffer_bytes());
        let mut buffered = BufWriter::with_capacity(self.settings.buffer_bytes(), file);
        let mut count: u64 = 0;
        while let Some(entry) = entries.next()? {
            if count.is_multiple_of(ENTRIES_BETWEEN_LOOKS) && (self.is_unwanted)() {
                return Err(writing(io::Error::new(io::ErrorKind::Interrupted, "nobody reads the listing any more")));
            }
            record::write(&entry, &mut buffered).map_err(writing)?;
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

    fn read(&self, runs: Vec<Run>) -> Result<Merge, RunsError> {
        let buffer = self.settings.buffer_bytes();
        let reader = |run: Run| {
            let (held, file) = (self.memory.hold(buffer), BufReader::with_capacity(buffer, run.file));
            RunReader { file, left: run.entries, record: Record::default(), buffer, held }
        };
        Merge::new(runs.into_iter().map(reader).collect())
    }

    /// Everything in order. Merges the smallest runs first, until the rest can be read at once.
    pub(super) fn into_merge(mut self) -> Result<Merge, RunsError> {
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
    use super::*;
    use crate::s3::list::fake::entry;

    fn chunk(memory: &Arc<Memory>, keys: &[&str]) -> Chunk {
        let mut chunk = Chunk::new(memory.hold(0));
        keys.iter().for_each(|key| chunk.push([entry(key)].into_iter().collect()));
        chunk
    }

    #[test]
    fn runs_never_outnumber_what_levels_allow() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 3 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| false));
        for n in 0..100 {
            runs.add(chunk(&memory, &[&format!("{:03}", n * 37 % 100)])).expect("disk");
            let open: usize = runs.levels.iter().map(Vec::len).sum();
            // 100 = 10201 in base 3: five levels of two at most
            assert!(open <= 10, "{open} files open after {n}");
        }
        let (mut merge, mut keys) = (runs.into_merge().expect("disk"), Vec::new());
        while let Some(entry) = merge.next().expect("entry") {
            keys.push(entry.key.to_owned());
        }
        assert_eq!(keys, (0..100).map(|n| format!("{n:03}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_cut_short_is_an_error() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 2 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| false));
        runs.add(chunk(&memory, &["b", "a"])).expect("disk");
        let file = &runs.levels[0][0].file;
        file.set_len(file.metadata().expect("metadata").len() - 1).expect("cut");
        let mut merge = runs.into_merge().expect("the first entry is whole");
        assert_eq!(merge.next().expect("whole").map(|e| e.key.to_owned()).as_deref(), Some("a"));
        assert_eq!(merge.next().expect_err("cut short").operation, "read");
        assert!(merge.next().is_ok_and(|e| e.is_none()), "nothing comes behind a gap");
    }

    #[test]
    fn work_that_nobody_wants_ends() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = SortSettings { directory: directory.path().to_owned(), chunk_bytes: 1, fan_in: 2 };
        let memory = Arc::new(Memory::default());
        let mut runs = Runs::new(settings, memory.clone(), Arc::new(|| true));
        let error = runs.add(chunk(&memory, &["a"])).expect_err("unwanted");
        assert_eq!(error.source.kind(), io::ErrorKind::Interrupted);
    }
}
