//! Bodies that come while they are sent: signed in first, refused, given up, slow.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use bytes::Bytes;
use dth_proto::failure::FailureClass;
use http::StatusCode;

use super::{
    super::{Login, Registry, Renew, send::QUIET},
    Turns, at, open, paths, put, with_basic, with_tokens,
};
use crate::{
    http::{
        Flow,
        fake::{Fake, Step, answer},
    },
    transfer::{TransferError, retry::RetryPolicy},
};

async fn feed(mut sender: crate::http::FlowSender, body: &[u8]) {
    for piece in body.chunks(1000) {
        if sender.send(Bytes::copy_from_slice(piece)).await.is_err() {
            return;
        }
    }
}

async fn upload(registry: &Registry, body: &[u8]) -> Result<StatusCode, TransferError> {
    let (sender, flow) = Flow::new(body.len() as u64, 2);
    let call = put("a");
    let (answer, ()) = tokio::join!(registry.call_flow(&call, flow), feed(sender, body));
    Ok(answer?.status())
}

#[tokio::test]
async fn flows_are_signed_in_before_their_first_byte() {
    let server = with_tokens(|_| true).await;
    let (registry, counters) = open(&server.endpoint(), Login::Anonymous, RetryPolicy::default());
    let body = vec![7_u8; 10_000];
    let error = upload(&registry, &body).await.expect_err("nobody knew");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "UNAUTHORIZED"), "the next one will show it");
    assert_eq!(upload(&registry, &body).await, Ok(StatusCode::OK));
    let heard = server.heard();
    assert_eq!(heard.len(), 3, "never repeated by itself: {:?}", paths(&server));
    assert!(heard[2].body == body && heard[2].header("authorization") == Some("Bearer t0"));
    assert_eq!(counters.sent.load(SeqCst), 10_000);
}

#[tokio::test]
async fn flows_that_are_refused_end_at_once_and_say_why() {
    let server = with_basic("403 Forbidden", "Basic QVdTOnAx").await;
    let turns = Arc::new(Turns::default());
    let registry = at(&server, Login::Renewed(Arc::clone(&turns) as Arc<dyn Renew>));
    let error = upload(&registry, b"body").await.expect_err("expired");
    assert_eq!((error.class, error.code.as_str(), turns.refused.load(SeqCst)), (FailureClass::Transient, "DENIED", 1));
    assert_eq!(upload(&registry, b"body").await, Ok(StatusCode::OK));

    let invalid = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#;
    let server = Fake::start(move |_, _| answer("400 Bad Request", "", invalid)).await;
    let error = upload(&at(&server, Login::Anonymous), b"body").await.expect_err("refused");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Permanent, "DIGEST_INVALID"));

    let server = Fake::start(|_, _| vec![Step::Close]).await;
    let error = upload(&at(&server, Login::Anonymous), b"body").await.expect_err("closed");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "ConnectionFailed"));
}

#[tokio::test]
async fn a_body_may_come_slowly_but_not_go_slowly() {
    let server = Fake::start(|_, _| answer("201 Created", "", "")).await;
    let registry = at(&server, Login::Anonymous);
    let (mut sender, flow) = Flow::new(2, 2);
    let watch = flow.watch();
    let slowly = async {
        sender.send(Bytes::from_static(b"x")).await.expect("room");
        while watch.taken() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(QUIET * 5).await;
        sender.send(Bytes::from_static(b"x")).await.expect("the registry waits");
    };
    let call = put("a");
    let (answer, ()) = tokio::join!(registry.call_flow(&call, flow), slowly);
    assert_eq!(answer.expect("whole").status(), StatusCode::CREATED);
    tokio::time::resume();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (registry, _) = open(&address, Login::Anonymous, RetryPolicy::never());
    let (mut sender, flow) = Flow::new(1 << 40, 2);
    let endless = async { while sender.send(Bytes::from_static(&[0; 65536])).await.is_ok() {} };
    let unread = async {
        let (stream, _) = listener.accept().await.expect("a client");
        stream.readable().await.expect("a request");
        tokio::time::pause();
        stream
    };
    let (answer, (), _stream) = tokio::join!(registry.call_flow(&call, flow), endless, unread);
    let error = answer.expect_err("nothing is read");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "RequestTimeout"));
}

#[tokio::test]
async fn flows_that_are_given_up_are_failures() {
    let server = Fake::start(|_, _| answer("201 Created", "", "")).await;
    let registry = at(&server, Login::Anonymous);
    let (mut sender, flow) = Flow::new(10, 2);
    let call = put("a");
    let give_up = async {
        sender.send(Bytes::from_static(b"half ")).await.expect("room");
        sender.abort();
    };
    let (answer, ()) = tokio::join!(registry.call_flow(&call, flow), give_up);
    let error = answer.expect_err("not whole");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "ConnectionFailed"));
    assert!(error.message.contains("given up before its end"), "{error}");
    assert!(server.heard().is_empty(), "the server never had a whole request");
}
