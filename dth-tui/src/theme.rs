//! How things look: the 16 ANSI colour names only, so that light and dark terminals both work; or none at all.

use ratatui::style::{Color, Modifier, Style};

use crate::glyph::GlyphSet;

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Unless `NO_COLOR` is set (<https://no-color.org>) or the terminal is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: bold, reverse and underline carry what colours would.
    Never,
}

/// Styles by meaning, and the characters to draw with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Characters.
    pub glyph: GlyphSet,
    /// Ordinary text.
    pub plain: Style,
    /// Less important text, rules.
    pub dim: Style,
    /// Titles and column heads.
    pub title: Style,
    /// All is well.
    pub ok: Style,
    /// Look at it.
    pub warn: Style,
    /// It failed.
    pub bad: Style,
    /// The row under the cursor.
    pub selected: Style,
    /// A key in the footer and the help.
    pub key: Style,
    /// Bars and charts.
    pub gauge: Style,
    /// A text field with the focus.
    pub field: Style,
}

impl Theme {
    /// The theme for a choice. `env` reads an environment variable. Colours are left out here and not by the terminal library:
    /// its colour commands under `NO_COLOR` would reset bold and reverse too.
    #[must_use]
    pub fn new(choice: ColorChoice, glyph: GlyphSet, env: impl Fn(&str) -> Option<String>) -> Self {
        let colors = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => env("NO_COLOR").is_none_or(|v| v.is_empty()) && env("TERM").is_none_or(|t| t != "dumb"),
        };
        if colors { Self::ansi(glyph) } else { Self::mono(glyph) }
    }

    /// Sixteen colours.
    #[must_use]
    pub fn ansi(glyph: GlyphSet) -> Self {
        let fg = |color| Style::new().fg(color);
        Self {
            ok: fg(Color::Green),
            warn: fg(Color::Yellow).add_modifier(Modifier::BOLD),
            bad: fg(Color::Red).add_modifier(Modifier::BOLD),
            key: fg(Color::Cyan),
            gauge: fg(Color::Cyan),
            dim: fg(Color::DarkGray),
            ..Self::mono(glyph)
        }
    }

    /// No colours.
    #[must_use]
    pub fn mono(glyph: GlyphSet) -> Self {
        let plain = Style::new();
        Self {
            glyph,
            plain,
            dim: plain,
            title: plain.add_modifier(Modifier::BOLD),
            ok: plain,
            warn: plain.add_modifier(Modifier::BOLD),
            bad: plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            selected: plain.add_modifier(Modifier::REVERSED),
            key: plain.add_modifier(Modifier::BOLD),
            gauge: plain,
            field: plain.add_modifier(Modifier::UNDERLINED),
        }
    }

    /// The style of a task's word: upper-case words want attention.
    #[must_use]
    pub fn word(&self, word: &str) -> Style {
        match word {
            "FAILED" | "STALLED" => self.bad,
            "DEGRADED" | "INCOMPLETE" | "DIFFERENT" => self.warn,
            "running" | "done" | "verified" => self.ok,
            _ => self.plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyph::ASCII;

    fn styles(t: &Theme) -> [Style; 10] {
        [t.plain, t.dim, t.title, t.ok, t.warn, t.bad, t.selected, t.key, t.gauge, t.field]
    }

    #[test]
    fn no_color_leaves_no_colour_and_keeps_the_difference() {
        let theme = Theme::new(ColorChoice::Auto, ASCII, |name| (name == "NO_COLOR").then(|| "1".to_owned()));
        assert!(styles(&theme).iter().all(|s| s.fg.is_none() && s.bg.is_none()));
        assert_ne!(theme.selected, theme.plain);
        assert_ne!(theme.bad, theme.warn);
    }

    #[test]
    fn colours_are_names_and_can_be_forced() {
        let forced = Theme::new(ColorChoice::Always, ASCII, |_| Some("1".to_owned()));
        assert_eq!(forced.ok.fg, Some(Color::Green));
        for color in styles(&forced).iter().filter_map(|s| s.fg) {
            assert!(!matches!(color, Color::Rgb(..) | Color::Indexed(_)), "{color:?}");
        }
    }
}
