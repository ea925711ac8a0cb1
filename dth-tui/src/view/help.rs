//! All keys of the screen, from the table of commands, and what the words mean.

use ratatui::{buffer::Buffer, layout::Rect, text::Line, widgets::Widget};

use crate::{
    command::{self, Command},
    model::{Link, Model, Place},
    theme::Theme,
    widget::{put, row::Row},
};

const WORDS: [(&str, &str); 11] = [
    ("running", "bytes move"),
    ("queued", "waits for a free slot"),
    ("waiting", "its trigger starts the next run"),
    ("paused", "by a person; goes on from its checkpoint"),
    ("planned", "told what a run would do; nothing was changed"),
    ("verified", "both ends are equal"),
    ("STALLED", "no bytes for a minute"),
    ("DEGRADED", "moves, and items have failed"),
    ("INCOMPLETE", "ended, and items have failed"),
    ("DIFFERENT", "verified, and the ends differ"),
    ("FAILED", "could not run"),
];

pub(super) fn draw(buffer: &mut Buffer, area: Rect, first: usize, model: &Model, theme: &Theme) {
    ratatui::widgets::Clear.render(area, buffer);
    let width = usize::from(area.width);
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let commands: Vec<&Command> = command::of(Place::Screen(model.screen())).collect();
    for c in commands {
        let keys: Vec<String> = c.keys.iter().map(ToString::to_string).collect();
        let enabled = (c.enabled)(model);
        let style = if enabled.is_ok() { theme.plain } else { theme.dim };
        let why = enabled.err().map_or(String::new(), |why| format!(" ({why})"));
        let row = row().left(&keys.join(" "), 10, theme.key).gap(1).left(c.title, 15, style);
        // pressing the key says why as well
        let why = if c.help.len() + why.len() <= row.room() { why } else { String::new() };
        lines.push(row.text(&format!("{}{why}", c.help), style).line());
    }
    lines.push(Line::default());
    lines.extend(WORDS.iter().map(|(word, means)| row().left(word, 10, theme.word(word)).gap(1).text(means, theme.plain).line()));
    lines.push(Line::default());
    let daemon = match &model.link {
        Link::Up { welcome, .. } => format!("{} protocol {} as {} ({})", welcome.name, welcome.protocol, welcome.user, welcome.role),
        _ => "no link".to_owned(),
    };
    lines.push(row().text(&format!("dth {}   {daemon}", env!("CARGO_PKG_VERSION")), theme.dim).line());
    let room = usize::from(area.height);
    let first = first.min(lines.len().saturating_sub(room));
    let more = lines.len() - first > room;
    if let (true, Some(last)) = (more, room.checked_sub(1)) {
        lines[first + last] = row().text("Down, PgDn: more", theme.title).line();
    }
    put(buffer, area, &lines[first..]);
}
