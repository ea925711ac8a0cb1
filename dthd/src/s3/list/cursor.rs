//! From page to page through a listing, on guard against stores that go round in circles.

use std::sync::Arc;

use dth_proto::failure::{FailureClass, Side};

use super::{ListPages, OPERATION, Page};
use crate::{s3::object::Entry, transfer::TransferError};

/// Pages in a row that bring nothing, after which a listing counts as endless. Stores do send empty pages, e.g. over long
/// stretches of delete markers, so this is far above what a healthy one needs.
const MOST_EMPTY_PAGES: u32 = 10_000;

/// Reads pages one after the other.
pub(in crate::s3) struct PageCursor<S> {
    source: Arc<S>,
    side: Side,
    prefix: String,
    ordered: bool,
    /// Keys up to here are dropped: stores differ in whether `start-after` includes the key, and some ignore it.
    floor: Option<String>,
    place: Place,
    progress: Progress,
}

enum Place {
    After(Option<String>),
    Token(String),
    End,
}

impl<S: ListPages> PageCursor<S> {
    /// For stores that list in byte order: begins behind `start_after`.
    pub(in crate::s3) fn ordered(source: Arc<S>, side: Side, prefix: String, start_after: Option<String>) -> Self {
        let place = Place::After(start_after.clone());
        Self { source, side, prefix, ordered: true, floor: start_after, place, progress: Progress::default() }
    }

    /// For stores with an order of their own: there is no place in such a listing that `start_after` could name, so it is
    /// read from its beginning and what comes before is dropped.
    pub(in crate::s3) fn unordered(source: Arc<S>, side: Side, prefix: String, start_after: Option<String>) -> Self {
        let place = Place::After(None);
        Self { source, side, prefix, ordered: false, floor: start_after, place, progress: Progress::default() }
    }

    /// The entries of the next page; may be empty. `None` at the end.
    pub(in crate::s3) async fn next(&mut self) -> Result<Option<Vec<Entry>>, TransferError> {
        let page = match &self.place {
            Place::After(key) => self.source.page(&self.prefix, key.as_deref(), None).await?,
            Place::Token(token) => self.source.page(&self.prefix, None, Some(token)).await?,
            Place::End => return Ok(None),
        };
        if let Some(stray) = page.entries.iter().find(|e| !e.key.starts_with(&self.prefix)) {
            let message = format!("the store answered with {:?} when asked for keys that begin with {:?}", stray.key, self.prefix);
            return Err(self.senseless("ListOutsidePrefix", message));
        }
        self.place = self.after(&page)?;
        let mut entries = page.entries;
        if let Some(floor) = &self.floor {
            entries.retain(|entry| entry.key > *floor);
        }
        if let Place::After(last) = &self.place {
            self.floor.clone_from(last);
        }
        Ok(Some(entries))
    }

    fn after(&mut self, page: &Page) -> Result<Place, TransferError> {
        let Some(token) = &page.next else {
            return Ok(Place::End);
        };
        if let Err(round) = self.progress.pass(page, token) {
            return Err(self.senseless("ListLoop", format!("the store's listing of {:?} has no end: {round}", self.prefix)));
        }
        match page.entries.last() {
            _ if !token.is_empty() => Ok(Place::Token(token.clone())),
            Some(last) if self.ordered => Ok(Place::After(Some(last.key.clone()))),
            _ => {
                let message = "the store says there is more but not where: no token, and no last key in byte order to go on from";
                Err(self.senseless("ListNoToken", message.to_owned()))
            }
        }
    }

    fn senseless(&self, code: &str, message: String) -> TransferError {
        TransferError::new(FailureClass::Permanent, self.side, OPERATION, code, message)
    }
}

/// Sees circles of any length with the memory of two pages (Brent's algorithm): besides the page before, it remembers one
/// page, and a later one each time the distance has doubled.
#[derive(Default)]
struct Progress {
    previous: Option<Mark>,
    anchor: Option<Mark>,
    steps: u64,
    stride: u64,
    empty: u32,
}

/// What makes two pages the same for this purpose. The token alone would not do: a store may keep its cursor to itself.
#[derive(Clone, PartialEq, Eq)]
struct Mark {
    token: String,
    first: Option<String>,
    last: Option<String>,
}

impl Progress {
    fn pass(&mut self, page: &Page, token: &str) -> Result<(), &'static str> {
        let first = page.entries.first().map(|e| e.key.clone());
        let last = page.entries.last().map(|e| e.key.clone());
        self.empty = if first.is_some() { 0 } else { self.empty + 1 };
        if self.empty > MOST_EMPTY_PAGES {
            return Err("page after page without a key");
        }
        let mark = Mark { token: token.to_owned(), first, last };
        if self.previous.as_ref() == Some(&mark) || self.anchor.as_ref() == Some(&mark) {
            return Err("the same page came again");
        }
        self.steps += 1;
        if self.steps >= self.stride {
            self.anchor = Some(mark.clone());
            self.stride = (self.stride * 2).max(1);
            self.steps = 0;
        }
        self.previous = Some(mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn circles_of_any_length_are_seen_and_long_listings_are_not(lead in 0u32..200, circle in 1u32..100) {
            let mut progress = Progress::default();
            let straight = (0..lead + circle).all(|n| progress.pass(&Page::default(), &n.to_string()).is_ok());
            prop_assert!(straight, "no page came twice");
            // within three times the length of lead and circle, by Brent's bound
            let seen = (0..3 * (lead + circle) + 3).any(|n| progress.pass(&Page::default(), &(lead + n % circle).to_string()).is_err());
            prop_assert!(seen);
        }
    }

    #[test]
    fn empty_pages_are_borne_for_a_while() {
        let mut progress = Progress::default();
        let borne = (0..=MOST_EMPTY_PAGES).take_while(|n| progress.pass(&Page::default(), &n.to_string()).is_ok()).count();
        assert_eq!(borne, MOST_EMPTY_PAGES as usize);
    }
}
