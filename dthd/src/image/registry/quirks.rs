//! Registries that answer in all the ways that registries answer in.

mod blobs;
mod uploads;

use std::{sync::Arc, time::Duration};

use dth_proto::failure::{FailureClass, Side};

use super::{Login, ReferrersBy, Registry, Site, fallback_tag};
use crate::{
    http::fake::{Fake, Heard, Step, answer},
    image::{
        digest::Digest,
        manifest::{ACCEPT, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_V1, DOCKER_V1_SIGNED, Manifest, OCI_INDEX, OCI_MANIFEST},
    },
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// Three tries without waits.
const RETRY: RetryPolicy =
    RetryPolicy { attempts: 3, base: Duration::from_nanos(1), cap: Duration::from_nanos(1), patience: Duration::from_nanos(1) };

pub(super) fn registry(fake: &Fake) -> Registry {
    let site = Site::of(&fake.endpoint());
    Registry::open(site, Side::Source, Login::Anonymous, None, RETRY, Arc::new(RequestCounters::default())).expect("a registry")
}

/// An answer to HEAD.
pub(super) fn head(status: &str, headers: &str) -> Vec<Step> {
    vec![Step::Say(format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes())]
}

pub(super) fn refusal(status: &str, code: &str) -> Vec<Step> {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"words"}}]}}"#);
    answer(status, "content-type: application/json\r\n", &body)
}

/// Method and target of each request.
pub(super) fn asked(fake: &Fake) -> Vec<String> {
    fake.heard().iter().map(line).collect()
}

pub(super) fn line(heard: &Heard) -> String {
    heard.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned()
}

fn code(error: &TransferError) -> (FailureClass, &str, &str) {
    (error.class, error.operation, error.code.as_str())
}

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[test]
fn all_types_are_accepted() {
    for kind in [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_V1_SIGNED, DOCKER_V1] {
        assert!(ACCEPT.split(", ").any(|accepted| accepted == kind), "{kind}");
    }
}

#[tokio::test]
async fn tags_stand_for_digests_by_head() {
    let digest = Digest::sha256(INDEX.as_bytes());
    let headers = format!("docker-content-digest: {digest}\r\ncontent-type: {OCI_INDEX}; charset=utf-8\r\ncontent-length: 87\r\n");
    let fake = Fake::start(move |_, heard| match line(heard).as_str() {
        "HEAD /v2/team/app/manifests/gone" => head("404 Not Found", "content-length: 0\r\n"),
        _ => head("200 OK", &headers),
    })
    .await;
    let registry = registry(&fake);
    let found = registry.resolve("team/app", "v1").await.expect("an answer").expect("there");
    assert_eq!((&found.digest, found.media_type.as_deref(), found.size), (&digest, Some(OCI_INDEX), Some(87)));
    assert_eq!(registry.resolve("team/app", "gone").await, Ok(None));
    assert_eq!(registry.resolve("team/app", digest.as_str()).await.expect("an answer").expect("there").digest, digest);
    let other = Digest::sha256(b"other");
    let error = registry.resolve("team/app", other.as_str()).await.expect_err("another digest");
    assert_eq!(code(&error), (FailureClass::Transient, "HeadManifest", "DIGEST_MISMATCH"));
    assert_eq!(asked(&fake)[0], "HEAD /v2/team/app/manifests/v1");
    assert_eq!(asked(&fake)[2], format!("HEAD /v2/team/app/manifests/{digest}"));
    assert!(fake.heard().iter().all(|heard| heard.header("accept") == Some(ACCEPT)));
    assert!(fake.heard().iter().all(|heard| heard.connection == 0), "one connection serves all");
}

#[tokio::test]
async fn get_is_asked_where_head_says_too_little() {
    for first in [
        head("200 OK", "content-length: 87\r\n"),
        head("405 Method Not Allowed", "content-length: 0\r\n"),
        head("403 Forbidden", "content-length: 0\r\n"),
    ] {
        let fake = Fake::start(move |n, heard| match (n, heard.head.starts_with("HEAD ")) {
            (_, true) => first.clone(),
            _ => answer("200 OK", "content-type: text/plain\r\n", INDEX),
        })
        .await;
        let found = registry(&fake).resolve("a", "v1").await.expect("an answer").expect("there");
        assert_eq!((found.digest, found.size), (Digest::sha256(INDEX.as_bytes()), Some(INDEX.len() as u64)));
        assert_eq!(found.media_type.as_deref(), Some(OCI_INDEX));
        assert_eq!(asked(&fake), ["HEAD /v2/a/manifests/v1", "GET /v2/a/manifests/v1"]);
    }
    // who asks by digest knows it already
    let fake = Fake::start(|_, _| head("200 OK", "content-length: 0\r\n")).await;
    let digest = Digest::sha256(b"x");
    let found = registry(&fake).resolve("a", digest.as_str()).await.expect("an answer").expect("there");
    assert_eq!((found.digest, found.media_type, found.size), (digest, None, None));
    assert_eq!(asked(&fake).len(), 1);
}

