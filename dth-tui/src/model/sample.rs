//! Models for tests: empty, typical, hostile, and one with images.

mod hostile;
mod image;
mod review;
mod screens;

use std::collections::BTreeMap;

use dth_proto::{
    bandwidth::BandwidthNow,
    event::{Event, EventsReply, Level},
    failure::{FailureClass, FailureGroup, FailureItem, Side},
    handshake::Welcome,
    id::{Epoch, TaskName},
    spec::{Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, TaskSpec},
    time::Timestamp,
    view::{
        Counters, DaemonInfo, History, InFlight, Live, Phase, Problem, ProviderInfo, RunKind, RunView, Severity, Summary, TaskDetail,
        TaskState, TaskView,
    },
    watch::WatchReply,
};

pub(crate) use self::{
    hostile::hostile,
    image::image,
    review::{image_review, review},
    screens::every_screen,
};
use super::{Link, Model, when::Zone};

/// Friday 2026-08-14 14:02:31 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_786_716_151_000);
/// Text that hurts careless screens: controls, escapes, bidi, combining, wide and zero-width characters.
pub(crate) const NASTY: &str = "\x1b[31m\u{202e}a\u{301}\u{301}\u{301}\u{301}写真\u{200d}\tשלום\u{0}\u{9b}2J👩\u{fe0f}\n";

pub(crate) fn name(text: &str) -> TaskName {
    TaskName::new(text).expect("a task name")
}

/// No answer yet.
pub(crate) fn empty() -> Model {
    Model::new("unix:/run/dth/dthd.sock".to_owned(), false, (80, 24), NOW, Zone::utc())
}

fn welcome() -> Welcome {
    Welcome { protocol: 1, name: "dthd/0.4.1".to_owned(), boot: "6f1c".to_owned(), user: "mli".to_owned(), role: "operator".to_owned() }
}

fn counters(listed: u64, copied: u64, failed: u64, bytes: u64, done: u64) -> Counters {
    let same = listed / 100;
    Counters {
        listed,
        same,
        copied,
        failed,
        pending: listed - same - copied - failed,
        bytes_listed: bytes,
        bytes_done: done,
        bytes_copied: done - done / 50,
        requests: copied * 2,
        retries: copied / 150,
        ..Counters::default()
    }
}

/// Stores that the daemon knows, by name.
pub(crate) fn providers() -> Vec<ProviderInfo> {
    let provider = |name: &str, regions: &[&str]| ProviderInfo {
        name: name.to_owned(),
        title: name.to_uppercase(),
        regions: regions.iter().map(|region| (*region).to_owned()).collect(),
        needs_endpoint: regions.is_empty(),
    };
    vec![
        provider("aliyun-oss", &["cn-beijing"]),
        provider("aws", &["us-east-1", "cn-north-1", "cn-northwest-1"]),
        provider("aws-express", &["us-east-1"]),
        provider("minio", &[]),
    ]
}

/// One task with a run.
pub(crate) fn task(text: &str, state: TaskState, word: &str, rate: u64, percent: u64, failed: u64) -> TaskView {
    let total = 310_000_000_000_000;
    let going = state == TaskState::Running;
    let run = RunView {
        task: name(text),
        run: 3,
        kind: RunKind::Copy,
        outcome: None,
        started: Some(Timestamp(NOW.0 - 223_200_000)),
        ended: None,
        duration_s: 223_200.0,
        counters: counters(62_000_000, 62_000_000 / 1000 * percent, failed, total, total / 1000 * percent),
        bytes_per_s: 598_000_000,
        listing_done: true,
        cause: "manual by mli".to_owned(),
        error: None,
    };
    TaskView {
        name: name(text),
        engine: "s3".to_owned(),
        state,
        word: word.to_owned(),
        from: format!("s3://acme-{text}-cn/raw/"),
        to: format!("s3://acme-{text}-global/raw/"),
        from_where: "cn-north-1".to_owned(),
        to_where: "us-east-1".to_owned(),
        labels: BTreeMap::new(),
        trigger: "manual".to_owned(),
        next_run: None,
        run: (percent > 0).then_some(run),
        live: going.then(|| Live {
            rate,
            rate_hour: rate - rate / 50,
            objects_per_s: 137.2,
            eta_s: (failed == 0).then_some(298_800),
            stalled_s: None,
        }),
        deletes: false,
        note: String::new(),
        created_by: "mli".to_owned(),
        created: Timestamp(NOW.0 - 1_123_200_000),
    }
}

