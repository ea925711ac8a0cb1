//! How copies are verified: by what the source has stored where it has, and never past a wrong byte, whoever is at fault.

use std::sync::LazyLock;

use bytes::Bytes;
use dth_proto::{failure::Side, view::RunOutcome};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Algorithm, Data, Fault, Object, Operation, PartInfo, Server},
    task::{Task, ended_well},
};
use md5::{Digest as _, Md5};

use crate::data::{identical, noise};

const MIB: usize = 1 << 20;

struct Scene {
    source: Server,
    destination: Server,
    daemon: Daemon,
}

impl Scene {
    async fn new() -> Self {
        let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
        source.store().create_bucket("from");
        destination.store().create_bucket("to");
        Self { source, destination, daemon: Daemon::start("").await }
    }

    fn task(&self, provider: &str) -> Task {
        let task = Task::new("copy", (&self.source.endpoint(), "from"), (&self.destination.endpoint(), "to"));
        task.with("destination.provider", provider)
    }

    fn put(&self, key: &str, object: Object) {
        self.source.store().put("from", key, object);
    }

    fn parts_asked(&self, key: &str) -> u64 {
        self.source.requests().of_key(Operation::GetObject, key)
    }
}

/// Bytes that begin elsewhere for each key; making them anew for every object would take longer than copying them.
fn bytes(key: &str, len: usize) -> Bytes {
    static ALL: LazyLock<Bytes> = LazyLock::new(|| noise("verification", 23 * MIB));
    let start = key.bytes().fold(len, |sum, byte| (sum * 31 + usize::from(byte)) % MIB);
    ALL.slice(start..start + len)
}

/// An object of parts with these sizes, as a multipart upload makes it.
fn cut(bytes: &Bytes, sizes: &[usize]) -> Object {
    let mut all = Md5::new();
    let mut start = 0;
    for size in sizes {
        all.update(Md5::digest(&bytes[start..start + size]));
        start += size;
    }
    let digest: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = sizes.iter().map(|size| PartInfo { size: *size as u64, checksums: Vec::new() }).collect();
    Object { etag: format!("{digest}-{}", sizes.len()), parts, ..Object::new(bytes.clone()) }
}

/// The same object with a checksum that the store has kept of it.
fn stored(object: Object, algorithm: Algorithm) -> Object {
    Object { checksums: vec![algorithm.of(&object.data)], ..object }
}

