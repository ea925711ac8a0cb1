//! Reading TOML so that every problem is told at once, each with its line, the key, and the nearest valid name.
//!
//! serde stops at the first mistake; an operator wants to see all of them. [`Document::parse`] collects syntax errors, a
//! [`Table`] hands out typed values and records what does not fit, and every key that nobody asked for is a problem.

use std::{cell::RefCell, collections::BTreeMap, fmt, ops::Range, rc::Rc, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// Line, from 1; 0 when the problem has no place (a missing key at top level).
    pub line: usize,
    /// What and where, and the way out.
    pub message: String,
}

/// Everything wrong with a document; never empty. Displays as one line per problem, `file:line: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDocument {
    /// The file's name, for messages.
    pub file: String,
    /// By line.
    pub problems: Vec<DocumentProblem>,
}

impl BadDocument {
    /// One text per problem, `file:line: message`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.problems
            .iter()
            .map(|p| match p.line {
                0 => format!("{}: {}", self.file, p.message),
                line => format!("{}:{line}: {}", self.file, p.message),
            })
            .collect()
    }
}

impl fmt::Display for BadDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for BadDocument {}

struct Shared<'i> {
    text: &'i str,
    problems: RefCell<Vec<DocumentProblem>>,
}

impl Shared<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        self.text.as_bytes()[..span.start.min(self.text.len())].iter().filter(|b| **b == b'\n').count() + 1
    }

    fn problem(&self, span: Option<&Range<usize>>, message: String) {
        let line = span.map_or(0, |s| self.line(s));
        self.problems.borrow_mut().push(DocumentProblem { line, message });
    }
}

/// A parsed TOML text.
pub struct Document;

impl Document {
    /// Parses `text` and lets `read` take what it knows. `file` names the document in messages.
    ///
    /// # Errors
    /// [`BadDocument`] with every problem: syntax, what `read` reported, and keys that `read` did not ask for.
    pub fn parse<T>(file: &str, text: &str, read: impl FnOnce(&mut Table<'_, '_>) -> T) -> Result<T, BadDocument> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let shared = Rc::new(Shared { text, problems: RefCell::default() });
        for error in &errors {
            shared.problem(error.span().as_ref(), error.message().to_owned());
        }
        let value = {
            let mut table = Table::new(&shared, root.get_ref(), String::new(), None);
            let value = read(&mut table);
            // after a syntax error the keys behind it are not where they were meant to be
            if errors.is_empty() {
                table.finish();
            } else {
                shared.problems.borrow_mut().truncate(errors.len());
            }
            value
        };
        let mut problems = shared.problems.take();
        if problems.is_empty() {
            return Ok(value);
        }
        problems.sort_by_key(|p| p.line);
        problems.dedup();
        Err(BadDocument { file: file.to_owned(), problems })
    }
}

/// A place in the document.
pub struct Place<'i> {
    shared: Rc<Shared<'i>>,
    span: Option<Range<usize>>,
}

impl Place<'_> {
    /// Reports a problem with what is there.
    pub fn problem(&self, message: impl Into<String>) {
        self.shared.problem(self.span.as_ref(), message.into());
    }
}

/// One table of the document, with its path (`source`, `credentials.cn-reader`).
pub struct Table<'a, 'i> {
    shared: &'a Rc<Shared<'i>>,
    entries: &'a DeTable<'i>,
    path: String,
    span: Option<Range<usize>>,
    known: Vec<String>,
}

impl<'a, 'i> Table<'a, 'i> {
    fn new(shared: &'a Rc<Shared<'i>>, entries: &'a DeTable<'i>, path: String, span: Option<Range<usize>>) -> Self {
        Self { shared, entries, path, span, known: Vec::new() }
    }

