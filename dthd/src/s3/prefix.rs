//! Many prefixes of one bucket, from the task or from a list, as one listing in byte order.
//!
//! | file | holds |
//! |---|---|
//! | `lines` | what is a prefix in a list, and what is wrong with it |
//! | `read` | lists from a file or from S3, a piece at a time |
//! | `set` | prefixes sorted on disk; which of them come behind a key |
//! | `cursor`, `pace` | the keys of all of them, page by page, with as few requests as pages show to be possible |
//!
//! Ten million prefixes take the memory of a few: lists are read in pieces, sorted on disk, and walked block by block.

mod cursor;
mod lines;
mod pace;
mod read;
mod set;

use std::{io, sync::Arc};

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{PrefixList, S3Job},
};

pub(super) use self::cursor::PrefixCursor;
pub use self::set::{Prefixes, Walk};
use self::{read::Source, set::Builder};
use super::{
    client::Bucket,
    key::KeyMap,
    list::{ListError, Pages},
    sorted::{SortSettings, Sorted},
};

/// The prefixes as one end has them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place {
    prefixes: Arc<Prefixes>,
    /// Of the destination.
    map: Option<KeyMap>,
}

impl Place {
    /// As they are.
    #[must_use]
    pub fn source(prefixes: &Arc<Prefixes>) -> Self {
        Self { prefixes: Arc::clone(prefixes), map: None }
    }

    /// Where their keys go.
    #[must_use]
    pub fn destination(prefixes: &Arc<Prefixes>, map: &KeyMap) -> Self {
        Self { prefixes: Arc::clone(prefixes), map: Some(map.clone()) }
    }

    fn count(&self) -> u64 {
        self.prefixes.count()
    }

    fn common(&self) -> String {
        self.mapped(self.prefixes.common().to_owned())
    }

    fn mapped(&self, prefix: String) -> String {
        match &self.map {
            Some(map) => map.map_any(&prefix),
            None => prefix,
        }
    }

    /// Prefixes, unmapped, that can have keys behind a key of this end.
    fn behind(&self, after: Option<&str>) -> io::Result<Walk> {
        let unmapped = after.and_then(|after| self.map.as_ref().and_then(|map| map.unmap(after)));
        self.prefixes.behind(unmapped.as_deref().or(after.filter(|_| self.map.is_none())))
    }
}

/// Which keys of the source a run selects by their beginnings, and where they go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Of several prefixes; `None`: `prefix` says it all.
    many: Option<Arc<Prefixes>>,
    prefix: String,
    map: KeyMap,
}

impl Selection {
    /// The selection of a job. `list`: the bucket of `source.prefix_list`, where that is an object. Prefixes are sorted in the directory of
    /// `sort`.
    ///
    /// # Errors
    /// In words: a list that cannot be read, is empty, or has lines that are no prefixes (each by its number); a `strip_prefix` that only some prefixes
    /// have; a destination that lies among what is selected.
    pub async fn open(job: &S3Job, sort: &SortSettings, list: Option<&Bucket>) -> Result<Self, String> {
        let source = match (&job.source.prefix_list, job.source.prefixes.as_slice()) {
            (Some(place), _) => Some((open_list(place, list).await?, named(place))),
            (None, []) => None,
            (None, prefixes) => Some((Source::given(prefixes.to_vec()), "source.prefixes".to_owned())),
        };
        let Some((source, name)) = source else {
            let map = KeyMap::new(&job.source, &job.destination).map_err(|e| e.to_string())?;
            return Ok(Self { many: None, prefix: job.source.prefix.clone(), map });
        };
        let many = gather(source, sort).await.map_err(|why| format!("{name} {why}"))?;
        let map = KeyMap::over(many.common(), &job.destination).map_err(|e| e.to_string())?;
        if job.has_one_bucket()
            && let Some((from, to)) = overlap(&many, &map).map_err(|e| format!("{name} cannot be read back: {e}"))?
        {
            return Err(format!(
                "{name} selects {from:?}, and objects go to {to:?} of the same bucket: copies would be listed as sources; use another bucket or \
                 destination.prefix"
            ));
        }
        Ok(Self { prefix: many.common().to_owned(), many: Some(many), map })
    }

    /// What all selected keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where they go.
    #[must_use]
    pub fn map(&self) -> &KeyMap {
        &self.map
    }

    /// The prefixes, where there are several.
    #[must_use]
    pub fn many(&self) -> Option<&Arc<Prefixes>> {
        self.many.as_ref()
    }

