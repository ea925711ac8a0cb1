//! Whether the next prefixes are listed one by one, or by listing straight through what lies between them.
//!
//! A request for one prefix brings the keys of that prefix; a request that goes straight on from its beginning brings a whole page, with
//! the keys of all prefixes on it. Where prefixes are dense that saves requests; where they are not, it brings a page of keys that nobody
//! wants. Which it is, pages show.

/// With fewer prefixes there is nothing to gain.
const FEW: u64 = 16;
/// Prefixes that a page must finish to be worth it.
const WORTH: u64 = 2;
/// Prefixes listed one by one after a page that was not worth it; twice as many after each further one.
const SHORTEST: u32 = 4;
const LONGEST: u32 = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    may: bool,
    /// Prefixes still to be listed one by one.
    left: u32,
    next: u32,
}

impl Pace {
    /// For so many prefixes.
    pub(super) fn new(prefixes: u64) -> Self {
        Self { may: prefixes >= FEW, left: 0, next: SHORTEST }
    }

    /// Whether to list straight on, now that another prefix is begun.
    pub(super) fn straight(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.may
    }

    /// A page that was read straight on has finished so many prefixes, with or without keys.
    pub(super) fn page(&mut self, finished: u64) {
        if finished >= WORTH {
            self.next = SHORTEST;
        } else {
            self.left = self.next;
            self.next = (self.next * 2).min(LONGEST);
        }
    }

    /// Only the prefixes themselves may be listed (policies can grant `s3:prefix` alone).
    pub(super) fn never(&mut self) {
        self.may = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_prefixes_are_read_straight_on_and_others_tried_ever_less() {
        let mut pace = Pace::new(1_000);
        assert!(pace.straight());
        pace.page(50);
        assert!(pace.straight());
        let mut waits = Vec::new();
        for _ in 0..9 {
            pace.page(1);
            waits.push(std::iter::from_fn(|| (!pace.straight()).then_some(())).count());
        }
        assert_eq!(waits, [4, 8, 16, 32, 64, 128, 256, 256, 256]);
        pace.page(2);
        assert!(pace.straight(), "worth it again");
        pace.page(0);
        assert_eq!(std::iter::from_fn(|| (!pace.straight()).then_some(())).count(), 4);
    }

    #[test]
    fn few_prefixes_and_narrow_rights_are_listed_one_by_one() {
        assert!(!Pace::new(15).straight());
        let mut pace = Pace::new(16);
        assert!(pace.straight());
        pace.never();
        assert!(!pace.straight());
    }
}
