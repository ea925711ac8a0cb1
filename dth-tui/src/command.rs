//! Every command of the dashboard, once: keys, footer, help and palette are all read from this table.

use dth_proto::view::TaskState;

use crate::{
    input::Key,
    model::{Model, Place, Screen, is_going},
};

/// Names a command in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described by its entry in COMMANDS")]
pub enum Id {
    Open,
    Back,
    Quit,
    QuitNow,
    Help,
    Palette,
    Redraw,
    Suspend,
    Reconnect,
    Freeze,
    Bits,
    Copy,
    Overview,
    Transfers,
    Failures,
    Log,
    TaskLog,
    New,
    NextProblem,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    PauseResume,
    Start,
    Plan,
    Verify,
    Stop,
    Delete,
    Retry,
    RetryGroup,
    Filter,
    Mark,
    MarkAll,
    Sort,
    Reverse,
    Longer,
    Shorter,
    Pane,
    Follow,
    Level,
    AnyTask,
    FieldNext,
    FieldPrevious,
    StepNext,
    StepBack,
    Check,
    WriteFile,
    CreateIdle,
    Edit,
    Accept,
    Cancel,
    Complete,
}

/// What it takes before a command is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// Nothing: it is reversible.
    None,
    /// A question, when it concerns several tasks.
    Several,
    /// The name typed.
    Typed,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name in code.
    pub id: Id,
    /// One to three words, for footer and palette.
    pub title: &'static str,
    /// One sentence, for the help.
    pub help: &'static str,
    /// Default keys; the first is shown.
    pub keys: &'static [Key],
    /// Where it can be used.
    pub places: &'static [Place],
    /// Whether it can be used now, or why not.
    pub enabled: fn(&Model) -> Result<(), &'static str>,
    /// What it takes.
    pub danger: Danger,
    /// Order in the footer, 1 first; 0: not there.
    pub footer: u8,
}

const OVERVIEW: Place = Place::Screen(Screen::Overview);
const TRANSFERS: Place = Place::Screen(Screen::Transfers);
const DETAIL: Place = Place::Screen(Screen::Detail);
const FAILURES: Place = Place::Screen(Screen::Failures);
const LOG: Place = Place::Screen(Screen::Log);
const WIZARD: Place = Place::Screen(Screen::Wizard);
const REVIEW: Place = Place::Review;
const CHANGES: Place = Place::Changes;
const FORM: &[Place] = &[WIZARD, REVIEW, CHANGES];
const VIEWING: &[Place] = &[OVERVIEW, TRANSFERS, DETAIL, FAILURES, LOG];
const EVERYWHERE: &[Place] = &[
    OVERVIEW,
    TRANSFERS,
    DETAIL,
    FAILURES,
    LOG,
    WIZARD,
    REVIEW,
    CHANGES,
    Place::Help,
    Place::Palette,
    Place::Confirm,
    Place::Filter,
    Place::Record,
];
const LISTS: &[Place] = &[OVERVIEW, TRANSFERS, FAILURES, LOG, Place::Help];
const ON_TASKS: &[Place] = &[OVERVIEW, TRANSFERS, DETAIL];

const fn command(id: Id, footer: u8, keys: &'static [Key], title: &'static str, help: &'static str, places: &'static [Place]) -> Command {
    Command { id, title, help, keys, places, enabled: |_| Ok(()), danger: Danger::None, footer }
}

const fn when(command: Command, enabled: fn(&Model) -> Result<(), &'static str>, danger: Danger) -> Command {
    Command { enabled, danger, ..command }
}

