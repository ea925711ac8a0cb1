//! Text that others wrote (keys, errors, notes), cut to a width in columns of the terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::sanitise::sanitise;

/// Most combining marks kept on one character; more of them paint over the lines above and below.
const MAX_MARKS: usize = 2;

/// Sanitised text whose width can be counted: beside what [`sanitise`] replaces, characters that terminals show in different
/// widths (soft hyphen, tags) are replaced, and variation selectors and combining marks beyond two on a character are dropped.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut marks = 0;
    let mut out = String::with_capacity(text.len());
    for c in sanitise(text).chars().filter(|c| !matches!(c, '\u{fe00}'..='\u{fe0f}')) {
        if matches!(c, '\u{ad}' | '\u{180e}' | '\u{e0000}'..='\u{e0fff}') {
            out.push(char::REPLACEMENT_CHARACTER);
            marks = 0;
        } else if c.width() == Some(0) {
            marks += 1;
            // a mark without a character to stand on would land on the one before the text
            if marks <= MAX_MARKS && !out.is_empty() {
                out.push(c);
            }
        } else {
            marks = 0;
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Columns that cleaned text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>().max(if text.is_ascii() { text.width() } else { 0 })
}

/// Cleaned `text` in at most `columns` columns; where something was cut off it ends with `mark` (one column).
#[must_use]
pub fn cut(text: &str, columns: usize, mark: &str) -> String {
    let text = clean(text);
    if width(&text) <= columns {
        return text.into_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut out = String::with_capacity(columns);
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        out.push(c);
    }
    out.push_str(mark);
    out
}

/// [`cut`], filled with spaces at the right to exactly `columns`.
#[must_use]
pub fn left(text: &str, columns: usize, mark: &str) -> String {
    let mut out = cut(text, columns, mark);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

/// [`cut`], filled with spaces at the left to exactly `columns`.
#[must_use]
pub fn right(text: &str, columns: usize, mark: &str) -> String {
    let text = cut(text, columns, mark);
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(&text))))
}

/// `1 group`, `2 groups`.
#[must_use]
pub fn counted(number: u64, of: &str) -> String {
    format!("{} {of}{}", dth_proto::units::grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        for (dirty, clean_text) in [
            ("a\x1b[31mb", "a\u{fffd}[31mb"),
            ("tab\tnew\nline\r", "tab\u{fffd}new\u{fffd}line\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("gpj.\u{202e}exe", "gpj.\u{fffd}exe"),
            ("a\u{200d}b\u{feff}", "a\u{fffd}b\u{fffd}"),
            ("e\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}"),
            ("❤\u{fe0f}", "❤"),
            ("写真/2023.jpg", "写真/2023.jpg"),
        ] {
            assert_eq!(clean(dirty), clean_text, "{dirty:?}");
        }
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut("photos-cn-to-global", 9, ">"), "photos-c>");
        assert_eq!(cut("写真写真", 5, ">"), "写真>");
        assert_eq!(cut("写真写真", 4, ">"), "写>");
        assert_eq!(left("写真", 6, ">"), "写真  ");
        assert_eq!(right("612 MB/s", 10, ">"), "  612 MB/s");
        assert_eq!(cut("abc", 0, ">"), "");
    }

    proptest! {
        #[test]
        fn padded_text_has_its_width(text in "\\PC{0,40}|.{0,40}", columns in 0usize..40) {
            let cell = left(&text, columns, ">");
            // a wide character that does not fit leaves its column to padding
            prop_assert_eq!(width(&cell), columns);
            prop_assert!(!cell.chars().any(char::is_control));
        }
    }
}
