//! The servers that the suite runs over, what each cannot keep, and the suite's own eyes and hands in them.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, EncodingType},
};
use bytes::Bytes;
use dth_tests::{
    client,
    daemon::Daemon,
    http,
    moto::{self, Moto},
    s3::{ACCESS_KEY, Builder, Ca, SECRET_KEY, Server},
    task::Task,
    weed::{self, Weed},
};
use dthd::s3::provider::{self, Profile};
use futures::{StreamExt as _, stream};
use hyper::Method;

use super::cases::{ETAGS, GENERATIONS, Lost, PARTS, UPLOADS};
use crate::s3s_server::{self, S3s};

pub const MIB: usize = 1 << 20;
pub const PART: usize = 8 * MIB;

/// Content type, metadata, tags.
pub type About = (Option<String>, Option<HashMap<String, String>>, Vec<(String, String)>);

const SEAWEEDFS: &[Lost] = &[
    (&["//", "a//b", "/leading", "../outside", "a/../b", "./here"], "it keeps files: it drops empty and dotted steps of a path"),
    (&["folder/"], "it keeps files: what ends in a slash is a folder, whose content it drops"),
    (&["back\\slash"], "it takes a backslash for a slash"),
];

const MOTO: &[Lost] = &[
    (&["tab\tnewline\nreturn\r"], "none of the routes of its web framework leads to a key with a line break"),
    (&[UPLOADS], "it lists every upload as begun in 2010: what a kill has left without a name cannot be told from what others began"),
];

const S3S_FS: &[Lost] = &[
    (&["//", "a//b", "/leading", "../outside", "a/../b", "./here"], "it keeps files: it drops empty and dotted steps of a path"),
    (&["folder/"], "it keeps files: what ends in a slash is a folder, for which it takes no content"),
    (&["folder"], "it keeps files: what other keys begin with, and a slash, is a folder, and cannot be a file as well"),
    (&["a step of 250 bytes", "1000 bytes"], "it names a file after the base64 of a whole key, and such a name has at most 255 bytes"),
    (&[ETAGS], "it lists names and sizes of files: objects are asked for their ETags one by one"),
    (&[GENERATIONS], "its GetObject does not look at If-Match: dthd compares the ETag of the answer"),
    (&[UPLOADS], "it has no ListMultipartUploads: what is left behind is seen in its folder"),
    (&[PARTS], "its ListParts names no ETags, without which no part can become one of an object: they are sent again"),
];

enum Running {
    Embedded(Server),
    Moto(Moto),
    S3s(S3s),
    /// One that tells everything by itself.
    Other {
        _server: Box<dyn std::any::Any + Send>,
    },
}

/// A server at both ends: the buckets `from` and `arrived`.
pub struct Stand {
    pub name: &'static str,
    /// The dialect in the task file.
    provider: &'static str,
    endpoint: String,
    keys: (&'static str, &'static str),
    /// Not trusted by the system.
    ca: Option<Ca>,
    pub client: Client,
    /// What it cannot keep that its profile has no word for.
    pub lost: &'static [Lost],
    // ends when dropped
    server: Running,
}

impl Stand {
    pub async fn embedded(name: &'static str, ca: Option<Ca>) -> Self {
        let builder = Server::builder().anonymous(false).aws_checksums();
        let server = ca.iter().fold(builder, Builder::tls).start().await.unwrap();
        let (endpoint, keys) = (server.endpoint(), (ACCESS_KEY, SECRET_KEY));
        let client = match &ca {
            None => client::s3(&endpoint, Some(keys)),
            Some(ca) => client::trusting(&endpoint, keys, &ca.file()),
        };
        Self { name, provider: "aws", endpoint, keys, ca, client, lost: &[], server: Running::Embedded(server) }
    }

    pub async fn seaweedfs() -> Self {
        let weed = Weed::start().await;
        let keys = (weed::ACCESS_KEY, weed::SECRET_KEY);
        let (name, endpoint, client) = ("seaweedfs", weed.endpoint(), weed.client());
        Self { name, provider: name, endpoint, keys, ca: None, client, lost: SEAWEEDFS, server: Running::Other { _server: Box::new(weed) } }
    }

    pub async fn moto() -> Self {
        let moto = Moto::start().await;
        let (name, endpoint, client) = ("moto", moto.endpoint(), moto.client());
        Self { name, provider: name, endpoint, keys: moto::KEYS, ca: None, client, lost: MOTO, server: Running::Moto(moto) }
    }

    pub async fn s3s_fs() -> Self {
        let s3s = S3s::start().await;
        let (name, endpoint, client) = ("s3s-fs", s3s.endpoint(), s3s.client());
        Self { name, provider: name, endpoint, keys: s3s_server::KEYS, ca: None, client, lost: S3S_FS, server: Running::S3s(s3s) }
    }

