//! What the daemon's answers do to the model.

use dth_proto::{
    check::{CheckReply, CheckState},
    id::TaskName,
    view::TaskView,
};

use super::{complain, form, say};
use crate::{
    effect::{Answer, Ask, Effect},
    model::{Model, Screen},
};

/// Why another form is not opened.
pub(super) const FILLED: &str = "edit: the form is filled already: n opens it, finish or leave it first";

pub(super) fn take(model: &mut Model, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Task(name, result) => {
            if model.task.as_ref() != Some(&name) {
                return Vec::new();
            }
            match result {
                Ok(detail) => model.detail = Some(detail),
                Err(error) => complain(model, error),
            }
        }
        Answer::History { task, range_s, result } => {
            let wanted = model.chart.asked.as_ref().is_some_and(|(_, t, r)| *t == task && *r == range_s);
            match result {
                Ok(history) if wanted => model.chart.have = Some((task, range_s, history)),
                // an error shows as what it is: no chart, or an old one
                _ => return Vec::new(),
            }
        }
        Answer::Failures { task, first, result } => {
            if model.task.as_ref() != Some(&task) {
                return Vec::new();
            }
            match result {
                Ok(reply) => model.failures.take(reply, first),
                Err(error) => model.failures.error = Some(error),
            }
        }
        Answer::Events(result) => return events(model, result),
        Answer::Done { verb, outcomes } => done(model, verb, outcomes),
        Answer::Created(result) => {
            model.wizard.sending = false;
            match result {
                Ok(task) => {
                    let text = format!("{} is created, {}", task.name, task.word);
                    model.list.cursor = Some((task.name.clone(), 0));
                    model.mirror.tasks.insert(task.name.clone(), *task);
                    form::clear(model);
                    model.screens.retain(|s| *s != Screen::Wizard);
                    say(model, text);
                }
                Err(error) => complain(model, error),
            }
        }
        Answer::Definition(result) => match result {
            // somebody may have begun to fill the form meanwhile
            Ok(_) if model.wizard.is_touched() => complain(model, FILLED.to_owned()),
            Ok(spec) => {
                form::open(model, &spec);
                model.screens.retain(|s| *s != Screen::Wizard);
                model.screens.push(Screen::Wizard);
            }
            Err(error) => complain(model, format!("edit: {error}")),
        },
        Answer::Edited(name, result) => {
            model.wizard.sending = false;
            match result {
                Ok(task) => {
                    let text = format!("{} is changed, {}", task.name, task.word);
                    edited(model, &name, *task);
                    say(model, text);
                }
                Err(error) => complain(model, error),
            }
        }
        Answer::Providers(Ok(providers)) => model.wizard.offer_providers(providers),
        // a daemon that does not say: names are typed in full
        Answer::Providers(Err(_)) => return Vec::new(),
        Answer::CheckStarted(result) => match (result, &mut model.wizard.check) {
            (Ok(job), Some((_, id, _))) => {
                *id = Some(job);
                return vec![Effect::Draw, Effect::Ask(Ask::CheckPoll { job, seen: 0 })];
            }
            (Err(error), _) => {
                model.wizard.check = None;
                complain(model, format!("test: {error}"));
            }
            (Ok(_), None) => return Vec::new(),
        },
        Answer::CheckPolled { job, result } => return polled(model, job, result),
        Answer::Written(Ok(path)) => say(model, format!("written: {}", path.display())),
        Answer::Written(Err(error)) => complain(model, error),
    }
    vec![Effect::Draw]
}

/// A task was changed, and may have another name now.
fn edited(model: &mut Model, before: &TaskName, task: TaskView) {
    model.mirror.tasks.remove(before);
    model.list.marks.remove(before);
    model.list.cursor = Some((task.name.clone(), 0));
    if model.task.as_ref() == Some(before) {
        model.task = Some(task.name.clone());
        model.detail = None;
    }
    model.mirror.tasks.insert(task.name.clone(), task);
    form::clear(model);
    model.screens.retain(|s| *s != Screen::Wizard);
}

fn events(model: &mut Model, result: Result<dth_proto::event::EventsReply, String>) -> Vec<Effect> {
    let Ok(reply) = result else {
        model.log.asking = false;
        return Vec::new();
    };
    let progress = reply.next > model.log.after.1 || model.log.after.0.as_ref() != Some(&reply.epoch);
    model.log.take(reply);
    let mut effects = vec![Effect::Draw];
    // more than one page, or new ones since; without progress asking again would never end
    if progress && model.mirror.events_head > model.log.after.1 {
        model.log.asking = true;
        let (epoch, after) = model.log.after.clone();
        effects.push(Effect::Ask(Ask::Events { epoch, after }));
    }
    effects
}

fn done(model: &mut Model, verb: &str, outcomes: Vec<(TaskName, Result<TaskView, String>)>) {
    let total = outcomes.len();
    let mut errors = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(task) if verb == "delete" => {
                model.mirror.tasks.remove(&task.name);
                model.list.marks.remove(&task.name);
                if model.task.as_ref() == Some(&task.name) {
                    model.screens.retain(|s| !matches!(s, Screen::Detail | Screen::Failures));
                    model.task = None;
                    model.detail = None;
                }
            }
            Ok(task) => drop(model.mirror.tasks.insert(name, task)),
            Err(error) => errors.push(if total > 1 { format!("{name}: {error}") } else { error }),
        }
    }
    if errors.is_empty() {
        say(model, if total == 1 { format!("{verb}: accepted") } else { format!("{verb}: accepted for {total} tasks") });
    } else {
        complain(model, format!("{verb}: {} of {total} refused: {}", errors.len(), errors.join("; ")));
    }
}

fn polled(model: &mut Model, job: u64, result: Result<CheckReply, String>) -> Vec<Effect> {
    let Some((_, id, shown)) = &mut model.wizard.check else {
        return Vec::new();
    };
    // an answer about a definition that was changed since
    if *id != Some(job) {
        return Vec::new();
    }
    match result {
        Ok(reply) => {
            let changed = *shown != reply;
            let again = (!reply.done).then(|| {
                let ended = reply.steps.iter().filter(|s| s.state != CheckState::Running).count();
                let seen = u32::try_from(ended).unwrap_or(u32::MAX);
                Effect::Ask(Ask::CheckPoll { job, seen })
            });
            *shown = reply;
            changed.then_some(Effect::Draw).into_iter().chain(again).collect()
        }
        Err(error) => {
            model.wizard.check = None;
            complain(model, format!("test: {error}"));
            vec![Effect::Draw]
        }
    }
}

/// Asks for the failures again when the screen shows them and their number is another than when they were fetched.
pub(super) fn refresh_failures(model: &mut Model) -> Vec<Effect> {
    if !model.screens.contains(&Screen::Failures) || !model.link.is_up() {
        return Vec::new();
    }
    let Some(task) = model.task.clone() else {
        return Vec::new();
    };
    let count = model.mirror.tasks.get(&task).and_then(|t| t.run.as_ref()).map_or(0, |r| r.counters.failed);
    if model.failures.fetched_at_count.replace(count) == Some(count) {
        return Vec::new();
    }
    vec![Effect::Ask(Ask::Failures { task, after: None })]
}
