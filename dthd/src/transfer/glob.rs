//! Globs over names whose segments are divided by `/`: object keys, repositories; tags are one segment.

use globset::{Candidate, GlobBuilder, GlobMatcher};

/// Globs of which one must match: `*` any characters but `/`, `**` any characters, `?` one byte but `/`, `[ab]` and `[!ab]` one byte, `{x,y}`
/// either, `\` takes the meaning away. A glob covers the whole name.
#[derive(Clone, Debug)]
pub struct Globs(Vec<GlobMatcher>);

impl Globs {
    /// The globs of a field of a task. Adds one sentence to `problems` for every text that is none.
    pub fn new(field: &str, globs: &[String], problems: &mut Vec<String>) -> Self {
        let mut good = Vec::with_capacity(globs.len());
        for glob in globs {
            match matcher(glob) {
                Ok(glob) => good.push(glob),
                Err(problem) => problems.push(format!("{field}: {problem}")),
            }
        }
        Self(good)
    }

    /// Whether there are none, which matches nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches.
    #[must_use]
    pub fn matches(&self, name: &Candidate<'_>) -> bool {
        self.0.iter().any(|glob| glob.is_match_candidate(name))
    }
}

/// One matcher per glob: a `GlobSet` takes short cuts over file names and extensions, and keys are not paths.
fn matcher(glob: &str) -> Result<GlobMatcher, String> {
    if glob.is_empty() {
        return Err("an empty glob matches nothing: remove it, or write \"**\" for all".to_owned());
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
    use proptest::prelude::*;

    use super::*;

    fn matches(glob: &str, name: &str) -> bool {
        let mut problems = Vec::new();
        let globs = Globs::new("include", &[glob.to_owned()], &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        globs.matches(&Candidate::new(name))
    }

    /// Names that are no paths.
    fn hostile() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec!["a", "/", "-", "..", "\u{0}", "\n", "é", "\u{ffff}", "\u{10000}", " ", "%2F"]);
        prop_oneof![4 => prop::collection::vec(part, 1..5).prop_map(|p| p.concat()), 1 => "\\PC{1,6}"]
    }

    #[test]
    fn globs_cover_the_whole_name() {
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
            yes.iter().for_each(|key| assert!(matches(glob, key), "{glob:?} must match {key:?}"));
            no.iter().for_each(|key| assert!(!matches(glob, key), "{glob:?} must not match {key:?}"));
        }
    }

    #[test]
    fn every_bad_glob_is_named_with_its_field() {
        let mut problems = Vec::new();
        let globs = Globs::new("options.include", &["a[", "ok", ""].map(str::to_owned), &mut problems);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("options.include: \"a[\" is not a glob: ") && problems[1].contains("an empty glob"),
            "{problems:?}"
        );
        assert!(!globs.is_empty() && globs.matches(&Candidate::new("ok")));
    }

    proptest! {
        #[test]
        fn across_means_anything_between(before in "[a-c]{0,2}", between in hostile(), after in "[a-c]{1,2}") {
            let glob = format!("{before}**{after}");
            let name = format!("{before}{between}{after}");
            prop_assert!(matches(&glob, &name), "{:?} {:?}", glob, name);
        }

        #[test]
        fn no_text_is_too_odd_for_a_glob(glob in "[a\\[\\]!^{},*?/\\\\é]{0,12}", name in hostile()) {
            let mut problems = Vec::new();
            let globs = Globs::new("include", &[glob], &mut problems);
            let _ = globs.matches(&Candidate::new(&name));
            prop_assert_eq!(globs.is_empty(), !problems.is_empty());
        }
    }
}
