//! Which objects of the source a task wants.

use dth_proto::{spec::S3Options, time::Timestamp};
use globset::Candidate;

use super::page::EntryRef;
use crate::transfer::glob::Globs;

/// Why an object is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Matches `exclude`.
    Excluded,
    /// Matches nothing in `include`.
    NotIncluded,
    /// Not `larger_than`.
    TooSmall,
    /// Not `smaller_than`.
    TooLarge,
    /// Not `newer_than`.
    TooOld,
    /// Not `older_than`.
    TooNew,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [Self::Excluded, Self::NotIncluded, Self::TooSmall, Self::TooLarge, Self::TooOld, Self::TooNew];

    /// The word in counters, records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::NotIncluded => "not-included",
            Self::TooSmall => "too-small",
            Self::TooLarge => "too-large",
            Self::TooOld => "too-old",
            Self::TooNew => "too-new",
        }
    }
}

/// The rules of one run.
#[derive(Clone, Debug)]
pub struct Filter {
    include: Globs,
    exclude: Globs,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
    /// Modified then or later counts as new.
    newer_than: Option<Timestamp>,
    /// See `newer_than`.
    older_than: Option<Timestamp>,
}

impl Filter {
    /// The rules of a task for a run that started at `start`.
    ///
    /// Globs cover the whole source key: see [`Globs`].
    ///
    /// # Errors
    /// One sentence for every glob that is not one.
    pub fn new(options: &S3Options, start: Timestamp) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let include = Globs::new("options.include", &options.include, &mut problems);
        let exclude = Globs::new("options.exclude", &options.exclude, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let before = |span: dth_proto::time::Span| Timestamp(start.0.saturating_sub(u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)));
        Ok(Self {
            include,
            exclude,
            larger_than: options.larger_than.map(|size| size.0),
            smaller_than: options.smaller_than.map(|size| size.0),
            newer_than: options.newer_than.map(before),
            older_than: options.older_than.map(before),
        })
    }

    /// Why the object is left out; `None`: it is wanted. Of several reasons the first in the order of [`SkipReason::ALL`].
    #[must_use]
    pub fn skip(&self, entry: &EntryRef<'_>) -> Option<SkipReason> {
        self.skip_by_key(entry.key).or_else(|| self.skip_by_state(entry))
    }

    /// Why everything under a key is left out; `None`: not because of the key.
    #[must_use]
    pub fn skip_by_key(&self, key: &str) -> Option<SkipReason> {
        // a candidate is not for nothing, and most tasks have no globs
        if self.exclude.is_empty() && self.include.is_empty() {
            return None;
        }
        let key = Candidate::new(key);
        if self.exclude.matches(&key) {
            return Some(SkipReason::Excluded);
        }
        (!self.include.is_empty() && !self.include.matches(&key)).then_some(SkipReason::NotIncluded)
    }

    fn skip_by_state(&self, entry: &EntryRef<'_>) -> Option<SkipReason> {
        let rules = [
            (self.larger_than.is_some_and(|limit| entry.size <= limit), SkipReason::TooSmall),
            (self.smaller_than.is_some_and(|limit| entry.size >= limit), SkipReason::TooLarge),
            (self.newer_than.is_some_and(|limit| entry.modified < limit), SkipReason::TooOld),
            (self.older_than.is_some_and(|limit| entry.modified >= limit), SkipReason::TooNew),
        ];
        rules.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dth_proto::{time::Span, units::ByteSize};

    use super::*;
    use crate::s3::list::fake::entry;
    use crate::s3::object::Entry;

    const START: Timestamp = Timestamp(1_000_000);

    fn filter(options: &S3Options) -> Filter {
        Filter::new(options, START).expect("good globs")
    }

    #[test]
    fn all_bad_globs_are_named() {
        let texts = |globs: &[&str]| globs.iter().map(|&g| g.to_owned()).collect();
        let options = S3Options { include: texts(&["a[", "ok", ""]), exclude: texts(&["{a", "[é]", "\\"]), ..S3Options::default() };
        let problems = Filter::new(&options, START).expect_err("five mistakes");
        let begin = |n: usize, text: &str| assert!(problems[n].starts_with(text), "{:?}", problems[n]);
        assert_eq!(problems.len(), 5, "{problems:?}");
        begin(0, "options.include: \"a[\" is not a glob: ");
        begin(1, "options.include: an empty glob");
        begin(2, "options.exclude: \"{a\" is not a glob: ");
        begin(3, "options.exclude: \"[é]\" is not a glob that works here");
        begin(4, "options.exclude: \"\\\\\" is not a glob: ");
    }

    #[test]
    fn every_rule_has_its_edge() {
        let span = Some(Span(Duration::from_secs(100)));
        let none = S3Options::default;
        for (options, size, modified, class, wanted) in [
            (S3Options { larger_than: Some(ByteSize(10)), ..none() }, 10, 0, "", Some(SkipReason::TooSmall)),
            (S3Options { larger_than: Some(ByteSize(10)), ..none() }, 11, 0, "", None),
            (S3Options { smaller_than: Some(ByteSize(10)), ..none() }, 10, 0, "", Some(SkipReason::TooLarge)),
            (S3Options { smaller_than: Some(ByteSize(10)), ..none() }, 9, 0, "", None),
            (S3Options { newer_than: span, ..none() }, 0, 899_999, "", Some(SkipReason::TooOld)),
            (S3Options { newer_than: span, ..none() }, 0, 900_000, "", None),
            (S3Options { older_than: span, ..none() }, 0, 900_000, "", Some(SkipReason::TooNew)),
            (S3Options { older_than: span, ..none() }, 0, 899_999, "", None),
            (S3Options { newer_than: Some(Span(Duration::MAX)), ..none() }, 0, 0, "", None),
            // whether it can be read is for the store to say
            (none(), 0, 0, "GLACIER", None),
            (none(), 0, 0, "STANDARD", None),
            (S3Options { larger_than: Some(ByteSize(10)), ..none() }, 1, 0, "GLACIER", Some(SkipReason::TooSmall)),
            (S3Options { exclude: vec!["*".to_owned()], include: vec!["x".to_owned()], ..none() }, 0, 0, "", Some(SkipReason::Excluded)),
            (S3Options { include: vec!["x".to_owned()], ..none() }, 0, 0, "", Some(SkipReason::NotIncluded)),
        ] {
            let entry = Entry { size, modified: Timestamp(modified), class: class.to_owned(), ..entry("key") };
            assert_eq!(filter(&options).skip(&EntryRef::from(&entry)), wanted, "{options:?}");
        }
    }

    #[test]
    fn words_are_distinct() {
        let words: std::collections::BTreeSet<_> = SkipReason::ALL.iter().map(|r| r.word()).collect();
        assert_eq!(words.len(), SkipReason::ALL.len());
    }
}
