//! The characters that keys are made of, as far as seen.

use std::collections::BTreeSet;

/// Characters beyond ASCII that are remembered; cuts need a few, evenly spread, not all of a script.
const MOST_OTHERS: usize = 256;
/// Places in a key that are told apart.
const MOST_PLACES: usize = 64;
/// Different digits in one place after which all digits are expected there.
const ENOUGH: u32 = 3;

const DIGITS: u128 = 0x3ff << b'0';
const LOWER_HEX: u128 = 0x3f << b'a';
const UPPER_HEX: u128 = 0x3f << b'A';

/// The characters of keys, in all and place by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alphabet {
    all: Letters,
    places: Vec<Letters>,
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

    /// With the digits that are to be expected where so many were seen.
    fn expected(&self) -> Self {
        let mut expected = self.clone();
        for hex in [LOWER_HEX, UPPER_HEX] {
            let digits = DIGITS | hex;
            if self.ascii & hex != 0 && self.ascii & !digits == 0 && (self.ascii & digits).count_ones() >= ENOUGH {
                expected.ascii |= digits;
            }
        }
        if (self.ascii & DIGITS).count_ones() >= ENOUGH {
            expected.ascii |= DIGITS;
        }
        expected
    }
}

impl Alphabet {
    /// Adds the characters of a key, or of the part of it behind what all keys begin with.
    pub fn see(&mut self, text: &str) {
        for (place, c) in text.chars().enumerate() {
            self.all.add(c);
            if place == self.places.len() && place < MOST_PLACES {
                self.places.push(Letters::default());
            }
            if let Some(letters) = self.places.get_mut(place) {
                letters.add(c);
            }
        }
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        self.places.resize_with(self.places.len().max(other.places.len()), Letters::default);
        for (mine, theirs) in self.places.iter_mut().zip(&other.places) {
            mine.merge(theirs);
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

    /// The same for one place, counted in characters: what was seen there, and the other digits if there were several.
    #[must_use]
    pub fn at(&self, place: usize, low: Option<char>, high: Option<char>) -> Vec<char> {
        self.places.get(place).map(|letters| letters.expected().between(low, high)).unwrap_or_default()
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
    fn several_digits_in_a_place_stand_for_all() {
        let at = |keys: &[&str]| text(&seen(keys).at(1, None, None));
        assert_eq!(at(&["-1", "-2"]), "12", "years begin with few");
        assert_eq!(at(&["-1", "-2", "-5"]), "0123456789");
        assert_eq!(at(&["-1", "-2", "-c"]), "0123456789abcdef");
        assert_eq!(at(&["-1", "-C", "-D"]), "0123456789ABCDEF");
        assert_eq!(at(&["-1", "-2", "-x"]), "12x");
        assert_eq!(at(&["-"]), "");
        assert!(seen(&["0-f", "A"]).is_hexadecimal() && !seen(&["g"]).is_hexadecimal() && !seen(&["G"]).is_hexadecimal());
    }

    #[test]
    fn scripts_do_not_fill_memory() {
        let script: Vec<String> = ('\u{4e00}'..'\u{9000}').map(String::from).collect();
        let alphabet = seen(&script.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((alphabet.anywhere(None, None).len(), alphabet.at(0, None, None).len()), (MOST_OTHERS, MOST_OTHERS));
        assert_eq!(seen(&[&"a".repeat(1_000)]).places.len(), MOST_PLACES);
    }
}