    /// Whether a key of the source is selected.
    ///
    /// # Errors
    /// When the sorted prefixes cannot be read back.
    pub fn selects(&self, key: &str) -> io::Result<bool> {
        match &self.many {
            Some(many) => many.select(key),
            None => Ok(key.starts_with(&self.prefix)),
        }
    }
}

fn named(place: &str) -> String {
    format!("source.prefix_list {place:?}")
}

async fn open_list(place: &str, list: Option<&Bucket>) -> Result<Source, String> {
    let source = match (place.parse::<PrefixList>(), list) {
        (Ok(PrefixList::File(path)), _) => Source::file(&path).await,
        (Ok(PrefixList::Object { key, .. }), Some(bucket)) => Source::object(bucket, key).await,
        (Ok(PrefixList::Object { .. }), None) => Err("has no bucket that is open".to_owned()),
        (Err(why), _) => Err(why),
    };
    source.map_err(|why| format!("{} {why}", named(place)))
}

/// The first prefix of a list, with as much of it read as that needs. `list`: its bucket, where it is an object.
///
/// # Errors
/// In words, as with [`Selection::open`], as far as the beginning tells.
pub async fn first_of_list(place: &str, list: Option<&Bucket>) -> Result<String, String> {
    let mut source = open_list(place, list).await?;
    while let Some(page) = source.next().await.map_err(|error| format!("{} {}", named(place), in_words(error)))? {
        if let Some(first) = page.first() {
            return Ok(first.key.to_owned());
        }
    }
    Err(format!("{} has no prefix in it", named(place)))
}

/// Sorts what is read, and leaves out what another prefix covers.
async fn gather(pages: impl Pages, sort: &SortSettings) -> Result<Arc<Prefixes>, String> {
    let directory = sort.directory.display().to_string();
    let disk = |e: io::Error| format!("cannot be sorted in {directory}: {e}; make room or choose another state directory");
    let mut sorted = Sorted::over(pages, Side::Source, sort.clone());
    let mut builder = Builder::new(&sort.directory).map_err(disk)?;
    while let Some(page) = sorted.next().await.map_err(in_words)? {
        for prefix in page.keys() {
            builder.add(prefix).map_err(disk)?;
        }
    }
    builder.finish().map(Arc::new).map_err(disk)
}

/// What is wrong with a list stands by itself; the rest is said as everywhere.
fn in_words(error: ListError) -> String {
    match error {
        ListError::Failed(error) if error.operation == read::OPERATION && error.class == FailureClass::Permanent => error.message,
        error => format!("cannot be read: {error}"),
    }
}

/// A prefix, and a place where keys go, of which one begins with the other.
fn overlap(prefixes: &Arc<Prefixes>, map: &KeyMap) -> io::Result<Option<(String, String)>> {
    let (mut froms, mut tos) = (prefixes.behind(None)?, prefixes.behind(None)?);
    let next = |walk: &mut Walk| Ok::<_, io::Error>(walk.next()?.map(|prefix| map.map_any(&prefix)));
    let (mut from, mut to) = (froms.next()?, next(&mut tos)?);
    // none of either begins with another of its own, so what two have in common is found where they meet in order
    while let (Some(a), Some(b)) = (&from, &to) {
        if a.starts_with(b) || b.starts_with(a) {
            return Ok(from.zip(to));
        }
        if a < b {
            from = froms.next()?;
        } else {
            to = next(&mut tos)?;
        }
    }
    Ok(None)
}

/// What two texts begin with, in whole characters.
fn common<'t>(a: &'t str, b: &str) -> &'t str {
    let length = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map_or(a.len().min(b.len()), |((at, _), _)| at);
    &a[..length]
}

#[cfg(test)]
mod test {
    use std::sync::Arc;

    use super::{Builder, Prefixes};

