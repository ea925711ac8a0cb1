//! What can go wrong between the daemon and a store, one case after the other in one table: each ends in a recovery or in a failure
//! that names side, operation and code. Never in a hang, never in a wrong object.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use dth_proto::{
    failure::Side::{self, Destination, Source},
    view::{RunOutcome, TaskState},
};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Algorithm, Answer, Fault, Object, Operation, Server, Wire},
    task::ended_well,
    wait::eventually,
};
use futures::{FutureExt as _, future::join_all};

use crate::{
    data,
    pair::{daemon, signed, stores},
};

const MIB: usize = 1 << 20;
const LIST: [Operation; 1] = [Operation::ListObjectsV2];
const GET: [Operation; 1] = [Operation::GetObject];
const PUT: [Operation; 1] = [Operation::PutObject];
const PART: [Operation; 1] = [Operation::UploadPart];
const COMPLETE: [Operation; 1] = [Operation::CompleteMultipartUpload];
/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(30);
/// Keys that only a reader of XML who knows its business gets right.
const ODD: [&str; 7] = ["a\u{1}b", "a\tb", "a\nb", "a\u{7f}&<>\"'", "a+b %2B%", "ü/日本/🦀", "//../."];

/// What a source has before the case begins.
enum Content {
    /// Four small objects, one of them empty.
    Small,
    /// One object that is copied in parts.
    Large,
    /// More keys than a page has. The destination has them already.
    Listed,
    /// [`ODD`] keys.
    Odd,
}

/// How a case must end.
enum End {
    /// The run has succeeded.
    Right,
    /// Items have failed at this operation, with one of these codes; the others are copied.
    Items(Operation, &'static [&'static str]),
    /// The run has failed at this operation, with one of these codes.
    Run(Operation, &'static [&'static str]),
}

struct Case {
    name: &'static str,
    side: Side,
    content: Content,
    faults: Vec<Fault>,
    end: End,
}

fn case<const N: usize>(name: &'static str, side: Side, content: Content, faults: [Fault; N], end: End) -> Case {
    Case { name, side, content, faults: faults.into(), end }
}

fn wire(wire: Wire) -> Fault {
    Fault::new(Action::Wire(wire))
}

fn says(answer: Answer) -> Fault {
    Fault::new(Action::Answer(answer))
}

fn html() -> Answer {
    Answer::new(200)
        .header("content-type", "text/html")
        .body("<!DOCTYPE html><html><body><p>Sign in to the guest network<br></body></html>")
}

fn to_itself(status: u16, code: &str) -> Answer {
    // a relative reference (RFC 9110, 10.2.2) leads to the same host
    Answer::error(status, code).header("location", "/from?again")
}

/// Answers that arrive in an odd way.
fn ways() -> Vec<Case> {
    use Content::{Large, Listed, Odd, Small};
    use End::{Items, Right, Run};
    vec![
        case("list-trickle", Source, Odd, [wire(Wire::Trickle).on(LIST)], Right),
        case("get-trickle", Source, Small, [wire(Wire::Trickle).on(GET)], Right),
        case("put-trickle", Destination, Small, [wire(Wire::Trickle).on(PUT)], Right),
        case("list-overlong", Source, Listed, [wire(Wire::Overlong(9)).on(LIST)], Right),
        case("get-overlong", Source, Small, [wire(Wire::Overlong(300)).on(GET)], Right),
        case("put-overlong", Destination, Small, [wire(Wire::Overlong(3)).on(PUT)], Right),
        case("get-chunks", Source, Small, [wire(Wire::Chunks).on(GET)], Right),
        case("list-chunks", Source, Listed, [wire(Wire::Chunks).on(LIST)], Right),
        case("get-until-close", Source, Small, [wire(Wire::UntilClose).on(GET)], Right),
        case("list-until-close", Destination, Listed, [wire(Wire::UntilClose).on(LIST)], Right),
        case("get-chunks-cut", Source, Small, [wire(Wire::ChunksWithoutEnd).on(GET).first(2)], Right),
        case("part-chunks-cut", Source, Large, [wire(Wire::ChunksWithoutEnd).on(GET).first(2)], Right),
        case("list-chunks-cut", Source, Listed, [wire(Wire::ChunksWithoutEnd).on(LIST).first(2)], Right),
        case("get-short", Source, Small, [Fault::new(Action::Truncate(5)).on(GET).first(3)], Right),
        case("list-short", Destination, Listed, [Fault::new(Action::Truncate(999)).on(LIST).first(2)], Right),
        case("half-header", Source, Small, [wire(Wire::HalfHeader).every(2)], Right),
        // not each third: an upload of which nobody knows is begun again with three requests, which would meet the fault each time
        case("half-header-there", Destination, Large, [wire(Wire::HalfHeader).every(4)], Right),
        case("closed-behind-each", Source, Small, [wire(Wire::CloseBehind)], Right),
        case("closed-behind-each-there", Destination, Large, [wire(Wire::CloseBehind)], Right),
        case("closed-behind-some", Destination, Small, [wire(Wire::CloseBehind).every(3)], Right),
        case("rubbish", Source, Small, [wire(Wire::Rubbish).every(3)], Right),
        case("rubbish-always", Source, Small, [wire(Wire::Rubbish).on(GET)], Items(Operation::GetObject, &["ConnectionFailed"])),
        case("short-always", Source, Small, [wire(Wire::ChunksWithoutEnd).on(GET)], Items(Operation::GetObject, &["TruncatedBody"])),
        case("list-half-always", Source, Small, [wire(Wire::HalfHeader).on(LIST)], Run(Operation::ListObjectsV2, &["ConnectionFailed"])),
    ]
}

