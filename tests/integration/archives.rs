//! Archived objects: asked about, copied when they can be read, restored on request and then copied by the task itself.

use std::time::Duration;

use dth_proto::view::RunKind;
use dth_tests::{
    daemon::Daemon,
    moto::Moto,
    s3::{ARCHIVE_STATUS, Action, Answer, Fault, Object, Operation, Server},
    task::{Task, ended_well},
    wait::eventually,
};

use crate::data::identical;

const FROM: &str = "from";
const TO: &str = "to";
/// Longer than any test.
const NEVER: Duration = Duration::from_hours(9);

fn archived(content: &str, class: &str) -> Object {
    let mut object = Object::new(content.to_owned());
    object.attributes.storage_class = class.to_owned();
    object
}

struct Scene {
    source: Server,
    destination: Server,
    daemon: Daemon,
    task: Task,
}

async fn scene(options: &[(&str, &str)]) -> Scene {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket(TO);
    source.store().set_restore_delay(NEVER);
    let store = source.store();
    store.put(FROM, "cold", archived("cold", "GLACIER"));
    store.put(FROM, "deep", archived("deep", "DEEP_ARCHIVE"));
    store.put(FROM, "instant", archived("instant", "GLACIER_IR"));
    let mut tiered = archived("tiered", "INTELLIGENT_TIERING");
    tiered.attributes.asked.insert(ARCHIVE_STATUS.to_owned(), "ARCHIVE_ACCESS".to_owned());
    store.put(FROM, "tiered", tiered);
    store.put(FROM, "warm", Object::new("warm"));
    let daemon = Daemon::start("").await;
    let mut task = Task::new("copy", (&source.endpoint(), FROM), (&destination.endpoint(), TO));
    for (name, value) in options {
        task = task.with(&format!("options.{name}"), *value);
    }
    Scene { source, destination, daemon, task }
}

fn there(server: &Server) -> Vec<String> {
    server.store().all(TO).into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_is_copied_and_the_rest_is_skipped_by_name() {
    let Scene { source, destination, daemon, task } = scene(&[]).await;
    // of a class that can be read; the destination is never filtered
    destination.store().put(TO, "deep", archived("deep", "GLACIER"));
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.same, run.counters.skipped), (5, 2, 1, 2), "{run:?}");
    assert_eq!(task.show(&daemon).await.skipped["archived"], 2);
    assert_eq!(there(&destination), ["deep", "instant", "warm"]);
    assert_eq!(source.requests().of(Operation::RestoreObject), 0, "nobody asked for it");

    // somebody restores one of them
    source.store().set_restore_delay(Duration::ZERO);
    let s3 = dth_tests::client::s3(&source.endpoint(), None);
    let tier = aws_sdk_s3::types::GlacierJobParameters::builder().tier(aws_sdk_s3::types::Tier::Bulk).build().unwrap();
    let request = aws_sdk_s3::types::RestoreRequest::builder().days(1).glacier_job_parameters(tier).build();
    s3.restore_object().bucket(FROM).key("cold").restore_request(request).send().await.unwrap();
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.same, run.counters.skipped), (1, 3, 1), "{run:?}");
    assert_eq!(destination.store().get(TO, "cold").unwrap().data.to_bytes(), "cold");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_is_copied_by_a_run_of_its_own_also_after_a_restart() {
    let Scene { source, destination, mut daemon, task } = scene(&[("archived", "restore"), ("restore_tier", "expedited")]).await;
    // no expedited restoration can be had once
    let body = "<Error><Code>GlacierExpeditedRetrievalNotAvailable</Code><Message>busy</Message></Error>".to_owned();
    let refused = Answer { status: 503, headers: Vec::new(), body };
    source.faults().add(Fault::new(Action::Answer(refused)).on([Operation::RestoreObject]).key("cold").nth(1));
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.skipped), (2, 3), "{run:?}");
    let detail = task.show(&daemon).await;
    assert_eq!(detail.skipped["restoring"], 3);
    assert!(detail.view.note.starts_with("3 objects are being restored, ready in about "), "{}", detail.view.note);
    assert!(detail.view.next_run.is_some(), "it looks at them by itself");
    let restored = |key: &str| source.store().restored(FROM, key).map(|restored| (restored.tier, restored.days));
    assert_eq!(restored("cold"), Some(("Standard".to_owned(), Some(7))), "after the refusal");
    assert_eq!(restored("deep"), Some(("Standard".to_owned(), Some(7))), "nothing is expedited from there");
    assert_eq!(restored("tiered"), Some(("Expedited".to_owned(), None)), "for good");

    // another run while they are being restored asks for nothing
    let asked = source.requests().of(Operation::RestoreObject);
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.same, run.counters.skipped), (2, 3), "{run:?}");
    assert_eq!(source.requests().of(Operation::RestoreObject), asked);

    daemon.kill();
    source.store().finish_restores(FROM);
    daemon.restart().await;
    // a minute after the run: the first look of what is restored expedited
    let run = eventually("a run of its own", Duration::from_mins(3), || async {
        let run = task.show(&daemon).await.view.run?;
        (run.run == 3 && run.outcome.is_some()).then_some(run)
    })
    .await;
    assert_eq!((run.kind, run.counters.listed, run.counters.copied), (RunKind::Restore, 3, 3), "{run:?}");
    let detail = task.show(&daemon).await;
    assert_eq!((detail.view.next_run, detail.view.note.as_str()), (None, ""), "nothing is waited for any more");
    identical(&source, FROM, &destination, TO);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_restores_and_the_next_run_copies() {
    let moto = Moto::start().await;
    let s3 = moto.client();
    for bucket in [FROM, TO] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    for (key, class) in [("cold", "GLACIER"), ("deep", "DEEP_ARCHIVE"), ("warm", "STANDARD")] {
        let put = s3.put_object().bucket(FROM).key(key).storage_class(class.into()).body(key.as_bytes().to_vec().into());
        put.send().await.unwrap();
    }
    let daemon = Daemon::start("").await;
    let task = Task::new("copy", (&moto.endpoint(), FROM), (&moto.endpoint(), TO)).with("options.archived", "restore");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.skipped), (1, 2), "{run:?}");
    // moto restores at once
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.copied, run.counters.same), (2, 1), "{run:?}");
    for key in ["cold", "deep", "warm"] {
        let body = s3.get_object().bucket(TO).key(key).send().await.unwrap().body.collect().await.unwrap();
        assert_eq!(body.to_vec(), key.as_bytes());
    }
    assert_eq!(task.show(&daemon).await.view.next_run, None);
    ended_well(daemon).await;
}
