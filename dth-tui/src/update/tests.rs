//! Keys and answers against the model, without a daemon and without a screen.

mod form;

use std::time::Duration;

use dth_proto::{
    id::Epoch,
    view::{Action, TaskState},
};

use super::*;
use crate::model::{Confirm, Place, input::Input, sample};

fn press(model: &mut Model, keys: &[Key]) -> Vec<Effect> {
    keys.iter().flat_map(|key| update(model, Event::Key(*key))).collect()
}

fn letters(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

fn asks(effects: Vec<Effect>) -> Vec<Ask> {
    effects
        .into_iter()
        .filter_map(|e| match e {
            Effect::Ask(ask) if !matches!(ask, Ask::History { .. }) => Some(ask),
            _ => None,
        })
        .collect()
}

fn reply(model: &Model) -> Box<WatchReply> {
    Box::new(WatchReply { events_head: model.mirror.events_head, ..sample::reply(model.mirror.seq + 1) })
}

#[test]
fn an_answer_without_a_change_makes_nothing_necessary() {
    let mut model = sample::typical();
    model.mirror.epoch = Some(Epoch("6f1c".to_owned()));
    for rtt_ms in [1, 900, 30] {
        let reply = reply(&model);
        assert_eq!(update(&mut model, Event::Link(Change::Reply { reply, rtt_ms })), []);
    }
    model.now = model.now.plus(Duration::from_secs(3_600));
    assert_eq!(update(&mut model, Event::Wake), []);
}

#[test]
fn opening_watches_the_task_and_leaving_ends_it() {
    let mut model = sample::typical();
    model.task = None;
    let effects = press(&mut model, &[Key::Down, Key::Enter]);
    let name = sample::name("photos-cn-to-global");
    assert!(effects.contains(&Effect::Focus(Some(name.clone()))));
    assert!(effects.contains(&Effect::Ask(Ask::Task(name.clone()))));
    assert!(effects.iter().any(|e| matches!(e, Effect::Ask(Ask::History { task: Some(t), .. }) if *t == name)));
    assert!(press(&mut model, &[Key::Esc]).contains(&Effect::Focus(None)));
    assert_eq!(model.screen(), Screen::Overview);
}

#[test]
fn pause_and_resume_need_no_question() {
    let mut model = sample::typical();
    let name = sample::name("logs-2019..2024");
    let asked = asks(press(&mut model, &[Key::Char('p')]));
    assert_eq!(asked, [Ask::Control { tasks: vec![name.clone()], action: Action::Pause, confirmed: false }]);
    model.mirror.tasks.get_mut(&name).expect("it").state = TaskState::Paused;
    let asked = asks(press(&mut model, &[Key::Char('p')]));
    assert_eq!(asked, [Ask::Control { tasks: vec![name], action: Action::Resume, confirmed: false }]);
}

#[test]
fn stop_takes_the_typed_name_and_esc_takes_nothing() {
    let mut model = sample::typical();
    let name = "logs-2019..2024";
    assert!(asks(press(&mut model, &[Key::Char('x'), Key::Enter])).is_empty(), "Enter alone stops nothing");
    assert!(model.overlay.is_some() && model.toast.as_ref().is_some_and(|t| t.error));
    assert!(asks(press(&mut model, &letters("logs"))).is_empty());
    assert!(asks(press(&mut model, &[Key::Esc])).is_empty());
    assert!(model.overlay.is_none());
    press(&mut model, &[Key::Char('x')]);
    press(&mut model, &letters(name));
    let asked = asks(press(&mut model, &[Key::Enter]));
    assert_eq!(asked, [Ask::Control { tasks: vec![sample::name(name)], action: Action::Stop, confirmed: true }]);
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut model = sample::typical();
    model.list.cursor = Some((sample::name("old-backup"), 0));
    for (key, why) in [('p', "no run is going"), ('x', "no run is going"), ('R', "nothing failed")] {
        assert!(asks(press(&mut model, &[Key::Char(key)])).is_empty());
        assert!(model.toast.as_ref().is_some_and(|t| t.text.contains(why)), "{key}: {:?}", model.toast);
    }
    model.read_only = true;
    press(&mut model, &[Key::Char('S')]);
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("read-only")));
    model.read_only = false;
    if let Link::Up { welcome, .. } = &mut model.link {
        welcome.role = "viewer".to_owned();
    }
    press(&mut model, &[Key::Char('S')]);
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("viewer")));
}

#[test]
fn marks_survive_the_filter_and_bulk_actions_ask() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('2'), Key::Char('/')]);
    press(&mut model, &letters("state:running !fail:>0"));
    press(&mut model, &[Key::Enter, Key::Char('*'), Key::Char('/')]);
    press(&mut model, &[Key::Ctrl('u')]);
    press(&mut model, &letters("cold"));
    press(&mut model, &[Key::Enter, Key::Char(' ')]);
    assert_eq!((model.rows().len(), model.list.marks.len()), (1, 3));
    assert!(asks(press(&mut model, &[Key::Char('p')])).is_empty(), "several tasks: a question first");
    let asked = asks(press(&mut model, &[Key::Enter]));
    let tasks = ["ml-datasets", "photos-cn-to-global"].map(sample::name).to_vec();
    assert_eq!(asked, [Ask::Control { tasks, action: Action::Pause, confirmed: true }], "the paused one is left alone");
}

#[test]
fn a_wrong_filter_stays_open_and_keeps_the_last_good_one() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('/')]);
    press(&mut model, &letters("cold !fail:>x"));
    assert_eq!(model.rows().len(), 1);
    press(&mut model, &[Key::Enter]);
    assert_eq!(model.place(), Place::Filter);
    press(&mut model, &[Key::Esc]);
    assert_eq!((model.place(), model.rows().len()), (Place::Screen(Screen::Transfers), 6));
}

