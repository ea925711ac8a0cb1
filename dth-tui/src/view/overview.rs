//! The first screen: is everything all right, how fast, when done, what failed.

use dth_proto::{
    units,
    view::{TaskState, TaskView, items_counted},
};
use ratatui::{layout::Rect, style::Style, text::Line};

use super::{figure, throughput};
use crate::{
    model::{Link, Model},
    theme::Theme,
    widget::{
        bar::bar,
        row::Row,
        table::{self, Column, number, text},
    },
};

/// From this width on the chart stands beside the table.
const TWO_COLUMNS: u16 = 120;

/// What to do when there is no task.
pub(super) const FIRST_TASK: [&str; 2] = ["No tasks yet. n defines one step by step;", "from a file: dth create --file TASK.toml --start"];

pub(super) fn lines(area: Rect, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let tall = height >= 19;
    let mut lines = verdict(width, if tall { 4 } else { 2 }, model, theme);
    if tall {
        lines.push(Line::default());
    }
    lines.extend(totals(width, height, model, theme));
    let two = area.width >= TWO_COLUMNS;
    if tall {
        lines.push(Line::default());
        if !two {
            let extra = height.saturating_sub(lines.len() + 14);
            lines.extend(throughput::lines(None, width, 2 + (extra / 4).min(4), model, theme));
        }
    }
    let events = if tall { 2 } else { 0 };
    let room = height.saturating_sub(lines.len() + events);
    if two {
        lines.extend(beside(width, room, model, theme));
    } else {
        lines.extend(tasks(width, room, model, theme));
    }
    if tall {
        lines.resize(height - 1, Line::default());
        lines.push(last_event(width, model, theme));
    }
    lines
}

fn beside(width: usize, height: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let left = width * 2 / 3;
    let right = width - left - 2;
    let chart = throughput::lines(None, right, height.saturating_sub(3).clamp(2, 8), model, theme);
    let mut table = tasks(left, height, model, theme);
    table.resize(height, Line::default());
    for (row, chart) in table.iter_mut().zip(chart) {
        let used: usize = row.spans.iter().map(|s| crate::columns::width(&s.content)).sum();
        row.spans.push(" ".repeat(left + 2 - used.min(left)).into());
        row.spans.extend(chart.spans);
    }
    table
}

fn verdict(width: usize, most: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    match &model.link {
        Link::Connecting => return vec![row().left("?", 5, theme.warn).text("Connecting.", theme.plain).line()],
        Link::Down { error, next_try, tries, .. } => {
            let next = format!("try {} failed; next at {} (r now)", tries, model.zone.time(*next_try));
            return vec![
                row()
                    .left("?", 5, theme.bad)
                    .text("Unknown. The daemon keeps transferring while this screen is disconnected.", theme.plain)
                    .line(),
                row().gap(5).text(error, theme.warn).line(),
                row().gap(5).text(&next, theme.plain).line(),
            ];
        }
        Link::Up { .. } if model.data_at.is_none() => {
            return vec![row().left("?", 5, theme.warn).text("Waiting for the first answer.", theme.plain).line()];
        }
        Link::Up { .. } => {}
    }
    let problems = &model.shown().problems;
    if problems.is_empty() {
        return vec![row().left("OK", 5, theme.ok).text(&model.shown().summary.verdict, theme.plain).line()];
    }
    let head = if problems.len() == 1 { "1 PROBLEM".to_owned() } else { format!("{} PROBLEMS", problems.len()) };
    let mut lines = vec![row().text(&head, theme.bad).end("(! next) ", theme.dim).line()];
    for (number, problem) in problems.iter().enumerate().take(most) {
        let since = format!("since {} ", model.zone.short(problem.since, model.now));
        let named = |t: &&dth_proto::id::TaskName| !problem.text.starts_with(t.as_str());
        let task = problem.task.as_ref().filter(named).map_or(String::new(), |t| format!("{t}: "));
        let start = row().text(&format!("{} ", number + 1), theme.bad);
        let room = start.room().saturating_sub(since.len() + 1);
        let what = crate::columns::cut(&format!("{task}{}", problem.text), room, theme.glyph.cut);
        let style = if model.problem == Some(number) { theme.title } else { theme.plain };
        lines.push(start.text(&what, style).end(&since, theme.dim).line());
    }
    if let Some(more) = problems.len().checked_sub(most).filter(|m| *m > 0) {
        lines.push(row().text(&format!("and {more} more"), theme.dim).line());
    }
    lines
}

