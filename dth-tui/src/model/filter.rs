//! The filter over tasks: `text state:run from:cn to:us kind:s3 label:team=photos fail:>0`.

use std::str::FromStr;

use dth_proto::view::{TaskState, TaskView};

/// All terms must hold; a term after `-` must not. Letters match without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Text(String),
    State(String),
    From(String),
    To(String),
    Kind(String),
    Label(String, Option<String>),
    Fail(Comparison, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    More,
    Less,
    Equal,
}

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// No such field.
    #[error("{0:?} is not a field: use state:, from:, to:, kind:, label: or fail:")]
    Field(String),
    /// The number behind `fail:` cannot be read.
    #[error("fail:{0} is not a count: write it like fail:>0, fail:<10 or fail:3")]
    Count(String),
}

impl FromStr for Filter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let terms = text.split_whitespace().map(|word| match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() => Ok((false, term(rest)?)),
            _ => Ok((true, term(word)?)),
        });
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }
}

fn term(word: &str) -> Result<Term, BadFilter> {
    let Some((field, value)) = word.split_once(':') else {
        return Ok(Term::Text(word.to_lowercase()));
    };
    let lower = value.to_lowercase();
    Ok(match field {
        "state" => Term::State(lower),
        "from" => Term::From(lower),
        "to" => Term::To(lower),
        "kind" => Term::Kind(lower),
        "label" => match lower.split_once('=') {
            Some((name, value)) => Term::Label(name.to_owned(), Some(value.to_owned())),
            None => Term::Label(lower, None),
        },
        "fail" => {
            let (comparison, number) = match value.split_at_checked(1) {
                Some((">", rest)) => (Comparison::More, rest),
                Some(("<", rest)) => (Comparison::Less, rest),
                _ => (Comparison::Equal, value),
            };
            Term::Fail(comparison, number.parse().map_err(|_| BadFilter::Count(value.to_owned()))?)
        }
        _ => return Err(BadFilter::Field(field.to_owned())),
    })
}

impl Filter {
    /// No term: everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the task is shown.
    #[must_use]
    pub fn matches(&self, task: &TaskView) -> bool {
        self.terms.iter().all(|(wanted, term)| term.holds(task) == *wanted)
    }
}

impl Term {
    fn holds(&self, task: &TaskView) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(part);
        match self {
            Self::Text(part) => has(task.name.as_str(), part) || has(&task.from, part) || has(&task.to, part) || has(&task.note, part),
            Self::State(part) => task.word.to_lowercase().starts_with(part.as_str()) || state_word(task.state).starts_with(part.as_str()),
            Self::From(part) => has(&task.from, part) || has(&task.from_where, part),
            Self::To(part) => has(&task.to, part) || has(&task.to_where, part),
            Self::Kind(part) => task.engine.to_lowercase().starts_with(part.as_str()),
            Self::Label(name, value) => task
                .labels
                .iter()
                .any(|(n, v)| n.to_lowercase() == *name && value.as_ref().is_none_or(|wanted| v.to_lowercase() == *wanted)),
            Self::Fail(comparison, number) => {
                let failed = task.run.as_ref().map_or(0, |r| r.counters.failed);
                match comparison {
                    Comparison::More => failed > *number,
                    Comparison::Less => failed < *number,
                    Comparison::Equal => failed == *number,
                }
            }
        }
    }
}

/// The state itself as a word, beside the word that the daemon chose for screens.
#[must_use]
pub fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Idle => "idle",
        TaskState::Waiting => "waiting",
        TaskState::Queued => "queued",
        TaskState::Running => "running",
        TaskState::Paused => "paused",
        TaskState::Stopping => "stopping",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    fn shown(filter: &str) -> Vec<String> {
        let filter: Filter = filter.parse().expect(filter);
        sample::typical().mirror.tasks.values().filter(|t| filter.matches(t)).map(|t| t.name.to_string()).collect()
    }

    #[test]
    fn terms_select() {
        for (filter, names) in [
            ("photos", vec!["photos-cn-to-global"]),
            ("state:degraded", vec!["logs-2019..2024"]),
            ("state:run fail:>0", vec!["logs-2019..2024"]),
            ("state:run -fail:>0 from:cn", vec!["ml-datasets", "photos-cn-to-global"]),
            ("LABEL:nothing", vec![]),
            ("label:team=photos", vec!["photos-cn-to-global"]),
            ("kind:image", vec![]),
        ] {
            if filter.starts_with("LABEL") {
                assert_eq!(filter.parse::<Filter>(), Err(BadFilter::Field("LABEL".to_owned())));
                continue;
            }
            assert_eq!(shown(filter), names, "{filter}");
        }
        assert_eq!(shown("").len(), 6);
        assert_eq!("fail:many".parse::<Filter>(), Err(BadFilter::Count("many".to_owned())));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(filter) = text.parse::<Filter>() {
                let shown = sample::hostile().mirror.tasks.values().filter(|t| filter.matches(t)).count();
                prop_assert!(shown == 7 || !filter.is_empty());
            }
        }
    }
}
