//! Rows of fixed columns: numbers stand right-aligned where they stood before, so that few cells change.

use ratatui::{style::Style, text::Line};

use super::row::Row;
use crate::theme::Theme;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its head.
    pub title: &'static str,
    /// Its width in columns of the terminal.
    pub width: usize,
    /// Numbers stand right.
    pub right: bool,
}

/// A column of text.
#[must_use]
pub const fn text(title: &'static str, width: usize) -> Column {
    Column { title, width, right: false }
}

/// A column of numbers.
#[must_use]
pub const fn number(title: &'static str, width: usize) -> Column {
    Column { title, width, right: true }
}

/// Width that the columns take, with one space between them.
#[must_use]
pub fn width(columns: &[Column]) -> usize {
    columns.iter().map(|c| c.width + 1).sum::<usize>().saturating_sub(1)
}

fn cells<'c>(mut row: Row, columns: &[Column], texts: impl Iterator<Item = (&'c str, Style)>) -> Row {
    for (at, (column, (text, style))) in columns.iter().zip(texts).enumerate() {
        row = row.gap(usize::from(at > 0));
        row = if column.right { row.right(text, column.width, style) } else { row.left(text, column.width, style) };
    }
    row
}

/// The heads, behind a margin of `margin` columns.
#[must_use]
pub fn head(columns: &[Column], margin: usize, wide: usize, theme: &Theme) -> Line<'static> {
    let row = Row::new(wide, theme.glyph.cut).gap(margin);
    cells(row, columns, columns.iter().map(|c| (c.title, theme.title))).line()
}

/// One row behind its margin (cursor, mark).
#[must_use]
pub fn row(columns: &[Column], margin: &str, texts: &[(String, Style)], selected: bool, wide: usize, theme: &Theme) -> Line<'static> {
    let row = Row::new(wide, theme.glyph.cut).text(margin, theme.plain);
    let row = cells(row, columns, texts.iter().map(|(text, style)| (text.as_str(), *style)));
    if selected { row.filled(theme.selected) } else { row.line() }
}

/// The first row to show so that `cursor` is among `height` rows of `len`, about in the middle.
#[must_use]
pub fn first(cursor: usize, len: usize, height: usize) -> usize {
    cursor.saturating_sub(height / 2).min(len.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_in_view() {
        for len in 0..40 {
            for height in 1..20 {
                for cursor in 0..len {
                    let first = first(cursor, len, height);
                    assert!(first <= cursor && cursor < first + height, "{cursor} of {len} in {height}: {first}");
                    assert!(first == 0 || first + height <= len);
                }
            }
        }
    }
}
