//! The state that clients see, and who has which part of it.
//!
//! Every visible change gets a sequence number; each row remembers the last one that touched it. A client that has everything up
//! to N gets the rows with a higher number, merged. Nothing is kept per client, so a slow one costs nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dth_proto::{
    id::{Epoch, TaskName},
    view::{Problem, Summary, TaskView},
    watch::WatchReply,
    wire,
};
use tokio::sync::watch;

/// Rows in one answer: 500 of about 1 KiB stay far below the largest frame. Who gets that many asks again.
const ROWS: usize = wire::PAGE as usize;
/// Removals remembered; a client that missed more gets a snapshot.
const TOMBSTONES: usize = 1_000;

/// The board. Cheap to clone.
#[derive(Clone)]
pub struct Board {
    epoch: Epoch,
    inner: Arc<Mutex<Inner>>,
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Inner {
    seq: u64,
    tasks: BTreeMap<TaskName, (u64, TaskView)>,
    summary: (u64, Summary),
    problems: (u64, Vec<Problem>),
    removed: VecDeque<(u64, TaskName)>,
    /// Removals up to this number have been forgotten.
    forgotten: u64,
}

impl Board {
    /// An empty board of this start of the daemon.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, inner: Arc::default(), changed: Arc::new(watch::Sender::new(0)) }
    }

    /// This start of the daemon.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Tells when something changed: the newest sequence number.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Shows a task.
    pub fn show(&self, view: TaskView) {
        self.edit(|inner| {
            if inner.tasks.get(&view.name).is_some_and(|(_, old)| *old == view) {
                return false;
            }
            inner.seq += 1;
            inner.tasks.insert(view.name.clone(), (inner.seq, view));
            true
        });
    }

    /// Takes a task away.
    pub fn remove(&self, name: &TaskName) {
        self.edit(|inner| {
            if inner.tasks.remove(name).is_none() {
                return false;
            }
            inner.seq += 1;
            inner.removed.push_back((inner.seq, name.clone()));
            if inner.removed.len() > TOMBSTONES
                && let Some((seq, _)) = inner.removed.pop_front()
            {
                inner.forgotten = seq;
            }
            true
        });
    }

    /// Shows totals, verdict and problems.
    pub fn summarise(&self, summary: Summary, problems: Vec<Problem>) {
        self.edit(|inner| {
            let before = inner.seq;
            if inner.summary.1 != summary {
                inner.seq += 1;
                inner.summary = (inner.seq, summary);
            }
            if inner.problems.1 != problems {
                inner.seq += 1;
                inner.problems = (inner.seq, problems);
            }
            inner.seq != before
        });
    }

    /// A task as it is shown.
    #[must_use]
    pub fn task(&self, name: &TaskName) -> Option<TaskView> {
        self.lock().tasks.get(name).map(|(_, view)| view.clone())
    }

    /// The verdict as it is shown.
    #[must_use]
    pub fn verdict(&self) -> String {
        self.lock().summary.1.verdict.clone()
    }

