//! Blobs from registries that cut, ignore, and misunderstand.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use dth_proto::failure::{FailureClass, Side};

use super::{asked, code, head, refusal, registry};
use crate::{
    http::fake::{Fake, Step, answer},
    image::{
        digest::Digest,
        registry::{BlobBody, Login, Registry, Site},
    },
    transfer::{TransferError, retry::RetryPolicy},
};

fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

/// What came, and how it ended.
async fn all(body: &mut BlobBody) -> (String, Result<(), TransferError>) {
    let mut got = Vec::new();
    loop {
        match body.next().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => return (String::from_utf8(got).expect("text"), Ok(())),
            Err(error) => return (String::from_utf8(got).expect("text"), Err(error)),
        }
    }
}

#[tokio::test]
async fn blobs_are_there_or_not() {
    let fake = Fake::start(|n, _| match n {
        0 => head("200 OK", "content-length: 600\r\n"),
        1 => head("404 Not Found", "content-length: 0\r\n"),
        _ => head("403 Forbidden", "content-length: 0\r\n"),
    })
    .await;
    let (registry, digest) = (registry(&fake), Digest::sha256(b"x"));
    assert_eq!(registry.has_blob("a/b", &digest).await, Ok(true));
    assert_eq!(registry.has_blob("a/b", &digest).await, Ok(false));
    assert_eq!(registry.has_blob("a/b", &digest).await.expect_err("denied").class, FailureClass::Auth);
    assert_eq!(asked(&fake)[0], format!("HEAD /v2/a/b/blobs/{digest}"));
}

