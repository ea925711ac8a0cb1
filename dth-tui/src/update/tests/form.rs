//! The form by keys alone: filled, tested, sent, refused and left.

use dth_proto::spec::{Job, TaskSpec};

use super::*;

fn fill_form(model: &mut Model) {
    press(model, &[Key::Char('n')]);
    press(model, &letters("q1?:x"));
    press(model, &[Key::Backspace, Key::Backspace, Key::Backspace, Key::Enter]);
    press(model, &letters("from-here"));
    press(model, &[Key::Enter]);
    press(model, &letters("to-there"));
    press(model, &[Key::Enter]);
}

#[test]
fn the_form_leads_to_a_test_and_a_task() {
    let mut model = sample::typical();
    fill_form(&mut model);
    let asked = asks(press(&mut model, &[Key::Enter]));
    let [Ask::CheckStart(spec)] = &asked[..] else { panic!("the test begins by itself: {asked:?}") };
    assert_eq!((spec.name.as_str(), spec.ends().1.as_str()), ("q1", "s3://to-there/"));
    let asked = asks(update(&mut model, Event::Answer(Answer::CheckStarted(Ok(9)))));
    assert_eq!(asked, [Ask::CheckPoll { job: 9, seen: 0 }]);

    assert!(asks(press(&mut model, &[Key::Enter])).is_empty(), "the bucket is not typed");
    press(&mut model, &letters("to-there"));
    let asked = asks(press(&mut model, &[Key::Enter, Key::Enter]));
    assert_eq!(asked.len(), 1, "a second Enter creates nothing more");
    assert!(matches!(&asked[0], Ask::Create { start: true, .. }));

    let made = model.mirror.tasks.values().next().cloned().expect("a task");
    update(&mut model, Event::Answer(Answer::Created(Ok(Box::new(made)))));
    assert_eq!(model.screen(), Screen::Overview);
    assert!(!model.wizard.is_touched());
}

#[test]
fn images_are_chosen_named_tested_and_guarded_by_the_registry() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('n')]);
    press(&mut model, &letters("mirror"));
    press(&mut model, &[Key::Up, Key::Right, Key::Enter]);
    press(&mut model, &letters("docker.io"));
    press(&mut model, &[Key::Tab]);
    press(&mut model, &letters("Library/nginx"));
    press(&mut model, &[Key::Enter]);
    assert_eq!((model.wizard.step, model.wizard.focus), (1, 1), "the mistake has the focus");
    assert!(model.toast.as_ref().is_some_and(|t| t.text.starts_with("source.images has \"Library/nginx\"")), "{:?}", model.toast);
    press(&mut model, &[Key::Ctrl('u')]);
    press(&mut model, &letters("library/nginx:1.27"));
    press(&mut model, &[Key::Enter]);
    press(&mut model, &letters("http://127.0.0.1:5000"));
    press(&mut model, &[Key::Enter]);
    let asked = asks(press(&mut model, &[Key::Enter]));
    let [Ask::CheckStart(spec)] = &asked[..] else { panic!("the test begins by itself: {asked:?}") };
    assert_eq!(spec.ends(), ("docker://docker.io/library/nginx:1.27".to_owned(), "docker://127.0.0.1:5000/".to_owned()));
    assert!(asks(press(&mut model, &[Key::Enter])).is_empty());
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("type the destination registry first")), "{:?}", model.toast);
    press(&mut model, &letters("127.0.0.1:5000"));
    let asked = asks(press(&mut model, &[Key::Enter]));
    assert!(matches!(&asked[..], [Ask::Create { start: true, spec, .. }] if spec.engine() == "image"), "{asked:?}");
}

#[test]
fn a_refused_task_leaves_the_form_as_it_was() {
    let mut model = sample::typical();
    fill_form(&mut model);
    press(&mut model, &[Key::Enter]);
    press(&mut model, &letters("to-there"));
    assert!(matches!(&asks(press(&mut model, &[Key::Ctrl('d')]))[..], [Ask::Create { start: false, .. }]));
    update(&mut model, Event::Answer(Answer::Created(Err("q1 is taken".to_owned()))));
    assert_eq!(model.screen(), Screen::Wizard);
    assert!(model.wizard.is_touched() && !model.wizard.sending);
    press(&mut model, &[Key::Esc]);
    assert_eq!(model.place(), Place::Confirm, "leaving a filled form asks");
    press(&mut model, &[Key::Enter]);
    assert_eq!((model.screen(), model.wizard.is_touched()), (Screen::Overview, false));
}

