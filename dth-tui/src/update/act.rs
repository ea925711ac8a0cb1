//! What each command does.

use dth_proto::{
    event::Level,
    id::TaskName,
    view::{Action, RunKind, TaskState},
};

use super::{answer, complain, form, motion, say};
use crate::{
    command::{self, Command, Danger, Id},
    effect::{Ask, Effect},
    filter::Filter,
    model::{Confirm, Link, Model, Overlay, Screen, confirm::Pending, input::Input},
};

/// Runs a command, or says why it cannot be run.
pub(super) fn run(model: &mut Model, found: &Command) -> Vec<Effect> {
    if let Err(why) = (found.enabled)(model) {
        complain(model, format!("{}: {why}", found.title));
        return vec![Effect::DrawNow];
    }
    let mut effects = act(model, found);
    if !effects.contains(&Effect::Quit) {
        effects.push(Effect::DrawNow);
    }
    effects
}

fn act(model: &mut Model, found: &Command) -> Vec<Effect> {
    match found.id {
        Id::Quit | Id::QuitNow => return vec![Effect::Quit],
        Id::Suspend => return vec![Effect::Suspend],
        Id::Redraw => return vec![Effect::DrawAll],
        Id::Reconnect => return vec![Effect::Reconnect],
        Id::Back => return back(model),
        Id::Help => model.overlay = Some(Overlay::Help(0)),
        Id::Palette => model.overlay = Some(Overlay::Palette(Input::default(), 0)),
        Id::Freeze => {
            model.frozen = match model.frozen.take() {
                None => Some(Box::new((model.mirror.clone(), model.data_at.unwrap_or(model.now)))),
                Some(_) => None,
            };
        }
        Id::Bits => model.bits = !model.bits,
        Id::Copy => return copy(model),
        Id::Overview => model.screens.truncate(1),
        Id::Transfers => go(model, &[Screen::Transfers]),
        Id::Log => {
            model.log.task = None;
            go(model, &[Screen::Log]);
        }
        Id::TaskLog => {
            model.log.task = model.subject().map(|t| t.name.clone());
            model.log.follow = true;
            push(model, Screen::Log);
        }
        Id::New => {
            if model.wizard.original.is_some() && !model.wizard.is_touched() {
                form::clear(model);
            }
            push(model, Screen::Wizard);
        }
        Id::Edit => {
            if model.wizard.is_touched() {
                complain(model, answer::FILLED.to_owned());
                return Vec::new();
            }
            return model.subject().map(|t| Effect::Ask(Ask::Definition(t.name.clone()))).into_iter().collect();
        }
        Id::NextProblem => return next_problem(model),
        Id::Open => return open(model),
        Id::Failures => return failures(model),
        Id::Up | Id::Down | Id::PageUp | Id::PageDown | Id::First | Id::Last => return motion::go(model, found.id),
        Id::PauseResume => {
            let pause = model.subjects().iter().any(|t| matches!(t.state, TaskState::Running | TaskState::Queued));
            return control(model, found.danger, if pause { Action::Pause } else { Action::Resume });
        }
        Id::Start => return control(model, found.danger, Action::Start),
        Id::Plan => return begin(model, RunKind::Plan),
        Id::Verify => return begin(model, RunKind::Verify),
        Id::Stop => return control(model, found.danger, Action::Stop),
        Id::Delete => return control(model, found.danger, Action::Delete),
        Id::Retry => {
            let failed = |t: &&dth_proto::view::TaskView| t.run.as_ref().is_some_and(|r| r.counters.failed > 0);
            let tasks = model.subjects().into_iter().filter(failed).map(|t| t.name.clone()).collect();
            return vec![Effect::Ask(Ask::Retry { tasks, class: None })];
        }
        Id::RetryGroup => {
            let tasks = model.task.iter().cloned().collect();
            let class = model.failures.current().map(|g| g.class);
            return vec![Effect::Ask(Ask::Retry { tasks, class })];
        }
        Id::Filter => {
            if model.screen() == Screen::Overview {
                push(model, Screen::Transfers);
            }
            let before = model.list.filter_text.clone();
            model.overlay = Some(Overlay::Filter(Input::new(before.clone()), before));
        }
        Id::Mark => mark(model),
        Id::MarkAll => {
            let shown: Vec<TaskName> = model.rows().iter().map(|t| t.name.clone()).collect();
            if shown.iter().all(|n| model.list.marks.contains(n)) {
                model.list.marks.clear();
            } else {
                model.list.marks.extend(shown);
            }
        }
        Id::Sort => model.list.sort = model.list.sort.next(),
        Id::Reverse => model.list.reversed = !model.list.reversed,
        Id::Longer | Id::Shorter => {
            let current = super::chart_wanted(model).map_or(3_600, |(_, range)| range);
            model.chart.step(found.id == Id::Longer, current);
        }
        Id::Pane => model.failures.in_items = !model.failures.in_items && !model.failures.of_group().is_empty(),
        Id::Follow => {
            model.log.cursor = model.log.position(model.log.shown().len());
            model.log.follow = !model.log.follow;
        }
        Id::Level => {
            model.log.level = match model.log.level {
                Level::Debug => Level::Info,
                Level::Info => Level::Warn,
                Level::Warn => Level::Error,
                Level::Error => Level::Debug,
            };
        }
        Id::AnyTask => model.log.task = None,
        Id::FieldNext | Id::FieldPrevious => model.wizard.move_focus(found.id == Id::FieldNext),
        Id::StepNext => return form::next(model),
        Id::StepBack => {
            let step = model.wizard.step.saturating_sub(1);
            model.wizard.go_to(step);
        }
        Id::Check => return form::check(model),
        Id::WriteFile => return form::write_file(model),
        Id::CreateIdle => return form::create(model, false),
        Id::Accept => return accept(model),
        Id::Cancel => {
            if let Some(Overlay::Filter(..)) = model.overlay.take() {
                model.list.filter = Filter::default();
                model.list.filter_text.clear();
            }
        }
        Id::Complete => {
            let place = crate::model::Place::Screen(model.screen());
            if let Some(Overlay::Palette(input, at)) = &mut model.overlay
                && let Some(found) = command::matching(place, input.text()).get(*at)
            {
                *input = Input::new(found.title);
                *at = 0;
            }
        }
    }
    Vec::new()
}

