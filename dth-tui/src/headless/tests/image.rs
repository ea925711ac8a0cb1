//! Commands on a task that copies images.

use dth_proto::{
    check::{CheckState, CheckStep},
    failure::{FailureClass, FailureItem, Side},
    view::{Counters, ItemView},
};
use insta::assert_snapshot;

use super::*;
use crate::test_daemon::NOW;

/// A daemon with the task `images`, which is running.
fn bench() -> Bench {
    let bench = Bench::empty();
    bench.shared().change(|state| {
        let spec = TaskSpec::from_toml("t", IMAGE_FILE).expect("a good file");
        state.specs.insert(spec.name.clone(), spec);
        state.add_run("images", None, Counters { listed: 9, copied: 6, failed: 1, pending: 2, ..Counters::default() });
    });
    bench
}

fn item(key: &str, outcome: &str, digests: Option<(&str, &str)>) -> ItemView {
    let digest = |hex: &str| format!("sha256:{}", hex.repeat(32));
    ItemView {
        key: key.to_owned(),
        size: 67_000_000,
        outcome: outcome.to_owned(),
        at: NOW,
        tries: 1,
        reason: Some(if outcome == "copied" { "missing" } else { "gone" }.to_owned()),
        verified: digests.map(|_| "digest".to_owned()),
        source_etag: digests.map(|(source, _)| digest(source)),
        destination_etag: digests.map(|(_, destination)| digest(destination)),
        class: None,
        side: None,
        message: None,
    }
}

