//! What tasks choose from listings.

use std::collections::BTreeSet;

use dth_proto::spec::Registry;
use proptest::prelude::*;

use super::*;

fn source(registry: &str, images: &[&str]) -> ImageSource {
    let registry = Registry { registry: registry.to_owned(), ..Registry::default() };
    ImageSource { registry, images: texts(images) }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn selection(images: &[&str], options: &ImageOptions) -> Selection {
    Selection::new(&source("ghcr.io", images), options).expect("good rules")
}

fn listed(tags: &[&str]) -> Vec<Listed> {
    tags.iter().map(|&tag| Listed::tagged(tag)).collect()
}

fn keys(items: &[Item]) -> Vec<String> {
    items.iter().map(Item::key).collect()
}

fn skipped(picked: &Picked) -> Vec<(String, &'static str)> {
    picked.skipped.iter().map(|(item, rule)| (item.key(), *rule)).collect()
}

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

#[test]
fn without_names_and_rules_everything_is_wanted() {
    let all = selection(&[], &ImageOptions::default());
    assert_eq!(all.named(), None);
    assert!(all.keep_repository("team/app") && all.wants_tags("team/app") && !all.wants_push_times());
    let picked = all.pick("team/app", listed(&["latest", "2", "10"]));
    assert_eq!(keys(&picked.images), ["team/app:10", "team/app:2", "team/app:latest"]);
    assert!(picked.skipped.is_empty() && picked.attached.is_empty());
}

#[test]
fn repositories_are_chosen_by_globs() {
    let options = ImageOptions {
        repositories: texts(&["team/*", "base/**"]),
        exclude_repositories: texts(&["**/tmp", "team/old-*"]),
        ..ImageOptions::default()
    };
    let some = selection(&[], &options);
    for (repository, expected) in [
        ("team/app", true),
        ("team/app/sub", false),
        ("base/os/debian", true),
        ("base/os/tmp", false),
        ("team/old-app", false),
        ("other/app", false),
    ] {
        assert_eq!(some.keep_repository(repository), expected, "{repository}");
    }
}

#[test]
fn named_repositories_get_library_on_docker_hub_and_their_order() {
    let named = |registry: &str, images: &[&str]| {
        Selection::new(&source(registry, images), &ImageOptions::default()).expect("good names").named().expect("names")
    };
    assert_eq!(named("docker.io", &["nginx:1", "grafana/loki", "nginx"]), ["grafana/loki", "library/nginx"]);
    assert_eq!(named("ghcr.io", &["nginx", "a", "a.b", "a0", "a/b"]), ["a.b", "a/b", "a0", "a", "nginx"]);
}

#[test]
fn named_images_are_wanted_whatever_the_rules_say() {
    let pinned = digest("pinned");
    let pin = format!("app@{pinned}");
    let options = ImageOptions { tags: texts(&["v*"]), exclude_tags: texts(&["*-rc"]), ..ImageOptions::default() };
    let named = selection(&["app:1-rc", &pin, "app:gone", "whole", "whole:main"], &options);
    assert!(!named.wants_tags("app") && named.wants_tags("whole") && !named.wants_tags("other"));

    let picked = named.pick("app", Vec::new());
    assert_eq!(keys(&picked.images), ["app:1-rc", "app:gone", &pin]);
    assert!(picked.skipped.is_empty());

    let picked = named.pick("whole", listed(&["main", "v1", "2", "v2-rc"]));
    assert_eq!(keys(&picked.images), ["whole:main", "whole:v1"]);
    assert_eq!(skipped(&picked), [("whole:2".to_owned(), "not-included"), ("whole:v2-rc".to_owned(), "excluded")]);
}

#[test]
fn what_is_not_named_is_no_part_of_the_task() {
    let picked = selection(&["app:1"], &ImageOptions::default())
        .pick("app", vec![Listed { digest: Some(digest("1")), ..Listed::tagged("1") }, Listed::tagged("2")]);
    assert_eq!(picked.images, [Item::tagged("app", "1", Some(digest("1")))]);
    assert!(picked.skipped.is_empty());
}

#[test]
fn a_digest_that_the_task_names_goes_before_the_listed_one() {
    let name = format!("app:1@{}", digest("task"));
    let entry = || vec![Listed { digest: Some(digest("listing")), ..Listed::tagged("1") }];
    let expected = [Item::tagged("app", "1", Some(digest("task")))];
    assert_eq!(selection(&[&name], &ImageOptions::default()).pick("app", entry()).images, expected);
    assert_eq!(selection(&[&name, "app"], &ImageOptions::default()).pick("app", entry()).images, expected);
    assert_eq!(selection(&["app:1", &name], &ImageOptions::default()).pick("app", entry()).images, expected);
}

#[test]
fn images_without_a_tag_are_wanted_only_if_asked_for() {
    let entries = || vec![Listed::tagged("1"), Listed { digest: Some(digest("x")), ..Listed::default() }];
    let key = format!("app@{}", digest("x"));
    let picked = selection(&[], &ImageOptions::default()).pick("app", entries());
    assert_eq!((keys(&picked.images), skipped(&picked)), (texts(&["app:1"]), vec![(key.clone(), "untagged")]));
    let picked = selection(&[], &ImageOptions { untagged: true, newest: Some(1), ..ImageOptions::default() }).pick("app", entries());
    assert_eq!((keys(&picked.images), skipped(&picked)), (vec!["app:1".to_owned(), key], vec![]));
}

#[test]
fn attached_tags_go_with_their_image() {
    let image = digest("image");
    let tags = [format!("sha256-{}.sig", image.hex()), format!("sha256-{}", image.hex())];
    let entries = || vec![Listed::tagged("v1"), Listed::tagged(&tags[0]), Listed::tagged(&tags[1])];
    let by_rule = |options: &ImageOptions| selection(&[], options).pick("app", entries());

    let picked = by_rule(&ImageOptions { newest: Some(1), ..ImageOptions::default() });
    assert_eq!(keys(&picked.images), ["app:v1"]);
    assert_eq!(skipped(&picked), [(format!("app:{}", tags[1]), "attached"), (format!("app:{}", tags[0]), "attached")]);
    assert_eq!(picked.attached, BTreeMap::from([(image.clone(), vec![tags[1].clone(), tags[0].clone()])]));

    let picked = by_rule(&ImageOptions { referrers: false, ..ImageOptions::default() });
    assert!(picked.attached.is_empty() && picked.skipped.len() == 2);

    let picked = by_rule(&ImageOptions { tags: texts(&["*.sig"]), ..ImageOptions::default() });
    assert_eq!(keys(&picked.images), [format!("app:{}", tags[0])]);
    assert_eq!(picked.attached, BTreeMap::from([(image, vec![tags[1].clone()])]));

    let name = format!("app:{}", tags[0]);
    let picked = selection(&[&name], &ImageOptions::default()).pick("app", Vec::new());
    assert_eq!(keys(&picked.images), [name]);
}

#[test]
fn every_mistake_is_told_at_once() {
    let (x, y) = (format!("app:1@{}", digest("x")), format!("app:1@{}", digest("y")));
    let options = ImageOptions {
        repositories: texts(&["{a"]),
        exclude_repositories: texts(&["drop/**"]),
        tags: texts(&[""]),
        semver: Some("new".to_owned()),
        ..ImageOptions::default()
    };
    let problems = Selection::new(&source("ghcr.io", &["App", &x, &y, "drop/it:1"]), &options).expect_err("mistakes");
    for (n, text) in [
        "source.images: has \"App\": ",
        "source.images: has \"app:1\" with several digests: ",
        "options.repositories: \"{a\" is not a glob: ",
        "options.tags: an empty glob",
        "options.semver: \"new\" is not a range of versions: ",
        "source.images: names \"drop/it\", which options.repositories or options.exclude_repositories leaves out: ",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(problems[n].starts_with(text), "{text}: {problems:#?}");
    }
    assert_eq!(problems.len(), 6, "{problems:#?}");
}

#[test]
fn words_are_distinct() {
    let words: BTreeSet<_> = SkipReason::ALL.iter().map(|reason| reason.word()).collect();
    assert_eq!(words.len(), SkipReason::ALL.len());
}

fn options() -> impl Strategy<Value = ImageOptions> {
    let maybe = |text: &'static [&'static str]| prop::option::of(prop::sample::select(text));
    (
        maybe(&["v*", "*", "sha256-*"]),
        maybe(&["*-rc", "a"]),
        maybe(&["v.*", "[0-9.]+"]),
        maybe(&["*", ">=1, <3"]),
        prop::option::of(1u32..4),
        any::<(bool, bool)>(),
    )
        .prop_map(|(tags, exclude, regex, semver, newest, (untagged, referrers))| ImageOptions {
            tags: tags.into_iter().map(str::to_owned).collect(),
            exclude_tags: exclude.into_iter().map(str::to_owned).collect(),
            tag_regex: regex.map(str::to_owned),
            semver: semver.map(str::to_owned),
            newest,
            untagged,
            referrers,
            ..ImageOptions::default()
        })
}

