//! The dashboard in a real terminal, against the real daemon: what a person sees and types.

use std::{path::PathBuf, time::Duration};

use dth_proto::{
    spec::{Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskSpec},
    units::Rate,
};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    terminal::{Terminal, key},
    wait::eventually,
};
use serde_json::Value;

/// Columns and rows of the terminal that the screens are made for.
pub const USUAL: (u16, u16) = (80, 24);

/// How long something may take that no screen shows.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two stores, a daemon between them.
pub struct World {
    pub source: Server,
    pub destination: Server,
    pub daemon: Daemon,
}

impl World {
    pub async fn start() -> Self {
        let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
        source.store().create_bucket("from");
        destination.store().create_bucket("to");
        Self { source, destination, daemon: Daemon::start("").await }
    }

    /// A task from `from/PREFIX` to the same keys in `to`; without a prefix to `to/NAME/`, so that tasks do not meet.
    pub fn spec(&self, name: &str, prefix: &str, bandwidth: Option<u64>) -> TaskSpec {
        let store = |bucket: &str, server: &Server| Store {
            provider: "other".to_owned(),
            bucket: bucket.to_owned(),
            region: None,
            endpoint: Some(server.endpoint()),
            credential: Some("anonymous".to_owned()),
            path_style: Some(true),
        };
        let destination = S3Destination {
            store: store("to", &self.destination),
            prefix: if prefix.is_empty() { format!("{name}/") } else { String::new() },
            ..S3Destination::default()
        };
        let source = S3Source { store: store("from", &self.source), prefix: prefix.to_owned(), ..S3Source::default() };
        let mut spec =
            TaskSpec::from_toml("task.toml", "name = \"x\"\nengine = \"s3\"\n[source]\nbucket = \"a\"\n[destination]\nbucket = \"b\"\n")
                .unwrap();
        spec.name = name.parse().unwrap();
        // both buckets are in one store
        let options = S3Options { server_side_copy: false, ..S3Options::default() };
        spec.job = Job::S3(S3Job { source, destination, options });
        spec.limits.bandwidth = bandwidth.map(|rate| Rate(rate).into());
        spec
    }

    /// `dth create --file …`.
    pub async fn create(&self, name: &str, prefix: &str, bandwidth: Option<u64>, start: bool) {
        let file = self.daemon.folder().join(format!("{name}.toml"));
        std::fs::write(&file, self.spec(name, prefix, bandwidth).to_toml()).unwrap();
        let mut arguments = vec!["create", "--file", file.to_str().unwrap()];
        arguments.extend(start.then_some("--start"));
        self.daemon.dth(&arguments).ok().await;
    }

    pub fn fill(&self, prefix: &str, objects: usize, size: usize) {
        for n in 0..objects {
            self.source.store().put("from", &format!("{prefix}{n:04}"), Object::new(vec![n as u8; size]));
        }
    }

    pub fn dashboard(&self, arguments: &[&str], size: (u16, u16)) -> Terminal {
        Terminal::dth(&self.daemon.socket(), arguments, &[], size)
    }

    async fn tasks(&self) -> Vec<Value> {
        self.daemon.dth(&["list"]).json().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_appears_moves_fails_and_is_retried() {
    let world = World::start().await;
    let mut screen = world.dashboard(&[], USUAL);
    screen.shows("No tasks yet").await;
    assert!(screen.text().contains("dth create --file"), "an empty overview says what to do:\n{}", screen.text());

    world.fill("good/", 60, 20_000);
    world.fill("bad/", 3, 100);
    let denied = world.source.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).prefix("bad/"));
    world.create("moving", "", Some(300_000), true).await;
    screen
        .until("the task moves", |text| {
            let row = text.lines().find(|line| line.contains("moving") && line.contains("B/s"));
            row.is_some_and(|row| (row.contains("running") || row.contains("DEGRADED")) && !row.contains(" 0 B/s"))
        })
        .await;
    let first = screen.row("now ");
    screen.until("the throughput changes", |text| text.lines().any(|line| line.contains("now ") && line != first)).await;
    screen.shows("INCOMPLETE").await;
    screen.shows("PROBLEM").await;

    screen.press(key::ENTER);
    screen.shows("> moving").await;
    screen.until("the counters of the run", |text| text.contains("copied 60") && text.contains("failed 3")).await;
    screen.press("F");
    screen.shows("> moving > failures").await;
    screen.until("the group of the failures", |text| text.contains("AccessDenied") && text.contains("3 failed in 1 group")).await;
    screen.until("their keys", |text| (0..3).all(|n| text.contains(&format!("bad/{n:04}")))).await;

