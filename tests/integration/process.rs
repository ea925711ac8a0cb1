//! The life of the daemon as a process: start, kill, start again, stop.

use std::time::Duration;

use dth_proto::wire;
use dth_tests::daemon::Daemon;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_starts_again_and_stops_when_told() {
    let mut daemon = Daemon::start("").await;
    let first = daemon.connect().await;
    let info = first.client.info(wire::context()).await.unwrap().unwrap();
    assert_eq!(first.welcome.role, "operator", "{info:?}");
    let id = daemon.process().unwrap().id();

    daemon.kill();
    assert!(first.client.info(wire::context()).await.is_err(), "the connection ends with the daemon");
    daemon.restart().await;
    let second = daemon.connect().await;
    assert_ne!(second.welcome.boot, first.welcome.boot);
    assert_ne!(daemon.process().unwrap().id(), id);

    daemon.reload();
    let status = daemon.stop(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(daemon.state().is_dir() && !daemon.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_do_not_share_a_state() {
    let daemon = Daemon::start("").await;
    let mut second = tokio::process::Command::from(daemon.command(&["run"]));
    second.arg("--config").arg(daemon.config()).arg("--state").arg(daemon.state()).arg("--socket").arg(daemon.folder().join("other.sock"));
    let output = tokio::time::timeout(Duration::from_secs(30), second.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_talks_to_this_daemon_and_no_other() {
    let mut daemon = Daemon::start("").await;
    let status: serde_json::Value = daemon.dth(&["status"]).json().await;
    assert!(status.is_object(), "{status}");
    daemon.kill();
    let output = daemon.dth(&["status", "--exit-code"]).run().await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.err.contains(&daemon.socket().display().to_string()), "{output:?}");
}
