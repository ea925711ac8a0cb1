//! The daemon on one page: lock and open the state, bind, resume, say READY, serve, drain.

use std::{path::PathBuf, sync::Arc, time::Duration};

use dth_proto::{id::Epoch, time::Timestamp};
use tokio::{
    sync::{mpsc, watch},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        board::Board,
        check::Checks,
        doctor::Doctors,
        listen::{self, Bound, ListenError},
        service::{Api, Shared},
        session::{Door, serve_connection},
    },
    clock,
    config::Config,
    credential::CredentialError,
    disk,
    event::EventLog,
    lock::{LockError, StateLock},
    metrics::Amounts,
    metrics::cloudwatch::{self, JobSample, Publisher, Sample, Source, TaskSample},
    problem::DISK_LOW,
    s3::provider,
    shutdown::{Request, Shutdown},
    store::{Store, StoreError},
    systemd::{self, Watchdog},
    task::supervisor::{Conditions, Supervisor, Totals},
    transfer::resources::Resources,
};

/// How often the disk and the metrics are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long ends of the daemon that are not runs may take after the drain.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the daemon did not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk is too full to begin.
    #[error(
        "{dir}: only {} free on its disk, dthd needs {}: make room, or name another --state directory",
        dth_proto::units::bytes(*free),
        dth_proto::units::bytes(disk::LEAST)
    )]
    DiskFull {
        /// State directory.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
    },
    /// The socket cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The credential for metrics cannot be had.
    #[error("cloudwatch.credential: {0}")]
    Credential(#[from] CredentialError),
}

/// Reads the configuration again; gets the one in force.
pub type Reload = Box<dyn Fn(&Config) -> Result<Config, String> + Send + Sync>;

