//! Commands by name.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use crate::{
    columns, command,
    model::{Model, Place, input::Input},
    theme::Theme,
    widget::{boxed, put, row::Row, table},
};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, input: &Input, at: usize, model: &Model, theme: &Theme) -> Option<Position> {
    let found = command::matching(Place::Screen(model.screen()), input.text());
    let wanted = u16::try_from(found.len().clamp(1, 12)).unwrap_or(12) + 3;
    let inner = boxed::open(buffer, area, (74, wanted), "commands", theme);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let row = || Row::new(width, theme.glyph.cut);
    let mut lines = vec![row().text(":", theme.key).text(input.text(), theme.field).line()];
    if found.is_empty() {
        lines.push(row().gap(2).text("no command of that name here", theme.dim).line());
    }
    let room = height.saturating_sub(1);
    let first = table::first(at, found.len(), room);
    for (number, c) in found.iter().enumerate().skip(first).take(room) {
        let margin = if number == at { theme.glyph.cursor } else { " " };
        let (title, about, style) = match (c.enabled)(model) {
            Ok(()) => (c.title.to_owned(), c.help.to_owned(), theme.plain),
            Err(why) => (format!("({})", c.title), why.to_owned(), theme.dim),
        };
        let line =
            row().text(margin, theme.title).gap(1).left(&title, 16, style).left(&c.keys[0].to_string(), 7, theme.key).text(&about, style);
        lines.push(if number == at { line.filled(theme.selected) } else { line.line() });
    }
    put(buffer, inner, &lines);
    let before = columns::width(&columns::clean(input.before()));
    Some(Position::new(inner.x.saturating_add(u16::try_from(before + 1).ok()?), inner.y)).filter(|at| inner.contains(*at))
}
