//! A registry as the client meets it: redirects, limits, failures, silence.

mod flow;
mod sign_in;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use dth_proto::failure::{FailureClass, Side};
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Basic, Call, Login, Registry, Renew, Site};
use crate::{
    http::fake::{Fake, Heard, Step, answer},
    transfer::{
        TransferError,
        progress::RequestCounters,
        retry::RetryPolicy,
        window::{Kind, Windows},
    },
};

const EXPIRED: &str = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
const UNAUTHORIZED: &str = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;

fn open(address: &str, login: Login, retry: RetryPolicy) -> (Registry, Arc<RequestCounters>) {
    let counters = Arc::<RequestCounters>::default();
    let registry = Registry::open(Site::of(address), Side::Source, login, None, retry, Arc::clone(&counters));
    (registry.expect("certificates"), counters)
}

fn at(server: &Fake, login: Login) -> Registry {
    open(&server.endpoint(), login, RetryPolicy::never()).0
}

fn password() -> Login {
    Login::Password(Arc::new(Basic::new("me", "s3cr3t")))
}

fn get(repository: &str) -> Call<'_> {
    let target = format!("/v2/{repository}/manifests/latest");
    Call { operation: "GetManifest", target, repository: Some(repository), ..Call::default() }
}

fn put(repository: &str) -> Call<'_> {
    let target = format!("/v2/{repository}/blobs/uploads/1?digest=x");
    Call { operation: "PutBlob", method: Method::PUT, target, repository: Some(repository), push: true, ..Call::default() }
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

fn path(heard: &Heard) -> &str {
    heard.head.split(' ').nth(1).expect("a request line")
}

fn paths(server: &Fake) -> Vec<String> {
    server.heard().iter().map(|heard| path(heard).to_owned()).collect()
}

/// Wants tokens, and gives the n-th one as `t{n}`; takes those that `good` says are.
async fn with_tokens(good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Fake {
    let given = AtomicUsize::new(0);
    Fake::start(move |_, heard| {
        let host = heard.header("host").expect("a host");
        if path(heard).starts_with("/token") {
            return answer("200 OK", "", &format!(r#"{{"token":"t{}","expires_in":300}}"#, given.fetch_add(1, SeqCst)));
        }
        if heard.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).is_some_and(&good) {
            return answer("200 OK", "", "fine");
        }
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"it\"\r\n");
        answer("401 Unauthorized", &challenge, UNAUTHORIZED)
    })
    .await
}

async fn with_basic(refusal: &'static str, good: &'static str) -> Fake {
    Fake::start(move |_, heard| match heard.header("authorization") {
        Some(shown) if shown == good => answer("200 OK", "", "fine"),
        _ => answer(refusal, "www-authenticate: Basic realm=\"r\"\r\n", if refusal.starts_with("403") { EXPIRED } else { UNAUTHORIZED }),
    })
    .await
}

/// Gives the passwords `p0`, `p1`, ... in turn, another one each time it was refused.
#[derive(Default)]
struct Turns {
    refused: AtomicUsize,
}

impl Renew for Turns {
    fn basic(&self) -> BoxFuture<'_, Result<Basic, TransferError>> {
        Box::pin(async { Ok(Basic::new("AWS", format!("p{}", self.refused.load(SeqCst)))) })
    }

    fn refused(&self) {
        self.refused.fetch_add(1, SeqCst);
    }
}

