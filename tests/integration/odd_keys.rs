//! Keys are bytes and not paths: every legal one arrives as it is, on stores that keep them.

use aws_sdk_s3::{Client, primitives::ByteStream, types::EncodingType};
use dth_tests::{
    daemon::Daemon,
    moto::Moto,
    s3::{Object, Server},
    task::{Task, ended_well},
};

use crate::data::{self, identical};

/// Legal in S3, and a trap for whoever takes them for paths, URLs, XML or terminal text.
fn keys() -> Vec<String> {
    let mut keys = [
        "//",
        "a//b",
        "/leading",
        "folder/",
        "folder/inside",
        "folder",
        "back\\slash",
        "../outside",
        "a/../b",
        "./here",
        "plus+percent%and&question?hash#equals=",
        "%2Fencoded%20already%",
        " leading and trailing ",
        "<xml>&amp;</xml>\"'",
        "ü/日本語/🦀",
        "e\u{301}",
        "é",
        "a-b",
        "a.b",
        "a/b",
        "semi;colon,comma:at@dollar$star*tilde~bang!(x)",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push("s".repeat(300) + "/x");
    keys.push("k".repeat(1_024));
    keys.push("ä".repeat(512));
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_arrives_on_the_embedded_store() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    let control = ["control-\u{1}\u{1b}[31m\u{7f}", "tab\tnewline\nreturn\r"].map(str::to_owned);
    for key in keys().into_iter().chain(control) {
        let object =
            Object::new(key.clone()).header("content-type", "text/plain; charset=utf-8").metadata("length", &key.len().to_string());
        source.store().put("from", &key, object.tag("t", "1"));
    }
    data::multipart(source.store(), "from", "large//%2B +?/", 17 << 20, 8 << 20);
    let daemon = Daemon::start("").await;
    let task = Task::new("keys", (&source.endpoint(), "from"), (&destination.endpoint(), "to"));
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, keys().len() as u64 + 3, "{run:?}");
    identical(&source, "from", &destination, "to");
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.copied, again.counters.same), (0, run.counters.copied), "{again:?}");

    // with a prefix the longest keys do not fit; they are told and the others copied
    let longer = Task::new("longer", (&source.endpoint(), "from"), (&destination.endpoint(), "to")).with("destination.prefix", "p//");
    longer.start(&daemon).await;
    let (code, run) = longer.wait(&daemon).await;
    assert_eq!((code, run.counters.failed, run.counters.copied), (1, 2, again.counters.same - 2), "{run:?}");
    for failure in longer.failures(&daemon).await {
        assert_eq!((failure.code.as_str(), failure.key.len()), ("KeyTooLong", 1_024), "{failure:?}");
    }
    let screen = daemon.dth(&["items", "keys"]).ok().await;
    assert!(!screen.contains('\u{1b}') && !daemon.log().contains('\u{1b}'), "no key moves the cursor of a terminal");
    ended_well(daemon).await;
}

async fn listed(s3: &Client, bucket: &str) -> Vec<String> {
    let page = s3.list_objects_v2().bucket(bucket).encoding_type(EncodingType::Url).send().await.unwrap();
    let decode = |key: &str| percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8().unwrap().into_owned();
    page.contents().iter().filter_map(|object| object.key()).map(decode).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_arrives_on_moto() {
    let moto = Moto::start().await;
    let s3 = moto.client();
    for bucket in ["from", "arrived"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    // the HTTP client of the SDK takes these for steps in a path, which moto's web framework resolves
    let keys: Vec<String> = keys().into_iter().filter(|key| !key.contains("./")).collect();
    for key in &keys {
        let put = s3.put_object().bucket("from").key(key).content_type("text/x").metadata("m", "1").tagging("t=1");
        put.body(ByteStream::from(key.clone().into_bytes())).send().await.unwrap();
    }
    let mut expected = keys.clone();
    expected.sort();
    assert_eq!(listed(&s3, "from").await, expected, "what the source has");
    let daemon = Daemon::start("[credentials.moto]\ntype = \"env\"\nprefix = \"MOTO_\"\n");
    let mut daemon = daemon.await;
    daemon.environment("MOTO_AWS_ACCESS_KEY_ID", "moto");
    daemon.environment("MOTO_AWS_SECRET_ACCESS_KEY", "moto");
    daemon.restart().await;
    let task = Task::new("keys", (&moto.endpoint(), "from"), (&moto.endpoint(), "arrived")).at_both_ends("credential", "moto");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, keys.len() as u64, "{run:?}");
    assert_eq!(listed(&s3, "arrived").await, expected);
    for key in &keys {
        let got = s3.get_object().bucket("arrived").key(key).send().await.unwrap();
        assert_eq!((got.content_type(), got.metadata().unwrap()["m"].as_str(), got.tag_count()), (Some("text/x"), "1", Some(1)), "{key}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), key.as_bytes());
    }
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.copied, again.counters.same), (0, keys.len() as u64), "{again:?}");
    ended_well(daemon).await;
}
