//! Commands that change something: create, edit, clone, start, pause, delete, retry; and the command line itself.

use dth_proto::{id::TaskName, view::RunKind};

use super::*;
use crate::exit;

#[test]
fn a_task_is_created_once_even_when_the_answer_is_lost() {
    let bench = Bench::empty();
    let file = bench.file("t.toml", TASK_FILE);
    bench.shared().change(|state| state.lose_answers = 1);
    let ended = bench.dth(&["create", "--file", &file, "--start"]);
    assert_eq!(ended, Ended { code: 0, out: "created photos, its first run is queued\n".to_owned(), err: String::new() });
    assert_eq!(bench.shared().lock().done, ["create photos start=true"]);

    let again = bench.dth(&["create", "--file", &file]);
    assert_eq!(again, Ended { code: 1, out: String::new(), err: "dth: there is a task photos already\n".to_owned() });
}

#[test]
fn an_answer_lost_twice_is_an_unreachable_daemon() {
    let bench = Bench::new();
    bench.shared().change(|state| state.lose_answers = 2);
    let ended = bench.dth(&["start", "photos"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.starts_with("dth: lost the connection to dthd at unix:DIR/s: "), "{}", ended.err);
    assert_eq!(bench.shared().lock().done, ["start photos"]);
}

#[test]
fn a_bad_file_is_told_line_by_line_and_nothing_is_sent() {
    let bench = Bench::empty();
    let file = bench.file("bad.toml", "nmae = 'x'\n[source]\nbukcet = 'a'\n");
    let ended = bench.dth(&["create", "--file", &file]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let lines: Vec<_> = ended.err.lines().collect();
    assert!(lines.contains(&"DIR/bad.toml:1: nmae is not a known key: did you mean \"name\"?"), "{lines:?}");
    assert!(lines.contains(&"DIR/bad.toml:3: source.bukcet is not a known key: did you mean \"bucket\"?"), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("DIR/bad.toml")), "{lines:?}");
    assert!(bench.shared().lock().done.is_empty());

    let ended = bench.dth(&["create", "--file", "/no/such/file.toml"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("dth: cannot read /no/such/file.toml: "), "{}", ended.err);
}

#[test]
fn definitions_come_from_standard_input_too() {
    let bench = Bench::new();
    let ended = bench.dth_with(&["edit", "photos", "--file", "-"], &TASK_FILE.replace("'photos'\nengine", "'pictures'\nengine"), false);
    assert_eq!(ended, Ended { code: 0, out: "changed photos, now pictures\n".to_owned(), err: String::new() });
    let ended = bench.dth_with(&["create", "--file", "-"], "name = ", false);
    assert!(ended.err.starts_with("standard input:1: "), "{}", ended.err);
    let ended = bench.dth(&["clone", "pictures", "again"]);
    assert_eq!(ended.out, "created again from pictures\n");
    assert_eq!(bench.shared().lock().done, ["edit photos", "clone pictures again"]);
}

#[test]
fn control_says_what_was_accepted_or_why_not() {
    let bench = Bench::new();
    for (args, out) in [
        (&["start", "photos"][..], "queued a run of photos\n"),
        (&["resume", "photos"], "resuming photos\n"),
        (&["stop", "photos"], "stopping photos\n"),
        (&["retry", "photos"], "queued a run of photos for its failures\n"),
        (&["retry", "photos", "--class", "auth"], "queued a run of photos for its auth failures\n"),
    ] {
        assert_eq!(bench.dth(args), Ended { code: 0, out: out.to_owned(), err: String::new() });
    }
    let ended = bench.dth(&["pause", "photos"]);
    assert_eq!(ended, Ended { code: 1, out: String::new(), err: "dth: photos is idle: there is no run to pause\n".to_owned() });
    let view: serde_json::Value = serde_json::from_str(&bench.dth(&["start", "photos", "-o", "json"]).out).expect("one object");
    assert_eq!(view["name"], "photos");
}

#[test]
fn delete_asks_first() {
    let bench = Bench::new();
    let deleted = |bench: &Bench| bench.shared().lock().specs.is_empty();

    let ended = bench.dth(&["delete", "photos"]);
    assert_eq!(ended.code, 64);
    assert_eq!(ended.err, "dth: photos is not deleted: there is no terminal to ask on; use dth delete photos --yes if you mean it\n");
    let ended = bench.dth_with(&["delete", "photos"], "n\n", true);
    assert_eq!(ended.code, 1);
    let question = "Delete task photos with its history on unix:DIR/s? What was copied stays. [y/N] ";
    assert_eq!(ended.err, format!("{question}photos is not deleted\n"));
    assert!(!deleted(&bench));
    assert_eq!(bench.dth_with(&["delete", "photos"], "y\n", true).out, "deleted photos\n");
    assert!(deleted(&bench));

    let bench = Bench::new();
    assert_eq!(bench.dth(&["delete", "photos", "--yes"]).code, 0);
    assert!(deleted(&bench));
}

#[test]
fn the_command_line_has_its_own_exit_code() {
    for (args, code) in [
        (&["--help"][..], exit::OK),
        (&["--version"], exit::OK),
        (&["help", "wait"], exit::OK),
        (&["lsit"], exit::USAGE),
        (&["show"], exit::USAGE),
        (&["show", "no/name"], exit::USAGE),
        (&["list", "-o", "xml"], exit::USAGE),
        (&["wait", "t", "--timeout", "5"], exit::USAGE),
        (&["list", "--host", "ftp://x"], exit::USAGE),
        (&["list", "--context", "x"], exit::USAGE),
        (&["list", "--context", "x", "--host", "unix:/s"], exit::USAGE),
        (&["log", "-f", "-o", "json"], exit::USAGE),
        (&["watch", "-o", "json"], exit::USAGE),
        (&[], 99),
    ] {
        assert_eq!(dth(None, args, "", false).code, code, "{args:?}");
    }
    let ended = dth(Some("ftp://x".to_owned()), &["list"], "", false);
    assert_eq!(ended.code, exit::USAGE);
    assert!(ended.err.starts_with("dth: DTH_HOST: \"ftp://x\" is not an address"), "{}", ended.err);
}

#[test]
fn every_command_has_a_line_and_an_example() {
    use clap::CommandFactory;
    for command in cli::Cli::command().get_subcommands() {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.len() >= 10 && about.lines().count() == 1, "{name}: {about:?}");
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Example:\n  dth ") && after.contains(name), "{name}: {after:?}");
    }
    cli::Cli::command().debug_assert();
}

#[test]
fn manual_pages_and_completions_are_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_string_lossy().into_owned();
    assert_eq!(dth(None, &["man", &path], "", false).code, 0);
    let page = std::fs::read_to_string(dir.path().join("dth-wait.1")).expect("a page per command");
    assert!(page.contains("timeout"), "{page}");
    assert!(dir.path().join("dth.1").exists());
    let ended = dth(None, &["man", "/no/such/dir"], "", false);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("/no/such/dir"), "{}", ended.err);
    assert!(dth(None, &["completions", "bash"], "", false).out.contains("failures"));
}

#[test]
fn plans_are_begun_awaited_and_told() {
    let bench = Bench::new();
    let name = TaskName::new("photos").expect("good name");
    let counters = Counters { listed: 9, same: 2, planned: 7, bytes_planned: 1_000_000, ..Counters::default() };
    bench.shared().change(|state| {
        state.add_run("photos", Some(RunOutcome::Succeeded), counters);
        if let Some(run) = state.runs.get_mut(&name).and_then(|runs| runs.last_mut()) {
            run.kind = RunKind::Plan;
        }
    });
    let ended = bench.dth(&["plan", "photos", "--items", "1"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    for words in [
        "plan succeeded",
        "2 same + 0 copied + 7 planned",
        "7 items, 1.00 MB",
        ">= 0.5000",
        "not estimated: the price of writes is not known",
    ] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    assert_eq!(bench.shared().lock().done.last().map(String::as_str), Some("plan photos"));
}

#[test]
fn an_explanation_ends_with_what_comes_next() {
    let ended = Bench::new().dth(&["explain", "photos", "a/b"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for words in ["goes to", "to/a/b", "not there", "would copy it: the destination does not have it (missing)"] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}
