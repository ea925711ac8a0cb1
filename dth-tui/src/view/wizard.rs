//! The form for a new task, step by step, and its last step in words.

use dth_proto::{
    check::CheckState,
    spec::{Job, TaskSpec},
};
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::Line,
};

use crate::{
    columns,
    model::{
        Model,
        wizard::{Field, Kind, REVIEW, STEPS},
    },
    theme::Theme,
    widget::{put, row::Row, table},
};

/// Columns of a label with its margin.
const LABEL: usize = 17;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) -> Option<Position> {
    let width = usize::from(area.width);
    let mut lines = vec![steps(width, model, theme)];
    let at = if model.wizard.step == REVIEW { review(area, &mut lines, model, theme) } else { form(area, &mut lines, model, theme) };
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

const TITLES: [&str; 4] =
    ["What is the task called?", "Where are the objects now?", "Where shall they go?", "Which ones, how fast, and when?"];

/// Adds the fields; says where the cursor stands, in columns and lines.
fn form(area: Rect, lines: &mut Vec<Line<'static>>, model: &Model, theme: &Theme) -> Option<(usize, usize)> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let wizard = &model.wizard;
    if height >= 19 {
        lines.push(Row::new(width, theme.glyph.cut).gap(1).text(TITLES.get(wizard.step)?, theme.title).line());
        lines.push(Line::default());
    }
    let room = height.saturating_sub(lines.len());
    let fields = wizard.current();
    let first = table::first(wizard.focus, fields.len(), room);
    let mut cursor = None;
    for (number, field) in fields.iter().enumerate().skip(first).take(room) {
        let focused = number == wizard.focus;
        let (line, x) = self::field(field, focused, width, theme);
        if focused && matches!(field.kind, Kind::Text(_)) {
            cursor = Some((x, lines.len()));
        }
        lines.push(line);
    }
    cursor
}

fn field(field: &Field, focused: bool, width: usize, theme: &Theme) -> (Line<'static>, usize) {
    let margin = if focused { theme.glyph.cursor } else { " " };
    let label = if focused { theme.title } else { theme.plain };
    let row = Row::new(width, theme.glyph.cut).text(margin, theme.title).gap(1).left(field.label, LABEL - 2, label);
    match &field.kind {
        Kind::Text(input) => {
            let room = if width >= 80 { width - LABEL - 38 } else { width.saturating_sub(LABEL + 3) };
            let (text, x) = window(input.text(), input.before(), room);
            let style = if focused { theme.field } else { theme.plain };
            let row = row.text("[", theme.dim).left(&text, room, style).text("]", theme.dim);
            let row = if focused && width >= 80 { row.gap(1).text(field.hint, theme.dim) } else { row };
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
                row = row
                    .text("< ", theme.dim)
                    .text(words.get(*at).map_or("", String::as_str), style)
                    .text(&format!(" >  {} of {}", at + 1, words.len()), theme.dim);
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

/// Adds the last step; says where the cursor stands.
fn review(area: Rect, lines: &mut Vec<Line<'static>>, model: &Model, theme: &Theme) -> Option<(usize, usize)> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let line =
        |label: &str, text: &str, style: Style| Row::new(width, theme.glyph.cut).gap(1).left(label, 10, theme.dim).text(text, style).line();
    let spec = match model.wizard.spec() {
        Ok(spec) => spec,
        Err(mistakes) => {
            lines.push(line("", "Not yet: ^B goes back.", theme.warn));
            lines.extend(mistakes.iter().map(|m| line("", &format!("{} {}", m.field, m.message), theme.bad)));
            return None;
        }
    };
    let tall = height >= 19;
    let mut text: Vec<Line<'static>> = in_words(&spec).into_iter().map(|(label, text)| line(label, &text, theme.plain)).collect();
    let checks = checks(width, model, theme);
    // the question stays in view whatever else has to go
    let room = height.saturating_sub(lines.len() + 1);
    if !tall {
        text.truncate(room.saturating_sub(checks.len().min(room / 2)));
    }
    lines.extend(text);
    if tall {
        lines.push(Line::default());
    }
    lines.extend(checks);
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(if tall { 2 } else { 1 }), Line::default());
    let question = if width >= 60 { " Type the destination bucket to start: " } else { " Type the bucket: " };
    let room = width.saturating_sub(question.len() + 3);
    let (typed, x) = window(model.wizard.guard.text(), model.wizard.guard.before(), room);
    let style = if model.wizard.is_guarded() { theme.ok } else { theme.field };
    let row =
        Row::new(width, theme.glyph.cut).text(question, theme.title).text("[", theme.dim).left(&typed, room, style).text("]", theme.dim);
    lines.push(row.line());
    Some((question.len() + 1 + x, lines.len() - 1))
}

fn in_words(spec: &TaskSpec) -> Vec<(&'static str, String)> {
    let Job::S3(job) = &spec.job else { return Vec::new() };
    let (from, to) = spec.ends();
    let end = |url: String, store: &dth_proto::spec::Store| {
        format!("{url}  {} {}  {}", store.provider, store.place(), store.credential.as_deref().unwrap_or("default chain"))
    };
    let mut write = Vec::new();
    write.push(job.destination.storage_class.clone().map_or("the bucket's storage class".to_owned(), |c| format!("class {c}")));
    if let Some(encryption) = &job.destination.encryption {
        write.push(format!("encrypted with {}", encryption.kind));
    }
    if let Some(acl) = &job.destination.acl {
        write.push(format!("ACL {acl}"));
    }
    write.push(match (job.options.metadata, job.options.tags) {
        (true, true) => "keep metadata and tags".to_owned(),
        (true, false) => "keep metadata, leave tags".to_owned(),
        (false, true) => "keep tags, leave metadata".to_owned(),
        (false, false) => "leave metadata and tags".to_owned(),
    });
    let mut only = Vec::new();
    if !job.options.include.is_empty() {
        only.push(format!("keys {}", job.options.include.join(", ")));
    }
    if !job.options.exclude.is_empty() {
        only.push(format!("not {}", job.options.exclude.join(", ")));
    }
    for (word, size) in [("larger than", job.options.larger_than), ("smaller than", job.options.smaller_than)] {
        only.extend(size.map(|s| format!("{word} {s}")));
    }
    for (word, span) in [("newer than", job.options.newer_than), ("older than", job.options.older_than)] {
        only.extend(span.map(|s| format!("{word} {s}")));
    }
    let mut lines = vec![
        ("name", spec.name.to_string()),
        ("from", end(from, &job.source.store)),
        ("to", end(to, &job.destination.store)),
        ("copy", format!("{}; nothing is deleted at the destination", super::detail::in_words(job.options.compare))),
        ("write", write.join(", ")),
    ];
    if !only.is_empty() {
        lines.push(("only", only.join(", ")));
    }
    lines.push(("speed", spec.limits.bandwidth.as_ref().map_or("as the daemon allows".to_owned(), |plan| format!("at most {plan}"))));
    lines.push(("when", spec.trigger.as_ref().map_or("only when someone starts it".to_owned(), ToString::to_string)));
    lines.push(("file", format!("^W writes {}.toml, for: dth create --file {}.toml", spec.name, spec.name)));
    lines
}

fn checks(width: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    let Some((_, _, reply)) = &model.wizard.check else {
        return vec![row().text("^T lets the daemon try both ends (it writes and removes one object)", theme.dim).line()];
    };
    let head = match (reply.done, reply.passed()) {
        (false, _) => "Tests, run by the daemon: going on",
        (true, true) => "Tests, run by the daemon: all passed",
        (true, false) => "Tests, run by the daemon: the task cannot work like this",
    };
    let mut lines = vec![row().text(head, if reply.done && !reply.passed() { theme.bad } else { theme.title }).line()];
    for step in &reply.steps {
        let (word, style) = match step.state {
            CheckState::Ok => ("ok", theme.ok),
            CheckState::Warn => ("WARN", theme.warn),
            CheckState::Failed => ("FAILED", theme.bad),
            CheckState::Running => ("..", theme.dim),
        };
        let text = format!("{} {}: {}", step.side.word(), step.name, step.message);
        lines.push(row().left(word, 7, style).text(&text, theme.plain).line());
        if let Some(hint) = &step.hint {
            lines.push(row().gap(7).text(&format!("try: {hint}"), theme.warn).line());
        }
    }
    lines
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
