//! The one owner of the connection: connects, watches, and connects again for as long as the dashboard runs.

use std::time::{Duration, Instant};

use dth_proto::{
    address::Address,
    connect::{self, Connection},
    id::{Epoch, TaskName},
    service::DthClient,
    watch::WatchRequest,
    wire,
};
use tokio::sync::{mpsc, watch};

use crate::update::{Change, Event};

/// First and longest pause between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long the daemon may hold a watch that has nothing to say. Also the time in which a dead link shows.
const HOLD: Duration = Duration::from_secs(20);
/// Beyond this an answer will not come any more: the link is dead even if nothing said so.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest time a connection may take; ssh itself may have to resolve, connect and authenticate.
const CONNECT: Duration = Duration::from_secs(30);

/// How often the daemon may report, by how slow the link is.
fn interval(rtt_ms: u64) -> Duration {
    if rtt_ms > 1_000 { Duration::from_secs(5) } else { Duration::from_secs(1) }
}

/// The pause after the `tries`th failed attempt in a row: doubled each time, and between half of it and all of it by `chance`
/// (0 to 1), so that many dashboards do not come back in step.
fn pause(tries: u32, chance: f64) -> Duration {
    let full = PAUSES.0.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(PAUSES.1);
    full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0).max(PAUSES.0)
}

/// What the dashboard tells the connection.
#[derive(Debug)]
pub struct Handle {
    /// The client of the moment; `None` without a connection.
    pub client: watch::Receiver<Option<DthClient>>,
    focus: watch::Sender<Option<TaskName>>,
    again: mpsc::Sender<()>,
}

impl Handle {
    /// Watches the detail of this task as well, from now on.
    pub fn focus(&self, task: Option<TaskName>) {
        self.focus.send_replace(task);
    }

    /// Ends a pause between attempts.
    pub fn reconnect(&self) {
        // full: somebody asked already
        self.again.try_send(()).ok();
    }
}

/// Starts the connection's task; it ends when nobody receives `events` any more.
#[must_use]
pub fn start(address: Address, events: mpsc::Sender<Event>) -> Handle {
    start_with(
        move || {
            let address = address.clone();
            async move {
                let name = concat!("dth/", env!("CARGO_PKG_VERSION"));
                connect::connect(&address, name, true).await.map_err(|e| e.to_string())
            }
        },
        events,
    )
}

/// [`start`] with another way to connect.
pub(crate) fn start_with<C, F>(connect: C, events: mpsc::Sender<Event>) -> Handle
where
    C: Fn() -> F + Send + 'static,
    F: Future<Output = Result<Connection, String>> + Send + 'static,
{
    let (client_sender, client) = watch::channel(None);
    let (focus, focus_receiver) = watch::channel(None);
    let (again, again_receiver) = mpsc::channel(1);
    let link = Link { events, client: client_sender, focus: focus_receiver, again: again_receiver };
    tokio::spawn(link.run(connect));
    Handle { client, focus, again }
}

/// The dashboard is gone.
struct Gone;

struct Link {
    events: mpsc::Sender<Event>,
    client: watch::Sender<Option<DthClient>>,
    focus: watch::Receiver<Option<TaskName>>,
    again: mpsc::Receiver<()>,
}

impl Link {
    async fn run<C, F>(mut self, connect: C)
    where
        C: Fn() -> F,
        F: Future<Output = Result<Connection, String>>,
    {
        let mut tries = 0;
        // the daemon answers from here on after a reconnect, if it is still the same start of it
        let mut have = (None, 0);
        loop {
            let events = self.events.clone();
            let attempt = tokio::select! {
                attempt = tokio::time::timeout(CONNECT, connect()) => attempt,
                () = events.closed() => return,
            };
            let error = match attempt {
                Ok(Ok(connection)) => {
                    tries = 0;
                    self.client.send_replace(Some(connection.client.clone()));
                    let ended = self.watch(connection, &mut have).await;
                    self.client.send_replace(None);
                    match ended {
                        Ok(error) => error,
                        Err(Gone) => return,
                    }
                }
                Ok(Err(error)) => error,
                Err(_) => format!("no connection within {} s", CONNECT.as_secs()),
            };
            tries += 1;
            let retry_in = pause(tries, chance());
            if self.send(Change::Down { error, retry_in, tries }).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(retry_in) => {}
                asked = self.again.recv() => if asked.is_none() { return },
                () = events.closed() => return,
            }
        }
    }

    async fn send(&self, change: Change) -> Result<(), Gone> {
        self.events.send(Event::Link(change)).await.map_err(|_| Gone)
    }

    /// Watches until the connection breaks; answers with what broke it.
    async fn watch(&mut self, connection: Connection, have: &mut (Option<Epoch>, u64)) -> Result<String, Gone> {
        let Connection { client, welcome } = connection;
        let info = match client.info(wire::context()).await {
            Ok(info) => info.ok().map(Box::new),
            Err(error) => return Ok(error.to_string()),
        };
        self.send(Change::Up(welcome, info)).await?;
        let mut rtt_ms = 0;
        loop {
            let focus = self.focus.borrow_and_update().clone();
            let request = WatchRequest {
                epoch: have.0.clone(),
                seq: have.1,
                min_interval_ms: wire::millis(interval(rtt_ms)),
                max_wait_ms: wire::millis(HOLD),
                focus,
            };
            let asked = Instant::now();
            let answer = tokio::select! {
                answer = tokio::time::timeout(HOLD + PATIENCE, client.watch(wire::deadline_after(HOLD), request)) => answer,
                // the question names another task now
                changed = self.focus.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(Gone),
                },
                () = self.events.closed() => return Err(Gone),
            };
            let reply = match answer {
                Ok(Ok(Ok(reply))) => reply,
                Ok(Ok(Err(error))) => return Ok(error.to_string()),
                Ok(Err(error)) => return Ok(error.to_string()),
                Err(_) => return Ok(format!("no answer for {} s", (HOLD + PATIENCE).as_secs())),
            };
            let elapsed = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
            rtt_ms = elapsed.saturating_sub(reply.held_ms.into());
            *have = (Some(reply.epoch.clone()), reply.seq);
            self.send(Change::Reply { reply: Box::new(reply), rtt_ms }).await?;
        }
    }
}

/// 0 to 1, from the hasher's random seed: good enough to spread reconnects.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests;
