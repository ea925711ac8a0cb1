//! The owner of all tasks: one loop that takes commands, fires triggers, gives slots to runs, and shows it all on the board.
//!
//! | file | holds |
//! |---|---|
//! | `task` | what is known of one task |
//! | `recall` | what of it the store knew before |
//! | `answer`, `change` | what others ask, and ask for |
//! | `trigger` | when a task runs by itself |
//! | `runs` | from the queue over a slot to the end of a run |
//! | `show` | what clients see |

mod answer;
mod change;
mod recall;
mod runs;
mod show;
mod task;
mod trigger;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dth_proto::{event::Level, id::TaskName, time::Timestamp};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::task::Task;
use super::handle::{Command, Handle};
use crate::{
    api::board::Board,
    clock,
    event::EventLog,
    metrics::{Amounts, cloudwatch, history::History},
    schedule::Schedule,
    store::{RunRecord, Store, StoreError, TaskPhase, TaskRecord},
    systemd::Progress as Life,
    transfer::{Stop, progress::TaskTotals, resources::Resources, run::RunEnd},
};

/// How often rates are measured and triggers looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the history is stored.
const KEEP_HISTORY: Duration = Duration::from_mins(1);

/// What one task has done since the daemon started, with the words metrics are filed under.
pub type Totals = Arc<std::sync::Mutex<BTreeMap<TaskName, (&'static str, Arc<TaskTotals>)>>>;

/// The owner of all tasks.
pub struct Supervisor {
    store: Store,
    events: EventLog,
    board: Board,
    resources: Arc<Resources>,
    tasks: BTreeMap<TaskName, Task>,
    commands: mpsc::Receiver<Command>,
    ended: mpsc::UnboundedReceiver<Ended>,
    tell_end: mpsc::UnboundedSender<Ended>,
    history: History,
    history_kept: Instant,
    totals: Totals,
    conditions: watch::Receiver<Conditions>,
    life: Life,
    /// How many runs have ended.
    ends: watch::Sender<u64>,
}

/// What the rest of the daemon knows and problems are made of.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// When the configuration could not be read again, and why.
    pub reload_error: Option<(Timestamp, String)>,
    /// Free share of the state directory's disk, 0 to 1, and since when it is low; `None`: enough, or unknown.
    pub disk_free: Option<(Timestamp, f64)>,
    /// Since when the disk is too full for new work.
    pub disk_full_since: Option<Timestamp>,
    /// Since when no new work is accepted, for whichever reason.
    pub refusing_since: Option<Timestamp>,
    /// How publishing metrics is going; `None`: off.
    pub metrics: Option<cloudwatch::Health>,
}

/// A run that is over, or at rest.
struct Ended {
    name: TaskName,
    record: RunRecord,
    end: RunEnd,
}

