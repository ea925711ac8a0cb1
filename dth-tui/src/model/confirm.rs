//! A question before something that cannot be taken back, with its consequences in numbers.

use dth_proto::{
    id::TaskName,
    units,
    view::{Action, TaskView, items_of},
};

use super::input::Input;

/// What is done on "yes".
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    /// An action on tasks.
    Control(Vec<TaskName>, Action),
    /// Throw the filled form away.
    DiscardForm,
}

/// The question.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// What is asked.
    pub title: String,
    /// The consequences.
    pub lines: Vec<String>,
    /// What `Enter` does, in two or three words.
    pub yes: String,
    /// What must be typed before `Enter` does it; `None`: nothing.
    pub expect: Option<String>,
    /// What was typed.
    pub typed: Input,
    /// What is done.
    pub pending: Pending,
}

impl Confirm {
    /// Whether `Enter` does it.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.expect.as_deref().is_none_or(|e| e == self.typed.text())
    }

    /// The question before stopping or deleting tasks (the name is typed), or before anything on several tasks.
    #[must_use]
    pub fn control(tasks: &[&TaskView], action: Action, address: &str) -> Self {
        let verb = action.word();
        let names: Vec<TaskName> = tasks.iter().map(|t| t.name.clone()).collect();
        let dangerous = matches!(action, Action::Stop | Action::Delete);
        let (title, expect) = match tasks {
            [one] => (format!("{verb} this task?"), one.name.to_string()),
            many => (format!("{verb} {} tasks?", many.len()), format!("{verb} {}", many.len())),
        };
        let mut lines: Vec<String> = tasks.iter().take(4).map(|t| format!("{}   on {address}", t.name)).collect();
        if tasks.len() > 4 {
            lines.push(format!("and {} more", tasks.len() - 4));
        }
        lines.push(String::new());
        lines.extend(consequences(tasks, action));
        Self {
            title,
            lines,
            yes: format!("{verb} {}", if tasks.len() == 1 { "it" } else { "them" }),
            expect: dangerous.then_some(expect),
            typed: Input::default(),
            pending: Pending::Control(names, action),
        }
    }

    /// The question before a filled form is thrown away.
    #[must_use]
    pub fn discard() -> Self {
        Self {
            title: "leave the form?".to_owned(),
            lines: vec!["What you typed is lost. ^W on the last step writes it to a file.".to_owned()],
            yes: "leave it".to_owned(),
            expect: None,
            typed: Input::default(),
            pending: Pending::DiscardForm,
        }
    }
}

fn consequences(tasks: &[&TaskView], action: Action) -> Vec<String> {
    let runs = || tasks.iter().filter_map(|t| t.run.as_ref());
    let copied = runs().fold(0u64, |sum, r| sum.saturating_add(r.counters.copied));
    let bytes = runs().fold(0u64, |sum, r| sum.saturating_add(r.counters.bytes_copied));
    let pending = runs().fold(0u64, |sum, r| sum.saturating_add(r.counters.pending));
    let what = items_of(tasks.iter().copied());
    let stay = format!("Copied {what} stay at the destination: {}, {}.", units::count(copied), units::bytes(bytes));
    match action {
        Action::Stop => vec![
            stay,
            format!("Not copied yet: {}. Uploads in flight are aborted.", units::count(pending)),
            "Pausing (p) keeps everything and is usually what you want.".to_owned(),
        ],
        Action::Delete => {
            vec![stay, "The definition, its runs and the list of failures are forgotten.".to_owned(), "This cannot be undone.".to_owned()]
        }
        Action::Start => vec!["Their next runs are queued now.".to_owned()],
        Action::Pause => vec!["They stop after the requests in flight and keep their checkpoints.".to_owned()],
        Action::Resume => vec!["They go on from their checkpoints.".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn stop_and_delete_need_the_name_typed() {
        let model = sample::typical();
        let task = model.mirror.tasks.values().next().expect("a task");
        for action in [Action::Stop, Action::Delete] {
            let mut confirm = Confirm::control(&[task], action, "unix:/x");
            assert!(!confirm.is_armed());
            confirm.typed = Input::new(task.name.as_str());
            assert!(confirm.is_armed());
        }
        let both: Vec<_> = model.mirror.tasks.values().take(2).collect();
        assert_eq!(Confirm::control(&both, Action::Stop, "a").expect.as_deref(), Some("stop 2"));
        assert!(Confirm::control(&both, Action::Pause, "a").is_armed());
    }
}
