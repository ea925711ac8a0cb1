//! A daemon for tests: the real service on a real socket, with a small state in memory.

mod service;
mod state;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use dth_proto::{
    handshake::{Hello, Welcome, negotiate, read_line, refusal, write_line},
    id::Epoch,
    service::Dth,
    wire,
};
use futures::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, oneshot, watch},
};

use self::service::Service;
pub(crate) use self::state::{NOW, State, event};

/// The state, and who wants to know when it changes.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), version: watch::Sender::new(1) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    /// Changes the state and wakes everybody.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.lock());
        self.version.send_modify(|v| *v += 1);
        self.changed.notify_all();
        value
    }

    /// Waits until the state is as wanted; a minute is the end of patience.
    pub(crate) fn until(&self, wanted: impl Fn(&State) -> bool) {
        let ended = self.changed.wait_timeout_while(self.lock(), Duration::from_mins(1), |state| !wanted(state));
        assert!(!ended.expect("not poisoned").1.timed_out(), "the daemon never came into the state wanted");
    }
}

/// A running daemon on a thread of its own; dropping it stops it.
pub(crate) struct TestDaemon {
    pub(crate) shared: Arc<Shared>,
    pub(crate) socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestDaemon {
    /// Listens on `socket` with the state given.
    pub(crate) fn start(socket: &Path, shared: Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, listening) = std::sync::mpsc::channel();
        let (path, state) = (socket.to_owned(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let epoch = Epoch::random();
                let listener = UnixListener::bind(&path).expect("a free path");
                ready.send(()).expect("the test waits");
                let accept = async {
                    loop {
                        let (io, _) = listener.accept().await.expect("a listener");
                        tokio::spawn(connection(io, Arc::clone(&state), epoch.clone()));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
            drop(runtime);
            std::fs::remove_file(&path).expect("the socket is ours");
        });
        listening.recv().expect("the daemon listens");
        Self { shared, socket: socket.to_owned(), stop: Some(stop), thread: Some(thread) }
    }

    /// Stops it; all connections break, the socket is gone.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // a second panic would hide the first
            assert!(ended.is_ok() || std::thread::panicking(), "the daemon panicked");
        }
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connection(mut io: UnixStream, shared: Arc<Shared>, epoch: Epoch) {
    let Ok(line) = read_line(&mut io).await else { return };
    let hello = Hello::parse(&line).expect("a client says hello");
    let (min, max) = shared.lock().protocol.unwrap_or((dth_proto::PROTOCOL_MIN, dth_proto::PROTOCOL_MAX));
    let answer = match negotiate(&hello, min, max, "9.0") {
        Ok(protocol) => {
            let [name, boot, user, role] = ["dthd/9.0", &epoch.0, "mli", "operator"].map(str::to_owned);
            Welcome { protocol, name, boot, user, role }.line()
        }
        Err(say) => refusal("version", &say),
    };
    let refused = answer.contains(" err ");
    if write_line(&mut io, &answer).await.is_err() || refused {
        return;
    }
    let hangup = Arc::new(Notify::new());
    let service = Service { shared, epoch, hangup: Arc::clone(&hangup) };
    let serve = BaseChannel::with_defaults(wire::transport(io)).execute(service.serve()).for_each_concurrent(None, |answer| answer);
    tokio::select! {
        () = serve => {}
        () = hangup.notified() => {}
    }
}
