//! The executable as a shell and a service manager see it: exit codes, messages, notifications.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use dthd::{clock, config::TEMPLATE, lock::StateLock};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// dthd with nothing of this process's environment that could configure it.
fn dthd(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dthd"));
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).env("AWS_EC2_METADATA_DISABLED", "true");
    command.stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("dthd starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn mistakes_end_with_their_code_and_a_sentence() {
    let home = tempfile::tempdir().expect("dir");
    let path = |name: &str| home.path().join(name);
    fs::write(path("bad.toml"), "stat = '/x'\n[limits]\nruns = 0\n").expect("written");
    fs::write(path("file"), "").expect("written");
    let held = path("held");
    let _lock = StateLock::acquire(&held, clock::now()).expect("free");
    let text = |p: &Path| p.display().to_string();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["--frobnicate"], 64, "--frobnicate"),
        (&["check", "--config", &text(&path("bad.toml"))], 78, "bad.toml:1: stat is not a known key: did you mean \"state\"?"),
        (&["run", "--config", &text(&path("bad.toml"))], 78, "bad.toml:3: limits.runs must be from 1 to 1000, not 0"),
        (&["run", "--config", &text(&path("none.toml"))], 78, "cannot read the configuration"),
        (&["run", "--state", &text(&held)], 75, &format!("pid {}", std::process::id())),
        (&["run", "--state", &text(&path("file/state"))], 73, "cannot create the state directory"),
        (&["state", "info", "--state", &text(&path("none"))], 73, "there is no state directory"),
        (&["dial-stdio", "--socket", &text(&path("none.sock"))], 69, "is it running?"),
    ];
    for (args, code, words) in cases {
        let (got, _, stderr) = output(dthd(home.path()).args(args));
        assert_eq!(got, code, "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}

#[test]
fn a_read_only_state_directory_is_refused() {
    // root may write everywhere
    if nix::unistd::geteuid().is_root() {
        let home = tempfile::tempdir().expect("dir");
        let (code, _, stderr) = output(dthd(home.path()).args(["run", "--state", "/proc/sys/dth"]));
        assert_eq!(code, 73, "{stderr}");
        return;
    }
    let home = tempfile::tempdir().expect("dir");
    let state = home.path().join("state");
    fs::create_dir(&state).expect("made");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).expect("read-only");
    let (code, _, stderr) = output(dthd(home.path()).args(["run", "--state"]).arg(&state));
    assert_eq!(code, 77, "{stderr}");
}

#[test]
fn what_it_prints_is_usable() {
    let home = tempfile::tempdir().expect("dir");
    let (code, template, _) = output(dthd(home.path()).arg("print-config"));
    assert_eq!((code, template.as_str()), (0, TEMPLATE));
    fs::write(home.path().join("dthd.toml"), &template).expect("written");
    let (code, shown, stderr) = output(dthd(home.path()).args(["check", "--config"]).arg(home.path().join("dthd.toml")));
    assert_eq!(code, 0, "{stderr}");
    let line = |key: &str| shown.lines().find(|l| l.starts_with(key)).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line("limits.memory"), ["limits.memory", "512MiB", "built-in"]);
    assert!(line("state")[1].ends_with("/.local/state/dth"), "{shown}");
    let (code, version, _) = output(dthd(home.path()).arg("--version"));
    assert_eq!((code, version.trim()), (0, concat!("dthd ", env!("CARGO_PKG_VERSION"))));
    let (code, help, _) = output(dthd(home.path()).arg("--help"));
    assert!(code == 0 && help.contains("78 bad configuration"), "{help}");
}

