//! The embedded S3 server, as aws-sdk-s3 sees it.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::RequestChecksumCalculation,
    error::ProvideErrorMetadata,
    primitives::ByteStream,
    types::{
        ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, EncodingType, MetadataDirective,
        ObjectIdentifier, Tag, Tagging,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dth_tests::{
    client,
    s3::{ACCESS_KEY, Action, Algorithm, Data, Fault, Object, Operation, SECRET_KEY, Server},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1024 * 1024;

async fn server() -> (Server, Client) {
    let server = Server::start().await.unwrap();
    server.store().create_bucket("b");
    let client = client::s3(&server.endpoint(), Some((ACCESS_KEY, SECRET_KEY)));
    (server, client)
}

fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    result.expect_err("an error").code().unwrap_or("no code").to_owned()
}

fn hostile_keys() -> Vec<String> {
    let mut keys: Vec<String> =
        ["a//b", "/a", "a/", "../a", "a/./b", "a\\b", "a+b %&?#=c", "ü/日本/🦀", "\u{1}\t\u{7f}x", "a-b", "a/b", "~!*'()", "%2F", "&amp;<"]
            .map(str::to_owned)
            .to_vec();
    keys.push("k".repeat(1024));
    keys.push("ä".repeat(512));
    keys.sort();
    keys
}

fn url_decode(key: &str) -> String {
    percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn any_key_is_kept_as_it_is() {
    let (server, s3) = server().await;
    for key in hostile_keys() {
        s3.put_object().bucket("b").key(&key).body(ByteStream::from(key.clone().into_bytes())).send().await.unwrap();
        let got = s3.get_object().bucket("b").key(&key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), key.as_bytes());
    }
    assert_eq!(server.store().all("b").into_keys().collect::<Vec<_>>(), hostile_keys());
    let long = "k".repeat(1025);
    assert_eq!(code(s3.put_object().bucket("b").key(long).send().await), "KeyTooLongError");

    let mut listed = Vec::new();
    let mut pages = s3.list_objects_v2().bucket("b").encoding_type(EncodingType::Url).max_keys(3).into_paginator().send();
    while let Some(page) = pages.next().await {
        listed.extend(page.unwrap().contents().iter().map(|object| url_decode(object.key().unwrap())));
    }
    assert_eq!(listed, hostile_keys());

    let objects = hostile_keys().iter().map(|key| ObjectIdentifier::builder().key(key).build().unwrap()).collect();
    let delete = Delete::builder().set_objects(Some(objects)).build().unwrap();
    s3.delete_objects().bucket("b").delete(delete).send().await.unwrap();
    assert!(server.store().all("b").is_empty());
}

#[tokio::test]
async fn listings_have_prefixes_markers_and_versions() {
    let (server, s3) = server().await;
    for key in ["a/1", "a/2", "a-b", "b", "c/1"] {
        server.store().put("b", key, Object::new("x"));
    }
    let page = s3.list_objects_v2().bucket("b").delimiter("/").send().await.unwrap();
    assert_eq!(page.common_prefixes().iter().filter_map(|p| p.prefix()).collect::<Vec<_>>(), ["a/", "c/"]);
    assert_eq!(page.contents().iter().filter_map(|o| o.key()).collect::<Vec<_>>(), ["a-b", "b"]);
    assert_eq!(page.key_count(), Some(4));
    let page = s3.list_objects_v2().bucket("b").prefix("a").start_after("a/1").send().await.unwrap();
    assert_eq!(page.contents().iter().filter_map(|o| o.key()).collect::<Vec<_>>(), ["a/2"]);
    let page = s3.list_objects().bucket("b").marker("a-b").max_keys(1).send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("a/1"));
    assert_eq!((page.is_truncated(), page.next_marker()), (Some(true), None));
    assert_eq!(code(s3.list_objects_v2().bucket("nope").send().await), "NoSuchBucket");
    assert_eq!(code(s3.list_objects_v2().bucket("b").continuation_token("x").send().await), "InvalidArgument");
}