#[tokio::test]
async fn blobs_come_whole_or_from_a_byte_on() {
    let fake = Fake::start(|_, heard| match heard.header("range") {
        None => vec![say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234"), say("56789")],
        Some("bytes=4-9") => vec![say("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789")],
        Some("bytes=2-3") => vec![say("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 2-3/*\r\ncontent-length: 2\r\n\r\n23")],
        Some("bytes=8-99") => vec![say(
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 8-9/10\r\ntransfer-encoding: chunked\r\n\r\n2\r\n89\r\n0\r\n\r\n",
        )],
        _ => answer("200 OK", "", "0123456789"),
    })
    .await;
    let (registry, digest) = (registry(&fake), Digest::sha256(b"x"));
    for (range, first, total, expected) in [
        (None, 0, Some(10), "0123456789"),
        (Some(4..10), 4, Some(10), "456789"),
        (Some(2..4), 2, None, "23"),
        (Some(8..100), 8, Some(10), "89"),
        (Some(5..6), 0, Some(10), "0123456789"),
    ] {
        let mut body = registry.blob("a", &digest, range.clone()).await.expect("a body");
        assert_eq!((body.first, body.total), (first, total), "{range:?}");
        assert_eq!(all(&mut body).await, (expected.to_owned(), Ok(())), "{range:?}");
        assert_eq!(body.next().await, Ok(None), "the end stays the end");
    }
    assert_eq!(registry.inner.counters.received.load(Relaxed), 30);
    assert!(fake.heard().iter().all(|heard| heard.connection == 0 && heard.header("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn other_ranges_than_asked_for_are_failures() {
    let ranges: [(Range<u64>, &str); 7] = [
        (4..10, "content-range: bytes 0-5/10\r\ncontent-length: 6\r\n\r\n012345"),
        (4..10, "content-range: bytes 4-8/10\r\ncontent-length: 5\r\n\r\n45678"),
        (4..6, "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789"),
        (4..6, "content-range: bytes 4-9/*\r\ncontent-length: 6\r\n\r\n456789"),
        (4..6, "content-range: bytes 4-5/10\r\ncontent-length: 3\r\n\r\n456"),
        (4..6, "content-range: bytes 5-4/10\r\ncontent-length: 2\r\n\r\n45"),
        (4..6, "content-length: 2\r\n\r\n45"),
    ];
    for (range, rest) in ranges {
        let fake = Fake::start(move |_, _| vec![say(&format!("HTTP/1.1 206 Partial Content\r\n{rest}"))]).await;
        let error = registry(&fake).blob("a", &Digest::sha256(b"x"), Some(range.clone())).await.expect_err(rest);
        assert_eq!(code(&error), (FailureClass::Transient, "GetBlob", "RANGE_INVALID"), "{error}");
    }
    let fake = Fake::start(|n, _| if n == 0 { refusal("404 Not Found", "BLOB_UNKNOWN") } else { answer("404 Not Found", "", "") }).await;
    let registry = registry(&fake);
    let error = registry.blob("a", &Digest::sha256(b"x"), Some(5..5)).await.expect_err("nothing was asked for");
    assert_eq!((code(&error), fake.heard().len()), ((FailureClass::Permanent, "GetBlob", "RANGE_INVALID"), 0));
    for _ in 0..2 {
        let error = registry.blob("a", &Digest::sha256(b"x"), None).await.expect_err("missing");
        assert_eq!(code(&error), (FailureClass::Permanent, "GetBlob", "BLOB_UNKNOWN"));
    }
}

#[tokio::test]
async fn bodies_that_end_early_or_late_are_failures_that_pass() {
    let partial = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-4/10\r\n";
    for (steps, range, expected) in [
        (vec![say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel"), Step::Close], None, "hel"),
        (vec![say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n"), Step::Close], None, "hel"),
        (vec![say(&format!("{partial}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"))], Some(0..5), "hel"),
        (vec![say(&format!("{partial}transfer-encoding: chunked\r\n\r\n6\r\nhello!\r\n0\r\n\r\n"))], Some(0..5), ""),
    ] {
        let fake = Fake::start(move |_, _| steps.clone()).await;
        let mut body = registry(&fake).blob("a", &Digest::sha256(b"x"), range).await.expect("a body");
        let (got, end) = all(&mut body).await;
        assert_eq!(got, expected);
        assert_eq!(code(&end.expect_err("cut")), (FailureClass::Transient, "GetBlob", "TruncatedBody"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_for_a_minute_is_given_up() {
    let fake = Fake::start(|_, _| vec![say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel")]).await;
    let mut body = registry(&fake).blob("a", &Digest::sha256(b"x"), None).await.expect("a body");
    let (got, end) = all(&mut body).await;
    assert_eq!(got, "hel");
    assert_eq!(code(&end.expect_err("silent")), (FailureClass::Transient, "GetBlob", "RequestTimeout"));
}

#[tokio::test]
async fn links_are_followed_without_a_password_and_not_everywhere() {
    let elsewhere = Fake::start(|_, heard| match heard.header("range") {
        None => answer("200 OK", "", "0123456789"),
        _ => vec![say("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789")],
    })
    .await;
    let fake = Fake::start(|_, _| refusal("500 Internal Server Error", "UNKNOWN")).await;
    let (ours, digest) = (registry(&fake), Digest::sha256(b"x"));
    let url = format!("{}/layers/1?sig=a%2Fb", elsewhere.endpoint());
    for (range, expected) in [(None, "0123456789"), (Some(4..10), "456789")] {
        let mut body = ours.linked_blob(&url, &digest, range).await.expect("it is there");
        assert_eq!(all(&mut body).await, (expected.to_owned(), Ok(())));
    }
    assert_eq!(asked(&elsewhere)[0], "GET /layers/1?sig=a%2Fb");
    assert!(elsewhere.heard().iter().all(|heard| heard.header("authorization").is_none()) && fake.heard().is_empty());

    // a name that nobody knows is none of this network
    let public =
        Registry::open(Site::of("registry.invalid"), Side::Source, Login::Anonymous, None, RetryPolicy::never(), std::sync::Arc::default())
            .expect("a registry");
    for url in [&url, "https://169.254.169.254/latest", "https://[::1]/layer", "http://cdn.example/layer", "file:///etc/passwd", "layer"] {
        let error = public.linked_blob(url, &digest, None).await.expect_err(url);
        assert_eq!(code(&error), (FailureClass::Permanent, "GetBlob", "RedirectRefused"), "{url}");
    }
    assert_eq!(elsewhere.heard().len(), 2, "it was not asked");
}