#[test]
fn the_palette_runs_what_it_shows() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char(':')]);
    press(&mut model, &letters("pau"));
    let asked = asks(press(&mut model, &[Key::Tab, Key::Enter]));
    assert!(matches!(&asked[..], [Ask::Control { action: Action::Pause, .. }]), "{asked:?}");
    assert_eq!(model.overlay, None);
}

#[test]
fn problems_are_visited_in_turn() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('G'), Key::Char('!')]);
    assert_eq!(model.subject().map(|t| t.name.to_string()).as_deref(), Some("logs-2019..2024"));
    press(&mut model, &[Key::Char('!')]);
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("global-writer")));
    press(&mut model, &[Key::Char('!')]);
    assert_eq!(model.problem, Some(0));
}

#[test]
fn frozen_means_frozen_and_actions_see_the_truth() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('f')]);
    let gone = sample::name("ml-datasets");
    let mut change = reply(&model);
    change.removed = vec![gone.clone()];
    update(&mut model, Event::Link(Change::Reply { reply: change, rtt_ms: 1 }));
    assert!(model.shown().tasks.contains_key(&gone) && !model.mirror.tasks.contains_key(&gone));
    press(&mut model, &[Key::Char('f')]);
    assert!(!model.shown().tasks.contains_key(&gone));
}

#[test]
fn a_lost_link_keeps_the_data_and_refuses_changes() {
    let mut model = sample::typical();
    let down = || Event::Link(Change::Down { error: "gone".to_owned(), retry_in: Duration::from_secs(2), tries: 1 });
    assert_eq!(update(&mut model, down()), [Effect::Draw]);
    let Link::Down { since, .. } = model.link.clone() else { panic!("it is down") };
    model.now = model.now.plus(Duration::from_secs(9));
    update(&mut model, down());
    assert!(matches!(model.link, Link::Down { since: s, .. } if s == since), "down since the first time");
    assert_eq!(model.mirror.tasks.len(), 6);
    assert!(asks(press(&mut model, &[Key::Char('p')])).is_empty());
    assert!(press(&mut model, &[Key::Char('r')]).contains(&Effect::Reconnect));
}

#[test]
fn events_are_asked_for_once_and_page_by_page() {
    let mut model = sample::typical();
    let mut change = reply(&model);
    change.events_head = 500;
    let asked = asks(update(&mut model, Event::Link(Change::Reply { reply: change, rtt_ms: 1 })));
    assert!(matches!(&asked[..], [Ask::Events { after: 6, .. }]), "{asked:?}");
    let mut change = reply(&model);
    change.events_head = 501;
    assert!(asks(update(&mut model, Event::Link(Change::Reply { reply: change, rtt_ms: 1 }))).is_empty(), "one at a time");
    let page = |next| Answer::Events(Ok(dth_proto::event::EventsReply { epoch: Epoch("6f1c".to_owned()), events: Vec::new(), next }));
    let asked = asks(update(&mut model, Event::Answer(page(400))));
    assert!(matches!(&asked[..], [Ask::Events { after: 400, .. }]));
    assert!(asks(update(&mut model, Event::Answer(page(400)))).is_empty(), "no progress: no endless questions");
}

#[test]
fn several_refusals_are_all_told() {
    let mut model = sample::typical();
    let outcomes = vec![(sample::name("a"), Err("busy".to_owned())), (sample::name("b"), Err("gone".to_owned()))];
    update(&mut model, Event::Answer(Answer::Done { verb: "pause", outcomes }));
    assert_eq!(model.toast.as_ref().map(|t| t.text.as_str()), Some("pause: 2 of 2 refused: a: busy; b: gone"));
    press(&mut model, &[Key::Down]);
    assert_eq!(model.toast, None, "a key takes it away");
}

#[test]
fn a_message_goes_after_its_time() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('y')]);
    assert!(model.toast.is_some());
    assert_eq!(update(&mut model, Event::Wake), []);
    model.now = model.now.plus(Duration::from_millis(TOAST_MS));
    assert!(update(&mut model, Event::Wake).contains(&Effect::Draw));
    assert_eq!(model.toast, None);
}

#[test]
fn no_key_breaks_anything_anywhere() {
    let keys: Vec<Key> = (' '..='~')
        .map(Key::Char)
        .chain(('a'..='z').map(Key::Ctrl))
        .chain([Key::Enter, Key::Esc, Key::Tab, Key::BackTab, Key::Up, Key::Down, Key::Left, Key::Right])
        .chain([Key::PageUp, Key::PageDown, Key::Home, Key::End, Key::Backspace, Key::Delete])
        .collect();
    for model in [sample::empty(), sample::typical(), sample::image_review(sample::image()), sample::hostile()] {
        for (_, screen) in sample::every_screen(&model) {
            let mut walked = screen.clone();
            for key in &keys {
                update(&mut screen.clone(), Event::Key(*key));
                update(&mut walked, Event::Key(*key));
                assert_eq!(walked.screens.first(), Some(&Screen::Overview));
            }
        }
    }
}

#[test]
fn pasted_text_cannot_press_enter() {
    let mut model = sample::typical();
    let task = model.mirror.tasks[&sample::name("logs-2019..2024")].clone();
    model.overlay = Some(Overlay::Confirm(Box::new(Confirm::control(&[&task], Action::Delete, "a"))));
    let effects = update(&mut model, Event::Paste("logs-2019..2024\n\r".to_owned()));
    assert!(asks(effects).is_empty());
    let Some(Overlay::Confirm(confirm)) = &model.overlay else { panic!("still asking") };
    assert_eq!(confirm.typed, Input::new("logs-2019..2024"));
}
