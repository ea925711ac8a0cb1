//! The characters that charts, bars and marks are drawn with: Unicode or plain ASCII, each one column wide.

/// Which characters the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Glyphs {
    /// Unicode when the locale is UTF-8, else ASCII.
    #[default]
    Auto,
    /// Block characters.
    Unicode,
    /// Nothing beyond ASCII; letters of other scripts become `?`.
    Ascii,
}

/// One set of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlyphSet {
    /// Filled part of a bar.
    pub full: &'static str,
    /// Empty part of a bar.
    pub empty: &'static str,
    /// Heights within one row of a chart, from nothing to full.
    pub levels: &'static [&'static str],
    /// Horizontal rule.
    pub rule: &'static str,
    /// Vertical axis of a chart.
    pub axis: &'static str,
    /// Where both axes meet.
    pub corner: &'static str,
    /// Borders of a box: top left, top right, bottom left, bottom right, horizontal, vertical.
    pub frame: [&'static str; 6],
    /// Ends text that was cut off.
    pub cut: &'static str,
    /// The row under the cursor.
    pub cursor: &'static str,
    /// Whether characters beyond ASCII may be written.
    pub unicode: bool,
}

/// For UTF-8 terminals. All of these are in the fonts of the usual terminals; none is of ambiguous width there.
pub const UNICODE: GlyphSet = GlyphSet {
    full: "█",
    empty: "░",
    levels: &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    rule: "─",
    axis: "│",
    corner: "└",
    frame: ["┌", "┐", "└", "┘", "─", "│"],
    cut: "…",
    cursor: ">",
    unicode: true,
};

/// For everything else.
pub const ASCII: GlyphSet = GlyphSet {
    full: "#",
    empty: ".",
    levels: &[" ", ".", ":", "|"],
    rule: "-",
    axis: "|",
    corner: "+",
    frame: ["+", "+", "+", "+", "-", "|"],
    cut: ">",
    cursor: ">",
    unicode: false,
};

impl Glyphs {
    /// The set to draw with. `env` reads an environment variable; the locale is the first of `LC_ALL`, `LC_CTYPE` and `LANG`
    /// that is set (POSIX, "Environment Variables").
    #[must_use]
    pub fn resolve(self, env: impl Fn(&str) -> Option<String>) -> GlyphSet {
        let utf8 = || {
            let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(&env).find(|v| !v.is_empty()).unwrap_or_default();
            let locale = locale.to_ascii_lowercase();
            locale.ends_with("utf-8") || locale.ends_with("utf8")
        };
        match self {
            Self::Unicode => UNICODE,
            Self::Ascii => ASCII,
            Self::Auto if utf8() => UNICODE,
            Self::Auto => ASCII,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides() {
        let with = |pairs: &'static [(&str, &str)]| {
            Glyphs::Auto.resolve(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unicode
        };
        assert!(with(&[("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!with(&[]));
    }

    #[test]
    fn every_glyph_is_one_column_wide() {
        for set in [UNICODE, ASCII] {
            let single = [set.full, set.empty, set.rule, set.axis, set.corner, set.cut, set.cursor];
            for glyph in single.into_iter().chain(set.levels.iter().copied()).chain(set.frame) {
                assert_eq!(crate::columns::width(glyph), 1, "{glyph:?}");
                assert!(set.unicode || glyph.is_ascii(), "{glyph:?}");
            }
        }
    }
}