    /// The key with its path (`limits.memory`).
    #[must_use]
    pub fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.push(key.to_owned());
        self.entries.get(key)
    }

    /// Reports a problem with `key` of this table, or with the table itself.
    pub fn problem(&self, key: Option<&str>, message: impl Into<String>) {
        let span = key.and_then(|k| self.entries.get(k)).map(Spanned::span).or_else(|| self.span.clone());
        self.shared.problem(span.as_ref(), message.into());
    }

    /// Where `key` of this table is, or the table itself, for problems that show only when more has been read.
    #[must_use]
    pub fn place(&self, key: &str) -> Place<'i> {
        let span = self.entries.get(key).map(Spanned::span).or_else(|| self.span.clone());
        Place { shared: Rc::clone(self.shared), span }
    }

    /// Whether the key is there, whatever its value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    fn typed<T>(&mut self, key: &str, wanted: &str, get: impl Fn(&'a DeValue<'i>) -> Option<T>) -> Option<T> {
        let value = self.take(key)?;
        let got = get(value.get_ref());
        if got.is_none() {
            let name = self.full(key);
            let span = value.span();
            self.shared.problem(Some(&span), format!("{name} must be {wanted}, not {}", article(value.get_ref().type_str())));
        }
        got
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.typed(key, "a text in quotes", |v| v.as_str().map(str::to_owned))
    }

    /// A text that must be there and not be empty; `why` ends the sentence "`key` is missing: …".
    pub fn required(&mut self, key: &str, why: &str) -> Option<String> {
        let missing = !self.has(key);
        let text = self.text(key);
        if missing || text.as_deref() == Some("") {
            let name = self.full(key);
            self.problem(Some(key), format!("{name} is missing: {why}"));
            return None;
        }
        text
    }

    /// true or false.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool)
    }

    /// A whole number within `range`.
    pub fn number(&mut self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.typed(key, "a whole number", |v| {
            let int = v.as_integer()?;
            i128::from_str_radix(int.as_str(), int.radix()).ok()
        })?;
        let fits = u64::try_from(value).ok().filter(|v| range.contains(v));
        if fits.is_none() {
            let name = self.full(key);
            self.problem(Some(key), format!("{name} must be from {} to {}, not {value}", range.start(), range.end()));
        }
        fits
    }

    /// A text in a form of its own: size, rate, duration, time, one of several words.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<T> {
        // TOML has datetimes of its own; an operator may leave the quotes away
        let text =
            self.typed(key, "a text in quotes", |v| v.as_str().map(str::to_owned).or_else(|| v.as_datetime().map(ToString::to_string)))?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let name = self.full(key);
                self.problem(Some(key), format!("{name}: {error}"));
                None
            }
        }
    }

    /// A list of texts, each in a form of its own, each problem with its own line; one text alone counts as a list of one. `None`
    /// also when any of them does not fit.
    pub fn parsed_list<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let items: Vec<(Range<usize>, String)> = {
            let value = self.take(key)?;
            let text = |v: &Spanned<DeValue<'_>>| v.get_ref().as_str().map(|text| (v.span(), text.to_owned()));
            let all = text(value).map(|one| vec![one]).or_else(|| value.get_ref().as_array()?.iter().map(text).collect());
            let Some(all) = all else {
                let (name, span) = (self.full(key), value.span());
                let kind = article(value.get_ref().type_str());
                self.shared.problem(Some(&span), format!("{name} must be a text in quotes or a list of such texts, not {kind}"));
                return None;
            };
            all
        };
        let name = self.full(key);
        let parsed: Vec<Option<T>> = items
            .into_iter()
            .map(|(span, text)| text.parse().map_err(|error: T::Err| self.shared.problem(Some(&span), format!("{name}: {error}"))).ok())
            .collect();
        parsed.into_iter().collect()
    }

    /// One of several words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let name = self.full(key);
            self.problem(Some(key), format!("{name} = {text:?} is not known{}", suggestion(&text, &words, "use one of ")));
        }
        found
    }

    /// A list of texts; one text alone counts as a list of one.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.typed(key, "a list of texts", |v| {
            if let Some(one) = v.as_str() {
                return Some(vec![one.to_owned()]);
            }
            v.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// A table of texts (labels).
    pub fn text_map(&mut self, key: &str) -> Option<BTreeMap<String, String>> {
        self.typed(key, "a table of texts", |v| {
            v.as_table()?.iter().map(|(k, v)| Some((k.get_ref().clone().into_owned(), v.get_ref().as_str()?.to_owned()))).collect()
        })
    }

    /// A table below this one.
    pub fn table<T>(&mut self, key: &str, read: impl FnOnce(&mut Table<'_, 'i>) -> T) -> Option<T> {
        let span = self.entries.get(key).map(Spanned::span);
        let entries = self.typed(key, "a table", DeValue::as_table)?;
        let mut table = Table::new(self.shared, entries, self.full(key), span);
        let value = read(&mut table);
        table.finish();
        Some(value)
    }

    /// A table that must be there; without it `read` gets an empty one, so that everything missing in it is named too.
    pub fn required_table<T>(&mut self, key: &str, read: impl FnOnce(&mut Table<'_, 'i>) -> T) -> Option<T> {
        if self.has(key) {
            return self.table(key, read);
        }
        self.known.push(key.to_owned());
        self.problem(None, format!("the table [{}] is missing", self.full(key)));
        None
    }

    /// Every table below `key`, by name (`[credentials.NAME]`).
    pub fn tables<T>(&mut self, key: &str, mut read: impl FnMut(&str, &mut Table<'_, 'i>) -> T) -> Vec<T> {
        let Some(entries) = self.typed(key, "a table", DeValue::as_table) else {
            return Vec::new();
        };
        let path = self.full(key);
        let mut values = Vec::new();
        for (name, value) in entries {
            let name = name.get_ref();
            let Some(inner) = value.get_ref().as_table() else {
                self.shared.problem(Some(&value.span()), format!("{path}.{name} must be a table"));
                continue;
            };
            let mut table = Table::new(self.shared, inner, format!("{path}.{name}"), Some(value.span()));
            values.push(read(name, &mut table));
            table.finish();
        }
        values
    }

    /// Reports every key that nobody asked for.
    fn finish(&self) {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        for key in self.entries.keys() {
            let name = key.get_ref();
            if !known.contains(&name.as_ref()) {
                let full = self.full(name);
                self.shared.problem(Some(&key.span()), format!("{full} is not a known key{}", suggestion(name, &known, "known here: ")));
            }
        }
    }
}