fn spec() -> TaskSpec {
    let store = |bucket: &str, region: &str, credential: &str| Store {
        provider: "aws".to_owned(),
        bucket: bucket.to_owned(),
        region: Some(region.to_owned()),
        credential: Some(credential.to_owned()),
        ..Store::default()
    };
    TaskSpec {
        name: name("photos-cn-to-global"),
        description: String::new(),
        labels: BTreeMap::new(),
        job: Job::S3(S3Job {
            source: S3Source {
                store: store("acme-photos-cn", "cn-north-1", "cn-reader"),
                prefix: "raw/".to_owned(),
                ..S3Source::default()
            },
            destination: S3Destination {
                store: store("acme-photos-global", "us-east-1", "global-writer"),
                prefix: "raw/".to_owned(),
                storage_class: Some("INTELLIGENT_TIERING".to_owned()),
                ..S3Destination::default()
            },
            options: S3Options::default(),
        }),
        limits: TaskLimits { bandwidth: "800MB/s".parse().ok() },
        trigger: None,
        report: None,
    }
}

fn phase(name: &str, done: u64, total: u64, unit: &str, rate: f64) -> Phase {
    Phase { name: name.to_owned(), done, total, unit: unit.to_owned(), rate, finished: done == total }
}

fn history() -> History {
    let wave = |i: u64| if (30..34).contains(&i) { None } else { Some(900_000_000 + i * 37_000_000 % 390_000_000) };
    History {
        until: NOW,
        slot_s: 50.0,
        bytes: (0..72).map(wave).collect(),
        objects: (0..72).map(|i| wave(i).map(|b| b as f64 / 3e6)).collect(),
        failed: vec![Some(0.0); 72],
    }
}

fn group(class: FailureClass, code: &str, side: Side, operation: &str, count: u64) -> FailureGroup {
    FailureGroup {
        class,
        code: code.to_owned(),
        side,
        operation: operation.to_owned(),
        count,
        first: Timestamp(NOW.0 - 1_320_000),
        last: NOW,
        prefix: "audit/2024/".to_owned(),
        message: "User: arn:aws-cn:iam::4444:role/cn-reader is not authorized to perform: kms:Decrypt".to_owned(),
        hint: Some("likely the key policy does not allow the role: add kms:Decrypt, then retry".to_owned()),
    }
}

fn item(number: u32, of: &FailureGroup) -> FailureItem {
    FailureItem {
        key: format!("audit/2024/01/01/{number:06}.json.gz"),
        size: 4_100_000,
        class: of.class,
        code: of.code.clone(),
        side: of.side,
        operation: of.operation.clone(),
        message: of.message.clone(),
        request_id: Some("7F0A91C2".to_owned()),
        tries: 5,
        at: NOW,
    }
}

fn event(seq: u64, level: Level, task: Option<&str>, message: &str) -> Event {
    Event { seq, at: Timestamp(NOW.0 - (20 - seq) * 61_000), level, task: task.map(name), run: Some(3), message: message.to_owned() }
}

/// An answer to the watch in which nothing has changed.
pub(crate) fn reply(seq: u64) -> WatchReply {
    WatchReply {
        epoch: Epoch("6f1c".to_owned()),
        seq,
        full: false,
        summary: None,
        problems: None,
        changed: Vec::new(),
        removed: Vec::new(),
        focus: None,
        events_head: 0,
        held_ms: 0,
    }
}

