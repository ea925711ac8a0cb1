//! Tasks and runs: control records, as self-describing JSON.

use std::time::Duration;

use dth_proto::{
    failure::{FailureClass, FailureGroup},
    spec::TaskSpec,
    time::Timestamp,
    view::{self, Counters, RunOutcome},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Store, StoreError, from_json, run_key, task_key, to_json, words::WordCounts};
use crate::transfer::estimate::Requests;

/// A task with what must survive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Never used again, also not for a task of the same name.
    pub uid: u64,
    /// The definition.
    pub spec: TaskSpec,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When its trigger was set or released: times before count as neither due nor missed.
    pub trigger_set: Timestamp,
    /// What it is doing.
    pub phase: TaskPhase,
    /// Number of the newest run; 0: none yet.
    pub last_run: u32,
    /// When the newest run was queued, runs of events left out: triggers count from here.
    pub last_start: Option<Timestamp>,
    /// What its events give way to, and why, as soon as what was begun of them is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<(RunKind, String)>,
    /// It is no task but a definition that somebody plans: no list shows it, and a restart forgets it.
    #[serde(default)]
    pub hidden: bool,
    /// The trigger is held again when the run that is going, which changes nothing, has ended.
    #[serde(default)]
    pub held: bool,
}

impl TaskRecord {
    /// A task that was made by somebody now, and has never run.
    #[must_use]
    pub fn new(uid: u64, spec: TaskSpec, by: &str, now: Timestamp) -> Self {
        Self {
            uid,
            spec,
            created_by: by.to_owned(),
            created: now,
            trigger_set: now,
            phase: TaskPhase::Rest,
            last_run: 0,
            last_start: None,
            after: None,
            hidden: false,
            held: false,
        }
    }
}

/// What a task is doing, as far as a restart must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskPhase {
    /// Nothing; its trigger may start a run.
    Rest,
    /// Its newest run waits for a slot.
    Queued,
    /// Its newest run is going.
    Running,
    /// Its newest run was paused by a person.
    Paused,
    /// Nothing, and its trigger is held by a person.
    Held,
}

/// What a run works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// Everything the task selects.
    Full,
    /// The failed items of an earlier run.
    Retry {
        /// That run.
        of: u32,
        /// Only failures of this class.
        class: Option<FailureClass>,
    },
    /// What is being restored from an archive, begun by the task itself.
    Restore,
    /// Everything the task selects, to tell what a copy would do. Nothing is written.
    Plan,
    /// Everything the task selects, to tell whether both ends are equal. Nothing is written.
    Verify,
    /// What events tell, from one full compare to the next.
    Events,
}

impl RunKind {
    /// Whether the run may send requests that change anything at either end.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.view().writes()
    }

    /// Whether its records are a report of what was found or done; a plan is asked for by who made it.
    #[must_use]
    pub fn has_report(&self) -> bool {
        *self != Self::Plan
    }

    /// How a run ends that has reached everything it listed. To verify is to find no difference.
    #[must_use]
    pub fn outcome(&self, counters: &Counters) -> RunOutcome {
        let left = counters.failed + counters.pending;
        let different = if *self == Self::Verify { counters.planned + counters.to_delete } else { 0 };
        if left + different == 0 { RunOutcome::Succeeded } else { RunOutcome::Incomplete }
    }

    /// A run of this kind as a new one has it: what is still to be listed. `None`: everything.
    #[must_use]
    fn listing(&self) -> Option<Vec<Remaining>> {
        (*self == Self::Events).then(Vec::new)
    }

    /// The kind for clients.
    #[must_use]
    pub fn view(&self) -> view::RunKind {
        match self {
            Self::Full => view::RunKind::Copy,
            Self::Retry { .. } => view::RunKind::Retry,
            Self::Restore => view::RunKind::Restore,
            Self::Plan => view::RunKind::Plan,
            Self::Verify => view::RunKind::Verify,
            Self::Events => view::RunKind::Events,
        }
    }
}

/// A run with its checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Number within the task.
    pub run: u32,
    /// What it works on.
    pub kind: RunKind,
    /// The definition it began with; edits apply to the next run.
    pub spec: TaskSpec,
    /// What queued it.
    pub cause: String,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Why it failed.
    pub error: Option<String>,
    /// Time at work up to the checkpoint.
    pub worked: Duration,
    /// The parts of the listing that are not finished, in key order; everything outside of them is finished and counted below.
    /// `None`: nothing is finished yet. Schema 1 had one key here, up to which everything was finished.
    #[serde(default, alias = "cursor", deserialize_with = "remaining")]
    pub remaining: Option<Vec<Remaining>>,
    /// Counts of all items outside of what remains.
    pub tally: Tally,
    /// The listing of the source was complete at the end.
    pub listing_done: bool,
    /// Failed items in groups, up to the checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureGroup>,
    /// Best rate seen, bytes per second.
    #[serde(default)]
    pub best_rate: u64,
}

