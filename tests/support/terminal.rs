//! A terminal as a fixture: a real pty, the program in it, and what a person would see on the screen.

use std::{
    fmt,
    io::{Read, Write},
    num::NonZeroU16,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

use crate::{installed, wait::eventually};

/// How long a screen may take to show what is expected of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Variables of the tester's environment that would change what is drawn.
const NOT_INHERITED: [&str; 8] = ["DTH_HOST", "NO_COLOR", "SSH_TTY", "LC_ALL", "LC_CTYPE", "TZ", "ENV", "PS1"];

/// Keys beyond letters, as xterm sends them.
pub mod key {
    /// Return.
    pub const ENTER: &str = "\r";
    /// Escape. What follows at once would be read as Alt with a letter: wait for its effect first.
    pub const ESC: &str = "\x1b";
    /// Tab.
    pub const TAB: &str = "\t";
    /// Arrow.
    pub const UP: &str = "\x1b[A";
    /// Arrow.
    pub const DOWN: &str = "\x1b[B";
    /// Arrow.
    pub const RIGHT: &str = "\x1b[C";
}

/// A pty with a program in it, which is killed when this is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    master: Box<dyn MasterPty + Send>,
}

/// What came out of the program.
struct Seen {
    screen: Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts a program in a terminal of this many columns and rows. Its locale is UTF-8 and it may use colours.
    ///
    /// # Panics
    /// When there is no pty or the program does not start.
    #[must_use]
    pub fn start(program: &Path, arguments: &[&str], environment: &[(&str, &str)], size: (u16, u16)) -> Self {
        let pty = native_pty_system().openpty(pty_size(size)).expect("a pty");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        NOT_INHERITED.iter().for_each(|name| command.env_remove(name));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(std::env::current_dir().expect("a current directory"));
        let child = pty.slave.spawn_command(command).expect("a program that is there starts");
        let (columns, rows) = cells(size);
        let seen = Arc::new(Mutex::new(Seen { screen: Parser::new(rows, columns, 0), bytes: Vec::new() }));
        let output = pty.master.try_clone_reader().expect("a new pty has its reader");
        let keyboard = pty.master.take_writer().expect("a new pty has its writer");
        thread::spawn({
            let seen = Arc::clone(&seen);
            move || watch(output, &seen)
        });
        Self { child, keyboard, seen, master: pty.master }
    }

    /// `dth ARGUMENTS` talking to the daemon at `socket`.
    #[must_use]
    pub fn dth(socket: &Path, arguments: &[&str], environment: &[(&str, &str)], size: (u16, u16)) -> Self {
        let host = format!("unix:{}", socket.display());
        let arguments: Vec<&str> = ["--host", &host].into_iter().chain(arguments.iter().copied()).collect();
        Self::start(&installed::from_cargo("dth"), &arguments, environment, size)
    }

    /// A shell with job control, as a login has it. Its prompt is `$ `.
    #[must_use]
    pub fn shell(environment: &[(&str, &str)], size: (u16, u16)) -> Self {
        let environment: Vec<_> = environment.iter().copied().chain([("PS1", "$ ")]).collect();
        Self::start(Path::new("/bin/sh"), &["-i"], &environment, size)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Types, or presses keys (see [`key`]).
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).expect("a terminal takes keys");
    }

    /// The screen as text, one line per row, without spaces at the ends.
    #[must_use]
    pub fn text(&self) -> String {
        self.seen().screen.screen().contents()
    }

    /// The row that holds `text`; empty when none does.
    #[must_use]
    pub fn row(&self, text: &str) -> String {
        self.text().lines().find(|line| line.contains(text)).unwrap_or_default().to_owned()
    }

    /// Everything that was written to the terminal so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// How many bytes were written to the terminal so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.seen().bytes.len()
    }

    /// The screen is the alternate one, which full-screen programs draw on.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        self.seen().screen.screen().alternate_screen()
    }

    /// A full-screen program left traces: the alternate screen, a hidden cursor, marked pastes.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let seen = self.seen();
        let screen = seen.screen.screen();
        screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste()
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Panics
    /// When it does not in a minute; with the screen.
    pub async fn shows(&self, text: &str) {
        self.until(&format!("{text:?} on the screen"), |screen| screen.contains(text)).await;
    }

    /// Waits until `holds` is true of the screen.
    ///
    /// # Panics
    /// When it is not in a minute; with the screen.
    pub async fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let found = tokio::time::timeout(PATIENCE, eventually(what, 2 * PATIENCE, || async { holds(&self.text()).then_some(()) })).await;
        assert!(found.is_ok(), "{what}: not within {PATIENCE:?}, but:\n{}", self.text());
    }

    /// Gives the terminal another size, in columns and rows, as its window would.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, size: (u16, u16)) {
        let (columns, rows) = cells(size);
        self.seen().screen.screen_mut().set_size(rows, columns);
        self.master.resize(pty_size(size)).expect("a pty can be resized");
    }

    /// Sends a signal to the program in the foreground.
    ///
    /// # Panics
    /// When there is none.
    pub fn signal(&self, signal: Signal) {
        let foreground = self.master.process_group_leader().expect("a program in the foreground");
        kill(Pid::from_raw(foreground), signal).expect("a running program can be signalled");
    }

    /// The process group in the foreground, by the id of its leader.
    #[must_use]
    pub fn foreground(&self) -> Option<i32> {
        self.master.process_group_leader()
    }

    /// Waits for the end of the program; answers with its exit code.
    ///
    /// # Panics
    /// When it does not end in a minute; with the screen.
    pub async fn ended(&mut self) -> u32 {
        let begin = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.exit_code();
            }
            assert!(begin.elapsed() < PATIENCE, "still running after {PATIENCE:?}:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The program runs.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("text", &self.text()).finish_non_exhaustive()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(mut output: Box<dyn Read + Send>, seen: &Mutex<Seen>) {
    let mut buffer = [0; 16 * 1024];
    // an error: the program and with it the other end of the pty are gone
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.screen.process(&buffer[..count]);
        seen.bytes.extend_from_slice(&buffer[..count]);
    }
}

fn pty_size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// Columns and rows of the screen model, which has at least one of each.
fn cells((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    (NonZeroU16::new(columns).unwrap_or(NonZeroU16::MIN), NonZeroU16::new(rows).unwrap_or(NonZeroU16::MIN))
}
