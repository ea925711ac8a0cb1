//! A bucket's place in the windows of its endpoint: each request waits for its turn, and tells how it was answered.

use std::time::Duration;

use crate::transfer::{
    TransferError,
    window::{Answer, Kind, Pass, Verdict, Window, Windows},
};

/// See the module. One window for listings, one for what reads, one for what writes: they load a store in different ways.
pub(super) struct Load {
    list: Window,
    read: Window,
    write: Window,
}

/// A request that may be sent.
pub(super) struct Turn {
    pass: Pass,
    first: Option<Duration>,
    listing: bool,
}

impl Load {
    /// In the windows of a place. A bucket with a host of its own (`bucket.host`) is an endpoint by itself: stores limit requests
    /// there (AWS: "Best practices design patterns: optimizing Amazon S3 performance").
    pub(super) fn at(windows: &Windows, place: &str, own_host: Option<&String>) -> Self {
        let endpoint = own_host.map_or_else(|| place.to_owned(), |bucket| format!("{bucket}.{place}"));
        Self { list: windows.of(&endpoint, Kind::List), read: windows.of(&endpoint, Kind::Read), write: windows.of(&endpoint, Kind::Write) }
    }

    pub(super) async fn turn(&self, operation: &str) -> Turn {
        let kind = Kind::of(operation);
        Turn { pass: self.window(kind).enter().await, first: None, listing: kind == Kind::List }
    }

    pub(super) fn limit(&self, kind: Kind) -> usize {
        self.window(kind).limit()
    }

    fn window(&self, kind: Kind) -> &Window {
        match kind {
            Kind::List => &self.list,
            Kind::Read => &self.read,
            Kind::Write => &self.write,
        }
    }
}

impl Turn {
    /// The head of the answer is there.
    pub(super) fn began_to_answer(&mut self) {
        self.first = Some(self.pass.elapsed());
    }

    /// It is over; `bytes` of object data were moved.
    pub(super) fn answered(self, bytes: u64, error: Option<&TransferError>) {
        let latency = self.first.unwrap_or_else(|| self.pass.elapsed());
        // every page of a listing is as large as the others
        let bytes = if self.listing { 0 } else { bytes };
        self.pass.done(Answer { latency, bytes, verdict: Verdict::of(error) });
    }
}