/// A part of a listing: the keys behind `after`, up to and including `until`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// The last key before it; `None`: it begins where the listing begins.
    pub after: Option<String>,
    /// Its last key; `None`: it ends where the listing ends.
    pub until: Option<String>,
}

impl Remaining {
    /// Whether a key lies in it.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.after.as_deref().is_none_or(|after| key > after) && self.until.as_deref().is_none_or(|until| key <= until)
    }
}

/// Everything that is counted per run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Items and bytes.
    pub counters: Counters,
    /// Skipped, by rule.
    pub skipped: WordCounts,
    /// Copied, by verification method.
    pub verified: WordCounts,
    /// Planned, by reason.
    #[serde(default)]
    pub planned: WordCounts,
    /// Objects that the destination has in what was listed; counted only where the task mirrors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub there: u64,
    /// Requests that the planned items would take.
    #[serde(default)]
    pub requests: Requests,
    /// Listed, by size class; see [`SIZE_CLASSES`].
    pub sizes: [u64; 4],
    /// Largest object listed, in bytes.
    pub largest: u64,
}

/// Names and upper bounds (exclusive) of the size classes.
pub const SIZE_CLASSES: [(&str, u64); 4] = [("<1MB", 1_000_000), ("1-64MB", 64_000_000), ("64MB-5GB", 5_000_000_000), (">5GB", u64::MAX)];

impl RunRecord {
    /// A run that has just been queued.
    #[must_use]
    pub fn queued(run: u32, kind: RunKind, spec: TaskSpec, cause: String, now: Timestamp) -> Self {
        Self {
            run,
            remaining: kind.listing(),
            kind,
            spec,
            cause,
            queued: now,
            started: None,
            ended: None,
            outcome: None,
            error: None,
            worked: Duration::ZERO,
            tally: Tally::default(),
            listing_done: false,
            failures: Vec::new(),
            best_rate: 0,
        }
    }
}

impl Store {
    /// All tasks.
    ///
    /// # Errors
    /// When a record cannot be read: the daemon must not start without a task it had.
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, StoreError> {
        self.trees.tasks.iter().values().map(|bytes| from_json(&self.dir, "tasks", &bytes?)).collect()
    }

    /// A uid that no task had before.
    ///
    /// # Errors
    /// When the database is at its end.
    pub fn new_uid(&self) -> Result<u64, StoreError> {
        // sled's ids count up over restarts
        Ok(self.db.generate_id()?)
    }

    /// Adds or replaces a task; durable after the next [`super::Writer::durable`].
    pub fn put_task(&self, task: &TaskRecord) {
        self.writer.put(&self.trees.tasks, task_key(task.uid).to_vec(), to_json(task));
    }

    /// Removes a task and everything recorded of it, except uploads under way: they are forgotten when they are aborted.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn remove_task(&self, uid: u64) -> Result<(), StoreError> {
        self.writer.applied().await?;
        self.writer.remove(&self.trees.tasks, task_key(uid).to_vec());
        self.writer.remove(&self.trees.meta, cuts_key(uid).into_bytes());
        self.put_restoring(uid, None);
        self.writer.remove(&self.trees.meta, prefixes_key(uid).into_bytes());
        for tree in [&self.trees.runs, &self.trees.items, &self.trees.pairs, &self.trees.restores, &self.trees.sequencers] {
            for key in tree.scan_prefix(task_key(uid)).keys() {
                self.writer.room().await?;
                self.writer.remove(tree, key?.to_vec());
            }
        }
        self.writer.durable().await
    }

    /// Adds or replaces a run.
    pub fn put_run(&self, uid: u64, run: &RunRecord) {
        self.writer.put(&self.trees.runs, run_key(uid, run.run).to_vec(), to_json(run));
    }

    /// One run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn run(&self, uid: u64, run: u32) -> Result<Option<RunRecord>, StoreError> {
        self.trees.runs.get(run_key(uid, run))?.map(|bytes| from_json(&self.dir, "runs", &bytes)).transpose()
    }

    /// Keys that cut the listing of a task evenly, from the last run that read it from its beginning to its end.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn cuts(&self, uid: u64) -> Result<Vec<String>, StoreError> {
        Ok(self.meta(&cuts_key(uid))?.unwrap_or_default())
    }

    /// Replaces the cuts of a task.
    pub fn put_cuts(&self, uid: u64, cuts: &[String]) {
        self.put_meta(&cuts_key(uid), &cuts);
    }

    /// Of which run and of what digest the prefixes were that a task last read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn prefixes(&self, uid: u64) -> Result<Option<(u32, u64)>, StoreError> {
        self.meta(&prefixes_key(uid))
    }

    /// Replaces what [`Self::prefixes`] gives.
    pub fn put_prefixes(&self, uid: u64, of: (u32, u64)) {
        self.put_meta(&prefixes_key(uid), &of);
    }

    /// Runs before run `before` (`None`: all), newest first, at most `limit`.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn runs(&self, uid: u64, before: Option<u32>, limit: usize) -> Result<Vec<RunRecord>, StoreError> {
        self.runs_back(uid, before).take(limit).collect()
    }

    /// The same without a limit; each is read when it is asked for, and an error stands for one that cannot be.
    pub fn runs_back(&self, uid: u64, before: Option<u32>) -> impl Iterator<Item = Result<RunRecord, StoreError>> {
        let range = run_key(uid, 0)..run_key(uid, before.unwrap_or(u32::MAX));
        self.trees.runs.range(range).values().rev().map(|bytes| from_json(&self.dir, "runs", &bytes?))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn cuts_key(uid: u64) -> String {
    format!("cuts {uid}")
}

fn prefixes_key(uid: u64) -> String {
    format!("prefixes {uid}")
}

/// Reads what remains of a run as any schema wrote it.
fn remaining<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<Remaining>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Cursor(String),
        Remaining(Vec<Remaining>),
    }
    Ok(Option::<Written>::deserialize(input)?.map(|written| match written {
        Written::Cursor(after) => vec![Remaining { after: Some(after), until: None }],
        Written::Remaining(remaining) => remaining,
    }))
}

