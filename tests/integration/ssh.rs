//! `dth --host ssh://…` through a stand-in for ssh, and what `dth` says when the far end is not the daemon it needs.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dth_tests::{
    command::{Dth, Output},
    daemon::Daemon,
    definition::{Bucket, definition},
    installed,
    s3::{Object, Server},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// The client waits 10 s for the other side's line; a little more is the machine's.
const PATIENCE: Duration = Duration::from_secs(20);

fn stand_in() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/support/ssh-stand-in.sh").to_owned()
}

/// `dth` with the stand-in, and `dthd` where the far end's shell finds it.
fn dth(address: &str, log: &Path, arguments: &[&str]) -> Dth {
    let programs = installed::from_cargo("dthd");
    let path = format!("{}:{}", programs.parent().unwrap().display(), env::var("PATH").unwrap());
    Dth::to(address, arguments)
        .environment("DTH_SSH", &stand_in())
        .environment("SSH_LOG", &log.to_string_lossy())
        .environment("PATH", &path)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_goes_through_ssh() {
    let store = Server::start().await.unwrap();
    store.store().put("from-here", "a", Object::new("hello"));
    store.store().create_bucket("to-there");
    let daemon = Daemon::start("").await;
    let log = daemon.folder().join("ssh.log");
    let address = format!("ssh://mli@xfer-01:2222{}", daemon.socket().display());
    let run = |arguments: &[&str]| dth(&address, &log, arguments);
    let (from, to) = (Bucket::new(store.endpoint(), "from-here"), Bucket::new(store.endpoint(), "to-there"));
    let file = daemon.definition(&definition("far", &from, &to, ""));
    let file = file.to_str().unwrap();

    run(&["check", "--file", file]).ok().await;
    run(&["create", "--file", file, "--start"]).ok().await;
    let waited = run(&["wait", "far", "--timeout", "60s"]).ok().await;
    assert!(waited.starts_with("far run 1: succeeded, 1 of 1 item copied"), "{waited}");
    let shown: Value = run(&["show", "far"]).json().await;
    assert_eq!((&shown["view"]["run"]["outcome"], &shown["view"]["run"]["copied"]), (&"succeeded".into(), &1.into()), "{shown}");
    let here: Value = daemon.dth(&["show", "far"]).json().await;
    assert_eq!(shown, here, "the same through ssh and through the socket");
    let commands: [(&[&str], &str); 8] = [
        (&["status", "--exit-code"], "No transfer is running."),
        (&["list", "--filter", "far"], "far"),
        (&["export", "far"], "bucket = \"from-here\""),
        (&["runs", "far"], "succeeded"),
        (&["items", "far"], "copied"),
        (&["failures", "far"], "CLASS"),
        (&["log", "--task", "far"], "run 1 succeeded"),
        (&["delete", "far", "--yes"], "far"),
    ];
    for (arguments, words) in commands {
        let out = run(arguments).ok().await;
        assert!(out.contains(words), "{arguments:?}: {out}");
    }

    let log = std::fs::read_to_string(&log).unwrap();
    let line = format!("host=xfer-01 user=mli port=2222 batch=yes command=dthd dial-stdio --socket '{}'", daemon.socket().display());
    assert_eq!(log.lines().count(), 12, "one ssh per command: {log}");
    assert!(log.lines().all(|l| l == line), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ssh_says_is_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none.sock");
    let log = folder.path().join("log");
    let cases = [
        (
            "ssh://refused.test".to_owned(),
            vec!["cannot reach dthd on refused.test", "connect to host refused.test port 22: Connection refused"],
        ),
        (
            format!("ssh://xfer-01{}", nowhere.display()),
            vec!["cannot reach dthd on xfer-01", "No such file or directory", "is it running? (start one with: dthd run)"],
        ),
    ];
    for (address, words) in cases {
        let output = dth(&address, &log, &["status"]).run().await;
        assert_eq!(output.code, 2, "{output:?}");
        for word in words {
            assert!(output.err.contains(word), "{output:?}");
        }
        assert_eq!(output.err.lines().count(), 1, "{output:?}");
    }
    let output = Dth::to("ssh://h", &["status"]).environment("DTH_SSH", "/nowhere/ssh").run().await;
    assert_eq!((output.code, output.err.as_str()), (2, "dth: cannot start /nowhere/ssh: No such file or directory (os error 2)\n"));
    let output = dth("ssh://-oProxyCommand=x", &log, &["status"]).run().await;
    assert_eq!(output.code, 64, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_never_answers_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let output = dth("ssh://silent.test", &folder.path().join("log"), &["status"]).run().await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.err.contains("cannot reach dthd on silent.test: the other side did not say a word in time"), "{output:?}");
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

/// Says `line` to whoever connects, once it has said hello; `None`: nothing.
fn stranger(socket: &Path, line: Option<&'static str>) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut io = BufReader::new(io);
                let mut hello = String::new();
                io.read_line(&mut hello).await.unwrap();
                assert!(hello.starts_with("DTH 1 proto=1..1 name=dth/"), "{hello}");
                if let Some(line) = line {
                    io.write_all(line.as_bytes()).await.unwrap();
                }
                // open until the client leaves
                let _ = io.read(&mut [0]).await;
            });
        }
    });
}

