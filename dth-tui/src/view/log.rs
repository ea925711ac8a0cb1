//! What happened: one event per line, and one event in full.

use dth_proto::event::{Event, Level};
use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use crate::{
    columns,
    model::Model,
    theme::Theme,
    widget::{boxed, put, row::Row, table},
};

/// Columns of the box with one event, and the lines of its fields.
const RECORD: u16 = 76;
const FIELDS: usize = 5;

pub(super) fn lines(area: Rect, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let shown = model.log.shown();
    let cursor = model.log.position(shown.len());
    let mode = if model.log.follow { "following" } else { "staying" };
    let head = format!("{mode}   {} and above   {} of {} held", model.log.level.word(), shown.len(), model.log.events.len());
    let mut lines = vec![Row::new(width, theme.glyph.cut).gap(1).text(&head, theme.dim).line()];
    if shown.is_empty() {
        lines.push(Row::new(width, theme.glyph.cut).gap(1).text("No events.", theme.plain).line());
        return lines;
    }
    let room = height.saturating_sub(1);
    let first = if model.log.follow { shown.len().saturating_sub(room) } else { table::first(cursor, shown.len(), room) };
    for (at, event) in shown.iter().enumerate().skip(first).take(room) {
        lines.push(line(event, at == cursor, width, model, theme));
    }
    lines
}

fn style(level: Level, theme: &Theme) -> ratatui::style::Style {
    match level {
        Level::Error => theme.bad,
        Level::Warn => theme.warn,
        Level::Info => theme.plain,
        Level::Debug => theme.dim,
    }
}

fn line(event: &Event, selected: bool, width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let mut row = Row::new(width, theme.glyph.cut).gap(1).text(&model.zone.time(event.at), theme.dim).gap(1);
    row = row.left(event.level.word(), 5, style(event.level, theme)).gap(1);
    if width >= 60 && model.log.task.is_none() {
        row = row.left(event.task.as_ref().map_or("-", |t| t.as_str()), 18, theme.plain).gap(1);
    }
    let row = row.text(&event.message, style(event.level, theme));
    if selected { row.filled(theme.selected) } else { row.line() }
}

/// The event under the cursor with all its fields, the message wrapped.
pub(super) fn record(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    let shown = model.log.shown();
    let Some(event) = shown.get(model.log.position(shown.len())) else {
        return;
    };
    let most = usize::from(area.height).saturating_sub(FIELDS + 3);
    let message = wrap(&event.message, usize::from(RECORD.min(area.width)).saturating_sub(4), most);
    let height = u16::try_from(FIELDS + 3 + message.len()).unwrap_or(u16::MAX);
    let inner = boxed::open(buffer, area, (RECORD, height), "event", theme);
    let width = usize::from(inner.width);
    let field = |name: &str, value: &str| Row::new(width, theme.glyph.cut).left(name, 8, theme.dim).text(value, theme.plain).line();
    let mut lines = vec![
        field("number", &event.seq.to_string()),
        field("time", &format!("{} ({})", model.zone.day_time(event.at), event.at)),
        field("level", event.level.word()),
        field("task", event.task.as_ref().map_or("-", |t| t.as_str())),
        field("run", &event.run.map_or("-".to_owned(), |r| r.to_string())),
        Line::default(),
    ];
    lines.extend(message.iter().map(|text| Row::new(width, theme.glyph.cut).text(text, theme.plain).line()));
    put(buffer, inner, &lines);
}

/// Text in pieces of at most `width` columns, at most `most` of them.
pub(super) fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let text = columns::clean(text);
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let gap = usize::from(!piece.is_empty());
            if columns::width(&piece) + gap + columns::width(word) <= width {
                piece.push_str(&" "[..gap]);
                piece.push_str(word);
                break;
            }
            if !piece.is_empty() {
                pieces.push(std::mem::take(&mut piece));
                continue;
            }
            let (head, rest) = word.split_at(fitting(word, width));
            if head.is_empty() || pieces.len() >= most {
                return pieces;
            }
            pieces.push(head.to_owned());
            word = rest;
        }
    }
    pieces.push(piece);
    pieces.truncate(most);
    pieces
}

/// Bytes of the longest start of a text that fits in `width` columns.
fn fitting(text: &str, width: usize) -> usize {
    let mut used = 0;
    let too_far = text.char_indices().find(|(_, c)| {
        used += columns::width(c.encode_utf8(&mut [0; 4]));
        used > width
    });
    too_far.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("one two three", 7, 9), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh xy", 3, 9), ["abc", "def", "gh", "xy"]);
        assert_eq!(wrap("one two three", 7, 1), ["one two"]);
    }

    proptest! {
        #[test]
        fn pieces_fit(text in ".{0,80}", width in 0usize..20) {
            for piece in wrap(&text, width, 50) {
                prop_assert!(columns::width(&piece) <= width, "{piece:?}");
            }
        }
    }
}