/// Which class of [`SIZE_CLASSES`] a size belongs to.
#[must_use]
pub fn size_class(size: u64) -> usize {
    SIZE_CLASSES.iter().position(|(_, below)| size < *below).unwrap_or(SIZE_CLASSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run as schema 1 wrote it; it must be readable for good. `CURSOR` is where it had its checkpoint.
    const SCHEMA_1: &str = r#"{"run":3,"kind":"full","spec":SPEC,"cause":"ana","queued":"2026-01-02T03:04:05Z","started":"2026-01-02T03:04:06Z","ended":null,"outcome":null,
        "error":null,"worked":{"secs":5,"nanos":0},"cursor":CURSOR,"tally":{"counters":COUNTERS,"skipped":{},"verified":{"content-md5":2},
        "sizes":[2,0,0,0],"largest":9},"listing_done":false}"#;

    fn spec() -> TaskSpec {
        let end = r#"{"provider":"aws","bucket":"b","region":"r"}"#;
        let text = format!(r#"{{"name":"t","engine":"s3","source":{end},"destination":{end}}}"#);
        serde_json::from_str(&text).expect("a definition")
    }

    fn schema_1(cursor: &str) -> RunRecord {
        let (spec, counters) = (serde_json::to_string(&spec()).expect("text"), serde_json::to_string(&Counters::default()).expect("text"));
        let text = SCHEMA_1.replace("SPEC", &spec).replace("CURSOR", cursor).replace("COUNTERS", &counters);
        serde_json::from_str(&text).expect("schema 1")
    }

    #[test]
    fn runs_of_schema_1_are_read() {
        assert_eq!(schema_1("null").remaining, None);
        let run = schema_1(r#""a\n\u0000\"/é""#);
        assert_eq!(run.remaining, Some(vec![Remaining { after: Some("a\n\0\"/é".to_owned()), until: None }]));
        assert_eq!((run.run, run.worked, run.tally.verified.to_map()["content-md5"]), (3, Duration::from_secs(5), 2));
    }

    #[test]
    fn what_remains_is_kept() {
        let interval =
            |after: Option<&str>, until: Option<&str>| Remaining { after: after.map(str::to_owned), until: until.map(str::to_owned) };
        for remaining in [None, Some(Vec::new()), Some(vec![interval(None, Some("b")), interval(Some("c\u{10ffff}"), None)])] {
            let run = RunRecord { remaining, ..schema_1("null") };
            let back: RunRecord = serde_json::from_slice(&to_json(&run)).expect("ours");
            assert_eq!(back, run);
        }
    }

    #[test]
    fn intervals_are_open_at_the_left_and_closed_at_the_right() {
        let part = Remaining { after: Some("b".to_owned()), until: Some("d".to_owned()) };
        for (key, inside) in [("a", false), ("b", false), ("b\0", true), ("d", true), ("d\0", false)] {
            assert_eq!(part.contains(key), inside, "{key:?}");
        }
        assert!(Remaining::default().contains(""));
    }

    #[tokio::test]
    async fn runs_are_read_no_further_back_than_they_are_looked_at() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(dir.path()).expect("store");
        store.trees.runs.insert(run_key(7, 1), b"damaged").expect("inserted");
        for run in 2..5 {
            store.put_run(7, &RunRecord { run, ..schema_1("null") });
        }
        store.writer().applied().await.expect("applied");
        let found = store.runs_back(7, Some(4)).map_while(Result::ok).find(|run| run.run < 4);
        assert_eq!(found.map(|run| run.run), Some(3));
        assert!(store.runs(7, None, 50).is_err(), "all of them cannot be had");
    }
}
