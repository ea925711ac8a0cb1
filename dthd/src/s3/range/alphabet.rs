//! The characters that keys are made of, as far as seen.

use std::collections::BTreeSet;

/// Characters beyond ASCII that are remembered; cuts need a few, evenly spread, not all of a script.
const MOST_OTHERS: usize = 256;

/// A set of characters. Seeing one digit stands for seeing all: counters and dates use them all sooner or later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alphabet {
    ascii: u128,
    others: BTreeSet<char>,
}

/// Neighbours in a key's place are most often of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `0` to `9`.
    Digit,
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// The rest of ASCII: what separates words.
    Mark,
    /// Everything else.
    Other,
}

impl Kind {
    /// The kind of a character.
    #[must_use]
    pub fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digit,
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            c if c.is_ascii() => Self::Mark,
            _ => Self::Other,
        }
    }
}

impl Alphabet {
    /// Adds the characters of a text.
    pub fn see(&mut self, text: &str) {
        for c in text.chars() {
            match u32::from(c) {
                0x30..=0x39 => self.ascii |= 0x3ff << 0x30,
                code @ 0..=0x7f => self.ascii |= 1 << code,
                _ if self.others.len() < MOST_OTHERS => drop(self.others.insert(c)),
                _ => {}
            }
        }
    }

    /// Its characters between two others, both not included; `None`: no limit on that side. In order.
    pub fn between(&self, low: Option<char>, high: Option<char>) -> impl Iterator<Item = char> {
        let ascii = (0..0x80_u8).filter(|code| self.ascii & (1 << code) != 0).map(char::from);
        let inside = move |c: &char| low.is_none_or(|low| *c > low) && high.is_none_or(|high| *c < high);
        ascii.chain(self.others.iter().copied()).filter(inside)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_seen_in_order(text in "[a-c\u{0}\u{7f}é\u{d7ff}\u{e000}\u{10ffff}/-]{0,20}") {
            let mut alphabet = Alphabet::default();
            alphabet.see(&text);
            let wanted: Vec<char> = text.chars().collect::<BTreeSet<char>>().into_iter().collect();
            prop_assert_eq!(alphabet.between(None, None).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn one_digit_stands_for_all_and_limits_are_not_included() {
        let mut alphabet = Alphabet::default();
        alphabet.see("a5-f");
        assert_eq!(alphabet.between(Some('-'), Some('f')).collect::<String>(), "0123456789a");
    }

    #[test]
    fn scripts_do_not_fill_memory() {
        let mut alphabet = Alphabet::default();
        alphabet.see(&('\u{4e00}'..'\u{9000}').collect::<String>());
        assert_eq!(alphabet.between(None, None).count(), MOST_OTHERS);
    }
}
