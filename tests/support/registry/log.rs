//! What was asked of a server, request by request, with the bytes that really moved.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{operation::Operation, route::Call};

/// A request, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was asked for.
    pub operation: Operation,
    /// Method of HTTP.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Empty where there is none.
    pub repository: String,
    /// Tag, digest or upload id.
    pub reference: String,
    /// Status of the answer; 0: there was none (yet).
    pub status: u16,
    /// Bytes of its body that arrived.
    pub received: u64,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
}

/// The requests a server has received so far, in the order they came, those struck by a fault included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them.
    pub entries: Vec<Entry>,
    most_open: BTreeMap<Operation, u64>,
}

impl Requests {
    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many are of one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        self.count(|entry| entry.operation == operation)
    }

    /// How many satisfy a condition.
    #[must_use]
    pub fn count(&self, holds: impl Fn(&Entry) -> bool) -> u64 {
        self.entries.iter().filter(|entry| holds(entry)).count() as u64
    }

    /// How many ask for a change of what the registry has, whether or not it was granted.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.count(|entry| entry.operation.writes())
    }

    /// Bytes of request bodies.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.entries.iter().map(|entry| entry.received).sum()
    }

    /// Bytes of answers.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.entries.iter().map(|entry| entry.sent).sum()
    }

    /// How many requests of one operation were under way at the same time, at most; the answer's body belongs to a request.
    #[must_use]
    pub fn most_at_once(&self, operation: Operation) -> u64 {
        self.most_open.get(&operation).copied().unwrap_or_default()
    }
}

/// Keeps [`Requests`]. Clones write to the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    requests: Requests,
    open: BTreeMap<Operation, u64>,
    /// How often it was begun anew.
    volume: u64,
}

impl Log {
    fn with<T>(&self, f: impl FnOnce(&mut Book) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes a request down; it is under way until the page is dropped.
    pub fn begin(&self, call: &Call) -> Page {
        let entry = Entry {
            operation: call.operation,
            method: call.method.to_string(),
            target: call.target.clone(),
            repository: call.repository.clone(),
            reference: call.reference.clone(),
            status: 0,
            received: 0,
            sent: 0,
        };
        self.with(|book| {
            let open = book.open.entry(call.operation).or_default();
            *open += 1;
            let most = book.requests.most_open.entry(call.operation).or_default();
            *most = (*most).max(*open);
            book.requests.entries.push(entry);
            Page { log: self.clone(), operation: call.operation, volume: book.volume, at: book.requests.entries.len() - 1 }
        })
    }

    pub fn snapshot(&self) -> Requests {
        self.with(|book| book.requests.clone())
    }

    pub fn reset(&self) {
        self.with(|book| {
            book.requests = Requests::default();
            book.volume += 1;
        });
    }
}

/// The line of a request under way.
#[derive(Debug)]
pub(super) struct Page {
    log: Log,
    operation: Operation,
    volume: u64,
    at: usize,
}

impl Page {
    fn with(&self, f: impl FnOnce(&mut Entry)) {
        self.log.with(|book| {
            if book.volume == self.volume
                && let Some(entry) = book.requests.entries.get_mut(self.at)
            {
                f(entry);
            }
        });
    }

    pub fn repository(&self, name: &str) {
        self.with(|entry| name.clone_into(&mut entry.repository));
    }

    pub fn received(&self, bytes: usize) {
        self.with(|entry| entry.received += bytes as u64);
    }

    pub fn sent(&self, bytes: usize) {
        self.with(|entry| entry.sent += bytes as u64);
    }

    pub fn answered(&self, status: u16) {
        self.with(|entry| entry.status = status);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.log.with(|book| *book.open.entry(self.operation).or_insert(1) -= 1);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;
    use crate::registry::route::Entrance;

    #[test]
    fn requests_are_counted_while_and_after_they_run() {
        let log = Log::default();
        let uri = "/v2/a/blobs/sha256:ab".parse().expect("a URI");
        let call = Call::parse(Entrance::Registry, &Method::GET, &uri, HeaderMap::new()).expect("understood");
        let (one, two) = (log.begin(&call), log.begin(&call));
        one.sent(5);
        one.answered(200);
        drop(one);
        drop(log.begin(&call));
        let requests = log.snapshot();
        assert_eq!((requests.of(Operation::GetBlob), requests.most_at_once(Operation::GetBlob)), (3, 2));
        assert_eq!((requests.sent(), requests.writes(), requests.entries[0].status), (5, 0, 200));
        log.reset();
        two.sent(7);
        assert_eq!(log.snapshot(), Requests::default(), "what began before counts no more");
    }
}
