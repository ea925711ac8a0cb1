//! The form for a new task, step by step.

mod review;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    text::Line,
};

use crate::{
    columns,
    model::{
        Model,
        wizard::{Engine, Field, Kind, REVIEW, STEPS},
    },
    theme::Theme,
    widget::{put, row::Row, table},
};

/// From this width on the hint stands beside the focused field, below it under the fields.
const HINTED: usize = 80;
/// Columns of a label with its margin.
const LABEL: usize = 17;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) -> Option<Position> {
    let width = usize::from(area.width);
    let mut lines = vec![steps(width, model, theme)];
    let at = if model.wizard.step == REVIEW { review::lines(area, &mut lines, model, theme) } else { form(area, &mut lines, model, theme) };
    put(buffer, area, &lines);
    let (x, y) = at?;
    let x = u16::try_from(x).ok()?.min(area.width.saturating_sub(1));
    Some(Position::new(area.x + x, area.y.checked_add(u16::try_from(y).ok()?)?))
}

fn steps(width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let mut row = Row::new(width, theme.glyph.cut).gap(1);
    for (number, step) in STEPS.iter().enumerate() {
        let here = number == model.wizard.step;
        let text = format!("{} {step}", number + 1);
        row = row.text(&if here { format!("[{text}]") } else { text }, if here { theme.title } else { theme.dim }).gap(if width < 60 {
            1
        } else {
            2
        });
    }
    row.line()
}

/// The question of a step; the last one has none.
fn title(step: usize, engine: Engine) -> Option<&'static str> {
    Some(match (step, engine) {
        (0, _) => "What is the task called?",
        (1, Engine::S3) => "Where are the objects now?",
        (1, Engine::Image) => "Where are the images now?",
        (2, _) => "Where shall they go?",
        (3, _) => "Which ones, how fast, and when?",
        _ => return None,
    })
}

/// Adds the fields; says where the cursor stands, in columns and lines.
fn form(area: Rect, lines: &mut Vec<Line<'static>>, model: &Model, theme: &Theme) -> Option<(usize, usize)> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let wizard = &model.wizard;
    if height >= 19 {
        lines.push(Row::new(width, theme.glyph.cut).gap(1).text(title(wizard.step, wizard.engine())?, theme.title).line());
        lines.push(Line::default());
    }
    let room = height.saturating_sub(lines.len());
    let fields = wizard.current();
    let first = table::first(wizard.focus, fields.len(), room);
    let hint = fields.get(wizard.focus).map(|field| wizard.hint(field));
    let mut cursor = None;
    for (number, field) in fields.into_iter().enumerate().skip(first).take(room) {
        let focused = number == wizard.focus;
        let beside = hint.as_deref().filter(|_| focused);
        let (line, x) = self::field(field, beside, width, theme);
        if focused && matches!(field.kind, Kind::Text(_)) {
            cursor = Some((x, lines.len()));
        }
        lines.push(line);
    }
    if width < HINTED
        && lines.len() < height
        && let Some(hint) = &hint
    {
        lines.resize(height - 1, Line::default());
        lines.push(Row::new(width, theme.glyph.cut).gap(2).text(hint, theme.dim).line());
    }
    cursor
}

/// One field, the focused one with its hint; says where the cursor stands, in columns.
fn field(field: &Field, hint: Option<&str>, width: usize, theme: &Theme) -> (Line<'static>, usize) {
    let focused = hint.is_some();
    let hint = hint.filter(|_| width >= HINTED);
    let margin = if focused { theme.glyph.cursor } else { " " };
    let label = if focused { theme.title } else { theme.plain };
    let row = Row::new(width, theme.glyph.cut).text(margin, theme.title).gap(1).left(field.label, LABEL - 2, label);
    match &field.kind {
        Kind::Text(input) => {
            let room = if width >= HINTED { width - LABEL - 38 } else { width.saturating_sub(LABEL + 3) };
            let (text, x) = window(input.text(), input.before(), room);
            let style = if focused { theme.field } else { theme.plain };
            let row = row.text("[", theme.dim).left(&text, room, style).text("]", theme.dim);
            let row = if let Some(hint) = hint { row.gap(1).text(hint, theme.dim) } else { row };
            (row.line(), LABEL + 1 + x)
        }
        Kind::Choice(words, at) => {
            let all: usize = words.iter().map(|w| columns::width(w) + 5).sum();
            let mut row = row;
            if all <= row.room() {
                for (number, word) in words.iter().enumerate() {
                    let here = number == *at;
                    let style = if here && focused { theme.field } else { theme.plain };
                    row = row.text(if here { "(o) " } else { "( ) " }, theme.plain).text(word, style).gap(1);
                }
            } else {
                let style = if focused { theme.field } else { theme.plain };
                row = row.text("< ", theme.dim).text(words.get(*at).map_or("", String::as_str), style).text(" >", theme.dim);
                let number = format!("  {} of {}", at + 1, words.len());
                if number.len() <= row.room() {
                    row = row.text(&number, theme.dim);
                }
            }
            if let Some(hint) = hint.filter(|hint| columns::width(hint) < row.room()) {
                row = row.gap(1).text(hint, theme.dim);
            }
            (row.line(), LABEL)
        }
    }
}

/// The part of a text that is seen in `room` columns with the cursor in it, and the column of the cursor.
fn window(text: &str, before: &str, room: usize) -> (String, usize) {
    let (text, before) = (columns::clean(text), columns::clean(before));
    let ahead = columns::width(&before);
    if ahead < room {
        return (columns::cut(&text, room, ">"), ahead);
    }
    // the cursor stands at the right end, on the column behind the text before it
    let mut hidden = 0;
    let mut chars = before.chars();
    while ahead - hidden >= room.max(1) {
        match chars.next() {
            Some(c) => hidden += columns::width(c.encode_utf8(&mut [0; 4])),
            None => break,
        }
    }
    (chars.as_str().to_owned(), ahead - hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_the_field() {
        assert_eq!(window("abcdef", "abc", 10), ("abcdef".to_owned(), 3));
        assert_eq!(window("abcdef", "abcdef", 4), ("def".to_owned(), 3));
        assert_eq!(window("写真写真", "写真写真", 4), ("真".to_owned(), 2));
        assert_eq!(window("", "", 0), (String::new(), 0));
    }
}
