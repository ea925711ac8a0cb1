//! From one real SeaweedFS server to another, filled and compared by boto3.

use std::time::{Duration, Instant};

use dth_tests::{
    boto,
    daemon::Daemon,
    s3::{Object, Server},
    task::{Task, ended_well},
    wait::eventually,
    weed::{self, Weed},
};

/// Small objects; two large ones come on top.
const OBJECTS: u64 = 4_998;
const ALL: u64 = OBJECTS + 2;

async fn daemon(limits: &str) -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("weed", weed::ACCESS_KEY, weed::SECRET_KEY);
    daemon.configure(&format!("{limits}\n[credentials.weed]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
    daemon.restart().await;
    daemon
}

fn task(name: &str, source: &Weed, destination: &Weed, to: &str) -> Task {
    let task = Task::new(name, (&source.endpoint(), "from"), (&destination.endpoint(), to));
    task.at_both_ends("provider", "seaweedfs").at_both_ends("credential", "weed")
}

async fn same(source: &Weed, destination: &Weed, to: &str) {
    let found = boto::compare((&source.endpoint(), "from"), (&destination.endpoint(), to)).await;
    assert_eq!((found.compared, found.differences.as_slice()), (ALL, [].as_slice()));
    assert!(found.bytes > 340 << 20 && found.tagged > OBJECTS / 20, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_objects_between_two_servers() {
    let begin = Instant::now();
    let (source, destination) = tokio::join!(Weed::start(), Weed::start());
    boto::fill(&source.endpoint(), "from", OBJECTS).await;
    for bucket in ["arrived", "killed"] {
        destination.client().create_bucket().bucket(bucket).send().await.unwrap();
    }
    let filled = begin.elapsed();

    let daemon = daemon("").await;
    let copy = task("copy", &source, &destination, "arrived");
    copy.start(&daemon).await;
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.copied, run.counters.failed), (ALL, ALL, 0), "{run:?}");
    same(&source, &destination, "arrived").await;
    let again = copy.again(&daemon).await;
    assert_eq!((again.counters.listed, again.counters.same, again.counters.copied), (ALL, ALL, 0), "{again:?}");
    println!("filled in {filled:?}; copied in {} s, again in {} s; all in {:?}", run.duration_s, again.duration_s, begin.elapsed());
    ended_well(daemon).await;

    killed(&source, &destination).await;
    println!("with kills: all in {:?}", begin.elapsed());
}

/// How often the daemon is killed.
const KILLS: usize = 20;

/// The same once more with kill -9 at random moments.
async fn killed(source: &Weed, destination: &Weed) {
    let mut daemon = daemon("[limits]\nobjects = 16\n").await;
    let copy = task("killed", source, destination, "killed");
    copy.start(&daemon).await;
    let mut moments: Vec<u64> = (0..KILLS).map(|_| rand::random_range(1..ALL - 10)).collect();
    moments.sort_unstable();
    for moment in &moments {
        let what = format!("{moment} objects of the run are done (of the moments {moments:?})");
        eventually(&what, Duration::from_mins(2), || async {
            let run = copy.show(&daemon).await.view.run.unwrap();
            assert!(run.run == 1 && run.counters.balanced(), "{run:?}");
            (run.counters.listed - run.counters.pending >= *moment).then_some(())
        })
        .await;
        daemon.kill();
        daemon.restart().await;
    }
    let run = copy.succeeds(&daemon).await;
    assert_eq!((run.run, run.counters.listed, run.counters.same + run.counters.copied), (1, ALL, ALL), "{run:?}");
    same(source, destination, "killed").await;
    ended_well(daemon).await;
}

/// SeaweedFS answers as if it had stored the content of a key that ends in `/`, and drops it.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_the_store_drops_is_a_failure() {
    let (source, destination) = (Server::start().await.unwrap(), Weed::start().await);
    for (key, content) in [("folder/", "content"), ("empty/", ""), ("plain", "content")] {
        source.store().put("from", key, Object::new(content));
    }
    destination.client().create_bucket().bucket("arrived").send().await.unwrap();
    let daemon = daemon("").await;
    let copy = Task::new("folders", (&source.endpoint(), "from"), (&destination.endpoint(), "arrived"))
        .with("source.credential", "anonymous")
        .with("destination.provider", "seaweedfs")
        .with("destination.credential", "weed");
    copy.start(&daemon).await;
    let (code, run) = copy.wait(&daemon).await;
    assert_eq!((code, run.counters.copied, run.counters.failed), (1, 2, 1), "{run:?}");
    let failures = copy.failures(&daemon).await;
    assert_eq!((failures[0].key.as_str(), failures[0].code.as_str()), ("folder/", "ContentDropped"), "{failures:?}");
    ended_well(daemon).await;
}
