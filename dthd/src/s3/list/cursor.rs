//! From page to page through a listing, on guard against stores that go round in circles.

use std::sync::Arc;

use dth_proto::failure::{FailureClass, Side};

use super::{
    Answer, ListError, ListPages, OPERATION, Pages,
    bound::{Bound, Range},
};
use crate::{
    s3::{
        order::{OrderCheck, OutOfOrder},
        page::Page,
    },
    transfer::TransferError,
};

/// Pages in a row that bring nothing, after which a listing counts as endless. Stores do send empty pages, e.g. over long
/// stretches of delete markers, so this is far above what a healthy one needs.
const MOST_EMPTY_PAGES: u32 = 10_000;

/// Reads pages one after the other.
pub(in crate::s3) struct PageCursor<S> {
    source: Arc<S>,
    side: Side,
    prefix: String,
    /// Only for stores that list in byte order.
    order: Option<OrderCheck>,
    /// Keys up to here are dropped: stores differ in whether `start-after` includes the key, and some ignore it.
    floor: Option<String>,
    until: Bound,
    /// The last key so far, else where the range begins.
    last: Option<String>,
    place: Place,
    progress: Progress,
}

enum Place {
    After(Option<String>),
    Token(String),
    End,
}

impl<S: ListPages> PageCursor<S> {
    /// For stores that list in byte order: begins behind `range.after`, ends with the page that reaches `range.until`.
    pub(in crate::s3) fn ordered(source: Arc<S>, side: Side, range: Range) -> Self {
        let place = Place::After(range.after.clone());
        Self::new(source, side, range, Some(OrderCheck::default()), place)
    }

    /// For stores with an order of their own: there is no place in such a listing that could be named, so it is read from its
    /// beginning to its end, and what is not in the range is dropped.
    pub(in crate::s3) fn unordered(source: Arc<S>, side: Side, range: Range) -> Self {
        Self::new(source, side, range, None, Place::After(None))
    }

    fn new(source: Arc<S>, side: Side, range: Range, order: Option<OrderCheck>, place: Place) -> Self {
        let Range { prefix, after, until } = range;
        Self { source, side, prefix, order, last: after.clone(), floor: after, until, place, progress: Progress::default() }
    }
}

impl<S: ListPages> Pages for PageCursor<S> {
    async fn next(&mut self) -> Result<Option<Page>, ListError> {
        // asked again for every page, for the end of the range can move
        if self.order.is_some() && self.last.as_ref().is_some_and(|last| self.until.is_reached_by(last)) {
            self.place = Place::End;
        }
        let answer = match &self.place {
            Place::After(key) => self.source.page(&self.prefix, key.as_deref(), None).await?,
            Place::Token(token) => self.source.page(&self.prefix, None, Some(token)).await?,
            Place::End => return Ok(None),
        };
        self.place = self.after(&answer)?;
        let mut page = answer.page;
        match &mut self.order {
            Some(order) => {
                // in order, what comes before the range comes first
                if let (Some(floor), Some(first)) = (&self.floor, page.first())
                    && first.key <= floor.as_str()
                {
                    page.retain(|entry| entry.key > floor.as_str());
                }
                let side = self.side;
                order.pass(&page).map_err(|OutOfOrder { before, after }| ListError::Unordered { side, before, after })?;
                // and all between two keys with the prefix have it
                self.check_prefix(page.keys().next().into_iter().chain(page.keys().next_back()))?;
            }
            None => {
                self.check_prefix(page.keys())?;
                let until = self.until.get();
                let begins = |key: &str| self.floor.as_deref().is_none_or(|floor| key > floor);
                page.retain(|entry| begins(entry.key) && until.as_deref().is_none_or(|until| entry.key <= until));
            }
        }
        if let Some(key) = page.keys().next_back() {
            let last = self.last.get_or_insert_default();
            last.clear();
            last.push_str(key);
        }
        if let Place::After(last) = &self.place {
            self.floor.clone_from(last);
        }
        Ok(Some(page))
    }
}

impl<S: ListPages> PageCursor<S> {
    fn check_prefix<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> Result<(), TransferError> {
        let Some(stray) = keys.find(|key| !key.starts_with(&self.prefix)) else {
            return Ok(());
        };
        let message = format!("the store answered with {stray:?} when asked for keys that begin with {:?}", self.prefix);
        Err(self.senseless("ListOutsidePrefix", message))
    }

    fn after(&mut self, answer: &Answer) -> Result<Place, TransferError> {
        let Some(token) = &answer.next else {
            return Ok(Place::End);
        };
        if let Err(round) = self.progress.pass(&answer.page, token) {
            return Err(self.senseless("ListLoop", format!("the store's listing of {:?} has no end: {round}", self.prefix)));
        }
        match answer.page.last() {
            _ if !token.is_empty() => Ok(Place::Token(token.clone())),
            Some(last) if self.order.is_some() => Ok(Place::After(Some(last.key.to_owned()))),
            // an empty page that is said not to be the last: once more from the same place, and a second one is a circle
            None if self.order.is_some() => Ok(Place::After(self.last.clone())),
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
        let first = page.first().map(|e| e.key.to_owned());
        let last = page.last().map(|e| e.key.to_owned());
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