/// The table. Same key, same meaning on every screen.
pub static COMMANDS: &[Command] = &[
    when(command(Id::Open, 1, &[Key::Enter], "open", "open the task under the cursor", &[OVERVIEW, TRANSFERS]), has_subject, Danger::None),
    when(command(Id::Open, 1, &[Key::Enter], "full line", "show the event in full", &[LOG]), has_event, Danger::None),
    when(
        command(Id::PauseResume, 2, &[Key::Char('p')], "pause/resume", "halt after requests in flight, or go on", ON_TASKS),
        can_pause,
        Danger::Several,
    ),
    when(command(Id::Start, 6, &[Key::Char('S')], "start", "queue a run now", ON_TASKS), can_start, Danger::Several),
    when(command(Id::Plan, 0, &[Key::Char('P')], "plan", "tell what a run would do; changes nothing", ON_TASKS), can_start, Danger::None),
    when(command(Id::Verify, 0, &[Key::Char('V')], "verify", "compare both ends; changes nothing", ON_TASKS), can_start, Danger::None),
    when(command(Id::Stop, 7, &[Key::Char('x')], "stop", "end the run; asks for the name", ON_TASKS), can_stop, Danger::Typed),
    when(command(Id::Delete, 0, &[Key::Char('D')], "delete", "forget the task; asks for the name", ON_TASKS), can_delete, Danger::Typed),
    when(
        command(Id::Retry, 5, &[Key::Char('R')], "retry failed", "try what failed in the last run again", ON_TASKS),
        can_retry,
        Danger::None,
    ),
    when(
        command(Id::RetryGroup, 2, &[Key::Char('R')], "retry class", "try all failed items of this class again", &[FAILURES]),
        can_retry,
        Danger::None,
    ),
    when(command(Id::New, 3, &[Key::Char('n')], "new", "define a new task", VIEWING), Model::may_operate, Danger::None),
    when(command(Id::Edit, 0, &[Key::Char('e')], "edit", "change the definition of the task", ON_TASKS), can_edit, Danger::None),
    when(command(Id::NextProblem, 4, &[Key::Char('!')], "problems", "go to the next problem", VIEWING), has_problem, Danger::None),
    command(Id::Filter, 4, &[Key::Char('/')], "filter", "state: from: to: engine: label: fail:>0 !not", &[OVERVIEW, TRANSFERS]),
    when(command(Id::Mark, 3, &[Key::Char(' ')], "mark", "mark or unmark the task", &[TRANSFERS]), has_subject, Danger::None),
    command(Id::MarkAll, 0, &[Key::Char('*')], "mark all", "mark all tasks shown, or unmark all", &[TRANSFERS]),
    command(Id::Sort, 5, &[Key::Char('s')], "sort", "order: urgency, name, state, rate, failed", &[TRANSFERS]),
    command(Id::Reverse, 0, &[Key::Char('I')], "reverse", "reverse the order", &[TRANSFERS]),
    when(
        command(Id::Failures, 4, &[Key::Char('F'), Key::Char('3')], "failures", "failed items of the task, by cause", ON_TASKS),
        has_subject,
        Danger::None,
    ),
    command(Id::Pane, 1, &[Key::Tab], "items/groups", "move between groups and items", &[FAILURES]),
    when(
        command(Id::TaskLog, 5, &[Key::Char('L')], "log", "events of the task", &[OVERVIEW, TRANSFERS, DETAIL, FAILURES]),
        has_subject,
        Danger::None,
    ),
    command(Id::Follow, 2, &[Key::Char('f')], "follow", "keep the newest event in view, or stay", &[LOG]),
    command(Id::Level, 3, &[Key::Char('v')], "level", "least level shown: debug, info, WARN, ERROR", &[LOG]),
    command(Id::AnyTask, 3, &[Key::Char('t')], "any task", "events of all tasks", &[LOG]),
    command(Id::Shorter, 0, &[Key::Char('-')], "shorter", "shorter time on the chart", &[OVERVIEW, DETAIL]),
    command(Id::Longer, 7, &[Key::Char('+'), Key::Char('=')], "longer", "longer time on the chart", &[OVERVIEW, DETAIL]),
    command(Id::Freeze, 6, &[Key::Char('f')], "freeze", "hold the screen still; data goes on", &[OVERVIEW, TRANSFERS, DETAIL, FAILURES]),
    command(Id::Bits, 0, &[Key::Char('u')], "bits/bytes", "rates in bits or bytes per second", VIEWING),
    command(Id::Copy, 8, &[Key::Char('y')], "copy", "what is under the cursor, to the clipboard", VIEWING),
    when(command(Id::Reconnect, 1, &[Key::Char('r')], "reconnect now", "try the connection again at once", VIEWING), is_down, Danger::None),
    command(Id::Overview, 0, &[Key::Char('1')], "overview", "go to the overview", VIEWING),
    command(Id::Transfers, 0, &[Key::Char('2')], "transfers", "go to the list of tasks", VIEWING),
    command(Id::Log, 0, &[Key::Char('4')], "log", "go to the events of all tasks", VIEWING),
    command(Id::Up, 0, &[Key::Up, Key::Char('k')], "up", "one row up", LISTS),
    command(Id::Down, 0, &[Key::Down, Key::Char('j')], "down", "one row down", LISTS),
    command(Id::PageUp, 0, &[Key::PageUp, Key::Ctrl('u')], "page up", "one page up", LISTS),
    command(Id::PageDown, 0, &[Key::PageDown, Key::Ctrl('d')], "page down", "one page down", LISTS),
    command(Id::First, 0, &[Key::Char('g'), Key::Home], "first", "to the first row", LISTS),
    command(Id::Last, 0, &[Key::Char('G'), Key::End], "last", "to the last row", LISTS),
    command(Id::FieldNext, 1, &[Key::Tab, Key::Down], "next field", "to the next field", &[WIZARD]),
    command(Id::FieldPrevious, 0, &[Key::BackTab, Key::Up], "field before", "to the field before", &[WIZARD]),
    command(Id::StepNext, 2, &[Key::Enter], "next", "to the next step", &[WIZARD]),
    when(command(Id::StepNext, 2, &[Key::Enter], "start", "create the task and start it", &[REVIEW]), ready_to_create, Danger::None),
    when(
        command(Id::StepNext, 2, &[Key::Enter], "save", "change the task; the next run uses it", &[CHANGES]),
        ready_to_create,
        Danger::None,
    ),
    when(
        command(Id::CreateIdle, 4, &[Key::Ctrl('d')], "create only", "create the task without a start", &[REVIEW]),
        ready_to_create,
        Danger::None,
    ),
    when(
        command(Id::StepBack, 3, &[Key::Ctrl('b')], "back", "to the step before", FORM),
        |m| if m.wizard.step == 0 { Err("this is the first step") } else { Ok(()) },
        Danger::None,
    ),
    when(command(Id::Check, 5, &[Key::Ctrl('t')], "test", "let the daemon try both ends", FORM), Model::may_operate, Danger::None),
    command(Id::WriteFile, 6, &[Key::Ctrl('w')], "write file", "write the task file NAME.toml here", FORM),
    command(Id::Accept, 1, &[Key::Enter], "run", "run the command", &[Place::Palette]),
    command(Id::Accept, 1, &[Key::Enter], "keep", "keep the filter", &[Place::Filter]),
    when(command(Id::Accept, 2, &[Key::Enter], "do it", "do it, when the name matches", &[Place::Confirm]), is_armed, Danger::None),
    command(Id::Complete, 2, &[Key::Tab], "complete", "complete the name", &[Place::Palette]),
    command(Id::Up, 0, &[Key::Up], "up", "one entry up", &[Place::Palette]),
    command(Id::Down, 0, &[Key::Down], "down", "one entry down", &[Place::Palette]),
    command(Id::Cancel, 3, &[Key::Esc], "close", "close without doing anything", &[Place::Palette]),
    command(Id::Cancel, 1, &[Key::Esc], "nothing happens", "close; nothing happens", &[Place::Confirm]),
    command(Id::Cancel, 2, &[Key::Esc], "clear filter", "show all tasks again", &[Place::Filter]),
    command(Id::Cancel, 1, &[Key::Esc, Key::Char('q'), Key::Char('?')], "close", "close the help", &[Place::Help]),
    command(Id::Cancel, 1, &[Key::Esc, Key::Char('q'), Key::Enter], "close", "close the event", &[Place::Record]),
    command(Id::Palette, 9, &[Key::Char(':')], "cmd", "commands by name", VIEWING),
    command(Id::Help, 10, &[Key::Char('?')], "help", "all keys of this screen", VIEWING),
    command(Id::Back, 11, &[Key::Esc], "back", "back one level", &[TRANSFERS, DETAIL, FAILURES, LOG]),
    command(Id::Back, 11, &[Key::Esc], "leave", "leave the form; asks when it is filled", FORM),
    command(Id::Back, 0, &[Key::Char('q')], "back", "back one level", &[TRANSFERS, DETAIL, FAILURES, LOG]),
    command(Id::Quit, 11, &[Key::Char('q')], "quit", "leave; transfers go on", &[OVERVIEW]),
    command(Id::QuitNow, 0, &[Key::Ctrl('c')], "quit now", "leave at once; transfers go on", EVERYWHERE),
    command(Id::Suspend, 0, &[Key::Ctrl('z')], "suspend", "back to the shell; fg returns", EVERYWHERE),
    command(Id::Redraw, 0, &[Key::Ctrl('l')], "redraw", "draw everything again", EVERYWHERE),
];

