//! `dth-bench` at tiny sizes: everyone who is installed takes part, everything arrives, and the JSON says the same.

use std::{path::Path, process::Command};

use dth_tests::installed;
use serde_json::Value;

/// Runs it with `--json`; what is in the file.
fn bench(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let output = Command::new(installed::from_cargo("dth-bench")).args(arguments).arg("--json").arg(&file).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
}

fn rclone_is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).any(|folder: std::path::PathBuf| Path::new(&folder).join("rclone").is_file())
}

/// Checks the rows of a case; `reads` is the least number of requests for content.
fn everything_arrived(case: &Value, participants: &[&str], written: u64, reads: u64) {
    let rows = case["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["participant"].as_str().unwrap()).collect::<Vec<_>>(), participants, "{case}");
    for row in rows {
        let own =
            row["participant"] == "engine" || row["participant"] == "relay" || (row["participant"] == "rclone" && rclone_is_installed());
        let runs = row["runs"].as_array().unwrap();
        assert_eq!(runs.len(), usize::from(row["name"].is_string()), "{row}");
        assert!(!own || runs.len() == 1, "{row}");
        for run in runs {
            assert!(run.get("wrong").is_none(), "{row}");
            assert_eq!((run["counts"]["written"].as_u64(), run["counts"]["wrong"].as_u64()), (Some(written), Some(0)), "{row}");
            assert!(run["counts"]["requests"]["GetObject"].as_u64().unwrap_or(0) >= reads, "{row}");
            assert!(run["cpu_s"].as_f64().unwrap() > 0.0 && run["peak"].as_u64().unwrap() > 1_000_000, "{row}");
        }
        if row["name"].is_string() {
            assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
        }
    }
}

#[test]
fn small_objects_comparing_and_latency() {
    let cases = ["--case", "small", "--case", "compare", "--case", "latency"];
    let report = bench(&[&["s3", "--objects", "40", "--size", "4KiB", "--latency", "1ms", "--runs", "1"], &cases[..]].concat());
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    everything_arrived(&cases[0], &["relay", "engine", "rclone", "s3sync"], 40, 40);
    everything_arrived(&cases[1], &["engine", "rclone", "s3sync"], 0, 0);
    everything_arrived(&cases[2], &["relay", "engine", "rclone", "s3sync"], 40, 40);
}

#[test]
fn objects_in_parts() {
    let report = bench(&["s3", "--case", "large", "--objects", "2", "--size", "65MiB", "--runs", "1"]);
    everything_arrived(&report["cases"][0], &["relay", "engine", "rclone", "s3sync"], 2, 2);
}

#[test]
fn listings() {
    let report = bench(&["list", "--keys", "20000", "--served", "5000", "--latency", "1ms"]);
    for runs in ["few", "many"] {
        assert_eq!((report[runs][0]["listed"].as_u64(), report[runs][0]["same"].as_u64()), (Some(20_000), Some(20_000)), "{report}");
    }
    assert_eq!(report["cursor"][0]["keys"], 5_000, "{report}");
    assert!(report["ranges"][0]["counts"]["requests"]["ListObjects"].as_u64().unwrap() >= 10, "{report}");
    assert_eq!(report["goals"].as_array().unwrap().len(), 3);
}

#[test]
fn a_storm_of_refusals() {
    let report = bench(&["storm", "--for", "3s", "--latency", "1ms"]);
    assert!(report["wrong"].is_null() && report["storm_counts"]["refused"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["storm_counts"]["written"], report["objects"]);
}

#[test]
fn images() {
    let report = bench(&["image", "--images", "3", "--size", "50KB", "--latency", "1ms", "--runs", "1"]);
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let rows = case["rows"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["participant"].as_str().unwrap()).collect::<Vec<_>>(), ["engine", "skopeo"]);
        for run in rows.iter().flat_map(|row| row["runs"].as_array().unwrap()) {
            assert!(run.get("wrong").is_none() && run["source_requests"].as_u64().unwrap() > 0, "{case}");
            assert_eq!(run["writes"].as_u64().unwrap() == 0, case["name"] == "unchanged", "{case}");
        }
        assert!(case["times_faster"].as_f64().unwrap() > 0.0 && case["share_of_cpu"].as_f64().unwrap() > 0.0, "{case}");
    }
}
