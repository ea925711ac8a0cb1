//! What the embedded registry can do beyond what docker-registry does: tokens, pages, referrers, redirection, faults.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dth_tests::{
    http::{self, Answer},
    registry::{Action, Bearer, Blob, Fault, Image, Keep, Operation, RetryAfter, Server, refusal, sha256},
};
use hyper::Method;
use serde_json::Value;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

async fn ask(server: &Server, method: Method, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> anyhow::Result<Answer> {
    let target = target.strip_prefix(&server.endpoint()).unwrap_or(target);
    http::send(&server.host(), method, target, headers, body.into()).await
}

async fn get(server: &Server, target: &str, headers: &[(&str, &str)]) -> Answer {
    ask(server, Method::GET, target, headers, "").await.unwrap()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn code(answer: &Answer) -> String {
    json(answer)["errors"][0]["code"].as_str().unwrap_or("no code").to_owned()
}

/// A server with one image `team/app:v1` of one layer, and that layer.
async fn with_layer(server: Server, bytes: u64) -> (Server, Image, Blob) {
    let image = Image::new(1, &[bytes]);
    server.store().push("team/app", Some("v1"), &image);
    let layer = image.blobs()[0].clone();
    (server, image, layer)
}

#[tokio::test]
async fn tokens_are_for_what_was_asked_and_for_a_while() {
    let bearer = Bearer::default().user("me", "secret").identity_token("identity").uses(2);
    let (server, ..) = with_layer(Server::builder().bearer(bearer).start().await.unwrap(), 10).await;
    let refused = get(&server, "/v2/team/app/tags/list", &[]).await;
    let challenge = refused.header("www-authenticate").to_owned();
    assert_eq!(refused.status, 401);
    assert_eq!(challenge, format!("Bearer realm=\"{}/token\",service=\"embedded\",scope=\"repository:team/app:pull\"", server.endpoint()));

    let token = |answer: Answer| format!("Bearer {}", json(&answer)["token"].as_str().unwrap());
    let pull = token(get(&server, "/token?service=embedded&scope=repository:team/app:pull,push", &[]).await);
    let list = get(&server, "/v2/team/app/tags/list", &[("authorization", &pull)]).await;
    assert_eq!(json(&list)["tags"], serde_json::json!(["v1"]));
    // nobody may not push, whatever was asked for; that was the second use, and there is no third
    let push = ask(&server, Method::POST, "/v2/team/app/blobs/uploads/", &[("authorization", &pull)], "").await.unwrap();
    assert!(push.status == 401 && push.header("www-authenticate").contains("insufficient_scope"), "{push:?}");
    let spent = get(&server, "/v2/team/app/tags/list", &[("authorization", &pull)]).await;
    assert!(spent.status == 401 && spent.header("www-authenticate").contains("invalid_token"), "{spent:?}");

    // me:secret, then the same by identity token
    let me = ("authorization", "Basic bWU6c2VjcmV0");
    let by_password = token(get(&server, "/token?scope=repository:team/app:pull,push&scope=repository:b:pull", &[me]).await);
    let form = "grant_type=refresh_token&service=embedded&refresh_token=identity&scope=repository%3Ateam%2Fapp%3Apull%2Cpush";
    let by_identity = token(ask(&server, Method::POST, "/token", &[], form).await.unwrap());
    for token in [by_password, by_identity] {
        let push = ask(&server, Method::POST, "/v2/team/app/blobs/uploads/", &[("authorization", &token)], "").await.unwrap();
        assert_eq!(push.status, 202, "{push:?}");
        let other = get(&server, "/v2/other/tags/list", &[("authorization", &token)]).await;
        assert_eq!(other.status, 401, "{other:?}");
    }
    for wrong in ["Basic bWU6d3Jvbmc=", "Basic !"] {
        let answer = get(&server, "/token?scope=repository:team/app:pull", &[("authorization", wrong)]).await;
        assert_eq!(answer.status, if wrong.ends_with('!') { 200 } else { 401 }, "{answer:?}");
    }
    let late = Server::builder().bearer(Bearer::default().lifetime(Duration::ZERO)).start().await.unwrap();
    let token = token(get(&late, "/token?scope=repository:a:pull", &[]).await);
    assert_eq!(get(&late, "/v2/a/tags/list", &[("authorization", &token)]).await.status, 401);
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let server = Server::builder().basic("me", "secret").start().await.unwrap();
    let refused = get(&server, "/v2/", &[]).await;
    assert!(refused.status == 401 && refused.header("www-authenticate").starts_with("Basic "), "{refused:?}");
    assert_eq!(get(&server, "/v2/", &[("authorization", "Basic bWU6c2VjcmV0")]).await.status, 200);
    assert_eq!(get(&server, "/v2/", &[("authorization", "Basic bWU6d3Jvbmc=")]).await.status, 401);
}

/// The values of `field` over all pages.
async fn pages(server: &Server, first: &str, field: &str) -> (Vec<Value>, usize) {
    let (mut all, mut count, mut next) = (Vec::new(), 0, Some(first.to_owned()));
    while let Some(target) = next {
        let answer = get(server, &target, &[]).await;
        all.extend(json(&answer)[field].as_array().unwrap().clone());
        count += 1;
        let link = answer.header("link");
        next = link.find('>').map(|end| link[1..end].to_owned());
    }
    (all, count)
}

#[tokio::test]
async fn lists_come_in_pages_and_referrers_by_subject() {
    let server = Server::builder().page(3).start().await.unwrap();
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[10]);
    for n in 0..8 {
        server.store().push("team/app", Some(&format!("v{n}")), &image);
        server.store().push(&format!("team/{n}"), Some("v1"), &image);
    }
    let (tags, count) = pages(&server, "/v2/team/app/tags/list?n=1000", "tags").await;
    assert_eq!((tags.len(), count, tags[7].as_str()), (8, 3, Some("v7")));
    let (repositories, count) = pages(&server, "/v2/_catalog?n=2&last=team/3", "repositories").await;
    assert_eq!((repositories.len(), count), (5, 3));
    assert_eq!(get(&server, "/v2/_catalog?n=x", &[]).await.status, 400);

    let child = &image.children()[0];
    for n in 0..5 {
        let kind = if n < 4 { "application/vnd.example.signature" } else { "application/vnd.example.sbom" };
        server.store().push("team/app", None, &Image::about(child, n, kind, 10));
    }
    let at = format!("/v2/team/app/referrers/{}", child.digest());
    let (all, count) = pages(&server, &at, "manifests").await;
    assert_eq!((all.len(), count), (5, 2));
    let (some, _) = pages(&server, &format!("{at}?artifactType=application/vnd.example.signature"), "manifests").await;
    assert_eq!(some.len(), 4);
    assert_eq!(some[0]["artifactType"], "application/vnd.example.signature");
    let (none, _) = pages(&server, &format!("/v2/team/app/referrers/{}", image.digest()), "manifests").await;
    assert!(none.is_empty());

    // who knows subjects says so
    let signature = Image::about(child, 9, "application/vnd.example.signature", 10);
    for blob in signature.blobs() {
        server.store().add_blob("team/app", blob);
    }
    let target = format!("/v2/team/app/manifests/{}", signature.digest());
    let put = ask(&server, Method::PUT, &target, &[("content-type", OCI)], signature.bytes()).await.unwrap();
    assert_eq!((put.status, put.header("oci-subject")), (201, child.digest()));
}

#[tokio::test]
async fn blobs_are_read_elsewhere_for_a_while_and_without_authorization() {
    let builder = Server::builder().basic("me", "secret").redirect_blobs(Duration::from_mins(1));
    let (server, _, layer) = with_layer(builder.start().await.unwrap(), 5_000_000).await;
    let me = ("authorization", "Basic bWU6c2VjcmV0");
    let at = format!("/v2/team/app/blobs/{}", layer.digest());
    let head = ask(&server, Method::HEAD, &at, &[me], "").await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, "5000000"));
    let answer = get(&server, &at, &[me, ("range", "bytes=10-19")]).await;
    assert_eq!(answer.status, 307);
    let location = answer.header("location").trim_start_matches("http://").to_owned();
    let (host, path) = location.split_at(location.find('/').unwrap());
    assert_ne!(host, server.host());
    let there = async |path: &str, headers: &[(&str, &str)]| http::send(host, Method::GET, path, headers, Bytes::new()).await.unwrap();
    let part = there(path, &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 10-19/5000000"));
    assert_eq!(part.body, layer.content().unwrap().slice(10..20).to_bytes());
    assert_eq!(sha256(&there(path, &[]).await.body.into()), layer.digest());
    assert_eq!(there(path, &[me]).await.status, 400);
    let later = path.replace("expires=1", "expires=2");
    assert_eq!(there(&later, &[]).await.status, 403);

    let builder = Server::builder().redirect_blobs(Duration::ZERO);
    let (server, ..) = with_layer(builder.start().await.unwrap(), 5_000_000).await;
    let location = get(&server, &at, &[]).await.header("location").trim_start_matches("http://").to_owned();
    let (host, path) = location.split_at(location.find('/').unwrap());
    let late = http::send(host, Method::GET, path, &[], Bytes::new()).await.unwrap();
    assert!(late.status == 403 && String::from_utf8_lossy(&late.body).contains("Request has expired"), "{late:?}");
}

