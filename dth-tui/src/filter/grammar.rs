//! From the text of a filter to its terms, or why it has none.

use dth_proto::document::suggestion;

use super::{Comparison, Term, Test};

const KEYS: [&str; 9] = ["name", "state", "from", "to", "fail", "label", "engine", "trigger", "note"];
const STATES: [&str; 13] = [
    "idle",
    "waiting",
    "queued",
    "running",
    "paused",
    "stopping",
    "degraded",
    "stalled",
    "done",
    "succeeded",
    "incomplete",
    "failed",
    "cancelled",
];
const ENGINES: [&str; 2] = ["s3", "image"];

/// Why a text is not a [`Filter`](super::Filter).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// `key:` with a key that does not exist.
    #[error("{key:?} is not something to filter by{}", suggestion(key, &KEYS, "use a part of the name, or one of "))]
    Key {
        /// What was written before the colon.
        key: String,
    },
    /// `key:` with a value that can never match.
    #[error("{value:?} is not a value of {key}{}", suggestion(value, words, "use one of "))]
    Value {
        /// The key.
        key: &'static str,
        /// What was written behind the colon.
        value: String,
        /// What can stand there.
        words: &'static [&'static str],
    },
    /// `key:` and nothing behind it.
    #[error("{key}: has no value: write it like {example}")]
    Empty {
        /// The key.
        key: String,
        /// How it is meant.
        example: &'static str,
    },
    /// `fail:` with something that is not a number.
    #[error("{0:?} is not a number of failed items: write it like fail:>0 or fail:0")]
    Count(String),
    /// A quote that does not end.
    #[error("the quote before {0:?} is not closed")]
    Quote(String),
    /// `!` with nothing behind it.
    #[error("! stands alone: write it before a term, like !state:paused")]
    Nothing,
}

/// The terms of a filter, in order.
///
/// # Errors
/// [`FilterError`] for the first that can never mean anything.
pub(super) fn parse(text: &str) -> Result<Vec<Term>, FilterError> {
    split(text)?.iter().map(|word| term(word)).collect()
}

/// Words parted by spaces, quotes taken away; a quote may begin anywhere in a word (`label:"a=b c"`).
fn split(text: &str) -> Result<Vec<String>, FilterError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                begun = true;
                let rest = chars.as_str();
                let end = rest.find('"').ok_or_else(|| FilterError::Quote(rest.to_owned()))?;
                word.push_str(&rest[..end]);
                chars = rest[end + 1..].chars();
            }
            c if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                begun = true;
                word.push(c);
            }
        }
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn term(word: &str) -> Result<Term, FilterError> {
    let (negated, rest) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    if negated && rest.is_empty() {
        return Err(FilterError::Nothing);
    }
    let test = match rest.split_once(':') {
        None => Test::Name(rest.to_lowercase()),
        Some((key, value)) => keyed(&key.to_lowercase(), value)?,
    };
    Ok(Term { negated, test })
}

fn keyed(key: &str, value: &str) -> Result<Test, FilterError> {
    let example = match key {
        "name" => "name:photos",
        "state" => "state:failed",
        "from" => "from:cn-north-1",
        "to" => "to:us-east-1",
        "fail" => "fail:>0",
        "label" => "label:team=photos",
        "engine" => "engine:s3",
        "trigger" => "trigger:cron",
        "note" => "note:stalled",
        _ => return Err(FilterError::Key { key: key.to_owned() }),
    };
    if value.is_empty() {
        return Err(FilterError::Empty { key: key.to_owned(), example });
    }
    let lower = value.to_lowercase();
    Ok(match key {
        "state" => Test::State(choices("state", &lower, &STATES)?),
        "engine" => Test::Engine(choices("engine", &lower, &ENGINES)?),
        "from" => Test::From(lower),
        "to" => Test::To(lower),
        "trigger" => Test::Trigger(lower),
        "note" => Test::Note(lower),
        "fail" => count(value)?,
        "label" => match lower.split_once('=') {
            Some((label, value)) => Test::Label(label.to_owned(), Some(value.to_owned())),
            None => Test::Label(lower, None),
        },
        _ => Test::Name(lower),
    })
}

fn choices(key: &'static str, value: &str, words: &'static [&'static str]) -> Result<Vec<String>, FilterError> {
    value
        .split(',')
        .map(|one| if words.contains(&one) { Ok(one.to_owned()) } else { Err(FilterError::Value { key, value: one.to_owned(), words }) })
        .collect()
}

fn count(value: &str) -> Result<Test, FilterError> {
    let operators = [
        (">=", Comparison::MoreOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::More),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ];
    let (comparison, number) = operators
        .into_iter()
        .find_map(|(sign, comparison)| value.strip_prefix(sign).map(|rest| (comparison, rest)))
        .unwrap_or((Comparison::Equal, value));
    number.parse().map(|number| Test::Fail(comparison, number)).map_err(|_| FilterError::Count(value.to_owned()))
}
