//! Pause, resume, stop, restart and edit while a run is going: nothing is lost, nothing sent twice, nothing left behind.

use std::time::Duration;

use dth_proto::view::{RunOutcome, TaskState};
use dth_tests::{
    daemon::Daemon,
    s3::{Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

use crate::data::{self, identical};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
const PARTS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(30);

struct Scene {
    source: Server,
    destination: Server,
    daemon: Daemon,
    task: Task,
}

/// One large object and some small ones, two parts at a time, slow enough to be caught in the middle.
async fn scene() -> Scene {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    data::small(source.store(), "from", "small/", 20);
    data::multipart(source.store(), "from", "large", (PARTS as usize - 1) * PART + 9, PART);
    destination.set_latency(Duration::from_millis(150));
    let daemon = Daemon::start("[limits]\nobjects = 4\nparts = 2\n").await;
    let task = Task::new("copy", (&source.endpoint(), "from"), (&destination.endpoint(), "to"));
    Scene { source, destination, daemon, task }
}

impl Scene {
    fn parts_there(&self) -> usize {
        self.destination.store().uploads("to").iter().map(|upload| upload.parts.len()).sum()
    }

    /// The large object is between its parts.
    async fn middle(&self) {
        eventually("some parts have arrived", PATIENCE, || async { (self.parts_there() >= 3).then_some(()) }).await;
    }

    async fn state(&self, wanted: TaskState) {
        let what = format!("the task is {wanted:?}");
        eventually(&what, PATIENCE, || async { (self.task.show(&self.daemon).await.view.state == wanted).then_some(()) }).await;
    }

    fn every_part_was_sent_once(&self) {
        let parts = self.destination.requests().parts("large");
        assert_eq!(parts.len() as u64, PARTS);
        assert!(parts.values().all(|count| *count == 1), "{parts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_upload_is_continued_and_no_part_is_sent_twice() {
    let scene = scene().await;
    scene.task.start(&scene.daemon).await;
    scene.middle().await;
    scene.task.tell(&scene.daemon, "pause", &[]).await;
    scene.state(TaskState::Paused).await;
    let (there, requests) = (scene.parts_there(), scene.destination.requests().total());
    assert!((3..PARTS as usize).contains(&there), "{there} parts");
    let paused = scene.task.show(&scene.daemon).await.view.run.unwrap();
    assert!(paused.outcome.is_none() && paused.counters.balanced(), "{paused:?}");
    assert_eq!(scene.destination.requests().total(), requests, "a paused task asks nothing");

    scene.task.tell(&scene.daemon, "resume", &[]).await;
    let run = scene.task.succeeds(&scene.daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied), (1, 21, 21), "{run:?}");
    scene.every_part_was_sent_once();
    assert_eq!(scene.destination.requests().of(Operation::CreateMultipartUpload), 1);
    identical(&scene.source, "from", &scene.destination, "to");
    ended_well(scene.daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_leaves_no_upload() {
    let scene = scene().await;
    scene.task.start(&scene.daemon).await;
    scene.middle().await;
    scene.task.tell(&scene.daemon, "stop", &[]).await;
    let (code, run) = scene.task.wait(&scene.daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Cancelled)), "{run:?}");
    assert!(scene.destination.store().uploads("to").is_empty());
    assert!(scene.destination.store().get("to", "large").is_none());

    // and one that is paused first
    scene.task.tell(&scene.daemon, "start", &[]).await;
    scene.middle().await;
    scene.task.tell(&scene.daemon, "pause", &[]).await;
    scene.state(TaskState::Paused).await;
    assert_eq!(scene.destination.store().uploads("to").len(), 1);
    scene.task.tell(&scene.daemon, "stop", &[]).await;
    eventually("the upload is aborted", PATIENCE, || async { scene.destination.store().uploads("to").is_empty().then_some(()) }).await;

    let run = scene.task.again(&scene.daemon).await;
    assert_eq!((run.run, run.counters.listed), (3, 21), "{run:?}");
    identical(&scene.source, "from", &scene.destination, "to");
    ended_well(scene.daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_daemon_goes_on_by_itself_when_it_is_started_again() {
    let mut scene = scene().await;
    scene.task.start(&scene.daemon).await;
    scene.middle().await;
    let status = scene.daemon.stop(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", scene.daemon.log());
    assert_eq!(scene.destination.store().uploads("to").len(), 1, "the upload waits for its continuation");
    scene.daemon.restart().await;
    let run = scene.task.succeeds(&scene.daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.copied), (1, 21, 21), "{run:?}");
    scene.every_part_was_sent_once();
    identical(&scene.source, "from", &scene.destination, "to");
    ended_well(scene.daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_for_the_next_run() {
    let scene = scene().await;
    scene.task.start(&scene.daemon).await;
    scene.middle().await;
    let elsewhere = scene.task.clone().with("destination.prefix", "second/");
    elsewhere.tell(&scene.daemon, "edit", &["--file", &elsewhere.file(&scene.daemon)]).await;
    let run = scene.task.succeeds(&scene.daemon).await;
    assert_eq!((run.run, run.counters.copied), (1, 21));
    identical(&scene.source, "from", &scene.destination, "to");
    let run = scene.task.again(&scene.daemon).await;
    assert_eq!((run.run, run.counters.copied), (2, 21), "{run:?}");
    let keys: Vec<String> = scene.destination.store().all("to").into_keys().filter(|key| key.starts_with("second/")).collect();
    assert_eq!(keys.len(), 21);
    ended_well(scene.daemon).await;
}