/// Answers that say something odd.
fn words() -> Vec<Case> {
    use Content::{Large, Listed, Odd, Small};
    use End::{Items, Right, Run};
    let [list, get, put, part] = [Operation::ListObjectsV2, Operation::GetObject, Operation::PutObject, Operation::UploadPart];
    let fault = |action: Action| Fault::new(action);
    let redirects: &[&str] = &["PermanentRedirect", "TemporaryRedirect", "TooManyRedirects"];
    vec![
        case("list-301", Source, Small, [says(to_itself(301, "PermanentRedirect")).on(LIST)], Run(list, redirects)),
        case("list-307", Destination, Small, [says(to_itself(307, "TemporaryRedirect")).on(LIST)], Run(list, redirects)),
        case("get-301", Source, Small, [says(to_itself(301, "PermanentRedirect")).on(GET)], Items(get, redirects)),
        case("put-307", Destination, Small, [says(to_itself(307, "TemporaryRedirect")).on(PUT)], Items(put, redirects)),
        case("slow-down", Source, Small, [says(Answer::error(503, "SlowDown").header("retry-after", "1")).on(GET).first(2)], Right),
        case(
            "slow-down-there",
            Destination,
            Large,
            [says(Answer::error(503, "SlowDown").header("retry-after", "1")).on(PART).first(1)],
            Right,
        ),
        case("expired-once", Source, Small, [says(Answer::error(400, "ExpiredToken")).on(GET).nth(2)], Right),
        case("expired-once-list", Destination, Listed, [says(Answer::error(400, "ExpiredToken")).on(LIST).nth(1)], Right),
        case("expired-once-put", Destination, Small, [says(Answer::error(400, "ExpiredToken")).on(PUT).nth(3)], Right),
        case("list-error-in-200", Source, Listed, [fault(Action::ErrorIn200).on(LIST).first(2)], Right),
        case("put-error-in-200", Destination, Small, [fault(Action::ErrorIn200).on(PUT).first(3)], Right),
        case("part-error-in-200", Destination, Large, [fault(Action::ErrorIn200).on(PART).first(2)], Right),
        case("complete-error-in-200", Destination, Large, [fault(Action::ErrorIn200).on(COMPLETE).first(2)], Right),
        case("list-error-in-200-always", Source, Small, [fault(Action::ErrorIn200).on(LIST)], Run(list, &["InternalError"])),
        case(
            "put-error-in-200-always",
            Destination,
            Small,
            [fault(Action::ErrorIn200).on(PUT)],
            Items(put, &["InternalError", "IncompleteAnswer"]),
        ),
        case(
            "part-error-in-200-always",
            Destination,
            Large,
            [fault(Action::ErrorIn200).on(PART)],
            Items(part, &["InternalError", "IncompleteAnswer"]),
        ),
        case("list-html", Source, Listed, [says(html()).on(LIST).first(2)], Right),
        case(
            "list-html-always",
            Destination,
            Small,
            [says(html()).on(LIST)],
            Run(list, &["IncompletePage", "UnexpectedAnswer", "MalformedXML"]),
        ),
        case("list-cut", Source, Listed, [fault(Action::Shorten(700)).on(LIST).first(2)], Right),
        case(
            "list-cut-always",
            Source,
            Small,
            [fault(Action::Shorten(700)).on(LIST)],
            Run(list, &["IncompletePage", "UnexpectedAnswer", "MalformedXML"]),
        ),
        case("list-plain", Source, Odd, [fault(Action::PlainKeys).on(LIST)], Right),
        case("list-no-token", Source, Listed, [fault(Action::TruncatedWithoutToken).on(LIST).first(2)], Right),
        case("list-circle", Source, Listed, [fault(Action::RepeatPage).on(LIST)], Run(list, &["ListLoop"])),
        case("list-circle-there", Destination, Listed, [fault(Action::RepeatPage).on(LIST)], Run(list, &["ListLoop"])),
        case("bytes-corrupt", Source, Small, [fault(Action::Corrupt(3)).on(GET).first(2)], Right),
        case(
            "other-etag",
            Destination,
            Small,
            [says(Answer::new(200).header("etag", "\"00000000000000000000000000000000\"")).on(PUT).first(2)],
            Right,
        ),
        case(
            "other-etag-always",
            Destination,
            Small,
            [says(Answer::new(200).header("etag", "\"00000000000000000000000000000000\"")).on(PUT)],
            Items(put, &["DigestMismatch", "BadDigest", "ETagMismatch"]),
        ),
    ]
}

