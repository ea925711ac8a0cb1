//! What the form offers where any text can be typed: the stores that the daemon knows, and the regions of the one that is named.

use std::borrow::Cow;

use dth_proto::view::ProviderInfo;

use super::{Engine, Field, Kind, Wizard};
use crate::model::input::Input;

/// What the daemon said of the stores it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// It was asked; an answer need not have come.
    asked: bool,
    providers: Vec<ProviderInfo>,
}

impl Wizard {
    /// Whether the daemon is to be asked for the stores that it knows ([`dth_proto::service::Dth::providers`]): once for each form, as soon as
    /// a field is seen that they are offered for. Counts as asked from then on, whatever comes of it.
    pub fn wants_providers(&mut self) -> bool {
        let wants = !self.offers.asked && self.current().into_iter().any(|field| is_offered(field).is_some());
        self.offers.asked |= wants;
        wants
    }

    /// Offers the stores that the daemon knows, and their regions.
    pub fn offer_providers(&mut self, providers: Vec<ProviderInfo>) {
        self.offers.providers = providers;
    }

    /// What can stand in a field in place of what is typed there, best first: what begins with it, then what contains it; behind a word that is
    /// offered itself, those that follow it.
    #[must_use]
    pub fn offers(&self, field: &Field) -> Vec<&str> {
        let words: Vec<&str> = match is_offered(field) {
            Some(Offered::Providers) => self.offers.providers.iter().map(|provider| provider.name.as_str()).collect(),
            Some(Offered::RegionsOf(provider)) => {
                let provider = self.provider(provider);
                let known = self.offers.providers.iter().filter(|known| known.name == provider);
                known.flat_map(|known| &known.regions).map(String::as_str).collect()
            }
            None => return Vec::new(),
        };
        let typed = field.value().trim();
        if let Some(at) = words.iter().position(|word| *word == typed) {
            return [&words[at + 1..], &words[..at]].concat();
        }
        let (mut found, others): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.starts_with(typed));
        found.extend(others.into_iter().filter(|word| word.contains(typed)));
        found
    }

    /// What is said beside a field: its hint, or what the key Right puts there.
    #[must_use]
    pub fn hint(&self, field: &Field) -> Cow<'static, str> {
        let offers = self.offers(field);
        if offers.is_empty() {
            return Cow::Borrowed(field.hint);
        }
        let before = if field.value().is_empty() { format!("{}; ", field.hint) } else { String::new() };
        Cow::Owned(format!("{before}Right: {}", offers.join(", ")))
    }

    /// Replaces the text of the focused field by the first word that is offered there, when the cursor stands behind the text; says whether it
    /// did.
    pub fn complete(&mut self) -> bool {
        let Some(field) = self.current().get(self.focus).copied() else { return false };
        let Some(word) = self.offers(field).first().map(|word| (*word).to_owned()) else { return false };
        match self.focused().map(|field| &mut field.kind) {
            Some(Kind::Text(input)) if input.before() == input.text() => {
                *input = Input::default();
                input.insert(&word);
                true
            }
            _ => false,
        }
    }
}

/// What is offered for a field.
enum Offered {
    Providers,
    /// The regions of the provider in the field of this id.
    RegionsOf(&'static str),
}

fn is_offered(field: &Field) -> Option<Offered> {
    // ECR's regions are no store's
    match field.id {
        _ if field.engine != Some(Engine::S3) => None,
        "source.provider" | "destination.provider" => Some(Offered::Providers),
        "source.region" => Some(Offered::RegionsOf("source.provider")),
        "destination.region" => Some(Offered::RegionsOf("destination.provider")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn form(step: usize, focus: &str) -> Wizard {
        let mut form = Wizard::default();
        form.offer_providers(sample::providers());
        form.go_to(step);
        form.focus_on(focus);
        form
    }

    fn offered(form: &Wizard) -> Vec<&str> {
        form.offers(form.current()[form.focus])
    }

    #[test]
    fn what_is_typed_chooses_among_the_providers() {
        let mut form = form(1, "source.provider");
        for (typed, expected) in [
            ("", &["aliyun-oss", "aws", "aws-express", "minio"][..]),
            ("aw", &["aws", "aws-express"]),
            (" al", &["aliyun-oss"]),
            ("ss", &["aliyun-oss", "aws-express"]),
            ("s", &["aliyun-oss", "aws", "aws-express"]),
            ("aws", &["aws-express", "minio", "aliyun-oss"]),
            ("minio", &["aliyun-oss", "aws", "aws-express"]),
            ("my-own", &[]),
        ] {
            form.set("source.provider", typed);
            assert_eq!(offered(&form), expected, "{typed:?}");
        }
    }

    #[test]
    fn regions_are_those_of_the_provider_of_that_end() {
        let mut form = form(2, "destination.region");
        assert_eq!(offered(&form), ["us-east-1", "cn-north-1", "cn-northwest-1"]);
        form.set("source.provider", "minio");
        form.set("destination.provider", "aliyun-oss");
        assert_eq!(offered(&form), ["cn-beijing"]);
        form.set("destination.provider", "minio");
        assert_eq!(offered(&form), [""; 0], "it has none that are known");
        form.set("destination.provider", "");
        assert_eq!(offered(&form).len(), 3, "no provider is aws");
    }

    #[test]
    fn a_word_is_taken_behind_the_text_only_and_the_next_one_after_it() {
        let mut form = form(1, "source.region");
        form.set("source.region", "cn-n");
        let field = form.focused().expect("a field");
        let Kind::Text(input) = &mut field.kind else { panic!("a text") };
        input.key(crate::input::Key::Left);
        assert!(!form.complete(), "the cursor is in the text");
        form.set("source.region", "cn-n");
        let mut seen = Vec::new();
        for _ in 0..4 {
            assert!(form.complete());
            seen.push(form.value("source.region").to_owned());
        }
        assert_eq!(seen, ["cn-north-1", "cn-northwest-1", "us-east-1", "cn-north-1"]);
        form.set("source.region", "my-own");
        assert!(!form.complete() && form.value("source.region") == "my-own", "any other can be named");
        form.focus_on("source.bucket");
        assert!(!form.complete());
    }

    #[test]
    fn the_hint_says_what_the_key_would_do() {
        let mut form = form(1, "source.region");
        let hint = |form: &Wizard| form.hint(form.current()[form.focus]).into_owned();
        assert_eq!(hint(&form), "empty: default; Right: us-east-1, cn-north-1, cn-northwest-1");
        form.set("source.region", "cn-no");
        assert_eq!(hint(&form), "Right: cn-north-1, cn-northwest-1");
        form.set("source.region", "my-own");
        assert_eq!(hint(&form), "empty: default");
        form.offer_providers(Vec::new());
        form.set("source.region", "cn-no");
        assert_eq!(hint(&form), "empty: default", "an older daemon");
    }

    #[test]
    fn providers_are_wanted_once_where_they_are_seen() {
        let mut form = Wizard::default();
        assert!(!form.wants_providers(), "the first step has no such field");
        form.go_to(1);
        assert!(form.wants_providers() && !form.wants_providers());
        form.go_to(2);
        assert!(!form.wants_providers());
        let mut images = Wizard::default();
        images.set("engine", super::super::IMAGES);
        images.go_to(1);
        images.focus_on("source.region");
        assert!(!images.wants_providers());
        images.offer_providers(sample::providers());
        assert_eq!(offered(&images), [""; 0], "ECR's regions are no store's");
    }
}
