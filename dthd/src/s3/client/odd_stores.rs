//! A bucket against stores that say what no good store would: regions, clocks, redirects, lengths, errors in the guise of success.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dth_proto::{
    failure::{FailureClass, Side},
    spec::Store,
};

use super::Bucket;
use crate::{
    credential::{ANONYMOUS, Credential, CredentialSpec, resolve},
    http::fake::{Fake, Heard, Step, answer},
    s3::{
        metadata::Creation,
        object::{ETag, Pin},
        payload::Payload,
    },
    transfer::{progress::RequestCounters, retry::RetryPolicy},
};

/// A credential file in a directory that is gone with it.
async fn signer() -> (Credential, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, r#"{"access_key_id": "AK", "secret_access_key": "SK", "session_token": "T"}"#).expect("writes");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let specs = [("it".to_owned(), CredentialSpec::File { path })].into();
    (resolve(Some("it"), &specs).await.expect("configured"), dir)
}

async fn bucket(server: &Fake, credential: &Credential) -> Bucket {
    let store = Store {
        provider: "other".into(),
        bucket: "b".into(),
        region: Some("us-east-1".into()),
        endpoint: Some(server.endpoint()),
        ..Store::default()
    };
    let counters = Arc::new(RequestCounters::default());
    Bucket::open(&store, Side::Source, credential, false, RetryPolicy::never(), counters, None).await.expect("a bucket")
}

async fn anonymous(script: impl Fn(usize, &Heard) -> Vec<Step> + Send + Sync + 'static) -> (Fake, Bucket) {
    let server = Fake::start(script).await;
    let credential = resolve(Some(ANONYMOUS), &[].into()).await.expect("built in");
    let bucket = bucket(&server, &credential).await;
    (server, bucket)
}

const PAGE: &str = "<?xml version=\"1.0\"?>\n<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>no &amp; no</Message><RequestId>R</RequestId></Error>")
}

#[tokio::test]
async fn requests_say_who_asks_unless_nobody_does() {
    let (server, unsigned) = anonymous(|_, _| answer("200 OK", "", PAGE)).await;
    unsigned.list_some("a b/", None, None, None).await.expect("a page");
    let (credential, _dir) = signer().await;
    bucket(&server, &credential).await.list_some("", Some("k"), None, Some(7)).await.expect("a page");
    let heard = server.heard();
    assert!(heard[0].head.starts_with("GET /b/?encoding-type=url&list-type=2&prefix=a%20b%2F HTTP/1.1\r\n"), "{}", heard[0].head);
    assert_eq!(heard[0].header("authorization"), None);
    assert!(heard[1].head.starts_with("GET /b/?encoding-type=url&list-type=2&max-keys=7&start-after=k HTTP/1.1\r\n"), "{}", heard[1].head);
    let authorization = heard[1].header("authorization").expect("signed");
    let scope = "/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=";
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AK/") && authorization.contains(scope), "{authorization}");
    assert_eq!(heard[1].header("x-amz-security-token"), Some("T"));
}