    world.source.faults().remove(denied);
    screen.press("R");
    screen.shows("retry: accepted").await;
    screen.press("1");
    screen.until("the retry ends well", |text| text.lines().any(|line| line.contains("moving") && line.contains("done"))).await;
    screen.until("nothing is wrong any more", |text| text.contains(" OK ") && !text.contains("PROBLEM")).await;
    assert_eq!(world.destination.store().all("to").len(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_defined_tested_and_started_by_keys_alone() {
    let world = World::start().await;
    world.fill("", 5, 1_000);
    let folder = world.daemon.folder().to_owned();
    let mut screen = Terminal::shell(&[], USUAL);
    screen.press(&format!("cd {} && {}\r", folder.display(), dth(&world, "")));
    screen.shows("No tasks yet").await;
    screen.press("n");
    screen.shows("Name").await;
    screen.press(&format!("by-hand{}{}", key::TAB, "made with keys"));
    screen.press(key::ENTER);
    screen.shows("Where are the objects now?").await;
    end(&mut screen, "from", &world.source.endpoint(), 1);
    screen.shows("Where shall they go?").await;
    end(&mut screen, "to", &world.destination.endpoint(), 2);
    screen.shows("Which ones, how fast, and when?").await;
    screen.press("\x14");
    screen.shows("all passed").await;
    let text = screen.text();
    assert!(text.lines().filter(|line| line.trim_start().starts_with("ok ")).count() >= 3, "{text}");

    // without the bucket typed nothing starts
    screen.press(key::ENTER);
    screen.shows("type the destination bucket first").await;
    assert!(world.tasks().await.is_empty());
    screen.press("\x17");
    screen.shows("written: ").await;
    let file = folder.join("by-hand.toml");
    let checked = world.daemon.dth(&["check", "--file", file.to_str().unwrap()]).run().await;
    assert_eq!(checked.code, 0, "{checked:?}");

    screen.press(&format!("to{}", key::ENTER));
    screen.until("the task is done", |text| text.lines().any(|line| line.contains("by-hand") && line.contains("done"))).await;
    let tasks = world.tasks().await;
    assert_eq!((tasks.len(), tasks[0]["name"].as_str()), (1, Some("by-hand")), "{tasks:?}");
    assert_eq!(world.destination.store().all("to").len(), 5);
}

/// Fills a step of the form with a bucket, an endpoint and no credential. `prefixes`: fields between bucket and provider.
fn end(screen: &mut Terminal, bucket: &str, endpoint: &str, prefixes: usize) {
    let to_provider = key::TAB.repeat(1 + prefixes);
    // ^U clears what stands there
    screen.press(&format!("{bucket}{to_provider}\x15other{}{endpoint}{}{}{}", key::TAB.repeat(2), key::TAB, key::RIGHT, key::ENTER));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_delete_ask_for_the_name() {
    let world = World::start().await;
    world.fill("", 200, 5_000);
    world.create("precious", "", Some(50_000), true).await;
    let mut screen = world.dashboard(&[], USUAL);
    screen.until("it runs", |text| text.lines().any(|line| line.contains("precious") && line.contains("running"))).await;
    eventually("something is copied", PATIENCE, || async { world.destination.store().all("to").first_key_value().map(drop) }).await;
    screen.press("x");
    screen.shows("stop this task?").await;
    // what was typed is not the name
    screen.press(&format!("precio{}", key::ENTER));
    screen.shows("type the text exactly as shown").await;
    screen.press(key::ESC);
    screen.until("the question is gone", |text| !text.contains("stop this task?")).await;
    assert_eq!(world.tasks().await[0]["state"], "running");

    screen.press("x");
    screen.shows("stop this task?").await;
    screen.press(&format!("precious{}", key::ENTER));
    screen.until("it is stopped", |text| text.lines().any(|line| line.contains("precious") && line.contains("cancelled"))).await;

    screen.press("D");
    screen.shows("delete this task?").await;
    screen.press(key::ESC);
    screen.until("the question is gone", |text| !text.contains("delete this task?")).await;
    assert_eq!(world.tasks().await.len(), 1);
    screen.press("D");
    screen.shows("delete this task?").await;
    screen.press(&format!("precious{}", key::ENTER));
    screen.shows("No tasks yet").await;
    assert!(world.tasks().await.is_empty());
    assert!(!world.destination.store().all("to").is_empty(), "what was copied stays");
}

/// The command line that starts the dashboard of this daemon.
pub fn dth(world: &World, arguments: &str) -> String {
    format!("{} --host unix:{} {arguments}", binary("dth").display(), world.daemon.socket().display())
}

fn binary(name: &str) -> PathBuf {
    dth_tests::installed::from_cargo(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_daemon_the_data_stay_and_are_marked_as_old() {
    let mut world = World::start().await;
    world.fill("", 3, 10);
    world.create("survivor", "", None, true).await;
    world.daemon.dth(&["wait", "survivor"]).ok().await;
    let screen = world.dashboard(&[], USUAL);
    screen.until("the overview", |text| text.contains("survivor") && text.contains(" OK ")).await;
    world.daemon.kill();
    screen.shows("NO LINK").await;
    screen
        .until("old data and no verdict", |text| {
            text.contains("Unknown.") && !text.contains(" OK ") && text.contains("?done") && text.contains("data from")
        })
        .await;
    world.daemon.restart().await;
    screen
        .until("the link is back by itself", |text| text.contains(" OK ") && text.contains("survivor") && !text.contains("NO LINK"))
        .await;
    assert!(!screen.text().contains("?done"));
}
