//! The list of tasks: find one of hundreds, act on many.

use dth_proto::{
    units,
    view::{TaskState, TaskView},
};
use ratatui::{layout::Rect, text::Line};

use super::{figure, overview};
use crate::{
    model::Model,
    theme::Theme,
    widget::{
        row::Row,
        table::{self, Column, number, text},
    },
};

/// Lines that describe the row under the cursor.
const ABOUT: usize = 5;

pub(super) fn lines(area: Rect, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let rows = model.rows();
    let cursor = model.list.position(&rows);
    let about = if height >= 18 { ABOUT + 1 } else { 0 };
    let room = height.saturating_sub(about + 2);
    let columns = columns(width);
    let mut lines = vec![table::head(&columns, 3, width, theme)];
    let first = table::first(cursor, rows.len(), room);
    for (at, task) in rows.iter().enumerate().skip(first).take(room) {
        let mark = if model.list.marks.contains(&task.name) { "*" } else { " " };
        let margin = format!("{} {mark}", if at == cursor { theme.glyph.cursor } else { " " });
        lines.push(table::row(&columns, &margin, &cells(task, width, model, theme), at == cursor, width, theme));
    }
    if rows.is_empty() {
        let why = match (model.data_at.is_some(), model.list.filter.is_empty()) {
            (false, _) => &["Waiting for the first answer."],
            (true, true) => &overview::FIRST_TASK[..],
            (true, false) => &["No task matches the filter: / changes it, then Esc clears it."],
        };
        lines.extend(why.iter().map(|text| Row::new(width, theme.glyph.cut).gap(3).text(text, theme.plain).line()));
    }
    lines.resize(room + 1, Line::default());
    lines.push(status(width, rows.len(), model, theme));
    if about > 0 {
        lines.push(Row::new(width, theme.glyph.cut).text(&theme.glyph.rule.repeat(width), theme.dim).line());
        if let Some(task) = rows.get(cursor) {
            lines.extend(describe(task, width, model, theme));
        }
    }
    lines
}

fn columns(width: usize) -> Vec<Column> {
    let fixed = match width {
        0..60 => vec![number("DONE", 6), number("RATE", 7)],
        60..80 => vec![text("STATE", 10), number("DONE", 6), number("RATE", 7), number("FAIL", 6)],
        _ => vec![text("KIND", 5), text("FROM", 12), text("TO", 12), text("STATE", 10), number("DONE", 6), number("RATE", 7)],
    };
    let name = width.saturating_sub(table::width(&fixed) + 4);
    [text("NAME", name)].into_iter().chain(fixed).collect()
}

fn cells(task: &TaskView, width: usize, model: &Model, theme: &Theme) -> Vec<(String, ratatui::style::Style)> {
    let plain = |text: String| (text, theme.plain);
    let name = plain(task.name.to_string());
    let done = plain(figure::task_done(task));
    let rate = plain(task.live.as_ref().map_or_else(|| "-".to_owned(), |l| figure::short_rate(l.rate)));
    let stale = if model.link.is_down() { "?" } else { "" };
    let state = (format!("{stale}{}", task.word), theme.word(&task.word));
    let failed = task.run.as_ref().map_or(0, |r| r.counters.failed);
    match width {
        0..60 => vec![name, done, rate],
        60..80 => vec![name, state, done, rate, plain(if failed > 0 { format!("!{}", units::count(failed)) } else { "0".to_owned() })],
        _ => vec![name, plain(task.engine.clone()), plain(task.from_where.clone()), plain(task.to_where.clone()), state, done, rate],
    }
}

fn status(width: usize, shown: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let all = model.shown().tasks.len();
    let marks = match model.list.marks.len() {
        0 => String::new(),
        n => format!("{n} marked   "),
    };
    let filter = if model.list.filter_text.is_empty() { String::new() } else { format!("   filter: {}", model.list.filter_text) };
    let order = format!("sort: {}{} ", model.list.sort.word(), if model.list.reversed { " reversed" } else { "" });
    let text = format!("{marks}{shown} of {all} shown{filter}");
    Row::new(width, theme.glyph.cut).gap(1).text(&text, theme.dim).end(&order, theme.dim).line()
}

fn describe(task: &TaskView, width: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let line = |text: String| Row::new(width, theme.glyph.cut).gap(1).text(&text, theme.plain).line();
    let next =
        task.next_run.filter(|_| task.state == TaskState::Waiting).map_or(String::new(), |n| format!("   next {}", model.zone.full(n)));
    let mut lines = vec![
        line(format!("{}   {} -> {}", task.name, task.from, task.to)),
        line(format!("made by {}, {}   {}{next}", task.created_by, model.zone.full(task.created), task.trigger)),
    ];
    if let Some(run) = &task.run {
        let c = &run.counters;
        let started = run.started.map_or("queued".to_owned(), |s| format!("started {}", model.zone.full(s)));
        let outcome = run.outcome.map_or(String::new(), |o| format!("   {}", o.word()));
        lines.push(line(format!("run {} ({})   {started}{outcome}", run.run, run.cause)));
        lines.push(line(format!(
            "listed {}   copied {}   same {}   skipped {}   left {}   failed {}",
            units::count(c.listed),
            units::count(c.copied),
            units::count(c.same),
            units::count(c.skipped),
            units::count(c.pending),
            units::count(c.failed)
        )));
        lines.push(line(match &run.error {
            Some(error) => format!("error: {error}"),
            None => format!(
                "{} of {}   retried {}   {}",
                units::bytes(c.bytes_done),
                units::bytes(c.bytes_listed),
                figure::share(c.retries, c.requests),
                task.note
            ),
        }));
    }
    lines
}
