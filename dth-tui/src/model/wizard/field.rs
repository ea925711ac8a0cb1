//! One line of the form: a text or a choice, for every task or for those of one engine.

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
}

pub(super) fn text(id: &'static str, label: &'static str, hint: &'static str, value: &str) -> Field {
    Field { id, label, hint, kind: Kind::Text(Input::new(value)), engine: None }
}

pub(super) fn choice(id: &'static str, label: &'static str, hint: &'static str, words: &[&str]) -> Field {
    Field { id, label, hint, kind: Kind::Choice(words.iter().map(|w| (*w).to_owned()).collect(), 0), engine: None }
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
}
