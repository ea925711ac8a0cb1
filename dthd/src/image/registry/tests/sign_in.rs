//! How a registry is signed in to: tokens, passwords, and what has expired.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use dth_proto::failure::{FailureClass, Side};
use futures::future::join_all;
use http::Method;

use super::{
    super::{Basic, Call, Login, Registry, Renew, Secret, SignIns, Site},
    Turns, UNAUTHORIZED, at, get, open, password, path, paths, put, text, with_basic, with_tokens,
};
use crate::{
    http::fake::{Fake, Heard, answer},
    transfer::retry::RetryPolicy,
};

#[tokio::test]
async fn tokens_are_had_once_and_shown_with_every_request() {
    let server = with_tokens(|_| true).await;
    let registry = at(&server, password());
    let calls: Vec<Call<'_>> = (0..10).map(|_| get("team/app")).collect();
    for answer in join_all(calls.iter().map(|call| registry.call(call))).await {
        assert_eq!(text(answer.expect("signed in")).await, "fine");
    }
    assert_eq!(text(registry.call(&get("other")).await.expect("signed in")).await, "fine");
    let heard = server.heard();
    let count = |start: &str| heard.iter().filter(|h| path(h).starts_with(start)).count();
    assert_eq!(count("/v2/team/app/"), 11, "one without a token finds out, the others wait for it");
    assert_eq!(count("/v2/other/"), 1, "what one repository has shown holds for all");
    let tokens: Vec<&Heard> = heard.iter().filter(|h| path(h).starts_with("/token")).collect();
    assert_eq!(
        tokens.iter().map(|h| path(h)).collect::<Vec<_>>(),
        ["/token?account=me&service=it&scope=repository:team/app:pull", "/token?account=me&service=it&scope=repository:other:pull"]
    );
    assert!(tokens.iter().all(|h| h.header("authorization") == Some("Basic bWU6czNjcjN0")));
    let shown = heard.iter().filter(|h| path(h).starts_with("/v2/")).filter(|h| h.head.contains("bWU6"));
    assert_eq!(shown.count(), 0, "the password goes to the token server only");
}

#[tokio::test]
async fn pushes_and_mounts_have_tokens_of_their_own() {
    let server = with_tokens(|_| true).await;
    let registry = at(&server, Login::Anonymous);
    let mount = Call { operation: "MountBlob", method: Method::POST, also: Some("base"), ..put("team/app") };
    registry.call(&mount).await.expect("signed in");
    registry.call(&Call { target: "/v2/_catalog".to_owned(), ..Call::default() }).await.expect("signed in");
    let tokens: Vec<String> = paths(&server).into_iter().filter(|path| path.starts_with("/token")).collect();
    assert_eq!(
        tokens,
        [
            "/token?service=it&scope=repository:base:pull&scope=repository:team/app:pull,push",
            "/token?service=it&scope=registry:catalog:%2A"
        ]
    );
    assert_eq!(server.heard()[0].header("content-length"), Some("0"), "also of nothing");
}

#[tokio::test]
async fn identity_tokens_are_exchanged() {
    let server = with_tokens(|_| true).await;
    let registry = at(&server, Login::IdentityToken(Arc::new(Secret::new("idt"))));
    registry.call(&get("a")).await.expect("signed in");
    let heard = &server.heard()[1];
    assert!(heard.head.starts_with("POST /token "), "{}", heard.head);
    assert_eq!(
        String::from_utf8_lossy(&heard.body),
        "grant_type=refresh%5Ftoken&client_id=dthd&service=it&scope=repository%3Aa%3Apull&refresh_token=idt"
    );
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = with_tokens(|token| token != "t0").await;
    let registry = at(&server, Login::Anonymous);
    registry.call(&get("a")).await.expect("with the second token");
    assert_eq!(server.heard().len(), 5, "{:?}", paths(&server));

    let server = with_tokens(|_| false).await;
    let error = at(&server, Login::Anonymous).call(&get("a")).await.expect_err("never good");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Auth, "UNAUTHORIZED"));
    assert!(error.message.contains("may not pull from a"), "{error}");
    assert_eq!(server.heard().len(), 5, "{:?}", paths(&server));
}