/// Six tasks, one of them in trouble, on the overview.
pub(crate) fn typical() -> Model {
    let mut m = empty();
    m.link = Link::Up { welcome: welcome(), rtt_ms: Some(310) };
    m.info = Some(DaemonInfo {
        version: "0.4.1".to_owned(),
        protocol: 1,
        epoch: Epoch("6f1c".to_owned()),
        started: Timestamp(NOW.0 - 1_036_800_000),
        host: "xfer-bj-01".to_owned(),
        pid: 2211,
        config_file: Some("/etc/dth/dthd.toml".to_owned()),
        state_dir: "/var/lib/dth".to_owned(),
        credentials: vec![("cn-reader".to_owned(), "file".to_owned()), ("global-writer".to_owned(), "profile".to_owned())],
        memory: (5_900_000_000, 8_000_000_000),
        metrics: None,
        user: "mli".to_owned(),
        role: "operator".to_owned(),
        verdict: String::new(),
    });
    let mut tasks = vec![
        task("photos-cn-to-global", TaskState::Running, "running", 612_000_000, 410, 0),
        task("logs-2019..2024", TaskState::Running, "DEGRADED", 11_000_000, 772, 1_204),
        task("ml-datasets", TaskState::Running, "running", 199_000_000, 39, 0),
        task("warehouse-nightly", TaskState::Waiting, "waiting", 0, 0, 0),
        task("cold-archive", TaskState::Paused, "paused", 0, 125, 0),
        task("old-backup", TaskState::Idle, "done", 0, 1_000 - 10, 0),
    ];
    tasks[0].labels.insert("team".to_owned(), "photos".to_owned());
    tasks[1].note = "AccessDenied on GetObject".to_owned();
    tasks[2].run.as_mut().expect("a run").listing_done = false;
    tasks[3].next_run = Some(Timestamp(NOW.0 + 43_049_000));
    tasks[4].note = "by mli, 09:41".to_owned();
    m.mirror.tasks = tasks.into_iter().map(|t| (t.name.clone(), t)).collect();
    m.mirror.problems = vec![
        Problem {
            severity: Severity::Error,
            text: "1,204 objects failed, AccessDenied on GetObject".to_owned(),
            since: Timestamp(NOW.0 - 1_320_000),
            task: Some(name("logs-2019..2024")),
        },
        Problem {
            severity: Severity::Warning,
            text: "credential \"global-writer\" expires in 38 min; refresh failed 2 times".to_owned(),
            since: Timestamp(NOW.0 - 320_000),
            task: None,
        },
    ];
    m.mirror.summary = Summary {
        ok: false,
        verdict: "2 problems".to_owned(),
        tasks: 6,
        running: 3,
        waiting: 1,
        paused: 1,
        counters: counters(96_800_000, 38_200_000, 1_204, 500_400_000_000_000, 185_700_000_000_000),
        total_is_floor: true,
        rate: 822_000_000,
        rate_hour: 1_210_000_000,
        objects_per_s: 288.4,
        cap: Some(1_300_000_000),
        eta_s: Some(298_800),
        ..Summary::default()
    };
    m.data_at = Some(NOW);
    m.chart.have = Some((None, 3_600, history()));
    m.task = Some(name("photos-cn-to-global"));
    let groups = vec![
        group(FailureClass::Auth, "AccessDenied", Side::Source, "GetObject", 1_198),
        group(FailureClass::Permanent, "EntityTooLarge", Side::Destination, "UploadPart", 6),
    ];
    m.detail = Some(Box::new(TaskDetail {
        view: m.mirror.tasks[&name("photos-cn-to-global")].clone(),
        spec: spec(),
        phases: vec![
            phase("list", 62_000_000, 62_000_000, "objects", 0.0),
            phase("compare", 49_600_000, 62_000_000, "objects", 2_140.0),
            phase("copy", 127_100_000_000_000, 310_000_000_000_000, "bytes", 612e6),
            phase("verify", 123_000_000_000_000, 127_100_000_000_000, "bytes", 600e6),
        ],
        in_flight: vec![
            InFlight {
                key: "raw/2023/08/17/IMG_99211.tar".to_owned(),
                size: 3_100_000_000_000,
                done: 1_271_000_000_000,
                parts: Some((4_102, 9_920)),
                blobs: Vec::new(),
            },
            InFlight { key: "raw/2023/08/17/0091/0001.png".to_owned(), size: 1_800_000, done: 400_000, parts: None, blobs: Vec::new() },
        ],
        in_flight_count: 96,
        memory: (5_900_000_000, 8_000_000_000),
        bandwidth: Some(BandwidthNow { rate: "800MB/s".parse().ok(), until: None }),
        sizes: vec![
            ("<1MB".to_owned(), 51_200_000),
            ("1-64MB".to_owned(), 9_800_000),
            ("64MB-5GB".to_owned(), 900_000),
            (">5GB".to_owned(), 812),
        ],
        largest: 3_100_000_000_000,
        skipped: BTreeMap::from([("archived".to_owned(), 212)]),
        planned: BTreeMap::new(),
        verified: BTreeMap::from([("crc64nvme".to_owned(), 25_000_000), ("md5".to_owned(), 420_000)]),
        failures: groups.clone(),
        best_rate: 640_000_000,
        events: None,
    }));
    m.failures.run = 3;
    m.failures.items = (1..=4).map(|n| item(n, &groups[0])).chain([item(9, &groups[1])]).collect();
    m.failures.groups = groups;
    m.log.take(EventsReply {
        epoch: Epoch("6f1c".to_owned()),
        events: vec![
            event(1, Level::Info, Some("cold-archive"), "paused by mli (uid 1004)"),
            event(2, Level::Warn, Some("logs-2019..2024"), "503 SlowDown from the destination, slowed"),
            event(3, Level::Error, Some("logs-2019..2024"), "first failure of its kind: 403 AccessDenied"),
            event(4, Level::Info, None, "38 metrics published in 410 ms"),
            event(5, Level::Info, Some("photos-cn-to-global"), "checkpoint 25.4M objects, 127 TB"),
        ],
        next: 6,
    });
    m
}
