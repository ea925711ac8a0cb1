//! The client against servers that split, cut, overrun and close.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
};

use super::{
    body::Pieces,
    client::{Client, SendError, in_words},
    fake::{Fake, Step, answer},
    flow::{Flow, FlowSender, FlowWatch},
    tls,
};

fn say(text: &str) -> Step {
    Step::Say(text.as_bytes().to_vec())
}

fn request(uri: &str, method: Method, body: &[Bytes]) -> Result<Request<Pieces>, SendError> {
    let mut request = Request::new(Pieces::of(body));
    *request.uri_mut() = uri.parse().expect("an address");
    *request.method_mut() = method;
    let host = request.uri().authority().expect("given").as_str().parse().expect("a host");
    request.headers_mut().insert("host", host);
    Ok(request)
}

async fn get(client: &Client, uri: &str) -> Result<Response<Incoming>, SendError> {
    client.send(|| request(uri, Method::GET, &[])).await
}

async fn text(response: Response<Incoming>) -> Result<String, String> {
    let body = response.into_body().collect().await.map_err(|error| in_words(&error))?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).expect("text"))
}

#[tokio::test]
async fn a_head_in_many_packets_is_one_head() {
    let whole = "HTTP/1.1 200 OK\r\nx-amz-meta-a: b\r\ncontent-length: 5\r\n\r\nhello";
    let server = Fake::start(move |_, _| whole.bytes().map(|byte| Step::Say(vec![byte])).collect()).await;
    let client = Client::new().expect("a client");
    for _ in 0..3 {
        let response = get(&client, &server.endpoint()).await.expect("an answer");
        assert_eq!(response.headers()["x-amz-meta-a"], "b");
        assert_eq!(text(response).await.as_deref(), Ok("hello"));
    }
    assert!(server.heard().iter().all(|heard| heard.connection == 0), "one connection serves all");
}

#[tokio::test]
async fn connections_closed_between_requests_are_no_failure() {
    // each connection answers one request and hangs up on the second, after having read it
    let server = Fake::start(|_, heard| {
        if heard.head.starts_with("GET /again") && heard.connection == 0 { vec![Step::Close] } else { answer("200 OK", "", "x") }
    })
    .await;
    let client = Client::new().expect("a client");
    text(get(&client, &server.endpoint()).await.expect("an answer")).await.expect("whole");
    let body = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
    let uri = format!("{}/again", server.endpoint());
    let response = client.send(|| request(&uri, Method::GET, &body)).await.expect("sent again");
    assert_eq!(response.status(), StatusCode::OK);
    let heard = server.heard();
    assert_eq!(heard.iter().map(|h| (h.connection, h.body.as_slice())).collect::<Vec<_>>(), [(0, &b""[..]), (0, b"abc"), (1, b"abc")]);
}

#[tokio::test]
async fn answers_that_end_in_their_head_are_failures() {
    for steps in [vec![Step::Close], vec![say("HTTP/1.1 200 OK\r\ncontent-le"), Step::Close]] {
        let server = Fake::start(move |_, _| steps.clone()).await;
        let client = Client::new().expect("a client");
        let error = get(&client, &server.endpoint()).await.expect_err("no answer");
        assert!(matches!(&error, SendError::Connection(text) if text.contains("closed before message completed")), "{error:?}");
        assert_eq!(server.heard().len(), 1, "a new connection that ends says something");
    }
}

#[tokio::test]
async fn bodies_are_as_long_as_announced_or_broken() {
    let server = Fake::start(|n, _| match n {
        0 => vec![say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"), Step::Close],
        1 => vec![say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more")],
        2 => vec![say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"), Step::Close],
        _ => answer("200 OK", "", "well"),
    })
    .await;
    let client = Client::new().expect("a client");
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(text(get(&client, &server.endpoint()).await.expect("a head")).await);
    }
    assert!(bodies[0].as_ref().is_err_and(|e| e.contains("end of file before message length reached")), "{bodies:?}");
    assert_eq!(bodies[1].as_deref(), Ok("hello"));
    assert!(bodies[2].is_err(), "{bodies:?}");
    assert_eq!(bodies[3].as_deref(), Ok("well"), "what was said too much is not taken for an answer");
}

#[tokio::test]
async fn bodies_arrive_in_one_piece_whatever_pieces_they_are_made_of() {
    let server = Fake::start(|_, heard| answer("200 OK", "", &heard.body.len().to_string())).await;
    let client = Client::new().expect("a client");
    let pieces: Vec<Bytes> = (0..200_u32).map(|n| Bytes::from(vec![n.to_le_bytes()[0]; (n * 37 % 5000) as usize + 1])).collect();
    let whole = pieces.concat();
    let response = client.send(|| request(&server.endpoint(), Method::PUT, &pieces)).await.expect("an answer");
    assert_eq!(text(response).await, Ok(whole.len().to_string()));
    assert!(server.heard()[0].body == whole, "in order");
}

#[tokio::test]
async fn proxies_are_asked_in_absolute_form_or_for_a_tunnel() {
    let proxy = Fake::start(|n, _| if n == 0 { answer("200 OK", "", "by proxy") } else { answer("502 Bad Gateway", "", "") }).await;
    let address = proxy.endpoint().replace("http://", "http://me:secret@");
    let matcher = Matcher::builder().all(address).no("direct.example").build();
    let client = Client::with(tls::config().expect("certificates"), Some(matcher));
    let response = get(&client, "http://store.example:9000/bucket/key").await.expect("an answer");
    assert_eq!(text(response).await.as_deref(), Ok("by proxy"));
    let error = get(&client, "https://store.example/bucket/key").await.expect_err("no tunnel").to_string();
    assert!(error.contains("tunnel"), "{error}");
    let heard = proxy.heard();
    assert!(heard[0].head.starts_with("GET http://store.example:9000/bucket/key HTTP/1.1\r\n"), "{}", heard[0].head);
    assert!(heard[1].head.starts_with("CONNECT store.example:443 HTTP/1.1\r\n"), "{}", heard[1].head);
    for heard in &heard {
        assert_eq!(heard.header("proxy-authorization"), Some("Basic bWU6c2VjcmV0"), "{}", heard.head);
    }
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn who_cannot_be_reached_is_told() {
    let client = Client::new().expect("a client");
    let error = get(&client, "http://127.0.0.1:1").await.expect_err("nobody listens on port 1");
    let text = "client error (Connect): tcp connect error: Connection refused (os error 111)";
    assert_eq!(error, SendError::Connection(text.to_owned()));
}

/// Serves one connection: reads a head, tells that, says `answer`, reads until the client closes. Gives all it has read.
async fn reads_until_closed(answer: &'static str) -> (String, oneshot::Receiver<()>, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, head_came) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut read = Vec::new();
        while !read.windows(4).any(|w| w == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut read).await.expect("reads") > 0, "a whole head");
        }
        tell.send(()).expect("the test waits");
        stream.write_all(answer.as_bytes()).await.expect("writes");
        // a reset ends it as well
        while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {}
        read
    });
    (endpoint, head_came, serving)
}

