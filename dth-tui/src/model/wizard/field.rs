//! One line of the form: a text or a choice, for every task or for those of one engine.

use dth_proto::spec::Words;

use super::super::input::Input;

/// What a task moves, as the form's first step asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Objects between S3 stores.
    S3,
    /// Images between container registries.
    Image,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text(Input),
    /// One of several words.
    Choice(Vec<String>, usize),
}

/// One line of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Dotted path in a task file (`source.bucket`), or a name of the form's own. Unique within an engine.
    pub id: &'static str,
    /// What the user reads.
    pub label: &'static str,
    /// Said beside the focused field.
    pub hint: &'static str,
    /// Its value.
    pub kind: Kind,
    /// The tasks it belongs to; `None`: all.
    pub engine: Option<Engine>,
    /// Seen only while its step shows such fields.
    pub advanced: bool,
    /// What the text stands for until it is changed: a field is one line, what it was filled with may have several, or commas in its parts.
    kept: Option<(String, Vec<String>)>,
}

/// The word of [`fold`] with which the fields behind it are seen.
const SHOWN: &str = "shown";
/// What the ids of all [`fold`]s begin with.
const FOLD: &str = "advanced.";

pub(super) fn text(id: &'static str, label: &'static str, hint: &'static str, value: &str) -> Field {
    Field { id, label, hint, kind: Kind::Text(Input::new(value)), engine: None, advanced: false, kept: None }
}

pub(super) fn choice(id: &'static str, label: &'static str, hint: &'static str, words: &[&str]) -> Field {
    let kind = Kind::Choice(words.iter().map(|w| (*w).to_owned()).collect(), 0);
    Field { id, label, hint, kind, engine: None, advanced: false, kept: None }
}

/// A choice between the words of an option.
pub(super) fn word<T: Words>(id: &'static str, label: &'static str, hint: &'static str) -> Field {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    choice(id, label, hint, &words)
}

/// The fields of a step, those of `advanced` behind a field (`id`: `advanced.…`) that shows or hides them.
pub(super) fn fold(mut fields: Vec<Field>, id: &'static str, hint: &'static str, advanced: Vec<Field>) -> Vec<Field> {
    fields.push(choice(id, "Advanced", hint, &["hidden", SHOWN]));
    fields.extend(advanced.into_iter().map(|field| Field { advanced: true, ..field }));
    fields
}

impl Field {
    pub(super) fn of(self, engine: Engine) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// The value as text.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.kind {
            Kind::Text(input) => input.text(),
            Kind::Choice(words, at) => words.get(*at).map_or("", String::as_str),
        }
    }

    /// Something was typed, or another word than the first was chosen.
    pub(super) fn is_set(&self) -> bool {
        match &self.kind {
            Kind::Text(input) => !input.text().is_empty(),
            Kind::Choice(_, at) => *at > 0,
        }
    }

    /// It is one that shows or hides others.
    pub(super) fn is_fold(&self) -> bool {
        self.id.starts_with(FOLD)
    }

    /// It shows others.
    pub(super) fn is_open(&self) -> bool {
        self.is_fold() && self.value() == SHOWN
    }

    /// Chooses a word, which becomes one of the choices if it was none; or replaces the text.
    pub(super) fn put(&mut self, value: &str) {
        self.kept = None;
        match &mut self.kind {
            Kind::Text(input) => *input = Input::new(value),
            Kind::Choice(words, at) => {
                *at = words.iter().position(|word| word == value).unwrap_or_else(|| {
                    words.push(value.to_owned());
                    words.len() - 1
                });
            }
        }
    }

    /// Shows what is hidden behind it.
    pub(super) fn open(&mut self) {
        self.put(SHOWN);
    }

    /// Replaces the text by parts with commas between them, on one line; they stay as they are until it is changed.
    pub(super) fn put_parts(&mut self, parts: &[String]) {
        let shown = parts.iter().map(|part| part.replace(',', "\\,")).collect::<Vec<_>>().join(", ");
        self.keep(&shown, parts.to_vec());
    }

    /// Replaces the text by one that may have several lines; it stays as it is until it is changed.
    pub(super) fn put_whole(&mut self, text: &str) {
        self.keep(text, vec![text.to_owned()]);
    }

    fn keep(&mut self, shown: &str, parts: Vec<String>) {
        let shown: String = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.kind = Kind::Text(Input::new(shown.clone()));
        self.kept = Some((shown, parts));
    }

    /// What the text stands for, as long as nobody has changed it.
    pub(super) fn kept(&self) -> Option<&[String]> {
        self.kept.as_ref().filter(|(shown, _)| shown == self.value()).map(|(_, parts)| parts.as_slice())
    }

    /// The parts of a text, between commas; `\,` is a comma in a part.
    pub(super) fn parts(&self) -> Vec<String> {
        match self.kept() {
            Some(parts) => parts.to_vec(),
            None => split(self.value()),
        }
    }
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut();
        match (c, part) {
            ('\\', Some(part)) if chars.peek() == Some(&',') => {
                chars.next();
                part.push(',');
            }
            (',', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_between_commas() {
        for (text, expected) in [
            ("", &[][..]),
            (" a , b,,", &["a", "b"]),
            (r"v[0-9]{1\,3}, \d+", &["v[0-9]{1,3}", r"\d+"]),
            (r"a\\,", &["a\\,"]),
            ("\\", &["\\"]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn what_fits_no_line_is_kept_until_it_is_changed() {
        let mut field = text("x", "X", "", "");
        let parts = ["a,b", " c ", "d\ne"].map(str::to_owned);
        field.put_parts(&parts);
        assert_eq!((field.value(), field.parts()), (r"a\,b,  c , d e", parts.to_vec()));
        let Kind::Text(input) = &mut field.kind else { panic!("a text") };
        input.insert("!");
        assert_eq!(field.parts(), ["a,b", "c", "d e!"]);
        field.put_whole("{\n}");
        assert_eq!((field.value(), field.kept()), ("{ }", Some(&["{\n}".to_owned()][..])));
    }
}
