//! Task files of the tests: objects from one bucket to another, at endpoints on loopback.

use std::fmt::Write as _;

/// A bucket for a task file.
#[derive(Clone, Debug)]
pub struct Bucket {
    endpoint: String,
    name: String,
    credential: String,
}

impl Bucket {
    /// A bucket that is used without signing in.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, name: &str) -> Self {
        Self { endpoint: endpoint.into(), name: name.to_owned(), credential: "anonymous".to_owned() }
    }

    /// The same with a credential of dthd.toml.
    #[must_use]
    pub fn credential(mut self, name: &str) -> Self {
        name.clone_into(&mut self.credential);
        self
    }

    fn table(&self, text: &mut String, end: &str) {
        let Self { endpoint, name, credential } = self;
        // writing to a String cannot fail
        let _ = write!(
            text,
            "[{end}]\nprovider = \"other\"\nbucket = {name:?}\nregion = \"us-east-1\"\nendpoint = {endpoint:?}\ncredential = {credential:?}\n"
        );
    }
}

/// A task file; `more` goes behind it (`[limits]`, `[trigger]`).
#[must_use]
pub fn definition(task: &str, source: &Bucket, destination: &Bucket, more: &str) -> String {
    let mut text = format!("name = {task:?}\nengine = \"s3\"\n");
    source.table(&mut text, "source");
    destination.table(&mut text, "destination");
    text.push_str(more);
    // both buckets are in one store as a rule, and what passes through the daemon is what the tests are about
    text.push_str("\n[options]\nserver_side_copy = false\n");
    text
}
