//! What an event does to the model, and what it makes necessary outside: pure, without clock and without I/O.

mod act;
mod answer;
mod form;
mod motion;

use std::time::Duration;

use dth_proto::{handshake::Welcome, id::TaskName, view::DaemonInfo, watch::WatchReply};

use crate::{
    command,
    effect::{Answer, Ask, Effect},
    filter::Filter,
    input::Key,
    model::{Link, Model, Overlay, Place, Screen, Toast},
};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size, in columns and rows.
    Resize(u16, u16),
    /// The time that [`Model::toast`] asked for has come.
    Wake,
    /// The program is in the foreground again.
    Resumed,
    /// The connection changed or brought something.
    Link(Change),
    /// What came of a question.
    Answer(Answer),
}

/// What the connection reports.
#[derive(Debug)]
pub enum Change {
    /// A connection was made.
    Up(Welcome, Option<Box<DaemonInfo>>),
    /// The watch was answered.
    Reply {
        /// The difference.
        reply: Box<WatchReply>,
        /// Round trip without the time it was held, in milliseconds.
        rtt_ms: u64,
    },
    /// The connection broke or could not be made.
    Down {
        /// A sentence.
        error: String,
        /// When it is tried again.
        retry_in: Duration,
        /// Attempts since the last connection.
        tries: u32,
    },
}

/// How long a message about something that worked stays, in milliseconds.
const TOAST_MS: u64 = 4_000;
/// Points asked for in a chart: its columns at 80.
pub const CHART_POINTS: u32 = 72;

/// Applies an event. [`Model::now`] must have been set to the current time.
pub fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    let focus = focus(model);
    let mut effects = match event {
        Event::Key(key) => key_pressed(model, key),
        Event::Paste(text) => typed(model, |input| input.insert(&text)),
        Event::Resize(width, height) => {
            model.size = (width, height);
            vec![Effect::DrawNow]
        }
        Event::Wake => expire(model),
        Event::Resumed => vec![Effect::DrawAll],
        Event::Link(change) => linked(model, change),
        Event::Answer(answer) => answer::take(model, answer),
    };
    let now = self::focus(model);
    if now != focus {
        effects.push(Effect::Focus(now));
    }
    // an idle daemon changes nothing and is asked nothing
    if !effects.is_empty() {
        effects.extend(ask_for_chart(model));
        effects.extend(form::ask_for_providers(model));
    }
    effects
}

/// The task whose detail is watched.
#[must_use]
pub fn focus(model: &Model) -> Option<TaskName> {
    model.screens.contains(&Screen::Detail).then(|| model.task.clone()).flatten()
}

/// Which task's rates the current screen shows, and over how many seconds; `None`: it has no chart.
#[must_use]
pub fn chart_wanted(model: &Model) -> Option<(Option<TaskName>, u32)> {
    let going = |t: &&dth_proto::view::TaskView| crate::model::is_going(t.state);
    let age = |t: &dth_proto::view::TaskView| t.run.as_ref().and_then(|r| r.started).map_or(0, |s| model.now.since(s).as_secs());
    match model.screen() {
        Screen::Overview => {
            let oldest = model.mirror.tasks.values().filter(going).map(age).max();
            Some((None, model.chart.range_s(oldest.unwrap_or(3_600))))
        }
        Screen::Detail => {
            let task = model.task.clone()?;
            let age = model.mirror.tasks.get(&task).map_or(0, age);
            Some((Some(task), model.chart.range_s(age)))
        }
        _ => None,
    }
}

fn ask_for_chart(model: &mut Model) -> Option<Effect> {
    if !model.link.is_up() || model.data_at.is_none() {
        return None;
    }
    let (task, range_s) = chart_wanted(model)?;
    if !model.chart.is_due(task.as_ref(), range_s, CHART_POINTS, model.now) {
        return None;
    }
    model.chart.asked = Some((model.now, task.clone(), range_s));
    Some(Effect::Ask(Ask::History { task, range_s, points: CHART_POINTS }))
}

