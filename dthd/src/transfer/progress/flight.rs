//! Which items are on their way, for as long as they are.

use std::sync::{Arc, atomic::Ordering};

use dth_proto::view::InFlight;

use super::{ItemProgress, Progress, lock};

/// Blobs that are shown of an image in flight.
const BLOBS: usize = 10;

struct Flying {
    key: String,
    size: u64,
    item: Arc<ItemProgress>,
}

impl Flying {
    fn done(&self) -> u64 {
        self.item.bytes.load(Ordering::Relaxed).min(self.size)
    }

    fn shown(&self) -> InFlight {
        InFlight {
            key: self.key.clone(),
            size: self.size,
            done: self.done(),
            parts: match self.item.parts_total.load(Ordering::Relaxed) {
                0 | 1 => None,
                total => Some((self.item.parts.load(Ordering::Relaxed), total)),
            },
            blobs: self.item.blobs_in_flight(BLOBS),
        }
    }
}

/// Objects in flight. Places are used again, so that memory follows the number of objects that fly at once.
#[derive(Default)]
pub(super) struct Flights {
    places: Vec<Option<Flying>>,
    free: Vec<usize>,
}

impl Flights {
    fn add(&mut self, flying: Flying) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(flying);
                place
            }
            None => {
                self.places.push(Some(flying));
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) -> Option<Flying> {
        self.free.push(place);
        self.places[place].take()
    }

    fn all(&self) -> impl Iterator<Item = &Flying> {
        self.places.iter().flatten()
    }

    /// Bytes that the destination has of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.all().map(Flying::done).sum()
    }

    /// The largest, at most `limit`, and how many there are.
    pub(super) fn largest(&self, limit: usize) -> (Vec<InFlight>, u64) {
        let mut list: Vec<&Flying> = self.all().collect();
        let count = list.len() as u64;
        list.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.key.cmp(&b.key)));
        (list.into_iter().take(limit).map(Flying::shown).collect(), count)
    }
}

/// Removes an object from the list of those in flight when it goes.
pub struct Flight {
    progress: Arc<Progress>,
    place: usize,
    /// Written by the copy.
    pub item: Arc<ItemProgress>,
}

impl Flight {
    pub(super) fn begin(progress: &Arc<Progress>, key: &str, size: u64) -> Self {
        let item = Arc::new(ItemProgress::default());
        let flying = Flying { key: key.to_owned(), size, item: Arc::clone(&item) };
        let place = lock(&progress.in_flight).add(flying);
        Self { progress: Arc::clone(progress), place, item }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // dropped behind the lock
        let _gone = lock(&self.progress.in_flight).remove(self.place);
    }
}
