//! Uploads to registries that move them, forget them, and take less than was sent.

use bytes::Bytes;
use dth_proto::failure::FailureClass;

use super::{asked, code, head, line, refusal, registry};
use crate::{
    http::{
        Flow,
        fake::{Fake, Heard, Step, answer},
    },
    image::{
        digest::Digest,
        registry::{Mount, Registry, Upload},
    },
};

fn upload(fake: &Fake, rest: &str) -> Upload {
    Upload { repository: "a".to_owned(), location: format!("{}{rest}", fake.endpoint()), chunk_min: None }
}

fn begun(location: &str) -> Vec<Step> {
    answer("202 Accepted", &format!("location: {location}\r\nrange: 0-0\r\n"), "")
}

fn escaped(digest: &Digest) -> String {
    digest.as_str().replace(':', "%3A")
}

async fn flow(content: &'static [u8]) -> Flow {
    let (mut sender, flow) = Flow::new(content.len() as u64, 1);
    sender.send(Bytes::from_static(content)).await.expect("room");
    flow
}

async fn put(registry: &Registry, upload: Upload, content: &'static [u8]) -> Result<(), crate::transfer::TransferError> {
    let (mut sender, flow) = Flow::new(content.len() as u64, 4);
    for piece in content.chunks(3) {
        sender.send(Bytes::from_static(piece)).await.expect("room");
    }
    registry.put_blob(upload, &Digest::sha256(content), flow).await
}

#[tokio::test]
async fn uploads_begin_where_the_registry_says() {
    let fake = Fake::start(|n, _| match n {
        0 => begun("/v2/a/blobs/uploads/1?_state=x%3D"),
        1 => answer("202 Accepted", "location: https://blobs.example/up/2?sig=y\r\noci-chunk-min-length: 5242880\r\n", ""),
        2 => answer("201 Created", "location: 3\r\noci-chunk-min-length: 0\r\n", ""),
        _ => answer("202 Accepted", "", ""),
    })
    .await;
    let registry = registry(&fake);
    let first = registry.start_upload("a").await.expect("begun");
    assert_eq!(first, upload(&fake, "/v2/a/blobs/uploads/1?_state=x%3D"));
    let second = registry.start_upload("a").await.expect("begun");
    assert_eq!((second.location.as_str(), second.chunk_min), ("https://blobs.example/up/2?sig=y", Some(5_242_880)));
    assert_eq!(registry.start_upload("a").await.expect("begun"), upload(&fake, "/v2/a/blobs/uploads/3"));
    let error = registry.start_upload("a").await.expect_err("it does not say where");
    assert_eq!(code(&error), (FailureClass::Transient, "StartUpload", "UnreadableAnswer"));
    assert!(asked(&fake).iter().all(|line| line == "POST /v2/a/blobs/uploads/"));
    assert!(fake.heard().iter().all(|heard| heard.header("content-length") == Some("0")), "ECR wants to know");
    let kept = serde_json::to_string(&second).expect("JSON");
    assert_eq!(serde_json::from_str::<Upload>(&kept).expect("an upload"), second);
}