#[tokio::test]
async fn reads_are_conditional_and_ranged() {
    let (server, s3) = server().await;
    server.store().put("b", "k", Object::new("0123456789"));
    let etag = format!("\"{}\"", server.store().get("b", "k").unwrap().etag);
    let got = s3.get_object().bucket("b").key("k").range("bytes=2-4").if_match(&etag).send().await.unwrap();
    assert_eq!(got.content_range(), Some("bytes 2-4/10"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"234");
    assert_eq!(code(s3.get_object().bucket("b").key("k").if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(code(s3.get_object().bucket("b").key("k").range("bytes=10-").send().await), "InvalidRange");
    assert_eq!(code(s3.get_object().bucket("b").key("none").send().await), "NoSuchKey");
    let unchanged = s3.get_object().bucket("b").key("k").if_none_match(&etag).send().await.expect_err("not modified");
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let head = s3.head_object().bucket("b").key("k").send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(10), Some(etag.as_str())));
}

#[tokio::test]
async fn attributes_and_tags_come_back() {
    let (_server, s3) = server().await;
    let put = s3.put_object().bucket("b").key("k").body(ByteStream::from_static(b"x"));
    put.content_type("text/x")
        .cache_control("no-store")
        .content_encoding("gzip")
        .content_disposition("inline")
        .content_language("de")
        .metadata("Name", "v 1")
        .tagging("a=1&b%20c=%26")
        .storage_class("STANDARD_IA".into())
        .send()
        .await
        .unwrap();
    s3.copy_object().bucket("b").key("copy").copy_source("b/k").send().await.unwrap();
    for key in ["k", "copy"] {
        let head = s3.head_object().bucket("b").key(key).send().await.unwrap();
        assert_eq!(head.content_type(), Some("text/x"));
        assert_eq!(head.cache_control(), Some("no-store"));
        assert_eq!(head.content_encoding(), Some("gzip"));
        assert_eq!(head.content_disposition(), Some("inline"));
        assert_eq!(head.content_language(), Some("de"));
        assert_eq!(head.metadata().unwrap()["name"], "v 1");
        assert_eq!(head.storage_class().map(aws_sdk_s3::types::StorageClass::as_str), (key == "k").then_some("STANDARD_IA"));
        let tags = s3.get_object_tagging().bucket("b").key(key).send().await.unwrap();
        let tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
        assert_eq!(tags, [("a", "1"), ("b c", "&")]);
        let got = s3.get_object().bucket("b").key(key).send().await.unwrap();
        assert_eq!(got.tag_count(), Some(2));
    }
    let tagging = Tagging::builder().tag_set(Tag::builder().key("<").value(">").build().unwrap()).build().unwrap();
    s3.put_object_tagging().bucket("b").key("copy").tagging(tagging).send().await.unwrap();
    let tags = s3.get_object_tagging().bucket("b").key("copy").send().await.unwrap();
    assert_eq!((tags.tag_set()[0].key(), tags.tag_set()[0].value()), ("<", ">"));
    let copy = s3.copy_object().bucket("b").key("new").copy_source("b/k").metadata_directive(MetadataDirective::Replace);
    copy.content_type("text/y").send().await.unwrap();
    let head = s3.head_object().bucket("b").key("new").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap().len()), (Some("text/y"), 0));
}

#[tokio::test]
async fn digests_are_verified_and_kept() {
    let (server, s3) = server().await;
    let put = || s3.put_object().bucket("b").key("k").body(ByteStream::from_static(b"hello"));
    let sum = |algorithm: Algorithm| algorithm.of(&Data::from(bytes::Bytes::from_static(b"hello"))).value;
    assert_eq!(code(put().content_md5(STANDARD.encode([7; 16])).send().await), "BadDigest");
    assert_eq!(code(put().content_md5("rubbish").send().await), "InvalidDigest");
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_sha256("AAAA").send().await), "BadDigest");
    assert!(server.store().all("b").is_empty());

    put().checksum_crc64_nvme(sum(Algorithm::Crc64Nvme)).send().await.unwrap();
    let head = s3.head_object().bucket("b").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_crc64_nvme(), Some(sum(Algorithm::Crc64Nvme).as_str()));
    let head = s3.head_object().bucket("b").key("k").send().await.unwrap();
    assert_eq!(head.checksum_crc64_nvme(), None);

    // the SDK sends a body that it cannot read twice aws-chunked, with the checksum in a trailer
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), vec![7_u8; 200_000]).unwrap();
    let body = ByteStream::from_path(path.path()).await.unwrap();
    let put = s3.put_object().bucket("b").key("chunked").body(body).checksum_algorithm(ChecksumAlgorithm::Crc32C);
    let computing = aws_sdk_s3::Config::builder().request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
    put.customize().config_override(computing).send().await.unwrap();
    let object = server.store().get("b", "chunked").unwrap();
    assert_eq!(object.data.to_bytes(), vec![7_u8; 200_000]);
    assert_eq!(object.checksums, [Algorithm::Crc32c.of(&object.data)]);
    assert!(!object.attributes.headers.contains_key("content-encoding"));
}