/// Opens a screen over the current one; one that is open already is brought back.
fn push(model: &mut Model, screen: Screen) {
    model.screens.retain(|s| *s != screen);
    if model.screens.is_empty() {
        model.screens.push(Screen::Overview);
    }
    model.screens.push(screen);
}

fn go(model: &mut Model, screens: &[Screen]) {
    model.screens.truncate(1);
    model.screens.extend_from_slice(screens);
}

fn back(model: &mut Model) -> Vec<Effect> {
    if model.screen() == Screen::Wizard && model.wizard.is_touched() {
        model.overlay = Some(Overlay::Confirm(Box::new(Confirm::discard())));
        return Vec::new();
    }
    if model.screens.len() > 1 {
        model.screens.pop();
    }
    Vec::new()
}

fn open(model: &mut Model) -> Vec<Effect> {
    if model.screen() == Screen::Log {
        model.overlay = Some(Overlay::Record);
        return Vec::new();
    }
    let Some(name) = model.subject().map(|t| t.name.clone()) else {
        return Vec::new();
    };
    show_task(model, name)
}

fn show_task(model: &mut Model, name: TaskName) -> Vec<Effect> {
    push(model, Screen::Detail);
    if model.task.as_ref() != Some(&name) {
        model.detail = None;
        model.failures = crate::model::failures::Failures::default();
    }
    model.task = Some(name.clone());
    vec![Effect::Ask(Ask::Task(name))]
}

fn failures(model: &mut Model) -> Vec<Effect> {
    let Some(name) = model.subject().map(|t| t.name.clone()) else {
        return Vec::new();
    };
    if model.task.as_ref() != Some(&name) {
        model.detail = None;
        model.failures = crate::model::failures::Failures::default();
    }
    model.task = Some(name);
    push(model, Screen::Failures);
    model.failures.fetched_at_count = None;
    answer::refresh_failures(model)
}

fn next_problem(model: &mut Model) -> Vec<Effect> {
    let problems = &model.shown().problems;
    let next = model.problem.map_or(0, |p| (p + 1) % problems.len().max(1));
    let Some(problem) = problems.get(next) else {
        return Vec::new();
    };
    let (task, text) = (problem.task.clone(), problem.text.clone());
    model.problem = Some(next);
    match task {
        Some(task) if matches!(model.screen(), Screen::Overview | Screen::Transfers) => {
            let rows = model.rows();
            let row = rows.iter().position(|t| t.name == task);
            match row {
                Some(row) => model.list.cursor = Some((task, row)),
                None => say(model, format!("{task} is hidden by the filter: {text}")),
            }
            Vec::new()
        }
        Some(task) => show_task(model, task),
        None => {
            say(model, text);
            Vec::new()
        }
    }
}

