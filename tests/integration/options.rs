//! The options of a task: what counts as the same, which objects are wanted, and what goes along with the bytes.

use std::collections::BTreeMap;

use dth_tests::{
    daemon::Daemon,
    s3::{Object, Operation},
    task::ended_well,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    data,
    pair::{self, stores},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_compare_copies_what_it_should() {
    let (source, destination) = stores().await;
    let at = |hours: i64| Timestamp::now() - SignedDuration::from_hours(hours);
    let (older, newer) = (at(5), at(1));
    // key, source, destination, both with the time of their last change
    let cases = [
        ("equal", ("same", newer), Some(("same", older))),
        ("missing", ("x", newer), None),
        ("other-size", ("longer", older), Some(("short", newer))),
        ("other-bytes-newer-there", ("abcd", older), Some(("wxyz", newer))),
        ("other-bytes-older-there", ("abcd", newer), Some(("wxyz", older))),
    ];
    let daemon = Daemon::start("").await;
    for (mode, expected) in [
        ("auto", vec!["missing", "other-bytes-newer-there", "other-bytes-older-there", "other-size"]),
        ("etag", vec!["missing", "other-bytes-newer-there", "other-bytes-older-there", "other-size"]),
        ("size", vec!["missing", "other-size"]),
        ("newer", vec!["equal", "missing", "other-bytes-older-there", "other-size"]),
        ("always", vec!["equal", "missing", "other-bytes-newer-there", "other-bytes-older-there", "other-size"]),
    ] {
        for (key, (ours, changed), theirs) in cases {
            source.store().put("from", key, Object::new(ours).modified(changed));
            destination.store().remove("to", key);
            if let Some((bytes, changed)) = theirs {
                destination.store().put("to", key, Object::new(bytes).modified(changed));
            }
        }
        let task = pair::task(mode, &source, &destination).with("options.compare", mode);
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        let copied: Vec<String> = task.items(&daemon).await.into_iter().map(|item| item.key).collect();
        assert_eq!(copied, expected, "{mode}");
        assert_eq!((run.counters.listed, run.counters.same), (5, 5 - expected.len() as u64), "{mode}: {run:?}");
        // what was copied is newer now and the same in every way
        let again = task.again(&daemon).await;
        assert_eq!(again.counters.copied, if mode == "always" { 5 } else { 0 }, "{mode}: {again:?}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_by_name_and_size() {
    let (source, destination) = stores().await;
    for (key, len) in [("a/keep.jpg", 500), ("a/tiny.jpg", 10), ("a/huge.jpg", 5_000), ("a/tmp/no.jpg", 500), ("b/text.txt", 500)] {
        source.store().put("from", key, Object::new(data::noise(key, len)));
    }
    source.store().put("from", "a/frozen.jpg", {
        let mut object = Object::new(data::noise("frozen", 500));
        object.attributes.storage_class = "GLACIER".to_owned();
        object
    });
    let task = pair::task("filters", &source, &destination)
        .with("options.include", vec!["**.jpg"])
        .with("options.exclude", vec!["a/tmp/**"])
        .with("options.larger_than", "100B")
        .with("options.smaller_than", "1kB")
        .with("destination.prefix", "kept/")
        .with("destination.strip_prefix", "a/")
        .with("source.prefix", "a/");
    let daemon = Daemon::start("").await;
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.skipped), (5, 1, 4), "{run:?}");
    let skipped = task.show(&daemon).await.skipped;
    let expected = [("archived", 1), ("excluded", 1), ("too-large", 1), ("too-small", 1)].map(|(rule, count)| (rule.to_owned(), count));
    assert_eq!(skipped, BTreeMap::from(expected));
    assert_eq!(destination.store().all("to").into_keys().collect::<Vec<_>>(), ["kept/keep.jpg"]);
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_is_asked_for_arrives_with_every_object() {
    let (source, destination) = stores().await;
    data::small(source.store(), "from", "small/", 8);
    data::multipart(source.store(), "from", "large", 17 << 20, 8 << 20);
    let task = pair::task("asks", &source, &destination)
        .with("destination.storage_class", "STANDARD_IA")
        .with("destination.acl", "bucket-owner-full-control")
        .with("destination.encryption.type", "aws:kms")
        .with("destination.encryption.key", "arn:aws:kms:us-east-1:111122223333:key/k")
        .with("options.tags", false)
        .with("options.metadata", false);
    let daemon = Daemon::start("").await;
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, 9, "{run:?}");
    let copies = destination.store().all("to");
    assert_eq!(copies.len(), 9);
    for (key, object) in copies {
        let attributes = &object.attributes;
        assert!(object.data == source.store().get("from", &key).unwrap().data, "{key}");
        assert_eq!(attributes.storage_class, "STANDARD_IA", "{key}");
        let asked = [
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:us-east-1:111122223333:key/k"),
        ];
        assert_eq!(attributes.asked, BTreeMap::from(asked.map(|(name, value)| (name.to_owned(), value.to_owned()))), "{key}");
        assert!(attributes.metadata.is_empty() && attributes.tags.is_empty(), "{key}: {attributes:?}");
    }
    assert_eq!(source.requests().of(Operation::GetObjectTagging), 0, "tags that are not wanted are not asked for");
    ended_well(daemon).await;
}
