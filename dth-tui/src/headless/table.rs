//! Plain columns: as wide as what stands in them is shown, numbers to the right, nothing a terminal would obey.

use unicode_width::UnicodeWidthStr;

use crate::sanitise::sanitise;

/// Between two columns.
const GAP: &str = "  ";

/// On which side the cells of a column meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column: its title and its side.
pub(super) type Column = (&'static str, Align);

/// A table that comes in pages. Widths only grow, so that long tables need no memory and still look like one.
pub(super) struct Table {
    columns: &'static [Column],
    widths: Vec<usize>,
    header: bool,
}

impl Table {
    /// A table with a header line.
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, widths: columns.iter().map(|(title, _)| title.width()).collect(), header: true }
    }

    /// A table without a header line.
    pub(super) fn bare(columns: &'static [Column]) -> Self {
        Self { columns, widths: vec![0; columns.len()], header: false }
    }

    /// The lines of more rows; the first page begins with the header.
    pub(super) fn page(&mut self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| sanitise(cell)).collect()).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        if std::mem::take(&mut self.header) {
            self.line(&mut text, self.columns.iter().map(|(title, _)| *title));
        }
        for row in &rows {
            self.line(&mut text, row.iter().map(AsRef::as_ref));
        }
        text
    }

    fn line<'c>(&self, text: &mut String, cells: impl Iterator<Item = &'c str>) {
        let begin = text.len();
        for (i, (cell, (&width, (_, align)))) in cells.zip(self.widths.iter().zip(self.columns)).enumerate() {
            if i > 0 {
                text.push_str(GAP);
            }
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => text.extend([cell, &padding]),
                Align::Right => text.extend([padding.as_str(), cell]),
            }
        }
        text.truncate(begin + text[begin..].trim_end_matches(' ').len());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const COLUMNS: &[Column] = &[("NAME", Align::Left), ("COPIED", Align::Right), ("NOTE", Align::Left)];

    fn rows(cells: &[[&str; 3]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.map(str::to_owned).to_vec()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let mut table = Table::new(COLUMNS);
        let text = table.page(&rows(&[["照片", "7", "wide"], ["a\u{202e}\x1b[2J", "1,204", ""], ["é", "1234567", "x"]]));
        assert_snapshot!(text, @r"
        NAME     COPIED  NOTE
        照片          7  wide
        a��[2J    1,204
        é       1234567  x
        ");
    }

    #[test]
    fn later_pages_have_no_header_and_do_not_shrink() {
        let mut table = Table::new(COLUMNS);
        table.page(&rows(&[["a-long-name", "1", "x"]]));
        assert_eq!(table.page(&rows(&[["b", "2", "y"]])), "b                 2  y\n");
        assert_eq!(table.page(&[]), "");
        assert_eq!(Table::bare(COLUMNS).page(&rows(&[["b", "2", "y"]])), "b  2  y\n");
    }
}
