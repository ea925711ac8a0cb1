//! The last line: the keys that are of use here and now; a message or the filter being typed takes the line above.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use crate::{
    columns,
    command::{self, Command, Id},
    model::{Model, Toast, input::Input},
    theme::Theme,
    widget::{put, row::Row},
};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    let place = model.place();
    let mut commands: Vec<&Command> = command::of(place).filter(|c| c.footer > 0 && (c.enabled)(model).is_ok()).collect();
    commands.sort_by_key(|c| c.footer);
    let width = usize::from(area.width);
    let wide = |c: &Command| 2 + columns::width(&c.keys[0].to_string()) + 1 + c.title.len();
    // help and the way out stay, whatever else has to go
    let kept = |c: &Command| matches!(c.id, Id::Help | Id::Back | Id::Quit | Id::Cancel | Id::Palette);
    let mut budget = width.saturating_sub(commands.iter().filter(|c| kept(c)).map(|c| wide(c)).sum());
    commands.retain(|c| {
        let fits = kept(c) || wide(c) <= budget;
        if fits && !kept(c) {
            budget -= wide(c);
        }
        fits
    });
    let mut row = Row::new(width, theme.glyph.cut).gap(1);
    for (at, c) in commands.iter().enumerate() {
        row = row.gap(if at > 0 { 2 } else { 0 }).text(&c.keys[0].to_string(), theme.key).gap(1).text(c.title, theme.plain);
    }
    put(buffer, area, &[row.line()]);
}

pub(super) fn toast(buffer: &mut Buffer, area: Rect, toast: &Toast, theme: &Theme) {
    let style = if toast.error { theme.warn } else { theme.ok };
    let row = Row::new(usize::from(area.width), theme.glyph.cut).gap(1).text(&toast.text, style);
    put(buffer, area, &[row.filled(theme.plain)]);
}

pub(super) fn filter(buffer: &mut Buffer, area: Rect, input: &Input, theme: &Theme) -> Option<Position> {
    let style = if crate::filter::Filter::parse(input.text()).is_ok() { theme.field } else { theme.warn };
    let row = Row::new(usize::from(area.width), theme.glyph.cut).text("/", theme.key).text(input.text(), style);
    put(buffer, area, &[row.filled(theme.plain)]);
    let before = columns::width(&columns::clean(input.before()));
    Some(Position::new(area.x.saturating_add(1).saturating_add(u16::try_from(before).ok()?), area.y))
}