fn flow_to(endpoint: &str, length: u64) -> (FlowSender, FlowWatch, Request<Flow>) {
    let (sender, flow) = Flow::new(length, 4);
    let watch = flow.watch();
    let mut request = Request::put(endpoint).body(flow).expect("a request");
    let host = request.uri().authority().expect("given").as_str().parse().expect("a host");
    request.headers_mut().insert("host", host);
    (sender, watch, request)
}

#[tokio::test]
async fn bodies_may_come_while_they_are_sent() {
    let server = Fake::start(|_, heard| answer("201 Created", "", &heard.body.len().to_string())).await;
    let client = Client::new().expect("a client");
    let whole: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for _ in 0..2 {
        let (mut sender, watch, request) = flow_to(&server.endpoint(), whole.len() as u64);
        let feed = async {
            for piece in whole.chunks(7001) {
                sender.send(Bytes::copy_from_slice(piece)).await.expect("the server reads");
            }
        };
        let (response, ()) = tokio::join!(client.send_flow(request), feed);
        assert_eq!(text(response.expect("an answer")).await.as_deref(), Ok("1000000"));
        assert!(watch.is_complete() && !watch.is_waiting());
    }
    let heard = server.heard();
    assert!(heard.iter().all(|heard| heard.body == whole && heard.header("content-length") == Some("1000000")));
    assert_eq!(heard[1].connection, 0, "the connection is used again");
}

#[tokio::test]
async fn a_body_that_is_given_up_closes_its_connection() {
    let client = Client::new().expect("a client");
    for dropped in [false, true] {
        let (endpoint, head_came, serving) = reads_until_closed("").await;
        let (mut sender, _watch, request) = flow_to(&endpoint, 100);
        let feed = async {
            sender.send(Bytes::from_static(&[b'x'; 60])).await.expect("the server reads");
            head_came.await.expect("the request is on its way");
            if dropped { drop(sender) } else { sender.abort() }
        };
        let (response, ()) = tokio::join!(client.send_flow(request), feed);
        let error = response.expect_err("there is no answer to half a request");
        assert!(matches!(&error, SendError::Connection(text) if text.contains("given up before its end")), "{error:?}");
        let read = String::from_utf8(serving.await.expect("the connection was closed")).expect("text");
        let (head, body) = read.split_once("\r\n\r\n").expect("a head");
        assert!(head.to_lowercase().contains("content-length: 100"), "{head}");
        assert!(body.len() < 100, "the request cannot be complete");
    }
}

#[tokio::test]
async fn answers_that_come_early_stop_the_body() {
    let client = Client::new().expect("a client");
    let (endpoint, _head_came, serving) = reads_until_closed("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
    let (mut sender, watch, request) = flow_to(&endpoint, 1 << 40);
    let feed = tokio::spawn(async move { while sender.send(Bytes::from_static(&[0; 4096])).await.is_ok() {} });
    let response = client.send_flow(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await.as_deref(), Ok("big"));
    assert!(!watch.is_complete());
    drop(watch);
    feed.await.expect("who feeds it hears of it");
    serving.await.expect("the connection was closed");
}

#[tokio::test]
async fn who_feeds_a_body_hears_of_a_server_that_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let leaving = tokio::spawn(async move { drop(listener.accept().await.expect("a client")) });
    let (mut sender, _watch, request) = flow_to(&endpoint, 1 << 40);
    let feed = async { while sender.send(Bytes::from_static(&[0; 4096])).await.is_ok() {} };
    let client = Client::new().expect("a client");
    let (response, ()) = tokio::join!(client.send_flow(request), feed);
    assert!(matches!(response, Err(SendError::Connection(_))), "{response:?}");
    leaving.await.expect("accepted");
}
