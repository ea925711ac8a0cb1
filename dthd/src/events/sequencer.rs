//! The order of the events of one key, as S3 tells it.

use std::{cmp::Ordering, fmt};

/// A sequencer: a hexadecimal number of any length. Comparable only between events of one key (Amazon S3 user guide, "Event message
/// structure": the shorter one is padded with zeros at its right, then both are compared as text).
#[derive(Clone, Debug)]
pub struct Sequencer(String);

/// Longest that is believed; S3's have 16 to 18 digits.
const LONGEST: usize = 64;

impl Sequencer {
    /// Reads a sequencer; `None`: it is not hexadecimal, or longer than 64 digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self(text.to_ascii_uppercase()))
    }

    /// As it was told, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Sequencer {
    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.0.len().max(other.0.len());
        let padded = |text: &str| text.bytes().chain(std::iter::repeat(b'0')).take(length).collect::<Vec<u8>>();
        padded(&self.0).cmp(&padded(&other.0))
    }
}

impl PartialOrd for Sequencer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sequencer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sequencer {}

impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequencer(text: &str) -> Sequencer {
        Sequencer::new(text).expect(text)
    }

    #[test]
    fn the_shorter_one_is_padded_at_its_right() {
        for (a, b, expected) in [
            ("0055AED6DCD90281E5", "0055AED6DCD90281E5", Ordering::Equal),
            ("0055aed6dcd90281e5", "0055AED6DCD90281E5", Ordering::Equal),
            ("0055AED6DCD90281E5", "0055AED6DCD90281E6", Ordering::Less),
            ("00123", "0012300", Ordering::Equal),
            ("00124", "0012300F", Ordering::Greater),
            ("F", "10000000", Ordering::Greater),
        ] {
            assert_eq!(sequencer(a).cmp(&sequencer(b)), expected, "{a} {b}");
        }
        for bad in ["", "xyz", "00 12", &"0".repeat(65)] {
            assert_eq!(Sequencer::new(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in "[0-9A-F]{1,20}", b in "[0-9A-Fa-f]{1,20}", c in "[0-9A-F]{1,20}") {
            let (a, b, c) = (sequencer(&a), sequencer(&b), sequencer(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
