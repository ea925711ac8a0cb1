//! What the fields of the form say, by their ids.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use dth_proto::spec::Words;

use super::{Field, Mistake, Wizard, mistake};

impl Wizard {
    fn field(&self, id: &str) -> Option<&Field> {
        self.all().find(|field| field.id == id)
    }

    /// Without the spaces around it.
    pub(super) fn value(&self, id: &str) -> &str {
        self.raw(id).trim()
    }

    /// As it was typed, or filled.
    pub(super) fn raw(&self, id: &str) -> &str {
        let Some(field) = self.field(id) else { return "" };
        match field.kept() {
            Some([whole]) => whole,
            _ => field.value(),
        }
    }

    pub(super) fn some(&self, id: &str) -> Option<String> {
        Some(self.raw(id)).filter(|text| !text.trim().is_empty()).map(|text| if self.is_kept(id) { text } else { text.trim() }.to_owned())
    }

    fn is_kept(&self, id: &str) -> bool {
        self.field(id).is_some_and(|field| field.kept().is_some())
    }

    /// The store's dialect in the field of this id; `aws` where none is named.
    pub(super) fn provider(&self, id: &str) -> String {
        self.some(id).unwrap_or_else(|| "aws".to_owned())
    }

    /// A choice; `None`: its first word, which stands for "nothing said".
    pub(super) fn chosen(&self, id: &str) -> Option<&str> {
        self.field(id).filter(|field| field.is_set()).map(Field::value)
    }

    /// A choice made by [`super::field::word`]; a word that is none stands for the default.
    pub(super) fn word<T: Words>(&self, id: &str) -> T {
        T::of_word(self.value(id)).unwrap_or_default()
    }

    /// A choice between yes and no; `None`: its first word, which stands for "nothing said".
    pub(super) fn flag(&self, id: &str) -> Option<bool> {
        self.chosen(id).map(|word| word == "yes")
    }

    /// Texts with commas between them.
    pub(super) fn list(&self, id: &str) -> Vec<String> {
        self.field(id).map(Field::parts).unwrap_or_default()
    }

    /// `name=value` with commas between them.
    pub(super) fn map(&self, id: &'static str, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for part in self.list(id) {
            match part.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    all.insert(name.to_owned(), value.to_owned());
                }
                _ => mistakes.push(mistake(id, &format!("has {part:?}: write name=value, with commas between several"))),
            }
        }
        all
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, id: &'static str, mistakes: &mut Vec<Mistake>) -> Option<T> {
        let text = self.some(id)?;
        text.parse().map_err(|error| mistakes.push(mistake(id, &error))).ok()
    }

    /// A number; `what` says of what, for whoever wrote something else.
    pub(super) fn number<T: FromStr>(&self, id: &'static str, what: &str, mistakes: &mut Vec<Mistake>) -> Option<T> {
        let text = self.some(id)?;
        let wrong = |_| mistakes.push(mistake(id, &format!("{text:?} is not a number: write {what}, or leave it empty")));
        text.parse().map_err(wrong).ok()
    }
}