    pub fn profile(&self) -> &'static Profile {
        provider::find(self.provider).unwrap()
    }

    pub async fn daemon(&self) -> Daemon {
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
    pub fn task(&self, name: &str, prefix: &str) -> Task {
        Task::new(name, (&self.endpoint, "from"), (&self.endpoint, "arrived"))
            .at_both_ends("provider", self.provider)
            .at_both_ends("credential", "stand")
            .with("source.prefix", "in/")
            .with("destination.strip_prefix", "in/")
            .with("destination.prefix", prefix)
            .with("options.exclude", vec!["in/tmp/**"])
    }

    /// What an object gets that [`Stand::put`] writes.
    pub fn of_one(body: &Bytes) -> About {
        let tags = if body.len().is_multiple_of(3) { vec![("three".to_owned(), "yes + no".to_owned())] } else { Vec::new() };
        (Some("text/x; a=\"b\"".to_owned()), Some([("length".to_owned(), body.len().to_string())].into()), tags)
    }

    /// Writes an object by one PutObject.
    ///
    /// # Errors
    /// The store's code.
    pub async fn try_put(&self, bucket: &str, key: &str, body: Bytes) -> Result<(), String> {
        let (content_type, metadata, tags) = Self::of_one(&body);
        let put = self.client.put_object().bucket(bucket).key(key).set_content_type(content_type).set_metadata(metadata);
        let put = if tags.is_empty() { put } else { put.tagging("three=yes%20%2B%20no") };
        let answer = put.body(ByteStream::from(body)).send().await;
        answer.map(drop).map_err(|error| format!("PutObject: {}", error.code().unwrap_or("no code")))
    }

    /// The same where it must go well.
    pub async fn put(&self, bucket: &str, key: &str, body: Bytes) {
        self.try_put(bucket, key, body).await.unwrap_or_else(|error| panic!("{} {key:?}: {error}", self.name));
    }

    /// What an object gets that [`Stand::upload`] writes.
    pub fn of_parts() -> About {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        (Some("video/mp4".to_owned()), Some([pair("kind", "parts")].into()), vec![pair("large", "1")])
    }

    /// Writes an object in parts.
    pub async fn upload(&self, key: &str, body: &Bytes) {
        let (content_type, metadata, _) = Self::of_parts();
        let create = self.client.create_multipart_upload().bucket("from").key(key).set_content_type(content_type).set_metadata(metadata);
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

    /// The keys below a prefix, in percent-encoding.
    ///
    /// # Errors
    /// Why they cannot be listed.
    pub async fn encoded_keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, String> {
        let decode = |key: &str| percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned();
        let mut keys = Vec::new();
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix).encoding_type(EncodingType::Url);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| error.code().unwrap_or("it cannot be read").to_owned())?;
            keys.extend(page.contents().iter().filter_map(|object| object.key()).map(decode));
        }
        Ok(keys)
    }

    /// The keys below a prefix.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        match &self.server {
            // XML 1.0 has no way to write some characters, and aws-sdk-s3 reads no listing of its that has them
            Running::S3s(s3s) => s3s.keys(bucket).into_iter().filter(|key| key.starts_with(prefix)).collect(),
            _ => self.encoded_keys(bucket, prefix).await.unwrap_or_else(|error| panic!("{}: {error}", self.name)),
        }
    }

    /// Demands that below `prefix` there is everything of `all` and nothing else: bytes, content type, metadata, tags.
    pub async fn arrived(&self, all: &BTreeMap<String, Bytes>, prefix: &str) {
        let to = |from: &str| format!("{prefix}{}", &from["in/".len()..]);
        let mut keys = self.keys("arrived", prefix).await;
        keys.sort_unstable();
        let mut wanted: Vec<String> = all.keys().map(|key| to(key)).collect();
        wanted.sort_unstable();
        assert_eq!(keys, wanted, "{} {prefix}", self.name);
        let checks = all.iter().map(|(from, body)| async move {
            let to = to(from);
            let (ours, theirs) = (self.about("from", from).await, self.about("arrived", &to).await);
            assert_eq!(theirs.0, ours.0, "{} {to:?}", self.name);
            assert!(theirs.1 == *body, "{} {to:?} has other bytes: {} instead of {}", self.name, theirs.1.len(), body.len());
        });
        stream::iter(checks).buffer_unordered(8).for_each(|()| std::future::ready(())).await;
    }

    /// Content type, metadata and tags of an object, and its bytes.
    pub async fn about(&self, bucket: &str, key: &str) -> (About, Bytes) {
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

    /// Demands that a kill at any moment has left no upload. Where uploads cannot be listed as they are, nobody can find one whose creation
    /// was not answered yet; it has no parts.
    pub async fn no_uploads_after_a_kill(&self) {
        let parts: Vec<String> = match &self.server {
            Running::S3s(s3s) => s3s.uploads().into_iter().filter(|name| name.contains(".part-")).collect(),
            Running::Moto(moto) => {
                let mut parts = Vec::new();
                for upload in self.client.list_multipart_uploads().bucket("arrived").send().await.unwrap().uploads() {
                    let target = format!("/arrived/{}?uploadId={}", upload.key().unwrap(), upload.upload_id().unwrap());
                    // aws-sdk-s3 does not read its ListParts; it asks for no signature
                    let answer = http::send(&moto.address(), Method::GET, &target, &[], Bytes::new()).await.unwrap();
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    assert!(answer.status == 200 && body.contains("UploadId>"), "{target}: {body}");
                    parts.extend(body.contains("PartNumber>").then_some(target));
                }
                parts
            }
            _ => return self.no_uploads().await,
        };
        assert!(parts.is_empty(), "{}: {parts:?}", self.name);
    }

    /// Demands that no upload is under way.
    pub async fn no_uploads(&self) {
        let left = match &self.server {
            Running::Embedded(server) => server.store().uploads("arrived").into_iter().map(|upload| upload.key).collect(),
            Running::S3s(s3s) => s3s.uploads(),
            Running::Moto(_) | Running::Other { .. } => {
                let listed = self.client.list_multipart_uploads().bucket("arrived").send().await.unwrap();
                listed.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)).collect::<Vec<_>>()
            }
        };
        assert!(left.is_empty(), "{}: {left:?}", self.name);
    }
}