    /// Runs that are going, and runs that are queued.
    #[must_use]
    pub fn jobs(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.summary.1.running, inner.summary.1.queued)
    }

    /// Whether there is anything a client with (epoch, seq) does not have.
    #[must_use]
    pub fn news(&self, epoch: Option<&Epoch>, seq: u64) -> bool {
        epoch != Some(&self.epoch) || self.lock().seq != seq
    }

    /// What a client with (epoch, seq) does not have. Log head and waiting time are for the caller to fill in.
    #[must_use]
    pub fn since(&self, epoch: Option<&Epoch>, seq: u64) -> WatchReply {
        let inner = self.lock();
        let full = epoch != Some(&self.epoch) || seq < inner.forgotten || seq > inner.seq;
        let since = if full { 0 } else { seq };
        let newer = |of: u64| full || of > since;
        let mut rows: Vec<&(u64, TaskView)> = inner.tasks.values().filter(|(at, _)| newer(*at)).collect();
        // oldest change first, so that an answer that is cut has everything up to its sequence number
        rows.sort_by_key(|(at, _)| *at);
        let cut = rows.len() > ROWS;
        rows.truncate(ROWS);
        let seq = rows.last().filter(|_| cut).map_or(inner.seq, |(at, _)| *at);
        // a task that was removed and made again is in `changed`
        let gone = |name: &TaskName| !inner.tasks.contains_key(name);
        let removed = inner.removed.iter().filter(|(at, name)| !full && *at > since && gone(name));
        WatchReply {
            epoch: self.epoch.clone(),
            seq,
            full,
            summary: newer(inner.summary.0).then(|| inner.summary.1.clone()),
            problems: newer(inner.problems.0).then(|| inner.problems.1.clone()),
            changed: rows.into_iter().map(|(_, view)| view.clone()).collect(),
            removed: removed.map(|(_, name)| name.clone()).collect(),
            focus: None,
            events_head: 0,
            held_ms: 0,
        }
    }

    fn edit(&self, change: impl FnOnce(&mut Inner) -> bool) {
        let mut inner = self.lock();
        if change(&mut inner) {
            self.changed.send_replace(inner.seq);
        }
    }

    /// Rows are replaced whole: they are consistent also when a holder panicked.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::{time::Timestamp, view::TaskState, watch::Mirror};
    use proptest::prelude::*;

    use super::*;

    fn view(name: usize, note: u8) -> TaskView {
        TaskView {
            name: TaskName::new(format!("t{name}")).expect("name"),
            engine: "s3".to_owned(),
            state: TaskState::Idle,
            word: "idle".to_owned(),
            from: String::new(),
            to: String::new(),
            from_where: String::new(),
            to_where: String::new(),
            labels: BTreeMap::new(),
            trigger: "manual".to_owned(),
            next_run: None,
            run: None,
            live: None,
            deletes: false,
            note: note.to_string(),
            created_by: "x".to_owned(),
            created: Timestamp(0),
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Show(usize, u8),
        Remove(usize),
        Summary(u8),
        /// Client `n` asks.
        Poll(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..6_usize, 0..3_u8).prop_map(|(n, v)| Op::Show(n, v)),
            (0..6_usize).prop_map(Op::Remove),
            (0..3_u8).prop_map(Op::Summary),
            (0..3_usize).prop_map(Op::Poll),
        ]
    }

    fn snapshot(board: &Board) -> Mirror {
        let mut mirror = Mirror::default();
        mirror.apply(&board.since(None, 0));
        mirror
    }

    proptest! {
        /// However often and late clients ask: applying the differences gives exactly the snapshot.
        #[test]
        fn differences_add_up_to_the_snapshot(ops in prop::collection::vec(op(), 0..120)) {
            let board = Board::new(Epoch::random());
            let mut clients = vec![Mirror::default(); 3];
            for op in ops.into_iter().chain((0..3).map(Op::Poll)) {
                match op {
                    Op::Show(name, note) => board.show(view(name, note)),
                    Op::Remove(name) => board.remove(&view(name, 0).name),
                    Op::Summary(n) => {
                        board.summarise(Summary { verdict: n.to_string(), ..Summary::default() }, Vec::new());
                    }
                    Op::Poll(n) => {
                        let reply = board.since(clients[n].epoch.as_ref(), clients[n].seq);
                        clients[n].apply(&reply);
                        prop_assert_eq!(&clients[n], &snapshot(&board));
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_changed_is_nothing_new() {
        let board = Board::new(Epoch::random());
        board.show(view(1, 1));
        let seq = board.since(None, 0).seq;
        board.show(view(1, 1));
        board.remove(&view(2, 0).name);
        assert!(!board.news(Some(board.epoch()), seq));
    }

    #[test]
    fn a_large_board_comes_in_pages() {
        let board = Board::new(Epoch::random());
        for n in 0..ROWS * 2 + 7 {
            board.show(view(n, 0));
        }
        board.show(view(0, 1));
        let mut client = Mirror::default();
        let mut answers = 0;
        while board.news(client.epoch.as_ref(), client.seq) {
            let reply = board.since(client.epoch.as_ref(), client.seq);
            assert!(reply.changed.len() <= ROWS);
            client.apply(&reply);
            answers += 1;
        }
        assert_eq!((answers, client.tasks.len()), (3, ROWS * 2 + 7));
        assert_eq!(client.tasks[&view(0, 0).name].note, "1");
    }

    #[test]
    fn who_missed_too_many_removals_gets_a_snapshot() {
        let board = Board::new(Epoch::random());
        for n in 0..=TOMBSTONES {
            board.show(view(n, 0));
        }
        let seq = board.since(None, 0).seq;
        for n in 0..=TOMBSTONES {
            board.remove(&view(n, 0).name);
        }
        assert!(board.since(Some(board.epoch()), seq).full);
    }
}
