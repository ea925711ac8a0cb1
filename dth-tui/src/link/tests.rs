//! The connection against a daemon in memory.

use std::sync::atomic::Ordering;

use super::*;
use crate::{fake::Fake, model::sample};

fn start_on(fake: &Fake) -> (Handle, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(64);
    let fake = fake.clone();
    let connect = move || {
        let fake = fake.clone();
        async move { fake.connect().await }
    };
    (start_with(connect, sender), receiver)
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Change {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("in time").expect("running");
    let Event::Link(change) = event else { panic!("only the link speaks here: {event:?}") };
    change
}

async fn reply(events: &mut mpsc::Receiver<Event>) -> dth_proto::watch::WatchReply {
    loop {
        if let Change::Reply { reply, .. } = next(events).await {
            return *reply;
        }
    }
}

#[test]
fn pauses_grow_to_their_limit_and_never_fall_below_the_first() {
    assert_eq!(pause(1, 0.0), PAUSES.0);
    assert_eq!(pause(3, 1.0), Duration::from_secs(2));
    assert_eq!([pause(40, 1.0), pause(u32::MAX, 1.0)], [PAUSES.1; 2]);
    assert_eq!(pause(40, 0.0), PAUSES.1 / 2);
    assert!((0..50).map(|_| chance()).all(|c| (0.0..=1.0).contains(&c)));
}

#[tokio::test]
async fn it_brings_a_snapshot_and_then_differences() {
    let fake = Fake::new(Duration::from_secs(20));
    let (handle, mut events) = start_on(&fake);
    let Change::Up(welcome, info) = next(&mut events).await else { panic!("the connection comes first") };
    assert_eq!((welcome.role.as_str(), info.map(|i| i.pid)), ("operator", Some(2211)));
    assert!(handle.client.borrow().is_some());
    let first = reply(&mut events).await;
    assert!(first.full && first.changed.len() == 6);
    fake.change(|m| m.summary.running = 77);
    let second = reply(&mut events).await;
    assert_eq!((second.full, second.summary.map(|s| s.running)), (false, Some(77)));
}

#[tokio::test]
async fn another_focus_is_asked_for_at_once() {
    let fake = Fake::new(Duration::from_secs(20));
    let (handle, mut events) = start_on(&fake);
    reply(&mut events).await;
    let name = sample::name("photos-cn-to-global");
    let mut seen = fake.focus.subscribe();
    handle.focus(Some(name.clone()));
    let focused = seen.wait_for(|f| f.as_ref() == Some(&name));
    tokio::time::timeout(Duration::from_secs(5), focused).await.expect("well before the watch would have ended").expect("alive");
}

#[tokio::test]
async fn a_broken_link_comes_back_and_goes_on_where_it_was() {
    let fake = Fake::new(Duration::from_secs(20));
    let (handle, mut events) = start_on(&fake);
    reply(&mut events).await;
    fake.cut();
    let Change::Down { tries, retry_in, .. } = next(&mut events).await else { panic!("it is down") };
    assert_eq!(tries, 1);
    assert!(retry_in >= PAUSES.0);
    assert!(handle.client.borrow().is_none());
    handle.reconnect();
    assert!(matches!(next(&mut events).await, Change::Up(..)));
    fake.change(|m| m.summary.running = 5);
    assert!(!reply(&mut events).await.full, "what is known is not sent again");
}

#[tokio::test]
async fn it_never_gives_up_and_says_why() {
    let (sender, mut events) = mpsc::channel(64);
    let handle = start_with(|| async { Err::<Connection, _>("cannot reach dthd".to_owned()) }, sender);
    for expected in 1..=4 {
        let Change::Down { error, tries, .. } = next(&mut events).await else { panic!("it is down") };
        assert_eq!((error.as_str(), tries), ("cannot reach dthd", expected));
        handle.reconnect();
    }
}

#[tokio::test]
async fn it_ends_with_the_dashboard() {
    let fake = Fake::new(Duration::from_millis(5));
    let (handle, mut events) = start_on(&fake);
    reply(&mut events).await;
    let mut client = handle.client.clone();
    drop(events);
    drop(handle);
    while client.changed().await.is_ok() {}
    let after = fake.watches.load(Ordering::SeqCst);
    assert!(after >= 1);
}

#[tokio::test]
async fn a_real_socket_works_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("d.sock");
    let (sender, mut events) = mpsc::channel(64);
    let handle = start(Address::Unix(path.clone()), sender);
    let Change::Down { error, .. } = next(&mut events).await else { panic!("nobody listens") };
    assert!(error.contains("d.sock"), "{error}");
    let listener = tokio::net::UnixListener::bind(&path).expect("bound");
    handle.reconnect();
    let (mut io, _) = listener.accept().await.expect("accepted");
    let hello = dth_proto::handshake::read_line(&mut io).await.expect("a line");
    assert!(hello.contains("name=dth/"), "{hello}");
    let say = dth_proto::handshake::refusal("version", "upgrade dth");
    dth_proto::handshake::write_line(&mut io, &say).await.expect("written");
    let Change::Down { error, .. } = next(&mut events).await else { panic!("it was refused") };
    assert!(error.contains("upgrade dth"), "{error}");
}