/// The command behind a key.
#[must_use]
pub fn find(place: Place, key: Key) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.places.contains(&place) && c.keys.contains(&key))
}

/// The commands of a place, in the order of the table.
pub fn of(place: Place) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(move |c| c.places.contains(&place))
}

/// The commands whose title or help holds the letters of `text` in order, best first: titles before help, early before late.
#[must_use]
pub fn matching(place: Place, text: &str) -> Vec<&'static Command> {
    let wanted = text.trim().to_lowercase();
    let score = |c: &Command| match (c.title.find(&wanted), is_subsequence(&wanted, c.title), c.help.contains(&wanted)) {
        (Some(at), ..) => Some(at),
        (None, true, _) => Some(100),
        (None, false, true) => Some(200),
        _ => None,
    };
    let known = |c: &&Command| !matches!(c.id, Id::Palette | Id::Up | Id::Down | Id::PageUp | Id::PageDown | Id::First | Id::Last);
    let mut found: Vec<_> = of(place).filter(known).filter_map(|c| score(c).map(|s| (s, c))).collect();
    found.sort_by_key(|(score, _)| *score);
    found.into_iter().map(|(_, c)| c).collect()
}

fn is_subsequence(wanted: &str, text: &str) -> bool {
    let mut letters = text.chars();
    wanted.chars().all(|w| letters.any(|c| c == w))
}

