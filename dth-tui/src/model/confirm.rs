//! A question before something that cannot be taken back, with its consequences in numbers.

use dth_proto::{
    id::TaskName,
    spec::TaskSpec,
    units,
    view::{Action, TaskView, items_of},
};

use super::input::Input;

/// What is done on "yes".
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    /// An action on tasks.
    Control(Vec<TaskName>, Action),
    /// A new task that deletes; `true`: started at once.
    Create(Box<TaskSpec>, bool),
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
        let deletes = action == Action::Start && tasks.iter().any(|t| t.deletes);
        let dangerous = deletes || matches!(action, Action::Stop | Action::Delete);
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

    /// The question before a new task is created that deletes objects and begins to run.
    #[must_use]
    pub fn create(spec: TaskSpec, start: bool) -> Self {
        let runs = if start { "It runs at once." } else { "It runs by its trigger." };
        Self {
            title: "create a task that deletes?".to_owned(),
            lines: vec![format!("{}   {}", spec.name, spec.ends().1), String::new(), format!("{runs} {DELETES}")],
            yes: "create it".to_owned(),
            expect: Some(spec.name.to_string()),
            typed: Input::default(),
            pending: Pending::Create(Box::new(spec), start),
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

/// What `delete = "mirror"` means, in short.
const DELETES: &str = "What its source does not have is deleted.";

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
        Action::Start => {
            let runs = match tasks {
                [_] => "Its next run is queued now.",
                _ => "Their next runs are queued now.",
            };
            let deleting: Vec<&str> = tasks.iter().filter(|t| t.deletes).map(|t| t.to.as_str()).collect();
            let mut lines = vec![runs.to_owned()];
            lines.extend(deleting.iter().take(4).map(|to| format!("Under {to}: what the source does not have is deleted.")));
            lines
        }
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

    #[test]
    fn a_task_that_deletes_is_started_by_its_name() {
        let model = sample::typical();
        let mut task = model.mirror.tasks.values().next().expect("a task").clone();
        assert!(Confirm::control(&[&task], Action::Start, "a").is_armed());
        task.deletes = true;
        let mut confirm = Confirm::control(&[&task], Action::Start, "a");
        assert!(!confirm.is_armed() && confirm.lines.iter().any(|line| line.contains("is deleted")));
        confirm.typed = Input::new(task.name.as_str());
        assert!(confirm.is_armed());
    }
}
