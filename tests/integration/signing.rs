//! Who may ask: the region and the clock that a signature must name, wrong secrets, unknown certificates, and hosts it was not meant for.

use dth_proto::view::RunOutcome;
use dth_tests::{
    daemon::Daemon,
    s3::{ACCESS_KEY, Action, Answer, Builder, Ca, Fault, Object, Operation, Server},
    task::ended_well,
};
use jiff::SignedDuration;

use crate::{
    data,
    pair::{daemon, signed, stores_like},
};

const LIST: [Operation; 1] = [Operation::ListObjectsV2];

/// Stores as `settings` say, with four small objects and one that is copied in parts at the source.
async fn filled(settings: impl Fn() -> Builder) -> (Server, Server) {
    let (source, destination) = stores_like(settings).await;
    data::small(source.store(), "from", "small/", 4);
    data::single(source.store(), "from", "large", 17 << 20);
    (source, destination)
}

/// `AuthorizationHeaderMalformed` and `PermanentRedirect` say which region it should have been; what is signed for that is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn the_region_is_taken_from_the_answer() {
    let (source, destination) = filled(|| Server::builder().region("eu-west-1").anonymous(false)).await;
    let moved = Answer::error(301, "PermanentRedirect").header("x-amz-bucket-region", "eu-west-1");
    let moved = source.faults().add(Fault::new(Action::Answer(moved)).on(LIST).first(1));
    let daemon = daemon("").await;
    let task = signed("region", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((source.faults().struck(moved), run.counters.copied), (1, 5), "{run:?}");
    data::identical(&source, "from", &destination, "to");
    ended_well(daemon).await;
}

/// `RequestTimeTooSkewed` comes with the store's time; what is signed for that is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_taken_from_the_answer() {
    for ahead in [SignedDuration::from_mins(40), SignedDuration::from_mins(-40)] {
        let (source, destination) = filled(|| Server::builder().clock_offset(ahead).anonymous(false)).await;
        let daemon = daemon("").await;
        let task = signed("clock", &source, &destination);
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        assert_eq!(run.counters.copied, 5, "{run:?}");
        data::identical(&source, "from", &destination, "to");
        ended_well(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_gets_nothing_that_was_signed_for_this_one() {
    let (source, destination) = filled(Server::builder).await;
    let stranger = Server::start().await.unwrap();
    stranger.store().put("from", "trap", Object::new("trap"));
    // a name that has nothing in common with the address the source is known by
    let location = format!("http://localhost:{}/from?list-type=2", stranger.address().port());
    let elsewhere = Answer::error(307, "TemporaryRedirect").header("location", &location);
    source.faults().add(Fault::new(Action::Answer(elsewhere)).on(LIST));
    let daemon = daemon("").await;
    let task = signed("elsewhere", &source, &destination);
    task.start(&daemon).await;
    let (_, run) = task.wait(&daemon).await;
    assert_eq!(run.outcome, Some(RunOutcome::Failed), "{run:?}");
    assert!(run.error.as_ref().is_some_and(|error| error.contains("TemporaryRedirect") && error.contains("source")), "{run:?}");
    assert_eq!((stranger.requests().total(), destination.store().all("to").len()), (0, 0));
    ended_well(daemon).await;
}

/// A wrong secret, and a certificate of nobody one knows: the run fails, and nothing was asked twice for it.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_prove_who_he_is_is_told() {
    let (source, destination) = filled(Server::builder).await;
    let hidden = Server::builder().tls(&Ca::new()).start().await.unwrap();
    hidden.store().put("from", "key", Object::new("secret"));
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("wrong", ACCESS_KEY, "not-the-secret");
    daemon.configure(&format!("[credentials.embedded]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
    daemon.restart().await;
    for (name, from, code) in [("secret", &source, "SignatureDoesNotMatch"), ("certificate", &hidden, "ConnectionFailed")] {
        let task = signed(name, from, &destination).with("destination.credential", "anonymous");
        task.start(&daemon).await;
        let (_, run) = task.wait(&daemon).await;
        let error = run.error.clone().unwrap_or_default();
        assert_eq!(run.outcome, Some(RunOutcome::Failed), "{run:?}");
        assert!([code, "source", "ListObjectsV2"].iter().all(|word| error.contains(word)), "{error}");
        assert!(!error.contains("not-the-secret") && destination.store().all("to").is_empty(), "{error}");
    }
    assert_eq!((source.requests().of(Operation::GetObject), hidden.requests().total()), (0, 0));
    ended_well(daemon).await;
}
