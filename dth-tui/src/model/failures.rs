//! Failed items of one run: groups by cause, and the keys of the group under the cursor.

use dth_proto::failure::{FailureGroup, FailureItem, FailuresReply};

/// What the failures screen holds.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// The run they belong to.
    pub run: u32,
    /// By count, largest first; they cover the whole run.
    pub groups: Vec<FailureGroup>,
    /// In key order, as far as they were fetched.
    pub items: Vec<FailureItem>,
    /// Where the next page begins; `None`: all are here.
    pub next: Option<String>,
    /// Group under the cursor.
    pub group: usize,
    /// Item of that group under the cursor.
    pub item: usize,
    /// The keys have the focus, not the groups.
    pub in_items: bool,
    /// The number of failures when they were fetched: a change of it makes them old.
    pub fetched_at_count: Option<u64>,
    /// Why they could not be fetched.
    pub error: Option<String>,
}

impl Failures {
    /// The group under the cursor.
    #[must_use]
    pub fn current(&self) -> Option<&FailureGroup> {
        self.groups.get(self.group.min(self.groups.len().saturating_sub(1)))
    }

    /// The items of the group under the cursor that were fetched.
    #[must_use]
    pub fn of_group(&self) -> Vec<&FailureItem> {
        let Some(g) = self.current() else {
            return Vec::new();
        };
        let same = |i: &&FailureItem| i.class == g.class && i.code == g.code && i.side == g.side && i.operation == g.operation;
        self.items.iter().filter(same).collect()
    }

    /// Takes an answer: the first page replaces what is there, a later one is added.
    pub fn take(&mut self, reply: FailuresReply, first: bool) {
        if first {
            self.items.clear();
        }
        self.error = None;
        self.run = reply.run;
        self.groups = reply.groups;
        self.items.extend(reply.items);
        self.next = reply.next;
        self.group = self.group.min(self.groups.len().saturating_sub(1));
        self.item = self.item.min(self.of_group().len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn items_belong_to_their_group_and_pages_add_up() {
        let mut failures = sample::typical().failures;
        assert_eq!(failures.of_group().len(), 4);
        failures.group = 1;
        assert_eq!(failures.of_group().len(), 1);
        let reply = FailuresReply { run: 3, groups: failures.groups.clone(), items: failures.items.clone(), next: None };
        failures.take(reply.clone(), false);
        assert_eq!(failures.of_group().len(), 2);
        failures.take(FailuresReply { groups: Vec::new(), items: Vec::new(), ..reply }, true);
        assert!(failures.of_group().is_empty() && failures.group == 0);
    }
}
