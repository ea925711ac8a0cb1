//! Makes text from keys, stores and errors harmless before a terminal shows it.

use std::borrow::Cow;

/// Stands for every character that is not shown as it is.
const REPLACEMENT: char = '\u{fffd}';

/// `text` with everything replaced that a terminal would act upon instead of showing it: C0 and C1 controls (escape
/// sequences, newlines), direction marks and overrides (Unicode Bidi_Control, UAX #9), line and paragraph separators,
/// invisible joiners and the byte order mark. Keys are chosen by strangers; a screen must not obey them.
#[must_use]
pub fn sanitise(text: &str) -> Cow<'_, str> {
    replace(text, hostile)
}

/// [`sanitise`] for a text of several lines: newlines and tabs stay.
#[must_use]
pub fn sanitise_lines(text: &str) -> Cow<'_, str> {
    replace(text, |c| hostile(c) && c != '\n' && c != '\t')
}

fn replace(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().any(&bad) {
        Cow::Owned(text.chars().map(|c| if bad(c) { REPLACEMENT } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced() {
        for (text, shown) in [
            ("raw/2024/a b+c%.jpg", "raw/2024/a b+c%.jpg"),
            ("中文/ключ/é", "中文/ключ/é"),
            ("\x1b[2J\x1b]0;owned\x07", "\u{fffd}[2J\u{fffd}]0;owned\u{fffd}"),
            ("a\nb\tc\r", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}", "\u{fffd}gpj.exe\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{7f}\u{feff}\u{2028}", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(sanitise(text), shown, "{text:?}");
        }
        assert_eq!(sanitise_lines("a\n\tb\x1b"), "a\n\tb\u{fffd}");
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left(text in any::<String>()) {
            let shown = sanitise(&text);
            prop_assert!(!shown.chars().any(hostile));
            prop_assert_eq!(sanitise(&shown), shown.as_ref());
            prop_assert_eq!(shown.chars().count(), text.chars().count());
        }
    }
}
