//! One task: what is it doing, and how fast.

use std::time::Duration;

use dth_proto::{
    bandwidth::BandwidthNow,
    spec::Job,
    units,
    view::{BlobInFlight, InFlight, Phase, TaskDetail, TaskView},
};
use ratatui::{layout::Rect, text::Line};

use super::{definition, figure, throughput};
use crate::{
    model::Model,
    theme::Theme,
    widget::{bar::bar, row::Row},
};

const DAY: Duration = Duration::from_hours(24);

pub(super) fn lines(area: Rect, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    let Some(view) = model.task.as_ref().and_then(|t| model.shown().tasks.get(t)) else {
        return vec![row().text("This task is gone. Esc goes back.", theme.plain).line()];
    };
    let detail = model.detail.as_deref().filter(|d| d.view.name == view.name);
    let tall = height >= 19;
    let mut lines = vec![state(view, width, model, theme)];
    lines.extend(ends(view, detail, width, tall, model, theme));
    if tall {
        lines.push(Line::default());
    }
    let Some(detail) = detail else {
        lines.push(row().text("Waiting for the details.", theme.dim).line());
        return lines;
    };
    lines.extend(detail.phases.iter().map(|p| phase(p, width, model, theme)));
    lines.push(rates(view, detail, width, model, theme));
    let after = after(view, detail, width, model, theme);
    if tall && let Some(chart) = chart(detail, height.saturating_sub(lines.len() + after.len())) {
        lines.extend(throughput::lines(Some(&view.name), width, chart, model, theme));
    }
    lines.extend(after);
    let room = height.saturating_sub(lines.len());
    lines.extend(in_flight(detail, width, room, theme));
    lines
}

/// Rows of the chart beside its three lines of title and axis, where `room` lines are left by what is fixed; `None`: no chart.
fn chart(detail: &TaskDetail, room: usize) -> Option<usize> {
    match detail.spec.job {
        // four lines stay for what is being copied
        Job::S3(_) => Some(room.saturating_sub(3 + 4).clamp(2, 8)),
        // few images are copied at once, each for long: they go before the chart
        Job::Image(_) => {
            let copying = if detail.in_flight_count == 0 { 0 } else { 1 + detail.in_flight.len() };
            room.checked_sub(copying + 3).filter(|rows| *rows >= 2).map(|rows| rows.min(8))
        }
    }
}

fn state(view: &TaskView, width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(1);
    let stale = if model.link.is_down() { "?" } else { "" };
    let run = match &view.run {
        None => "never ran".to_owned(),
        Some(run) => {
            let began = run.started.map_or("waits for a slot".to_owned(), |s| format!("since {}", model.zone.full(s)));
            let ended = run.ended.map_or(String::new(), |e| format!(", ended {}", model.zone.short(e, model.now)));
            let outcome = run.outcome.map_or(String::new(), |o| format!(" {}", o.word()));
            format!("run {}{outcome} ({}) {began}{ended}", run.run, run.cause)
        }
    };
    row.text(&format!("{stale}{}", view.word), theme.word(&view.word))
        .gap(2)
        .text(&run, theme.plain)
        .gap(2)
        .text(&view.note, theme.warn)
        .line()
}

fn ends(view: &TaskView, detail: Option<&TaskDetail>, width: usize, tall: bool, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let credential = |source: bool| {
        let (from, to) = detail?.spec.credentials();
        if source { from } else { to }.map(str::to_owned)
    };
    let end = |label: &str, url: &str, place: &str, credential: Option<String>| {
        let side = credential.map_or_else(|| place.to_owned(), |c| format!("{place}  {c}"));
        let row = Row::new(width, theme.glyph.cut).gap(1).left(label, 6, theme.dim);
        let side = crate::columns::cut(&side, width / 2, theme.glyph.cut);
        let room = row.room().saturating_sub(crate::columns::width(&side) + 2);
        row.left(url, room, theme.plain).gap(1).text(&side, theme.dim).line()
    };
    let mut lines =
        vec![end("from", &view.from, &view.from_where, credential(true)), end("to", &view.to, &view.to_where, credential(false))];
    if let (true, Some(detail)) = (tall, detail) {
        let line =
            |label: &str, text: &str| Row::new(width, theme.glyph.cut).gap(1).left(label, 6, theme.dim).text(text, theme.plain).line();
        if let Job::Image(job) = &detail.spec.job {
            lines.push(line("pick", &format!("{}; {}", definition::repositories(job), definition::tags(job))));
        }
        lines.push(line("opts", &options(detail, model)));
        if let Some(events) = &detail.events {
            let [received, applied] = [events.received, events.applied].map(units::grouped);
            let text = format!("lag {}  {received} received  {applied} applied  {}", units::coarse(events.lag_s), events.queue);
            lines.push(line("events", &text));
        }
    }
    lines
}