#[test]
fn items_have_digests() {
    let bench = bench();
    bench.shared().change(|state| {
        state.items = vec![
            item("library/nginx:1.27", "copied", Some(("9f", "9f"))),
            item("library/nginx:1.28", "copied", Some(("0a", "c4"))),
            item("library/redis:7", "skipped", None),
        ];
    });
    assert_snapshot!(bench.dth(&["items", "images"]).out, @r"
    OUTCOME     SIZE  TRIES  AT                    REASON   DIGEST                                      IMAGE               MESSAGE
    copied   67.0 MB      1  2026-12-01T02:00:00Z  missing  sha256:9f9f9f9f9f9f                         library/nginx:1.27
    copied   67.0 MB      1  2026-12-01T02:00:00Z  missing  sha256:0a0a0a0a0a0a -> sha256:c4c4c4c4c4c4  library/nginx:1.28
    skipped  67.0 MB      1  2026-12-01T02:00:00Z  gone     -                                           library/redis:7
    ");
    let line = bench.dth(&["items", "images", "--prefix", "library/redis", "-o", "ndjson"]).out;
    let item: serde_json::Value = serde_json::from_str(&line).expect("one object");
    assert_eq!((item["key"].as_str(), item["reason"].as_str()), (Some("library/redis:7"), Some("gone")));
}

#[test]
fn failures_name_images() {
    let bench = bench();
    bench.shared().change(|state| {
        state.failures = ["a/b:1", "a/b:2", "a/c:1"]
            .map(|key| FailureItem {
                key: key.to_owned(),
                size: 0,
                class: FailureClass::Permanent,
                code: "MANIFEST_UNKNOWN".to_owned(),
                side: Side::Source,
                operation: "GetManifest".to_owned(),
                message: "manifest unknown".to_owned(),
                request_id: None,
                tries: 1,
                at: NOW,
            })
            .to_vec();
    });
    assert_snapshot!(bench.dth(&["failures", "images"]).out, @r"
    CLASS      CODE              SIDE    OPERATION    TRIES  SIZE  AT                    IMAGE  MESSAGE
    permanent  MANIFEST_UNKNOWN  source  GetManifest      1   0 B  2026-12-01T02:00:00Z  a/b:1  manifest unknown
    permanent  MANIFEST_UNKNOWN  source  GetManifest      1   0 B  2026-12-01T02:00:00Z  a/b:2  manifest unknown
    permanent  MANIFEST_UNKNOWN  source  GetManifest      1   0 B  2026-12-01T02:00:00Z  a/c:1  manifest unknown
    ");
    let lines = bench.dth(&["failures", "images", "-o", "ndjson"]).out;
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.starts_with("{\"key\":\"a/b:1\""), "{lines}");
}

#[test]
fn a_task_of_images_is_shown_and_listed() {
    let bench = bench();
    assert_snapshot!(bench.dth(&["show", "images"]).out, @r"
    task      images (image)
    state     running
    from      docker://docker.io/ (docker.io)
    to        ecr://cn-north-1/mirror/ (cn-north-1)
    trigger   manual
    created   2026-12-01T02:00:00Z by mli
    run       1: going, started 2026-12-01T02:00:00Z, 4m 10s at work
    because   manual by mli
    items     9 listed = 0 same + 6 copied + 0 skipped + 1 failed + 2 pending
    bytes     0 B of 0 B done, 0 B copied, 0 B/s on average
    requests  0, 0 of them again
    verified  7 md5
    ");
    assert_snapshot!(bench.dth(&["list", "--filter", "engine:image"]).out, @r"
    NAME    STATE    DONE  RATE  ETA  FAILED  NEXT  FROM                 TO                        NOTE
    images  running   77%     -    -       1  -     docker://docker.io/  ecr://cn-north-1/mirror/
    ");
    let status = bench.dth(&["status"]).out;
    assert!(status.contains(" 0 images/s"), "{status}");
}

#[test]
fn mistakes_in_a_file_are_told_with_their_lines() {
    let bench = Bench::empty();
    let text = IMAGE_FILE.replace("registry = 'docker.io'", "regisry = 'docker.io'").replace("newest = 20", "newest = 0\ntag_regx = 'v.*'");
    let ended = bench.dth(&["create", "--file", &bench.file("bad.toml", &text)]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_snapshot!(ended.err, @r#"
    DIR/bad.toml:3: source.registry is missing: name the registry's host, or "ecr"
    DIR/bad.toml:4: source.regisry is not a known key: did you mean "registry"?
    DIR/bad.toml:11: options.newest must be from 1 to 1000000, not 0
    DIR/bad.toml:12: options.tag_regx is not a known key: did you mean "tag_regex"?
    "#);
    let text = IMAGE_FILE.replace("'library/nginx'", "'Nginx'").replace("registry = 'ecr'", "registry = 'quay.io'");
    let ended = bench.dth(&["create", "--file", &bench.file("worse.toml", &text)]);
    assert_snapshot!(ended.err, @r#"
    DIR/worse.toml:8: destination.region belongs to ECR: quay.io is none; leave it out, or use registry = "ecr"
    DIR/worse.toml:5: source.images has "Nginx": "Nginx" is not a repository's name: lower-case letters, digits and single . _ - between them, segments with /; no host
    "#);
    assert!(bench.shared().lock().done.is_empty());
}

#[test]
fn a_file_of_images_goes_in_and_out() {
    let bench = Bench::empty();
    let file = bench.file("t.toml", IMAGE_FILE);
    assert_eq!(bench.dth(&["create", "--file", &file]).out, "created images\n");
    let exported = bench.dth(&["export", "images"]).out;
    assert_eq!(TaskSpec::from_toml("out", &exported), TaskSpec::from_toml("in", IMAGE_FILE));
    let fewer = exported.replace("newest = 20", "newest = 2");
    assert_ne!(fewer, exported);
    let ended = bench.dth_with(&["edit", "images", "--file", "-"], &fewer, false);
    assert_eq!(ended, Ended { code: 0, out: "changed images\n".to_owned(), err: String::new() });
    assert!(bench.dth(&["export", "images"]).out.contains("newest = 2\n"));
}

#[test]
fn both_registries_are_tried() {
    let bench = Bench::empty();
    let step = |side, name: &str, state, message: &str, hint: Option<&str>| CheckStep {
        side,
        name: name.to_owned(),
        state,
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
    };
    bench.shared().change(|state| {
        state.check = vec![
            step(Side::Source, "list", CheckState::Ok, "library/nginx: 640 tags", None),
            step(Side::Destination, "sign in", CheckState::Failed, "403 DENIED", Some("allow ecr:GetAuthorizationToken")),
        ];
    });
    let ended = bench.dth(&["check", "--file", &bench.file("t.toml", IMAGE_FILE)]);
    assert_eq!(ended.code, 1);
    assert_snapshot!(ended.out, @r"
    STATE   SIDE         STEP        FOUND
    ok      source       list        library/nginx: 640 tags
    FAILED  destination  sign in     403 DENIED; hint: allow ecr:GetAuthorizationToken
    ");
}
