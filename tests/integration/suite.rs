//! One suite over every store: what a copy must do, with the embedded server, the same over TLS, SeaweedFS, moto and s3s-fs at both ends.
//!
//! What a server cannot keep stands in its profile or in its table in [`stand`], with the reason: a case that is expected to be lost and is
//! kept fails the test as well.

mod cases;
mod stand;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::error::ProvideErrorMetadata;
use bytes::Bytes;
use dth_tests::{
    daemon::Daemon,
    s3::Ca,
    task::{Task, ended_well},
    wait::eventually,
};
use futures::{StreamExt as _, stream};

use self::{
    cases::{CONTENT_TYPE, COPIES, Cases, ENCODING, ETAGS, GENERATIONS, METADATA, PARTS, TAGS, UPLOADS, VERSIONS},
    stand::{About, MIB, PART, Stand},
};
use crate::data::{ODD, noise};

const PATIENCE: Duration = Duration::from_secs(60);
/// More than a page of a listing has.
const MANY: usize = 1_050;

/// Keys that are a trap, by what they are called.
fn odd() -> Vec<(String, String)> {
    let long: String = (0..99).map(|n| format!("step-{n:04}/")).collect();
    let odd = ODD.into_iter().map(|key| (key.to_owned(), key.to_owned()));
    odd.chain([("a step of 250 bytes".to_owned(), "s".repeat(250)), ("1000 bytes".to_owned(), format!("{long}0123456789"))]).collect()
}

impl Stand {
    /// Whether each odd key comes back as itself; those that do.
    async fn try_keys(&self, cases: &mut Cases) -> Vec<String> {
        self.client.create_bucket().bucket("odd").send().await.unwrap();
        let mut written = Vec::new();
        for (name, key) in odd() {
            let at = format!("in/{key}");
            let put = self.try_put("odd", &at, key.clone().into()).await;
            written.push((name, key, at, put));
        }
        let listed = self.keys("odd", "in/").await;
        let mut kept = Vec::new();
        for (name, key, at, put) in written {
            let got = self.client.get_object().bucket("odd").key(&at).send().await;
            let body = match got {
                Ok(got) => got.body.collect().await.map(aws_sdk_s3::primitives::AggregatedBytes::into_bytes).map_err(|e| e.to_string()),
                Err(error) => Err(format!("GetObject: {}", error.code().unwrap_or("no code"))),
            };
            let seen = put.and_then(|()| match body? {
                body if body != key.as_bytes() => Err("it has the content of another".to_owned()),
                _ if !listed.contains(&at) => Err("no listing has it".to_owned()),
                _ => Ok(()),
            });
            if seen.is_ok() {
                kept.push(key);
            }
            cases.add(&name, seen);
        }
        kept
    }