#[test]
fn check_online_tells_which_credential_cannot_be_had() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| home.path().join(name);
    let key = r#"{"access_key_id": "a", "secret_access_key": "not-shown"}"#;
    for (name, mode) in [("good", 0o600), ("open", 0o644)] {
        fs::write(path(name), key).expect("written");
        fs::set_permissions(path(name), Permissions::from_mode(mode)).expect("changed");
    }
    let table = |name: &str| format!("[credentials.{name}]\ntype = \"file\"\npath = {:?}\n", path(name));
    let check = |names: &[&str]| {
        fs::write(path("dthd.toml"), names.iter().map(|name| table(name)).collect::<String>()).expect("written");
        output(dthd(home.path()).args(["check", "--online", "--config"]).arg(path("dthd.toml")))
    };
    let (code, shown, stderr) = check(&["good"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(shown.contains("credential good: can be had") && !shown.contains("not-shown"), "{shown}");
    let (code, shown, stderr) = check(&["good", "open", "gone"]);
    assert_eq!(code, 78, "{stderr}");
    assert!(shown.contains("credential good: can be had"), "{shown}");
    assert!(stderr.contains("credential open:") && stderr.contains("chmod 600"), "{stderr}");
    assert!(stderr.contains("credential gone:") && !stderr.contains("not-shown"), "{stderr}");
}

/// Kills the daemon when a test fails half way.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // it has ended already when the test went well
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), signal).expect("it runs");
    }
}

/// The next message to the service manager that holds `word`; watchdog and status messages come in between.
fn message(socket: &UnixDatagram, word: &str) -> String {
    loop {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {word}: {e}"));
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|l| l == word) {
            return text;
        }
    }
}

#[test]
fn the_service_manager_is_told_everything() {
    let home = tempfile::tempdir().expect("dir");
    let notify = home.path().join("notify");
    let socket = UnixDatagram::bind(&notify).expect("bound");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let config = home.path().join("dthd.toml");
    fs::write(&config, "").expect("written");
    let mut command = dthd(home.path());
    command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "60000000").args(["run", "--config"]).arg(&config);
    let mut daemon = Daemon(command.stderr(Stdio::null()).spawn().expect("starts"));
    message(&socket, "READY=1");
    // a broken file must not stop it, and the reload must end either way
    fs::write(&config, "nonsense").expect("written");
    daemon.signal(Signal::SIGHUP);
    let reloading = message(&socket, "RELOADING=1");
    assert!(reloading.lines().any(|l| l.starts_with("MONOTONIC_USEC=")), "{reloading}");
    message(&socket, "READY=1");
    daemon.signal(Signal::SIGTERM);
    message(&socket, "STOPPING=1");
    assert_eq!(daemon.0.wait().expect("ends").code(), Some(0));
}

/// A daemon with state and socket in `home`, ready to serve.
fn started(home: &Path, notify: &UnixDatagram) -> Daemon {
    let address = notify.local_addr().expect("bound");
    let mut command = dthd(home);
    command.env("NOTIFY_SOCKET", address.as_pathname().expect("a path"));
    let daemon = Daemon(command.stderr(Stdio::null()).spawn().expect("starts"));
    message(notify, "READY=1");
    daemon
}

#[test]
fn a_killed_daemon_starts_again_and_answers_over_stdio() {
    let home = tempfile::tempdir().expect("dir");
    let notify = UnixDatagram::bind(home.path().join("notify")).expect("bound");
    notify.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut killed = started(home.path(), &notify);
    killed.signal(Signal::SIGKILL);
    killed.0.wait().expect("ends");
    let mut daemon = started(home.path(), &notify);

    let (code, _, stderr) = output(dthd(home.path()).args(["state", "info"]));
    assert!(code == 75 && stderr.contains(&format!("pid {}", daemon.0.id())), "{code}: {stderr}");
    let (code, _, stderr) = output(dthd(home.path()).args(["run", "--state"]).arg(home.path().join("another")));
    assert!(code == 75 && stderr.contains("another daemon answers on"), "{code}: {stderr}");

    let mut dial = dthd(home.path());
    let mut dial = dial.arg("dial-stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    // dropped after the line: the half-close must end the connection and with it the bridge
    dial.stdin.take().expect("piped").write_all(b"DTH 1 proto=1..1 name=test/1\n").expect("written");
    let said = dial.wait_with_output().expect("ends");
    let line = String::from_utf8(said.stdout).expect("UTF-8");
    assert!(said.status.success() && line.starts_with("DTH 1 ok proto=1 name=dthd/"), "{line}");
    assert!(line.contains("role=operator"), "{line}");

    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.0.wait().expect("ends").code(), Some(0));
    assert!(!home.path().join("dth/dthd.sock").exists(), "removed at a clean stop");
    let (code, info, stderr) = output(dthd(home.path()).args(["state", "info"]));
    assert!(code == 0 && !info.is_empty(), "{code}: {stderr}");
}