fn entry() -> impl Strategy<Value = Listed> {
    let tag = prop_oneof![
        4 => "(v?[0-3](\\.[0-9])?(-rc)?|[a-c])".prop_map(Some),
        1 => "[ab]".prop_map(|image| Some(format!("sha256-{}.sig", digest(&image).hex()))),
        1 => Just(None),
    ];
    (tag, "[a-c]").prop_map(|(tag, content)| Listed { tag, digest: Some(digest(&content)), pushed: None })
}

proptest! {
    #[test]
    fn what_is_listed_is_wanted_or_left_out_once_and_in_order(
        options in options(), entries in prop::collection::vec(entry(), 0..12), names in prop::collection::btree_set("app:[a-d]", 0..3), whole: bool
    ) {
        let mut images: Vec<&str> = names.iter().map(String::as_str).collect();
        if whole && !images.is_empty() {
            images.push("app");
        }
        let selection = selection(&images, &options);
        let picked = selection.pick("app", entries.clone());
        let (wanted, left) = (keys(&picked.images), skipped(&picked).into_iter().map(|(key, _)| key).collect::<Vec<_>>());
        prop_assert!(wanted.is_sorted() && left.is_sorted());
        prop_assert!(names.iter().all(|name| wanted.contains(name)));
        let both: BTreeSet<&String> = wanted.iter().chain(&left).collect();
        prop_assert_eq!(both.len(), wanted.len() + left.len());
        let of = |Listed { tag, digest, .. }: &Listed| Item { repository: "app".to_owned(), tag: tag.clone(), digest: digest.clone() }.key();
        let mut expected: BTreeSet<String> = names.clone();
        if selection.wants_tags("app") {
            expected.extend(entries.iter().map(of));
        }
        prop_assert_eq!(both.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
        prop_assert!(options.referrers || picked.attached.is_empty());
        let attached: Vec<String> = picked.attached.values().flatten().map(|tag| format!("app:{tag}")).collect();
        prop_assert!(attached.iter().all(|key| left.contains(key)));
    }
}
