//! Line 1: where am I, and how is the link.

use ratatui::text::Line;

use crate::{
    model::{Link, Model, Screen},
    theme::Theme,
    widget::row::Row,
};

pub(super) fn line(width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).text("dth", theme.title).gap(1);
    let (right, style) = right(width, model, theme);
    let room = row.room().saturating_sub(crate::columns::width(&right) + 1);
    let mut left = left(model);
    // who and which version go first, then the start of the rest stays
    if crate::columns::width(&left.concat()) > room {
        left.truncate(1);
    }
    let left = crate::columns::cut(&left.concat(), room, theme.glyph.cut);
    row.text(&left, theme.plain).end(&right, style).line()
}

fn left(model: &Model) -> Vec<String> {
    let address = model.address.strip_prefix("unix:").unwrap_or(&model.address);
    let task = || model.task.as_ref().map_or("-", |t| t.as_str());
    match model.screen() {
        Screen::Overview => {
            let info = model.info.as_ref().map(|info| format!("  dthd {}  {} ({})", info.version, info.user, info.role));
            [format!(" {address}")].into_iter().chain(info).collect()
        }
        Screen::Transfers => vec![format!(" > transfers  {address}")],
        Screen::Detail => vec![format!(" > {}", task())],
        Screen::Failures => vec![format!(" > {} > failures", task())],
        Screen::Log => vec![format!(" > log{}", model.log.task.as_ref().map_or(String::new(), |t| format!(" of {t}")))],
        Screen::Wizard => match &model.wizard.original {
            Some(original) => vec![format!(" > change {}  {address}", original.name)],
            None => vec![format!(" > new task  {address}")],
        },
    }
}

fn right(width: usize, model: &Model, theme: &Theme) -> (String, ratatui::style::Style) {
    let at = |t| model.zone.time(t);
    if let Some((_, at_time)) = model.frozen.as_deref() {
        return (format!("FROZEN at {} (f goes on)", at(*at_time)), theme.warn);
    }
    match &model.link {
        Link::Connecting => ("connecting".to_owned(), theme.warn),
        Link::Down { since, .. } => {
            let data = model.data_at.filter(|_| width >= 60).map_or(String::new(), |t| format!(", data from {}", at(t)));
            (format!("*** NO LINK since {}{data} ***", at(*since)), theme.bad)
        }
        Link::Up { rtt_ms, .. } => {
            let rtt = rtt_ms.map_or(String::new(), |ms| format!("rtt {ms}ms  "));
            let time =
                model.shown_at().map_or(String::new(), |t| if width >= 60 { model.zone.day_time(t) } else { model.zone.short(t, t) });
            (format!("{rtt}{time}"), theme.plain)
        }
    }
}
