//! Which objects of the source a task wants.

use dth_proto::{spec::S3Options, time::Timestamp};
use globset::{Candidate, GlobBuilder, GlobMatcher};

use super::page::EntryRef;

/// Storage classes whose objects cannot be read before they are restored (AWS: `RestoreObject`). `GLACIER_IR` can.
const ARCHIVED: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

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
    /// Wanted, but in an archive that must be restored first.
    Archived,
}

impl SkipReason {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::Excluded, Self::NotIncluded, Self::TooSmall, Self::TooLarge, Self::TooOld, Self::TooNew, Self::Archived];

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
            Self::Archived => "archived",
        }
    }
}

impl SkipReason {
    /// Whether it is the state of the object that leaves it out, not a rule of the task: worth a record of its own.
    #[must_use]
    pub fn is_about_the_object(self) -> bool {
        self == Self::Archived
    }
}

/// The rules of one run.
#[derive(Clone, Debug)]
pub struct Filter {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
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
    /// Globs cover the whole source key: `*` any characters but `/`, `**` any characters, `?` one byte but `/`, `[ab]` and
    /// `[!ab]` one byte, `{x,y}` either, `\` takes the meaning away.
    ///
    /// # Errors
    /// One sentence for every glob that is not one.
    pub fn new(options: &S3Options, start: Timestamp) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut globs = |field: &str, globs: &[String]| -> Vec<GlobMatcher> {
            let (good, bad): (Vec<_>, Vec<_>) = globs.iter().map(|glob| matcher(glob)).partition(Result::is_ok);
            problems.extend(bad.into_iter().filter_map(Result::err).map(|problem| format!("options.{field}: {problem}")));
            good.into_iter().filter_map(Result::ok).collect()
        };
        let include = globs("include", &options.include);
        let exclude = globs("exclude", &options.exclude);
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

    /// Why the object is left out; `None`: it is wanted. Of several reasons the first in the order of [`SkipReason::ALL`],
    /// so that `archived` counts only what the task would have copied.
    #[must_use]
    pub fn skip(&self, entry: &EntryRef<'_>) -> Option<SkipReason> {
        self.skip_by_key(entry.key).or_else(|| self.skip_by_state(entry))
    }

    fn skip_by_key(&self, key: &str) -> Option<SkipReason> {
        // a candidate is not for nothing, and most tasks have no globs
        if self.exclude.is_empty() && self.include.is_empty() {
            return None;
        }
        let key = Candidate::new(key);
        let matches = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match_candidate(&key));
        if matches(&self.exclude) {
            return Some(SkipReason::Excluded);
        }
        (!self.include.is_empty() && !matches(&self.include)).then_some(SkipReason::NotIncluded)
    }

    fn skip_by_state(&self, entry: &EntryRef<'_>) -> Option<SkipReason> {
        let rules = [
            (self.larger_than.is_some_and(|limit| entry.size <= limit), SkipReason::TooSmall),
            (self.smaller_than.is_some_and(|limit| entry.size >= limit), SkipReason::TooLarge),
            (self.newer_than.is_some_and(|limit| entry.modified < limit), SkipReason::TooOld),
            (self.older_than.is_some_and(|limit| entry.modified >= limit), SkipReason::TooNew),
            (ARCHIVED.contains(&entry.class), SkipReason::Archived),
        ];
        rules.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
    }
}

/// One matcher per glob: a `GlobSet` takes short cuts over file names and extensions, and keys are not paths.
fn matcher(glob: &str) -> Result<GlobMatcher, String> {
    if glob.is_empty() {
        return Err("an empty glob matches no key: remove it, or write \"**\" for all".to_owned());
    }
    let built = GlobBuilder::new(&across_anywhere(glob)?).literal_separator(true).backslash_escape(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| format!("{glob:?} is not a glob: {}", error.kind()))
}

/// globset gives `**` its meaning only as a whole segment. Everywhere else it becomes an alternative that crosses `/`.
fn across_anywhere(glob: &str) -> Result<String, String> {
    const ACROSS: &str = "{*,*/**/*}";
    let mut out = String::with_capacity(glob.len());
    let mut chars = glob.chars().peekable();
    let mut before: Option<char> = None;
    let mut class = Class::Outside;
    while let Some(c) = chars.next() {
        if class != Class::Outside && !c.is_ascii() {
            return Err(format!("{glob:?} is not a glob that works here: [ ] matches one byte and {c:?} has more; use {{x,y}}"));
        }
        let next = chars.peek().copied();
        match c {
            '\\' if class == Class::Outside => {
                out.push(c);
                // what is escaped is copied as it is, also a `*`
                let escaped = chars.next();
                out.extend(escaped);
                before = escaped.map(|_| '\\');
                continue;
            }
            '*' if class == Class::Outside && next == Some('*') => {
                while chars.next_if_eq(&'*').is_some() {}
                let begins = matches!(before, None | Some('/' | '{' | ','));
                match chars.peek() {
                    Some('/') if begins => out.push_str("**"),
                    _ => out.push_str(ACROSS),
                }
            }
            _ => out.push(c),
        }
        class = class.after(c);
        before = Some(c);
    }
    Ok(out)
}

