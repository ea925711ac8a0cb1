//! Failed items of one run, grouped by cause.

use dth_proto::{failure::FailureClass, units};
use ratatui::{layout::Rect, text::Line};

use crate::{
    columns,
    model::Model,
    theme::Theme,
    widget::{
        row::Row,
        table::{self, Column, number, text},
    },
};

/// Most groups shown at once when there are keys below.
const GROUPS: usize = 6;

pub(super) fn lines(area: Rect, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let f = &model.failures;
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    if let Some(error) = &f.error {
        return vec![row().text(error, theme.bad).line()];
    }
    let Some(group) = f.current() else {
        let text = if f.run == 0 { "Waiting for the failures." } else { "Nothing failed in the last run." };
        return vec![row().text(text, theme.plain).line()];
    };
    let total: u64 = f.groups.iter().fold(0, |sum, g| sum.saturating_add(g.count));
    let mut lines = vec![
        row()
            .text(
                &format!("run {}: {} failed in {}", f.run, units::grouped(total), columns::counted(f.groups.len() as u64, "group")),
                theme.title,
            )
            .line(),
    ];
    lines.extend(groups(width, model, theme));
    if height >= 14 {
        lines.push(row().text(&theme.glyph.rule.repeat(width.saturating_sub(2)), theme.dim).line());
        lines.push(row().left("prefix", 8, theme.dim).text(&group.prefix, theme.plain).line());
        lines.push(row().left("said", 8, theme.dim).text(&group.message, theme.plain).line());
        if let Some(hint) = &group.hint {
            lines.push(row().left("hint", 8, theme.dim).text(hint, theme.warn).line());
        }
        lines.push(Line::default());
    }
    let room = height.saturating_sub(lines.len());
    lines.extend(items(width, room, model, theme));
    lines
}

fn retry_word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Throttled | FailureClass::Transient | FailureClass::Changed => "yes",
        FailureClass::Auth => "after fix",
        FailureClass::Permanent => "no",
        _ => "?",
    }
}

fn group_columns(width: usize) -> Vec<Column> {
    let fixed = if width < 60 { vec![number("COUNT", 7)] } else { vec![number("COUNT", 7), text("CLASS", 9)] };
    let tail = match width {
        0..60 => vec![],
        60..80 => vec![text("RETRY", 9)],
        _ => vec![text("FIRST", 6), text("LAST", 6), text("RETRY", 9)],
    };
    let rest = width.saturating_sub(2 + table::width(&fixed) + table::width(&tail) + 3);
    let what = rest / 2;
    fixed.into_iter().chain([text("WHAT", what), text("WHERE", rest - what)]).chain(tail).collect()
}

fn groups(width: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let f = &model.failures;
    let columns = group_columns(width);
    let mut lines = vec![table::head(&columns, 2, width, theme)];
    let first = table::first(f.group, f.groups.len(), GROUPS);
    for (at, g) in f.groups.iter().enumerate().skip(first).take(GROUPS) {
        let plain = |text: String| (text, theme.plain);
        let mut cells = vec![plain(units::grouped(g.count))];
        if width >= 60 {
            cells.push(plain(g.class.word().to_owned()));
        }
        cells.push(plain(g.code.clone()));
        cells.push(plain(format!("{} {}", g.side.word(), g.operation)));
        if width >= 80 {
            cells.push(plain(model.zone.short(g.first, model.now)));
            cells.push(plain(model.zone.short(g.last, model.now)));
        }
        if width >= 60 {
            cells.push(plain(retry_word(g.class).to_owned()));
        }
        let here = at == f.group;
        let margin = if here { format!("{} ", theme.glyph.cursor) } else { "  ".to_owned() };
        lines.push(table::row(&columns, &margin, &cells, here && !f.in_items, width, theme));
    }
    lines
}

fn items(width: usize, height: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let f = &model.failures;
    let items = f.of_group();
    let fixed = if width < 60 { vec![number("SIZE", 8)] } else { vec![number("SIZE", 8), number("TRIES", 5), text("LAST TRY", 8)] };
    let key = width.saturating_sub(2 + table::width(&fixed) + 1);
    let images = model.task.as_ref().and_then(|t| model.shown().tasks.get(t)).is_some_and(|t| t.engine == "image");
    let columns: Vec<Column> = [text(if images { "IMAGE" } else { "KEY" }, key)].into_iter().chain(fixed).collect();
    let Some(room) = height.checked_sub(1) else {
        return Vec::new();
    };
    let mut lines = vec![table::head(&columns, 2, width, theme)];
    let first = table::first(f.item, items.len(), room);
    for (at, item) in items.iter().enumerate().skip(first).take(room) {
        let plain = |text: String| (text, theme.plain);
        let mut cells = vec![plain(item.key.clone()), plain(units::bytes(item.size))];
        if width >= 60 {
            cells.push(plain(item.tries.to_string()));
            cells.push(plain(model.zone.time(item.at)));
        }
        let here = at == f.item && f.in_items;
        let margin = if here { format!("{} ", theme.glyph.cursor) } else { "  ".to_owned() };
        lines.push(table::row(&columns, &margin, &cells, here, width, theme));
    }
    lines
}