#[tokio::test]
async fn wrong_passwords_are_tried_once() {
    let server = Fake::start(|_, heard| {
        let host = heard.header("host").expect("a host");
        if path(heard).starts_with("/token") {
            return answer("401 Unauthorized", "", r#"{"details":"incorrect username or password"}"#);
        }
        answer("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"http://{host}/token\"\r\n"), UNAUTHORIZED)
    })
    .await;
    let (registry, _) = open(&server.endpoint(), password(), RetryPolicy::default());
    for repository in ["a", "b", "c"] {
        let error = registry.call(&get(repository)).await.expect_err("wrong");
        assert_eq!((error.class, error.operation), (FailureClass::Auth, "GetToken"));
        assert!(error.message.contains("as user \"me\"") && error.message.contains("incorrect username or password"), "{error}");
        assert!(!error.to_string().contains("s3cr3t"));
    }
    assert_eq!(paths(&server).iter().filter(|path| path.starts_with("/token")).count(), 1, "accounts are locked after some");
}

#[tokio::test]
async fn what_nobody_may_read_hides_nothing_else() {
    let server = Fake::start(|_, heard| {
        let host = heard.header("host").expect("a host");
        match path(heard) {
            token if token.starts_with("/token") && token.contains("private") => answer("401 Unauthorized", "", UNAUTHORIZED),
            token if token.starts_with("/token") => answer("200 OK", "", r#"{"token":"t"}"#),
            _ if heard.header("authorization").is_some() => answer("200 OK", "", "fine"),
            _ => answer("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"http://{host}/token\"\r\n"), UNAUTHORIZED),
        }
    })
    .await;
    let registry = at(&server, Login::Anonymous);
    let error = registry.call(&get("private")).await.expect_err("not for everyone");
    assert_eq!((error.class, error.operation), (FailureClass::Auth, "GetToken"));
    registry.call(&get("public")).await.expect("for everyone");
}

#[tokio::test]
async fn passwords_are_shown_to_whom_asks_for_them() {
    let server = with_basic("401 Unauthorized", "Basic bWU6czNjcjN0").await;
    let registry = at(&server, password());
    for _ in 0..2 {
        registry.call(&get("a")).await.expect("signed in");
    }
    assert_eq!(server.heard().len(), 3, "the second request shows it at once");

    let error = at(&server, Login::Anonymous).call(&get("a")).await.expect_err("nobody");
    assert_eq!(error.class, FailureClass::Auth);
    assert!(error.message.contains("authentication required; ") && error.message.contains("asked as nobody: name a credential"), "{error}");
    let wrong = Login::Password(Arc::new(Basic::new("me", "wrong-one")));
    let error = at(&server, wrong).call(&get("a")).await.expect_err("wrong");
    assert!(error.message.contains("does not take the credential") && !error.message.contains("wrong-one"), "{error}");
    assert_eq!(server.heard().len(), 6);
}

#[tokio::test]
async fn what_has_expired_is_renewed_once_for_all() {
    // AWS:p1
    let server = with_basic("403 Forbidden", "Basic QVdTOnAx").await;
    let turns = Arc::new(Turns::default());
    let registry = at(&server, Login::Renewed(Arc::clone(&turns) as Arc<dyn Renew>));
    let calls: Vec<Call<'_>> = (0..5).map(|_| get("a")).collect();
    for answer in join_all(calls.iter().map(|call| registry.call(call))).await {
        answer.expect("renewed");
    }
    assert_eq!(turns.refused.load(SeqCst), 1);
    assert!(server.heard().iter().all(|heard| heard.header("authorization").is_some()), "nothing is asked first");

    let never = with_basic("403 Forbidden", "").await;
    let error = at(&never, Login::Renewed(Arc::new(Turns::default()))).call(&get("a")).await.expect_err("never good");
    assert_eq!((error.class, error.code.as_str(), never.heard().len()), (FailureClass::Transient, "DENIED", 2));
    assert!(error.message.contains("fetched for this request") && !error.message.contains("credential"), "{error}");
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_runs_of_the_same_user() {
    let server = with_tokens(|_| true).await;
    let shared = SignIns::default();
    let open = |login: Login| {
        let site = Site::of(&server.endpoint());
        let sign_in = shared.of(&site, Side::Source, login);
        Registry::open(site, Side::Source, sign_in, None, RetryPolicy::never(), Arc::default()).expect("a registry")
    };
    for _ in 0..3 {
        open(password()).call(&get("a")).await.expect("signed in");
    }
    let tokens = || paths(&server).iter().filter(|path| path.starts_with("/token")).count();
    assert_eq!((tokens(), server.heard().len()), (1, 5), "one refusal, one token, three answers");
    open(Login::Password(Arc::new(Basic::new("somebody", "else")))).call(&get("a")).await.expect("signed in");
    assert_eq!(tokens(), 2, "another user, another token");
}

#[tokio::test]
async fn token_servers_in_odd_places_are_not_asked() {
    let server = Fake::start(|_, _| answer("401 Unauthorized", "www-authenticate: Bearer realm=\"ftp://x/token\"\r\n", "")).await;
    let error = at(&server, password()).call(&get("a")).await.expect_err("nowhere to go");
    assert_eq!((error.class, error.code.as_str(), server.heard().len()), (FailureClass::Permanent, "RealmRefused", 1));
}