#[tokio::test]
async fn manifests_are_those_of_their_digest() {
    let digest = Digest::sha256(INDEX.as_bytes());
    let announced = digest.clone();
    let fake = Fake::start(move |n, heard| match (n, heard.head.contains("/manifests/sha256:")) {
        // cut, then wrong, then right
        (0, _) => {
            let text = format!("HTTP/1.1 200 OK\r\ncontent-type: {OCI_INDEX}\r\ncontent-length: 500\r\n\r\n{INDEX}");
            vec![Step::Say(text.into_bytes()), Step::Close]
        }
        (1, _) => answer("200 OK", "", "{\"schemaVersion\":3}"),
        _ => answer("200 OK", &format!("docker-content-digest: {announced}\r\n"), INDEX),
    })
    .await;
    let registry = registry(&fake);
    let manifest = registry.manifest("a", digest.as_str()).await.expect("a manifest");
    assert_eq!((&manifest.bytes[..], manifest.media_type.as_str(), &manifest.digest), (INDEX.as_bytes(), OCI_INDEX, &digest));
    assert_eq!(fake.heard().len(), 3);
    assert_eq!(registry.manifest("a", "v1").await.expect("a manifest"), manifest);
}

#[tokio::test]
async fn manifests_that_stay_wrong_are_failures() {
    let other = Digest::sha256(b"other");
    let announced = other.clone();
    let fake = Fake::start(move |_, heard| match line(heard).rsplit('/').next().unwrap_or_default() {
        "missing" => refusal("404 Not Found", "MANIFEST_UNKNOWN"),
        "nowhere" => refusal("404 Not Found", "NAME_UNKNOWN"),
        "harbor" => refusal("404 Not Found", "NOT_FOUND"),
        "bare" => answer("404 Not Found", "", "404 page not found"),
        "announced" => answer("200 OK", &format!("docker-content-digest: {announced}\r\n"), INDEX),
        "page" => answer("200 OK", "content-type: text/html\r\n", "<html>"),
        "large" => answer("200 OK", "", &" ".repeat(4 * 1024 * 1024 + 1)),
        _ => answer("200 OK", "", "truncated {"),
    })
    .await;
    let registry = registry(&fake);
    for (reference, class, expected, requests) in [
        ("missing", FailureClass::Permanent, "MANIFEST_UNKNOWN", 1),
        ("nowhere", FailureClass::Permanent, "NAME_UNKNOWN", 1),
        ("harbor", FailureClass::Permanent, "MANIFEST_UNKNOWN", 1),
        ("bare", FailureClass::Permanent, "MANIFEST_UNKNOWN", 1),
        ("announced", FailureClass::Transient, "DIGEST_MISMATCH", 2),
        ("page", FailureClass::Permanent, "MANIFEST_INVALID", 1),
        ("large", FailureClass::Permanent, "SIZE_INVALID", 1),
        (other.as_str(), FailureClass::Transient, "DIGEST_MISMATCH", 2),
    ] {
        let before = fake.heard().len();
        let error = registry.manifest("a", reference).await.expect_err(reference);
        assert_eq!(code(&error), (class, "GetManifest", expected), "{error}");
        assert_eq!(fake.heard().len() - before, requests, "{reference}");
    }
}

#[tokio::test]
async fn manifests_are_stored_as_they_are() {
    let manifest = Manifest::new(INDEX.into(), Some("text/plain")).expect("a manifest");
    let digest = manifest.digest.clone();
    let fake = Fake::start(move |n, _| match n {
        0 => answer("201 Created", &format!("location: /x\r\ndocker-content-digest: {digest}\r\noci-subject: {digest}\r\n"), ""),
        1 => answer("200 OK", "", "some words"),
        2 => head("204 No Content", ""),
        3 => answer("202 Accepted", "", ""),
        4 => answer("201 Created", &format!("docker-content-digest: {}\r\n", Digest::sha256(b"other")), ""),
        _ => refusal("400 Bad Request", "TAG_INVALID"),
    })
    .await;
    let registry = registry(&fake);
    for known in [true, false, false, false] {
        let stored = registry.put_manifest("a", "v1", &manifest).await.expect("stored");
        assert_eq!(stored.subject_known, known);
    }
    let error = registry.put_manifest("a", "v1", &manifest).await.expect_err("something else was stored");
    assert_eq!(code(&error), (FailureClass::Transient, "PutManifest", "DIGEST_MISMATCH"));
    let error = registry.put_manifest("a", "v1", &manifest).await.expect_err("immutable");
    assert_eq!(code(&error), (FailureClass::Permanent, "PutManifest", "TAG_INVALID"));
    let heard = fake.heard();
    assert!(heard.iter().all(|heard| line(heard) == "PUT /v2/a/manifests/v1" && heard.body == INDEX.as_bytes()));
    assert!(heard.iter().all(|heard| heard.header("content-type") == Some(OCI_INDEX) && heard.connection == 0));
}

