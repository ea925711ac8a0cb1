//! Tells the steps of a check.

use std::time::Duration;

use dth_proto::{
    check::{CheckState, CheckStep},
    failure::{FailureClass, Side},
    spec::Registry,
};

use super::hint::hint;
use crate::transfer::TransferError;

/// The steps of one side.
pub(super) struct Steps<'a, T> {
    side: Side,
    reached: bool,
    /// The step that has begun and not ended.
    open: Option<String>,
    tell: &'a mut T,
}

impl<'a, T: FnMut(CheckStep) + Send> Steps<'a, T> {
    /// Tells steps of a side.
    pub(super) fn new(side: Side, tell: &'a mut T) -> Self {
        Self { side, reached: false, open: None, tell }
    }

    /// Which side.
    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// A step has begun.
    pub(super) fn running(&mut self, name: &str, message: String) {
        self.step(name, CheckState::Running, message, None);
    }

    /// A step has ended well.
    pub(super) fn ok(&mut self, name: &str, message: String) {
        self.step(name, CheckState::Ok, message, None);
    }

    /// A step has ended so that somebody should look.
    pub(super) fn warn(&mut self, name: &str, message: String, hint: impl Into<String>) {
        self.step(name, CheckState::Warn, message, Some(hint.into()));
    }

    /// A step has ended badly.
    pub(super) fn failed(&mut self, name: &str, message: String, hint: Option<String>) {
        self.step(name, CheckState::Failed, message, hint);
    }

    /// The registry has answered, whatever it said.
    pub(super) fn reached(&mut self, registry: &Registry) {
        if !self.reached {
            self.reached = true;
            self.ok("reach", format!("{} answers", registry.place()));
        }
    }

    /// A request of a step has failed; `repository` is the one it was about. If none has been answered before and this was not either, it is
    /// reaching the registry that has failed.
    pub(super) fn refused(&mut self, name: &str, error: &TransferError, registry: &Registry, repository: Option<&str>) {
        let message = format!("{}: {}", error.code, error.message);
        let hint = hint(error, registry, repository);
        if !self.reached && error.class == FailureClass::Transient {
            return self.failed("reach", message, hint);
        }
        self.reached(registry);
        self.failed(name, message, hint);
    }

    /// The step that has begun took too long.
    pub(super) fn overdue(&mut self, registry: &Registry, patience: Duration) {
        let name = self.open.take().unwrap_or_else(|| "reach".to_owned());
        let message = format!("{} has not answered within {} s", registry.place(), patience.as_secs());
        self.failed(&name, message, Some("check address, proxy and network; if the registry limits requests, try later".to_owned()));
    }

    fn step(&mut self, name: &str, state: CheckState, message: String, hint: Option<String>) {
        self.open = (state == CheckState::Running).then(|| name.to_owned());
        (self.tell)(CheckStep { side: self.side, name: name.to_owned(), state, message, hint });
    }
}

/// `"a", "b" and "c"`; of more than five, the first and how many more.
pub(super) fn names(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match (quoted.as_slice(), names.len().saturating_sub(SHOWN)) {
        ([], _) => "nothing".to_owned(),
        ([one], _) => one.clone(),
        ([some @ .., last], 0) => format!("{} and {last}", some.join(", ")),
        (some, more) => format!("{} and {more} more", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(work: impl FnOnce(&mut Steps<'_, &mut (dyn FnMut(CheckStep) + Send)>)) -> Vec<(String, CheckState)> {
        let mut told = Vec::new();
        let mut tell = |step: CheckStep| told.push((step.name, step.state));
        let mut tell: &mut (dyn FnMut(CheckStep) + Send) = &mut tell;
        work(&mut Steps::new(Side::Source, &mut tell));
        told
    }

    #[test]
    fn what_fails_is_told_of_the_step_that_it_stops() {
        let registry = Registry { registry: "ghcr.io".to_owned(), ..Registry::default() };
        let error = |class| TransferError::new(class, Side::Source, "ListTags", "Code", "words");
        let (transient, auth) = (error(FailureClass::Transient), error(FailureClass::Auth));
        let step = |name: &str, state| (name.to_owned(), state);
        assert_eq!(told(|steps| steps.refused("list", &transient, &registry, None)), [step("reach", CheckState::Failed)]);
        let answered = [step("reach", CheckState::Ok), step("list", CheckState::Failed)];
        assert_eq!(told(|steps| steps.refused("list", &auth, &registry, None)), answered);
        let later = told(|steps| {
            steps.reached(&registry);
            steps.refused("list", &transient, &registry, None);
        });
        assert_eq!(later, answered);
        let overdue = told(|steps| {
            steps.running("list", String::new());
            steps.overdue(&registry, Duration::from_secs(60));
        });
        assert_eq!(overdue, [step("list", CheckState::Running), step("list", CheckState::Failed)]);
    }

    #[test]
    fn many_names_are_shortened() {
        let list = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
        for (n, expected) in [
            (0, "nothing"),
            (1, "\"0\""),
            (3, "\"0\", \"1\" and \"2\""),
            (5, "\"0\", \"1\", \"2\", \"3\" and \"4\""),
            (7, "\"0\", \"1\", \"2\", \"3\", \"4\" and 2 more"),
        ] {
            assert_eq!(names(&list(n)), expected);
        }
    }
}
