//! Pieces that screens are made of. Each is given a width and never writes beyond it.

pub mod bar;
pub mod boxed;
pub mod chart;
pub mod row;
pub mod table;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

/// Puts lines into an area, from its top; what does not fit is left out.
pub fn put(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>]) {
    let area = area.intersection(buffer.area);
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}