#[tokio::test]
async fn tags_come_in_pages_or_all_at_once() {
    let fake = Fake::start(|_, heard| {
        let next = |target: &str| format!("link: <{target}>; rel=\"next\"\r\n");
        match line(heard).as_str() {
            "GET /v2/paged/tags/list?n=1000" => {
                answer("200 OK", &next("/v2/paged/tags/list?n=1000&last=b"), r#"{"name":"paged","tags":["b","a"]}"#)
            }
            "GET /v2/paged/tags/list?n=1000&last=b" => {
                answer("200 OK", &next("http://internal:1/v2/paged/tags/list?last=c"), r#"{"tags":["c",null,"a"]}"#)
            }
            "GET /v2/paged/tags/list?last=c" => answer("200 OK", "", r#"{"name":"paged","tags":null}"#),
            "GET /v2/whole/tags/list?n=1000" => answer("200 OK", "", r#"{"tags":["z","y","z"]}"#),
            "GET /v2/circle/tags/list?n=1000" => answer("200 OK", &next("/v2/circle/tags/list?n=1000&last=b"), r#"{"tags":["a"]}"#),
            "GET /v2/circle/tags/list?n=1000&last=b" => answer("200 OK", &next("/v2/circle/tags/list?n=1000&last=b"), r#"{"tags":["b"]}"#),
            "GET /v2/small/tags/list?n=1000" => refusal("400 Bad Request", "PAGINATION_NUMBER_INVALID"),
            "GET /v2/small/tags/list" => answer("200 OK", "", r#"{"tags":["a"]}"#),
            "GET /v2/odd/tags/list?n=1000" => answer("200 OK", "", r#"{"errors":[]}"#),
            _ => refusal("404 Not Found", "NAME_UNKNOWN"),
        }
    })
    .await;
    let registry = registry(&fake);
    let names = |names: &[&str]| Ok(Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
    assert_eq!(registry.tags("paged").await, names(&["a", "b", "c"]));
    assert_eq!(registry.tags("whole").await, names(&["y", "z"]));
    assert_eq!(registry.tags("small").await, names(&["a"]));
    assert_eq!(registry.tags("missing").await, Ok(None));
    let error = registry.tags("circle").await.expect_err("what lies behind is not known");
    assert_eq!(code(&error), (FailureClass::Permanent, "ListTags", "PagesWithoutEnd"));
    let error = registry.tags("odd").await.expect_err("no list");
    assert_eq!(code(&error), (FailureClass::Transient, "ListTags", "UnreadableAnswer"));
}

#[tokio::test]
async fn full_pages_without_a_link_are_asked_after() {
    let page = |from: usize, to: usize| {
        let names: Vec<String> = (from..to).map(|n| format!("\"t{n:05}\"")).collect();
        answer("200 OK", "", &format!(r#"{{"tags":[{}]}}"#, names.join(",")))
    };
    let fake = Fake::start(move |_, heard| match line(heard).as_str() {
        "GET /v2/silent/tags/list?n=1000&last=t00999" => page(1000, 1003),
        "GET /v2/deaf/tags/list?n=1000&last=t00999" | "GET /v2/silent/tags/list?n=1000" | "GET /v2/deaf/tags/list?n=1000" => page(0, 1000),
        _ => page(0, 1500),
    })
    .await;
    let registry = registry(&fake);
    for (repository, tags, requests) in [("silent", 1003, 2), ("deaf", 1000, 2), ("whole", 1500, 1)] {
        let before = fake.heard().len();
        assert_eq!(registry.tags(repository).await.expect("a list").expect("there").len(), tags, "{repository}");
        assert_eq!(fake.heard().len() - before, requests, "{repository}");
    }
}

#[tokio::test]
async fn repositories_are_listed_or_must_be_named() {
    let fake = Fake::start(|n, _| match n {
        0 => answer("200 OK", "link: </v2/_catalog?last=b>; rel=next\r\n", r#"{"repositories":["b/c","a"]}"#),
        1 => answer("200 OK", "", r#"{"repositories":["b/c","d"]}"#),
        2 => head("404 Not Found", "content-length: 0\r\n"),
        _ => refusal("403 Forbidden", "DENIED"),
    })
    .await;
    let registry = registry(&fake);
    assert_eq!(registry.repositories().await.expect("a list"), ["a", "b/c", "d"]);
    assert_eq!(asked(&fake)[1], "GET /v2/_catalog?last=b");
    for (class, expected) in [(FailureClass::Permanent, "UNSUPPORTED"), (FailureClass::Auth, "DENIED")] {
        let error = registry.repositories().await.expect_err("refused");
        assert_eq!(code(&error), (class, "ListRepositories", expected));
        assert!(error.message.contains("name them in source.images"), "{error}");
    }
}

fn descriptor(text: &str) -> String {
    format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":3,"artifactType":"sig"}}"#, Digest::sha256(text.as_bytes()))
}

fn index(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn referrers_are_listed_by_the_registry() {
    let subject = Digest::sha256(b"subject");
    let fake = Fake::start(|n, _| {
        let kind = format!("content-type: {OCI_INDEX}\r\n");
        match n {
            0 => answer("200 OK", &format!("{kind}link: <?page=2>; rel=next\r\n"), &index(&[descriptor("a"), descriptor("b")])),
            1 => answer("200 OK", &kind, &index(&[descriptor("b"), descriptor("c")])),
            _ => answer("200 OK", &kind, &index(&[])),
        }
    })
    .await;
    let registry = registry(&fake);
    let referrers = registry.referrers("a", &subject).await.expect("a list");
    assert_eq!(referrers.by, ReferrersBy::Api);
    let digests: Vec<&Digest> = referrers.descriptors.iter().map(|descriptor| &descriptor.digest).collect();
    assert_eq!(digests, [&Digest::sha256(b"a"), &Digest::sha256(b"b"), &Digest::sha256(b"c")]);
    assert_eq!(referrers.descriptors[0].artifact_type.as_deref(), Some("sig"));
    let none = registry.referrers("a", &subject).await.expect("a list");
    assert_eq!((none.descriptors.len(), none.by), (0, ReferrersBy::Api));
    assert_eq!(asked(&fake)[..2], [format!("GET /v2/a/referrers/{subject}"), format!("GET /v2/a/referrers/{subject}?page=2")]);
}

#[tokio::test]
async fn referrers_are_listed_under_a_tag_where_the_registry_lists_none() {
    let subject = Digest::sha256(b"subject");
    let tag = fallback_tag(&subject);
    assert_eq!(tag, format!("sha256-{}", subject.hex()));
    for refused in [
        answer("404 Not Found", "content-type: text/plain\r\n", "404 page not found"),
        answer("200 OK", "content-type: text/html\r\n", "<html>"),
        answer("200 OK", "content-type: application/json\r\n", r#"{"status":404}"#),
        refusal("400 Bad Request", "UNSUPPORTED"),
        head("405 Method Not Allowed", "content-length: 0\r\n"),
    ] {
        let fake = Fake::start(move |_, heard| match line(heard) {
            line if line.contains("/referrers/") => refused.clone(),
            line if line.starts_with("GET /v2/tagged/manifests/sha256-") => {
                answer("200 OK", &format!("content-type: {OCI_INDEX}\r\n"), &index(&[descriptor("a")]))
            }
            _ => refusal("404 Not Found", "MANIFEST_UNKNOWN"),
        })
        .await;
        let registry = registry(&fake);
        let tagged = registry.referrers("tagged", &subject).await.expect("a list");
        assert_eq!(tagged.descriptors.len(), 1);
        let ReferrersBy::Tag(kept) = tagged.by else { panic!("{:?}", tagged.by) };
        assert_eq!(kept.read().expect("readable").children, tagged.descriptors);
        assert_eq!(asked(&fake)[1], format!("GET /v2/tagged/manifests/{tag}"));
        let none = registry.referrers("bare", &subject).await.expect("a list");
        assert_eq!((none.descriptors.len(), none.by), (0, ReferrersBy::None));
    }
}

#[tokio::test]
async fn lists_of_referrers_that_make_no_sense_are_failures() {
    let fake = Fake::start(|_, _| answer("200 OK", &format!("content-type: {OCI_INDEX}\r\n"), r#"{"manifests":"#)).await;
    let error = registry(&fake).referrers("a", &Digest::sha256(b"x")).await.expect_err("a list that is none");
    assert_eq!(code(&error), (FailureClass::Transient, "ListReferrers", "UnreadableAnswer"));
}
