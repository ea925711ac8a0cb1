//! The form for a task: keys, steps, the daemon's test, creation.

use dth_proto::{check::CheckReply, spec::TaskSpec};

use super::{complain, say};
use crate::{
    effect::{Ask, Effect},
    input::Key,
    model::{
        Model, Overlay, Screen,
        confirm::Confirm,
        input::Input,
        wizard::{Field, Kind, REVIEW, Wizard},
    },
};

/// A key that is no command: text, or another choice.
pub(super) fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    if let Some(Field { kind: Kind::Choice(words, at), .. }) = model.wizard.focused() {
        let len = words.len().max(1);
        match key {
            Key::Right | Key::Char(' ') => *at = (*at + 1) % len,
            Key::Left => *at = (*at + len - 1) % len,
            _ => return Vec::new(),
        }
        return vec![Effect::DrawNow];
    }
    if key == Key::Right && model.wizard.complete() {
        return vec![Effect::DrawNow];
    }
    edit(model, |input| {
        input.key(key);
    })
}

/// Asks for the stores that the daemon knows when the form shows a field for them: they are offered there, and nothing else depends on them.
pub(super) fn ask_for_providers(model: &mut Model) -> Option<Effect> {
    let wants = model.screen() == Screen::Wizard && model.link.is_up() && model.wizard.wants_providers();
    wants.then_some(Effect::Ask(Ask::Providers))
}

/// Edits the focused text.
pub(super) fn edit(model: &mut Model, change: impl FnOnce(&mut Input)) -> Vec<Effect> {
    if model.wizard.step == REVIEW {
        change(&mut model.wizard.guard);
    } else if let Some(Field { kind: Kind::Text(input), .. }) = model.wizard.focused() {
        change(input);
    } else {
        return Vec::new();
    }
    vec![Effect::DrawNow]
}

/// Leaves no trace of what was typed.
pub(super) fn clear(model: &mut Model) {
    model.wizard = Wizard::default();
    offer_credentials(model);
}

/// To the next step, when this one has no mistakes; on the last: creates and starts, or changes.
pub(super) fn next(model: &mut Model) -> Vec<Effect> {
    if model.wizard.step == REVIEW {
        return if model.wizard.original.is_some() { change(model) } else { create(model, true) };
    }
    if let Some(mistake) = model.wizard.mistakes_here().into_iter().next() {
        model.wizard.focus_on(&mistake.field);
        complain(model, format!("{} {}", mistake.field, mistake.message));
        return Vec::new();
    }
    let step = model.wizard.step + 1;
    model.wizard.go_to(step);
    if step == REVIEW { begin_check(model) } else { Vec::new() }
}

/// Creates the task.
pub(super) fn create(model: &mut Model, start: bool) -> Vec<Effect> {
    match model.wizard.spec() {
        Ok(spec) if spec.deletes() && (start || spec.trigger.is_some()) => {
            model.overlay = Some(Overlay::Confirm(Box::new(Confirm::create(spec, start))));
            Vec::new()
        }
        Ok(spec) => {
            model.wizard.sending = true;
            vec![Effect::Ask(Ask::Create { spec: Box::new(spec), start, confirmed: false })]
        }
        Err(_) => Vec::new(),
    }
}

/// Changes the task that the form was filled with.
fn change(model: &mut Model) -> Vec<Effect> {
    match (model.wizard.spec(), &model.wizard.original) {
        (Ok(spec), Some(original)) => {
            let name = original.name.clone();
            model.wizard.sending = true;
            vec![Effect::Ask(Ask::Edit { name, spec: Box::new(spec) })]
        }
        _ => Vec::new(),
    }
}

/// Opens the form with the definition of a task that exists.
pub(super) fn open(model: &mut Model, spec: &TaskSpec) {
    model.wizard = Wizard::of(spec);
    offer_credentials(model);
}

fn offer_credentials(model: &mut Model) {
    if let Some(info) = &model.info {
        model.wizard.offer_credentials(info.credentials.iter().map(|(name, _)| name.as_str()));
    }
}

/// Lets the daemon try both ends, when the form has no mistakes.
pub(super) fn check(model: &mut Model) -> Vec<Effect> {
    match model.wizard.spec() {
        Ok(_) => {
            model.wizard.go_to(REVIEW);
            model.wizard.check = None;
            begin_check(model)
        }
        Err(mistakes) => {
            let text = mistakes.first().map_or(String::new(), |m| format!("{} {}", m.field, m.message));
            complain(model, format!("test: {text}"));
            Vec::new()
        }
    }
}

/// A definition that was tried already is not tried again by itself: each test writes an object.
fn begin_check(model: &mut Model) -> Vec<Effect> {
    let Ok(spec) = model.wizard.spec() else {
        return Vec::new();
    };
    let tried = model.wizard.check.as_ref().is_some_and(|(of, ..)| *of == spec);
    if tried || model.may_operate().is_err() {
        return Vec::new();
    }
    let nothing = CheckReply { steps: Vec::new(), done: false };
    model.wizard.check = Some((spec.clone(), None, nothing));
    vec![Effect::Ask(Ask::CheckStart(Box::new(spec)))]
}

/// Writes the task file.
pub(super) fn write_file(model: &mut Model) -> Vec<Effect> {
    match model.wizard.spec() {
        Ok(spec) => {
            say(model, "writing");
            vec![Effect::Ask(Ask::WriteFile { name: format!("{}.toml", spec.name), text: spec.to_toml() })]
        }
        Err(mistakes) => {
            let text = mistakes.first().map_or(String::new(), |m| format!("{} {}", m.field, m.message));
            complain(model, format!("write file: {text}"));
            Vec::new()
        }
    }
}
