//! Drawing: one file per screen and overlay, each a function of the model that keeps nothing.

mod confirm;
mod definition;
mod detail;
mod failures;
mod figure;
mod footer;
mod header;
mod help;
mod log;
mod overview;
mod palette;
mod small;
mod throughput;
mod transfers;
mod wizard;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    text::Line,
};

use crate::{
    model::{Model, Overlay, Screen},
    theme::Theme,
    widget::{put, row::Row},
};

/// Fewest columns and rows that a screen needs; below that one line says how things stand.
pub const SMALLEST: (u16, u16) = (40, 10);
/// From this height on, rules set header and footer apart.
const RULED: u16 = 16;

/// Draws everything; says where the terminal's cursor belongs, if somewhere.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: &Theme) -> Option<Position> {
    let buffer = frame.buffer_mut();
    let area = area.intersection(buffer.area);
    let cursor = place(buffer, area, model, theme);
    if !theme.glyph.unicode {
        to_ascii(buffer, area);
    }
    cursor.filter(|at| area.contains(*at))
}

fn place(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) -> Option<Position> {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        small::draw(buffer, area, model, theme);
        return None;
    }
    let rule = u16::from(area.height >= RULED);
    let body = Rect::new(area.x, area.y + 1 + rule, area.width, area.height - 2 - 2 * rule);
    let line = |y| Rect::new(area.x, y, area.width, 1);
    put(buffer, line(area.y), &[header::line(usize::from(area.width), model, theme)]);
    if rule == 1 {
        let text = theme.glyph.rule.repeat(usize::from(area.width));
        let rule = Row::new(usize::from(area.width), theme.glyph.cut).text(&text, theme.dim).line();
        put(buffer, line(area.y + 1), std::slice::from_ref(&rule));
        put(buffer, line(area.bottom() - 2), std::slice::from_ref(&rule));
    }
    let mut cursor = match model.screen() {
        Screen::Overview => fill(buffer, body, &overview::lines(body, model, theme)),
        Screen::Transfers => fill(buffer, body, &transfers::lines(body, model, theme)),
        Screen::Detail => fill(buffer, body, &detail::lines(body, model, theme)),
        Screen::Failures => fill(buffer, body, &failures::lines(body, model, theme)),
        Screen::Log => fill(buffer, body, &log::lines(body, model, theme)),
        Screen::Wizard => wizard::draw(buffer, body, model, theme),
    };
    footer::draw(buffer, line(area.bottom() - 1), model, theme);
    match &model.overlay {
        Some(Overlay::Help(first)) => help::draw(buffer, body, *first, model, theme),
        Some(Overlay::Palette(input, at)) => cursor = palette::draw(buffer, body, input, *at, model, theme),
        Some(Overlay::Confirm(confirm)) => cursor = confirm::draw(buffer, body, confirm, theme),
        Some(Overlay::Filter(input, _)) => cursor = footer::filter(buffer, line(area.bottom() - 1 - rule), input, theme),
        Some(Overlay::Record) => log::record(buffer, body, model, theme),
        None => {}
    }
    // a message covers the rule above the keys, or the keys where there is no rule
    if let Some(toast) = &model.toast {
        footer::toast(buffer, line(area.bottom() - 1 - rule), toast, theme);
    }
    cursor
}

fn fill(buffer: &mut Buffer, area: Rect, lines: &[Line<'static>]) -> Option<Position> {
    put(buffer, area, lines);
    None
}

/// What a terminal without UTF-8 would show as garbage becomes `?`.
fn to_ascii(buffer: &mut Buffer, area: Rect) {
    for at in area.positions() {
        let cell = &mut buffer[at];
        if !cell.symbol().is_ascii() {
            cell.set_symbol("?");
        }
    }
}

#[cfg(test)]
mod tests;