/// Where in `[!]x]` the reader is: a `]` that comes first, also behind `!` or `^`, does not close.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    Opened,
    Negated,
    Inside,
}

impl Class {
    fn after(self, c: char) -> Self {
        match (self, c) {
            (Self::Outside, '[') => Self::Opened,
            (Self::Outside, _) => Self::Outside,
            (Self::Opened, '!' | '^') => Self::Negated,
            (Self::Inside, ']') => Self::Outside,
            _ => Self::Inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dth_proto::{time::Span, units::ByteSize};
    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::{entry, hostile_key};
    use crate::s3::object::Entry;

    const START: Timestamp = Timestamp(1_000_000);

    fn filter(options: &S3Options) -> Filter {
        Filter::new(options, START).expect("good globs")
    }

    fn included(glob: &str, key: &str) -> bool {
        filter(&S3Options { include: vec![glob.to_owned()], ..S3Options::default() }).skip(&EntryRef::from(&entry(key))).is_none()
    }

    #[test]
    fn globs() {
        for (glob, yes, no) in [
            ("**.jpg", vec!["a.jpg", "a/b.jpg", "a//b/.jpg", ".jpg", "/.jpg", "a\n/b.jpg"], vec!["a.jpg/", "a.jpeg", "a.JPG"]),
            ("*.jpg", vec!["a.jpg", "..jpg"], vec!["a/b.jpg", "/a.jpg"]),
            ("raw/**", vec!["raw/a", "raw/a/b", "raw/", "raw//"], vec!["raw", "xraw/a"]),
            ("**/thumbs/*", vec!["thumbs/a", "x/thumbs/a", "x/y/thumbs/"], vec!["xthumbs/a", "thumbs/a/b"]),
            ("a/**/z", vec!["a/z", "a/b/z", "a/b/c/z", "a//z"], vec!["az", "a/bz"]),
            ("a**z", vec!["az", "a/z", "a/b/cz"], vec!["az/"]),
            ("**", vec!["a", "a/b", "/", "..", "a/.."], vec![]),
            ("***", vec!["a", "a/b"], vec![]),
            ("***/x", vec!["x", "a/x", "a/b/x"], vec!["ax"]),
            ("a**/b", vec!["a/b", "ax/b", "ax/y/b"], vec!["ab", "x/a/b"]),
            ("{raw,cooked}/**.{jpg,png}", vec!["raw/a.jpg", "cooked/a/b.png"], vec!["raw/a.gif", "x/raw/a.jpg"]),
            ("{**/a,b}", vec!["a", "x/a", "b"], vec!["x/b"]),
            ("x{**,y}", vec!["x", "xy", "x/y/z"], vec!["y"]),
            ("?", vec!["a"], vec!["ab", "/", "é"]),
            ("[ab]", vec!["a", "b"], vec!["c", "ab"]),
            ("[!*]**", vec!["ab/c"], vec!["*b"]),
            ("[]*]x", vec!["]x", "*x"], vec!["ax"]),
            ("\\*\\*.jpg", vec!["**.jpg"], vec!["a.jpg", "a/b.jpg"]),
            ("\\[**", vec!["[", "[/a"], vec!["a"]),
            ("é/*", vec!["é/x"], vec!["e/x"]),
            ("**/..", vec!["..", "a/.."], vec!["a/..b"]),
            ("a,b", vec!["a,b"], vec!["a"]),
        ] {
            yes.iter().for_each(|key| assert!(included(glob, key), "{glob:?} must match {key:?}"));
            no.iter().for_each(|key| assert!(!included(glob, key), "{glob:?} must not match {key:?}"));
        }
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
            (none(), 0, 0, "GLACIER", Some(SkipReason::Archived)),
            (none(), 0, 0, "DEEP_ARCHIVE", Some(SkipReason::Archived)),
            (none(), 0, 0, "GLACIER_IR", None),
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

    proptest! {
        #[test]
        fn across_means_anything_between(before in "[a-c]{0,2}", between in hostile_key(), after in "[a-c]{1,2}") {
            let glob = format!("{before}**{after}");
            let key = format!("{before}{between}{after}");
            prop_assert!(included(&glob, &key), "{:?} {:?}", glob, key);
        }

        #[test]
        fn no_text_is_too_odd_for_a_glob(glob in "[a\\[\\]!^{},*?/\\\\é]{0,12}", key in hostile_key()) {
            if let Ok(filter) = Filter::new(&S3Options { include: vec![glob], ..S3Options::default() }, START) {
                let _ = filter.skip(&EntryRef::from(&entry(&key)));
            }
        }
    }
}
