//! What dthd tells the service manager, and what it gets from it; outside of systemd all of this does nothing.

use std::{
    io,
    os::unix::net::UnixListener,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// How often a loop that has nothing to do calls [`Progress::tick`].
pub const TICK: Duration = Duration::from_secs(1);

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}

/// The daemon serves.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// The daemon drains.
pub fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The stop takes this much longer, counted from now.
pub fn extend_timeout(by: Duration) {
    let microseconds = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// A reload begins; [`ready`] ends it. systemd wants the clock in the same message (systemd.service(5), notify-reload).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

/// The listening socket that systemd passed, if there is one (dthd.socket).
///
/// # Errors
/// When what was passed is not a unix stream socket.
pub fn passed_listener() -> io::Result<Option<UnixListener>> {
    let listener = ListenFd::from_env().take_unix_listener(0)?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true)?;
    }
    Ok(listener)
}

/// Knows every loop that must go on; pings the service manager only while all of them do.
#[derive(Clone, Debug, Default)]
pub struct Watchdog {
    probes: Arc<Mutex<Vec<Probe>>>,
}

#[derive(Debug)]
struct Probe {
    name: &'static str,
    count: Arc<AtomicU64>,
    seen: u64,
}

/// What a loop holds to show that it goes on. Dropped without [`Progress::finish`] (a panic, a lost task) it counts as
/// stalled for good.
#[derive(Debug)]
pub struct Progress {
    count: Arc<AtomicU64>,
}

/// The count of a loop that ended as it should; no loop ticks that often.
const FINISHED: u64 = u64::MAX;

impl Progress {
    /// The loop went round; call at least every [`TICK`].
    pub fn tick(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The loop has ended and is no longer waited for.
    pub fn finish(self) {
        self.count.store(FINISHED, Ordering::Relaxed);
    }
}

impl Watchdog {
    /// A watchdog that waits for nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the loop `name` must tick. It counts as going on until the first look after this.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Progress {
        let count = Arc::new(AtomicU64::new(1));
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.push(Probe { name, count: Arc::clone(&count), seen: 0 });
        Progress { count }
    }

    /// The loops that have not ticked since the last look.
    #[must_use]
    pub fn stalled(&self) -> Vec<&'static str> {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|probe| probe.count.load(Ordering::Relaxed) != FINISHED);
        let mut stalled = Vec::new();
        for probe in probes.iter_mut() {
            let count = probe.count.load(Ordering::Relaxed);
            if count == probe.seen {
                stalled.push(probe.name);
            }
            probe.seen = count;
        }
        stalled
    }

    /// Pings every half `WatchdogSec` while all loops go on; ends at once when the service manager does not ask for it.
    pub async fn run(self) {
        if let Some(limit) = sd_notify::watchdog_enabled() {
            self.watch(limit / 2, || notify(&[NotifyState::Watchdog])).await;
        }
    }

    async fn watch(self, period: Duration, mut ping: impl FnMut()) {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let stalled = self.stalled();
            if stalled.is_empty() {
                ping();
            } else {
                tracing::error!(loops = stalled.join(", "), "stalled: the watchdog is not fed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loops_that_stand_still_are_stalled() {
        let watchdog = Watchdog::new();
        assert!(watchdog.stalled().is_empty());
        let (scheduler, api) = (watchdog.register("scheduler"), watchdog.register("api"));
        assert!(watchdog.stalled().is_empty(), "just begun");
        scheduler.tick();
        assert_eq!(watchdog.stalled(), ["api"]);
        api.tick();
        assert_eq!(watchdog.stalled(), ["scheduler"]);
        scheduler.tick();
        api.finish();
        assert!(watchdog.stalled().is_empty(), "ended as it should");
        drop(scheduler);
        assert_eq!(watchdog.stalled(), ["scheduler"], "died");
        assert_eq!(watchdog.stalled(), ["scheduler"], "and stays dead");
    }

    #[tokio::test(start_paused = true)]
    async fn pings_come_only_while_all_go_on() {
        let watchdog = Watchdog::new();
        let progress = watchdog.register("scheduler");
        let (pings, mut pinged) = tokio::sync::mpsc::unbounded_channel();
        let period = Duration::from_secs(30);
        let start = tokio::time::Instant::now();
        tokio::spawn(watchdog.watch(period, move || {
            let _ = pings.send(start.elapsed());
        }));
        assert_eq!(pinged.recv().await, Some(Duration::ZERO));
        progress.tick();
        assert_eq!(pinged.recv().await, Some(period));
        // stands still over two looks, then goes on
        tokio::time::advance(period * 2 + period / 2).await;
        progress.tick();
        let next = pinged.recv().await.expect("goes on");
        assert!(next > period * 3, "{next:?}");
        assert!(pinged.try_recv().is_err());
    }
}
