//! Commands that stay: wait, log --follow, watch; also through a restart of the daemon.

use std::thread;

use dth_proto::event::Level;

use super::*;
use crate::test_daemon::event;

fn going() -> Counters {
    Counters { listed: 9, pending: 4, copied: 5, ..Counters::default() }
}

/// The state of the bench, with a run of `photos` that goes on.
fn running() -> Bench {
    let bench = Bench::new();
    bench.shared().change(|state| state.add_run("photos", None, going()));
    bench
}

fn end(shared: &Shared, outcome: RunOutcome) {
    shared.change(|state| {
        let run = state.runs.values_mut().next().and_then(|runs| runs.last_mut()).expect("a run");
        run.outcome = Some(outcome);
        run.counters = Counters { listed: 9, copied: 9, bytes_copied: 9_000, ..Counters::default() };
    });
}

#[test]
fn wait_tells_how_it_ended() {
    for (outcome, code) in [(RunOutcome::Succeeded, 0), (RunOutcome::Incomplete, 1), (RunOutcome::Failed, 1), (RunOutcome::Cancelled, 1)] {
        let bench = running();
        let host = bench.host();
        let waiting = thread::spawn(move || dth(Some(host), &["wait", "photos"], "", false));
        bench.shared().until(|state| state.waits > 0);
        end(bench.shared(), outcome);
        let ended = waiting.join().expect("no panic");
        let out = format!("photos run 2: {}, 9 of 9 items copied (9.00 kB) in 4m 10s, 0 failed\n", outcome.word());
        assert_eq!(ended, Ended { code, out, err: String::new() });
    }
}

#[test]
fn wait_for_a_run_that_has_ended_is_answered_at_once() {
    let ended = Bench::new().dth(&["wait", "photos", "-o", "json"]);
    assert_eq!(ended.code, 1);
    let run: serde_json::Value = serde_json::from_str(&ended.out).expect("one object");
    assert_eq!((run["run"].as_u64(), run["outcome"].as_str()), (Some(1), Some("incomplete")));
}

#[test]
fn wait_gives_up_in_time() {
    let ended = running().dth(&["wait", "photos", "--timeout", "50ms"]);
    let err = "dth: run 2 of photos is still going: 4 of 9 items left after 50ms\n";
    assert_eq!(ended, Ended { code: 3, out: String::new(), err: err.to_owned() });
}

#[test]
fn wait_for_a_task_that_never_ran_is_refused() {
    let bench = Bench::new();
    bench.shared().change(|state| state.runs.clear());
    let ended = bench.dth(&["wait", "photos"]);
    assert_eq!(ended, Ended { code: 1, out: String::new(), err: "dth: photos has never run\nhint: dth start photos\n".to_owned() });
}

#[test]
fn wait_survives_a_restart_and_answers_for_the_run_it_waited_for() {
    let mut bench = running();
    let host = bench.host();
    let waiting = thread::spawn(move || dth(Some(host), &["wait", "photos", "--timeout", "1m"], "", false));
    bench.shared().until(|state| state.waits > 1);
    bench.daemon.stop();
    let shared = Arc::clone(bench.shared());
    end(&shared, RunOutcome::Succeeded);
    shared.change(|state| state.add_run("photos", None, going()));
    bench.daemon = TestDaemon::start(&bench.daemon.socket.clone(), shared);
    let ended = waiting.join().expect("no panic");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.starts_with("photos run 2: succeeded, "), "{ended:?}");
}

#[test]
fn wait_through_an_outage_longer_than_its_time_is_a_timeout() {
    let mut bench = running();
    let host = bench.host();
    let waiting = thread::spawn(move || dth(Some(host), &["wait", "photos", "--timeout", "1s"], "", false));
    bench.shared().until(|state| state.waits > 1);
    bench.daemon.stop();
    let ended = waiting.join().expect("no panic");
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    let lines: Vec<_> = ended.err.lines().collect();
    assert!(lines[0].ends_with("; trying again"), "{lines:?}");
    assert_eq!(lines[1..], ["dth: run 2 of photos is still going: 4 of 9 items left after 1s"]);
}

