//! `dth` as a fixture: the real binary, run to its end.

use std::{path::Path, process::Stdio, time::Duration};

use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::installed;

/// Longest time a command may take unless a test says otherwise.
const PATIENCE: Duration = Duration::from_mins(5);

/// A command of `dth`, not run yet.
#[derive(Debug)]
pub struct Dth {
    command: Command,
    line: String,
}

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    line: String,
}

impl Dth {
    /// `dth --host unix:SOCKET ARGUMENTS`.
    #[must_use]
    pub fn at(socket: &Path, arguments: &[&str]) -> Self {
        Self::to(&format!("unix:{}", socket.display()), arguments)
    }

    /// `dth --host ADDRESS ARGUMENTS`.
    #[must_use]
    pub fn to(address: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(installed::from_cargo("dth"));
        command.arg("--host").arg(address).args(arguments);
        command.env_remove("DTH_HOST").stdin(Stdio::null()).kill_on_drop(true);
        Self { command, line: format!("dth {}", arguments.join(" ")) }
    }

    /// The same with a variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Panics
    /// When it does not start or does not end in five minutes.
    pub async fn run(mut self) -> Output {
        let output = tokio::time::timeout(PATIENCE, self.command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{}: not finished after {PATIENCE:?}", self.line)).expect("dth starts");
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            line: self.line,
        }
    }

    /// Runs it and demands success; answers with standard output.
    ///
    /// # Panics
    /// When it fails; with what it said.
    pub async fn ok(self) -> String {
        let output = self.run().await;
        assert_eq!(output.code, 0, "{}: {}{}", output.line, output.out, output.err);
        output.out
    }

    /// Runs it with `-o json` and reads what it prints, whatever the exit code.
    ///
    /// # Panics
    /// When that is not JSON of the expected shape.
    pub async fn json<T: DeserializeOwned>(mut self) -> T {
        self.command.args(["-o", "json"]);
        let output = self.run().await;
        serde_json::from_str(&output.out).unwrap_or_else(|error| panic!("{}: {error}: {}{}", output.line, output.out, output.err))
    }
}
