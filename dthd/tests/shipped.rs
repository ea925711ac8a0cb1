//! The files in config/ are what they claim to be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dth_proto::spec::TaskSpec;
use dthd::config::DEFAULT_NAMESPACE;

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

fn files(directory: &str, extension: &str) -> Vec<(String, String)> {
    let mut all: Vec<_> = fs::read_dir(config().join(directory))
        .expect("there is such a directory")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("readable")))
        .collect();
    all.sort();
    all
}

#[test]
fn examples_are_tasks_with_names_of_their_own() {
    let examples = files("examples", "toml");
    assert!(examples.len() >= 5, "{}", examples.len());
    let mut names: Vec<String> = examples
        .iter()
        .map(|(file, text)| TaskSpec::from_toml(file, text).unwrap_or_else(|bad| panic!("{bad}")).name.to_string())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), examples.len(), "{names:?}");
}

#[test]
fn policies_are_json_and_name_what_they_allow() {
    let policies = files("iam", "json");
    let names: Vec<&str> = policies.iter().filter_map(|(file, _)| file.rsplit('/').next()?.strip_suffix(".json")).collect();
    assert_eq!(names, ["cloudwatch", "destination", "events-setup", "events", "image-destination", "image-source", "secret", "source"]);
    for (file, text) in &policies {
        let policy: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(policy["Version"], "2012-10-17", "{file}");
        for statement in policy["Statement"].as_array().expect("statements") {
            let actions = statement["Action"].to_string();
            assert!(!actions.contains('*'), "{file}: {actions}");
        }
    }
    let (_, cloudwatch) = policies.iter().find(|(file, _)| file.ends_with("cloudwatch.json")).expect("there");
    assert!(cloudwatch.contains(&format!("\"cloudwatch:namespace\": \"{DEFAULT_NAMESPACE}\"")), "{cloudwatch}");
}

#[test]
fn the_unit_restarts_only_where_it_helps() {
    let unit = fs::read_to_string(config().join("systemd/dthd.service")).expect("there");
    let has = |line: &str| assert!(unit.lines().any(|l| l == line), "{line}");
    use dthd::cli::Exit;
    has(&format!("RestartPreventExitStatus={} {} {}", Exit::Usage as u8, Exit::NotAllowed as u8, Exit::Config as u8));
    has("Type=notify");
    has("StateDirectory=dth");
    let socket = fs::read_to_string(config().join("systemd/dthd.socket")).expect("there");
    assert!(socket.contains(&format!("ListenStream={}\n", dth_proto::address::SERVICE_SOCKET)), "{socket}");
}
