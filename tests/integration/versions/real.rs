//! Versions of real stores, with boto3 as the witness of what is there.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::{
    Client,
    types::{BucketVersioningStatus, VersioningConfiguration},
};
use dth_tests::{
    boto,
    daemon::Daemon,
    moto::{self, Moto},
    task::{Task, ended_well},
    weed::{self, Weed},
};
use jiff::Timestamp;

use super::{FROM, MIB, TO};
use crate::data::noise;

/// A real store.
struct Stand {
    provider: &'static str,
    endpoint: String,
    keys: (&'static str, &'static str),
    s3: Client,
}

impl Stand {
    async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::prepare();
        let keys = daemon.credential("stand", self.keys.0, self.keys.1);
        daemon.configure(&format!("[credentials.stand]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
        daemon.restart().await;
        daemon
    }

    fn task(&self, name: &str, to: &str) -> Task {
        let task = Task::new(name, (&self.endpoint, FROM), (&self.endpoint, to));
        task.at_both_ends("provider", self.provider).at_both_ends("credential", "stand")
    }

    async fn keep_versions(&self, bucket: &str) {
        self.s3.create_bucket().bucket(bucket).send().await.unwrap();
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.s3.put_bucket_versioning().bucket(bucket).versioning_configuration(on).send().await.unwrap();
    }

    async fn put(&self, key: &str, n: usize, content: impl Into<aws_sdk_s3::primitives::ByteStream>) {
        let put = self.s3.put_object().bucket(FROM).key(key).content_type(format!("text/x-{n}")).metadata("n", n.to_string());
        put.tagging(format!("n={n}&of=a%20b")).body(content.into()).send().await.unwrap();
    }

    async fn delete(&self, key: &str) {
        self.s3.delete_object().bucket(FROM).key(key).send().await.unwrap();
    }

    /// Versions and delete markers; the times at which nothing was written, with what was there then.
    async fn write_history(&self) -> Vec<(Timestamp, BTreeMap<String, Vec<u8>>)> {
        // stores count their times in seconds
        let tick = || tokio::time::sleep(Duration::from_millis(1_100));
        let mut now: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut then = Vec::new();
        for n in 0..3 {
            for key in ["a", "b/c", "b-c", "ü +%/x"] {
                let content = format!("{key} {n}").into_bytes();
                self.put(key, n, content.clone()).await;
                now.insert(key.to_owned(), content);
            }
            then.push((Timestamp::now(), now.clone()));
            tick().await;
            if n == 1 {
                self.delete("b/c").await;
                now.remove("b/c");
                then.push((Timestamp::now(), now.clone()));
                tick().await;
            }
        }
        self.delete("a").await;
        // faster than any clock of seconds
        for n in 0..4 {
            self.put("quick", n, format!("quick {}", n % 2).into_bytes()).await;
            if n != 2 {
                self.delete("quick").await;
            }
        }
        self.put("large", 0, noise("large", 17 * MIB)).await;
        then
    }

    /// All versions arrive, each with what belongs to it, and in order.
    async fn all(&self) {
        for bucket in [FROM, TO] {
            self.keep_versions(bucket).await;
        }
        let then = self.write_history().await;
        let daemon = self.daemon().await;
        let task = self.task("all", TO).with("options.versions", "all");
        task.start(&daemon).await;
        let run = task.succeeds(&daemon).await;
        let from = boto::history(&self.endpoint, self.keys, FROM).await;
        let to = boto::history(&self.endpoint, self.keys, TO).await;
        let shape: Vec<(&str, String)> = from.iter().map(|(key, all)| (key.as_str(), all.iter().map(mark).collect())).collect();
        assert_eq!(
            shape,
            [("a", "ooox"), ("b-c", "ooo"), ("b/c", "ooxo"), ("large", "o"), ("quick", "oxoxoox"), ("ü +%/x", "ooo")]
                .map(|(key, all)| (key, all.to_owned()))
        );
        let all: u64 = from.values().map(|versions| versions.len() as u64).sum();
        assert_eq!((run.counters.listed, run.counters.copied), (all, all), "{run:?}");
        for (key, versions) in &from {
            assert_eq!(to.get(key), Some(versions), "{key}");
        }
        assert_eq!(to.len(), from.len());
        let again = task.again(&daemon).await;
        assert_eq!((again.counters.listed, again.counters.same, again.counters.copied), (all, all, 0), "{again:?}");
        self.as_of(&daemon, then).await;
        ended_well(daemon).await;
    }

    /// The keys as they were between writes.
    async fn as_of(&self, daemon: &Daemon, then: Vec<(Timestamp, BTreeMap<String, Vec<u8>>)>) {
        for (n, (time, there)) in then.into_iter().enumerate() {
            let bucket = format!("then-{n}");
            self.s3.create_bucket().bucket(&bucket).send().await.unwrap();
            let task = self.task(&bucket, &bucket).with("options.as_of", time.to_string());
            task.start(daemon).await;
            let run = task.succeeds(daemon).await;
            assert_eq!(run.counters.copied as usize, there.len(), "{run:?}");
            let listed = self.s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
            assert_eq!(listed.contents().len(), there.len(), "{listed:?}");
            for (key, content) in there {
                let got = self.s3.get_object().bucket(&bucket).key(&key).send().await.unwrap();
                assert_eq!(got.body.collect().await.unwrap().into_bytes(), content, "{key} at {time}");
            }
            let again = task.again(daemon).await;
            assert_eq!((again.counters.same, again.counters.copied), (run.counters.copied, 0), "{again:?}");
        }
    }
}

fn mark(version: &Option<boto::Generation>) -> char {
    if version.is_some() { 'o' } else { 'x' }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_seaweedfs() {
    let weed = Weed::start().await;
    let (endpoint, s3) = (weed.endpoint(), weed.client());
    Stand { provider: "seaweedfs", endpoint, keys: (weed::ACCESS_KEY, weed::SECRET_KEY), s3 }.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_moto() {
    let moto = Moto::start().await;
    let (endpoint, s3) = (moto.endpoint(), moto.client());
    Stand { provider: "moto", endpoint, keys: moto::KEYS, s3 }.all().await;
}