#[test]
fn log_shows_what_happened() {
    let bench = Bench::new();
    bench.shared().change(|state| {
        state.events = vec![
            event(1, Level::Info, Some("photos"), "run 1 started"),
            event(2, Level::Debug, None, "noise"),
            event(3, Level::Error, Some("photos"), "403\n\x1b[31m on a\u{202e}b"),
            event(4, Level::Warn, Some("logs"), "slow"),
        ];
    });
    insta::assert_snapshot!(bench.dth(&["log"]).out, @r"
    2026-12-01T02:00:00Z  info   photos  run 1 started
    2026-12-01T02:00:00Z  ERROR  photos  403��[31m on a�b
    2026-12-01T02:00:00Z  WARN   logs    slow
    ");
    assert_eq!(bench.dth(&["log", "--level", "warn", "--task", "photos", "-o", "ndjson"]).out.lines().count(), 1);
    assert_eq!(bench.dth(&["log", "--level", "debug"]).out.lines().count(), 4);
}

#[test]
fn log_follows_through_a_restart_until_the_reader_goes_away() {
    let mut bench = Bench::new();
    bench.shared().change(|state| state.events.push(event(1, Level::Info, None, "one")));
    let host = bench.host();
    let following = thread::spawn(move || {
        let mut reader = Reader::of(3);
        let (code, err) = dth_into(&mut reader, Some(host), &["log", "-f"], "", false);
        (code, err, String::from_utf8(reader.text).expect("text"))
    });
    bench.shared().until(|state| state.waits > 0);
    bench.shared().change(|state| state.events.push(event(2, Level::Info, None, "two")));
    bench.shared().until(|state| state.waits > 1);
    bench.daemon.stop();
    let shared = Arc::clone(bench.shared());
    // a daemon that starts again counts its events from 1
    shared.change(|state| state.events = vec![event(1, Level::Info, None, "three"), event(2, Level::Info, None, "four")]);
    bench.daemon = TestDaemon::start(&bench.daemon.socket.clone(), shared);
    let (code, _, text) = following.join().expect("no panic");
    assert_eq!(code, 0);
    let messages: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(messages, ["one", "two", "three"]);
}

#[test]
fn watch_prints_what_changes() {
    let bench = running();
    let host = bench.host();
    let watching = thread::spawn(move || {
        let mut reader = Reader::of(3);
        let (code, err) = dth_into(&mut reader, Some(host), &["watch", "--plain"], "", false);
        (code, err, String::from_utf8(reader.text).expect("text"))
    });
    bench.shared().until(|state| state.waits > 0);
    end(bench.shared(), RunOutcome::Succeeded);
    bench.shared().until(|state| state.waits > 1);
    // seen by nobody: what is shown of the task stays the same
    bench.shared().change(|state| state.runs.values_mut().flatten().for_each(|run| run.counters.requests += 1));
    bench.shared().until(|state| state.waits > 2);
    bench.shared().change(|state| state.specs.clear());
    bench.shared().until(|state| state.waits > 3);
    bench.shared().change(|state| {
        let spec = TaskSpec::from_toml("t", TASK_FILE).expect("a good file");
        state.specs.insert(spec.name.clone(), spec);
    });
    let (code, err, text) = watching.join().expect("no panic");
    assert_eq!((code, err.as_str()), (0, ""));
    insta::assert_snapshot!(text, @r"
    photos: running, 55% done
    photos: done, 9.00 kB copied in run 2
    photos: deleted
    ");
}

#[test]
fn watch_has_columns_and_json_too() {
    let bench = running();
    for (args, lines, outcome) in [(&["watch"][..], 2, RunOutcome::Succeeded), (&["watch", "-o", "ndjson"], 1, RunOutcome::Failed)] {
        let (host, waits) = (bench.host(), bench.shared().lock().waits);
        let watching = thread::spawn(move || {
            let mut reader = Reader::of(lines);
            let (code, _) = dth_into(&mut reader, Some(host), args, "", false);
            (code, String::from_utf8(reader.text).expect("text"))
        });
        bench.shared().until(|state| state.waits > waits);
        end(bench.shared(), outcome);
        let (code, text) = watching.join().expect("no panic");
        assert_eq!((code, text.lines().count()), (0, lines));
        assert!(text.lines().last().expect("a line").contains("photos"), "{text}");
    }
}
