//! Filled forms on their last step.

use dth_proto::{
    check::{CheckReply, CheckState, CheckStep},
    failure::Side,
};

use crate::model::{Input, Model, Screen, wizard::REVIEW};

/// A filled form on its last step, with a finished check.
pub(crate) fn review(mut m: Model) -> Model {
    m.screens.push(Screen::Wizard);
    for (id, value) in [
        ("engine", "s3 objects"),
        ("name", "photos-cn-to-global"),
        ("source.bucket", "acme-photos-cn"),
        ("source.prefix", "raw/"),
        ("source.region", "cn-north-1"),
        ("destination.bucket", "acme-photos-global"),
        ("limits.bandwidth", "800MB/s"),
    ] {
        m.wizard.set(id, value);
    }
    m.wizard.go_to(REVIEW);
    m.wizard.guard = Input::new("acme-photos-glob");
    let step =
        |side, name: &str, state, message: &str| CheckStep { side, name: name.to_owned(), state, message: message.to_owned(), hint: None };
    let reply = CheckReply {
        steps: vec![
            step(Side::Source, "list", CheckState::Ok, "first page 1,000 keys in 212 ms"),
            step(Side::Source, "read", CheckState::Warn, "2 of 3 sample keys; 1 is GLACIER and needs a restore"),
            CheckStep {
                hint: Some("add s3:PutObject to the role".to_owned()),
                ..step(Side::Destination, "write", CheckState::Failed, "403 AccessDenied")
            },
        ],
        done: true,
    };
    m.wizard.check = m.wizard.spec().ok().map(|spec| (spec, Some(7), reply));
    m
}

/// A form of images, filled, on its last step, with a finished check.
pub(crate) fn image_review(mut m: Model) -> Model {
    m.screens.push(Screen::Wizard);
    for (id, value) in [
        ("engine", "container images"),
        ("name", "base-images"),
        ("source.registry", "docker.io"),
        ("source.images", "library/nginx, library/redis:7"),
        ("destination.registry", "ecr"),
        ("destination.region", "cn-north-1"),
        ("destination.account", "444455556666"),
        ("destination.prefix", "mirror/"),
        ("destination.strip_prefix", "library/"),
        ("destination.repository.immutable_tags", "yes"),
        ("options.exclude_tags", "*-rc*"),
        ("options.semver", ">=1.20, <2"),
        ("options.newest", "20"),
        ("options.platforms", "linux/amd64, linux/arm64"),
        ("trigger", "every"),
        ("trigger.value", "6h"),
    ] {
        m.wizard.set(id, value);
    }
    m.wizard.go_to(REVIEW);
    m.wizard.guard = Input::new("cn-north");
    let step = |side, name: &str, message: &str| CheckStep {
        side,
        name: name.to_owned(),
        state: CheckState::Ok,
        message: message.to_owned(),
        hint: None,
    };
    let steps = vec![
        step(Side::Source, "read", "library/nginx: 640 tags"),
        step(Side::Destination, "write", "an upload was begun and cancelled in mirror/nginx"),
    ];
    m.wizard.check = m.wizard.spec().ok().map(|spec| (spec, Some(7), CheckReply { steps, done: true }));
    m
}
