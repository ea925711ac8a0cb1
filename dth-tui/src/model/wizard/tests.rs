//! Filled forms, and forms with mistakes.

use super::*;

#[test]
fn a_filled_form_is_the_task_file_it_writes() {
    let mut wizard = Wizard::default();
    assert!(!wizard.is_touched());
    wizard.offer_credentials(["cn-reader"].into_iter());
    for (id, value) in [
        ("name", "photos"),
        ("source.bucket", "a"),
        ("source.prefix", "raw/"),
        ("source.credential", "cn-reader"),
        ("source.path_style", "path"),
        ("destination.bucket", "b"),
        ("destination.encryption.type", "aws:kms"),
        ("options.include", "*.jpg, **.png"),
        ("options.newer_than", "7d"),
        ("limits.bandwidth", "800MB/s"),
        ("trigger", "cron"),
        ("trigger.value", "0 2 * * *"),
    ] {
        wizard.set(id, value);
    }
    let spec = wizard.spec().expect("a good form");
    assert_eq!(TaskSpec::from_toml("x.toml", &spec.to_toml()), Ok(spec.clone()));
    let Job::S3(job) = &spec.job else { panic!("an S3 task") };
    assert_eq!((job.source.store.credential.as_deref(), job.source.store.path_style), (Some("cn-reader"), Some(true)));
    assert_eq!(job.options.include, ["*.jpg", "**.png"]);
    wizard.guard = Input::new("b");
    assert!(wizard.is_guarded() && wizard.is_touched());
}

#[test]
fn every_mistake_is_told_on_its_step() {
    let mut wizard = Wizard::default();
    wizard.set("options.larger_than", "big");
    wizard.set("trigger", "every");
    let all: Vec<_> = wizard.spec().expect_err("mistakes").into_iter().map(|m| m.field).collect();
    assert_eq!(all, ["name", "options.larger_than", "trigger.value"]);
    wizard.set("name", "x");
    wizard.go_to(1);
    assert_eq!(wizard.mistakes_here().iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), ["source.bucket"]);
    assert!(!wizard.is_guarded(), "an empty bucket is no guard");
}

#[test]
fn a_filled_form_of_images_is_the_task_file_it_writes() {
    let mut wizard = Wizard::default();
    wizard.offer_credentials(["cn-writer"].into_iter());
    for (id, value) in [
        ("name", "base-images"),
        ("engine", IMAGES),
        ("source.registry", "docker.io"),
        ("source.images", "library/nginx, library/redis:7"),
        ("destination.registry", "ecr"),
        ("destination.region", "cn-north-1"),
        ("destination.account", "444455556666"),
        ("destination.credential", "cn-writer"),
        ("destination.prefix", "mirror/"),
        ("destination.strip_prefix", "library/"),
        ("destination.repository.immutable_tags", "yes"),
        ("destination.repository.encryption.type", "KMS"),
        ("options.tags", "1.*, stable"),
        ("options.semver", ">=1.20, <2"),
        ("options.newest", "20"),
        ("options.platforms", "linux/amd64,linux/arm64"),
        ("options.referrers", "leave"),
        ("limits.bandwidth", "100MB/s"),
        ("trigger", "every"),
        ("trigger.value", "6h"),
    ] {
        wizard.set(id, value);
    }
    let spec = wizard.spec().expect("a good form");
    assert_eq!(TaskSpec::from_toml("x.toml", &spec.to_toml()), Ok(spec.clone()));
    let Job::Image(job) = &spec.job else { panic!("an image task") };
    assert_eq!(job.source.images, ["library/nginx", "library/redis:7"]);
    assert_eq!((job.source.registry.credential.as_deref(), job.destination.registry.credential.as_deref()), (None, Some("cn-writer")));
    assert_eq!((job.destination.repository.immutable_tags, job.destination.repository.scan_on_push), (Some(true), None));
    assert_eq!((job.options.newest, job.options.referrers, job.options.untagged), (Some(20), false, false));
    assert_eq!((job.options.semver.as_deref(), job.options.tags.len()), (Some(">=1.20, <2"), 2));
    assert_eq!(wizard.guarded(), ("region", "cn-north-1".to_owned()));
    wizard.set("destination.region", "");
    assert_eq!(wizard.guarded(), ("registry", "ecr".to_owned()));
    wizard.set("destination.registry", "http://127.0.0.1:5000");
    assert_eq!(wizard.guarded(), ("registry", "127.0.0.1:5000".to_owned()));
    wizard.guard = Input::new("127.0.0.1:5000");
    assert!(wizard.is_guarded());
}

#[test]
fn each_kind_keeps_what_was_typed_for_it() {
    let mut wizard = Wizard::default();
    wizard.set("source.bucket", "a");
    wizard.set("destination.prefix", "objects/");
    wizard.set("engine", IMAGES);
    wizard.go_to(1);
    assert_eq!(
        wizard.current().iter().map(|f| f.label).collect::<Vec<_>>(),
        ["Registry", "Images", "Region", "Account", "Credential", "Advanced"]
    );
    wizard.set("destination.prefix", "images/");
    assert_eq!(wizard.value("destination.prefix"), "images/");
    wizard.move_focus(false);
    assert_eq!(wizard.focused().map(|f| f.id), Some("advanced.from"));
    wizard.focus_on("source.endpoint");
    assert_eq!(wizard.focused().map(|f| f.id), Some("source.endpoint"), "it is seen now");
    wizard.set("engine", "s3 objects");
    assert_eq!((wizard.value("source.bucket"), wizard.value("destination.prefix")), ("a", "objects/"));
}

#[test]
fn mistakes_with_images_stand_at_a_field_of_the_form() {
    let mut wizard = Wizard::default();
    for (id, value) in [
        ("engine", IMAGES),
        ("name", "x"),
        ("source.registry", "https://ghcr.io/team"),
        ("source.region", "eu-west-1"),
        ("source.images", "Nginx"),
        ("destination.registry", "quay.io"),
        ("destination.create", "never"),
        ("destination.copy_settings", "yes"),
        ("destination.repository.scan_on_push", "no"),
        ("destination.prefix", "Mirror/"),
        ("options.newest", "few"),
        ("options.untagged", "copy"),
        ("options.platforms", "amd64"),
    ] {
        wizard.set(id, value);
    }
    let expected = [
        "options.newest",
        "source.registry",
        "source.region",
        "source.images",
        "options.untagged",
        "options.platforms",
        "destination.prefix",
        "destination.create",
        "destination.repository.scan_on_push",
        "destination.copy_settings",
    ];
    let mut all: Vec<_> = wizard.spec().expect_err("mistakes").into_iter().map(|m| m.field).collect();
    all.sort_unstable();
    let mut sorted = expected;
    sorted.sort_unstable();
    assert_eq!(all, sorted);
    // every one of them can be gone to
    let found: usize = (0..REVIEW)
        .map(|step| {
            wizard.go_to(step);
            wizard.mistakes_here().len()
        })
        .sum();
    assert_eq!(found, expected.len());
}

#[test]
fn an_engine_has_no_field_twice() {
    for engine in ["s3 objects", IMAGES] {
        let mut wizard = Wizard::default();
        wizard.set("engine", engine);
        let mut ids: Vec<_> = wizard.all().map(|f| f.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