fn mark(model: &mut Model) {
    let Some(name) = model.subject().map(|t| t.name.clone()) else {
        return;
    };
    if !model.list.marks.remove(&name) {
        model.list.marks.insert(name);
    }
    motion::go(model, Id::Down);
}

/// Whether the action means anything for a task in this state; of several marked tasks only these are concerned.
fn concerns(action: Action, state: TaskState) -> bool {
    match action {
        Action::Start => matches!(state, TaskState::Idle | TaskState::Waiting),
        Action::Pause => matches!(state, TaskState::Running | TaskState::Queued),
        Action::Resume => state == TaskState::Paused,
        Action::Stop => matches!(state, TaskState::Running | TaskState::Paused | TaskState::Queued),
        Action::Delete => !crate::model::is_going(state),
    }
}

fn control(model: &mut Model, danger: Danger, action: Action) -> Vec<Effect> {
    let mut subjects = model.subjects();
    subjects.retain(|t| concerns(action, t.state));
    let ask = match danger {
        Danger::None => false,
        Danger::Several => subjects.len() > 1,
        Danger::Typed => true,
    };
    let ask = ask || (action == Action::Start && subjects.iter().any(|t| t.deletes));
    let tasks: Vec<TaskName> = subjects.iter().map(|t| t.name.clone()).collect();
    if ask {
        let confirm = Confirm::control(&subjects, action, &model.address);
        model.overlay = Some(Overlay::Confirm(Box::new(confirm)));
        return Vec::new();
    }
    vec![Effect::Ask(Ask::Control { tasks, action, confirmed: false })]
}

/// A run that changes nothing, of every task that rests.
fn begin(model: &Model, kind: RunKind) -> Vec<Effect> {
    let resting = model.subjects().into_iter().filter(|t| concerns(Action::Start, t.state));
    let tasks = resting.map(|t| t.name.clone()).collect();
    vec![Effect::Ask(Ask::Begin { tasks, kind })]
}

fn accept(model: &mut Model) -> Vec<Effect> {
    match model.overlay.take() {
        Some(Overlay::Palette(input, at)) => {
            let place = crate::model::Place::Screen(model.screen());
            match command::matching(place, input.text()).get(at) {
                Some(found) => run(model, found),
                None => {
                    complain(model, format!("{:?} is not a command here: ? shows all", input.text()));
                    Vec::new()
                }
            }
        }
        Some(Overlay::Filter(input, before)) => match Filter::parse(input.text()) {
            Ok(filter) => {
                model.list.filter = filter;
                model.list.filter_text = input.text().trim().to_owned();
                Vec::new()
            }
            Err(error) => {
                complain(model, error.to_string());
                model.overlay = Some(Overlay::Filter(input, before));
                Vec::new()
            }
        },
        Some(Overlay::Confirm(confirm)) => match confirm.pending {
            Pending::Control(tasks, action) => vec![Effect::Ask(Ask::Control { tasks, action, confirmed: true })],
            Pending::Create(spec, start) => {
                model.wizard.sending = true;
                vec![Effect::Ask(Ask::Create { spec, start, confirmed: true })]
            }
            Pending::DiscardForm => {
                form::clear(model);
                model.screens.pop();
                Vec::new()
            }
        },
        other => {
            model.overlay = other;
            Vec::new()
        }
    }
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let link_error = match &model.link {
        Link::Down { error, .. } => Some(error.clone()),
        _ => None,
    };
    let text = match model.screen() {
        Screen::Failures if model.failures.in_items => model.failures.of_group().get(model.failures.item).map(|i| {
            let id = i.request_id.as_deref().map_or(String::new(), |id| format!(" request id {id}"));
            format!("{} {} {} {}{id}", i.key, i.side.word(), i.operation, i.code)
        }),
        Screen::Failures => model.failures.current().map(|g| format!("{} {} {}: {}", g.side.word(), g.operation, g.code, g.message)),
        Screen::Log => {
            let shown = model.log.shown();
            shown.get(model.log.position(shown.len())).map(|e| format!("{} {} {}", e.at, e.level.word(), e.message))
        }
        _ => link_error.or_else(|| model.subject().map(|t| t.name.to_string())),
    };
    match text {
        Some(text) => {
            say(model, format!("sent to the terminal: {text}"));
            vec![Effect::Copy(text)]
        }
        None => {
            complain(model, "copy: nothing under the cursor");
            Vec::new()
        }
    }
}