/// The definition's options in words.
pub(super) fn options(detail: &TaskDetail, model: &Model) -> String {
    let mut parts = match &detail.spec.job {
        Job::S3(job) => definition::objects(job),
        Job::Image(job) => definition::content(job).into_iter().chain(definition::creation(job)).collect(),
    };
    if let Some(now) = &detail.bandwidth {
        parts.push(limit(now, model));
    }
    parts.push(detail.view.trigger.clone());
    parts.join(", ")
}

/// `limit 200 MB/s until 18:00`.
fn limit(now: &BandwidthNow, model: &Model) -> String {
    let rate = now.rate.map_or("no limit".to_owned(), |rate| format!("limit {}", units::rate(rate.0)));
    match now.until {
        Some(until) if until.since(model.now) < DAY => format!("{rate} until {}", model.zone.next(until, model.now)),
        Some(until) => format!("{rate} until {}", model.zone.coming(until, model.now)),
        None => rate,
    }
}

fn phase(phase: &Phase, width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let bytes = phase.unit == "bytes";
    let amount = |v| if bytes { units::bytes(v) } else { units::count(v) };
    let rate = match (phase.finished, bytes) {
        (true, _) => "done".to_owned(),
        (false, true) if phase.rate.is_finite() => figure::rate(model, phase.rate.max(0.0) as u64),
        (false, _) => figure::per_second(phase.rate),
    };
    let percent = if phase.finished { "100%".to_owned() } else { figure::percent(phase.done, phase.total) };
    let row = Row::new(width, theme.glyph.cut).gap(1).left(&phase.name, 8, theme.plain);
    let (tail, unit) = if width < 60 { (8, 0) } else { (8 + 1 + 7 + 10, 8) };
    let room = row.room().saturating_sub(tail + unit + 2);
    let row = row.text(&bar(phase.done, if phase.finished { phase.done } else { phase.total }, room, &theme.glyph), theme.gauge).right(
        &percent,
        7,
        theme.plain,
    );
    if width < 60 {
        return row.line();
    }
    row.right(&amount(phase.done), 9, theme.plain)
        .gap(1)
        .left(if bytes { "" } else { &phase.unit }, 7, theme.dim)
        .right(&rate, 10, theme.plain)
        .line()
}

fn rates(view: &TaskView, detail: &TaskDetail, width: usize, model: &Model, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(1);
    let text = match (&view.live, &view.run) {
        (Some(live), _) => {
            let stalled = live.stalled_s.map_or(String::new(), |s| format!("   no bytes for {}", units::coarse(s)));
            format!(
                "{} {}   1h {}   best {}   {}   ETA {}{stalled}",
                if model.link.is_down() { "then" } else { "now" },
                figure::rate(model, live.rate),
                figure::rate(model, live.rate_hour),
                figure::rate(model, detail.best_rate.max(live.rate)),
                figure::per_second(live.objects_per_s),
                figure::eta(live.eta_s)
            )
        }
        (None, Some(run)) => {
            let took = if run.duration_s.is_finite() { units::coarse(run.duration_s.max(0.0) as u64) } else { "-".to_owned() };
            format!("mean {} over {took}   best {}", figure::rate(model, run.bytes_per_s), figure::rate(model, detail.best_rate))
        }
        (None, None) => "no run yet: S starts one".to_owned(),
    };
    row.text(&text, theme.title).line()
}

