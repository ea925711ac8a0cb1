//! Signals: the first SIGTERM or SIGINT drains, the second stops now; SIGHUP reloads, SIGUSR1 asks for a summary.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// How far the stop has come. Clones see the same stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
}

/// What an operator asks of a daemon that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: say in the log how things stand.
    Summary,
}

impl Shutdown {
    /// A stop that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the next step: running -> draining -> now. Further calls change nothing.
    pub fn advance(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        } else {
            self.drain.cancel();
        }
    }

    /// Whether no new work is to begin.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves when no new work is to begin.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when work in flight is to be given up.
    pub async fn now(&self) {
        self.now.cancelled().await;
    }

    /// A token for those who only stop once: cancelled when draining begins.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// A token cancelled when work in flight is to be given up.
    #[must_use]
    pub fn now_token(&self) -> CancellationToken {
        self.now.clone()
    }
}

/// Takes over the signals of the process: stop signals advance `shutdown`, the others come out of the receiver. Needs a
/// tokio runtime; ends with it.
///
/// # Errors
/// When the system refuses a handler.
pub fn listen(shutdown: &Shutdown) -> io::Result<mpsc::Receiver<Request>> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
        user1: signal(SignalKind::user_defined1())?,
    };
    // one waiting request of a kind is as good as many
    let (sender, receiver) = mpsc::channel(2);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            match signals.next().await {
                Some(request) => {
                    let _ = sender.try_send(request);
                }
                None => shutdown.advance(),
            }
        }
    });
    Ok(receiver)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    /// The next request; `None`: stop.
    async fn next(&mut self) -> Option<Request> {
        tokio::select! {
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            _ = self.hangup.recv() => Some(Request::Reload),
            _ = self.user1.recv() => Some(Request::Summary),
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal as Number, raise};

    use super::*;

    #[tokio::test]
    async fn signals_drain_then_stop_and_reload_in_between() {
        let shutdown = Shutdown::new();
        let mut requests = listen(&shutdown).expect("handlers");
        raise(Number::SIGHUP).expect("raised");
        assert_eq!(requests.recv().await, Some(Request::Reload));
        raise(Number::SIGUSR1).expect("raised");
        assert_eq!(requests.recv().await, Some(Request::Summary));
        assert!(!shutdown.is_draining());
        raise(Number::SIGTERM).expect("raised");
        shutdown.draining().await;
        assert!(!shutdown.now_token().is_cancelled());
        raise(Number::SIGINT).expect("raised");
        shutdown.now().await;
    }

    #[tokio::test]
    async fn further_steps_change_nothing() {
        let shutdown = Shutdown::new();
        for _ in 0..3 {
            shutdown.advance();
        }
        shutdown.now().await;
        assert!(shutdown.is_draining() && shutdown.drain_token().is_cancelled());
    }
}