fn key_pressed(model: &mut Model, key: Key) -> Vec<Effect> {
    let had_error = model.toast.take_if(|t| t.error).is_some();
    let mut effects = match command::find(model.place(), key) {
        Some(found) => act::run(model, found),
        None => match model.place() {
            Place::Screen(Screen::Wizard) | Place::Review | Place::Changes => form::key(model, key),
            Place::Palette | Place::Confirm | Place::Filter => typed(model, |input| {
                input.key(key);
            }),
            _ => Vec::new(),
        },
    };
    if had_error && effects.is_empty() {
        effects.push(Effect::DrawNow);
    }
    effects
}

/// Edits the text field that has the focus.
fn typed(model: &mut Model, edit: impl FnOnce(&mut crate::model::input::Input)) -> Vec<Effect> {
    match &mut model.overlay {
        Some(Overlay::Palette(input, at)) => {
            edit(input);
            *at = 0;
        }
        Some(Overlay::Confirm(confirm)) => edit(&mut confirm.typed),
        Some(Overlay::Filter(input, _)) => {
            edit(input);
            // half-typed terms (`fail:>`) keep the last filter that made sense
            if let Ok(filter) = Filter::parse(input.text()) {
                model.list.filter = filter;
            }
        }
        None if model.screens.last() == Some(&Screen::Wizard) => return form::edit(model, edit),
        _ => return Vec::new(),
    }
    vec![Effect::DrawNow]
}

fn expire(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    match model.toast.take_if(|t| t.until.is_some_and(|until| until <= now)) {
        Some(_) => vec![Effect::Draw],
        None => Vec::new(),
    }
}

/// A message that goes by itself.
fn say(model: &mut Model, text: impl Into<String>) {
    let until = Some(model.now.plus(Duration::from_millis(TOAST_MS)));
    model.toast = Some(Toast { text: text.into(), error: false, until });
}

/// A message that stays until a key is pressed.
fn complain(model: &mut Model, text: impl Into<String>) {
    model.toast = Some(Toast { text: text.into(), error: true, until: None });
}

fn linked(model: &mut Model, change: Change) -> Vec<Effect> {
    match change {
        Change::Up(welcome, info) => {
            if let Some(info) = &info {
                model.wizard.offer_credentials(info.credentials.iter().map(|(name, _)| name.as_str()));
            }
            model.info = info.map(|i| *i).or(model.info.take());
            model.link = Link::Up { welcome, rtt_ms: None };
            model.chart.asked = None;
            model.log.asking = false;
            let mut effects = vec![Effect::Draw];
            if let Some(task) = focus(model) {
                effects.push(Effect::Ask(Ask::Task(task)));
            }
            effects
        }
        Change::Reply { reply, rtt_ms } => {
            let first = model.data_at.is_none();
            if let Link::Up { rtt_ms: shown, .. } = &mut model.link {
                *shown = Some(rtt_ms);
            }
            let mut changed = model.mirror.apply(&reply) | first;
            if let Some(detail) = reply.focus.filter(|d| model.task.as_ref() == Some(&d.view.name)) {
                changed |= model.detail.as_ref() != Some(&detail);
                model.detail = Some(detail);
            }
            if !changed {
                return Vec::new();
            }
            model.data_at = Some(model.now);
            model.list.marks.retain(|name| model.mirror.tasks.contains_key(name));
            let mut effects = vec![Effect::Draw];
            let epoch_changed = model.log.after.0.is_some() && model.log.after.0 != model.mirror.epoch;
            if !model.log.asking && (epoch_changed || model.mirror.events_head > model.log.after.1) {
                model.log.asking = true;
                let (epoch, after) = model.log.after.clone();
                effects.push(Effect::Ask(Ask::Events { epoch, after }));
            }
            effects.extend(answer::refresh_failures(model));
            effects
        }
        Change::Down { error, retry_in, tries } => {
            let since = match &model.link {
                Link::Down { since, .. } => *since,
                _ => model.now,
            };
            model.link = Link::Down { since, error, next_try: model.now.plus(retry_in), tries };
            vec![Effect::Draw]
        }
    }
}

#[cfg(test)]
mod tests;
