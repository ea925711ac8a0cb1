//! The keys of the bench: never stored, but computed from their number, so that a bucket of 100 million costs nothing.

use std::{fmt::Write as _, ops::Range};

use clap::Args;

/// Objects per folder, where there are folders.
const PER_FOLDER: u64 = 1_000;
/// Digits of a number in a key: enough for any count that this program takes.
const DIGITS: usize = 12;

/// The keys of a bucket, in byte order: key `n` of `count`, each of the same length.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Number of objects.
    #[arg(long = "objects", value_name = "N", default_value_t = 20_000)]
    pub count: u64,
    /// All keys in one prefix, without folders.
    #[arg(long)]
    pub flat: bool,
}

impl Keys {
    /// Appends key `n`: `000000000012/object-000000012345`, or only the last part.
    pub fn write(self, n: u64, text: &mut Vec<u8>) {
        if !self.flat {
            digits(n / PER_FOLDER, text);
            text.push(b'/');
        }
        text.extend_from_slice(b"object-");
        digits(n, text);
    }

    /// Key `n`.
    #[must_use]
    pub fn key(self, n: u64) -> String {
        let mut key = String::with_capacity(2 * DIGITS + 8);
        if !self.flat {
            // writing to a String cannot fail
            let _ = write!(key, "{:012}/", n / PER_FOLDER);
        }
        let _ = write!(key, "object-{n:012}");
        key
    }

    /// The number of a key; `None` when it is none of these.
    #[must_use]
    pub fn number(self, key: &str) -> Option<u64> {
        let n = key.get(key.len().checked_sub(DIGITS)?..)?.parse().ok()?;
        (n < self.count && self.cmp(n, key).is_eq()).then_some(n)
    }

    /// How many keys are equal to `text` or before it: the number of the first key behind it.
    #[must_use]
    pub fn behind(self, text: &str) -> u64 {
        self.first(|n| self.cmp(n, text).is_gt())
    }

    /// The numbers of the keys that begin with `prefix`.
    #[must_use]
    pub fn within(self, prefix: &str) -> Range<u64> {
        let begins = |n| {
            let mut key = Vec::new();
            self.write(n, &mut key);
            key.truncate(prefix.len());
            key.as_slice().cmp(prefix.as_bytes())
        };
        self.first(|n| begins(n).is_ge())..self.first(|n| begins(n).is_gt())
    }

    fn cmp(self, n: u64, text: &str) -> std::cmp::Ordering {
        let mut key = Vec::with_capacity(2 * DIGITS + 8);
        self.write(n, &mut key);
        key.as_slice().cmp(text.as_bytes())
    }

    /// The first number for which `behind` holds; it must hold for all that follow.
    fn first(self, behind: impl Fn(u64) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if behind(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

fn digits(mut n: u64, text: &mut Vec<u8>) {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        if n == 0 {
            break;
        }
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    text.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(keys: Keys) -> Vec<String> {
        (0..keys.count).map(|n| keys.key(n)).collect()
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_a_real_list(count in 0_u64..2_500, flat: bool, at in 0_u64..2_600, cut in 0_usize..34, more in "[0-9a-z/-]{0,2}") {
            let keys = Keys { count, flat };
            let list = all(keys);
            prop_assert!(list.is_sorted());
            let mut text = keys.key(at);
            text.truncate(cut);
            text.push_str(&more);
            prop_assert_eq!(keys.behind(&text), list.iter().filter(|key| **key <= text).count() as u64);
            let within: Vec<&String> = list.iter().filter(|key| key.starts_with(&text)).collect();
            let range = keys.within(&text);
            prop_assert_eq!(range.end - range.start, within.len() as u64);
            prop_assert_eq!(within.first().copied(), range.clone().next().map(|n| &list[n as usize]));
            prop_assert_eq!(keys.number(&text), list.iter().position(|key| *key == text).map(|n| n as u64));
            prop_assert_eq!(keys.number(&keys.key(at)), (at < count).then_some(at));
        }
    }

    #[test]
    fn both_ways_to_write_agree() {
        for flat in [false, true] {
            let keys = Keys { count: u64::MAX, flat };
            for n in [0, 9, 10, 999, 1_000, 12_345, 99_999_999] {
                let mut bytes = Vec::new();
                keys.write(n, &mut bytes);
                assert_eq!(bytes, keys.key(n).as_bytes());
            }
        }
    }
}