fn after(view: &TaskView, detail: &TaskDetail, width: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let line = |text: &str, style| Row::new(width, theme.glyph.cut).gap(1).text(text, style).line();
    let mut lines = Vec::new();
    if let Some(run) = &view.run {
        let c = &run.counters;
        let text = format!(
            "listed {}  same {}  copied {}  skipped {}  left {}",
            units::count(c.listed),
            units::count(c.same),
            units::count(c.copied),
            units::count(c.skipped),
            units::count(c.pending)
        );
        let failed = format!("  failed {}", units::count(c.failed));
        let row = Row::new(width, theme.glyph.cut).gap(1).text(&text, theme.plain);
        lines.push(row.text(&failed, if c.failed > 0 { theme.bad } else { theme.plain }).line());
        if let Some(error) = &run.error {
            lines.push(line(&format!("error: {error}"), theme.bad));
        }
    }
    let sizes: Vec<String> = detail.sizes.iter().map(|(class, n)| format!("{class} {}", units::count(*n))).collect();
    if detail.largest > 0 {
        lines.push(line(&format!("{}: {}  largest {}", detail.spec.items(), sizes.join("  "), units::bytes(detail.largest)), theme.plain));
    }
    let by = |title: &str, map: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<String> = map.iter().map(|(name, n)| format!("{name} {}", units::count(*n))).collect();
        if parts.is_empty() { String::new() } else { format!("{title}: {}   ", parts.join(", ")) }
    };
    let ways = format!("{}{}", by("verified", &detail.verified), by("skipped", &detail.skipped));
    if !ways.is_empty() {
        lines.push(line(&ways, theme.plain));
    }
    if let Some(group) = detail.failures.first() {
        let text = format!(
            "failed: {} {} {} {}, last {} (F shows all)",
            units::count(group.count),
            group.code,
            group.side.word(),
            group.operation,
            model.zone.short(group.last, model.now)
        );
        lines.push(line(&text, theme.warn));
    }
    lines
}

fn in_flight(detail: &TaskDetail, width: usize, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    if detail.in_flight_count == 0 || room < 2 {
        return Vec::new();
    }
    let items = detail.spec.items();
    let head = format!(
        "copying {} {}, memory {} of {}",
        units::count(detail.in_flight_count),
        if detail.in_flight_count == 1 { items.trim_end_matches('s') } else { items },
        units::bytes(detail.memory.0),
        units::bytes(detail.memory.1)
    );
    let mut lines = vec![Row::new(width, theme.glyph.cut).gap(1).text(&head, theme.dim).line()];
    let shown = &detail.in_flight[..detail.in_flight.len().min(room - 1)];
    // blobs only where all items are seen
    let mut spare = room - 1 - shown.len();
    for one in shown {
        lines.push(item(one, &detail.spec.job, width, theme));
        let blobs = &one.blobs[..one.blobs.len().min(spare)];
        spare -= blobs.len();
        lines.extend(blobs.iter().map(|of| blob(of, width, theme)));
    }
    lines
}

fn blob(of: &BlobInFlight, width: usize, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(4);
    let tail = 1 + 8 + 1 + if width >= 60 { 18 } else { 0 } + 6;
    let name = row.room().saturating_sub(tail);
    row.left(&of.digest, name, theme.dim)
        .gap(1)
        .right(&units::bytes(of.size), 8, theme.dim)
        .gap(1)
        .right("", if width >= 60 { 18 } else { 0 }, theme.dim)
        .right(&figure::percent(of.done, of.size), 6, theme.dim)
        .line()
}

fn item(of: &InFlight, job: &Job, width: usize, theme: &Theme) -> Line<'static> {
    let row = Row::new(width, theme.glyph.cut).gap(2);
    let parts = match (job, of.parts) {
        _ if width < 60 => String::new(),
        // its size is known when its manifests have been read
        (Job::Image(_), _) if of.size == 0 => "reading".to_owned(),
        (Job::Image(_), Some((n, all))) => format!("blob {}/{}", units::grouped(n.into()), units::grouped(all.into())),
        (Job::S3(_), Some((n, all))) => format!("part {}/{}", units::grouped(n.into()), units::grouped(all.into())),
        (_, None) => String::new(),
    };
    let tail = 1 + 8 + 1 + if width >= 60 { 18 } else { 0 } + 6;
    let key = row.room().saturating_sub(tail);
    row.left(&of.key, key, theme.plain)
        .gap(1)
        .right(&units::bytes(of.size), 8, theme.plain)
        .gap(1)
        .right(&parts, if width >= 60 { 18 } else { 0 }, theme.dim)
        .right(&figure::percent(of.done, of.size), 6, theme.plain)
        .line()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn a_limit_says_until_when() {
        let model = sample::typical();
        let at = |rate: Option<&str>, hours: Option<u64>| {
            let until = hours.map(|h| model.now.plus(Duration::from_hours(h)));
            limit(&BandwidthNow { rate: rate.and_then(|r| r.parse().ok()), until }, &model)
        };
        assert_eq!(at(Some("200MB/s"), None), "limit 200 MB/s");
        let soon = model.zone.next(model.now.plus(Duration::from_hours(3)), model.now);
        assert_eq!(at(Some("200MB/s"), Some(3)), format!("limit 200 MB/s until {soon}"));
        let later = model.zone.coming(model.now.plus(Duration::from_hours(60)), model.now);
        assert_eq!(at(None, Some(60)), format!("no limit until {later}"));
        assert!(later.len() > soon.len(), "{later} names the day");
    }
}