fn fill(content: &Content, source: &Server, destination: &Server) {
    match content {
        Content::Small => {
            for (key, len) in [("s/empty", 0), ("s/one", 1), ("s/some", 1_000), ("s/more", 70_000)] {
                data::single(source.store(), "from", key, len);
            }
        }
        Content::Large => data::single(source.store(), "from", "large", 17 * MIB),
        Content::Listed => {
            for n in 0..1_300 {
                let object = Arc::new(Object::new(format!("{n}")));
                source.store().put("from", &format!("l/{n:05}"), Arc::clone(&object));
                destination.store().put("to", &format!("l/{n:05}"), object);
            }
        }
        Content::Odd => ODD.iter().for_each(|key| data::single(source.store(), "from", key, 100)),
    }
}

/// Whatever happened: what arrived is what was sent.
fn nothing_is_wrong(name: &str, source: &Server, destination: &Server) {
    let ours = source.store().all("from");
    for (key, object) in destination.store().all("to") {
        assert!(ours.get(&key).is_some_and(|one| one.data == object.data), "{name}: {key:?} is wrong");
    }
}

impl Case {
    async fn run(&self, daemon: &Daemon) {
        let name = self.name;
        let (source, destination) = stores().await;
        fill(&self.content, &source, &destination);
        let struck = if self.side == Source { &source } else { &destination };
        let faults: Vec<_> = self.faults.iter().map(|fault| struck.faults().add(fault.clone())).collect();
        let task = signed(name, &source, &destination);
        task.start(daemon).await;
        let (_, run) = task.wait(daemon).await;
        let failures = task.failures(daemon).await;
        assert!(faults.iter().all(|fault| struck.faults().struck(*fault) > 0), "{name}: nothing was struck: {run:?}");
        nothing_is_wrong(name, &source, &destination);
        assert!(run.counters.balanced(), "{name}: {run:?}");
        match &self.end {
            End::Right => {
                assert_eq!(run.outcome, Some(RunOutcome::Succeeded), "{name}: {run:?}\n{failures:#?}");
                assert_eq!(destination.store().all("to").len(), source.store().all("from").len(), "{name}");
                assert!(destination.store().uploads("to").is_empty(), "{name}: an upload was left behind");
            }
            End::Items(operation, codes) => {
                assert_eq!(run.outcome, Some(RunOutcome::Incomplete), "{name}: {run:?}");
                for item in &failures {
                    let place = (item.side, item.operation.as_str());
                    assert_eq!(place, (self.side, operation.name()), "{name}: {item:?}");
                    assert!(codes.contains(&item.code.as_str()) && !item.message.is_empty(), "{name}: {item:?}");
                }
                assert!(!failures.is_empty(), "{name}: {run:?}");
            }
            End::Run(operation, codes) => {
                assert_eq!(run.outcome, Some(RunOutcome::Failed), "{name}: {run:?}");
                let error = run.error.unwrap_or_default();
                let told = error.contains(self.side.word()) && error.contains(operation.name());
                assert!(told && codes.iter().any(|code| error.contains(code)), "{name}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_case_of_the_table_ends_as_it_must() {
    let daemon = daemon("[limits]\nruns = 64\n").await;
    let cases: Vec<Case> = ways().into_iter().chain(words()).collect();
    // each case says what is wrong with it when it panics; one must not hide the others
    let ends = join_all(cases.iter().map(|case| AssertUnwindSafe(case.run(&daemon)).catch_unwind())).await;
    let wrong: Vec<&str> = cases.iter().zip(&ends).filter(|(_, end)| end.is_err()).map(|(case, _)| case.name).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    ended_well(daemon).await;
}

/// Stores with small objects and one that is copied in parts at the source.
async fn filled() -> (Server, Server) {
    let (source, destination) = stores().await;
    fill(&Content::Small, &source, &destination);
    fill(&Content::Large, &source, &destination);
    (source, destination)
}

/// Control characters as they are, which XML 1.0 forbids and gateways write all the same.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_xml_may_hold_are_copied() {
    let (source, destination) = stores().await;
    fill(&Content::Odd, &source, &destination);
    source.faults().add(Fault::new(Action::RawKeys).on(LIST));
    destination.faults().add(Fault::new(Action::RawKeys).on(LIST));
    let daemon = daemon("").await;
    let task = signed("raw", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!(run.counters.copied, ODD.len() as u64, "{run:?}");
    data::identical(&source, "from", &destination, "to");
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.same, again.counters.copied), (ODD.len() as u64, 0), "{again:?}");
    ended_well(daemon).await;
}

/// What the source says its checksum is does not go with its bytes: copied with what was computed, or told; but not believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_is_not_that_of_the_bytes_is_not_believed() {
    let (source, destination) = stores().await;
    let wrong = Algorithm::Crc64Nvme.of(&Bytes::from_static(b"other").into());
    for (key, len) in [("c/small", 3_000), ("c/large", 17 * MIB)] {
        let mut object = Object::new(data::noise(key, len));
        object.checksums = vec![wrong.clone()];
        source.store().put("from", key, object);
    }
    let daemon = daemon("").await;
    let task = signed("checksum", &source, &destination);
    task.start(&daemon).await;
    let (_, run) = task.wait(&daemon).await;
    nothing_is_wrong("checksum", &source, &destination);
    assert_eq!((run.counters.copied + run.counters.failed, run.counters.listed), (2, 2), "{run:?}");
    for (key, object) in destination.store().all("to") {
        assert!(!object.checksums.contains(&wrong), "{key} has the wrong checksum too");
    }
    for item in task.failures(&daemon).await {
        assert!(["BadDigest", "DigestMismatch", "ChecksumMismatch"].contains(&item.code.as_str()), "{item:?}");
    }
    ended_well(daemon).await;
}

/// Requests that nobody ever answers hold up neither a stop nor the end of the daemon, and no other task.
#[tokio::test(flavor = "multi_thread")]
async fn silence_holds_nothing_up() {
    let daemon = daemon("drain = \"1s\"\n").await;
    for (name, side, operation) in [
        ("list", Source, Operation::ListObjectsV2),
        ("get", Source, Operation::GetObject),
        ("list-there", Destination, Operation::ListObjectsV2),
        ("put", Destination, Operation::PutObject),
        ("part", Destination, Operation::UploadPart),
    ] {
        let (source, destination) = filled().await;
        let struck = if side == Source { &source } else { &destination };
        let silence = struck.faults().add(wire(Wire::Silence).on([operation]));
        let silent = signed(&format!("silent-{name}"), &source, &destination);
        silent.start(&daemon).await;
        let what = format!("{operation} is not answered");
        eventually(&what, PATIENCE, || async { (struck.faults().struck(silence) > 0).then_some(()) }).await;
        let (near, far) = filled().await;
        let other = signed(&format!("other-{name}"), &near, &far);
        other.start(&daemon).await;
        assert_eq!(other.succeeds(&daemon).await.counters.copied, 5);
        silent.tell(&daemon, "stop", &[]).await;
        let stopped = || async { (silent.show(&daemon).await.view.state == TaskState::Idle).then_some(()) };
        eventually(&format!("{name} has stopped"), PATIENCE, stopped).await;
        nothing_is_wrong(name, &source, &destination);
        struck.faults().clear();
        silent.again(&daemon).await;
        data::identical(&source, "from", &destination, "to");
    }
    let (source, destination) = filled().await;
    let silence = source.faults().add(wire(Wire::Silence).on(GET));
    signed("last", &source, &destination).start(&daemon).await;
    eventually("GETs are not answered", PATIENCE, || async { (source.faults().struck(silence) > 0).then_some(()) }).await;
    ended_well(daemon).await;
}
