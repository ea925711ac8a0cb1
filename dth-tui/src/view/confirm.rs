//! The question before something that cannot be taken back.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use crate::{
    columns,
    model::confirm::Confirm,
    theme::Theme,
    widget::{boxed, put, row::Row},
};

pub(super) fn draw(buffer: &mut Buffer, area: Rect, confirm: &Confirm, theme: &Theme) -> Option<Position> {
    let height = u16::try_from(confirm.lines.len()).unwrap_or(u16::MAX).saturating_add(7);
    let inner = boxed::open(buffer, area, (74, height), &confirm.title, theme);
    let (width, room) = (usize::from(inner.width), usize::from(inner.height));
    let row = || Row::new(width, theme.glyph.cut);
    let mut lines: Vec<_> = confirm.lines.iter().map(|text| row().text(text, theme.plain).line()).collect();
    // the question and the answers stay in view
    lines.truncate(room.saturating_sub(if confirm.expect.is_some() { 2 } else { 1 }));
    let mut cursor = None;
    if let Some(expect) = &confirm.expect {
        let spare = room.saturating_sub(lines.len() + 2);
        lines.extend((0..spare.min(1)).map(|_| row().line()));
        let head = row().text(&format!("Type {expect} : "), theme.title);
        let x = width.saturating_sub(head.room()) + columns::width(&columns::clean(confirm.typed.before()));
        let style = if confirm.is_armed() { theme.bad } else { theme.field };
        cursor = u16::try_from(x).ok().zip(u16::try_from(lines.len()).ok());
        lines.push(head.text(confirm.typed.text(), style).line());
    }
    let yes = if confirm.is_armed() { theme.bad } else { theme.dim };
    lines.push(
        row()
            .text("Esc", theme.key)
            .text(" nothing happens   ", theme.plain)
            .text("Enter", theme.key)
            .text(&format!(" {}", confirm.yes), yes)
            .line(),
    );
    put(buffer, inner, &lines);
    cursor.map(|(x, y)| Position::new(inner.x.saturating_add(x), inner.y.saturating_add(y))).filter(|at| inner.contains(*at))
}
