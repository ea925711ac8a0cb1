//! The list of tasks: order, cursor, marks, filter.

use std::{cmp::Reverse, collections::BTreeSet};

use dth_proto::{
    id::TaskName,
    view::{TaskState, TaskView},
    watch::Mirror,
};

use crate::filter::Filter;

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Problems first, then by rate.
    #[default]
    Urgency,
    /// By name.
    Name,
    /// By state.
    State,
    /// Fastest first.
    Rate,
    /// Most failures first.
    Failed,
}

impl Sort {
    /// The next order, as `s` walks through them.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Urgency => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Rate,
            Self::Rate => Self::Failed,
            Self::Failed => Self::Urgency,
        }
    }

    /// The word on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Urgency => "urgency",
            Self::Name => "name",
            Self::State => "state",
            Self::Rate => "rate",
            Self::Failed => "failed",
        }
    }
}

/// Cursor, marks, filter and order. The cursor is a name, so that it stays on its task when rows move.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The task under the cursor, and its row when it was last there.
    pub cursor: Option<(TaskName, usize)>,
    /// Marked tasks; they survive filtering.
    pub marks: BTreeSet<TaskName>,
    /// What is shown.
    pub filter: Filter,
    /// The filter as typed.
    pub filter_text: String,
    /// Order.
    pub sort: Sort,
    /// Order reversed.
    pub reversed: bool,
}

impl List {
    /// The rows: filtered, in order.
    #[must_use]
    pub fn rows<'m>(&self, mirror: &'m Mirror) -> Vec<&'m TaskView> {
        let mut rows = by_urgency(mirror);
        rows.retain(|t| self.filter.matches(t));
        match self.sort {
            Sort::Urgency => {}
            Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::State => rows.sort_by(|a, b| a.word.cmp(&b.word)),
            Sort::Rate => rows.sort_by_key(|t| Reverse(rate(t))),
            Sort::Failed => rows.sort_by_key(|t| Reverse(failed(t))),
        }
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// Row of the cursor: that of its task, or where the task was, or the first.
    #[must_use]
    pub fn position(&self, rows: &[&TaskView]) -> usize {
        let Some((name, row)) = &self.cursor else {
            return 0;
        };
        rows.iter().position(|t| t.name == *name).unwrap_or_else(|| (*row).min(rows.len().saturating_sub(1)))
    }

    /// The task under the cursor.
    #[must_use]
    pub fn under_cursor<'m>(&self, rows: &[&'m TaskView]) -> Option<&'m TaskView> {
        rows.get(self.position(rows)).copied()
    }
}

/// Problems first, then running by rate, then queued, waiting, paused, idle; equal ones by name.
#[must_use]
pub fn by_urgency(mirror: &Mirror) -> Vec<&TaskView> {
    let mut rows: Vec<&TaskView> = mirror.tasks.values().collect();
    rows.sort_by_key(|t| (rank(t), Reverse(coarse_rate(t))));
    rows
}

/// Rows must not change places with every small change of a rate: powers of two count.
fn coarse_rate(task: &TaskView) -> u32 {
    u64::BITS - rate(task).leading_zeros()
}

fn rate(task: &TaskView) -> u64 {
    task.live.as_ref().map_or(0, |l| l.rate)
}

fn failed(task: &TaskView) -> u64 {
    task.run.as_ref().map_or(0, |r| r.counters.failed)
}

fn rank(task: &TaskView) -> u8 {
    match (task.word.as_str(), task.state) {
        ("FAILED", _) => 0,
        ("STALLED", _) => 1,
        ("DEGRADED", _) => 2,
        ("INCOMPLETE" | "DIFFERENT", _) => 3,
        (_, TaskState::Running | TaskState::Stopping) => 4,
        (_, TaskState::Queued) => 5,
        (_, TaskState::Waiting) => 6,
        (_, TaskState::Paused) => 7,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn names(rows: &[&TaskView]) -> Vec<String> {
        rows.iter().map(|t| t.name.to_string()).collect()
    }

    #[test]
    fn trouble_comes_first() {
        let model = sample::typical();
        let order = ["logs-2019..2024", "photos-cn-to-global", "ml-datasets", "warehouse-nightly", "cold-archive", "old-backup"];
        assert_eq!(names(&by_urgency(&model.mirror)), order);
    }

    #[test]
    fn orders_and_reverse() {
        let model = sample::typical();
        let list = List { sort: Sort::Rate, ..List::default() };
        assert_eq!(names(&list.rows(&model.mirror))[..2], ["photos-cn-to-global", "ml-datasets"]);
        let list = List { sort: Sort::Name, reversed: true, ..List::default() };
        assert_eq!(names(&list.rows(&model.mirror))[0], "warehouse-nightly");
    }

    #[test]
    fn the_cursor_follows_its_task_and_stays_near_when_it_goes() {
        let mut model = sample::typical();
        let name = model.mirror.tasks.keys().next().cloned().expect("a task");
        model.list.cursor = Some((name.clone(), 4));
        assert_eq!(model.list.under_cursor(&model.rows()).map(|t| t.name.clone()), Some(name.clone()));
        model.mirror.tasks.remove(&name);
        assert_eq!(model.list.position(&model.rows()), 4);
        model.mirror.tasks.clear();
        assert_eq!(model.list.under_cursor(&model.rows()), None);
    }
}
