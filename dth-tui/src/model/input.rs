//! One line of text being typed.

use crate::input::Key;

/// Longest text a field takes, in characters: an S3 key has at most 1024 bytes.
const MAX: usize = 1024;

/// Text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// In characters, 0 to the length.
    cursor: usize,
}

impl Input {
    /// A field that already holds `text`, cursor behind it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.chars().count(), text }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Characters before the cursor.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.text[..self.at(self.cursor)]
    }

    fn at(&self, index: usize) -> usize {
        self.text.char_indices().nth(index).map_or(self.text.len(), |(i, _)| i)
    }

    /// Inserts text without its control characters.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text.chars().count() >= MAX {
                return;
            }
            self.text.insert(self.at(self.cursor), c);
            self.cursor += 1;
        }
    }

    /// Applies an editing key; says whether it was one.
    pub fn key(&mut self, key: Key) -> bool {
        let len = self.text.chars().count();
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.at(self.cursor));
            }
            Key::Delete if self.cursor < len => {
                self.text.remove(self.at(self.cursor));
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(len),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = len,
            Key::Ctrl('u') => {
                self.text = self.text[self.at(self.cursor)..].to_owned();
                self.cursor = 0;
            }
            Key::Backspace | Key::Delete => {}
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn editing_works_in_the_middle_and_with_wide_letters() {
        let mut input = Input::new("写b");
        for key in [Key::Left, Key::Char('真'), Key::End, Key::Char('!'), Key::Home, Key::Delete] {
            assert!(input.key(key));
        }
        assert_eq!(input.text(), "真b!");
        assert!(input.key(Key::Right) && input.key(Key::Ctrl('u')));
        assert_eq!((input.text(), input.before()), ("b!", ""));
        assert!(!input.key(Key::Enter));
        input.insert("x\x1b\ny");
        assert_eq!(input.text(), "xyb!");
    }

    proptest! {
        #[test]
        fn no_order_of_keys_breaks_it(keys in proptest::collection::vec(0u8..9, 0..60)) {
            let mut input = Input::default();
            for key in keys {
                input.key(match key {
                    0 => Key::Backspace, 1 => Key::Delete, 2 => Key::Left, 3 => Key::Right, 4 => Key::Home,
                    5 => Key::End, 6 => Key::Ctrl('u'), 7 => Key::Char('é'), _ => Key::Char('写'),
                });
                prop_assert!(input.text().starts_with(input.before()));
            }
        }
    }
}