#[tokio::test]
async fn redirects_are_followed_without_what_is_meant_for_the_registry() {
    let storage = Fake::start(|n, heard| match (n, path(heard)) {
        (0, "/blob?sig=a%2Fb") => answer("206 Partial Content", "", "content"),
        _ => answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
    })
    .await;
    let elsewhere = format!("{}/blob?sig=a%2Fb", storage.endpoint());
    let server = Fake::start(move |_, heard| match heard.header("authorization") {
        None => answer("401 Unauthorized", "www-authenticate: Basic realm=\"r\"\r\n", ""),
        Some(_) if path(heard) == "/v2/a/blobs/x" => answer("307 Temporary Redirect", "location: /v2/a/moved\r\n", ""),
        Some(_) => answer("307 Temporary Redirect", &format!("location: {elsewhere}\r\n"), "see there"),
    })
    .await;
    let registry = at(&server, password());
    let call = Call {
        operation: "GetBlob",
        target: "/v2/a/blobs/x".to_owned(),
        headers: vec![(header::RANGE, HeaderValue::from_static("bytes=7-"))],
        repository: Some("a"),
        ..Call::default()
    };
    assert_eq!(text(registry.call(&call).await.expect("redirected")).await, "content");
    assert_eq!(paths(&server), ["/v2/a/blobs/x", "/v2/a/blobs/x", "/v2/a/moved"]);
    let heard = &storage.heard()[0];
    assert_eq!((heard.header("authorization"), heard.header("range")), (None, Some("bytes=7-")));
    assert_eq!(heard.header("host"), storage.endpoint().strip_prefix("http://"));

    let error = registry.call(&call).await.expect_err("the address is no longer good");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "AccessDenied"), "the next one is");
    assert!(error.message.contains("Request has expired (said 127.0.0.1, where"), "{error}");
    assert!(!error.message.contains("sig="), "{error}");
    assert_eq!(paths(&server).len(), 5, "who else refuses says nothing about the login");
}

#[tokio::test]
async fn redirects_have_limits() {
    let server = Fake::start(|n, _| answer("302 Found", &format!("location: /v2/{n}\r\n"), "")).await;
    let registry = at(&server, Login::Anonymous);
    let error = registry.call(&get("a")).await.expect_err("without end");
    assert_eq!((error.class, error.code.as_str(), server.heard().len()), (FailureClass::Permanent, "TooManyRedirects", 6));
    let error = registry.call(&put("a")).await.expect_err("writing is not sent on");
    assert_eq!((error.class, error.code.as_str(), server.heard().len()), (FailureClass::Permanent, "Redirected", 7));
    assert!(error.message.contains("which only reading ones may follow"), "{error}");
}

#[tokio::test]
async fn public_registries_do_not_lead_home() {
    // none of these sends anything
    let (registry, counters) = open("https://8.8.8.8", password(), RetryPolicy::never());
    let to = async |target: &str| {
        let call = Call { operation: "GetBlob", target: target.to_owned(), ..Call::default() };
        let error = registry.call(&call).await.expect_err("not followed");
        (error.code.clone(), error.message)
    };
    for (target, why) in [
        ("https://169.254.169.254/latest/?sig=x", "leads from a public registry to 169.254.169.254, an address that is not public"),
        ("https://127.0.0.1:1/", "leads from a public registry to 127.0.0.1"),
        ("http://cdn.example/", "leads from https to cdn.example without encryption"),
        ("ftp://cdn.example/", "is no address"),
    ] {
        let (code, message) = to(target).await;
        assert_eq!(code, "RedirectRefused", "{target}: {message}");
        assert!(message.contains(why) && !message.contains("sig="), "{message}");
    }
    assert_eq!(counters.requests.load(SeqCst), 0);
    let (code, message) = to("https://localhost:1/").await;
    assert!(code == "ConnectionFailed" && message.contains("localhost has no address in the public internet"), "{code} {message}");
}

