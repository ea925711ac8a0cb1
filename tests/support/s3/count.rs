//! How often each request came, and how many bytes it carried.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{operation::Operation, route::Call};

/// A page of a listing, as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What its keys begin with.
    pub prefix: String,
    /// Its keys come behind this one.
    pub after: String,
    /// Its last key; `None`: it has none.
    pub last: Option<String>,
    /// How many keys it has.
    pub keys: usize,
}

/// The requests a server has received so far, those struck by a fault included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    counts: BTreeMap<(Operation, String), u64>,
    parts: BTreeMap<(String, u32), u64>,
    open: BTreeMap<Operation, u64>,
    most_open: BTreeMap<Operation, u64>,
    /// The pages of listings, in the order in which they were told.
    pub pages: Vec<Listed>,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers, as far as they were announced.
    pub bytes_out: u64,
}

impl Requests {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Those of one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        self.counts.iter().filter(|((op, _), _)| *op == operation).map(|(_, count)| count).sum()
    }

    /// Those of one operation for one key (empty for operations on a bucket).
    #[must_use]
    pub fn of_key(&self, operation: Operation, key: &str) -> u64 {
        self.counts.get(&(operation, key.to_owned())).copied().unwrap_or_default()
    }

    /// How many requests of one operation were under way at the same time, at most.
    #[must_use]
    pub fn most_at_once(&self, operation: Operation) -> u64 {
        self.most_open.get(&operation).copied().unwrap_or_default()
    }

    /// How often each part of an object was sent, or copied by the store, by part number.
    #[must_use]
    pub fn parts(&self, key: &str) -> BTreeMap<u32, u64> {
        let of_key = self.parts.iter().filter(|((of, _), _)| of == key);
        of_key.map(|((_, number), count)| (*number, *count)).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Requests>);

impl Counter {
    fn with<T>(&self, f: impl FnOnce(&mut Requests) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn request(&self, call: &Call) {
        let is_part = matches!(call.operation, Operation::UploadPart | Operation::UploadPartCopy);
        let part = call.query.get("partNumber").and_then(|text| text.parse().ok()).filter(|_| is_part);
        self.with(|requests| {
            *requests.counts.entry((call.operation, call.key.clone())).or_default() += 1;
            if let Some(number) = part {
                *requests.parts.entry((call.key.clone(), number)).or_default() += 1;
            }
        });
    }

    /// The request is under way until what is returned is dropped.
    pub fn open(&self, operation: Operation) -> Open<'_> {
        self.with(|requests| {
            let open = requests.open.entry(operation).or_default();
            *open += 1;
            let most = requests.most_open.entry(operation).or_default();
            *most = (*most).max(*open);
        });
        Open { counter: self, operation }
    }

    pub fn page(&self, page: Listed) {
        self.with(|requests| requests.pages.push(page));
    }

    pub fn received(&self, bytes: u64) {
        self.with(|requests| requests.bytes_in += bytes);
    }

    pub fn answered(&self, bytes: u64) {
        self.with(|requests| requests.bytes_out += bytes);
    }

    pub fn snapshot(&self) -> Requests {
        self.with(|requests| requests.clone())
    }

    pub fn reset(&self) {
        self.with(|requests| *requests = Requests { open: std::mem::take(&mut requests.open), ..Requests::default() });
    }
}

/// A request under way.
pub(super) struct Open<'c> {
    counter: &'c Counter,
    operation: Operation,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.counter.with(|requests| *requests.open.entry(self.operation).or_insert(1) -= 1);
    }
}
