//! Whole commands against a daemon on a socket, in this process.

mod image;
mod life;
mod live;
mod reading;
mod stores;

use std::{
    ffi::OsString,
    io::{self, Write},
    sync::Arc,
};

use dth_proto::{
    spec::TaskSpec,
    view::{Counters, RunOutcome},
};
use tempfile::TempDir;

use crate::{
    cli::{self, Surroundings},
    test_daemon::{Shared, TestDaemon},
};

const TASK_FILE: &str = "name = 'photos'\nengine = 's3'\nlabels = { team = 'photos' }\n[source]\nbucket = 'acme-cn'\nprefix = 'raw/'\nregion = 'cn-north-1'\n\
                         [destination]\nbucket = 'acme-global'\nregion = 'us-east-1'\n";

const IMAGE_FILE: &str = "name = 'images'\nengine = 'image'\n[source]\nregistry = 'docker.io'\nimages = ['library/nginx', 'library/redis:7']\n\
                          [destination]\nregistry = 'ecr'\nregion = 'cn-north-1'\nprefix = 'mirror/'\n[options]\nnewest = 20\n";

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: u8,
    out: String,
    err: String,
}

/// A daemon and the directory it lives in.
struct Bench {
    // first, because fields are dropped in order and the daemon lives in the directory
    daemon: TestDaemon,
    dir: TempDir,
}

impl Bench {
    /// A daemon without tasks.
    fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let daemon = TestDaemon::start(&dir.path().join("s"), Shared::new());
        Self { daemon, dir }
    }

    /// A daemon with the task `photos`, which ran once.
    fn new() -> Self {
        let bench = Self::empty();
        bench.shared().change(|state| {
            let spec = TaskSpec::from_toml("t", TASK_FILE).expect("a good file");
            state.specs.insert(spec.name.clone(), spec);
            let counters = Counters {
                listed: 9,
                same: 1,
                copied: 7,
                failed: 1,
                bytes_listed: 9_000_000,
                bytes_done: 9_000_000,
                bytes_copied: 7_000_000,
                requests: 40,
                retries: 2,
                ..Counters::default()
            };
            state.add_run("photos", Some(RunOutcome::Incomplete), counters);
        });
        bench
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.daemon.shared
    }

    fn host(&self) -> String {
        format!("unix:{}", self.daemon.socket.display())
    }

    /// A file in the directory.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    }

    /// Runs `dth ARGS` against the daemon; the directory's name is replaced by `DIR`.
    fn dth(&self, args: &[&str]) -> Ended {
        self.dth_with(args, "", false)
    }

    fn dth_with(&self, args: &[&str], input: &str, terminal: bool) -> Ended {
        let mut ended = dth(Some(self.host()), args, input, terminal);
        let dir = self.dir.path().to_string_lossy().into_owned();
        ended.out = ended.out.replace(&dir, "DIR");
        ended.err = ended.err.replace(&dir, "DIR");
        ended
    }
}

fn dth(host: Option<String>, args: &[&str], input: &str, terminal: bool) -> Ended {
    let mut out = Vec::new();
    let (code, err) = dth_into(&mut out, host, args, input, terminal);
    Ended { code, out: String::from_utf8(out).expect("text"), err }
}

fn dth_into(out: &mut dyn Write, host: Option<String>, args: &[&str], input: &str, terminal: bool) -> (u8, String) {
    let args = std::iter::once("dth").chain(args.iter().copied()).map(OsString::from);
    let mut err = Vec::new();
    let mut surroundings = Surroundings {
        input: &mut input.as_bytes(),
        input_is_terminal: terminal,
        out,
        out_is_terminal: terminal,
        err: &mut err,
        host,
        config: None,
    };
    let code = cli::run(args, &mut surroundings, |_| 99);
    (code, String::from_utf8(err).expect("text"))
}

/// A reader that goes away after so many lines.
struct Reader {
    lines_left: usize,
    text: Vec<u8>,
}

impl Reader {
    fn of(lines: usize) -> Self {
        Self { lines_left: lines, text: Vec::new() }
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lines_left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
        self.lines_left -= usize::from(bytes[..end].ends_with(b"\n"));
        self.text.extend_from_slice(&bytes[..end]);
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