/// One object of each kind that is verified in a way of its own.
fn objects() -> Vec<(&'static str, Object)> {
    let small = |key: &str| Object::multipart(bytes(key, 3_000), 5 << 20);
    let large = |key: &str| Object::multipart(bytes(key, 17 * MIB + 5), 8 << 20);
    vec![
        ("small/md5", Object::new(bytes("small/md5", 3_000))),
        ("small/crc64", stored(small("small/crc64"), Algorithm::Crc64Nvme)),
        ("small/crc32c", stored(small("small/crc32c"), Algorithm::Crc32c)),
        ("small/nothing", small("small/nothing")),
        ("large/md5", Object::new(bytes("large/md5", 17 * MIB))),
        ("large/etag", large("large/etag")),
        ("large/crc64", stored(large("large/crc64"), Algorithm::Crc64Nvme)),
        ("large/crc32", stored(large("large/crc32"), Algorithm::Crc32)),
        // three parts, as eight MiB each would make, but they are not
        ("large/uneven", cut(&bytes("large/uneven", 22 * MIB), &[8 * MIB, 6 * MIB, 8 * MIB])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_follows_from_what_both_stores_know() {
    let objects = objects();
    for (provider, expected) in [
        (
            "aws",
            [
                "content-md5",
                "checksum-crc64nvme",
                "checksum-crc32c",
                "crc-in-flight",
                "whole-md5",
                "multipart-etag",
                "crc64nvme-combined",
                "crc32-combined",
                "part-md5",
            ],
        ),
        (
            "minio",
            [
                "content-md5",
                "checksum-crc64nvme",
                "checksum-crc32c",
                "md5-in-flight",
                "whole-md5",
                "multipart-etag",
                "multipart-etag",
                "multipart-etag",
                "part-md5",
            ],
        ),
    ] {
        let scene = Scene::new().await;
        for (key, object) in &objects {
            scene.put(key, object.clone());
        }
        let task = scene.task(provider);
        task.start(&scene.daemon).await;
        let run = task.succeeds(&scene.daemon).await;
        assert_eq!(run.counters.copied, 9, "{run:?}");
        identical(&scene.source, "from", &scene.destination, "to");
        let items = task.items(&scene.daemon).await;
        let mut found: Vec<(String, String)> = items.into_iter().map(|item| (item.key, item.verified.unwrap())).collect();
        let keys = objects.iter().map(|(key, _)| (*key).to_owned());
        let mut wanted: Vec<(String, String)> = keys.zip(expected.map(str::to_owned)).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{provider}");
        let kept = |key: &str| scene.destination.store().get("to", key).unwrap().checksums.clone();
        for key in ["small/crc64", "small/crc32c", "large/crc64", "large/crc32"] {
            let source = scene.source.store().get("from", key).unwrap().checksums.clone();
            // where checksums are no use, none is sent
            assert_eq!(kept(key), if provider == "aws" { source } else { Vec::new() }, "{provider} {key}");
        }
        // nothing is read twice, but for the parts that turned out to be cut in another way
        for (key, reads) in [("small/md5", 1), ("large/etag", 3), ("large/crc64", 3), ("large/md5", 3), ("large/uneven", 6)] {
            assert_eq!(scene.parts_asked(key), reads, "{provider} {key}");
        }
        ended_well(scene.daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_turns_on_the_way_is_noticed_and_sent_again() {
    for provider in ["aws", "minio"] {
        for leg in [Side::Source, Side::Destination] {
            let scene = Scene::new().await;
            let mut struck = Vec::new();
            // what the source says nothing of cannot be told from what was received
            for (key, object) in objects().into_iter().filter(|(key, _)| leg == Side::Destination || *key != "small/nothing") {
                scene.put(key, object);
                let writes = [Operation::PutObject, Operation::UploadPart];
                struck.push(match leg {
                    Side::Source => {
                        scene.source.faults().add(Fault::new(Action::Corrupt(1_001)).on([Operation::GetObject]).key(key).nth(1))
                    }
                    Side::Destination => scene.destination.faults().add(Fault::new(Action::CorruptBody(1_001)).on(writes).key(key).nth(1)),
                });
            }
            let task = scene.task(provider);
            task.start(&scene.daemon).await;
            let run = task.succeeds(&scene.daemon).await;
            assert_eq!(run.counters.copied, struck.len() as u64, "{provider} {leg:?} {run:?}");
            let faulty = if leg == Side::Source { &scene.source } else { &scene.destination };
            for id in struck {
                assert_eq!(faulty.faults().struck(id), 1);
            }
            identical(&scene.source, "from", &scene.destination, "to");
            if leg == Side::Destination {
                // what was received was right: it is not read again
                for key in ["small/md5", "small/crc64"] {
                    assert_eq!(scene.parts_asked(key), 1, "{provider} {key}");
                }
            }
            ended_well(scene.daemon).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_the_source_has_stored_wrongly_fails_the_object() {
    for provider in ["aws", "minio", "other"] {
        let scene = Scene::new().await;
        let other = Object::new(bytes("other", 100));
        let wrong = |object: Object| Object { checksums: stored(other.clone(), Algorithm::Crc64Nvme).checksums, ..object };
        scene.put("small", wrong(Object::multipart(bytes("small", 5_000), 5 << 20)));
        // by nothing else can these be verified: no MD5, and no parts that could be repeated
        let sizes = [[6 * MIB, 7 * MIB, 7 * MIB].as_slice(), &[2 * MIB; 10]];
        for (key, sizes) in ["large/a", "large/b"].into_iter().zip(sizes) {
            scene.put(key, wrong(cut(&bytes(key, 20 * MIB), sizes)));
        }
        scene.put("right", stored(Object::multipart(bytes("right", 5_000), 5 << 20), Algorithm::Crc64Nvme));
        let task = scene.task(provider);
        task.start(&scene.daemon).await;
        let (code, run) = task.wait(&scene.daemon).await;
        assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
        let failures = task.failures(&scene.daemon).await;
        // 6 + 7 + 7 MiB look like three parts of 6 MiB and a rest until the count is compared
        assert_eq!(failures.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["large/a", "large/b", "small"], "{provider}");
        for item in &failures {
            assert_eq!((item.side, item.code.as_str()), (Side::Source, "DigestMismatch"), "{provider} {item:?}");
            assert!(item.message.contains("crc64nvme") && item.message.contains("the source has stored"), "{}", item.message);
        }
        assert_eq!(scene.destination.store().all("to").into_keys().collect::<Vec<_>>(), ["right"], "{provider}");
        assert!(scene.destination.store().uploads("to").is_empty(), "{provider}");
        ended_well(scene.daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_keeps_other_bytes_is_named() {
    for provider in ["aws", "minio"] {
        let scene = Scene::new().await;
        for (key, object) in objects() {
            scene.put(key, object);
        }
        let writes = [Operation::PutObject, Operation::UploadPart];
        scene.destination.faults().add(Fault::new(Action::StoreOther(2_002)).on(writes));
        let task = scene.task(provider);
        task.start(&scene.daemon).await;
        let (code, run) = task.wait(&scene.daemon).await;
        assert_eq!((code, run.outcome, run.counters.failed), (1, Some(RunOutcome::Incomplete), 9), "{run:?}");
        for item in task.failures(&scene.daemon).await {
            assert_eq!((item.side, item.code.as_str()), (Side::Destination, "DigestMismatch"), "{provider} {item:?}");
        }
        // of what is sent in parts nothing is published
        assert!(scene.destination.store().all("to").keys().all(|key| key.starts_with("small/")), "{provider}");
        assert!(scene.destination.store().uploads("to").is_empty(), "{provider}");
        ended_well(scene.daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_that_only_looks_like_an_md5_is_found_out() {
    let scene = Scene::new().await;
    let odd = |len: usize| Object { etag: "0123456789abcdef0123456789abcdef".to_owned(), ..Object::new(bytes("odd", len)) };
    scene.put("nothing", odd(4_000));
    scene.put("stored", stored(odd(5_000), Algorithm::Crc64Nvme));
    let task = scene.task("aws").with("source.provider", "other");
    task.start(&scene.daemon).await;
    let run = task.succeeds(&scene.daemon).await;
    assert_eq!(run.counters.copied, 2, "{run:?}");
    identical(&scene.source, "from", &scene.destination, "to");
    let found: Vec<_> = task.items(&scene.daemon).await.into_iter().map(|item| item.verified.unwrap()).collect();
    assert_eq!(found, ["crc-in-flight", "checksum-crc64nvme"]);
    for key in ["nothing", "stored"] {
        assert_eq!((scene.parts_asked(key), scene.destination.requests().of_key(Operation::PutObject, key)), (2, 2), "{key}");
    }
    ended_well(scene.daemon).await;
}

#[test]
fn cut_objects_have_the_etag_that_an_upload_gives() {
    let bytes = bytes("cut", 12 * MIB);
    let uploaded = Object::multipart(bytes.clone(), 5 << 20);
    assert_eq!(cut(&bytes, &[5 * MIB, 5 * MIB, 2 * MIB]).etag, uploaded.etag);
    assert_eq!(Data::from(bytes).len(), uploaded.data.len());
}
