//! Objects compared by what both ends have stored about them.

use dth_tests::{
    daemon::Daemon,
    s3::{Algorithm, Object, Operation},
    task::ended_well,
};

use crate::{
    data::noise,
    pair::{stores, task},
};

/// An object with the checksum of its bytes.
fn summed(mut object: Object, algorithm: Algorithm) -> Object {
    object.checksums = vec![algorithm.of(&object.data)];
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_ends_have_stored_decides() {
    let (source, destination) = stores().await;
    let bytes = |seed: &str| noise(seed, 6 << 20);
    let parts = |seed: &str, size: u64| Object::multipart(bytes(seed), size);
    let crc = Algorithm::Crc64Nvme;
    // key, source, destination
    for (key, ours, theirs) in [
        // ETags differ because the parts do: the checksum tells that the bytes do not
        ("same-bytes", summed(parts("a", 5 << 20), crc), Some(summed(Object::new(bytes("a")), crc))),
        ("other-bytes", summed(parts("a", 5 << 20), crc), Some(summed(parts("b", 5 << 20), crc))),
        ("other-size", summed(Object::new("long"), crc), Some(summed(Object::new("s"), crc))),
        ("missing", summed(Object::new("x"), crc), None),
        ("same-md5", Object::new(bytes("c")), Some(Object::new(bytes("c")))),
        ("other-md5", Object::new(bytes("c")), Some(Object::new(bytes("d")))),
        // nothing in common: no ETag that is an MD5, other algorithms
        ("unproven", summed(parts("e", 5 << 20), Algorithm::Crc32), Some(summed(Object::new(bytes("e")), Algorithm::Sha256))),
        ("empty", Object::new(""), Some(Object::new(""))),
    ] {
        source.store().put("from", key, ours);
        if let Some(theirs) = theirs {
            destination.store().put("to", key, theirs);
        }
    }
    let daemon = Daemon::start("").await;
    let copy = task("sums", &source, &destination).with("options.compare", "checksum");
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.same, run.counters.copied), (8, 3, 5), "{run:?}");
    let reasons: Vec<(String, String)> =
        copy.items(&daemon).await.into_iter().map(|item| (item.key, item.reason.unwrap_or_default())).collect();
    let expected =
        [("missing", "missing"), ("other-bytes", "checksum"), ("other-md5", "checksum"), ("other-size", "size"), ("unproven", "unproven")];
    assert_eq!(reasons, expected.map(|(key, reason)| (key.to_owned(), reason.to_owned())));
    assert!(copy.items(&daemon).await.iter().all(|item| item.outcome == "copied"));
    for (key, ours) in source.store().all("from") {
        assert!(destination.store().get("to", &key).unwrap().data == ours.data, "{key}");
    }

    source.reset_requests();
    let again = copy.again(&daemon).await;
    assert_eq!((again.counters.same, again.counters.copied), (8, 0), "what cannot be compared is copied once: {again:?}");
    let requests = source.requests();
    assert_eq!((requests.of(Operation::HeadObject), requests.of(Operation::GetObject)), (7, 0), "asked object by object: {requests:?}");

    // the same size, the same time, other bytes: only what is stored shows it
    let mut changed = (*destination.store().get("to", "same-bytes").unwrap()).clone();
    changed.data = bytes("x").into();
    changed.checksums = vec![crc.of(&changed.data)];
    destination.store().put("to", "same-bytes", changed);
    assert_eq!(copy.again(&daemon).await.counters.copied, 1);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checksum_that_is_asked_for_is_stored() {
    for (name, algorithm) in
        [("CRC32", Algorithm::Crc32), ("CRC64NVME", Algorithm::Crc64Nvme), ("SHA1", Algorithm::Sha1), ("SHA256", Algorithm::Sha256)]
    {
        let (source, destination) = stores().await;
        for (key, object) in [
            ("plain", Object::new("plain")),
            ("summed", summed(Object::new("summed"), Algorithm::Crc32c)),
            ("parts", Object::multipart(noise("parts", 17 << 20), 8 << 20)),
            ("parts-summed", summed(Object::multipart(noise("parts", 18 << 20), 5 << 20), Algorithm::Crc32c)),
            ("at-once", Object::new(noise("at-once", 17 << 20))),
        ] {
            source.store().put("from", key, object);
        }
        let daemon = Daemon::start("").await;
        let copy = task("asked", &source, &destination).with("destination.checksum", name);
        copy.start(&daemon).await;
        let run = copy.succeeds(&daemon).await;
        assert_eq!((run.counters.copied, run.counters.retries), (5, 0), "{name}: {run:?}");
        for (key, object) in destination.store().all("to") {
            let [sum] = &object.checksums[..] else { panic!("{name} {key}: {:?}", object.checksums) };
            assert_eq!(sum.algorithm, algorithm, "{key}");
            let over_parts = matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256) && !object.parts.is_empty();
            assert!(if over_parts { sum.composite() } else { *sum == algorithm.of(&object.data) }, "{name} {key}: {sum:?}");
            assert!(object.data == source.store().get("from", &key).unwrap().data, "{name} {key}");
        }
        ended_well(daemon).await;
    }
}
