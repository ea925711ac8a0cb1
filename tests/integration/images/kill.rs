//! kill -9 of the daemon again and again while it copies images: the run goes on, and hardly anything is sent twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dth_proto::view::RunOutcome;
use dth_tests::{
    daemon::Daemon,
    image::{Blob, Manifest},
    task::{Task, ended_well},
    tunnel::Tunnel,
};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};

use super::{catalogue, registries};
use crate::data::noise;

/// How often the daemon is killed.
const KILLS: usize = 20;
const IMAGES: usize = 60;
/// Layers that only one image has.
const LAYERS: usize = 12;

fn images() -> Vec<(String, Manifest)> {
    let base = Blob::gzip(&noise("base", 1 << 20));
    let layer = |image: usize, n: usize| Blob::gzip(&noise(&format!("{image}/{n}"), 60_000 + n * 5_000));
    let image = |n: usize| {
        let layers = [vec![base.clone()], (0..LAYERS).map(|layer_of| layer(n, layer_of)).collect()].concat();
        // three repositories, so that blobs are shared within and across
        (format!("team/{}", n % 3), Manifest::image("amd64", layers))
    };
    (0..IMAGES).map(image).collect()
}

/// Bytes of all different blobs and manifests.
fn unique(images: &[(String, Manifest)]) -> u64 {
    let mut sizes = BTreeMap::new();
    for (_, image) in images {
        sizes.extend(image.stored_blobs().into_iter().map(|blob| (blob.digest(), blob.bytes.len() as u64)));
        sizes.insert(image.digest(), image.bytes.len() as u64);
    }
    sizes.values().sum()
}

/// Kills the daemon each time that so many bytes have been sent, then lets it come to the end: how often it sent the unique bytes.
async fn killed(moments: impl FnOnce(u64) -> Vec<u64>, seed: u64) -> f64 {
    let (source, destination) = registries().await;
    let images = images();
    for (n, (repository, image)) in images.iter().enumerate() {
        source.push(repository, &[&format!("v{n}")], image).await;
    }
    let unique = unique(&images);
    // what the daemon really sends, headers and broken requests included
    let tunnel = Tunnel::open(destination.address(), Duration::from_millis(10)).await.unwrap();
    // few at a time, so that there is something left to kill
    let mut daemon = Daemon::start("[limits]\nobjects = 4\n").await;
    let task = Task::images("copy", &source.endpoint(), &format!("http://{}", tunnel.address()));
    task.start(&daemon).await;
    for moment in moments(unique) {
        let begin = Instant::now();
        while tunnel.sent() < moment {
            assert!(begin.elapsed() < Duration::from_mins(1), "seed {seed}: no progress\n{}", daemon.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        daemon.kill();
        daemon.restart().await;
    }
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome, run.run), (0, Some(RunOutcome::Succeeded), 1), "seed {seed}: {run:?}\n{}", daemon.log());
    let counters = &run.counters;
    assert!(counters.balanced(), "seed {seed}: {counters:?}");
    assert_eq!((counters.listed, counters.same + counters.copied), (IMAGES as u64, IMAGES as u64), "seed {seed}: {counters:?}");
    for (n, (repository, image)) in images.iter().enumerate() {
        assert!(destination.manifest(repository, &format!("v{n}")).await == Some(image.bytes.clone()), "seed {seed}: {repository}:v{n}");
        catalogue::whole(&destination, repository, image).await;
    }
    let sent = tunnel.sent();
    println!("{unique} bytes, {sent} sent, {:.3} times as much", sent as f64 / unique as f64);
    ended_well(daemon).await;
    sent as f64 / unique as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_send_hardly_anything_again() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let moments = |unique: u64| {
        let mut moments: Vec<u64> = (0..KILLS).map(|_| random.random_range(1..unique * 19 / 20)).collect();
        moments.sort_unstable();
        moments
    };
    let times = killed(moments, seed).await;
    assert!(times <= 1.2, "seed {seed}: the unique bytes were sent {times:.3} times");
}

/// When nothing of a repository can be seen at the destination yet, and its blobs are there all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_the_very_beginning_send_hardly_anything_again() {
    let times = killed(|_| (1..=8).map(|n| n << 20).collect(), 0).await;
    assert!(times <= 1.05, "the unique bytes were sent {times:.3} times");
}
