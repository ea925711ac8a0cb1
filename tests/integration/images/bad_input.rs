//! What cannot be copied is told with its name and its reason, and nothing is written for it.

use dth_proto::{
    failure::{FailureClass, Side},
    view::RunOutcome,
};
use dth_tests::{
    daemon::Daemon,
    docker_registry::{DockerRegistry, PASSWORD, USER},
    image::{Blob, Manifest},
    port,
    task::{Task, ended_well},
};

use super::{basic, catalogue, changed_nothing, counts, named, registries, task};

fn image() -> Manifest {
    Manifest::image("amd64", vec![Blob::gzip(b"layer")])
}

/// Everything that was said about a run: why it failed, and what failed in it.
async fn said(task: &Task, daemon: &Daemon, error: Option<&str>) -> String {
    let failures = task.failures(daemon).await;
    let lines = failures.iter().map(|f| format!("{} {} {} {} {}", f.class, f.code, f.side.word(), f.key, f.message));
    error.map(str::to_owned).into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_nobody_runs() {
    let [port] = port::free().unwrap();
    let nowhere = format!("http://127.0.0.1:{port}");
    let registry = DockerRegistry::start().await;
    registry.push("a/b", &["v1"], &image()).await;
    let daemon = Daemon::start("").await;
    for (name, from, to) in [("from", nowhere.clone(), registry.endpoint()), ("to", registry.endpoint(), nowhere.clone())] {
        let task = Task::images(name, &from, &to);
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        let said = said(&task, &daemon, run.error.as_deref()).await;
        assert!(code == 1 && run.outcome != Some(RunOutcome::Succeeded), "{run:?}");
        assert!(run.counters.balanced() && run.counters.copied == 0, "{run:?}");
        assert!(said.contains(&format!("127.0.0.1:{port}")), "{name}: {said}");
    }
    ended_well(daemon).await;
}

/// A credential file that only its owner may read.
fn secret(daemon: &Daemon, name: &str, text: &str) -> String {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let path = daemon.folder().join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_right_wrong_and_missing() {
    const WRONG: &str = "not-the-password-at-all";
    let (source, destination) = tokio::join!(DockerRegistry::with_password(), DockerRegistry::start());
    // what it holds is put there by requests with the password
    let mut daemon = Daemon::prepare();
    let file = |name: &str, password: &str| secret(&daemon, name, &serde_json::json!({"username": USER, "password": password}).to_string());
    let (right, wrong) = (file("right.json", PASSWORD), file("wrong.json", WRONG));
    let auth = basic(USER, PASSWORD).trim_start_matches("Basic ").to_owned();
    let docker = secret(&daemon, "config.json", &serde_json::json!({"auths": {source.address(): {"auth": auth}}}).to_string());
    daemon.configure(&format!(
        "[credentials.right]\ntype = \"registry\"\npath = {right:?}\n[credentials.wrong]\ntype = \"registry\"\npath = {wrong:?}\n\
         [credentials.docker]\ntype = \"docker\"\npath = {docker:?}\n"
    ));
    daemon.restart().await;
    // into the registry with the password: it is a destination first
    destination.push("a/b", &["v1"], &image()).await;
    let fill = task("fill", &destination, &source).with("destination.credential", "right");
    fill.start(&daemon).await;
    assert_eq!(counts(&fill.succeeds(&daemon).await), [1, 1, 0, 0, 0]);

    let target = DockerRegistry::start().await;
    for (name, credential) in [("wrong", "wrong"), ("none", "anonymous")] {
        let task = task(name, &source, &target).with("source.credential", credential);
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        let said = said(&task, &daemon, run.error.as_deref()).await;
        assert_eq!(code, 1, "{said}");
        changed_nothing(&run, RunOutcome::Failed, &target, &daemon).await;
        assert!(said.to_lowercase().contains("unauthorized") || said.contains("401"), "{name}: {said}");
        assert!(!said.contains(WRONG), "{said}");
    }
    for (name, credential) in [("by-file", "right"), ("by-docker", "docker")] {
        let task = task(name, &source, &target).with("source.credential", credential);
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        assert_eq!(run.counters.listed, 1, "{run:?}");
    }
    catalogue::whole(&target, "a/b", &image()).await;
    // a destination that does not let us in: the image fails, with the end and the class
    let refused = task("refused", &destination, &source).with("options.tags", vec![toml::Value::from("v2")]);
    destination.push("a/b", &["v2"], &Manifest::image("arm64", vec![Blob::gzip(b"other")])).await;
    refused.start(&daemon).await;
    let (code, run) = refused.wait(&daemon).await;
    let said = said(&refused, &daemon, run.error.as_deref()).await;
    assert!(code == 1 && run.outcome != Some(RunOutcome::Succeeded), "{run:?}");
    assert!(said.to_lowercase().contains("unauthorized") || said.contains("401"), "{said}");
    for failure in refused.failures(&daemon).await {
        assert_eq!((failure.class, failure.side), (FailureClass::Auth, Side::Destination), "{failure:?}");
    }
    for text in [WRONG, auth.as_str()] {
        assert!(!daemon.log().contains(text), "a secret is in the log");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_and_tags_that_are_not_there() {
    let (source, destination) = registries().await;
    source.push("a/b", &["v1", "v2"], &image()).await;
    let daemon = Daemon::start("").await;
    for (name, image) in [("repository", "nope/none"), ("tag", "a/b:v7")] {
        let task = named(task(name, &source, &destination), &[image]);
        task.start(&daemon).await;
        let (code, run) = task.wait(&daemon).await;
        let said = said(&task, &daemon, run.error.as_deref()).await;
        assert!(code == 1 && run.outcome != Some(RunOutcome::Succeeded), "{name}: {run:?}");
        assert!(run.counters.balanced() && said.contains(image), "{name}: {said}");
    }
    let writes: Vec<_> = destination.requests().await.into_iter().filter(dth_tests::docker_registry::Request::is_write).collect();
    assert!(writes.is_empty(), "{writes:?}");

    // listed, and gone when it is asked for: nothing to copy, and no failure
    source.hollow("a/b", "v1");
    let vanished = task("vanished", &source, &destination);
    vanished.start(&daemon).await;
    let run = vanished.succeeds(&daemon).await;
    assert_eq!(counts(&run), [2, 1, 0, 1, 0], "{run:?}");
    let items = vanished.items(&daemon).await;
    let gone = items.iter().find(|item| item.key == "a/b:v1").unwrap();
    assert_eq!((gone.outcome.as_str(), gone.reason.as_deref()), ("skipped", Some("gone")));
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_repositories_that_would_get_the_same_name() {
    let (source, destination) = registries().await;
    source.push("old/app", &["v1"], &image()).await;
    source.push("app", &["v1"], &Manifest::image("arm64", vec![Blob::gzip(b"other")])).await;
    let daemon = Daemon::start("").await;
    let task = task("collision", &source, &destination).with("destination.strip_prefix", "old/");
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    let said = said(&task, &daemon, run.error.as_deref()).await;
    assert_eq!(code, 1);
    changed_nothing(&run, RunOutcome::Failed, &destination, &daemon).await;
    assert!(said.contains("old/app") && said.contains("\"app\"") || said.contains(" app"), "{said}");
    ended_well(daemon).await;
}