/// How the process around it controls the daemon.
pub struct Control {
    /// Drains it, then stops it at once.
    pub shutdown: Shutdown,
    /// What an operator asks of it meanwhile.
    pub requests: mpsc::Receiver<Request>,
    /// How the configuration is read again.
    pub reload: Reload,
    /// A socket that the service manager has opened.
    pub passed: Option<Bound>,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When it cannot start. Nothing is bound before the state is locked and read.
pub async fn run(config: Config, control: Control) -> Result<(), DaemonError> {
    let Control { shutdown, mut requests, reload, passed } = control;
    let started = clock::now();
    let _lock = StateLock::acquire(&config.state, started)?;
    if let Some((_, free)) = disk::free(&config.state).filter(|(_, free)| *free < disk::LEAST) {
        return Err(DaemonError::DiskFull { dir: config.state, free });
    }
    let store = Store::open(&config.state)?;
    store.forget_old_answers(started)?;
    let bound = match passed {
        Some(bound) => bound,
        None => listen::bind(&config.socket).await?,
    };
    let epoch = Epoch::random();
    let watchdog = Watchdog::new();
    let events = EventLog::new(epoch.clone());
    let board = Board::new(epoch.clone());
    provider::install(&config.providers.profiles);
    let resources = Resources::new(config.clone());
    let (conditions, known) = watch::channel(Conditions::default());
    let life = watchdog.register("supervisor");
    let (supervisor, tasks) = Supervisor::open(store.clone(), events.clone(), board.clone(), Arc::clone(&resources), known, life)?;
    let publisher = publisher(&config, &resources, &supervisor, &board).await?;
    let health = publisher.as_ref().map(Publisher::watch);
    let (access_changed, access) = watch::channel(config.access.clone());
    let door = Door { access, daemon_uid: nix::unistd::Uid::effective().as_raw(), epoch, shutdown: shutdown.clone() };
    let shared = Arc::new(Shared {
        board: board.clone(),
        events: events.clone(),
        tasks,
        store: store.clone(),
        resources: Arc::clone(&resources),
        checks: Checks::default(),
        doctors: Doctors::default(),
        started,
        metrics: health.clone(),
    });
    let supervising = tokio::spawn(supervisor.run(shutdown.drain_token()));
    let accepting = tokio::spawn(listen::accept(bound, shutdown.clone(), watchdog.register("listener"), move |io, peer| {
        let (door, shared) = (door.clone(), Arc::clone(&shared));
        serve_connection(io, peer, door, move |session| Api::new(shared, session))
    }));
    let watching = tokio::spawn(watchdog.run());
    tracing::info!(state = %config.state.display(), socket = %config.socket.display(), "dthd {} is ready", env!("CARGO_PKG_VERSION"));
    systemd::ready(&board.verdict());

    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            () = shutdown.draining() => break,
            _ = look.tick() => {
                conditions.send_modify(|c| observe(c, &store, health.as_ref(), clock::now()));
                systemd::status(&board.verdict());
            }
            Some(request) = requests.recv() => match request {
                Request::Summary => tracing::info!("{}", board.verdict()),
                Request::Reload => {
                    systemd::reloading();
                    match reload(&resources.config()) {
                        Ok(config) => {
                            access_changed.send_replace(config.access.clone());
                            provider::install(&config.providers.profiles);
                            resources.reconfigure(config);
                            conditions.send_modify(|c| c.reload_error = None);
                            tracing::info!("the configuration was read again");
                        }
                        Err(why) => {
                            tracing::error!("the configuration was not read again, the old one is in force: {why}");
                            conditions.send_modify(|c| c.reload_error = Some((clock::now(), why)));
                        }
                    }
                    systemd::ready(&board.verdict());
                }
            }
        }
    }

    tracing::info!("stopping: runs are suspended and continue at the next start");
    systemd::stopping("suspending runs");
    systemd::extend_timeout(resources.config().drain + LAST_WORDS);
    tokio::select! {
        _ = supervising => {}
        () = shutdown.now() => tracing::warn!("told to stop now: runs continue from their last checkpoint"),
    }
    if let Some(publisher) = publisher {
        publisher.shutdown().await;
    }
    // connections end by themselves when they see the drain
    let _ = tokio::time::timeout(LAST_WORDS, accepting).await;
    watching.abort();
    if let Err(error) = store.writer().durable().await {
        tracing::error!("{error}");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Runs the daemon inside another process (the demo, tests): no signals, no reload; ends when `stop` does.
///
/// # Errors
/// See [`run`].
pub async fn run_until(config: Config, stop: CancellationToken) -> Result<(), DaemonError> {
    let shutdown = Shutdown::new();
    let stopping = shutdown.clone();
    // an open sender: a closed channel would look like an endless row of requests
    let (_keep, requests) = mpsc::channel(1);
    tokio::spawn(async move {
        stop.cancelled().await;
        stopping.advance();
    });
    let control = Control { shutdown, requests, reload: Box::new(|config| Ok(config.clone())), passed: None };
    run(config, control).await
}

/// Looks at the disk, the store and the metrics. What lasts keeps the time it began, so that screens do not change without news.
fn observe(c: &mut Conditions, store: &Store, health: Option<&watch::Receiver<cloudwatch::Health>>, now: Timestamp) {
    let free = disk::free(store.dir());
    // in whole percents, so that a screen does not change with every block written
    let share = free.map(|(share, _)| (share * 100.0).round() / 100.0).filter(|share| *share < DISK_LOW);
    c.disk_free = share.map(|share| (c.disk_free.map_or(now, |(since, _)| since), share));
    let full = free.is_some_and(|(_, bytes)| bytes < disk::LEAST);
    c.disk_full_since = full.then(|| c.disk_full_since.unwrap_or(now));
    let refusing = full || store.writer().failure().is_some();
    c.refusing_since = refusing.then(|| c.refusing_since.unwrap_or(now));
    c.metrics = health.map(|h| h.borrow().clone());
}

async fn publisher(
    config: &Config,
    resources: &Resources,
    supervisor: &Supervisor,
    board: &Board,
) -> Result<Option<Publisher>, DaemonError> {
    let Some(cloudwatch) = &config.cloudwatch else { return Ok(None) };
    let credential = resources.credential(cloudwatch.credential.as_deref()).await?;
    let client = cloudwatch::client(cloudwatch, credential.provider()).await;
    let source = Arc::new(Work { totals: supervisor.totals(), board: board.clone() });
    Ok(Some(Publisher::spawn(cloudwatch, client, source)))
}

/// What metrics are made of.
struct Work {
    totals: Totals,
    board: Board,
}

impl Source for Work {
    fn sample(&self) -> Sample {
        use std::sync::atomic::Ordering::Relaxed;
        let totals = self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tasks = totals.iter().map(|(task, (engine, totals))| TaskSample {
            task: task.clone(),
            engine,
            total: Amounts {
                bytes: totals.bytes.load(Relaxed),
                objects: totals.objects.load(Relaxed),
                failed: totals.failed.load(Relaxed),
            },
        });
        let (running, waiting) = self.board.jobs();
        Sample { tasks: tasks.collect(), jobs: vec![JobSample { engine: "s3", running, waiting }] }
    }
}