/// What `dth status` makes of it, and how long that takes.
async fn asked(line: Option<&'static str>) -> (Output, Duration, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dthd.sock");
    stranger(&socket, line);
    let begin = Instant::now();
    let output = Dth::at(&socket, &["status", "--exit-code"]).run().await;
    (output, begin.elapsed(), socket, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_another_time_is_told_apart_with_a_sentence() {
    let version = concat!("dth/", env!("CARGO_PKG_VERSION"));
    let say = "dth/0.1.0 speaks protocol 1 to 1, this dthd 9.0.0 speaks 9 to 9: upgrade dth/0.1.0";
    let cases = [
        (
            "DTH 1 err code=version min=9 max=9 say=\"dth/0.1.0 speaks protocol 1 to 1, this dthd 9.0.0 speaks 9 to 9: upgrade dth/0.1.0\"\n",
            say.to_owned(),
        ),
        (
            "DTH 1 ok proto=9 name=dthd/9.0.0 boot=b user=u role=operator\n",
            format!("dthd/9.0.0 speaks protocol 9, {version} speaks 1 to 1: upgrade the older"),
        ),
    ];
    for (line, said) in cases {
        let (output, took, ..) = asked(Some(line)).await;
        assert_eq!((output.code, output.err.as_str()), (2, format!("dth: {said}\n").as_str()));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_time_is_told_apart_with_a_sentence() {
    let daemon = Daemon::start("").await;
    let mut io = UnixStream::connect(daemon.socket()).await.unwrap();
    io.write_all(b"DTH 1 proto=9..9 name=dth/9.0.0\n").await.unwrap();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, io.read_to_string(&mut said)).await.expect("no hang").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let say = format!("dth/9.0.0 speaks protocol 9 to 9, this dthd {version} speaks 1 to 1: upgrade dthd");
    assert_eq!(said, format!("DTH 1 err code=version min=1 max=1 say=\"{say}\"\n"));
    assert!(daemon.dth(&["status"]).run().await.code == 0, "and goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_behind_the_socket_are_named() {
    let cases = [
        (Some("HTTP/1.1 400 Bad Request\r\n"), "this is not dthd: it said \"HTTP/1.1 400 Bad Request\\r\""),
        (Some("\u{1b}[31mDTH\u{1b}]0;x\u{7}\n"), "this is not dthd: it said \"\\u{1b}[31mDTH\\u{1b}]0;x\\u{7}\""),
        (None, "the other side did not say a word in time"),
    ];
    for (line, why) in cases {
        let (output, took, socket, _folder) = asked(line).await;
        let said = format!("dth: {} does not answer as dthd does: {why}; is it the socket of a dthd?\n", socket.display());
        assert_eq!((output.code, output.err.as_str()), (2, said.as_str()));
        assert!(took < PATIENCE, "{took:?}");
    }
}