#[tokio::test]
async fn blobs_are_mounted_or_sent() {
    let digest = Digest::sha256(b"x");
    let fake = Fake::start(|n, heard| match (n, heard.head.contains("?mount=")) {
        (0, _) => answer("201 Created", "location: /v2/a/blobs/x\r\n", ""),
        (1, _) => begun("/up/1"),
        (2, _) => refusal("400 Bad Request", "UNSUPPORTED"),
        (4, _) => refusal("403 Forbidden", "DENIED"),
        (_, false) => begun("/up/2"),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let registry = registry(&fake);
    assert_eq!(registry.mount("a", &digest, "team/base").await, Ok(Mount::Done));
    assert_eq!(registry.mount("a", &digest, "team/base").await, Ok(Mount::Session(upload(&fake, "/up/1"))));
    for _ in 0..2 {
        assert_eq!(registry.mount("a", &digest, "team/base").await, Ok(Mount::Session(upload(&fake, "/up/2"))));
    }
    let mount = format!("POST /v2/a/blobs/uploads/?mount={}&from=team%2Fbase", escaped(&digest));
    let start = "POST /v2/a/blobs/uploads/".to_owned();
    assert_eq!(asked(&fake), [mount.clone(), mount.clone(), mount.clone(), start.clone(), mount, start]);
}

#[tokio::test]
async fn whole_blobs_are_sent_with_their_length() {
    let digest = Digest::sha256(b"hello");
    let announced = digest.clone();
    let fake = Fake::start(move |n, _| match n {
        0 => answer("201 Created", &format!("docker-content-digest: {announced}\r\n"), ""),
        1 => head("204 No Content", ""),
        2 => answer("202 Accepted", "", ""),
        3 => answer("201 Created", &format!("docker-content-digest: {}\r\n", Digest::sha256(b"else")), ""),
        _ => refusal("400 Bad Request", "DIGEST_INVALID"),
    })
    .await;
    let registry = registry(&fake);
    for query in ["", "?_state=a%2Fb", ""] {
        put(&registry, upload(&fake, &format!("/up/1{query}")), b"hello").await.expect("stored");
    }
    let error = put(&registry, upload(&fake, "/up/1"), b"hello").await.expect_err("something else is stored");
    assert_eq!(code(&error), (FailureClass::Transient, "PutBlob", "DIGEST_MISMATCH"));
    let error = put(&registry, upload(&fake, "/up/1"), b"hello").await.expect_err("refused");
    assert_eq!((error.operation, error.code.as_str()), ("PutBlob", "DIGEST_INVALID"));
    let heard = fake.heard();
    assert_eq!(line(&heard[0]), format!("PUT /up/1?digest={}", escaped(&digest)));
    assert_eq!(line(&heard[1]), format!("PUT /up/1?_state=a%2Fb&digest={}", escaped(&digest)));
    assert_eq!(heard.len(), 5, "sent once each");
    for heard in &heard {
        assert_eq!((&heard.body[..], heard.header("content-length"), heard.header("transfer-encoding")), (&b"hello"[..], Some("5"), None));
        assert_eq!(heard.header("content-type"), Some("application/octet-stream"));
    }
}

#[tokio::test]
async fn small_blobs_are_sent_again_in_new_uploads() {
    let digest = Digest::sha256(b"hello");
    let fake = Fake::start(|n, heard| match (n, heard.head.starts_with("POST ")) {
        (0, _) => refusal("404 Not Found", "BLOB_UPLOAD_UNKNOWN"),
        (2, _) => refusal("500 Internal Server Error", "UNKNOWN"),
        (_, true) => begun(&format!("/up/{n}")),
        _ => answer("201 Created", "", ""),
    })
    .await;
    let registry = registry(&fake);
    registry.put_small_blob(upload(&fake, "/up/0"), &digest, Bytes::from_static(b"hello")).await.expect("stored");
    let put = |n: u32| format!("PUT /up/{n}?digest={}", escaped(&digest));
    let start = "POST /v2/a/blobs/uploads/".to_owned();
    assert_eq!(asked(&fake), [put(0), start.clone(), put(1), start, put(3)]);
    assert_eq!(registry.put_small_blob(upload(&fake, "/up/9"), &Digest::sha256(b""), Bytes::new()).await, Ok(()));
    assert_eq!(fake.heard()[5].header("content-length"), Some("0"), "also of nothing");
}

#[tokio::test]
async fn small_blobs_that_are_refused_are_given_up() {
    let fake = Fake::start(|_, heard| match line(heard).as_str() {
        line if line.starts_with("POST ") => begun("/up/2"),
        line if line.starts_with("PUT /up/denied") => refusal("403 Forbidden", "DENIED"),
        _ => refusal("429 Too Many Requests", "TOOMANYREQUESTS"),
    })
    .await;
    let registry = registry(&fake);
    for (location, class, requests) in [("/up/denied", FailureClass::Auth, 1), ("/up/busy", FailureClass::Throttled, 5)] {
        let before = fake.heard().len();
        let sent = registry.put_small_blob(upload(&fake, location), &Digest::sha256(b"x"), Bytes::from_static(b"x")).await;
        assert_eq!(sent.expect_err("refused").class, class);
        assert_eq!(fake.heard().len() - before, requests, "{location}");
    }
}

/// Status and headers of the answer to a chunk, and from where on the registry then wants more.
const CHUNKS: [(&str, &str, u64); 6] = [
    ("202 Accepted", "range: 0-9\r\n", 10),
    ("201 Created", "range: bytes=0-9\r\n", 10),
    ("204 No Content", "", 10),
    ("202 Accepted", "range: 0-4\r\n", 5),
    ("202 Accepted", "range: 0-0\r\n", 0),
    ("202 Accepted", "range: 5-9\r\n", 10),
];

#[tokio::test]
async fn chunks_go_on_where_the_registry_says() {
    for (status, headers, next) in CHUNKS {
        let fake = Fake::start(move |_, _| head(status, &format!("{headers}location: /up/2\r\ncontent-length: 0\r\n"))).await;
        let mut session = upload(&fake, "/up/1?a=b");
        let got = registry(&fake).patch(&mut session, 5, flow(b"hello").await).await;
        assert_eq!(got, Ok(next), "{status} {headers}");
        assert_eq!(session.location, format!("{}/up/2", fake.endpoint()));
        let heard = &fake.heard()[0];
        assert_eq!((line(heard).as_str(), heard.header("content-range"), &heard.body[..]), ("PATCH /up/1?a=b", Some("5-9"), &b"hello"[..]));
        assert_eq!(heard.header("content-length"), Some("5"));
    }
}

#[tokio::test]
async fn chunks_that_are_refused_are_not_repeated() {
    let fake = Fake::start(|n, _| match n {
        0 => head("416 Range Not Satisfiable", "range: 0-4\r\nlocation: /up/2\r\ncontent-length: 0\r\n"),
        1 => vec![Step::Close],
        _ => head("202 Accepted", "range: 0-99\r\ncontent-length: 0\r\n"),
    })
    .await;
    let registry = registry(&fake);
    let mut session = upload(&fake, "/up/1");
    for requests in 1..=3 {
        registry.patch(&mut session, 7, flow(b"hello").await).await.expect_err("refused, broken, impossible");
        assert_eq!((fake.heard().len(), session.location.ends_with("/up/1")), (requests, true));
    }
    assert_eq!(registry.patch(&mut session, 7, flow(b"").await).await, Ok(7), "nothing is nothing");
    assert_eq!(fake.heard().len(), 3);
}

#[tokio::test]
async fn registries_tell_how_much_they_have() {
    let script = |n: usize, _: &Heard| match n {
        0 => head("204 No Content", "range: 0-9\r\nlocation: /up/2\r\n"),
        1 => head("204 No Content", "range: 0-0\r\n"),
        2 => answer("200 OK", "range: bytes=0-4\r\n", ""),
        3 => answer("202 Accepted", "", ""),
        4 => refusal("404 Not Found", "BLOB_UPLOAD_UNKNOWN"),
        5 => refusal("400 Bad Request", "BLOB_UPLOAD_INVALID"),
        _ => refusal("403 Forbidden", "DENIED"),
    };
    let fake = Fake::start(script).await;
    let registry = registry(&fake);
    let mut session = upload(&fake, "/up/1");
    for expected in [Some(10), Some(0), Some(5), Some(0), None, None] {
        assert_eq!(registry.upload_offset(&mut session).await, Ok(expected));
    }
    assert_eq!(registry.upload_offset(&mut session).await.expect_err("denied").class, FailureClass::Auth);
    assert_eq!(asked(&fake)[..2], ["GET /up/1", "GET /up/2"]);
}

#[tokio::test]
async fn uploads_are_finished_once() {
    let digest = Digest::sha256(b"hello");
    let fake = Fake::start(|_, heard| match line(heard).as_str() {
        line if line.starts_with("PUT /up/good") => answer("201 Created", "", ""),
        line if line.starts_with("PUT /up/bad") => refusal("400 Bad Request", "DIGEST_INVALID"),
        line if line.starts_with("PUT ") => refusal("404 Not Found", "BLOB_UPLOAD_UNKNOWN"),
        line if line.starts_with("HEAD /v2/a/") => head("200 OK", "content-length: 5\r\n"),
        _ => head("404 Not Found", "content-length: 0\r\n"),
    })
    .await;
    let registry = registry(&fake);
    assert_eq!(registry.finish_upload(upload(&fake, "/up/good"), &digest).await, Ok(()));
    assert_eq!(registry.finish_upload(upload(&fake, "/up/lost"), &digest).await, Ok(()), "its first answer was lost");
    let elsewhere = Upload { repository: "b".to_owned(), ..upload(&fake, "/up/lost") };
    assert_eq!(registry.finish_upload(elsewhere, &digest).await.expect_err("unknown").code, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.finish_upload(upload(&fake, "/up/bad"), &digest).await.expect_err("refused").code, "DIGEST_INVALID");
    let first = &fake.heard()[0];
    assert_eq!((line(first), first.header("content-length")), (format!("PUT /up/good?digest={}", escaped(&digest)), Some("0")));
}

#[tokio::test]
async fn uploads_are_cancelled_whatever_the_registry_says() {
    let fake = Fake::start(|n, _| if n == 0 { head("204 No Content", "") } else { refusal("404 Not Found", "BLOB_UPLOAD_UNKNOWN") }).await;
    let registry = registry(&fake);
    registry.cancel(upload(&fake, "/up/1")).await;
    registry.cancel(upload(&fake, "/up/1")).await;
    assert_eq!(asked(&fake), ["DELETE /up/1", "DELETE /up/1"]);
}
