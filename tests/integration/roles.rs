//! Who may look and who may change: `dth` run by another user of this machine. Needs root, who can be any user.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Output,
    time::Duration,
};

use dth_tests::{
    daemon::Daemon,
    definition::{Bucket, definition},
    installed,
};
use nix::unistd::{Uid, User};

/// A user that every machine has and that owns nothing.
const OTHER: &str = "nobody";

/// `dth` where every user can start it.
struct Shared {
    daemon: Daemon,
    dth: PathBuf,
    uid: Uid,
}

impl Shared {
    /// `None` for testers who cannot become another user.
    async fn start(config: &str) -> Option<Self> {
        if !Uid::effective().is_root() {
            println!("roles of other users are tested only by root, who can be any user");
            return None;
        }
        let daemon = Daemon::start(config).await;
        let dth = daemon.folder().join("dth");
        fs::copy(installed::from_cargo("dth"), &dth).unwrap();
        for (path, mode) in [(daemon.folder(), 0o755), (&dth, 0o755), (&daemon.socket(), 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let uid = User::from_name(OTHER).unwrap().unwrap().uid;
        Some(Self { daemon, dth, uid })
    }

    /// `dth` as the other user.
    async fn other(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = tokio::process::Command::new("setpriv");
        command.arg(format!("--reuid={}", self.uid)).arg("--regid=65534").arg("--clear-groups").arg(&self.dth);
        command.arg("--host").arg(format!("unix:{}", self.daemon.socket().display())).args(arguments).env("HOME", "/");
        let output = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output()).await.unwrap();
        let Output { status, stdout, stderr } = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }
}

fn task(name: &str) -> String {
    let nowhere = |bucket| Bucket::new("http://127.0.0.1:1", bucket);
    definition(name, &nowhere("from-here"), &nowhere("to-there"), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_does_not_change() {
    let Some(shared) = Shared::start("").await else { return };
    shared.daemon.create(&task("mine"), &[]).ok().await;
    let file = shared.daemon.definition(&task("theirs"));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();
    let looks: [(&[&str], &str); 6] = [
        (&["status"], "you      nobody (viewer)"),
        (&["list"], "mine"),
        (&["show", "mine"], "s3://from-here/"),
        (&["export", "mine"], "name = \"mine\""),
        (&["runs", "mine"], "OUTCOME"),
        (&["log"], "created by root"),
    ];
    for (arguments, words) in looks {
        let (code, out, err) = shared.other(arguments).await;
        assert!(code == 0 && out.contains(words), "{arguments:?}: {code} {out}{err}");
    }
    let changes: [&[&str]; 10] = [
        &["create", "--file", file],
        &["edit", "mine", "--file", file],
        &["clone", "mine", "theirs"],
        &["start", "mine"],
        &["pause", "mine"],
        &["resume", "mine"],
        &["stop", "mine"],
        &["delete", "mine", "--yes"],
        &["retry", "mine"],
        &["check", "mine"],
    ];
    for arguments in changes {
        let (code, out, err) = shared.other(arguments).await;
        let said = "dth: nobody is a viewer and may not do this: it needs an operator\nhint: [access] in dthd.toml names the operators\n";
        assert_eq!((code, out.as_str(), err.as_str()), (1, "", said), "{arguments:?}");
    }
    let list = shared.daemon.dth(&["list"]).ok().await;
    assert!(list.contains("mine") && !list.contains("theirs"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_can_be_given_and_taken_while_the_daemon_runs() {
    let Some(shared) = Shared::start("[access]\nviewers = [\"user:someone-else\"]\n").await else { return };
    let (code, _, err) = shared.other(&["status"]).await;
    let said = "dth: nobody may not use this dthd: ask for a place in [access] of its dthd.toml\n";
    assert_eq!((code, err.as_str()), (2, said));
    let log = shared.daemon.log();
    assert!(log.contains(&format!("uid={}", shared.uid)), "{log}");

    shared.daemon.configure("[access]\noperators = [\"user:nobody\"]\n");
    shared.daemon.reload();
    let file = shared.daemon.definition(&task("theirs"));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let created = dth_tests::wait::eventually("the new rules are in force", Duration::from_secs(30), || async {
        let (code, out, _) = shared.other(&["create", "--file", file.to_str().unwrap()]).await;
        (code == 0).then_some(out)
    });
    assert!(created.await.starts_with("created theirs"), "the reload is enough");
    let log = shared.daemon.log();
    let line = log.lines().find(|line| line.contains("Dth.create") && line.contains("user=\"nobody\""));
    assert!(line.is_some_and(|line| line.contains(&format!("uid={}", shared.uid))), "{log}");
    assert!(log.contains("created by nobody"), "{log}");
}
