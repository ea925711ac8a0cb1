//! From one real SeaweedFS server to another, filled and compared by boto3.

use std::time::{Duration, Instant};

use dth_tests::{
    boto,
    daemon::Daemon,
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

/// The same once more with kill -9 in between.
async fn killed(source: &Weed, destination: &Weed) {
    let mut daemon = daemon("[limits]\nobjects = 16\n").await;
    let copy = task("killed", source, destination, "killed");
    copy.start(&daemon).await;
    for share in [1, 2, 3, 4] {
        let what = format!("{share} of 5 parts of the run are done");
        eventually(&what, Duration::from_mins(2), || async {
            let run = copy.show(&daemon).await.view.run.unwrap();
            assert!(run.run == 1 && run.counters.balanced(), "{run:?}");
            (run.counters.listed - run.counters.pending >= ALL * share / 5).then_some(())
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
