//! `dth doctor` against every server there is: what it finds is what the embedded profiles say, and nothing stays behind.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use dth_tests::{
    daemon::Daemon,
    moto::{self, Moto},
    s3::{ACCESS_KEY, SECRET_KEY, Server},
    task::ended_well,
    weed::{self, Weed},
};
use dthd::s3::provider;

use crate::s3s_server::{self, S3s};

const BUCKET: &str = "scratch";

/// What was found, by what was tried: `yes`, `no` or `unknown`, and the answer.
pub type Found = BTreeMap<String, (String, String)>;

async fn daemon(keys: (&str, &str)) -> Daemon {
    let mut daemon = Daemon::prepare();
    let file = daemon.credential("stand", keys.0, keys.1);
    daemon.configure(&format!("[credentials.stand]\ntype = \"file\"\npath = \"{}\"\n", file.display()));
    daemon.restart().await;
    daemon
}

/// Examines a store that must be well enough for it; the answer, by what was tried.
pub async fn examined(daemon: &Daemon, (endpoint, bucket): (&str, &str), provider: &str) -> (serde_json::Value, Found) {
    let line = ["-o", "json", "doctor", endpoint, "--bucket", bucket, "--provider", provider, "--credential", "stand", "--path-style"];
    let ended = daemon.dth(&line).run().await;
    let reply: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let text = |probe: &serde_json::Value, key: &str| probe[key].as_str().unwrap_or_default().to_owned();
    let probes = reply["probes"].as_array().unwrap();
    let found = probes.iter().map(|probe| (text(probe, "name"), (text(probe, "works"), text(probe, "answer")))).collect();
    assert_eq!(ended.code, 0, "{} {}", reply["failure"], reply["left"]);
    (reply, found)
}

async fn nothing_is_left(client: &Client) {
    let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert!(listed.contents().is_empty(), "{:?}", listed.contents());
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await;
    // s3s-fs cannot list them
    if let Ok(uploads) = uploads {
        assert!(uploads.uploads().is_empty(), "{uploads:?}");
    }
}

/// The profile that was found is the one that is embedded.
async fn agrees(name: &str, endpoint: &str, keys: (&str, &str), client: &Client) -> Found {
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let daemon = daemon(keys).await;
    let (reply, found) = examined(&daemon, (endpoint, BUCKET), name).await;
    assert_eq!(reply["differs"], serde_json::Value::Null, "{name}: {reply:#}");
    let own = provider::own("found", reply["profile"].as_str().unwrap()).unwrap_or_else(|bad| panic!("{bad}"));
    assert_eq!(own, [provider::find(name).unwrap().clone()]);
    assert!(reply["requests"].as_u64().unwrap() < 300, "{reply:#}");
    nothing_is_left(client).await;
    ended_well(daemon).await;
    found
}

fn says_no(found: &Found, names: &[&str]) {
    for name in names {
        assert_eq!(found.get(*name).map(|(works, _)| works.as_str()), Some("no"), "{name}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_is_as_its_profile_says() {
    let weed = Weed::start().await;
    let found = agrees("seaweedfs", &weed.endpoint(), (weed::ACCESS_KEY, weed::SECRET_KEY), &weed.client()).await;
    says_no(&found, &["keys in byte order", "key with //"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_is_as_its_profile_says() {
    let moto = Moto::start().await;
    agrees("moto", &moto.endpoint(), moto::KEYS, &moto.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_fs_is_as_its_profile_says() {
    let s3s = S3s::start().await;
    agrees("s3s-fs", &s3s.endpoint(), s3s_server::KEYS, &s3s.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_examined_is_told_and_nothing_stays() {
    let server = Server::builder().anonymous(false).start().await.unwrap();
    let daemon = daemon((ACCESS_KEY, SECRET_KEY)).await;
    let line = ["doctor", &server.endpoint(), "--bucket", "missing", "--credential", "stand"];
    let ended = daemon.dth(&line).run().await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("the examination ended early: nothing can be written to missing"), "{ended:?}");
    let unknown =
        daemon.dth(&["doctor", "http://127.0.0.1:1", "--bucket", "b", "--provider", "mino", "--credential", "nobody"]).run().await;
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.err.contains("did you mean \"minio\"?") && unknown.err.contains("nobody"), "{unknown:?}");
    ended_well(daemon).await;
}
