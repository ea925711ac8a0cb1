//! What goes wrong on purpose: for which requests, how often, and what.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{operation::Operation, refusal::refusal, route::Call};
use crate::s3::{Answer, fault::Turn, read::http_time};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The request is not carried out; this is the answer.
    Answer(Answer),
    /// The request is carried out; this is the answer all the same.
    AnswerAfter(Answer),
    /// 429 `TOOMANYREQUESTS`, from ECR's API 400 `ThrottlingException`; the request is not carried out.
    TooMany(Option<RetryAfter>),
    /// The connection is reset; the request is not carried out.
    Reset,
    /// The request is carried out, then the connection is reset without an answer.
    ResetAfter,
    /// The request waits this long.
    Delay(Duration),
    /// The connection breaks after this many bytes of the answer, short of what was announced.
    BreakDownload(u64),
    /// The connection is reset after this many bytes of the request's body.
    BreakUpload(u64),
    /// The answer's body comes with this many bytes per second.
    Slow(u64),
    /// The answer announces this length instead of its own.
    Length(u64),
    /// One bit of the blob or manifest is wrong, in the byte at this position (modulo the length of all of it, not of a range).
    FlipBit(u64),
    /// The content ends after this many bytes, and the length that is announced agrees.
    Shorten(u64),
    /// `Docker-Content-Digest` says this.
    Digest(String),
    /// A `Range` is ignored: the answer is 200 and everything.
    IgnoreRange,
    /// What was there is gone: a manifest's blobs just before it is put, a blob just after somebody was told that it exists.
    Vanish,
    /// All tokens given out so far are no longer valid, from this request on.
    ExpireTokens,
}

/// When to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds, as a number.
    Seconds(u64),
    /// The same as a date.
    Date(u64),
}

impl RetryAfter {
    /// As it stands in the header (RFC 9110 10.2.3).
    pub(super) fn text(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            // a date has whole seconds: one more, so that the wait is not shorter than asked for
            Self::Date(seconds) => http_time(Timestamp::now() + SignedDuration::from_secs(seconds as i64 + 1)),
        }
    }
}

/// An [`Action`] with the requests it is for.
#[derive(Clone, Debug)]
pub struct Fault {
    action: Action,
    operations: Vec<Operation>,
    repository: Option<String>,
    reference: Option<String>,
    ranged: bool,
    turn: Turn,
}

impl Fault {
    /// A fault that strikes every request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self { action, operations: Vec::new(), repository: None, reference: None, ranged: false, turn: Turn::Always }
    }

    /// The answer is 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(Action::Answer(refusal(503, "UNAVAILABLE")))
    }

    /// Only these operations.
    #[must_use]
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations = operations.into_iter().collect();
        self
    }

    /// Only this repository.
    #[must_use]
    pub fn repository(mut self, name: &str) -> Self {
        self.repository = Some(name.to_owned());
        self
    }

    /// Only this tag, digest or upload.
    #[must_use]
    pub fn reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    /// Only requests with a `Range`.
    #[must_use]
    pub fn ranged(mut self) -> Self {
        self.ranged = true;
        self
    }

    /// Only each `n`th of the requests that match.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.turn = Turn::Every(n);
        self
    }

    /// Only the `n`th of the requests that match, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.turn = Turn::Only(n);
        self
    }

    /// Only the first `n` of the requests that match.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.turn = Turn::First(n);
        self
    }

    /// Only `some` of each `of` requests that match: a burst.
    #[must_use]
    pub fn share(mut self, some: u64, of: u64) -> Self {
        self.turn = Turn::Share(some, of);
        self
    }

    fn matches(&self, call: &Call) -> bool {
        (self.operations.is_empty() || self.operations.contains(&call.operation))
            && self.repository.as_ref().is_none_or(|name| *name == call.repository)
            && self.reference.as_ref().is_none_or(|reference| *reference == call.reference)
            && (!self.ranged || call.headers.contains_key("range"))
    }
}

/// Names a fault that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// The faults of a server; they can be changed while it runs.
#[derive(Debug, Default)]
pub struct Faults(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    added: u64,
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    matched: u64,
    struck: u64,
}

impl Faults {
    fn with<T>(&self, f: impl FnOnce(&mut List) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a fault; all faults whose turn it is strike a request, in the order they were added.
    pub fn add(&self, fault: Fault) -> FaultId {
        self.with(|list| {
            list.added += 1;
            let id = FaultId(list.added);
            list.armed.push(Armed { id, fault, matched: 0, struck: 0 });
            id
        })
    }

    /// Takes a fault away.
    pub fn remove(&self, id: FaultId) {
        self.with(|list| list.armed.retain(|armed| armed.id != id));
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.with(|list| list.armed.clear());
    }

    /// How many requests a fault has struck; 0 when it was taken away.
    #[must_use]
    pub fn struck(&self, id: FaultId) -> u64 {
        self.with(|list| list.armed.iter().find(|armed| armed.id == id).map_or(0, |armed| armed.struck))
    }

    /// What happens to this request.
    pub(super) fn strike(&self, call: &Call) -> Vec<Action> {
        let turn = |armed: &mut Armed| {
            if !armed.fault.matches(call) {
                return None;
            }
            armed.matched += 1;
            let strikes = armed.fault.turn.comes(armed.matched);
            armed.struck += u64::from(strikes);
            strikes.then(|| armed.fault.action.clone())
        };
        self.with(|list| list.armed.iter_mut().filter_map(turn).collect())
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;
    use crate::registry::route::Entrance;

    fn call(uri: &str, ranged: bool) -> Call {
        let mut headers = HeaderMap::new();
        if ranged {
            headers.insert("range", "bytes=0-1".parse().expect("a header"));
        }
        Call::parse(Entrance::Registry, &Method::GET, &uri.parse().expect("a URI"), headers).expect("understood")
    }

    #[test]
    fn only_matching_requests_count() {
        let faults = Faults::default();
        let fault = Fault::new(Action::Reset).on([Operation::GetBlob]).repository("a").ranged().nth(2);
        let id = faults.add(fault.reference("sha256:ab"));
        for (uri, ranged, strikes) in [
            ("/v2/a/blobs/sha256:ab", true, false),
            ("/v2/a/blobs/sha256:ab", false, false),
            ("/v2/b/blobs/sha256:ab", true, false),
            ("/v2/a/blobs/sha256:cd", true, false),
            ("/v2/a/manifests/sha256:ab", true, false),
            ("/v2/a/blobs/sha256:ab", true, true),
            ("/v2/a/blobs/sha256:ab", true, false),
        ] {
            assert_eq!(!faults.strike(&call(uri, ranged)).is_empty(), strikes, "{uri}");
        }
        assert_eq!(faults.struck(id), 1);
        faults.remove(id);
        assert!(faults.strike(&call("/v2/a/blobs/sha256:ab", true)).is_empty());
    }

    #[test]
    fn times_to_come_again_are_as_http_has_them() {
        assert_eq!(RetryAfter::Seconds(7).text(), "7");
        let date = jiff::fmt::rfc2822::parse(&RetryAfter::Date(60).text()).expect("a date").timestamp();
        let ahead = date.duration_since(Timestamp::now()).as_secs();
        assert!((59..=61).contains(&ahead), "{ahead}");
    }
}
