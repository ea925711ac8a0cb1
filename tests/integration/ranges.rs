//! Listings are read in key ranges side by side: every key counts once, whatever the keys, a kill, or a page that fails.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dth_proto::view::{RunOutcome, TaskState};
use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Listed, Object, Operation, Server},
    task::ended_well,
    wait::eventually,
};

use crate::{
    data,
    pair::{stores_like, task},
};

const LIST: Operation = Operation::ListObjectsV2;
/// Keys in a page: few, so that there are many pages.
const PAGE: usize = 50;
const FLAT: usize = 26_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Keys that a split between characters, bytes or directories may lose: neighbours, prefixes of each other, the ends of what a key can be.
fn hostile() -> Vec<String> {
    let mut keys = [
        "!",
        "//",
        "a//b",
        "flat",
        "flat/",
        "flat/0",
        "flat/0999",
        "flat/1000\u{1}",
        "flat/1000\u{10ffff}",
        "flat0",
        "z",
        "z\u{1}",
        "z\u{10ffff}",
    ]
    .map(str::to_owned)
    .to_vec();
    for code in (1_u8..0x20).chain([0x7f]) {
        keys.push(format!("control/{}", char::from(code)));
    }
    for letter in ["é", "e\u{301}", "日", "🦀", "\u{ffff}", "\u{10ffff}"] {
        keys.extend([letter.to_owned(), letter.repeat(3), format!("{letter}/x"), format!("flat/{letter}")]);
    }
    keys.push("k".repeat(1_024));
    keys.push("\u{10ffff}".repeat(256));
    keys
}

/// All keys: a long flat stretch, a deep tree, and the hostile ones.
fn keys() -> BTreeSet<String> {
    let flat = (0..FLAT).map(|n| format!("flat/{n:05}-of-many"));
    let deep = (0..4_000).map(|n| format!("tree/{}/{}/{}/leaf-{n}", n % 7, n % 11, n % 13));
    flat.chain(deep).chain(hostile()).collect()
}

/// A source with all keys, and a destination that lacks each `nth`; `latency` per page. Answers with the keys that are missing there.
async fn stores(nth: usize, latency: Duration) -> (Server, Server, BTreeSet<String>) {
    let (source, destination) = stores_like(|| Server::builder().page(PAGE)).await;
    let mut missing = BTreeSet::new();
    for (n, key) in keys().into_iter().enumerate() {
        let object = Arc::new(Object::new(key.clone()));
        source.store().put("from", &key, Arc::clone(&object));
        if n % nth == 0 {
            missing.insert(key);
        } else {
            destination.store().put("to", &key, object);
        }
    }
    for server in [&source, &destination] {
        server.faults().add(Fault::new(Action::Delay(latency)).on([LIST]));
    }
    (source, destination, missing)
}

