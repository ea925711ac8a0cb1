//! Commands that only ask: status, list, show, runs, items, failures, check, export, and what they say when they cannot.

use dth_proto::{
    check::{CheckState, CheckStep},
    error::{ApiError, ErrorCode},
    failure::{FailureClass, FailureItem, Side},
    view::{Counters, ItemView, Problem, RunOutcome, Severity},
};
use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::test_daemon::NOW;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn status_says_whether_all_is_well() {
    let bench = Bench::new();
    let ended = bench.dth(&["status", "--exit-code"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with("verdict  all well\n"), "{}", ended.out);

    let task = Some(dth_proto::id::TaskName::new("photos").expect("good name"));
    let problem = Problem { severity: Severity::Error, text: "1 item failed".to_owned(), since: NOW, task };
    bench.shared().change(|state| state.problems.push(problem));
    assert_eq!(bench.dth(&["status"]).code, 0);
    let ended = bench.dth(&["status", "--exit-code", "-o", "json"]);
    assert_eq!(ended.code, 1);
    let status = json(&ended.out);
    assert_eq!(status["ok"], false);
    assert_eq!(status["tasks"], 1);
    assert_eq!(status["listed"], 0);
    assert_eq!(status["problems"][0]["text"], "1 item failed");
    assert_eq!(status["daemon"]["host"], "xfer-bj-01");
}

#[test]
fn list_shows_tasks_that_match() {
    let bench = Bench::new();
    assert_snapshot!(bench.dth(&["list"]).out, @r"
    NAME    STATE       DONE  RATE  ETA  FAILED  NEXT  FROM               TO                 NOTE
    photos  INCOMPLETE  100%     -    -       1  -     s3://acme-cn/raw/  s3://acme-global/
    ");
    assert_eq!(json(&bench.dth(&["list", "-o", "json", "--filter", "state:failed"]).out), json("[]"));
    let ended = bench.dth(&["list", "-o", "ndjson", "--filter", "fail:>0 label:team=photos"]);
    assert_eq!(json(&ended.out)["run"]["copied"], 7);
    let ended = bench.dth(&["list", "--filter", "sate:failed"]);
    assert_eq!(ended.code, 64);
    assert_eq!(ended.err, "dth: --filter: \"sate\" is not something to filter by: did you mean \"state\"?\n");
}

#[test]
fn show_tells_one_task() {
    let bench = Bench::new();
    assert_snapshot!(bench.dth(&["show", "photos"]).out, @r"
    task      photos (s3)
    state     INCOMPLETE
    from      s3://acme-cn/raw/ (cn-north-1)
    to        s3://acme-global/ (us-east-1)
    labels    team=photos
    trigger   manual
    created   2026-12-01T02:00:00Z by mli
    run       1: incomplete, started 2026-12-01T02:00:00Z, ended 2026-12-01T02:04:10Z, 4m 10s at work
    because   manual by mli
    items     9 listed = 1 same + 7 copied + 0 skipped + 1 failed + 0 pending
    bytes     9.00 MB of 9.00 MB done, 7.00 MB copied, 28.0 kB/s on average
    requests  40, 2 of them again
    verified  7 md5
    ");
    let detail = json(&bench.dth(&["-o", "json", "show", "photos"]).out);
    assert_eq!(detail["spec"]["source"]["bucket"], "acme-cn");
    assert_eq!(detail["view"]["run"]["outcome"], "incomplete");

    let ended = bench.dth(&["show", "photo"]);
    assert_eq!(
        ended,
        Ended { code: 1, out: String::new(), err: "dth: there is no task photo\nhint: dth list shows all tasks\n".to_owned() }
    );
}

#[test]
fn runs_are_paged_to_the_end() {
    let bench = Bench::new();
    bench.shared().change(|state| {
        for _ in 0..6 {
            state.add_run("photos", Some(RunOutcome::Succeeded), Counters::default());
        }
    });
    let ended = bench.dth(&["runs", "photos", "-o", "json"]);
    let runs: Vec<_> = json(&ended.out).as_array().expect("an array").iter().map(|run| run["run"].as_u64()).collect();
    assert_eq!(runs, [7, 6, 5, 4, 3, 2, 1].map(Some));
    let last = ended.out.lines().rev().nth(1).expect("a line per run");
    assert_snapshot!(last, @r#"{"task":"photos","run":1,"kind":"copy","outcome":"incomplete","started":"2026-12-01T02:00:00.000Z","ended":"2026-12-01T02:04:10.000Z","duration_s":250.0,"listed":9,"same":1,"copied":7,"skipped":0,"deleted":0,"failed":1,"planned":0,"to_delete":0,"pending":0,"bytes_listed":9000000,"bytes_done":9000000,"bytes_copied":7000000,"bytes_planned":0,"requests":40,"retries":2,"bytes_per_s":28000,"listing_done":true,"cause":"manual by mli"}"#);
    let table = bench.dth(&["runs", "photos"]).out;
    assert_eq!(table.lines().count(), 8);
    assert_snapshot!(table.lines().last().expect("a row"), @"  1  incomplete  2026-12-01T02:00:00Z  4m 10s       9     1       7        0        0       1        0  7.00 MB  28.0 kB/s  manual by mli");
}

fn item(key: &str, outcome: &str) -> ItemView {
    ItemView {
        key: key.to_owned(),
        size: 1_500,
        outcome: outcome.to_owned(),
        at: NOW,
        tries: 1,
        reason: Some("missing".to_owned()),
        verified: Some("md5".to_owned()),
        source_etag: None,
        destination_etag: None,
        class: None,
        side: None,
        message: None,
    }
}

#[test]
fn items_are_paged_and_harmless() {
    let bench = Bench::new();
    let keys = ["raw/1", "raw/2\n\x1b[2J", "raw/3\u{202e}", "raw/4", "x/5"];
    bench
        .shared()
        .change(|state| state.items = keys.iter().map(|key| item(key, if *key == "raw/4" { "skipped" } else { "copied" })).collect());
    assert_snapshot!(bench.dth(&["items", "photos"]).out, @r"
    OUTCOME     SIZE  TRIES  AT                    REASON   VERIFIED  KEY         MESSAGE
    copied   1.50 kB      1  2026-12-01T02:00:00Z  missing  md5       raw/1
    copied   1.50 kB      1  2026-12-01T02:00:00Z  missing  md5       raw/2��[2J
    copied   1.50 kB      1  2026-12-01T02:00:00Z  missing  md5       raw/3�
    skipped  1.50 kB      1  2026-12-01T02:00:00Z  missing  md5       raw/4
    copied   1.50 kB      1  2026-12-01T02:00:00Z  missing  md5       x/5
    ");
    let lines = bench.dth(&["items", "photos", "--outcome", "copied", "--prefix", "raw/", "-o", "ndjson"]).out;
    let got: Vec<_> = lines.lines().map(|line| json(line)["key"].as_str().expect("a key").to_owned()).collect();
    assert_eq!(got, &keys[..3], "JSON keeps keys as they are");
    assert_eq!(bench.dth(&["items", "photos", "--outcome", "same"]).code, 64);
}

#[test]
fn failures_come_with_class_and_message() {
    let bench = Bench::new();
    let failure = |key: &str, class| FailureItem {
        key: key.to_owned(),
        size: 0,
        class,
        code: "AccessDenied".to_owned(),
        side: Side::Source,
        operation: "GetObject".to_owned(),
        message: "denied by policy".to_owned(),
        request_id: None,
        tries: 1,
        at: NOW,
    };
    let auth = FailureClass::Auth;
    bench.shared().change(|state| {
        state.failures = vec![failure("a", auth), failure("b", FailureClass::Changed), failure("c", auth), failure("d", auth)];
    });
    assert_snapshot!(bench.dth(&["failures", "photos", "--class", "auth"]).out, @r"
    CLASS  CODE          SIDE    OPERATION  TRIES  SIZE  AT                    KEY  MESSAGE
    auth   AccessDenied  source  GetObject      1   0 B  2026-12-01T02:00:00Z  a    denied by policy
    auth   AccessDenied  source  GetObject      1   0 B  2026-12-01T02:00:00Z  c    denied by policy
    auth   AccessDenied  source  GetObject      1   0 B  2026-12-01T02:00:00Z  d    denied by policy
    ");
    let all = json(&bench.dth(&["failures", "photos", "--run", "1", "-o", "json"]).out);
    assert_eq!(all.as_array().expect("an array").len(), 4);
    assert_eq!(bench.dth(&["failures", "photos", "--class", "bad"]).code, 64);
}

#[test]
fn check_tells_step_by_step() {
    let bench = Bench::new();
    let step = |side, name: &str, state, hint: Option<&str>| CheckStep {
        side,
        name: name.to_owned(),
        state,
        message: format!("tried to {name}"),
        hint: hint.map(str::to_owned),
    };
    let steps = vec![
        step(Side::Source, "reach", CheckState::Ok, None),
        step(Side::Source, "list", CheckState::Warn, None),
        step(Side::Destination, "write", CheckState::Ok, None),
    ];
    bench.shared().change(|state| state.check = steps);
    assert_eq!(bench.dth(&["check", "photos"]).code, 0);
    let failed = step(Side::Destination, "write", CheckState::Failed, Some("allow s3:PutObject"));
    bench.shared().change(|state| state.check[2] = failed);
    let file = bench.file("t.toml", TASK_FILE);
    let ended = bench.dth(&["check", "--file", &file]);
    assert_eq!(ended.code, 1);
    assert_snapshot!(ended.out, @r"
    STATE   SIDE         STEP        FOUND
    ok      source       reach       tried to reach
    WARN    source       list        tried to list
    FAILED  destination  write       tried to write; hint: allow s3:PutObject
    ");
    let reply = json(&bench.dth(&["check", "photos", "-o", "json"]).out);
    assert_eq!((reply["done"].as_bool(), reply["steps"].as_array().map(Vec::len)), (Some(true), Some(3)));
    assert_eq!(bench.dth(&["check", "photos", "-o", "ndjson"]).out.lines().count(), 3);
    assert_eq!(bench.dth(&["check"]).code, 64);
    assert_eq!(bench.dth(&["check", "photos", "--file", &file]).code, 64);
}

#[test]
fn export_gives_the_file_back() {
    let bench = Bench::new();
    let text = bench.dth(&["export", "photos"]).out;
    let spec = TaskSpec::from_toml("t", &text).expect("a task file");
    assert_eq!(spec, TaskSpec::from_toml("t", TASK_FILE).expect("a task file"));
    assert_eq!(json(&bench.dth(&["export", "photos", "-o", "json"]).out)["name"], "photos");
}

#[test]
fn the_reader_may_go_away() {
    let bench = Bench::new();
    bench.shared().change(|state| state.items = (0..50).map(|i| item(&format!("{i:02}"), "copied")).collect());
    let mut reader = Reader::of(3);
    let (code, err) = dth_into(&mut reader, Some(bench.host()), &["items", "photos", "-o", "ndjson"], "", false);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(reader.text.iter().filter(|b| **b == b'\n').count(), 3);
}

#[test]
fn an_unreachable_daemon_is_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let host = format!("unix:{}", dir.path().join("none").display());
    for command in [&["status", "--exit-code"][..], &["wait", "photos"], &["list"], &["log", "-f"], &["start", "photos"]] {
        let ended = dth(Some(host.clone()), command, "", false);
        assert_eq!(ended.code, 2, "{command:?}");
        assert!(ended.err.starts_with("dth: cannot reach dthd at "), "{}", ended.err);
        assert!(ended.err.ends_with("is it running? (start one with: dthd run)\n"), "{}", ended.err);
    }
}

#[test]
fn version_skew_gives_a_sentence() {
    let bench = Bench::new();
    bench.shared().change(|state| state.protocol = Some((7, 9)));
    let ended = bench.dth(&["status"]);
    let name = crate::session::NAME;
    let say = format!("dth: {name} speaks protocol 1 to 1, this dthd 9.0 speaks 7 to 9: upgrade {name}\n");
    assert_eq!(ended, Ended { code: 2, out: String::new(), err: say });
}

#[test]
fn an_answer_of_the_daemon_is_told_whole() {
    let error = ApiError::new(ErrorCode::Invalid, "the task is\x1b[2J wrong")
        .details(vec!["source.bucket is missing".to_owned(), "trigger.cron: bad".to_owned()])
        .hint("see dth check");
    let error = crate::headless::CommandError::Session(error.into());
    assert_eq!(
        error.lines(),
        ["dth: the task is\u{fffd}[2J wrong", "  source.bucket is missing", "  trigger.cron: bad", "hint: see dth check"]
    );
    assert_eq!(error.exit_code(), 1);
    let stopping = ApiError::new(ErrorCode::ShuttingDown, "dthd is stopping");
    assert_eq!(crate::headless::CommandError::Session(stopping.into()).exit_code(), 2);
}
