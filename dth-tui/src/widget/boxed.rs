//! A box in the middle of a screen.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::Line,
    widgets::{Clear, Widget},
};

use super::{put, row::Row};
use crate::theme::Theme;

/// Clears a box of at most `size` columns and rows around the middle of `area`, frames it, and gives back its inside. Under 60
/// columns it takes the whole area.
pub fn open(buffer: &mut Buffer, area: Rect, size: (u16, u16), title: &str, theme: &Theme) -> Rect {
    let area = area.intersection(buffer.area);
    let (width, height) = if area.width < 60 { (area.width, area.height) } else { (size.0.min(area.width), size.1.min(area.height)) };
    let outer = Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
    Clear.render(outer, buffer);
    if width < 4 || height < 3 {
        return Rect::new(outer.x, outer.y, 0, 0);
    }
    let [top_left, top_right, bottom_left, bottom_right, flat, side] = theme.glyph.frame;
    let inner = usize::from(width) - 2;
    let row = || Row::new(usize::from(width), theme.glyph.cut);
    let head = row().text(top_left, theme.dim).text(flat, theme.dim).text(&format!(" {title} "), theme.title);
    let rest = head.room().saturating_sub(1);
    let mut lines: Vec<Line<'_>> = vec![head.text(&flat.repeat(rest), theme.dim).text(top_right, theme.dim).line()];
    for _ in 2..height {
        lines.push(row().text(side, theme.dim).gap(inner).text(side, theme.dim).line());
    }
    lines.push(row().text(bottom_left, theme.dim).text(&flat.repeat(inner), theme.dim).text(bottom_right, theme.dim).line());
    put(buffer, outer, &lines);
    Rect::new(outer.x + 2, outer.y + 1, width - 4, height - 2)
}