#[tokio::test]
async fn answers_go_wrong_when_they_should() {
    let (server, image, layer) = with_layer(Server::start().await.unwrap(), 400_000).await;
    let blob = format!("/v2/team/app/blobs/{}", layer.digest());
    let manifest = format!("/v2/team/app/manifests/{}", image.digest());
    let oci = [("accept", OCI)];
    let once = |action: Action| server.faults().add(Fault::new(action).first(1));
    let whole = layer.content().unwrap().to_bytes();

    once(Action::FlipBit(250_000));
    let bad = get(&server, &blob, &[("range", "bytes=249999-250001")]).await.body;
    assert_eq!([bad[0] ^ whole[249_999], bad[1] ^ whole[250_000], bad[2] ^ whole[250_001]], [0, 1, 0]);
    once(Action::Shorten(100));
    assert_eq!(get(&server, &manifest, &oci).await.body, image.bytes().slice(..100));
    once(Action::Digest("sha256:other".to_owned()));
    assert_eq!(get(&server, &manifest, &oci).await.header("docker-content-digest"), "sha256:other");
    once(Action::IgnoreRange);
    let answer = get(&server, &blob, &[("range", "bytes=5-9")]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 400_000));
    once(Action::Length(399_999));
    assert_eq!(get(&server, &blob, &[]).await.body, whole.slice(..399_999));
    for action in [Action::BreakDownload(100_000), Action::Length(400_001), Action::Reset, Action::ResetAfter] {
        once(action.clone());
        assert!(ask(&server, Method::GET, &blob, &[], "").await.is_err(), "{action:?}");
    }
    assert_eq!(server.requests().entries[5].sent, 100_000);

    server.faults().add(Fault::unavailable().share(2, 3));
    let mut burst = Vec::new();
    for _ in 0..6 {
        burst.push(get(&server, "/v2/", &[]).await.status);
    }
    assert_eq!(burst, [503, 200, 503, 503, 200, 503]);
    server.faults().clear();

    once(Action::TooMany(Some(RetryAfter::Seconds(3))));
    let answer = get(&server, "/v2/", &[]).await;
    assert_eq!((answer.status, answer.header("retry-after"), code(&answer).as_str()), (429, "3", "TOOMANYREQUESTS"));
    once(Action::TooMany(Some(RetryAfter::Date(3))));
    assert!(get(&server, "/v2/", &[]).await.header("retry-after").ends_with(" GMT"));
    once(Action::AnswerAfter(refusal(500, "UNKNOWN")));
    let answer = ask(&server, Method::POST, "/v2/team/app/blobs/uploads/", &[], "").await.unwrap();
    assert_eq!((answer.status, server.store().uploads()), (500, 1));

    // 300,000 of 400,000 bytes at 1,000,000 a second: the first piece may come at once
    once(Action::Slow(1_000_000));
    let begin = Instant::now();
    assert_eq!(get(&server, &blob, &[]).await.body, whole);
    assert!(begin.elapsed() > Duration::from_millis(300), "{:?}", begin.elapsed());
    server.set_latency(Duration::from_millis(150));
    let begin = Instant::now();
    get(&server, "/v2/", &[]).await;
    assert!(begin.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn what_was_received_before_a_break_is_kept() {
    let server = Server::builder().relative_locations().chunk_min(1_000).start().await.unwrap();
    let whole = Blob::made(5, 300_000);
    let bytes = whole.content().unwrap().to_bytes();
    let start = ask(&server, Method::POST, "/v2/a/blobs/uploads/", &[], "").await.unwrap();
    assert_eq!(start.header("oci-chunk-min-length"), "1000");
    let at = start.header("location").to_owned();
    assert!(at.starts_with("/v2/a/blobs/uploads/"), "{at}");
    server.faults().add(Fault::new(Action::BreakUpload(100_000)).on([Operation::PatchBlob]).first(1));
    assert!(ask(&server, Method::PATCH, &at, &[], bytes.clone()).await.is_err());
    assert_eq!(server.requests().received(), 100_000);
    let status = get(&server, &at, &[]).await;
    assert_eq!((status.status, status.header("range")), (204, "0-99999"));
    let gap = ask(&server, Method::PATCH, &at, &[("content-range", "0-99")], bytes.slice(..100)).await.unwrap();
    assert_eq!((gap.status, gap.header("range")), (416, "0-99999"));
    assert_eq!(
        ask(&server, Method::PATCH, &at, &[("content-range", "100000-299899")], bytes.slice(100_000..299_900)).await.unwrap().status,
        202
    );
    let done = ask(&server, Method::PUT, &format!("{at}&digest={}", whole.digest()), &[], bytes.slice(299_900..)).await.unwrap();
    assert_eq!(done.status, 201, "{done:?}");
    assert_eq!(server.store().blob("a", whole.digest()), Some(whole));

    // a short chunk must be the last
    let start = ask(&server, Method::POST, "/v2/a/blobs/uploads/", &[], "").await.unwrap();
    let at = start.header("location");
    assert_eq!(ask(&server, Method::PATCH, at, &[], "short").await.unwrap().status, 202);
    assert_eq!(code(&ask(&server, Method::PATCH, at, &[], "short").await.unwrap()), "SIZE_INVALID");
    // an address whose query was lost
    assert_eq!(ask(&server, Method::PATCH, at.split('?').next().unwrap(), &[], "x").await.unwrap().status, 400);
}

#[tokio::test]
async fn uploads_cost_nothing_where_nothing_is_kept() {
    for keep in [Keep::Digest, Keep::Length] {
        let server = Server::builder().keep(keep).start().await.unwrap();
        let (right, wrong) = (Blob::made(1, 1_000), Blob::made(2, 1_000));
        for (blob, status) in [(&right, 201), (&wrong, if keep == Keep::Length { 201 } else { 400 })] {
            let start = ask(&server, Method::POST, "/v2/a/blobs/uploads/", &[], "").await.unwrap();
            let target = format!("{}&digest={}", start.header("location"), blob.digest());
            let put = ask(&server, Method::PUT, &target, &[], right.content().unwrap().to_bytes()).await.unwrap();
            assert_eq!(put.status, status, "{keep:?} {put:?}");
        }
        let at = format!("/v2/a/blobs/{}", right.digest());
        let head = ask(&server, Method::HEAD, &at, &[], "").await.unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, "1000"));
        assert_eq!(get(&server, &at, &[]).await.status, 404);
    }
}