    /// Everything at the source that is to be copied, by key.
    async fn fill(&self, odd: Vec<String>) -> BTreeMap<String, Bytes> {
        for bucket in ["from", "arrived"] {
            self.client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let mut all = BTreeMap::new();
        for n in 0..40_usize {
            let key = format!("in/small/{n:03}");
            all.insert(key.clone(), noise(&key, if n % 10 == 0 { 0 } else { n * 1_237 }));
        }
        all.extend(odd.into_iter().map(|key| (format!("in/{key}"), Bytes::from(key))));
        all.insert("in/large/at-once".to_owned(), noise("at-once", 17 * MIB));
        for (key, body) in &all {
            self.put("from", key, body.clone()).await;
        }
        let parts = noise("parts", 2 * PART + 12_345);
        self.upload("in/large/parts", &parts).await;
        all.insert("in/large/parts".to_owned(), parts);
        for key in ["in/tmp/left", "in/tmp/out", "beside"] {
            self.put("from", key, "not wanted".into()).await;
        }
        all
    }

    /// What the server does with the requests that a copy depends on.
    async fn try_requests(&self, all: &BTreeMap<String, Bytes>, cases: &mut Cases) {
        let (one, parts) = ("in/small/003", "in/large/parts");
        let written = [(one, Self::of_one(&all[one])), (parts, Self::of_parts())];
        assert!(written.iter().all(|(_, (_, _, tags))| tags.len() == 1), "there is something to lose");
        let mut found = Vec::new();
        for (key, wanted) in written {
            found.push((key, wanted, self.about("from", key).await.0));
        }
        let same = |differs: fn(&About, &About) -> bool| match found.iter().find(|(_, wanted, there)| differs(wanted, there)) {
            Some((key, wanted, there)) => Err(format!("{key} has {there:?}, not {wanted:?}")),
            None => Ok(()),
        };
        cases.add(CONTENT_TYPE, same(|a, b| a.0 != b.0));
        cases.add(METADATA, same(|a, b| a.1 != b.1));
        cases.add(TAGS, same(|a, b| a.2 != b.2));

        let encoded = self.encoded_keys("from", "in/").await;
        cases.add(
            ENCODING,
            encoded.and_then(|keys| all.keys().find(|key| !keys.contains(key)).map_or(Ok(()), |key| Err(format!("without {key:?}")))),
        );
        let listed = self.client.list_objects_v2().bucket("from").prefix("in/small/").send().await.unwrap();
        let bare = listed.contents().iter().find(|object| object.e_tag().is_none_or(str::is_empty));
        cases.add(ETAGS, bare.map_or(Ok(()), |object| Err(format!("{object:?}"))));
        let other = self.client.get_object().bucket("from").key(one).if_match("\"00000000000000000000000000000000\"").send().await;
        cases.add(
            GENERATIONS,
            match other {
                Err(error) if error.code() == Some("PreconditionFailed") => Ok(()),
                other => Err(format!("{:?}", other.map(|got| got.e_tag))),
            },
        );

        let begun = self.client.create_multipart_upload().bucket("from").key("begun").send().await.unwrap().upload_id.unwrap();
        let uploads = self.client.list_multipart_uploads().bucket("from").send().await;
        let now = jiff::Timestamp::now().as_second();
        let is_begun = |upload: &aws_sdk_s3::types::MultipartUpload| {
            upload.upload_id() == Some(&begun) && upload.initiated().is_some_and(|time| (now - time.secs()).abs() < 600)
        };
        cases.add(
            UPLOADS,
            match uploads {
                Ok(listed) if listed.uploads().iter().any(is_begun) => Ok(()),
                Ok(listed) => Err(format!("{listed:?}")),
                Err(error) => Err(error.code().unwrap_or("no code").to_owned()),
            },
        );
        self.client.abort_multipart_upload().bucket("from").key("begun").upload_id(begun).send().await.unwrap();
    }

    /// The suite.
    async fn holds(self) {
        let mut cases = Cases::default();
        let odd = self.try_keys(&mut cases).await;
        let mut all = self.fill(odd).await;
        self.try_requests(&all, &mut cases).await;
        let count = all.len() as u64;
        let mut daemon = self.daemon().await;
        let copy = self.task("copy", "out/");
        copy.start(&daemon).await;
        let run = copy.succeeds(&daemon).await;
        let counters = run.counters;
        assert_eq!((counters.listed, counters.copied, counters.skipped), (count + 2, count, 2), "{}: {run:?}", self.name);
        assert_eq!(copy.show(&daemon).await.skipped, BTreeMap::from([("excluded".to_owned(), 2)]), "{}", self.name);
        self.arrived(&all, "out/").await;
        self.no_uploads().await;

        let again = copy.again(&daemon).await;
        assert_eq!((again.counters.same, again.counters.copied), (count, 0), "{}: {again:?}", self.name);

        // one with another size, one with the same
        for (key, len) in [("in/small/007", 99), ("in/small/008", all["in/small/008"].len())] {
            let body = noise("overwritten", len);
            self.put("from", key, body.clone()).await;
            all.insert(key.to_owned(), body);
        }
        let over = copy.again(&daemon).await;
        assert_eq!((over.counters.same, over.counters.copied), (count - 2, 2), "{}: {over:?}", self.name);
        for key in ["in/small/007", "in/small/008"] {
            assert!(self.about("arrived", &key.replacen("in/", "out/", 1)).await.1 == all[key], "{} {key}", self.name);
        }

        let small: BTreeMap<String, Bytes> = all.clone().into_iter().filter(|(key, _)| key.starts_with("in/small/")).collect();
        cases.add(COPIES, self.copies(&daemon, &small).await);
        self.deletes(&daemon, &small).await;
        cases.add(VERSIONS, self.tells_of_versions(&daemon).await);
        self.many(&daemon).await;
        cases.add(PARTS, self.goes_on(&mut daemon, &all).await);
        self.survives_a_kill(&mut daemon, &all).await;
        cases.are_as(self.name, self.profile(), self.lost);
        ended_well(daemon).await;
    }

    /// The small objects to `stored/`, with the store's own copies allowed.
    async fn copies(&self, daemon: &Daemon, small: &BTreeMap<String, Bytes>) -> Result<(), String> {
        let task = self.task("stored", "stored/").with("source.prefix", "in/small/").with("options.server_side_copy", true);
        task.start(daemon).await;
        let run = task.succeeds(daemon).await;
        assert_eq!(run.counters.copied, small.len() as u64, "{}: {run:?}", self.name);
        self.arrived(small, "stored/").await;
        let other =
            task.items(daemon).await.into_iter().find(|item| !item.verified.as_deref().unwrap_or_default().starts_with("server-side"));
        other.map_or(Ok(()), |item| Err(format!("{} was copied in another way: {:?}", item.key, item.verified)))
    }

    /// What the destination has more than the source goes, in `stored/`.
    async fn deletes(&self, daemon: &Daemon, small: &BTreeMap<String, Bytes>) {
        for n in 0..5 {
            self.put("arrived", &format!("stored/small/{n:03}-more"), "to be deleted".into()).await;
        }
        let task = self.task("mirror", "stored/").with("source.prefix", "in/small/");
        let task = task.with("options.delete", "mirror").with("options.max_delete_percent", 100);
        task.start(daemon).await;
        let run = task.succeeds(daemon).await;
        assert_eq!((run.counters.deleted, run.counters.copied), (5, 0), "{}: {run:?}", self.name);
        self.arrived(small, "stored/").await;
    }

    /// No bucket here keeps versions, which the run says: or that nobody knows.
    async fn tells_of_versions(&self, daemon: &Daemon) -> Result<(), String> {
        let task = self.task("versions", "versions/").with("options.versions", "all");
        task.start(daemon).await;
        let (code, run) = task.wait(daemon).await;
        let error = run.error.unwrap_or_default();
        assert_eq!((code, run.counters.copied), (1, 0), "{}: {error}", self.name);
        let unknown = "does not list versions: set versions = \"latest\"";
        match error.contains("the destination bucket arrived keeps no versions: enable versioning on it") {
            true => Ok(()),
            false if error.contains(unknown) => Err(error),
            false => panic!("{}: {error}", self.name),
        }
    }

    /// More keys than a page has.
    async fn many(&self, daemon: &Daemon) {
        let puts = (0..MANY).map(|n| async move { self.put("from", &format!("many/+ {n:04}"), format!("{n}").into()).await });
        stream::iter(puts).buffer_unordered(8).for_each(|()| std::future::ready(())).await;
        let task = self.task("many", "").with("source.prefix", "many/").with("destination.strip_prefix", "");
        task.start(daemon).await;
        let all = MANY as u64;
        let run = task.succeeds(daemon).await;
        assert_eq!((run.counters.listed, run.counters.copied), (all, all), "{}: {run:?}", self.name);
        let again = task.again(daemon).await;
        assert_eq!((again.counters.listed, again.counters.same), (all, all), "{}: {again:?}", self.name);
        for n in [0, 999, 1_000, MANY - 1] {
            assert_eq!(self.about("arrived", &format!("many/+ {n:04}")).await.1, n.to_string(), "{}", self.name);
        }
    }

    async fn survives_a_kill(&self, daemon: &mut Daemon, all: &BTreeMap<String, Bytes>) {
        // slow enough to be caught in the middle
        let slow = self.task("killed", "again/").with("limits.bandwidth", "12MB/s");
        slow.start(daemon).await;
        let what = format!("{}: some of the objects are done", self.name);
        eventually(&what, PATIENCE, || async {
            let run = slow.show(daemon).await.view.run.unwrap();
            assert!(run.outcome.is_none() && run.counters.balanced(), "{run:?}");
            (run.counters.copied >= 5).then_some(())
        })
        .await;
        daemon.kill();
        daemon.restart().await;
        let run = slow.succeeds(daemon).await;
        let done = run.counters.copied + run.counters.same;
        assert_eq!((run.run, done), (1, all.len() as u64), "{}: {run:?}", self.name);
        self.arrived(all, "again/").await;
        self.no_uploads_after_a_kill().await;
    }

    /// Kills the daemon when an object has some of its parts; whether it went on with them.
    async fn goes_on(&self, daemon: &mut Daemon, all: &BTreeMap<String, Bytes>) -> Result<(), String> {
        let large: BTreeMap<String, Bytes> = all.clone().into_iter().filter(|(key, _)| key.starts_with("in/large/")).collect();
        let slow = self.task("interrupted", "interrupted/").with("source.prefix", "in/large/").with("limits.bandwidth", "4MB/s");
        slow.start(daemon).await;
        self.has_parts(&slow, daemon).await;
        daemon.kill();
        let before = daemon.log().len();
        daemon.restart().await;
        let run = slow.succeeds(daemon).await;
        assert_eq!((run.run, run.counters.copied), (1, large.len() as u64), "{}: {run:?}", self.name);
        self.arrived(&large, "interrupted/").await;
        self.no_uploads().await;
        let log = daemon.log();
        let continued: Vec<&str> = log[before..].lines().filter(|line| line.contains("upload continued")).collect();
        match continued.iter().any(|line| !line.contains("parts=0")) {
            true => Ok(()),
            false => Err(format!("{continued:?}")),
        }
    }

    async fn has_parts(&self, task: &Task, daemon: &Daemon) {
        let what = format!("{}: an object has some of its parts", self.name);
        eventually(&what, PATIENCE, || async {
            let detail = task.show(daemon).await;
            assert!(detail.view.run.is_some_and(|run| run.outcome.is_none()), "it was not caught in the middle");
            detail.in_flight.iter().any(|item| item.parts.is_some_and(|(done, of)| 0 < done && done < of)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_over_the_embedded_server() {
    Stand::embedded("embedded", None).await.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_over_tls_with_a_private_authority() {
    Stand::embedded("tls", Some(Ca::new())).await.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_over_seaweedfs() {
    Stand::seaweedfs().await.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_over_s3s_fs() {
    Stand::s3s_fs().await.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_over_moto() {
    Stand::moto().await.holds().await;
}
