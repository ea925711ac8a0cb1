//! How many requests may be in flight at one endpoint: as many as it answers without making them wait.
//!
//! One window for each (endpoint, [`Kind`]), shared by all runs that talk to it; [`Window::lane`]s take turns, so that a task with a
//! thousand waiting requests does not keep another from its first. The rules are in `controller`; this is the shell around it.

mod controller;
#[cfg(test)]
mod simulation;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use dth_proto::failure::FailureClass;
use tokio::time::Instant;

use self::controller::Controller;
use super::{
    TransferError,
    fair::{Gate, Inside, Lane},
};

/// What a request does; stores answer these at different speed, and limit them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A page of a listing.
    List,
    /// GET and HEAD.
    Read,
    /// PUT, parts, and everything else that changes something.
    Write,
}

impl Kind {
    /// The kind of a request (`GetObject`, `UploadPart`, ...).
    #[must_use]
    pub fn of(operation: &str) -> Self {
        match operation {
            "ListObjectsV2" | "ListObjects" | "ListObjectVersions" => Self::List,
            "ListTags" | "ListRepositories" | "ListReferrers" => Self::List,
            "GetObject"
            | "HeadObject"
            | "GetObjectTagging"
            | "HeadBucket"
            | "ListParts"
            | "ListMultipartUploads"
            | "GetBucketVersioning" => Self::Read,
            "GetManifest" | "HeadManifest" | "GetBlob" | "HeadBlob" | "GetToken" => Self::Read,
            _ => Self::Write,
        }
    }

    /// The largest window. AWS: 5,500 reads and 3,500 writes per second and prefix, and more over several; 1,024 requests of 40 ms are
    /// 25,600 per second. Pages are large, and their splitting costs requests.
    #[must_use]
    pub fn most(self) -> usize {
        match self {
            Self::List => 64,
            Self::Read | Self::Write => 1024,
        }
    }
}

/// What the answer to a request says about the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Good,
    /// 503 `SlowDown`, 429: the store asks for less.
    Throttled,
    /// No answer in time.
    TimedOut,
    /// Any other failure: it says nothing about the load.
    Other,
}

impl Verdict {
    /// What the failure of a request says; `None`: it did not fail.
    #[must_use]
    pub fn of(failure: Option<&TransferError>) -> Self {
        match failure {
            None => Self::Good,
            Some(error) if error.class == FailureClass::Throttled => Self::Throttled,
            Some(error) if matches!(error.code.as_str(), "RequestTimeout" | "ConnectTimeout") => Self::TimedOut,
            Some(_) => Self::Other,
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// From the request's first byte to the first byte of its answer.
    pub latency: Duration,
    /// Bytes of object data, sent or received.
    pub bytes: u64,
    /// See [`Verdict`].
    pub verdict: Verdict,
}

/// Requests in flight at one endpoint. Clones share a lane; see [`Window::lane`].
#[derive(Clone)]
pub struct Window {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
}

struct Shared {
    gate: Arc<Gate>,
    controller: Mutex<Controller>,
    epoch: Instant,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({} of {})", self.in_use(), self.limit())
    }
}

impl Window {
    /// A window of its own that never grows beyond `most` (at least 1).
    #[must_use]
    pub fn new(most: usize) -> Self {
        let controller = Controller::new(most.max(1));
        let gate = Gate::new(controller.limit() as u64);
        Self::of(Arc::new(Shared { gate, controller: Mutex::new(controller), epoch: Instant::now() }))
    }

    fn of(shared: Arc<Shared>) -> Self {
        let lane = Arc::new(Lane::new(&shared.gate));
        Self { shared, lane }
    }

    /// The same window with a queue of its own, which takes turns with the others.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    /// Waits until another request may be sent. Dropping the future gives up the place.
    pub async fn enter(&self) -> Pass {
        let inside = self.lane.enter(1).await;
        Pass { shared: Arc::clone(&self.shared), began: Instant::now(), inside }
    }

    /// Requests that may be in flight now.
    #[must_use]
    pub fn limit(&self) -> usize {
        usize::try_from(self.shared.gate.limit()).unwrap_or(usize::MAX)
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        usize::try_from(self.shared.gate.inside()).unwrap_or(usize::MAX)
    }
}

/// The right to one request. Dropped without [`Pass::done`] it is given back and says nothing.
#[must_use = "the place in the window is given back when this is dropped"]
pub struct Pass {
    shared: Arc<Shared>,
    began: Instant,
    inside: Inside,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass({:?})", self.began.elapsed())
    }
}

impl Pass {
    /// Since when the request may be sent: the latency, when its answer has no body to speak of.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The request was answered, and its body is complete.
    pub fn done(self, answer: Answer) {
        let Self { shared, began, inside } = self;
        let at = |instant: Instant| instant.saturating_duration_since(shared.epoch);
        let now = at(Instant::now());
        let in_use = usize::try_from(shared.gate.inside()).unwrap_or(usize::MAX);
        // the lock is held until the gate knows, so that decisions reach it in their order
        let mut controller = shared.controller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = controller.answered(at(began), now, in_use, &answer) {
            shared.gate.set_limit(limit as u64);
        }
        drop(controller);
        drop(inside);
    }
}

