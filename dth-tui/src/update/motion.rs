//! Moving the cursor of the list that has the focus.

use crate::{
    command::{self, Id},
    effect::{Ask, Effect},
    model::{Model, Overlay, Place, Screen},
};

fn moved(id: Id, at: usize, len: usize, page: usize) -> usize {
    let last = len.saturating_sub(1);
    match id {
        Id::Up => at.saturating_sub(1),
        Id::Down => (at + 1).min(last),
        Id::PageUp => at.saturating_sub(page),
        Id::PageDown => at.saturating_add(page).min(last),
        Id::First => 0,
        Id::Last => last,
        _ => at,
    }
}

pub(super) fn go(model: &mut Model, id: Id) -> Vec<Effect> {
    let page = model.page();
    let place = Place::Screen(model.screen());
    match &mut model.overlay {
        Some(Overlay::Help(first)) => {
            *first = moved(id, *first, command::of(place).count() + 12, page);
            return Vec::new();
        }
        Some(Overlay::Palette(input, at)) => {
            *at = moved(id, *at, command::matching(place, input.text()).len(), page);
            return Vec::new();
        }
        _ => {}
    }
    match model.screen() {
        Screen::Overview | Screen::Transfers => {
            let rows = model.rows();
            let row = moved(id, model.list.position(&rows), rows.len(), page);
            let cursor = rows.get(row).map(|t| (t.name.clone(), row));
            model.list.cursor = cursor;
        }
        Screen::Log => {
            let len = model.log.shown().len();
            model.log.cursor = moved(id, model.log.position(len), len, page);
            model.log.follow = id == Id::Last;
        }
        Screen::Failures => return in_failures(model, id, page),
        Screen::Detail | Screen::Wizard => {}
    }
    Vec::new()
}

fn in_failures(model: &mut Model, id: Id, page: usize) -> Vec<Effect> {
    let failures = &mut model.failures;
    if !failures.in_items {
        failures.group = moved(id, failures.group, failures.groups.len(), page);
        failures.item = 0;
        return Vec::new();
    }
    let len = failures.of_group().len();
    failures.item = moved(id, failures.item, len, page);
    let at_end = failures.item + 1 >= len;
    match (&failures.next, &model.task) {
        (Some(after), Some(task)) if at_end => {
            let ask = Ask::Failures { task: task.clone(), after: Some(after.clone()) };
            // asked for once; a later page brings its own end
            failures.next = None;
            vec![Effect::Ask(ask)]
        }
        _ => Vec::new(),
    }
}