fn totals(width: usize, height: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let s = &model.shown().summary;
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    if model.link.is_up() && s.running == 0 && s.counters.listed == 0 {
        let known = model.data_at.is_some() && !model.shown().tasks.is_empty();
        let text = if known { "Nothing is being copied now. S starts the task under the cursor." } else { "" };
        return vec![row().text(text, theme.plain).line()];
    }
    let (done, total) = figure::done(&s.counters);
    let percent = figure::percent(done, total);
    let floor = if s.total_is_floor { "at least " } else { "" };
    let bytes = if width >= 60 {
        format!("{} of {floor}{}  ", units::bytes(s.counters.bytes_done), units::bytes(s.counters.bytes_listed))
    } else {
        String::new()
    };
    let first = row().text(&bytes, theme.plain).right(&percent, 6, theme.title).gap(2);
    let room = first.room().saturating_sub(1);
    let first = first.text(&bar(done, total, room, &theme.glyph), theme.gauge).line();

    let down = model.link.is_down();
    let trend = if s.rate < s.rate_hour / 10 * 9 { " v" } else { "" };
    let rate = format!("{} {}{trend}", if down { "then" } else { "now" }, figure::rate(model, s.rate));
    let eta = format!("ETA {}{}", if down { "was " } else { "" }, figure::eta(s.eta_s));
    let second = if width >= 60 {
        let cap = s.cap.map_or(String::new(), |c| format!("   cap {}", figure::rate(model, c)));
        let about = s.eta_s.filter(|e| !down && *e < 86_400 * 30).map_or(String::new(), |e| {
            let at = model.shown_at().unwrap_or(model.now).plus(std::time::Duration::from_secs(e));
            format!("  (about {})", model.zone.coming(at, model.now))
        });
        row().text(&format!("{rate}   1h {}{cap}   {eta}{about}", figure::rate(model, s.rate_hour)), theme.plain).line()
    } else {
        row().left(&rate, 18, theme.plain).end(&format!("{eta} "), theme.plain).line()
    };
    if height < 12 {
        return vec![first, second];
    }
    let items = format!(
        "{} of {floor}{} {}   {}   retried {}   failed ",
        units::count(s.counters.listed.saturating_sub(s.counters.pending)),
        units::count(s.counters.listed),
        items_counted(model.shown().tasks.values()),
        figure::per_second(s.objects_per_s),
        figure::share(s.counters.retries, s.counters.requests)
    );
    let failed = if s.counters.failed > 0 { theme.bad } else { theme.plain };
    vec![first, second, row().text(&items, theme.plain).text(&units::count(s.counters.failed), failed).line()]
}

fn columns(width: usize) -> Vec<Column> {
    let spare = width.saturating_sub(1);
    if width < 60 {
        let fixed = [number("DONE", 6), number("RATE", 7), number("ETA", 7)];
        let name = spare.saturating_sub(table::width(&fixed) + 1);
        return [text("TASK", name)].into_iter().chain(fixed).collect();
    }
    let mut fixed = vec![text("STATE", 10), number("DONE", 6), number("RATE", 10), number("ETA", 7), number("FAIL", 6)];
    let rest = spare.saturating_sub(table::width(&fixed) + 1);
    if width < 80 {
        return [text("TASK", rest)].into_iter().chain(fixed).collect();
    }
    let note = (rest / 3).max(8);
    fixed.push(text("NOTE", note));
    [text("TASK", rest.saturating_sub(note + 1))].into_iter().chain(fixed).collect()
}

fn tasks(width: usize, height: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let columns = columns(width);
    let rows = model.rows();
    let mut lines = Vec::with_capacity(height);
    let mut room = height;
    if height > 4 {
        lines.push(table::head(&columns, 1, width, theme));
        room -= 1;
    }
    if rows.is_empty() && model.data_at.is_some() {
        lines.extend(FIRST_TASK.iter().map(|text| Row::new(width, theme.glyph.cut).gap(1).text(text, theme.plain).line()));
        return lines;
    }
    let cursor = model.list.position(&rows);
    let first = table::first(cursor, rows.len(), room);
    for (at, task) in rows.iter().enumerate().skip(first).take(room) {
        let cells = cells(task, width, model, theme);
        let margin = if at == cursor { theme.glyph.cursor } else { " " };
        lines.push(table::row(&columns, margin, &cells, at == cursor, width, theme));
    }
    lines
}

fn cells(task: &TaskView, width: usize, model: &Model, theme: &Theme) -> Vec<(String, Style)> {
    let plain = |text: String| (text, theme.plain);
    let live = task.live.as_ref();
    let name = plain(task.name.to_string());
    let done = plain(figure::task_done(task));
    let eta = match (live, task.next_run) {
        (Some(live), _) => figure::eta(live.eta_s),
        (None, Some(next)) if task.state == TaskState::Waiting => model.zone.next(next, model.now),
        _ => "-".to_owned(),
    };
    if width < 60 {
        let rate = live.map_or_else(|| "-".to_owned(), |l| figure::short_rate(l.rate));
        return vec![name, done, plain(rate), plain(eta.replace(' ', ""))];
    }
    let stale = if model.link.is_down() { "?" } else { "" };
    let failed = task.run.as_ref().map_or(0, |r| r.counters.failed);
    let fail = match (task.run.is_some(), width < 80, failed) {
        (false, ..) => "-".to_owned(),
        (_, true, 1..) => format!("!{}", units::count(failed)),
        _ => units::count(failed),
    };
    vec![
        name,
        (format!("{stale}{}", task.word), theme.word(&task.word)),
        done,
        plain(live.map_or_else(|| "-".to_owned(), |l| figure::rate(model, l.rate))),
        plain(eta),
        (fail, if failed > 0 { theme.bad } else { theme.plain }),
        (task.note.clone(), theme.dim),
    ]
}

fn last_event(width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(1);
    let Some(event) = model.log.events.iter().rev().find(|e| e.level >= dth_proto::event::Level::Info) else {
        return row.line();
    };
    let task = event.task.as_ref().map_or(String::new(), |t| format!("{t}: "));
    row.text(&model.zone.short(event.at, model.now), theme.dim).gap(1).text(&format!("{task}{}", event.message), theme.plain).line()
}