#[test]
fn a_step_with_a_mistake_is_not_left() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('n'), Key::Enter]);
    assert_eq!((model.wizard.step, model.wizard.focus), (0, 0));
    assert!(model.toast.as_ref().is_some_and(|t| t.text.starts_with("name")));
}

#[test]
fn an_answer_about_an_old_definition_is_ignored() {
    let mut model = sample::review(sample::typical());
    let answer = Answer::CheckPolled { job: 99, result: Err("late".to_owned()) };
    update(&mut model, Event::Answer(answer));
    assert!(model.wizard.check.is_some());
}

#[test]
fn a_task_is_changed_in_the_form() {
    let text =
        "name = \"NAME\"\nengine = \"s3\"\n[source]\nbucket = \"a\"\n[destination]\nbucket = \"b\"\n[options]\nlarger_than = \"5MB\"\n";
    let mut model = sample::typical();
    let asked = asks(press(&mut model, &[Key::Char('e')]));
    let [Ask::Definition(name)] = &asked[..] else { panic!("the definition is asked for: {asked:?}") };
    let spec = TaskSpec::from_toml("t.toml", &text.replace("NAME", name.as_str())).expect("a good file");
    update(&mut model, Event::Answer(Answer::Definition(Ok(Box::new(spec.clone())))));
    assert_eq!((model.screen(), model.wizard.is_touched()), (Screen::Wizard, false));
    press(&mut model, &[Key::Tab]);
    press(&mut model, &letters("other words"));
    press(&mut model, &[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(model.place(), Place::Changes);
    let asked = asks(press(&mut model, &[Key::Enter]));
    let changed = TaskSpec { description: "other words".to_owned(), ..spec.clone() };
    assert_eq!(asked, [Ask::Edit { name: name.clone(), spec: Box::new(changed) }]);

    // refused: the form stays; another one is not opened over it
    update(&mut model, Event::Answer(Answer::Edited(name.clone(), Err("it is gone".to_owned()))));
    assert!(model.wizard.is_touched() && !model.wizard.sending);
    update(&mut model, Event::Answer(Answer::Definition(Ok(Box::new(spec)))));
    assert!(model.toast.as_ref().is_some_and(|t| t.text.contains("filled already")), "{:?}", model.toast);
    let view = model.mirror.tasks[name].clone();
    update(&mut model, Event::Answer(Answer::Edited(name.clone(), Ok(Box::new(view)))));
    assert!(model.screen() != Screen::Wizard && !model.wizard.is_touched() && model.wizard.original.is_none());
}

#[test]
fn providers_and_regions_are_asked_for_once_and_completed() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('n')]);
    press(&mut model, &letters("q1"));
    assert_eq!(asks(press(&mut model, &[Key::Enter])), [Ask::Providers]);
    press(&mut model, &letters("bucket"));
    assert_eq!(update(&mut model, Event::Answer(Answer::Providers(Ok(sample::providers())))), [Effect::Draw]);
    press(&mut model, &[Key::Tab, Key::Tab, Key::Ctrl('u')]);
    press(&mut model, &letters("ali"));
    assert!(asks(press(&mut model, &[Key::Right, Key::Tab, Key::Right, Key::Tab])).is_empty(), "once");
    press(&mut model, &letters("https://oss.example.com"));
    press(&mut model, &[Key::Enter]);
    press(&mut model, &letters("other"));
    press(&mut model, &[Key::Enter]);
    let asked = asks(press(&mut model, &[Key::Enter]));
    let [Ask::CheckStart(spec)] = &asked[..] else { panic!("only the test is asked for: {asked:?}") };
    let Job::S3(job) = &spec.job else { panic!("an S3 task") };
    assert_eq!((job.source.store.provider.as_str(), job.source.store.region.as_deref()), ("aliyun-oss", Some("cn-beijing")));
}

#[test]
fn without_an_answer_providers_are_typed() {
    let mut model = sample::typical();
    press(&mut model, &[Key::Char('n')]);
    press(&mut model, &letters("q1"));
    press(&mut model, &[Key::Enter]);
    let answer = Answer::Providers(Err("the daemon did not answer".to_owned()));
    assert_eq!((update(&mut model, Event::Answer(answer)), model.toast.clone()), (Vec::new(), None));
    press(&mut model, &letters("bucket"));
    assert!(asks(press(&mut model, &[Key::Tab, Key::Tab, Key::Right, Key::Right])).is_empty(), "not asked for again");
    press(&mut model, &letters("-express"));
    let provider = model.wizard.focused().map(|field| field.value().to_owned());
    assert_eq!(provider.as_deref(), Some("aws-express"));
}
