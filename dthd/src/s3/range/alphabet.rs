//! The characters that keys are made of, as far as seen.

use std::collections::{BTreeMap, BTreeSet};

/// Characters beyond ASCII that are remembered; cuts need a few, evenly spread, not all of a script.
const MOST_OTHERS: usize = 256;
/// Places in a key that are told apart.
const MOST_PLACES: usize = 64;
/// Contexts that are remembered.
const MOST_CONTEXTS: usize = 4096;
/// Different digits in one context after which all digits are expected there, if they are not only small ones, as in months.
const ENOUGH: u32 = 3;

const DIGITS: u128 = 0x3ff << b'0';
const LARGE_DIGITS: u128 = 0x1f << b'5';
const LOWER_HEX: u128 = 0x3f << b'a';
const UPPER_HEX: u128 = 0x3f << b'A';

/// Where a character stands: how many are before it, and the last of them.
pub type Context = (usize, Option<char>);

/// The characters of keys, in all and by context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alphabet {
    all: Letters,
    contexts: BTreeMap<Context, Letters>,
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Letters {
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

impl Letters {
    fn add(&mut self, c: char) {
        match u32::from(c) {
            code @ 0..=0x7f => self.ascii |= 1 << code,
            _ if self.others.len() < MOST_OTHERS => drop(self.others.insert(c)),
            _ => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        self.ascii |= other.ascii;
        for c in &other.others {
            self.add(*c);
        }
    }

    fn between(&self, low: Option<char>, high: Option<char>) -> Vec<char> {
        let ascii = (0..0x80_u8).filter(|code| self.ascii & (1 << code) != 0).map(char::from);
        let inside = |c: &char| low.is_none_or(|low| *c > low) && high.is_none_or(|high| *c < high);
        ascii.chain(self.others.iter().copied()).filter(inside).collect()
    }

    /// With the digits that are to be expected where so many were seen, else with the one behind the greatest.
    fn expected(&self) -> Self {
        let mut expected = self.clone();
        let seen = |digits: u128| (self.ascii & digits).count_ones();
        for hex in [LOWER_HEX, UPPER_HEX] {
            if seen(hex) > 0 && self.ascii & !(DIGITS | hex) == 0 && seen(DIGITS | hex) >= ENOUGH {
                expected.ascii |= DIGITS | hex;
            }
        }
        if seen(DIGITS) >= ENOUGH && seen(LARGE_DIGITS) > 0 {
            expected.ascii |= DIGITS;
        } else if seen(DIGITS) > 1 {
            let digits = self.ascii & DIGITS;
            expected.ascii |= (digits | digits << 1) & DIGITS;
        }
        expected
    }
}

impl Alphabet {
    /// Adds the characters of a key, or of the part of it behind what all keys begin with.
    pub fn see(&mut self, text: &str) {
        let mut before = None;
        for (place, c) in text.chars().enumerate() {
            self.all.add(c);
            if place < MOST_PLACES {
                self.context((place, before), |letters| letters.add(c));
            }
            before = Some(c);
        }
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        for (context, theirs) in &other.contexts {
            self.context(*context, |mine| mine.merge(theirs));
        }
    }

    fn context(&mut self, context: Context, change: impl FnOnce(&mut Letters)) {
        if self.contexts.len() < MOST_CONTEXTS {
            change(self.contexts.entry(context).or_default());
        } else if let Some(letters) = self.contexts.get_mut(&context) {
            change(letters);
        }
    }

    /// Characters to be expected anywhere between two others, which are not included; `None`: no limit on that side. In order. One
    /// digit stands for all: counters and dates use them all sooner or later.
    #[must_use]
    pub fn anywhere(&self, low: Option<char>, high: Option<char>) -> Vec<char> {
        let mut all = self.all.clone();
        if all.ascii & DIGITS != 0 {
            all.ascii |= DIGITS;
        }
        all.between(low, high)
    }

    /// The same for one context: what was seen there, and other digits if there were several.
    #[must_use]
    pub fn at(&self, context: Context, low: Option<char>, high: Option<char>) -> Vec<char> {
        self.contexts.get(&context).map(|letters| letters.expected().between(low, high)).unwrap_or_default()
    }

    /// Whether letters, if there are any, are those of hexadecimal numbers.
    #[must_use]
    pub fn is_hexadecimal(&self) -> bool {
        let letters: u128 = 0x3ff_ffff;
        self.all.ascii & ((letters << b'a' | letters << b'A') & !(LOWER_HEX | UPPER_HEX)) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_seen_in_order(text in "[a-c\u{0}\u{7f}é\u{d7ff}\u{e000}\u{10ffff}/-]{0,20}", cut in 0usize..20) {
            let cut = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
            let (mut alphabet, mut rest) = (Alphabet::default(), Alphabet::default());
            alphabet.see(&text[..cut]);
            rest.see(&text[cut..]);
            alphabet.merge(&rest);
            let wanted: Vec<char> = text.chars().collect::<BTreeSet<char>>().into_iter().collect();
            prop_assert_eq!(alphabet.anywhere(None, None), wanted);
        }
    }

    fn seen(keys: &[&str]) -> Alphabet {
        let mut alphabet = Alphabet::default();
        keys.iter().for_each(|key| alphabet.see(key));
        alphabet
    }

    fn text(chars: &[char]) -> String {
        chars.iter().collect()
    }

    #[test]
    fn one_digit_stands_for_all_and_limits_are_not_included() {
        assert_eq!(text(&seen(&["a5-f"]).anywhere(Some('-'), Some('f'))), "0123456789a");
    }

    #[test]
    fn several_digits_in_a_context_stand_for_all_or_for_the_next() {
        let at = |keys: &[&str]| text(&seen(keys).at((1, Some('-')), None, None));
        assert_eq!(at(&["-1"]), "1", "one tells nothing");
        assert_eq!(at(&["-0", "-1", "-2"]), "0123", "as in months");
        assert_eq!(at(&["-1", "-2", "-5"]), "0123456789");
        assert_eq!(at(&["-1", "-2", "-c"]), "0123456789abcdef");
        assert_eq!(at(&["-1", "-C", "-D"]), "0123456789ABCDEF");
        assert_eq!(at(&["-1", "+2", "-x", "-x9"]), "1x");
        assert_eq!(at(&["-"]), "");
        assert!(seen(&["0-f", "A"]).is_hexadecimal() && !seen(&["g"]).is_hexadecimal() && !seen(&["G"]).is_hexadecimal());
    }

    #[test]
    fn scripts_do_not_fill_memory() {
        let script: Vec<String> = ('\u{4e00}'..'\u{9000}').map(String::from).collect();
        let alphabet = seen(&script.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((alphabet.anywhere(None, None).len(), alphabet.at((0, None), None, None).len()), (MOST_OTHERS, MOST_OTHERS));
        assert_eq!(seen(&[&"a".repeat(1_000)]).contexts.len(), MOST_PLACES);
        let pairs: Vec<String> = script.iter().take(MOST_CONTEXTS + 100).map(|c| format!("{c}x")).collect();
        assert_eq!(seen(&pairs.iter().map(String::as_str).collect::<Vec<_>>()).contexts.len(), MOST_CONTEXTS);
    }
}
