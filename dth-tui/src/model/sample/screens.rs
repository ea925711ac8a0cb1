//! Every screen and overlay there is.

use dth_proto::{
    time::Timestamp,
    view::{Action, TaskView},
};

use super::{NOW, providers, review};
use crate::{
    filter::Filter,
    model::{Confirm, Input, Link, Model, Overlay, Screen},
};

/// Every screen and overlay of a model, by name.
pub(crate) fn every_screen(model: &Model) -> Vec<(&'static str, Model)> {
    let mut all = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Model)| {
        let mut m = model.clone();
        change(&mut m);
        all.push((name, m));
    };
    add("overview", &|_| {});
    add("transfers", &|m| {
        m.screens.push(Screen::Transfers);
        m.list.marks = m.mirror.tasks.keys().take(2).cloned().collect();
    });
    add("detail", &|m| {
        m.screens.push(Screen::Detail);
        if let Some((task, _, _)) = &mut m.chart.have {
            task.clone_from(&m.task);
        }
    });
    add("failures", &|m| m.screens.push(Screen::Failures));
    add("log", &|m| m.screens.push(Screen::Log));
    add("record", &|m| {
        m.screens.push(Screen::Log);
        m.overlay = Some(Overlay::Record);
    });
    for (step, name) in ["wizard_kind", "wizard_from", "wizard_to", "wizard_options"].into_iter().enumerate() {
        add(name, &|m| {
            m.screens.push(Screen::Wizard);
            m.wizard.go_to(step);
        });
    }
    add("wizard_offers", &|m| {
        m.screens.push(Screen::Wizard);
        m.wizard.offer_providers(providers());
        m.wizard.go_to(1);
        m.wizard.focus_on("source.region");
        m.wizard.set("engine", "s3 objects");
        m.wizard.set("source.region", "cn-");
    });
    add("wizard_review", &|m| *m = review(m.clone()));
    add("palette", &|m| m.overlay = Some(Overlay::Palette(Input::new("pa"), 0)));
    add("filter", &|m| {
        m.screens.push(Screen::Transfers);
        m.overlay = Some(Overlay::Filter(Input::new("state:running"), String::new()));
        m.list.filter = Filter::parse("state:running").expect("a filter");
    });
    add("help", &|m| m.overlay = Some(Overlay::Help(0)));
    add("confirm", &|m| {
        let tasks: Vec<TaskView> = m.mirror.tasks.values().take(1).cloned().collect();
        let confirm = Confirm::control(&tasks.iter().collect::<Vec<_>>(), Action::Stop, &m.address);
        m.overlay = Some(Overlay::Confirm(Box::new(confirm)));
    });
    add("no_link", &|m| {
        let error = "cannot reach dthd at /run/dth/dthd.sock: No such file or directory (os error 2)".to_owned();
        m.link = Link::Down { since: NOW, error, next_try: Timestamp(NOW.0 + 12_000), tries: 3 };
    });
    all
}
