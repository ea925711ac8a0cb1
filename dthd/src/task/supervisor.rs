//! The owner of all tasks: takes commands, fires triggers, gives slots to runs, and shows it all on the board.

mod change;
mod show;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use dth_proto::{
    error::{ApiError, ErrorCode},
    event::Level,
    id::TaskName,
    time::Timestamp,
    view::{Counters, HistoryRequest, RunOutcome},
};
use futures::FutureExt;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    active::Active,
    engine,
    handle::{Command, Handle, not_found},
    state::Situation,
};
use crate::{
    api::board::Board,
    clock,
    event::EventLog,
    metrics::{Amounts, cloudwatch, history::History},
    schedule::Schedule,
    store::{RunKind, RunRecord, Store, StoreError, TaskPhase, TaskRecord, restore::Restoring},
    systemd::Progress as Life,
    transfer::{
        Stop,
        progress::{Progress, TaskTotals},
        resources::Resources,
        run::{RunEnd, RunInput},
    },
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

struct Task {
    record: TaskRecord,
    run: Option<RunRecord>,
    active: Option<Active>,
    schedule: Option<Schedule>,
    totals: Arc<TaskTotals>,
    /// What a paused run had counted; its checkpoint may lie behind.
    counted: Option<Counters>,
    /// What it waits for to come out of an archive.
    restoring: Option<Restoring>,
    /// The last run that was over and copied, where a later one changes nothing.
    copied: Option<RunRecord>,
    /// When a client last asked for it; see [`TaskRecord::hidden`].
    asked: Instant,
}

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
        let restoring = self.restoring(record.uid);
        let copied = run.as_ref().filter(|run| !run.kind.writes()).and_then(|run| self.copied_before(record.uid, run.run));
        let asked = Instant::now();
        self.tasks.insert(name, Task { record, run, active: None, schedule, totals, counted: None, restoring, copied, asked });
    }

    /// What a task waits for; what cannot be read is looked for by the next full run.
    fn restoring(&self, uid: u64) -> Option<Restoring> {
        self.store.restoring(uid).unwrap_or_else(|error| {
            tracing::warn!("cannot read what is being restored: {error}");
            None
        })
    }

    /// The newest run before this one that copied. One that cannot be read is not shown.
    fn copied_before(&self, uid: u64, run: u32) -> Option<RunRecord> {
        let mut before = run;
        loop {
            let found = self.store.runs(uid, Some(before), 1).ok()?.pop()?;
            if found.kind.writes() {
                return Some(found);
            }
            before = found.run;
        }
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
            if let Some(active) = &task.active {
                active.stop.send_if_modified(|stop| std::mem::replace(stop, later(*stop, Stop::Suspend)) == Stop::Go);
            }
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

    /// Queues a run for every trigger that is due. However many times were missed, it is one run.
    fn fire(&mut self, now: Timestamp) {
        if self.refusing().is_some() {
            return;
        }
        let due: Vec<TaskName> = self
            .tasks
            .values()
            .filter(|t| t.record.phase == TaskPhase::Rest)
            .filter(|t| t.schedule.as_ref().is_some_and(|s| s.due(now, t.record.last_start, t.record.trigger_set).is_some()))
            .map(|t| t.record.spec.name.clone())
            .collect();
        for name in due {
            let trigger = self.tasks.get(&name).and_then(|t| t.record.spec.trigger.as_ref()).map(ToString::to_string).unwrap_or_default();
            self.queue(&name, RunKind::Full, trigger);
        }
        let ready = |task: &&Task| task.record.phase == TaskPhase::Rest && task.restoring.as_ref().is_some_and(|r| r.next <= now);
        let ready: Vec<TaskName> = self.tasks.values().filter(ready).map(|task| task.record.spec.name.clone()).collect();
        for name in ready {
            self.queue(&name, RunKind::Restore, "restored objects".to_owned());
        }
    }

    /// Queues a new run of a task that has none.
    fn queue(&mut self, name: &TaskName, kind: RunKind, cause: String) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let now = clock::now();
        let number = task.record.last_run + 1;
        let writes = kind.writes();
        // a look at what is being restored moves no trigger
        let counts = writes && kind != RunKind::Restore;
        let run = RunRecord::queued(number, kind, task.record.spec.clone(), cause, now);
        task.record.last_run = number;
        if counts {
            task.record.last_start = Some(now);
        }
        if !writes && let Some(before) = task.run.take().filter(|run| run.kind.writes()) {
            task.copied = Some(before);
        }
        task.record.held = !writes && task.record.phase == TaskPhase::Held;
        task.record.phase = TaskPhase::Queued;
        self.store.put_run(task.record.uid, &run);
        self.store.put_task(&task.record);
        if !task.record.hidden {
            self.events.push(Level::Info, Some((name, Some(number))), format!("run {number} queued: {}", run.cause));
        }
        task.run = Some(run);
    }

    /// Begins queued runs, oldest first, while there are slots.
    fn fill_slots(&mut self) {
        if self.refusing().is_some() {
            return;
        }
        let slots = self.resources.config().limits.runs as usize;
        let going = self.tasks.values().filter(|t| t.active.is_some()).count();
        let mut queued: Vec<(Timestamp, TaskName)> = self
            .tasks
            .values()
            .filter(|t| t.record.phase == TaskPhase::Queued && t.active.is_none())
            .filter_map(|t| Some((t.run.as_ref()?.queued, t.record.spec.name.clone())))
            .collect();
        queued.sort();
        for (_, name) in queued.into_iter().take(slots.saturating_sub(going)) {
            self.begin(&name);
        }
    }

    fn begin(&mut self, name: &TaskName) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let Some(mut run) = task.run.clone() else { return };
        let now = clock::now();
        run.started.get_or_insert(now);
        task.record.phase = TaskPhase::Running;
        self.store.put_run(task.record.uid, &run);
        self.store.put_task(&task.record);
        if !task.record.hidden {
            self.events.push(Level::Info, Some((name, Some(run.run))), format!("run {} began", run.run));
        }
        // what only looks is in no metric
        let totals = if run.kind.writes() { Arc::clone(&task.totals) } else { Arc::default() };
        let progress = Progress::new(run.tally.clone(), false, totals);
        let (stop, stopped) = watch::channel(Stop::Go);
        task.active = Some(Active::new(Arc::clone(&progress), run.clone(), stop));
        task.run = Some(run.clone());
        task.counted = None;
        let input = RunInput {
            uid: task.record.uid,
            name: name.clone(),
            record: run.clone(),
            store: self.store.clone(),
            events: self.events.clone(),
            resources: Arc::clone(&self.resources),
            progress,
            stop: stopped,
        };
        let (tell, name) = (self.tell_end.clone(), name.clone());
        tokio::spawn(async move {
            let (record, end) = match AssertUnwindSafe(engine::run(input)).catch_unwind().await {
                Ok(result) => result,
                // the panic itself is in the log; the task must not look as if it were running
                Err(_) => (run, RunEnd::Finished(RunOutcome::Failed, Some("a defect in dthd ended the run; see its log".to_owned()))),
            };
            // the supervisor is gone only when the daemon is
            let _ = tell.send(Ended { name, record, end });
        });
    }

    /// A run ended.
    fn finish(&mut self, ended: Ended) {
        let Ended { name, mut record, end } = ended;
        let Some(task) = self.tasks.get_mut(&name) else { return };
        let at = Some((&name, Some(record.run)));
        match end {
            RunEnd::Suspended => {
                task.record.phase = TaskPhase::Paused;
                task.counted = task.active.as_ref().map(|a| a.progress.counters());
                self.events.push(Level::Info, at, format!("run {} paused", record.run));
            }
            RunEnd::Finished(outcome, error) => {
                task.record.phase = if task.record.held { TaskPhase::Held } else { TaskPhase::Rest };
                record.outcome = Some(outcome);
                record.error.clone_from(&error);
                record.ended = Some(clock::now());
                let c = &record.tally.counters;
                let level = if outcome == RunOutcome::Succeeded { Level::Info } else { Level::Warn };
                let why = error.map(|e| format!(": {e}")).unwrap_or_default();
                let (verb, done) = if record.kind.writes() { ("copied", c.copied) } else { ("to copy", c.planned) };
                let counts = format!("listed {}, same {}, {verb} {done}, skipped {}, failed {}", c.listed, c.same, c.skipped, c.failed);
                if !task.record.hidden {
                    self.events.push(level, at, format!("run {} {}{why}; {counts}", record.run, outcome.word()));
                }
            }
        }
        self.store.put_run(task.record.uid, &record);
        self.store.put_task(&task.record);
        let uid = task.record.uid;
        task.run = Some(record);
        task.active = None;
        let restoring = self.restoring(uid);
        if let Some(task) = self.tasks.get_mut(&name) {
            task.restoring = restoring;
        }
        self.ends.send_modify(|count| *count += 1);
        self.fill_slots();
        self.show_all();
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Change { id, by, change, answer } => {
                let result = self.change(&id, &by, *change).await;
                self.show_all();
                // who asked may have gone; the change stands
                let _ = answer.send(result);
            }
            Command::Detail { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.detail(&name).map(Box::new).ok_or_else(|| not_found(&name)));
            }
            Command::History { request, answer } => {
                let _ = answer.send(self.rates(&request));
            }
            Command::Uid { name, answer } => {
                let _ = answer.send(self.tasks.get(&name).map(|task| task.record.uid).ok_or_else(|| not_found(&name)));
            }
            Command::Planned { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.planned(&name));
            }
            Command::Newest { name, answer } => {
                self.touch(&name);
                let _ = answer.send(self.newest(&name));
            }
        }
    }

    fn touch(&mut self, name: &TaskName) {
        if let Some(task) = self.tasks.get_mut(name) {
            task.asked = Instant::now();
        }
    }

    fn planned(&self, name: &TaskName) -> Result<(u64, u32), ApiError> {
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let mut run = task.run.as_ref().map(|run| (run.run, run.kind.writes()));
        while let Some((number, true)) = run {
            let before =
                self.store.runs(task.record.uid, Some(number), 1).map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
            run = before.first().map(|run| (run.run, run.kind.writes()));
        }
        let Some((number, _)) = run else {
            return Err(ApiError::new(ErrorCode::NotFound, format!("{name} has no plan")).hint(format!("dth plan {name}")));
        };
        Ok((task.record.uid, number))
    }

    fn newest(&self, name: &TaskName) -> Result<(u64, u32), ApiError> {
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        match task.record.last_run {
            0 => Err(ApiError::new(ErrorCode::NotFound, format!("{name} has never run")).hint(format!("dth start {name}"))),
            run => Ok((task.record.uid, run)),
        }
    }

    fn rates(&self, request: &HistoryRequest) -> Result<dth_proto::view::History, ApiError> {
        let now = clock::now();
        let Some(name) = &request.task else { return Ok(self.history.query(request.range_s, request.points, now)) };
        let task = self.tasks.get(name).ok_or_else(|| not_found(name))?;
        let empty = History::default();
        let history = task.active.as_ref().map_or(&empty, |a| &a.history);
        Ok(history.query(request.range_s, request.points, now))
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

impl Task {
    /// The last run that copied, or is about to.
    fn last_copy(&self) -> Option<&RunRecord> {
        self.run.as_ref().filter(|run| run.kind.writes()).or(self.copied.as_ref())
    }

    fn situation(&self) -> Situation {
        Situation {
            phase: self.record.phase,
            stopping: self.active.as_ref().is_some_and(Active::stopping),
            triggered: self.next_run(clock::now()).is_some(),
        }
    }

    fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        let held = matches!(self.record.phase, TaskPhase::Held | TaskPhase::Paused);
        let scheduled = self.schedule.as_ref().filter(|_| !held).and_then(|s| s.next(now, self.record.last_start, self.record.trigger_set));
        let restored = self.restoring.as_ref().filter(|_| !held).map(|restoring| restoring.next);
        scheduled.into_iter().chain(restored).min()
    }
}

/// The stronger of two: what was cancelled cannot become suspended.
fn later(old: Stop, new: Stop) -> Stop {
    if old == Stop::Cancel { old } else { new }
}
