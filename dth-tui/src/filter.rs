//! Which tasks a person means: the grammar of `dth list --filter` and of the dashboard's filter line.
//!
//! ```text
//! filter := term*                        all terms must hold
//! term   := ['!'] (word | key ':' value)
//! word   := a part of the task's name
//! value  := text | '"' text '"'          state and engine: several words, parted by commas
//! ```
//!
//! | key | holds when |
//! |---|---|
//! | `name` | the name contains the value |
//! | `state` | the state, the word shown for it, or the outcome of its last run is one of the values |
//! | `from`, `to` | the URL or the place of that end contains the value |
//! | `fail` | the failed items of its current or last run are `>N`, `>=N`, `<N`, `<=N`, `=N` or `N` |
//! | `label` | it has the label `KEY`, or `KEY=VALUE` |
//! | `engine` | the engine is one of the values |
//! | `trigger` | the trigger in words contains the value |
//! | `note` | the note contains the value |
//!
//! Letters match without regard to case.
mod grammar;

use std::cmp::Ordering;

use dth_proto::view::{RunOutcome, TaskState, TaskView};

pub use self::grammar::FilterError;

/// A parsed filter; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Name(String),
    State(Vec<String>),
    From(String),
    To(String),
    Fail(Comparison, u64),
    Label(String, Option<String>),
    Engine(Vec<String>),
    Trigger(String),
    Note(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    More,
    MoreOrEqual,
    Less,
    LessOrEqual,
    Equal,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`FilterError`] for the first term that can never mean anything.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        grammar::parse(text).map(|terms| Self { terms })
    }

    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether every term holds for the task.
    #[must_use]
    pub fn matches(&self, task: &TaskView) -> bool {
        self.terms.iter().all(|term| term.test.holds(task) != term.negated)
    }
}

impl Test {
    fn holds(&self, task: &TaskView) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(part);
        match self {
            Self::Name(part) => contains(task.name.as_str(), part),
            Self::From(part) => contains(&task.from, part) || contains(&task.from_where, part),
            Self::To(part) => contains(&task.to, part) || contains(&task.to_where, part),
            Self::Trigger(part) => contains(&task.trigger, part),
            Self::Note(part) => contains(&task.note, part),
            Self::State(words) => {
                let outcome = task.run.as_ref().and_then(|r| r.outcome).map(RunOutcome::word);
                let shown = task.word.to_lowercase();
                words.iter().any(|w| w == state_word(task.state) || *w == shown || Some(w.as_str()) == outcome)
            }
            Self::Engine(words) => words.contains(&task.engine),
            Self::Fail(comparison, number) => {
                let failed = task.run.as_ref().map_or(0, |r| r.counters.failed);
                comparison.holds(failed.cmp(number))
            }
            Self::Label(label, value) => task
                .labels
                .iter()
                .any(|(l, v)| l.to_lowercase() == *label && value.as_ref().is_none_or(|wanted| v.to_lowercase() == *wanted)),
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::More => ordering.is_gt(),
            Self::MoreOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
        }
    }
}

fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Idle => "idle",
        TaskState::Waiting => "waiting",
        TaskState::Queued => "queued",
        TaskState::Running => "running",
        TaskState::Paused => "paused",
        TaskState::Stopping => "stopping",
        // a state of a newer daemon is only known by the word it comes with
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        id::TaskName,
        time::Timestamp,
        view::{Counters, RunKind, RunView},
    };
    use proptest::prelude::*;

    use super::*;

    fn task() -> TaskView {
        let name = TaskName::new("photos-CN-to-global").expect("good name");
        let run = RunView {
            task: name.clone(),
            run: 3,
            kind: RunKind::Copy,
            outcome: Some(RunOutcome::Incomplete),
            started: Some(Timestamp(0)),
            ended: Some(Timestamp(1)),
            duration_s: 1.0,
            counters: Counters { listed: 9, copied: 7, failed: 2, ..Counters::default() },
            bytes_per_s: 0,
            listing_done: true,
            cause: "cron".to_owned(),
            error: None,
        };
        TaskView {
            name,
            engine: "s3".to_owned(),
            state: TaskState::Waiting,
            word: "INCOMPLETE".to_owned(),
            from: "s3://acme-photos-cn/raw/".to_owned(),
            to: "s3://acme-photos-global/".to_owned(),
            from_where: "cn-north-1".to_owned(),
            to_where: "us-east-1".to_owned(),
            labels: [("team".to_owned(), "Photos and Maps".to_owned())].into(),
            trigger: "cron 0 2 * * * Asia/Shanghai".to_owned(),
            next_run: None,
            run: Some(run),
            live: None,
            deletes: false,
            note: "2 items failed".to_owned(),
            created_by: "mli".to_owned(),
            created: Timestamp(0),
        }
    }

    #[test]
    fn terms_hold_or_not() {
        let task = task();
        for (text, holds) in [
            ("", true),
            ("   ", true),
            ("photos", true),
            ("PHOTOS global", true),
            ("photos logs", false),
            ("name:cn-to", true),
            ("!logs", true),
            ("!photos", false),
            ("state:waiting", true),
            ("state:incomplete", true),
            ("state:Failed,INCOMPLETE", true),
            ("state:failed", false),
            ("!state:paused", true),
            ("from:cn-north", true),
            ("from:acme-photos-cn/raw", true),
            ("from:us-east", false),
            ("to:us-east", true),
            ("fail:>0", true),
            ("fail:2", true),
            ("fail:=2", true),
            ("fail:>=3", false),
            ("fail:<=2", true),
            ("fail:<2", false),
            ("fail:0", false),
            ("label:team", true),
            ("label:\"team=photos and maps\"", true),
            ("label:team=photos", false),
            ("label:owner", false),
            ("engine:s3", true),
            ("engine:image", false),
            ("engine:image,s3", true),
            ("trigger:cron", true),
            ("note:\"items failed\"", true),
            ("photos state:incomplete from:cn to:us fail:>0 engine:s3", true),
            ("photos state:incomplete from:cn to:eu fail:>0 engine:s3", false),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(filter.matches(&task), holds, "{text}");
        }
    }

    #[test]
    fn a_task_without_a_run_has_no_failures() {
        let task = TaskView { run: None, word: "idle".to_owned(), state: TaskState::Idle, ..task() };
        assert!(Filter::parse("fail:0 state:idle !state:incomplete").expect("good").matches(&task));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, message) in [
            ("sate:failed", "\"sate\" is not something to filter by: did you mean \"state\"?"),
            (
                "colour:red",
                "\"colour\" is not something to filter by: use a part of the name, or one of name, state, from, to, fail, label, engine, trigger, note",
            ),
            ("state:faild", "\"faild\" is not a value of state: did you mean \"failed\"?"),
            ("engine:ftp", "\"ftp\" is not a value of engine: use one of s3, image"),
            ("fail:many", "\"many\" is not a number of failed items: write it like fail:>0 or fail:0"),
            ("fail:", "fail: has no value: write it like fail:>0"),
            ("label:\"team", "the quote before \"team\" is not closed"),
            ("photos !", "! stands alone: write it before a term, like !state:paused"),
        ] {
            assert_eq!(Filter::parse(text).expect_err(text).to_string(), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            if let Ok(filter) = Filter::parse(&text) {
                prop_assert_eq!(filter.is_empty(), text.trim().is_empty());
                prop_assert_eq!(filter.matches(&task()), filter.matches(&task()));
            }
        }

        #[test]
        fn a_negated_term_is_the_opposite(word in "[a-z0-9-]{1,12}") {
            let task = task();
            let plain = Filter::parse(&word).expect("a word");
            let negated = Filter::parse(&format!("!{word}")).expect("a word");
            prop_assert_ne!(plain.matches(&task), negated.matches(&task));
        }
    }
}