fn each_was_sent_once(destination: &Server, missing: &BTreeSet<String>) {
    let requests = destination.requests();
    assert_eq!(requests.of(Operation::PutObject), missing.len() as u64);
    assert!(missing.iter().all(|key| requests.of_key(Operation::PutObject, key) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_asked_for_side_by_side_and_every_key_counts_once() {
    let (source, destination, missing) = stores(200, Duration::from_millis(40)).await;
    let all = keys().len() as u64;
    // some pages fail once, in whatever range they are
    source.faults().add(Fault::new(Action::InternalError).on([LIST]).every(23));
    destination.faults().add(Fault::new(Action::SlowDown).on([LIST]).every(31));
    let daemon = Daemon::start("").await;
    let task = task("ranges", &source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    let counters = run.counters;
    let expected = (all, missing.len() as u64, all - missing.len() as u64);
    assert_eq!((counters.listed, counters.copied, counters.same), expected, "{run:?}");
    each_was_sent_once(&destination, &missing);
    data::identical(&source, "from", &destination, "to");
    for server in [&source, &destination] {
        let requests = server.requests();
        let (most, told) = (requests.most_at_once(LIST), requests.pages.iter().map(|page| page.keys as u64).sum::<u64>());
        assert!(most >= 8, "at most {most} pages were asked for at the same time");
        assert!(told < 2 * all, "{told} keys were told in {} pages where there are {all}", requests.pages.len());
    }
    // the next run knows where to cut
    source.reset_requests();
    let again = task.again(&daemon).await;
    assert_eq!((again.counters.listed, again.counters.same), (all, all), "{again:?}");
    assert!(source.requests().most_at_once(LIST) >= 8, "{}", source.requests().most_at_once(LIST));
    ended_well(daemon).await;
}

/// Keys that are in pages of both logs.
fn twice(server: &Server, before: &[Listed], after: &[Listed], bucket: &str) -> usize {
    let all = server.store().all(bucket);
    let told = |pages: &[Listed]| -> BTreeSet<String> {
        let keys = |page: &Listed| {
            all.range::<str, _>((std::ops::Bound::Excluded(page.after.as_str()), std::ops::Bound::Unbounded))
                .filter(|(key, _)| key.starts_with(&page.prefix))
                .take(page.keys)
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        pages.iter().flat_map(keys).collect()
    };
    told(before).intersection(&told(after)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_the_listing_costs_the_pages_that_were_open() {
    let (source, destination, missing) = stores(2_000, Duration::from_millis(120)).await;
    let all = keys().len() as u64;
    let mut daemon = Daemon::start("").await;
    let task = task("killed", &source, &destination);
    task.start(&daemon).await;
    let reached = |daemon: &Daemon, share: u64| {
        let shown = daemon.dth(&["show", "killed"]);
        async move {
            let detail: dth_proto::view::TaskDetail = shown.json().await;
            let run = detail.view.run.unwrap();
            assert!(run.outcome.is_none() && run.counters.balanced(), "{run:?}");
            (run.counters.listed > all * share / 10).then_some(())
        }
    };
    eventually("a tenth is listed", PATIENCE, || reached(&daemon, 1)).await;
    daemon.kill();
    daemon.restart().await;

    // paused, its checkpoint is stored; what is read again after the next kill is what was open then
    eventually("half is listed", PATIENCE, || reached(&daemon, 5)).await;
    task.tell(&daemon, "pause", &[]).await;
    let paused = || async { (task.show(&daemon).await.view.state == TaskState::Paused).then_some(()) };
    eventually("the task is paused", PATIENCE, paused).await;
    let before = [&source, &destination].map(Server::requests);
    daemon.kill();
    source.reset_requests();
    destination.reset_requests();
    daemon.restart().await;
    task.tell(&daemon, "resume", &[]).await;

    let run = task.succeeds(&daemon).await;
    let counters = run.counters;
    assert_eq!((run.run, counters.listed, counters.same + counters.copied), (1, all, all), "{run:?}");
    for key in &missing {
        assert!(destination.store().get("to", key).is_some(), "{key}");
    }
    data::identical(&source, "from", &destination, "to");
    for (server, before, bucket) in [(&source, &before[0], "from"), (&destination, &before[1], "to")] {
        let again = twice(server, &before.pages, &server.requests().pages, bucket);
        // of each range: the page that was being consumed, the one that waits, the one under way, and what its other side was behind
        let open = 4 * PAGE * (before.most_at_once(LIST) as usize + 1);
        assert!(again <= open, "{again} keys were told again where at most {open} were open");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_cannot_be_read_fails_the_run_and_never_looks_empty() {
    for denied_there in [false, true] {
        let (source, destination, _) = stores(200, Duration::from_millis(40)).await;
        let all = keys().len() as u64;
        let struck = if denied_there { &destination } else { &source };
        // far behind the beginning, when several ranges are open
        let fault = struck.faults().add(Fault::new(Action::Deny).on([LIST]).nth(60));
        let daemon = Daemon::start("").await;
        let task = task("denied", &source, &destination);
        task.start(&daemon).await;
        let (_, run) = task.wait(&daemon).await;
        assert_eq!((run.outcome, struck.faults().struck(fault)), (Some(RunOutcome::Failed), 1), "{run:?}");
        let error = run.error.unwrap_or_default();
        let side = if denied_there { "destination" } else { "source" };
        assert!(["AccessDenied", "ListObjectsV2", side].iter().all(|word| error.contains(word)), "{error}");
        assert!(run.counters.balanced() && run.counters.listed < all, "{:?}", run.counters);
        assert!(struck.requests().most_at_once(LIST) >= 8, "{}", struck.requests().most_at_once(LIST));

        let run = task.again(&daemon).await;
        assert_eq!((run.run, run.counters.listed, run.counters.same + run.counters.copied), (2, all, all), "{run:?}");
        data::identical(&source, "from", &destination, "to");
        ended_well(daemon).await;
    }
}
