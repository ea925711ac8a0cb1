//! Which objects of the source a task wants.

use dth_proto::{spec::S3Options, time::Timestamp};
use globset::Candidate;
use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::page::EntryRef;
use crate::transfer::glob::Globs;

/// Memory that the compiled expressions of one field may take, in bytes. Matching is linear in the key, whatever they are.
const REGEX_BYTES: usize = 4 << 20;
/// What a store means that says nothing.
const STANDARD: &str = "STANDARD";

/// Why an object is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Matches `exclude`.
    Excluded,
    /// An expression of `exclude_regex` is found in its key.
    ExcludedByRegex,
    /// Matches nothing in `include` and `include_regex`.
    NotIncluded,
    /// Its storage class is one of `exclude_storage_classes`.
    ExcludedClass,
    /// Its storage class is none of `storage_classes`.
    NotInClass,
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
    pub const ALL: [Self; 9] = [
        Self::Excluded,
        Self::ExcludedByRegex,
        Self::NotIncluded,
        Self::ExcludedClass,
        Self::NotInClass,
        Self::TooSmall,
        Self::TooLarge,
        Self::TooOld,
        Self::TooNew,
    ];

    /// The word in counters, records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::ExcludedByRegex => "excluded-by-regex",
            Self::NotIncluded => "not-included",
            Self::ExcludedClass => "excluded-class",
            Self::NotInClass => "not-in-class",
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
    /// `None`: there are no expressions, and no key is searched for them.
    include_regex: Option<RegexSet>,
    exclude_regex: Option<RegexSet>,
    /// Empty: all.
    classes: Vec<String>,
    excluded_classes: Vec<String>,
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
    /// Globs cover the whole source key: see [`Globs`]. Expressions are looked for anywhere in it.
    ///
    /// # Errors
    /// One sentence for every glob and expression that is not one.
    pub fn new(options: &S3Options, start: Timestamp) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let include = Globs::new("options.include", &options.include, &mut problems);
        let exclude = Globs::new("options.exclude", &options.exclude, &mut problems);
        let include_regex = expressions("options.include_regex", &options.include_regex, &mut problems);
        let exclude_regex = expressions("options.exclude_regex", &options.exclude_regex, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let before = |span: dth_proto::time::Span| Timestamp(start.0.saturating_sub(u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)));
        Ok(Self {
            include,
            exclude,
            include_regex,
            exclude_regex,
            classes: options.storage_classes.clone(),
            excluded_classes: options.exclude_storage_classes.clone(),
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

    /// Why no object of that key is wanted, whatever it is.
    #[must_use]
    pub fn skip_by_key(&self, key: &str) -> Option<SkipReason> {
        let includes_all = self.include.is_empty() && self.include_regex.is_none();
        // a candidate is not for nothing, and most tasks have no globs
        let candidate = (!self.exclude.is_empty() || !self.include.is_empty()).then(|| Candidate::new(key));
        let found = |globs: &Globs| candidate.as_ref().is_some_and(|candidate| globs.matches(candidate));
        let is_in = |expressions: &Option<RegexSet>| expressions.as_ref().is_some_and(|expressions| expressions.is_match(key));
        if found(&self.exclude) {
            return Some(SkipReason::Excluded);
        }
        if is_in(&self.exclude_regex) {
            return Some(SkipReason::ExcludedByRegex);
        }
        (!includes_all && !found(&self.include) && !is_in(&self.include_regex)).then_some(SkipReason::NotIncluded)
    }

    fn skip_by_state(&self, entry: &EntryRef<'_>) -> Option<SkipReason> {
        let class = if entry.class.is_empty() { STANDARD } else { entry.class };
        let is_one_of = |classes: &[String]| classes.iter().any(|one| one == class);
        let rules = [
            (is_one_of(&self.excluded_classes), SkipReason::ExcludedClass),
            (!self.classes.is_empty() && !is_one_of(&self.classes), SkipReason::NotInClass),
            (self.larger_than.is_some_and(|limit| entry.size <= limit), SkipReason::TooSmall),
            (self.smaller_than.is_some_and(|limit| entry.size >= limit), SkipReason::TooLarge),
            (self.newer_than.is_some_and(|limit| entry.modified < limit), SkipReason::TooOld),
            (self.older_than.is_some_and(|limit| entry.modified >= limit), SkipReason::TooNew),
        ];
        rules.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
    }
}

/// The expressions of a field of a task; `None`: it has none. Adds one sentence to `problems` for every text that is none.
fn expressions(field: &str, texts: &[String], problems: &mut Vec<String>) -> Option<RegexSet> {
    let before = problems.len();
    for text in texts {
        if text.is_empty() {
            problems.push(format!("{field}: an empty expression is found in every key: remove it"));
        } else if let Err(error) = RegexBuilder::new(text).size_limit(REGEX_BYTES).build() {
            problems.push(format!("{field}: {text:?} is not a regular expression: {}", reason(&error)));
        }
    }
    if texts.is_empty() || problems.len() > before {
        return None;
    }
    let set = RegexSetBuilder::new(texts).size_limit(REGEX_BYTES).build();
    let too_much = |error| format!("{field}: together the expressions are too much: {}; use fewer, or a prefix", reason(&error));
    set.map_err(|error| problems.push(too_much(error))).ok()
}

/// The last line says what is wrong; those before draw it.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(bytes) => format!("it takes more than {bytes} bytes when compiled; make its repetitions smaller"),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
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
    fn expressions_are_found_anywhere_and_join_the_globs() {
        let texts = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        let options = S3Options {
            include: texts(&["raw/**"]),
            include_regex: texts(&["^logs/[0-9]{4}/", r"\.json$"]),
            exclude: texts(&["**.tmp"]),
            exclude_regex: texts(&["(?i)secret"]),
            ..S3Options::default()
        };
        let filter = filter(&options);
        for (key, wanted) in [
            ("raw/a", None),
            ("logs/2024/a", None),
            ("x/logs/2024/a", Some(SkipReason::NotIncluded)),
            ("x/a.json", None),
            ("x/a.json\n", Some(SkipReason::NotIncluded)),
            ("raw/a.tmp", Some(SkipReason::Excluded)),
            ("raw/a-SECRET-b", Some(SkipReason::ExcludedByRegex)),
            ("raw/secret.tmp", Some(SkipReason::Excluded)),
        ] {
            assert_eq!(filter.skip_by_key(key), wanted, "{key:?}");
        }
    }

    #[test]
    fn where_there_are_no_expressions_no_key_is_searched() {
        let filter = filter(&S3Options::default());
        assert!(filter.exclude_regex.is_none() && filter.include_regex.is_none());
        assert_eq!(filter.skip_by_key("any"), None);
    }

    #[test]
    fn all_bad_expressions_are_named_and_none_is_too_costly() {
        let texts = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        let options =
            S3Options { include_regex: texts(&["a(", "ok", ""]), exclude_regex: texts(&["(a{500}){500}"]), ..S3Options::default() };
        let problems = Filter::new(&options, START).expect_err("three mistakes");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(problems[0], "options.include_regex: \"a(\" is not a regular expression: unclosed group");
        assert!(problems[1].starts_with("options.include_regex: an empty expression"), "{problems:?}");
        assert!(problems[2].contains("make its repetitions smaller"), "{problems:?}");
        // what takes a backtracking matcher for ever
        let options = S3Options { exclude_regex: texts(&["(a+)+$"]), ..S3Options::default() };
        assert_eq!(filter(&options).skip_by_key(&format!("{}b", "a".repeat(1_000))), None);
    }

    #[test]
    fn storage_classes_are_those_of_the_listing_and_nothing_is_standard() {
        let classes = |classes: &[&str]| classes.iter().map(|&c| c.to_owned()).collect::<Vec<_>>();
        let only = S3Options { storage_classes: classes(&["STANDARD", "GLACIER_IR"]), ..S3Options::default() };
        let none = S3Options { exclude_storage_classes: classes(&["STANDARD", "DEEP_ARCHIVE"]), ..S3Options::default() };
        for (class, by_only, by_none) in [
            ("", None, Some(SkipReason::ExcludedClass)),
            ("STANDARD", None, Some(SkipReason::ExcludedClass)),
            ("GLACIER_IR", None, None),
            ("STANDARD_IA", Some(SkipReason::NotInClass), None),
            ("DEEP_ARCHIVE", Some(SkipReason::NotInClass), Some(SkipReason::ExcludedClass)),
        ] {
            let entry = Entry { class: class.to_owned(), ..entry("key") };
            assert_eq!(filter(&only).skip(&EntryRef::from(&entry)), by_only, "{class}");
            assert_eq!(filter(&none).skip(&EntryRef::from(&entry)), by_none, "{class}");
        }
    }

    #[test]
    fn words_are_distinct() {
        let words: std::collections::BTreeSet<_> = SkipReason::ALL.iter().map(|r| r.word()).collect();
        assert_eq!(words.len(), SkipReason::ALL.len());
    }
}
