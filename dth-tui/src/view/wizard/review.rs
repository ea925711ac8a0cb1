//! The last step of the form: the definition in words, what the daemon's test found, and the guard.

use dth_proto::{
    check::CheckState,
    spec::{ImageJob, Job, Registry, S3Job, Store, TaskSpec},
};
use ratatui::{layout::Rect, style::Style, text::Line};

use super::{super::definition, window};
use crate::{
    model::{Model, wizard::Engine},
    theme::Theme,
    widget::row::Row,
};

/// Adds the lines; says where the cursor stands.
pub(super) fn lines(area: Rect, lines: &mut Vec<Line<'static>>, model: &Model, theme: &Theme) -> Option<(usize, usize)> {
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
    let (what, _) = model.wizard.guarded();
    let question = if width >= 60 { format!(" Type the destination {what} to start: ") } else { format!(" Type the {what}: ") };
    let room = width.saturating_sub(question.len() + 3);
    let (typed, x) = window(model.wizard.guard.text(), model.wizard.guard.before(), room);
    let style = if model.wizard.is_guarded() { theme.ok } else { theme.field };
    let row =
        Row::new(width, theme.glyph.cut).text(&question, theme.title).text("[", theme.dim).left(&typed, room, style).text("]", theme.dim);
    lines.push(row.line());
    Some((question.len() + 1 + x, lines.len() - 1))
}

fn in_words(spec: &TaskSpec) -> Vec<(&'static str, String)> {
    let mut lines = vec![("name", spec.name.to_string())];
    lines.extend(match &spec.job {
        Job::S3(job) => objects(spec, job),
        Job::Image(job) => images(spec, job),
    });
    lines.push(("speed", spec.limits.bandwidth.as_ref().map_or("as the daemon allows".to_owned(), |plan| format!("at most {plan}"))));
    lines.push(("when", spec.trigger.as_ref().map_or("only when someone starts it".to_owned(), ToString::to_string)));
    lines.push(("file", format!("^W writes {}.toml, for: dth create --file {}.toml", spec.name, spec.name)));
    lines
}

fn objects(spec: &TaskSpec, job: &S3Job) -> Vec<(&'static str, String)> {
    let (from, to) = spec.ends();
    let end = |url: String, store: &Store| {
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
        ("from", end(from, &job.source.store)),
        ("to", end(to, &job.destination.store)),
        ("copy", format!("{}; {}", definition::compare(job.options.compare), definition::deletes(job))),
        ("write", write.join(", ")),
    ];
    if !only.is_empty() {
        lines.push(("only", only.join(", ")));
    }
    lines
}

fn images(spec: &TaskSpec, job: &ImageJob) -> Vec<(&'static str, String)> {
    let (from, to) = spec.ends();
    let end = |url: String, registry: &Registry| {
        let usual = if registry.is_ecr() { "the SDK's credentials" } else { "as docker signs in" };
        format!("{url}  {}", registry.credential.as_deref().unwrap_or(usual))
    };
    let mut names = definition::creation(job);
    if !job.destination.strip_prefix.is_empty() {
        names.insert(0, format!("names without {}", job.destination.strip_prefix));
    }
    let mut lines = vec![
        ("from", end(from, &job.source.registry)),
        ("images", definition::repositories(job)),
        ("tags", definition::tags(job)),
        ("to", end(to, &job.destination.registry)),
        ("copy", "new and changed only; nothing is deleted at the destination".to_owned()),
        ("write", definition::content(job).join(", ")),
    ];
    if !names.is_empty() {
        lines.push(("repos", names.join(", ")));
    }
    lines
}

fn checks(width: usize, model: &Model, theme: &Theme) -> Vec<Line<'static>> {
    let row = || Row::new(width, theme.glyph.cut).gap(1);
    let Some((_, _, reply)) = &model.wizard.check else {
        let text = match model.wizard.engine() {
            Engine::S3 => "^T lets the daemon try both ends (it writes and removes one object)",
            Engine::Image => "^T lets the daemon try both ends (it begins an upload and takes it back)",
        };
        return vec![row().text(text, theme.dim).line()];
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