impl Supervisor {
    /// Reads all tasks. Runs that were going are queued again, to continue from their checkpoints.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn open(
        store: Store,
        events: EventLog,
        board: Board,
        resources: Arc<Resources>,
        conditions: watch::Receiver<Conditions>,
        life: Life,
    ) -> Result<(Self, Handle), StoreError> {
        let (ends, ended_runs) = watch::channel(0);
        let (handle, commands) = Handle::new(ended_runs);
        let (tell_end, ended) = mpsc::unbounded_channel();
        let minutes: Vec<_> = store.meta("history")?.unwrap_or_default();
        let mut supervisor = Self {
            tasks: BTreeMap::new(),
            commands,
            ended,
            tell_end,
            history: History::restore(&minutes),
            history_kept: Instant::now(),
            totals: Totals::default(),
            store,
            events,
            board,
            resources,
            conditions,
            life,
            ends,
        };
        for mut record in supervisor.store.tasks()? {
            if record.hidden {
                // whoever asked for it has lost the connection
                supervisor.forget(record.uid);
                continue;
            }
            let run = supervisor.store.run(record.uid, record.last_run)?;
            if record.phase == TaskPhase::Running {
                record.phase = TaskPhase::Queued;
                let name = &record.spec.name;
                supervisor.events.push(Level::Info, Some((name, Some(record.last_run))), "continues from its checkpoint");
            }
            supervisor.add(record, run);
        }
        // the first client, and the service manager, must not see an empty board
        supervisor.show_all();
        Ok((supervisor, handle))
    }

    /// What tasks have done since the daemon started.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Arc::clone(&self.totals)
    }

    fn add(&mut self, record: TaskRecord, run: Option<RunRecord>) {
        let name = record.spec.name.clone();
        let totals = Arc::new(TaskTotals::default());
        self.lock_totals().insert(name.clone(), (record.spec.engine(), Arc::clone(&totals)));
        // definitions are checked before they are accepted; one that an older dthd accepted and this one does not has no schedule
        let schedule = record.spec.trigger.as_ref().and_then(|t| Schedule::new(t).ok());
        let copied = run.as_ref().filter(|run| !run.kind.writes()).and_then(|run| self.copied_before(record.uid, run.run));
        let restoring = self.restoring(record.uid);
        let asked = Instant::now();
        let mut task = Task { record, run, active: None, schedule, totals, counted: None, compared: None, restoring, copied, asked };
        if task.queue().is_some() {
            task.compared = self.last_compare(&task);
        }
        self.tasks.insert(name, task);
    }

    fn lock_totals(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskName, (&'static str, Arc<TaskTotals>)>> {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Works until `stop`, then suspends all runs and waits for them until the deadline of the configuration.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.fill_slots();
        self.show_all();
        loop {
            self.life.tick();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.command(command).await,
                Some(ended) = self.ended.recv() => self.finish(ended),
                _ = tick.tick() => self.tick(),
            }
        }
        self.drain().await;
    }

    async fn drain(mut self) {
        // who asks from now on is told that the daemon is stopping
        self.commands.close();
        let deadline = Instant::now() + self.resources.config().drain;
        for task in self.tasks.values() {
            task.tell(Stop::Suspend);
        }
        while self.tasks.values().any(|t| t.active.is_some()) {
            match timeout_at(deadline, self.ended.recv()).await {
                Ok(Some(ended)) => self.stopped(ended),
                _ => {
                    self.events.push(Level::Warn, None, "stopped before all runs were at rest: they continue from their last checkpoint");
                    break;
                }
            }
        }
        self.keep_history();
        if let Err(error) = self.store.writer().durable().await {
            tracing::error!("{error}");
        }
    }

    /// A run ended while the daemon drains: what it reached is stored, its task goes on at the next start.
    fn stopped(&mut self, ended: Ended) {
        if matches!(ended.end, RunEnd::Suspended) {
            if let Some(task) = self.tasks.get_mut(&ended.name) {
                task.active = None;
                self.store.put_run(task.record.uid, &ended.record);
            }
        } else {
            self.finish(ended);
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        let mut growth = Amounts::default();
        let mut running = false;
        for task in self.tasks.values_mut() {
            if let Some(active) = &mut task.active {
                running = true;
                growth = growth.plus(active.sample(now));
            }
        }
        // an idle daemon has no rate rather than a rate of zero, so that its history needs no storing
        if running {
            self.history.record(now, growth);
            if self.history_kept.elapsed() >= KEEP_HISTORY {
                self.keep_history();
            }
        }
        self.forget_plans();
        self.fire(now);
        self.fill_slots();
        self.show_all();
    }

    fn keep_history(&mut self) {
        self.history_kept = Instant::now();
        self.store.put_meta("history", &self.history.minutes(Timestamp(0)));
    }

    /// Why no new work can be accepted, if so: the state cannot be written, or will soon not be.
    fn refusing(&self) -> Option<String> {
        if let Some(error) = self.store.writer().failure() {
            return Some(format!("{error}; free some space and restart dthd"));
        }
        self.conditions.borrow().disk_full_since.map(|_| {
            let dir = self.store.dir().display();
            format!("less than {} free in {dir}: new work waits until there is more", dth_proto::units::bytes(crate::disk::LEAST))
        })
    }
}