    /// Sorted prefixes on disk.
    pub(super) fn set(sorted: impl IntoIterator<Item = String>) -> Arc<Prefixes> {
        let directory = tempfile::tempdir().expect("directory");
        let mut builder = Builder::new(directory.path()).expect("file");
        sorted.into_iter().for_each(|prefix| builder.add(&prefix).expect("disk"));
        Arc::new(builder.finish().expect("disk"))
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{S3Destination, S3Options, S3Source, Store};
    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::{block_on, hostile_key};

    fn job(source: S3Source, destination: S3Destination) -> S3Job {
        S3Job { source, destination, options: S3Options::default() }
    }

    fn elsewhere() -> S3Destination {
        S3Destination { store: Store { bucket: "other".to_owned(), ..Store::default() }, ..S3Destination::default() }
    }

    fn of_list(text: &[u8]) -> (Result<Selection, String>, String) {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("list.txt");
        std::fs::write(&path, text).expect("write");
        let place = format!("file://{}", path.display());
        let job = job(S3Source { prefix_list: Some(place.clone()), ..S3Source::default() }, elsewhere());
        let sort = SortSettings::new(directory.path().join("sort"));
        (block_on(Selection::open(&job, &sort, None)), place)
    }

    #[test]
    fn lists_are_sorted_without_doubles_and_covered_ones() {
        let selection = of_list(b"b/\r\na/x\na/\n\na/x/y\nb/\n").0.expect("a good list");
        let many = selection.many().expect("several");
        let mut walk = many.behind(None).expect("readable");
        let all: Vec<String> = std::iter::from_fn(|| walk.next().expect("readable")).collect();
        assert_eq!((all, selection.prefix()), (vec!["a/".to_owned(), "b/".to_owned()], ""));
        assert!(selection.selects("a/x/z").expect("readable") && !selection.selects("c").expect("readable"));
    }

    #[test]
    fn lists_that_cannot_be_used_are_told_in_words() {
        for (text, wanted) in [
            (&b""[..], "has no prefix in it: nothing would be copied; write one prefix per line"),
            (b"ok\n\xff\n", "has lines that are no prefixes: line 2 is not UTF-8; correct them"),
        ] {
            let (selection, place) = of_list(text);
            assert_eq!(selection.expect_err("no use"), format!("source.prefix_list {place:?} {wanted}"));
        }
        let job = job(S3Source { prefix_list: Some("file:///no/such/list".to_owned()), ..S3Source::default() }, S3Destination::default());
        let error = block_on(Selection::open(&job, &SortSettings::new("/nowhere".into()), None)).expect_err("missing");
        assert!(error.starts_with("source.prefix_list \"file:///no/such/list\" cannot be read on this machine: No such file"), "{error}");
    }

    #[test]
    fn all_prefixes_lose_what_is_stripped_or_none_may() {
        let of = |strip: &str, prefixes: &[&str]| {
            let source = S3Source { prefixes: prefixes.iter().map(|&p| p.to_owned()).collect(), ..S3Source::default() };
            let destination = S3Destination { strip_prefix: strip.to_owned(), ..elsewhere() };
            let directory = tempfile::tempdir().expect("directory");
            block_on(Selection::open(&job(source, destination), &SortSettings::new(directory.path().into()), None))
        };
        assert_eq!(of("raw/", &["raw/a/", "raw/b/"]).expect("all begin with it").map().map_any("raw/a/x"), "a/x");
        assert!(of("raw/", &["raw/a/", "cooked/"]).expect_err("one does not").contains("strip_prefix \"raw/\" fits only some"));
    }

    #[test]
    fn keys_never_go_to_where_others_come_from() {
        let of = |prefixes: &[&str], to: &str| {
            let source = S3Source { prefixes: prefixes.iter().map(|&p| p.to_owned()).collect(), ..S3Source::default() };
            let destination = S3Destination { prefix: to.to_owned(), ..S3Destination::default() };
            let directory = tempfile::tempdir().expect("directory");
            block_on(Selection::open(&job(source, destination), &SortSettings::new(directory.path().into()), None)).map(drop)
        };
        assert_eq!(of(&["a/", "b/"], "copy/"), Ok(()));
        for (prefixes, to) in [(&["a/", "b/"][..], ""), (&["a/", "b/"], "b/x/"), (&["b/a/x/", "a/x/"], "b/")] {
            assert!(of(prefixes, to).expect_err("the same bucket").contains("of the same bucket"), "{prefixes:?} to {to:?}");
        }
    }

    #[test]
    fn common_beginnings_are_whole_characters() {
        for (a, b, wanted) in [("", "", ""), ("ab", "ac", "a"), ("ab", "ab", "ab"), ("a", "ab", "a"), ("é", "è", ""), ("xé", "xéy", "xé")]
        {
            assert_eq!(common(a, b), wanted, "{a:?} {b:?}");
        }
    }

    proptest! {
        #[test]
        fn every_overlap_is_found(prefixes in prop::collection::btree_set(hostile_key(), 1..12), to in prop_oneof![Just(String::new()), hostile_key()]) {
            let many = test::set(prefixes.clone());
            let map = KeyMap::over(many.common(), &S3Destination { prefix: to.clone(), ..S3Destination::default() }).expect("strips nothing");
            let meets = |a: &String| prefixes.iter().any(|b| { let b = format!("{to}{b}"); a.starts_with(&b) || b.starts_with(a.as_str()) });
            prop_assert_eq!(overlap(&many, &map).expect("readable").is_some(), prefixes.iter().any(meets));
        }
    }
}
