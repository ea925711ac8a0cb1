//! A task as the tests write it: a task file between two stores, and what `dth` says of it.

use std::{fs, time::Duration};

use dth_proto::{
    failure::FailureItem,
    view::{ItemView, RunView, TaskDetail},
};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::daemon::Daemon;

/// A definition that can be changed until it is created, and driven through `dth` afterwards.
#[derive(Clone, Debug)]
pub struct Task {
    name: String,
    definition: Table,
}

impl Task {
    /// Everything in a bucket of one store into a bucket of another, through the daemon, as the provider `aws` with anonymous access at both ends. `from`
    /// and `to` are endpoint and bucket.
    #[must_use]
    pub fn new(name: &str, from: (&str, &str), to: (&str, &str)) -> Self {
        let mut task = Self { name: name.to_owned(), definition: Table::new() };
        task.put("name", name);
        task.put("engine", "s3");
        for (end, (endpoint, bucket)) in [("source", from), ("destination", to)] {
            for (key, value) in
                [("provider", "aws"), ("region", "us-east-1"), ("credential", "anonymous"), ("endpoint", endpoint), ("bucket", bucket)]
            {
                task.put(&format!("{end}.{key}"), value);
            }
        }
        // both buckets are in one embedded store as a rule, and what passes through the daemon is what most tests are about
        task.put("options.server_side_copy", false);
        task
    }

    /// All images of one registry into another, anonymously. `from` and `to` are registries as a task file has them.
    #[must_use]
    pub fn images(name: &str, from: &str, to: &str) -> Self {
        let task = Self { name: name.to_owned(), definition: Table::new() };
        let task = task.with("name", name).with("engine", "image");
        task.with("source.registry", from).with("destination.registry", to).at_both_ends("credential", "anonymous")
    }

    /// The same with another value: `with("options.compare", "size")`.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.put(path, value);
        self
    }

    /// The same with this value at both ends: `at_both_ends("provider", "seaweedfs")`.
    #[must_use]
    pub fn at_both_ends(self, key: &str, value: &str) -> Self {
        self.with(&format!("source.{key}"), value).with(&format!("destination.{key}"), value)
    }

    fn put(&mut self, path: &str, value: impl Into<Value>) {
        let mut table = &mut self.definition;
        let mut words = path.split('.').peekable();
        while let Some(word) = words.next() {
            if words.peek().is_none() {
                table.insert(word.to_owned(), value.into());
                return;
            }
            let inner = table.entry(word).or_insert_with(|| Value::Table(Table::new()));
            table = inner.as_table_mut().expect("a test does not use a value as a table");
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the task file beside the daemon's configuration and answers with its path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, daemon: &Daemon) -> String {
        let path = daemon.folder().join(format!("{}.toml", self.name));
        fs::write(&path, self.definition.to_string()).expect("the daemon's folder can be written");
        path.display().to_string()
    }

    /// `dth create --file … --start`, confirmed where the task deletes.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn start(&self, daemon: &Daemon) {
        self.make(daemon, &["--start"]).await;
    }

    /// `dth create --file …`, confirmed where the task deletes.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn create(&self, daemon: &Daemon) {
        self.make(daemon, &[]).await;
    }

    async fn make(&self, daemon: &Daemon, more: &[&str]) {
        let deletes = self.definition.get("options").and_then(|options| options.get("delete")).and_then(Value::as_str) == Some("mirror");
        let confirm: &[&str] = if deletes { &["--confirm", &self.name] } else { &[] };
        daemon.dth(&[&["create", "--file", &self.file(daemon)], more, confirm].concat()).ok().await;
    }

    /// `dth COMMAND TASK ARGUMENTS`, which must succeed.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn tell(&self, daemon: &Daemon, command: &str, arguments: &[&str]) {
        daemon.dth(&[&[command, self.name()], arguments].concat()).ok().await;
    }

    /// `dth wait`: its exit code and the run that has ended.
    ///
    /// # Panics
    /// When no run ends in five minutes; with the daemon's log.
    pub async fn wait(&self, daemon: &Daemon) -> (i32, RunView) {
        let output = daemon.dth(&["wait", self.name(), "--timeout", "5m", "-o", "json"]).run().await;
        let run = serde_json::from_str(&output.out);
        (output.code, run.unwrap_or_else(|error| panic!("dth wait: {error}: {output:?}\n{}", daemon.log())))
    }

    /// `dth wait` after which the run must have succeeded.
    ///
    /// # Panics
    /// When it has not; with what failed and the daemon's log.
    pub async fn succeeds(&self, daemon: &Daemon) -> RunView {
        let (code, run) = self.wait(daemon).await;
        if code != 0 {
            panic!("{run:?}\n{:?}\n{}", self.failures(daemon).await, daemon.log());
        }
        run
    }

    /// `dth start`, then [`Task::succeeds`].
    ///
    /// # Panics
    /// See there.
    pub async fn again(&self, daemon: &Daemon) -> RunView {
        self.tell(daemon, "start", &[]).await;
        self.succeeds(daemon).await
    }

    async fn ask<T: DeserializeOwned>(&self, daemon: &Daemon, command: &str) -> T {
        daemon.dth(&[command, self.name()]).json().await
    }

    /// `dth show`.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn show(&self, daemon: &Daemon) -> TaskDetail {
        self.ask(daemon, "show").await
    }

    /// `dth failures` of the last run.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn failures(&self, daemon: &Daemon) -> Vec<FailureItem> {
        self.ask(daemon, "failures").await
    }

    /// `dth items` of the last run.
    ///
    /// # Panics
    /// When `dth` fails.
    pub async fn items(&self, daemon: &Daemon) -> Vec<ItemView> {
        self.ask(daemon, "items").await
    }
}

/// Stops the daemon as systemd would, and demands that it went well: exit code 0, and no panic in its log.
///
/// # Panics
/// When it did not.
pub async fn ended_well(mut daemon: Daemon) {
    let status = daemon.stop(Duration::from_secs(30)).await;
    let log = daemon.log();
    assert!(status.success() && !log.contains("panicked"), "{status}:\n{log}");
}