/// The windows of all endpoints in use; forgotten when nobody uses them any more.
#[derive(Debug, Default)]
pub struct Windows {
    all: Mutex<HashMap<(String, Kind), Weak<Shared>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({:?})", self.gate)
    }
}

impl Windows {
    /// A lane of the window of an endpoint (`https://host[:port]`, or a region).
    #[must_use]
    pub fn of(&self, endpoint: &str, kind: Kind) -> Window {
        let key = (endpoint.trim_end_matches('/').to_ascii_lowercase(), kind);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&key).and_then(Weak::upgrade) {
            return Window::of(shared);
        }
        all.retain(|_, window| window.strong_count() > 0);
        let window = Window::new(kind.most());
        all.insert(key, Arc::downgrade(&window.shared));
        window
    }

    /// How many endpoints and kinds are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const GOOD: Answer = Answer { latency: Duration::from_millis(40), bytes: 4096, verdict: Verdict::Good };

    #[tokio::test(start_paused = true)]
    async fn it_grows_while_the_latency_is_flat_and_shrinks_when_refused() {
        let window = Window::new(64);
        assert_eq!((window.limit(), window.in_use()), (8, 0));
        for _ in 0..3 {
            let passes: Vec<Pass> = futures::future::join_all((0..window.limit()).map(|_| window.enter())).await;
            assert!(window.enter().now_or_never().is_none(), "it is full");
            tokio::time::advance(GOOD.latency).await;
            passes.into_iter().for_each(|pass| pass.done(GOOD));
        }
        assert_eq!((window.limit(), window.in_use()), (64, 0));
        for _ in 0..4 {
            let passes: Vec<Pass> = futures::future::join_all((0..window.limit()).map(|_| window.enter())).await;
            tokio::time::advance(GOOD.latency).await;
            passes.into_iter().for_each(|pass| pass.done(Answer { verdict: Verdict::Throttled, ..GOOD }));
        }
        assert!((20..=44).contains(&window.limit()), "{window:?}");
    }

    #[tokio::test]
    async fn a_pass_that_is_dropped_is_given_back_and_says_nothing() {
        let window = Window::new(4);
        let passes: Vec<Pass> = futures::future::join_all((0..4).map(|_| window.enter())).await;
        let mut fifth = Box::pin(window.enter());
        assert!(fifth.as_mut().now_or_never().is_none());
        drop(passes);
        drop(fifth.await);
        assert_eq!((window.limit(), window.in_use()), (4, 0));
    }

    #[tokio::test]
    async fn tasks_take_turns() {
        let busy = Window::new(4);
        let passes: Vec<Pass> = futures::future::join_all((0..4).map(|_| busy.enter())).await;
        let mut waiting: Vec<_> = (0..1000).map(|_| Box::pin(busy.enter())).collect();
        for future in &mut waiting {
            assert!(future.as_mut().now_or_never().is_none());
        }
        let other = busy.lane();
        let mut first = Box::pin(other.enter());
        assert!(first.as_mut().now_or_never().is_none());
        drop(passes);
        assert!(first.now_or_never().is_some(), "it is among the next four, not behind a thousand");
    }

    #[test]
    fn failures_say_what_they_say_about_the_load() {
        let failed = |class, code: &str| TransferError::new(class, dth_proto::failure::Side::Source, "GetObject", code, "");
        for (class, code, expected) in [
            (FailureClass::Throttled, "SlowDown", Verdict::Throttled),
            (FailureClass::Transient, "RequestTimeout", Verdict::TimedOut),
            (FailureClass::Transient, "ConnectTimeout", Verdict::TimedOut),
            (FailureClass::Transient, "ConnectionFailed", Verdict::Other),
            (FailureClass::Permanent, "NoSuchBucket", Verdict::Other),
        ] {
            assert_eq!(Verdict::of(Some(&failed(class, code))), expected, "{code}");
        }
        assert_eq!(Verdict::of(None), Verdict::Good);
        let kinds = ["ListObjectsV2", "HeadObject", "GetObject", "UploadPart", "DeleteObject"].map(Kind::of);
        assert_eq!(kinds, [Kind::List, Kind::Read, Kind::Read, Kind::Write, Kind::Write]);
        let kinds =
            ["ListTags", "ListReferrers", "HeadManifest", "GetBlob", "GetToken", "PutManifest", "MountBlob", "UploadStatus"].map(Kind::of);
        let (list, read, write) = (Kind::List, Kind::Read, Kind::Write);
        assert_eq!(kinds, [list, list, read, read, read, write, write, write]);
    }

    #[tokio::test]
    async fn windows_are_shared_and_forgotten() {
        let windows = Windows::default();
        let one = windows.of("http://S3.example.com/", Kind::Read);
        let same = windows.of("http://s3.example.com", Kind::Read);
        let other = windows.of("http://s3.example.com", Kind::List);
        let _pass = one.enter().await;
        assert_eq!((same.in_use(), other.in_use(), windows.len()), (1, 0, 2));
        drop((one, same));
        let again = windows.of("http://elsewhere.example.com", Kind::Read);
        assert_eq!((windows.len(), again.in_use()), (3, 0), "a pass still uses it");
        drop((_pass, other));
        let _new = windows.of("http://new.example.com", Kind::Read);
        assert_eq!(windows.len(), 2);
    }
}
