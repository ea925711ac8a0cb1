//! The typical model with a task that copies images.

use std::collections::BTreeMap;

use dth_proto::{
    failure::{FailureClass, FailureItem, Side},
    spec::{ImageDestination, ImageJob, ImageOptions, ImageSource, Job, Registry, TaskLimits, TaskSpec, Trigger},
    view::{BlobInFlight, Counters, InFlight, TaskDetail, TaskState, TaskView},
};

use super::{NOW, group, name, phase, task, typical};
use crate::model::Model;

const TASK: &str = "platform-images";

fn ecr(region: &str, account: &str, credential: &str) -> Registry {
    Registry {
        registry: "ecr".to_owned(),
        region: Some(region.to_owned()),
        account: Some(account.to_owned()),
        credential: Some(credential.to_owned()),
        ..Registry::default()
    }
}

fn spec() -> TaskSpec {
    TaskSpec {
        name: name(TASK),
        description: String::new(),
        labels: BTreeMap::new(),
        job: Job::Image(ImageJob {
            source: ImageSource { registry: ecr("us-east-1", "111122223333", "global-reader"), images: Vec::new() },
            destination: ImageDestination {
                registry: ecr("cn-north-1", "444455556666", "cn-writer"),
                prefix: "mirror/".to_owned(),
                ..ImageDestination::default()
            },
            options: ImageOptions {
                repositories: vec!["platform/*".to_owned()],
                tags: vec!["v*".to_owned()],
                newest: Some(20),
                ..ImageOptions::default()
            },
        }),
        limits: TaskLimits::default(),
        report: None,
        trigger: "6h".parse().ok().map(|every| Trigger::Every { every }),
    }
}

fn view(spec: &TaskSpec) -> TaskView {
    let mut view = task(TASK, TaskState::Running, "DEGRADED", 41_000_000, 0, 3);
    let mut run = task(TASK, TaskState::Running, "", 0, 1, 0).run.expect("a run");
    run.counters = Counters {
        listed: 412,
        same: 214,
        copied: 146,
        skipped: 1,
        failed: 3,
        pending: 48,
        bytes_listed: 2_400_000_000_000,
        bytes_done: 1_900_000_000_000,
        bytes_copied: 640_000_000_000,
        requests: 8_120,
        retries: 9,
        ..Counters::default()
    };
    run.cause = "every 6h".to_owned();
    run.run = 88;
    view.run = Some(run);
    view.engine = spec.engine().to_owned();
    (view.from, view.to) = spec.ends();
    (view.from_where, view.to_where) = spec.places();
    view.trigger = "every 6h".to_owned();
    view.note = "MANIFEST_UNKNOWN GetManifest".to_owned();
    view
}

fn copying(key: &str, size: u64, done: u64, parts: (u32, u32), blobs: &[(&str, u64, u64)]) -> InFlight {
    let blobs = blobs.iter().map(|(digest, size, done)| BlobInFlight { digest: (*digest).to_owned(), size: *size, done: *done });
    InFlight { key: key.to_owned(), size, done, parts: Some(parts), blobs: blobs.collect() }
}

/// The typical model with one more task, which copies images and whose detail and failures are at hand.
pub(crate) fn image() -> Model {
    let mut m = typical();
    let spec = spec();
    let view = view(&spec);
    m.mirror.tasks.insert(name(TASK), view.clone());
    m.task = Some(name(TASK));
    let mut failures = group(FailureClass::Permanent, "MANIFEST_UNKNOWN", Side::Source, "GetManifest", 3);
    failures.prefix = "platform/".to_owned();
    failures.message = "manifest unknown to the registry".to_owned();
    failures.hint = Some("the image was removed while the run was going: the next run leaves it out".to_owned());
    let digest = "platform/api@sha256:9f1c20aa9f1c20aa9f1c20aa9f1c20aa9f1c20aa9f1c20aa9f1c20aa9f1c20aa";
    m.failures.items = ["platform/api:v4.11.8", digest, "platform/worker:v1.9.9"]
        .map(|key| FailureItem {
            key: key.to_owned(),
            size: 812_000_000,
            class: failures.class,
            code: failures.code.clone(),
            side: failures.side,
            operation: failures.operation.clone(),
            message: failures.message.clone(),
            request_id: None,
            tries: 1,
            at: NOW,
        })
        .to_vec();
    m.failures.run = 88;
    m.failures.groups = vec![failures.clone()];
    m.detail = Some(Box::new(TaskDetail {
        view,
        phases: vec![
            phase("list", 412, 412, "images", 0.0),
            phase("compare", 364, 412, "images", 3.2),
            phase("copy", 1_900_000_000_000, 2_400_000_000_000, "bytes", 41e6),
            phase("verify", 146, 194, "images", 3.2),
        ],
        in_flight: vec![
            copying(
                "platform/worker:v2.0.1",
                1_200_000_000,
                410_000_000,
                (3, 11),
                &[("9f1c20aa83b1", 640_000_000, 210_000_000), ("04d7e6c1b2aa", 96_000_000, 48_000_000)],
            ),
            copying("platform/api:v4.12.0", 812_000_000, 640_000_000, (6, 8), &[("77aa01f3c9d2", 300_000_000, 128_000_000)]),
            InFlight { key: "platform/ui:v9.3.3".to_owned(), size: 0, done: 0, parts: None, blobs: Vec::new() },
        ],
        in_flight_count: 3,
        memory: (61_000_000, 512_000_000),
        bandwidth: None,
        sizes: [("<1MB", 2), ("1-64MB", 101), ("64MB-5GB", 309), (">5GB", 0)].map(|(class, n)| (class.to_owned(), n)).to_vec(),
        largest: 1_900_000_000,
        skipped: BTreeMap::from([("gone".to_owned(), 1)]),
        planned: BTreeMap::new(),
        verified: BTreeMap::from([("digest".to_owned(), 146)]),
        failures: vec![failures],
        best_rate: 64_000_000,
        events: None,
        spec,
    }));
    m
}
