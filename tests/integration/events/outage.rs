//! The queue cannot be reached, the daemon stops, is killed: nothing is lost.

use std::time::Duration;

use dth_tests::{
    moto::Moto,
    s3::{Object, Server},
    task::ended_well,
    tunnel::Tunnel,
    wait::eventually,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use super::{PATIENCE, applied, created, daemon, empty, listens, seen, task};
use crate::{data::noise, pair::stores};

async fn arrive(destination: &Server, keys: usize) {
    eventually(&format!("{keys} objects arrive"), PATIENCE, || async { (destination.store().all("to").len() == keys).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_down_loses_nothing_and_is_told_in_words() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let tunnel = Tunnel::open(moto.address(), Duration::ZERO).await.unwrap();
    let daemon = daemon().await;
    let through = queue.url.replace(&moto.address(), &tunnel.address());
    let task = task("outage", &source, &destination, &through);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    source.store().put("from", "before", Object::new("before"));
    moto.send(&queue, &created("before")).await;
    applied(&task, &daemon, 1).await;
    // its message is deleted as well: what is left to fail is the question for more
    empty(&moto, &queue).await;

    tunnel.cut();
    for n in 0..30 {
        let key = format!("meanwhile {n}");
        source.store().put("from", &key, Object::new(key.clone()));
        moto.send(&queue, &created(&key)).await;
    }
    let problem = eventually("the outage is a problem", PATIENCE, || async {
        let status: Value = daemon.dth(&["status"]).json().await;
        let problems = status["problems"].as_array()?.clone();
        problems.iter().find_map(|p| p["text"].as_str().filter(|text| text.contains("event queue")).map(str::to_owned))
    })
    .await;
    assert!(
        problem.starts_with("outage: the event queue cannot be used, what happens at the source waits there: ReceiveMessage"),
        "{problem}"
    );
    let detail = task.show(&daemon).await;
    assert!(seen(&detail).lag_s >= 5, "nobody knows what waits there: {:?}", detail.events);
    assert!(detail.view.note.starts_with("the event queue cannot be used"), "{}", detail.view.note);
    assert_eq!(destination.store().all("to").len(), 1);

    tunnel.mend();
    arrive(&destination, 31).await;
    let detail = applied(&task, &daemon, 31).await;
    assert_eq!(detail.view.run.as_ref().map(|run| run.counters.failed), Some(0));
    empty(&moto, &queue).await;
    eventually("the problem is gone", PATIENCE, || async {
        let status: Value = daemon.dth(&["status"]).json().await;
        (!status["problems"].to_string().contains("event queue")).then_some(())
    })
    .await;
    assert!(daemon.log().contains("the event queue works again after "), "{}", daemon.log());
    ended_well(daemon).await;
}

/// Objects per kill.
const EACH: usize = 12;
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_and_kills_lose_nothing() {
    let ((source, destination), moto) = (stores().await, Moto::start().await);
    let queue = moto.queue("events").await;
    let mut daemon = daemon().await;
    let task = task("kills", &source, &destination, &queue.url);
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    destination.set_latency(Duration::from_millis(60));
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut sent = 0;
    for kill in 0..KILLS {
        let before = destination.store().all("to").len();
        for _ in 0..EACH {
            let key = format!("object {sent}");
            source.store().put("from", &key, Object::new(noise(&key, 3_000)));
            moto.send(&queue, &created(&key)).await;
            sent += 1;
        }
        // somewhere in the middle of them
        let some = before + random.random_range(0..EACH / 2);
        eventually(&format!("seed {seed}: {some} objects"), PATIENCE, || async {
            (destination.store().all("to").len() >= some).then_some(())
        })
        .await;
        if kill % 2 == 0 {
            daemon.kill();
        } else {
            let status = daemon.stop(PATIENCE).await;
            assert!(status.success(), "{status}");
        }
        daemon.restart().await;
    }
    arrive(&destination, sent).await;
    for (key, object) in source.store().all("from") {
        assert_eq!(destination.store().get("to", &key).map(|there| there.etag.clone()), Some(object.etag.clone()), "seed {seed}: {key}");
    }
    // what a killed daemon held comes back when SQS holds it no longer
    empty(&moto, &queue).await;
    let run = listens(&task, &daemon).await.view.run.unwrap();
    assert!(run.counters.balanced() && run.counters.failed == 0, "seed {seed}: {run:?}");
    // what was in flight at a kill is found the same when its message comes again
    assert!(run.counters.copied + run.counters.same >= sent as u64, "seed {seed}: the books survive kills: {run:?}");
    println!("{KILLS} kills and stops: {sent} objects, {} copies, {} found the same", run.counters.copied, run.counters.same);
    ended_well(daemon).await;
}