fn has_subject(model: &Model) -> Result<(), &'static str> {
    model.subject().map(|_| ()).ok_or("no task here")
}

fn has_event(model: &Model) -> Result<(), &'static str> {
    if model.log.shown().is_empty() { Err("no event here") } else { Ok(()) }
}

fn has_problem(model: &Model) -> Result<(), &'static str> {
    if model.shown().problems.is_empty() { Err("no problems") } else { Ok(()) }
}

fn is_down(model: &Model) -> Result<(), &'static str> {
    if model.link.is_up() { Err("the link is up") } else { Ok(()) }
}

fn is_armed(model: &Model) -> Result<(), &'static str> {
    match &model.overlay {
        Some(crate::model::Overlay::Confirm(c)) if !c.is_armed() => Err("type the text exactly as shown"),
        _ => Ok(()),
    }
}

fn can_edit(model: &Model) -> Result<(), &'static str> {
    model.may_operate()?;
    has_subject(model)
}

fn any(model: &Model, fits: impl Fn(TaskState) -> bool, why: &'static str) -> Result<(), &'static str> {
    model.may_operate()?;
    let subjects = model.subjects();
    if subjects.is_empty() {
        return Err("no task here");
    }
    if subjects.iter().any(|t| fits(t.state)) { Ok(()) } else { Err(why) }
}

fn can_pause(model: &Model) -> Result<(), &'static str> {
    any(model, |s| matches!(s, TaskState::Running | TaskState::Paused | TaskState::Queued), "no run is going")
}