/// `: did you mean "x"?`, or the whole list when nothing is near.
#[must_use]
pub fn suggestion(text: &str, words: &[&str], all: &str) -> String {
    match nearest(text, words) {
        Some(word) => format!(": did you mean {word:?}?"),
        None if words.is_empty() => String::new(),
        None => format!(": {all}{}", words.join(", ")),
    }
}

/// The word that a person most likely meant.
#[must_use]
pub fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(text, word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Option<String>, Option<u64>), BadDocument> {
        Document::parse("t.toml", text, |t| {
            let name = t.required("name", "every task has one");
            let number = t.table("limits", |l| l.number("workers", 1..=64)).flatten();
            (name, number)
        })
    }

    #[test]
    fn good_documents_give_their_values() {
        assert_eq!(read("name = 'x'\n[limits]\nworkers = 0x10\n"), Ok((Some("x".to_owned()), Some(16))));
    }

    #[test]
    fn all_problems_come_at_once_with_lines() {
        let bad = read("nmae = 'x'\n[limits]\nworkers = 900\nwrokers = 3\n").expect_err("three mistakes");
        assert_eq!(
            bad.lines(),
            [
                "t.toml: name is missing: every task has one",
                "t.toml:1: nmae is not a known key: did you mean \"name\"?",
                "t.toml:3: limits.workers must be from 1 to 64, not 900",
                "t.toml:4: limits.wrokers is not a known key: did you mean \"workers\"?",
            ]
        );
    }

    #[test]
    fn wrong_types_say_what_was_wanted() {
        let bad = read("name = 7\nlimits = 'x'\n").expect_err("two mistakes");
        assert_eq!(
            bad.lines(),
            ["t.toml:1: name must be a text in quotes, not an integer", "t.toml:2: limits must be a table, not a string"]
        );
    }

    #[test]
    fn syntax_errors_have_their_line() {
        let bad = read("name = 'x'\n[limits\n").expect_err("broken");
        assert_eq!(bad.problems[0].line, 2);
    }
}
