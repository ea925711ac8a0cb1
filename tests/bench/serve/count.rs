//! What was asked of the server, and which objects were written.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::query::Query;

/// Seconds of writes that are kept one by one.
const SECONDS: usize = 3_600;

/// A request by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Get,
    Head,
    Put,
    Create,
    Part,
    Complete,
    Other,
}

impl Operation {
    const ALL: [Self; 8] = [Self::List, Self::Get, Self::Head, Self::Put, Self::Create, Self::Part, Self::Complete, Self::Other];

    pub(super) fn of(method: &Method, key: &str, query: &Query<'_>) -> Self {
        const BUCKET: [&str; 4] = ["versioning", "location", "uploads", "policy"];
        match method.as_str() {
            "GET" if key.is_empty() && !BUCKET.iter().any(|name| query.has(name)) => Self::List,
            "GET" if !key.is_empty() && !query.has("tagging") && !query.has("uploadId") => Self::Get,
            "HEAD" if !key.is_empty() => Self::Head,
            "PUT" if query.has("partNumber") => Self::Part,
            "PUT" if !key.is_empty() && !query.has("tagging") => Self::Put,
            "POST" if query.has("uploads") => Self::Create,
            "POST" if query.has("uploadId") => Self::Complete,
            _ => Self::Other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::List => "ListObjects",
            Self::Get => "GetObject",
            Self::Head => "HeadObject",
            Self::Put => "PutObject",
            Self::Create => "CreateMultipartUpload",
            Self::Part => "UploadPart",
            Self::Complete => "CompleteMultipartUpload",
            Self::Other => "other",
        }
    }
}

/// What a server has seen until its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests by operation, refused ones included.
    pub requests: BTreeMap<String, u64>,
    /// Requests answered 503.
    pub refused: u64,
    /// Different objects written whole.
    pub written: u64,
    /// Writes of unknown keys or of a wrong length.
    pub wrong: u64,
    /// Bytes of request bodies.
    pub received: u64,
    /// Bytes of answers.
    pub sent: u64,
    /// Objects written in each second since the first request.
    pub written_per_second: Vec<u64>,
}

impl Counts {
    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// The same while it grows.
pub(super) struct Counter {
    requests: [AtomicU64; 8],
    total: AtomicU64,
    refused: AtomicU64,
    wrong: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    /// One bit per object of the source.
    written: Vec<AtomicU64>,
    per_second: Vec<AtomicU64>,
    first: OnceLock<Instant>,
}

impl Counter {
    pub(super) fn new(objects: u64) -> Self {
        let zeros = |n: u64| (0..n).map(|_| AtomicU64::new(0)).collect();
        Self {
            requests: Default::default(),
            total: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            written: zeros(objects.div_ceil(64)),
            per_second: zeros(SECONDS as u64),
            first: OnceLock::new(),
        }
    }

    fn age(&self) -> Duration {
        self.first.get_or_init(Instant::now).elapsed()
    }

    /// Counts a request and says whether it is to be refused.
    pub(super) fn request(&self, operation: Operation, share: f64, until: Duration) -> bool {
        self.requests[operation as usize].fetch_add(1, Relaxed);
        let n = self.total.fetch_add(1, Relaxed);
        let age = self.age();
        let refused = share > 0.0 && age < until && even(n) < share;
        self.refused.fetch_add(refused.into(), Relaxed);
        refused
    }

    /// Counts bytes in and out.
    pub(super) fn moved(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
    }

    /// Object `n` was written; `None`: something that should not have been.
    pub(super) fn wrote(&self, n: Option<u64>) {
        let Some((n, word)) = n.and_then(|n| Some((n, self.written.get((n / 64) as usize)?))) else {
            self.wrong.fetch_add(1, Relaxed);
            return;
        };
        word.fetch_or(1 << (n % 64), Relaxed);
        if let Some(second) = self.per_second.get(self.age().as_secs() as usize) {
            second.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn has(&self, n: u64) -> bool {
        self.written.get((n / 64) as usize).is_some_and(|word| word.load(Relaxed) >> (n % 64) & 1 == 1)
    }

    pub(super) fn counts(&self) -> Counts {
        let requests = Operation::ALL.iter().map(|o| (o.word().to_owned(), self.requests[*o as usize].load(Relaxed)));
        let mut per_second: Vec<u64> = self.per_second.iter().map(|n| n.load(Relaxed)).collect();
        per_second.truncate(per_second.iter().rposition(|n| *n > 0).map_or(0, |last| last + 1));
        Counts {
            requests: requests.filter(|(_, n)| *n > 0).collect(),
            refused: self.refused.load(Relaxed),
            written: self.written.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum(),
            wrong: self.wrong.load(Relaxed),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            written_per_second: per_second,
        }
    }
}

/// A number from 0 to 1 for each n, the same every time (splitmix64): which requests are refused must not differ from run to run.
fn even(n: u64) -> f64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_count_once_and_unknown_ones_are_wrong() {
        let counter = Counter::new(70);
        for n in [0, 69, 69] {
            counter.wrote(Some(n));
        }
        counter.wrote(None);
        counter.wrote(Some(128));
        let counts = counter.counts();
        assert_eq!((counts.written, counts.wrong), (2, 2));
        assert_eq!(counts.written_per_second.iter().sum::<u64>(), 3);
        assert!(counter.has(69) && !counter.has(1) && !counter.has(1_000));
    }

    #[test]
    fn the_share_that_is_refused_is_the_one_asked_for() {
        let counter = Counter::new(1);
        let refused = (0..10_000).filter(|_| counter.request(Operation::Get, 0.3, Duration::MAX)).count();
        assert!((2_900..3_100).contains(&refused), "{refused}");
        assert!(!counter.request(Operation::Get, 1.0, Duration::ZERO));
        assert_eq!(counter.counts().total(), 10_001);
    }

    #[test]
    fn operations_are_told_apart() {
        for (method, key, query, operation) in [
            (Method::GET, "", "list-type=2", Operation::List),
            (Method::GET, "", "versioning", Operation::Other),
            (Method::GET, "k", "x-id=GetObject", Operation::Get),
            (Method::GET, "k", "tagging", Operation::Other),
            (Method::HEAD, "k", "", Operation::Head),
            (Method::HEAD, "", "", Operation::Other),
            (Method::PUT, "k", "", Operation::Put),
            (Method::PUT, "k", "partNumber=1&uploadId=2", Operation::Part),
            (Method::POST, "k", "uploads", Operation::Create),
            (Method::POST, "k", "uploadId=2", Operation::Complete),
            (Method::DELETE, "k", "uploadId=2", Operation::Other),
        ] {
            assert_eq!(Operation::of(&method, key, &Query::parse(Some(query))), operation, "{method} {key} {query}");
        }
    }
}