fn can_start(model: &Model) -> Result<(), &'static str> {
    any(model, |s| matches!(s, TaskState::Idle | TaskState::Waiting), "a run is going or queued already")
}

fn can_stop(model: &Model) -> Result<(), &'static str> {
    any(model, |s| matches!(s, TaskState::Running | TaskState::Paused | TaskState::Queued), "no run is going")
}

fn can_delete(model: &Model) -> Result<(), &'static str> {
    any(model, |s| !is_going(s), "a run is going: stop it first")
}

fn can_retry(model: &Model) -> Result<(), &'static str> {
    any(model, |s| !is_going(s), "when the run has ended")?;
    if model.subjects().iter().any(|t| t.run.as_ref().is_some_and(|r| r.counters.failed > 0)) { Ok(()) } else { Err("nothing failed") }
}

fn ready_to_create(model: &Model) -> Result<(), &'static str> {
    model.may_operate()?;
    if model.wizard.sending {
        return Err("it is on its way");
    }
    if model.wizard.spec().is_err() {
        return Err("the form has mistakes");
    }
    match model.wizard.guarded() {
        _ if model.wizard.is_guarded() => Ok(()),
        ("bucket", _) => Err("type the destination bucket first"),
        ("region", _) => Err("type the destination region first"),
        _ => Err("type the destination registry first"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_commands_share_a_key_on_a_screen() {
        let mut taken: BTreeMap<(String, Key), Id> = BTreeMap::new();
        for c in COMMANDS {
            for (place, key) in c.places.iter().flat_map(|p| c.keys.iter().map(move |k| (p, k))) {
                let before = taken.insert((format!("{place:?}"), *key), c.id);
                assert_eq!(before, None, "{key} on {place:?}");
            }
        }
    }

    #[test]
    fn every_command_can_be_reached_and_is_explained() {
        for c in COMMANDS {
            assert!(!c.keys.is_empty() && !c.places.is_empty(), "{:?}", c.id);
            // what the list of commands leaves of 80 columns
            assert!(c.help.len() <= 45 && c.title.len() <= 15, "{:?}: {}", c.id, c.help);
            assert!(c.help.len() > 8 && c.title.len() > 1 && !c.help.ends_with('.'), "{:?}", c.id);
            assert!(c.danger != Danger::Typed || matches!(c.id, Id::Stop | Id::Delete));
        }
        for place in EVERYWHERE {
            let leaves = of(*place).any(|c| matches!(c.id, Id::Back | Id::Quit | Id::Cancel));
            assert!(leaves, "no way out of {place:?}");
        }
    }

    #[test]
    fn typing_never_meets_a_command_letter() {
        // in a text field a letter must stay a letter (k9s #21: machines deleted by typing into the filter)
        for place in [WIZARD, REVIEW, CHANGES, Place::Palette, Place::Confirm, Place::Filter] {
            for c in of(place) {
                assert!(!c.keys.iter().any(|k| matches!(k, Key::Char(_))), "{:?} on {place:?}", c.id);
            }
        }
    }

    #[test]
    fn the_palette_finds_by_name_then_by_words() {
        let ids = |text| matching(OVERVIEW, text).into_iter().map(|c| c.id).collect::<Vec<_>>();
        assert_eq!(ids("pau")[0], Id::PauseResume);
        assert_eq!(ids("rtry")[0], Id::Retry);
        assert!(ids("clipboard").contains(&Id::Copy));
        assert!(ids("zzz").is_empty());
    }
}
