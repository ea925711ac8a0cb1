//! Manifests of all kinds, as registries have them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::image::platform::Platform;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

fn made(json: &str) -> Manifest {
    Manifest::new(Bytes::copy_from_slice(json.as_bytes()), Some("application/json")).expect("a manifest")
}

fn read(json: &str) -> Content {
    made(json).read().expect("readable")
}

fn digests(descriptors: &[Descriptor]) -> Vec<&str> {
    descriptors.iter().map(|descriptor| descriptor.digest.as_str()).collect()
}

#[test]
fn the_type_is_its_own_or_that_of_the_answer_or_that_of_its_fields() {
    for (json, content_type, expected) in [
        (r#"{"mediaType":"a/b","manifests":[]}"#, Some("c/d"), Ok("a/b")),
        (r#"{"mediaType":null}"#, Some("c/D; charset=utf-8"), Ok("c/d")),
        (r#"{"mediaType":7}"#, Some(OCI_MANIFEST), Ok(OCI_MANIFEST)),
        (r#"{"mediaType":""}"#, Some(OCI_INDEX), Ok(OCI_INDEX)),
        (r#"{"schemaVersion":2,"manifests":[]}"#, Some("text/plain; charset=utf-8"), Ok(OCI_INDEX)),
        (r#"{"schemaVersion":2,"config":{}}"#, None, Ok(OCI_MANIFEST)),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, Some(""), Ok(DOCKER_V1)),
        (r#"{"schemaVersion":1,"signatures":[]}"#, None, Ok(DOCKER_V1_SIGNED)),
        (r#"{"schemaVersion":1,"signatures":[]}"#, Some(DOCKER_V1), Ok(DOCKER_V1_SIGNED)),
        ("{}", None, Err(BadManifest::Unknown)),
        ("{}", Some("application/octet-stream"), Err(BadManifest::Unknown)),
    ] {
        let got = Manifest::new(Bytes::copy_from_slice(json.as_bytes()), content_type);
        assert_eq!(got.as_ref().map(|m| m.media_type.as_str()), expected.as_ref().map(|text| *text), "{json} {content_type:?}");
    }
}

#[test]
fn what_is_no_manifest_says_why() {
    for (bytes, code, why) in [
        (b"[]".to_vec(), "MANIFEST_INVALID", "does not begin with {"),
        (b"{".to_vec(), "MANIFEST_INVALID", "no JSON object"),
        (b"\xff{}".to_vec(), "MANIFEST_INVALID", "utf-8"),
        (br#"{"manifests":[],"manifests":[]}"#.to_vec(), "MANIFEST_INVALID", "duplicate field"),
        (vec![b' '; LARGEST + 1], "SIZE_INVALID", "4194305 bytes"),
    ] {
        let error = Manifest::new(bytes.into(), Some(OCI_INDEX)).expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.code(), code);
    }
}

#[test]
fn images_name_a_configuration_and_layers() {
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"application/x","annotations":null,
            "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{A}","size":2,"data":"e30="}},
            "layers":[{{"mediaType":"l","digest":"{B}","size":5,"urls":["https://x.example/l"],"extra":{{"a":[1]}}}},
                      {{"digest":"{C}","size":null,"urls":null,"annotations":{{}}}},
                      {{"digest":"{B}","size":5}}, null],
            "subject":{{"mediaType":"s","digest":"{C}","size":7}}}}"#
    );
    let content = read(&json);
    assert!(!content.is_index && content.children.is_empty());
    assert_eq!(digests(&content.layers), [B, C], "each once");
    assert_eq!((content.layers[0].size, content.layers[0].urls.as_slice()), (5, &["https://x.example/l".to_owned()][..]));
    assert_eq!((content.layers[0].known_size(), content.layers[1].known_size()), (Some(5), None));
    assert_eq!(content.config.as_ref().map(|config| (config.digest.as_str(), config.size)), Some((A, 2)));
    assert_eq!(content.subject.as_ref().map(|subject| subject.digest.as_str()), Some(C));
    assert_eq!(content.artifact_type.as_deref(), Some("application/x"));
    let nothing = read(&format!(r#"{{"mediaType":"{OCI_MANIFEST}","config":null,"layers":null,"subject":null}}"#));
    assert_eq!(nothing, Content::default());
    let empty = read(&format!(r#"{{"config":{{"digest":"{}","size":0}}}}"#, Digest::sha256(b"")));
    assert_eq!(empty.config.expect("one").known_size(), Some(0));
}

#[test]
fn indexes_name_children_with_and_without_platforms() {
    let json = format!(
        r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"m","digest":"{A}","size":1,"platform":{{"os":"linux","architecture":"arm","variant":"v7","os.version":"1"}}}},
            {{"mediaType":"m","digest":"{B}","size":2,"platform":null,"artifactType":"t"}},
            {{"mediaType":"m","digest":"{B}","size":2,"platform":{{"os":null,"variant":"v1"}}}},
            {{"mediaType":"m","digest":"{B}","size":2,"platform":{{"architecture":"amd64"}}}},
            {{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{C}","size":3}},
            {{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"{A}","size":4}}]}}"#
    );
    let content = read(&json);
    assert!(content.is_index);
    assert_eq!(digests(&content.children), [A, B, B, B]);
    let platforms: Vec<Option<Platform>> = content.children.iter().map(|child| child.platform.clone()).collect();
    let platform = |os: &str, architecture: &str, variant: Option<&str>| {
        Some(Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) })
    };
    assert_eq!(platforms, [platform("linux", "arm", Some("v7")), None, None, platform("", "amd64", None)]);
    assert_eq!(content.children[1].artifact_type.as_deref(), Some("t"));
    assert_eq!(digests(&content.layers), [C, A], "BuildKit keeps caches in indexes of layers");
}

#[test]
fn other_kinds_are_read_as_well() {
    let artifact = read(&format!(
        r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"sig","blobs":[{{"digest":"{A}","size":1}}]}}"#
    ));
    assert_eq!((digests(&artifact.layers), artifact.is_index), (vec![A], false));
    let unknown = read(&format!(r#"{{"mediaType":"application/x","manifests":[{{"digest":"{A}"}}]}}"#));
    assert_eq!((digests(&unknown.children), unknown.is_index), (vec![A], true));
    let first = read(&format!(
        r#"{{"schemaVersion":1,"name":"a","fsLayers":[{{"blobSum":"{A}"}},{{"blobSum":"{B}"}},{{"blobSum":"{A}"}}],"history":[{{"v1Compatibility":"{{}}"}}]}}"#
    ));
    assert_eq!(digests(&first.layers), [A, B]);
    assert!(first.layers.iter().all(|layer| layer.known_size().is_none() && !layer.media_type.is_empty()));
    assert_eq!(first.config, None);
}

#[test]
fn what_names_nothing_is_an_error_with_its_place() {
    for (json, place, why) in [
        (r#"{"layers":[{"size":1}]}"#.to_owned(), "layers[0]", "no digest"),
        (format!(r#"{{"manifests":[{{"digest":"{A}"}},{{"digest":"md5:00"}}]}}"#), "manifests[1]", "not a digest"),
        (r#"{"layers":{}}"#.to_owned(), "layers", "no list"),
        (r#"{"config":"x"}"#.to_owned(), "config", "does not begin with {"),
        (r#"{"subject":{"digest":7}}"#.to_owned(), "subject", "no digest"),
        (r#"{"layers":[[]]}"#.to_owned(), "layers[0]", "does not begin with {"),
    ] {
        let error = Manifest::new(json.clone().into(), Some(OCI_MANIFEST)).expect("a manifest").read().expect_err(&json);
        let BadManifest::Descriptor { place: got, why: text } = &error else { panic!("{error}") };
        assert!(got == place && text.contains(why), "{json}: {error}");
    }
}

#[test]
fn an_index_loses_children_and_nothing_else() {
    let json = format!(
        "{{\n  \"annotations\": {{\"z\": \"1\", \"a\": 1.50}},\n  \"manifests\": [\n    {{\"digest\": \"{A}\", \"size\": 1}},\n    \
         {{\"size\": 2, \"digest\": \"{B}\", \"x\": null}},\n    {{\"digest\": \"{C}\"}}\n  ],\n  \"schemaVersion\": 2\n}}\n"
    );
    let index = made(&json);
    let without = |gone: &str| index.only(|child| child.digest.as_str() != gone).expect("an index");
    assert_eq!(without("none"), index, "all are kept: it is the same");
    let removed = |part: String| {
        let text = json.replacen(&part, "", 1);
        assert_ne!(text, json, "the part is in it");
        text
    };
    assert_eq!(&without(A).bytes[..], removed(format!("{{\"digest\": \"{A}\", \"size\": 1}},\n    ")).as_bytes());
    assert_eq!(&without(B).bytes[..], removed(format!("{{\"size\": 2, \"digest\": \"{B}\", \"x\": null}},\n    ")).as_bytes());
    assert_eq!(&without(C).bytes[..], removed(format!(",\n    {{\"digest\": \"{C}\"}}")).as_bytes());
    let one = without(A);
    assert_eq!((one.digest.clone(), one.media_type.as_str()), (Digest::sha256(&one.bytes), OCI_INDEX));
    let none = index.only(|_| false).expect("an index");
    assert_eq!(none.read().expect("readable").children, []);
    let single = made(&format!(r#"{{"manifests":[{{"digest":"{A}"}}]}}"#)).only(|_| false).expect("an index");
    assert_eq!(&single.bytes[..], br#"{"manifests":[]}"#);
    let image = made(r#"{"config":null,"schemaVersion":2,"mediaType":"x"}"#);
    assert_eq!(image.only(|_| true), Err(BadManifest::NotIndex("x".to_owned())));
}

#[test]
fn layers_in_an_index_are_not_children_to_choose_from() {
    let json =
        format!(r#"{{"manifests":[{{"digest":"{A}"}},{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{B}"}},null]}}"#);
    let kept = made(&json).only(|_| false).expect("an index");
    assert_eq!(digests(&kept.read().expect("readable").layers), [B]);
}

/// As Docker signed in 2015.
fn signed() -> (String, String) {
    let payload = "{\n   \"schemaVersion\": 1,\n   \"name\": \"a\"\n}".to_owned();
    let length = payload.len() - 2;
    let protected = format!(r#"{{"formatLength":{length},"formatTail":"{}","time":"2015"}}"#, URL_SAFE_NO_PAD.encode("\n}"));
    let protected = URL_SAFE_NO_PAD.encode(protected);
    let signatures = format!(",\n   \"signatures\": [{{\"header\":{{}},\"signature\":\"x\",\"protected\":\"{protected}\"}}]\n}}");
    (format!("{}{signatures}", &payload[..length]), payload)
}

#[test]
fn the_digest_of_signed_manifests_is_that_of_what_is_signed() {
    let (text, payload) = signed();
    let manifest = made(&text);
    assert_eq!((manifest.media_type.as_str(), &manifest.digest), (DOCKER_V1_SIGNED, &Digest::sha256(payload.as_bytes())));
    assert!(manifest.clone().by(&Digest::sha256(text.as_bytes())).is_some(), "some registries take it over all of it");
    assert!(manifest.by(&Digest::sha256(b"else")).is_none());
    let broken = made(&text.replace("protected", "protect"));
    assert_eq!(broken.digest, Digest::sha256(&broken.bytes));
}

#[test]
fn digests_of_other_algorithms_are_checked_as_well() {
    let manifest = made(r#"{"manifests":[]}"#);
    let mut hasher = format!("sha512:{}", "0".repeat(128)).parse::<Digest>().expect("a digest").hasher();
    hasher.update(&manifest.bytes);
    let long = hasher.finish();
    assert_eq!(manifest.clone().by(&long).expect("it is its digest").digest, long);
    assert_eq!(manifest.clone().by(&manifest.digest.clone()), Some(manifest));
}

/// Some JSON that resembles manifests.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just(format!("\"{A}\"")),
        Just(format!("{{\"digest\":\"{B}\",\"size\":3}}")),
        any::<i64>().prop_map(|n| n.to_string()),
        "[ -!#-\\[\\]-~]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    let name = prop::sample::select(vec![
        "mediaType",
        "schemaVersion",
        "manifests",
        "config",
        "layers",
        "blobs",
        "fsLayers",
        "subject",
        "digest",
        "size",
        "platform",
        "urls",
        "blobSum",
        "artifactType",
        "annotations",
        "signatures",
    ]);
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let fields = prop::collection::btree_map(name.clone(), inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            fields.prop_map(|all| {
                let all: Vec<String> = all.into_iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
                format!("{{{}}}", all.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(manifest) = Manifest::new(bytes.into(), Some(OCI_INDEX)) {
            let _ = manifest.read();
        }
    }

    #[test]
    fn whatever_is_read_can_be_chosen_from(text in json(), even in any::<bool>()) {
        let Ok(manifest) = Manifest::new(text.into(), Some(OCI_INDEX)) else { return Ok(()) };
        let Ok(content) = manifest.read() else { return Ok(()) };
        let keep = |child: &Descriptor| child.size.is_multiple_of(2) == even;
        if let Ok(fewer) = manifest.only(keep) {
            let expected: Vec<Descriptor> = content.children.iter().filter(|child| keep(child)).cloned().collect();
            let expected = Content { children: expected, ..content };
            prop_assert_eq!(fewer.read(), Ok(expected));
        }
    }
}
