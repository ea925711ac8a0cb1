//! A terminal too small for any screen: one line that still says how things stand.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{SMALLEST, figure};
use crate::{
    model::Model,
    theme::Theme,
    widget::{put, row::Row},
};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    let s = &model.mirror.summary;
    let (done, total) = figure::done(&s.counters);
    let verdict = match (model.link.is_up() && model.data_at.is_some(), model.mirror.problems.is_empty()) {
        (false, _) => "?".to_owned(),
        (true, true) => "OK".to_owned(),
        (true, false) => format!("{} PROBLEMS", model.mirror.problems.len()),
    };
    let width = usize::from(area.width);
    let lines = [
        Row::new(width, theme.glyph.cut)
            .text(&format!("{} {} {verdict}", figure::percent(done, total), figure::short_rate(s.rate)), theme.title),
        Row::new(width, theme.glyph.cut).text(&format!("needs {}x{}", SMALLEST.0, SMALLEST.1), theme.dim),
    ];
    put(buffer, area, &lines.map(Row::line));
}
