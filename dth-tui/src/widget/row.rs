//! One line of the screen, built from left to right; all text in it is made harmless here.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use crate::columns;

/// A line that is never wider than it may be.
#[derive(Clone, Debug)]
pub struct Row {
    spans: Vec<Span<'static>>,
    used: usize,
    width: usize,
    cut: &'static str,
}

impl Row {
    /// An empty line of at most `width` columns; `cut` ends text that does not fit.
    #[must_use]
    pub fn new(width: usize, cut: &'static str) -> Self {
        Self { spans: Vec::new(), used: 0, width, cut }
    }

    /// Columns left.
    #[must_use]
    pub fn room(&self) -> usize {
        self.width.saturating_sub(self.used)
    }

    fn push(mut self, text: String, style: Style) -> Self {
        self.used += columns::width(&text);
        self.spans.push(Span::styled(text, style));
        self
    }

    /// Text as wide as it is.
    #[must_use]
    pub fn text(self, text: &str, style: Style) -> Self {
        let cut = columns::cut(text, self.room(), self.cut);
        self.push(cut, style)
    }

    /// Text in a column of its own, from its left.
    #[must_use]
    pub fn left(self, text: &str, columns: usize, style: Style) -> Self {
        let cell = columns::left(text, columns.min(self.room()), self.cut);
        self.push(cell, style)
    }

    /// Text in a column of its own, to its right.
    #[must_use]
    pub fn right(self, text: &str, columns: usize, style: Style) -> Self {
        let cell = columns::right(text, columns.min(self.room()), self.cut);
        self.push(cell, style)
    }

    /// Spaces.
    #[must_use]
    pub fn gap(self, columns: usize) -> Self {
        let spaces = " ".repeat(columns.min(self.room()));
        self.push(spaces, Style::new())
    }

    /// Text at the right end of the line; left out when it does not fit with a space before it.
    #[must_use]
    pub fn end(self, text: &str, style: Style) -> Self {
        let text = columns::clean(text).into_owned();
        let wide = columns::width(&text);
        match self.room().checked_sub(wide) {
            Some(gap) if gap > 0 || self.used == 0 => self.gap(gap).push(text, style),
            _ => self,
        }
    }

    /// The line.
    #[must_use]
    pub fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }

    /// The line in one style from end to end.
    #[must_use]
    pub fn filled(self, style: Style) -> Line<'static> {
        let room = self.room();
        let mut row = self.gap(room);
        row.spans.iter_mut().for_each(|span| span.style = span.style.patch(style));
        row.line()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample::NASTY;

    proptest! {
        #[test]
        fn a_row_never_outgrows_its_width(width in 0usize..60, a in 0usize..30, b in 0usize..30) {
            let style = Style::new();
            let row = Row::new(width, ">").text(NASTY, style).left(NASTY, a, style).gap(1).right("写真 612", b, style).end("rtt 310ms", style);
            prop_assert!(row.used <= width);
            let line = row.filled(style);
            prop_assert_eq!(line.spans.iter().map(|s| columns::width(&s.content)).sum::<usize>(), width);
        }
    }
}