#[tokio::test]
async fn a_wrong_region_is_corrected_once_for_all_requests() {
    let server = Fake::start(|_, heard| match heard.header("authorization") {
        Some(text) if text.contains("/eu-west-1/s3/") && heard.head.starts_with("HEAD") => answer("200 OK", "etag: \"e\"\r\n", ""),
        Some(text) if text.contains("/eu-west-1/s3/") => answer("200 OK", "", PAGE),
        _ => answer("400 Bad Request", "x-amz-bucket-region: eu-west-1\r\n", &error("AuthorizationHeaderMalformed")),
    })
    .await;
    let (credential, _dir) = signer().await;
    let bucket = bucket(&server, &credential).await;
    for _ in 0..2 {
        bucket.list_some("", None, None, None).await.expect("a page");
    }
    bucket.head("k", Pin::default()).await.expect("the SDK knows as well");
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn a_clock_that_differs_is_corrected_once() {
    let server = Fake::start(|_, heard| match heard.header("x-amz-date") {
        Some(date) if date.starts_with("20400101T0000") => answer("200 OK", "", PAGE),
        _ => answer("403 Forbidden", "date: Sun, 01 Jan 2040 00:00:00 GMT\r\n", &error("RequestTimeTooSkewed")),
    })
    .await;
    let (credential, _dir) = signer().await;
    let bucket = bucket(&server, &credential).await;
    for _ in 0..2 {
        bucket.list_some("", None, None, None).await.expect("a page");
    }
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_clock_that_cannot_be_corrected_is_an_error() {
    let server =
        Fake::start(|_, _| answer("403 Forbidden", "date: Sun, 01 Jan 2040 00:00:00 GMT\r\n", &error("RequestTimeTooSkewed"))).await;
    let (credential, _dir) = signer().await;
    let failed = bucket(&server, &credential).await.list_some("", None, None, None).await.expect_err("refused");
    assert_eq!((failed.class, failed.code.as_str(), server.heard().len()), (FailureClass::Auth, "RequestTimeTooSkewed", 2));
}

#[tokio::test]
async fn redirects_are_followed_within_reason() {
    let (server, bucket) = anonymous(|n, heard| {
        let host = heard.header("host").expect("said").to_owned();
        match n {
            0 => answer("307 Temporary Redirect", &format!("location: http://{host}/elsewhere/b/k%20y\r\n"), ""),
            1 => answer("200 OK", "etag: \"e\"\r\n", "x"),
            2 => answer("307 Temporary Redirect", "location: http://evil.example/b/k%20y\r\n", ""),
            _ => answer("307 Temporary Redirect", &format!("location: http://{host}/b/k%20y\r\n"), ""),
        }
    })
    .await;
    let etag = ETag::new("e");
    assert_eq!(bucket.get("k y", Pin::to(&etag), 1).await.expect("found").body.pieces().concat(), b"x");
    assert!(server.heard()[1].head.starts_with("GET /elsewhere/b/k%20y HTTP/1.1\r\n"), "{}", server.heard()[1].head);
    let failed = bucket.get("k y", Pin::to(&etag), 1).await.expect_err("not ours");
    assert_eq!((failed.class, failed.code.as_str()), (FailureClass::Permanent, "PermanentRedirect"));
    let failed = bucket.get("k y", Pin::to(&etag), 1).await.expect_err("in circles");
    assert_eq!((failed.class, failed.code.as_str(), server.heard().len()), (FailureClass::Permanent, "TooManyRedirects", 2 + 1 + 6));
}

#[tokio::test]
async fn success_that_is_none_is_refused() {
    let (_server, bucket) = anonymous(|_, heard| match heard.head.split(' ').next() {
        Some("PUT") => answer("200 OK", "etag: \"e\"\r\n", &error("SlowDown")),
        _ => answer("200 OK", "retry-after: 3\r\n", &error("InternalError")),
    })
    .await;
    let failed = bucket.list_some("", None, None, None).await.expect_err("an error");
    assert_eq!((failed.class, failed.code.as_str(), failed.message.as_str()), (FailureClass::Transient, "InternalError", "no & no"));
    assert_eq!((failed.request_id.as_deref(), failed.retry_after), (Some("R"), Some(Duration::from_secs(3))));
    let body = Payload::from(Bytes::from_static(b"x"));
    let failed = bucket.put("k", &body, &Creation::default(), None, None).await.expect_err("an error");
    assert_eq!((failed.class, failed.code.as_str(), failed.operation), (FailureClass::Throttled, "SlowDown", "PutObject"));
    let failed = bucket.upload_part("k", "u", 1, &body, None, None).await.expect_err("an error");
    assert_eq!((failed.code.as_str(), failed.operation), ("SlowDown", "UploadPart"));
}

#[tokio::test]
async fn what_is_not_exactly_what_was_asked_for_is_not_taken() {
    let say = |text: &str| vec![Step::Say(format!("HTTP/1.1 206 OK\r\netag: \"e\"\r\n{text}").into_bytes()), Step::Close];
    for (script, code) in [
        (say("content-length: 5\r\ncontent-range: bytes 2-6/9\r\n\r\nhello"), ""),
        (say("content-length: 5\r\n\r\nhello"), "OtherGeneration"),
        (say("content-length: 5\r\ncontent-range: bytes 0-4/9\r\n\r\nhello"), "OtherGeneration"),
        (say("content-length: 6\r\ncontent-range: bytes 2-6/9\r\n\r\nhello!"), "OtherGeneration"),
        (say("content-length: 5\r\ncontent-range: bytes 2-6/9\r\n\r\nhell"), "TruncatedBody"),
        (say("transfer-encoding: chunked\r\ncontent-range: bytes 2-6/9\r\n\r\n6\r\nhello!\r\n0\r\n\r\n"), "TruncatedBody"),
        (say("transfer-encoding: chunked\r\ncontent-range: bytes 2-6/9\r\n\r\n4\r\nhell\r\n0\r\n\r\n"), "TruncatedBody"),
        (say("transfer-encoding: chunked\r\ncontent-range: bytes 2-6/9\r\n\r\n5\r\nhello\r\n"), "TruncatedBody"),
        (say("content-range: bytes 2-6/9\r\n\r\nhello"), ""),
        (say("content-le"), "ConnectionFailed"),
    ] {
        let told = script.clone();
        let (_server, bucket) = anonymous(move |_, _| script.clone()).await;
        match bucket.get_range("k", Pin::to(&ETag::new("e")), 2..7).await {
            Ok(got) => assert_eq!((code, got.body.pieces().concat().as_slice()), ("", &b"hello"[..]), "{told:?}"),
            Err(failed) => assert_eq!(failed.code, code, "{told:?}"),
        }
    }
    let (_server, bucket) = anonymous(|_, _| answer("200 OK", "etag: \"other\"\r\n", "hello")).await;
    let failed = bucket.get("k", Pin::to(&ETag::new("e")), 5).await.expect_err("another generation");
    assert_eq!((failed.class, failed.code.as_str()), (FailureClass::Changed, "OtherGeneration"));
}

#[tokio::test]
async fn a_version_is_named_and_no_other_is_taken() {
    let (server, bucket) = anonymous(|_, _| answer("200 OK", "etag: \"e\"\r\nx-amz-version-id: v+2\r\n", "hello")).await;
    let etag = ETag::new("e");
    let pin = |version| Pin { etag: Some(&etag), version: Some(version) };
    bucket.get("k", pin("v+2"), 5).await.expect("this version");
    let heard = server.heard();
    assert!(heard[0].head.starts_with("GET /b/k?versionId=v%2B2 HTTP/1.1\r\n"), "{}", heard[0].head);
    assert_eq!(heard[0].header("if-match"), Some("\"e\""));
    let failed = bucket.get("k", pin("v1"), 5).await.expect_err("a store that does not know versions");
    assert_eq!((failed.class, failed.code.as_str()), (FailureClass::Changed, "OtherGeneration"));
}

#[tokio::test]
async fn a_key_that_is_told_twice_is_one_key() {
    const SEAL: &str = "x-amz-server-side-encryption-customer-algorithm: AES256\r\nX-Amz-Server-Side-Encryption-Customer-Key-Md5: ";
    let (_server, bucket) = anonymous(|n, _| {
        let second = if n == 0 { "one" } else { "two" };
        answer("200 OK", &format!("etag: \"e\"\r\n{SEAL}one\r\n{SEAL}{second}\r\n"), "")
    })
    .await;
    assert!(bucket.head("k", Pin::default()).await.expect("readable").opaque_etag);
    assert_eq!(bucket.head("k", Pin::default()).await.expect_err("which of them?").code, "UnexpectedAnswer");
}

#[tokio::test]
async fn an_empty_object_is_written_with_its_length() {
    let (server, bucket) = anonymous(|_, _| answer("200 OK", "etag: \"e\"\r\n", "")).await;
    let put = bucket.put("k//../ü", &Payload::default(), &Creation::default(), None, None).await.expect("written");
    assert_eq!(put.etag.as_str(), "e");
    let heard = &server.heard()[0];
    assert!(heard.head.starts_with("PUT /b/k//../%C3%BC HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(heard.header("content-length"), Some("0"));
}