async fn upload(s3: &Client, key: &str, parts: &[Vec<u8>]) -> (String, CompletedMultipartUpload) {
    let create = s3.create_multipart_upload().bucket("b").key(key).content_type("text/x").metadata("m", "1").tagging("t=1");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(parts) {
        let put = s3.upload_part().bucket("b").key(key).upload_id(&id).part_number(number).body(ByteStream::from(part.clone()));
        let etag = put.send().await.unwrap().e_tag.unwrap();
        done = done.parts(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    (id, done.build())
}

#[tokio::test]
async fn uploads_become_objects() {
    let (server, s3) = server().await;
    let parts = [vec![1; 5 * MIB], vec![2; 5 * MIB], vec![3; 10]];
    let (id, done) = upload(&s3, "big", &parts).await;
    let listed = s3.list_parts().bucket("b").key("big").upload_id(&id).max_parts(2).send().await.unwrap();
    assert_eq!((listed.parts().len(), listed.is_truncated(), listed.next_part_number_marker()), (2, Some(true), Some("2")));
    let uploads = s3.list_multipart_uploads().bucket("b").prefix("bi").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(server.store().uploads("b")[0].parts, [1, 2, 3]);

    let complete = s3.complete_multipart_upload().bucket("b").key("big").upload_id(&id).multipart_upload(done).send().await.unwrap();
    // what AWS computes: md5 over the md5s of the parts
    let sums: Vec<u8> = parts.iter().flat_map(<md5::Md5 as md5::Digest>::digest).collect();
    let etag = format!("\"{}-3\"", dth_tests::s3::md5_hex(&bytes::Bytes::from(sums).into()));
    assert_eq!(complete.e_tag(), Some(etag.as_str()));
    assert!(server.store().uploads("b").is_empty());

    let got = s3.get_object().bucket("b").key("big").send().await.unwrap();
    assert_eq!((got.content_type(), got.metadata().unwrap()["m"].as_str(), got.tag_count()), (Some("text/x"), "1", Some(1)));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), parts.concat());
    let second = s3.get_object().bucket("b").key("big").part_number(3).send().await.unwrap();
    assert_eq!((second.parts_count(), second.content_range()), (Some(3), Some("bytes 10485760-10485769/10485770")));
    assert_eq!(second.body.collect().await.unwrap().to_vec(), parts[2]);
    assert_eq!(code(s3.get_object().bucket("b").key("big").part_number(4).send().await), "InvalidPartNumber");
    assert_eq!(server.requests().parts("big").into_iter().collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test]
async fn bad_uploads_are_refused() {
    let (server, s3) = server().await;
    let (id, done) = upload(&s3, "k", &[vec![1; 10], vec![2; 10]]).await;
    let complete = |parts| s3.complete_multipart_upload().bucket("b").key("k").upload_id(&id).multipart_upload(parts).send();
    assert_eq!(code(complete(done.clone()).await), "EntityTooSmall");
    let [one, two] = [&done.parts()[0], &done.parts()[1]].map(Clone::clone);
    let reversed = CompletedMultipartUpload::builder().parts(two.clone()).parts(one.clone()).build();
    assert_eq!(code(complete(reversed).await), "InvalidPartOrder");
    let wrong = CompletedPart::builder().part_number(1).e_tag(two.e_tag().unwrap()).build();
    assert_eq!(code(complete(CompletedMultipartUpload::builder().parts(wrong).build()).await), "InvalidPart");
    assert_eq!(code(s3.upload_part().bucket("b").key("k").upload_id(&id).part_number(10_001).send().await), "InvalidArgument");
    s3.abort_multipart_upload().bucket("b").key("k").upload_id(&id).send().await.unwrap();
    assert_eq!(code(s3.abort_multipart_upload().bucket("b").key("k").upload_id(&id).send().await), "NoSuchUpload");
    assert!(server.store().uploads("b").is_empty() && server.store().all("b").is_empty());
}

#[tokio::test]
async fn access_keys_are_checked() {
    let server = Server::builder().access_key("known", "secret").start().await.unwrap();
    server.store().put("b", "k", Object::new("x"));
    let get = |keys| client::s3(&server.endpoint(), keys).get_object().bucket("b").key("k").send();
    assert!(get(Some(("known", "secret"))).await.is_ok());
    assert_eq!(code(get(Some(("known", "other"))).await), "SignatureDoesNotMatch");
    assert_eq!(code(get(Some(("other", "secret"))).await), "InvalidAccessKeyId");
    assert_eq!(code(get(None).await), "AccessDenied");
}

#[tokio::test]
async fn hosts_may_name_the_bucket() {
    let (server, _) = server().await;
    server.store().put("b", "//k", Object::new("here"));
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET ///k HTTP/1.1\r\nHost: b.localhost:1\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\nhere"), "{answer}");
}

#[tokio::test]
async fn faults_answer_with_errors() {
    let (server, s3) = server().await;
    server.store().put("b", "a/k", Object::new("x"));
    let get = || s3.get_object().bucket("b").key("a/k").send();
    let id = server.faults().add(Fault::new(Action::SlowDown).on([Operation::GetObject]).every(3));
    let mut slow = 0;
    for _ in 0..9 {
        slow += u32::from(get().await.is_err_and(|error| error.code() == Some("SlowDown")));
    }
    assert_eq!((slow, server.faults().struck(id)), (3, 3));
    assert_eq!(server.requests().of_key(Operation::GetObject, "a/k"), 9);
    server.faults().clear();
    server.faults().add(Fault::new(Action::Deny).prefix("a/"));
    assert_eq!(code(get().await), "AccessDenied");
    assert!(s3.list_objects_v2().bucket("b").send().await.is_ok());
}

#[tokio::test]
async fn faults_break_connections_and_bodies() {
    let (server, s3) = server().await;
    let bytes = vec![5_u8; 300_000];
    server.store().put("b", "k", Object::new(bytes.clone()));
    let get = || s3.get_object().bucket("b").key("k").send();

    server.faults().add(Fault::new(Action::Reset).nth(1));
    assert!(get().await.expect_err("reset").raw_response().is_none());
    server.faults().clear();

    server.faults().add(Fault::new(Action::Truncate(100_000)).nth(1));
    let cut = get().await.unwrap();
    assert_eq!(cut.content_length(), Some(300_000));
    let mut body = cut.body;
    let mut received = 0;
    let error = loop {
        match body.next().await.expect("an error before the end") {
            Ok(piece) => received += piece.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(received, 100_000, "{error}");
    server.faults().clear();

    server.faults().add(Fault::new(Action::Corrupt(7)).nth(1));
    let bad = get().await.unwrap().body.collect().await.unwrap().to_vec();
    assert_eq!(bad.iter().zip(&bytes).filter(|(a, b)| a != b).count(), 1);
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().to_vec(), bytes);
}

#[tokio::test]
async fn objects_can_be_swapped_between_ranges() {
    let (server, s3) = server().await;
    server.store().put("b", "k", Object::new("old old old"));
    server.faults().add(Fault::new(Action::Swap(Arc::new(Object::new("new new new")))).key("k").ranged().nth(2));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let got = s3.get_object().bucket("b").key("k").range("bytes=0-2").send().await.unwrap();
        seen.push(String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap());
    }
    assert_eq!(seen, ["old", "old", "new"]);
}

#[tokio::test]
async fn listings_can_be_wrong() {
    let (server, s3) = server().await;
    for key in ["a-b", "a/b", "c"] {
        server.store().put("b", key, Object::new("x"));
    }
    let page = || s3.list_objects_v2().bucket("b").max_keys(2);
    let keys = |page: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| -> Vec<String> {
        page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    };
    server.faults().add(Fault::new(Action::DirectoryOrder));
    assert_eq!(keys(&page().send().await.unwrap()), ["a/b", "a-b"]);
    server.faults().clear();
    server.faults().add(Fault::new(Action::TruncatedWithoutToken).nth(1));
    let torn = page().send().await.unwrap();
    assert_eq!((torn.is_truncated(), torn.next_continuation_token()), (Some(true), None));
    server.faults().clear();
    server.faults().add(Fault::new(Action::RepeatPage).nth(1));
    let first = page().send().await.unwrap();
    let again = page().continuation_token(first.next_continuation_token().unwrap()).send().await.unwrap();
    assert_eq!(keys(&first), keys(&again));
    let last = page().continuation_token(again.next_continuation_token().unwrap()).send().await.unwrap();
    assert_eq!(keys(&last), ["c"]);
}

#[tokio::test]
async fn completion_can_fail_in_two_ways() {
    let (server, s3) = server().await;
    let (id, done) = upload(&s3, "k", &[vec![1; 10]]).await;
    let complete = || s3.complete_multipart_upload().bucket("b").key("k").upload_id(&id).multipart_upload(done.clone()).send();
    server.faults().add(Fault::new(Action::ErrorIn200).on([Operation::CompleteMultipartUpload]).nth(1));
    assert_eq!(code(complete().await), "InternalError");
    assert!(server.store().get("b", "k").is_none());
    server.faults().add(Fault::new(Action::ErrorAfter).on([Operation::CompleteMultipartUpload]).nth(1));
    assert_eq!(code(complete().await), "InternalError");
    assert_eq!(server.store().get("b", "k").unwrap().data.len(), 10);
    assert_eq!(code(complete().await), "NoSuchUpload");
}

#[tokio::test]
async fn bandwidth_and_latency_hold() {
    let (server, s3) = server().await;
    server.store().put("b", "k", Object::new(vec![0; 100_000]));
    server.set_bandwidth(Some(400_000));
    server.set_latency(Duration::from_millis(50));
    let begin = tokio::time::Instant::now();
    s3.get_object().bucket("b").key("k").send().await.unwrap().body.collect().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
}
