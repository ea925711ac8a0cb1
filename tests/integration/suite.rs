//! One suite over every store: what a copy must do, with the embedded server, the same over TLS, SeaweedFS and moto at both ends.
//!
//! What a server cannot keep stands in [`Stand::not_kept`], with the reason.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, EncodingType},
};
use bytes::Bytes;
use dth_tests::{
    client,
    daemon::Daemon,
    moto::{self, Moto},
    s3::{ACCESS_KEY, Builder, Ca, SECRET_KEY, Server},
    task::{Task, ended_well},
    wait::eventually,
    weed::{self, Weed},
};
use futures::{StreamExt as _, stream};

use crate::data::{ODD, noise};

const MIB: usize = 1 << 20;
const PART: usize = 8 * MIB;
const PATIENCE: Duration = Duration::from_secs(60);

/// Content type, metadata, tags.
type About = (Option<String>, Option<HashMap<String, String>>, Vec<(String, String)>);
/// Keys that a server does not keep: which they are, and why.
type NotKept = (fn(&str) -> bool, &'static str);

/// A server at both ends: the buckets `from` and `arrived`.
struct Stand {
    name: &'static str,
    /// The dialect in the task file.
    provider: &'static str,
    endpoint: String,
    keys: (&'static str, &'static str),
    /// Not trusted by the system.
    ca: Option<Ca>,
    client: Client,
    not_kept: &'static [NotKept],
    /// Why uploads that a kill has interrupted may stay behind, on a server where they cannot be continued; empty: they can.
    leaves_uploads: &'static str,
    // ends when dropped
    _server: Box<dyn std::any::Any + Send>,
}

fn is_no_path(key: &str) -> bool {
    key.split('/').any(|step| matches!(step, "" | "." | ".."))
}

impl Stand {
    async fn embedded(name: &'static str, ca: Option<Ca>) -> Self {
        let builder = Server::builder().anonymous(false).aws_checksums();
        let server = ca.iter().fold(builder, Builder::tls).start().await.unwrap();
        let keys = (ACCESS_KEY, SECRET_KEY);
        let client = match &ca {
            None => client::s3(&server.endpoint(), Some(keys)),
            Some(ca) => client::trusting(&server.endpoint(), keys, &ca.file()),
        };
        Self {
            name,
            provider: "aws",
            endpoint: server.endpoint(),
            keys,
            ca,
            client,
            not_kept: &[],
            leaves_uploads: "",
            _server: Box::new(server),
        }
    }

    async fn seaweedfs() -> Self {
        let weed = Weed::start().await;
        let not_kept: &[NotKept] =
            &[(is_no_path, "it keeps files: it drops empty and dotted steps of a path, and the content of what ends in a slash")];
        let keys = (weed::ACCESS_KEY, weed::SECRET_KEY);
        let (endpoint, client) = (weed.endpoint(), weed.client());
        Self {
            name: "seaweedfs",
            provider: "seaweedfs",
            endpoint,
            keys,
            ca: None,
            client,
            not_kept,
            leaves_uploads: "",
            _server: Box::new(weed),
        }
    }

    async fn moto() -> Self {
        let moto = Moto::start().await;
        let not_kept: &[NotKept] = &[
            (|key| key.contains("./"), "its web framework resolves the steps of a path"),
            (|key| key.contains('\n'), "none of the routes of its web framework leads to a key with a line break"),
        ];
        let leaves_uploads =
            "the root element of its ListParts is not the one of S3: aws-sdk-s3 does not read it, and sends the parts again";
        let (endpoint, client) = (moto.endpoint(), moto.client());
        Self {
            name: "moto",
            provider: "moto",
            endpoint,
            keys: moto::KEYS,
            ca: None,
            client,
            not_kept,
            leaves_uploads,
            _server: Box::new(moto),
        }
    }

    fn keeps(&self, key: &str) -> bool {
        !self.not_kept.iter().any(|(which, _)| which(key))
    }

    async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::prepare();
        let keys = daemon.credential("stand", self.keys.0, self.keys.1);
        daemon.configure(&format!("[limits]\nparts = 2\n[credentials.stand]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
        if let Some(ca) = &self.ca {
            daemon.environment("AWS_CA_BUNDLE", &ca.file().display().to_string());
        }
        daemon.restart().await;
        daemon
    }

    /// `in/` of the source to `prefix` of the destination, without `in/tmp/`.
    fn task(&self, name: &str, prefix: &str) -> Task {
        Task::new(name, (&self.endpoint, "from"), (&self.endpoint, "arrived"))
            .at_both_ends("provider", self.provider)
            .at_both_ends("credential", "stand")
            .with("source.prefix", "in/")
            .with("destination.strip_prefix", "in/")
            .with("destination.prefix", prefix)
            .with("options.exclude", vec!["in/tmp/**"])
    }

    async fn put(&self, key: &str, body: Bytes) {
        let put =
            self.client.put_object().bucket("from").key(key).content_type("text/x; a=\"b\"").metadata("length", body.len().to_string());
        let put = if body.len().is_multiple_of(3) { put.tagging("three=yes%20%2B%20no") } else { put };
        put.body(ByteStream::from(body)).send().await.unwrap_or_else(|error| panic!("{} {key:?}: {error:?}", self.name));
    }

    async fn upload(&self, key: &str, body: &Bytes) {
        let create = self.client.create_multipart_upload().bucket("from").key(key).content_type("video/mp4").metadata("kind", "parts");
        let id = create.tagging("large=1").send().await.unwrap().upload_id.unwrap();
        let mut done = CompletedMultipartUpload::builder();
        for (number, start) in (1..).zip((0..body.len()).step_by(PART)) {
            let part = body.slice(start..body.len().min(start + PART));
            let put = self.client.upload_part().bucket("from").key(key).upload_id(&id).part_number(number);
            let etag = put.body(ByteStream::from(part)).send().await.unwrap().e_tag.unwrap();
            done = done.parts(CompletedPart::builder().part_number(number).e_tag(etag).build());
        }
        let complete = self.client.complete_multipart_upload().bucket("from").key(key).upload_id(&id);
        complete.multipart_upload(done.build()).send().await.unwrap();
    }

    /// Everything at the source that is to be copied, by key.
    async fn fill(&self) -> BTreeMap<String, Bytes> {
        for bucket in ["from", "arrived"] {
            self.client.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let mut all = BTreeMap::new();
        for n in 0..40_usize {
            let key = format!("in/small/{n:03}");
            all.insert(key.clone(), noise(&key, if n % 10 == 0 { 0 } else { n * 1_237 }));
        }
        for key in ODD.into_iter().filter(|key| self.keeps(key)) {
            all.insert(format!("in/{key}"), key.to_owned().into());
        }
        all.insert("in/large/at-once".to_owned(), noise("at-once", 17 * MIB));
        for (key, body) in &all {
            self.put(key, body.clone()).await;
        }
        let parts = noise("parts", 2 * PART + 12_345);
        self.upload("in/large/parts", &parts).await;
        all.insert("in/large/parts".to_owned(), parts);
        for key in ["in/tmp/left", "in/tmp/out", "beside"] {
            self.put(key, "not wanted".into()).await;
        }
        all
    }

    /// Demands that below `prefix` there is everything of `all` and nothing else: bytes, content type, metadata, tags.
    async fn arrived(&self, all: &BTreeMap<String, Bytes>, prefix: &str) {
        let mut pages =
            self.client.list_objects_v2().bucket("arrived").prefix(prefix).encoding_type(EncodingType::Url).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += page.unwrap().contents().len();
        }
        assert_eq!(count, all.len(), "{} {prefix}", self.name);
        let checks = all.iter().map(|(from, body)| async move {
            let to = format!("{prefix}{}", &from["in/".len()..]);
            let (ours, theirs) = (self.about("from", from).await, self.about("arrived", &to).await);
            assert_eq!(theirs.0, ours.0, "{} {to:?}", self.name);
            assert!(theirs.1 == *body, "{} {to:?} has other bytes: {} instead of {}", self.name, theirs.1.len(), body.len());
        });
        stream::iter(checks).buffer_unordered(8).for_each(|()| std::future::ready(())).await;
    }

    /// Content type, metadata and tags of an object, and its bytes.
    async fn about(&self, bucket: &str, key: &str) -> (About, Bytes) {
        let got = self.client.get_object().bucket(bucket).key(key).send().await;
        let got = got.unwrap_or_else(|error| panic!("{} {key:?}: {error:?}", self.name));
        let mut tags = Vec::new();
        if got.tag_count().is_some_and(|count| count > 0) {
            let all = self.client.get_object_tagging().bucket(bucket).key(key).send().await.unwrap();
            tags.extend(all.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
            tags.sort_unstable();
        }
        let about = (got.content_type().map(str::to_owned), got.metadata().cloned(), tags);
        (about, got.body.collect().await.unwrap().into_bytes())
    }

    async fn no_uploads(&self) {
        let uploads = self.client.list_multipart_uploads().bucket("arrived").send().await.unwrap();
        assert!(uploads.uploads().is_empty(), "{}: {uploads:?}", self.name);
    }

    /// The suite.
    async fn holds(self) {
        let mut all = self.fill().await;
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
            self.put(key, body.clone()).await;
            all.insert(key.to_owned(), body);
        }
        let over = copy.again(&daemon).await;
        assert_eq!((over.counters.same, over.counters.copied), (count - 2, 2), "{}: {over:?}", self.name);
        for key in ["in/small/007", "in/small/008"] {
            assert!(self.about("arrived", &key.replacen("in/", "out/", 1)).await.1 == all[key], "{} {key}", self.name);
        }

        self.survives_a_kill(&mut daemon, &all).await;
        ended_well(daemon).await;
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
        if self.leaves_uploads.is_empty() {
            self.no_uploads().await;
        }
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
async fn the_suite_holds_over_moto() {
    Stand::moto().await.holds().await;
}
