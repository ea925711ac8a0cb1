//! What goes wrong on purpose: for which requests, how often, and what.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{operation::Operation, route::Call, store::Object, wire::Wire};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// 503 `SlowDown`.
    SlowDown,
    /// 500 `InternalError`.
    InternalError,
    /// 403 `AccessDenied`.
    Deny,
    /// The connection is reset; the request is not carried out.
    Reset,
    /// The request is carried out, then the connection is reset without an answer.
    ResetAfter,
    /// The request waits this long.
    Delay(Duration),
    /// The connection breaks after this many bytes of the body, short of what was announced.
    Truncate(u64),
    /// The byte of the body at this position (modulo its length) is wrong.
    Corrupt(u64),
    /// The byte at this position (modulo its length) of the body that comes is turned around on its way: a digest that came along shows it.
    CorruptBody(u64),
    /// The store keeps other bytes than it received and checked: the one at this position (modulo their number) is turned around.
    StoreOther(u64),
    /// After the answer was prepared, the object becomes this one.
    Swap(Arc<Object>),
    /// Listing in the order of directories instead of bytes: `a/b` before `a-b`, as SeaweedFS does.
    DirectoryOrder,
    /// The page says it is not the last one, and gives no token to go on with.
    TruncatedWithoutToken,
    /// The page's token leads to the same page again.
    RepeatPage,
    /// The request is not carried out; the answer is 200 with an `<Error>` in it, as AWS may do for `CompleteMultipartUpload`.
    ErrorIn200,
    /// The request is carried out and answered with 500 `InternalError`.
    ErrorAfter,
    /// The page ignores that keys were asked for in URL encoding; control characters are written as XML entities.
    PlainKeys,
    /// The same with control characters as they are, which XML 1.0 forbids.
    RawKeys,
    /// The body ends after this many bytes, and the length that is announced agrees.
    Shorten(u64),
    /// The request is not carried out; this is the answer.
    Answer(Answer),
    /// The request is carried out, and its answer takes a way that no HTTP library would choose.
    Wire(Wire),
}

/// An answer made up by a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, as it is.
    pub body: String,
}

impl Answer {
    /// An answer without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// An error as S3 words it.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>made up: {code}</Message></Error>");
        Self { status, headers: Vec::new(), body }.header("content-type", "application/xml")
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

/// An [`Action`] with the requests it is for.
#[derive(Clone, Debug)]
pub struct Fault {
    action: Action,
    operations: Vec<Operation>,
    prefix: String,
    key: Option<String>,
    ranged: bool,
    turn: Turn,
}

/// Which of the requests that match are struck.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    Always,
    Every(u64),
    Only(u64),
    First(u64),
    After(u64),
    Share(u64, u64),
}

impl Turn {
    /// Whether it is the turn of matching request number `count` (from 1).
    pub fn comes(self, count: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Every(n) => count.checked_rem(n) == Some(0),
            Self::Only(n) => count == n,
            Self::First(n) => count <= n,
            Self::After(n) => count > n,
            Self::Share(some, of) => count.checked_rem(of).is_some_and(|turn| turn < some),
        }
    }
}

impl Fault {
    /// A fault that strikes every request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self { action, operations: Vec::new(), prefix: String::new(), key: None, ranged: false, turn: Turn::Always }
    }

    /// Only these operations.
    #[must_use]
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations = operations.into_iter().collect();
        self
    }

    /// Only keys that begin with this.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Only this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
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

    /// All of the requests that match but the first `n`.
    #[must_use]
    pub fn after(mut self, n: u64) -> Self {
        self.turn = Turn::After(n);
        self
    }

    /// Only `some` of each `of` requests that match.
    #[must_use]
    pub fn share(mut self, some: u64, of: u64) -> Self {
        self.turn = Turn::Share(some, of);
        self
    }

    fn matches(&self, call: &Call) -> bool {
        (self.operations.is_empty() || self.operations.contains(&call.operation))
            && call.key.starts_with(&self.prefix)
            && self.key.as_ref().is_none_or(|key| *key == call.key)
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
            armed.matched += u64::from(armed.fault.matches(call));
            let strikes = armed.fault.matches(call) && armed.fault.turn.comes(armed.matched);
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

    fn call(uri: &str, ranged: bool) -> Call {
        let mut headers = HeaderMap::new();
        if ranged {
            headers.insert("range", "bytes=0-1".parse().unwrap());
        }
        Call::parse(&Method::GET, &uri.parse().unwrap(), headers, "localhost").unwrap()
    }

    #[test]
    fn turns_come_by_count() {
        let turns = |turn: Turn| (1..=6).filter(|count| turn.comes(*count)).collect::<Vec<_>>();
        assert_eq!(turns(Turn::Every(3)), [3, 6]);
        assert_eq!(turns(Turn::Only(2)), [2]);
        assert_eq!(turns(Turn::First(2)), [1, 2]);
        assert_eq!(turns(Turn::Always).len(), 6);
        assert_eq!(turns(Turn::Share(2, 4)), [1, 4, 5]);
        assert!(turns(Turn::Every(0)).is_empty());
    }

    #[test]
    fn only_matching_requests_count() {
        let faults = Faults::default();
        let id = faults.add(Fault::new(Action::Reset).on([Operation::GetObject]).prefix("a/").ranged().nth(2));
        for (uri, ranged, strikes) in [
            ("/b/a/1", true, false),
            ("/b/a/1", false, false),
            ("/b/c/1", true, false),
            ("/b?list-type=2", true, false),
            ("/b/a/2", true, true),
            ("/b/a/3", true, false),
        ] {
            assert_eq!(!faults.strike(&call(uri, ranged)).is_empty(), strikes, "{uri}");
        }
        assert_eq!(faults.struck(id), 1);
        faults.remove(id);
        assert!(faults.strike(&call("/b/a/1", true)).is_empty());
    }
}
