//! kill -9 of the daemon again and again: the run goes on where it was, and nothing is sent twice that had arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dth_proto::view::{RunOutcome, TaskDetail};
use dth_tests::{
    command::Dth,
    daemon::Daemon,
    s3::{Operation, Server},
    task::{Task, ended_well},
};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};

use crate::data::{self, identical};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
/// How often the daemon is killed.
const KILLS: usize = 20;
const LARGE: [&str; 3] = ["k/00050-large", "k/00150-large", "z-large"];

/// Writes that a destination has been asked for so far: the measure of how far a run is.
fn writes(server: &Server) -> u64 {
    let requests = server.requests();
    requests.of(Operation::PutObject) + requests.of(Operation::UploadPart)
}

/// What a destination has, as what it was asked for: an object by its key, a part of an unfinished or finished large one by its number.
fn arrived(destination: &Server) -> BTreeSet<(String, u32)> {
    let uploads = destination.store().uploads("to").into_iter().flat_map(|u| u.parts.into_iter().map(move |n| (u.key.clone(), n)));
    let objects = destination.store().all("to").into_iter().flat_map(|(key, object)| {
        let parts = if object.parts.is_empty() { 0..=0 } else { 1..=u32::try_from(object.parts.len()).unwrap() };
        parts.map(move |n| (key.clone(), n))
    });
    objects.chain(uploads).collect()
}

/// How often each was sent; number 0 is a whole object.
fn sent(destination: &Server, keys: &BTreeSet<String>) -> BTreeMap<(String, u32), u64> {
    let requests = destination.requests();
    let parts = keys.iter().flat_map(|key| requests.parts(key).into_iter().map(move |(n, count)| ((key.clone(), n), count)));
    let wholes = keys.iter().map(|key| ((key.clone(), 0), requests.of_key(Operation::PutObject, key)));
    parts.chain(wholes).filter(|(_, count)| *count > 0).collect()
}

/// Asks `dth show` again and again until told to stop, and demands that the run is the same one and its books balance.
async fn watch(socket: std::path::PathBuf, stop: Arc<AtomicBool>, samples: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let output = Dth::at(&socket, &["show", "copy", "-o", "json"]).run().await;
        // while there is no daemon there is no answer
        let Ok(detail) = serde_json::from_str::<TaskDetail>(&output.out) else { continue };
        let run = detail.view.run.unwrap();
        assert_eq!(run.run, 1, "a restart does not begin another run");
        assert!(run.counters.balanced(), "{:?}", run.counters);
        samples.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_cost_only_what_was_in_flight() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    data::small(source.store(), "from", "k/", 240);
    for key in LARGE {
        data::multipart(source.store(), "from", key, 12 * PART + 1_000, PART);
    }
    let keys: BTreeSet<String> = source.store().all("from").into_keys().collect();
    let all = 240 + LARGE.len() as u64 * 13;
    source.set_latency(Duration::from_millis(10));
    destination.set_latency(Duration::from_millis(15));

    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut moments: Vec<u64> = (0..KILLS).map(|_| random.random_range(1..all - 10)).collect();
    moments.sort_unstable();

    // few at a time, so that there is something left to kill
    let mut daemon = Daemon::start("[limits]\nobjects = 4\nparts = 3\n").await;
    let task = Task::new("copy", (&source.endpoint(), "from"), (&destination.endpoint(), "to"));
    task.start(&daemon).await;
    let (stop, samples) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watching = tokio::spawn(watch(daemon.socket(), Arc::clone(&stop), Arc::clone(&samples)));

    let mut had = Vec::new();
    for moment in moments {
        let begin = Instant::now();
        while writes(&destination) < moment {
            assert!(begin.elapsed() < Duration::from_secs(60), "seed {seed}: no progress\n{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        daemon.kill();
        let arrived = arrived(&destination);
        let before = sent(&destination, &keys);
        had.push((arrived, before));
        daemon.restart().await;
    }
    let (code, run) = task.wait(&daemon).await;
    stop.store(true, Ordering::Relaxed);
    watching.await.unwrap();

    assert_eq!((code, run.outcome, run.run), (0, Some(RunOutcome::Succeeded), 1), "seed {seed}: {run:?}\n{}", daemon.log());
    assert_eq!((run.counters.listed, run.counters.same + run.counters.copied), (keys.len() as u64, keys.len() as u64), "{run:?}");
    assert!(run.counters.balanced() && samples.load(Ordering::Relaxed) > 0);
    identical(&source, "from", &destination, "to");
    let after = sent(&destination, &keys);
    for (kill, (arrived, before)) in had.iter().enumerate() {
        for what in arrived {
            assert_eq!(after[what], before[what], "seed {seed}: {what:?} had arrived before kill {kill} and was sent again");
        }
    }
    let (sends, different) = (after.values().sum::<u64>(), after.len() as u64);
    assert_eq!(different, all, "every object and every part was sent");
    // what was in flight at a kill: 4 objects with 3 parts each at most
    assert!(sends - different <= KILLS as u64 * 12, "seed {seed}: {sends} sent for {different}");
    println!(
        "{KILLS} kills: {different} objects and parts, {sends} sent, {} of them again; {} samples; {} same, {} copied",
        sends - different,
        samples.load(Ordering::Relaxed),
        run.counters.same,
        run.counters.copied
    );
    ended_well(daemon).await;
}
