//! The block that shows a rate over time, for the overview and for one task.

use dth_proto::{id::TaskName, units};
use ratatui::text::Line;

use crate::{
    model::Model,
    theme::Theme,
    widget::{chart, row::Row},
};

/// Columns left of the chart: the scale.
const MARGIN: usize = 6;

/// Title, `height` rows of chart, axis with times: `height + 3` lines of `width` columns.
pub(super) fn lines(task: Option<&TaskName>, width: usize, height: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let cut = theme.glyph.cut;
    let have = model.chart.of(task);
    let points = have.map_or(&[][..], |(h, _)| h.bytes.as_slice());
    let columns = width.saturating_sub(MARGIN + 1);
    let top = chart::scale(points);
    let best = points.iter().flatten().max().copied();
    let title = match have {
        Some((_, range)) => format!(" Throughput, {}", units::coarse(range.into())),
        None => " Throughput: no data yet".to_owned(),
    };
    let peak = best.filter(|b| *b > 0).map_or(String::new(), |b| format!("peak {}", super::figure::rate(model, b)));
    let mut lines = vec![Row::new(width, cut).text(&title, theme.title).end(&peak, theme.plain).line()];
    let steps = u64::try_from(height.max(1)).unwrap_or(1);
    for (y, text) in chart::rows(points, columns, height, top, &theme.glyph).into_iter().enumerate() {
        let level = top / steps * (steps - y as u64);
        // nothing moved: there is no scale to name
        let label = if best.unwrap_or(0) == 0 { String::new() } else { scale_label(level) };
        lines.push(
            Row::new(width, cut)
                .right(&label, MARGIN - 1, theme.dim)
                .gap(1)
                .text(theme.glyph.axis, theme.dim)
                .text(&text, theme.gauge)
                .line(),
        );
    }
    let axis = format!("{}{}", theme.glyph.corner, theme.glyph.rule.repeat(columns));
    lines.push(Row::new(width, cut).right("0", MARGIN - 1, theme.dim).gap(1).text(&axis, theme.dim).line());
    lines.push(times(have, width, model, theme));
    lines
}

fn times(have: Option<(&dth_proto::view::History, u32)>, width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(MARGIN);
    let Some((history, range)) = have else {
        return row.line();
    };
    let text = |back_s: u64| {
        let at = dth_proto::time::Timestamp(history.until.0.saturating_sub(back_s.saturating_mul(1_000)));
        let time = model.zone.time(at);
        // seconds say nothing on a chart of hours
        if range > 900 { time.get(..5).unwrap_or("-").to_owned() } else { time }
    };
    let range = u64::from(range);
    let (start, middle, end) = (text(range), text(range / 2), text(0));
    let half = row.room() / 2;
    row.left(&start, half.saturating_sub(middle.len() / 2), theme.dim).text(&middle, theme.dim).end(&end, theme.dim).line()
}

/// A rate in at most five columns: `1.3G`, `600M`.
fn scale_label(value: u64) -> String {
    let text = units::count(value).replace(',', "");
    let trimmed = match text.split_once('.') {
        Some((whole, rest)) => {
            let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = rest.trim_end_matches(|c: char| !c.is_ascii_digit()).trim_end_matches('0');
            if digits.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{}{unit}", &digits[..1]) }
        }
        None => text,
    };
    trimmed.replace('k', "K")
}