#[tokio::test]
async fn servers_that_want_less_are_left_alone_as_long_as_they_say() {
    let date = httpdate::fmt_http_date(crate::clock::now().plus(Duration::from_secs(60)).to_system());
    for (value, least, most) in [("7", 7, 7), (date.as_str(), 30, 60)] {
        let headers = format!("retry-after: {value}\r\n");
        let server = Fake::start(move |_, _| answer("429 Too Many Requests", &headers, "slow down")).await;
        let error = at(&server, Login::Anonymous).call(&get("a")).await.expect_err("refused");
        assert_eq!((error.class, error.code.as_str(), error.message.as_str()), (FailureClass::Throttled, "TOOMANYREQUESTS", "slow down"));
        let wait = error.retry_after.expect("told").as_secs();
        assert!((least..=most).contains(&wait), "{value}: {wait}");
    }
    let server = Fake::start(|n, _| match n {
        0 => answer("429 Too Many Requests", "retry-after: 0\r\n", ""),
        1 => answer("502 Bad Gateway", "", "<html><title>502 Bad Gateway</title></html>"),
        _ => answer("200 OK", "", "fine"),
    })
    .await;
    let (registry, counters) = open(&server.endpoint(), Login::Anonymous, RetryPolicy::default());
    assert_eq!(text(registry.call(&get("a")).await.expect("the third time")).await, "fine");
    let counted = [&counters.requests, &counters.retries, &counters.throttled].map(|counter| counter.load(SeqCst));
    assert_eq!(counted, [3, 2, 1]);
}

#[tokio::test]
async fn limits_of_hours_are_not_waited_for() {
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let server =
        Fake::start(|_, _| answer("429 Too Many Requests", "ratelimit-limit: 100;w=21600\r\nratelimit-remaining: 0;w=21600\r\n", body))
            .await;
    let (registry, _) = open(&server.endpoint(), Login::Anonymous, RetryPolicy::default());
    let error = registry.call(&get("a")).await.expect_err("the limit is reached");
    assert_eq!((error.class, server.heard().len()), (FailureClass::Throttled, 1), "asking again is counted too");
    assert!(error.message.contains("0 of 100 pulls left in 6h"), "{error}");
}

#[tokio::test]
async fn failures_have_the_registrys_own_code() {
    let server = Fake::start(|n, _| match n {
        0 => answer("404 Not Found", "x-request-id: r1\r\n", r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let registry = at(&server, Login::Anonymous);
    let error = registry.call(&get("a")).await.expect_err("not there");
    assert_eq!((error.class, error.code.as_str(), error.request_id.as_deref()), (FailureClass::Permanent, "MANIFEST_UNKNOWN", Some("r1")));
    assert_eq!(error.to_string(), "source GetManifest: MANIFEST_UNKNOWN: manifest unknown");
    let wanted = registry.call_for(&get("a"), &[StatusCode::NOT_FOUND]).await.expect("an answer as well");
    assert_eq!(wanted.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn turns_end_with_the_head_of_the_answer() {
    let server = Fake::start(|n, _| match n {
        0..4 => vec![Step::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun".to_vec())],
        _ => answer("429 Too Many Requests", "", ""),
    })
    .await;
    let windows = Windows::default();
    let (side, login, counters) = (Side::Source, Login::Anonymous, Arc::default());
    let registry = Registry::open(Site::of(&server.endpoint()), side, login, Some(&windows), RetryPolicy::never(), counters);
    let registry = registry.expect("certificates");
    let window = windows.of(registry.host(), Kind::of("GetBlob"));
    let call = Call { operation: "GetBlob", ..get("a") };
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(registry.call(&call).await.expect("an answer"));
        assert_eq!(window.in_use(), 0, "a body may wait for the other end, and that for a turn");
    }
    registry.call(&call).await.expect_err("too many");
    assert_eq!(window.in_use(), 0);
    assert_eq!(registry.at_a_time(Kind::of("GetBlob")), window.limit());
}

/// Waits for a request to arrive, then lets time pass by itself whenever nothing else happens.
async fn arrived(server: &Fake) {
    while server.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
}

#[tokio::test]
async fn silence_is_not_waited_for_for_ever() {
    let server = Fake::start(|_, _| Vec::new()).await;
    let registry = at(&server, Login::Anonymous);
    let call = get("a");
    let (answer, ()) = tokio::join!(registry.call(&call), arrived(&server));
    let error = answer.expect_err("nothing came");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "RequestTimeout"));
    assert!(error.message.contains("gave no answer within 60s"), "{error}");
}
