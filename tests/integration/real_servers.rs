//! The servers that other tests copy between come up and behave as those tests assume.

use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, EncodingType},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dth_tests::{client, moto::Moto, s3::md5_hex, weed, weed::Weed};

const PART: usize = 5 * 1024 * 1024;

async fn bucket(s3: &Client) {
    s3.create_bucket().bucket("bucket").send().await.unwrap();
}

async fn put(s3: &Client, key: &str, body: &[u8]) -> String {
    s3.put_object().bucket("bucket").key(key).body(ByteStream::from(body.to_vec())).send().await.unwrap().e_tag.unwrap()
}

async fn get(s3: &Client, key: &str) -> Vec<u8> {
    s3.get_object().bucket("bucket").key(key).send().await.unwrap().body.collect().await.unwrap().to_vec()
}

async fn keys(s3: &Client, page: i32) -> Vec<String> {
    let mut keys = Vec::new();
    let mut pages = s3.list_objects_v2().bucket("bucket").encoding_type(EncodingType::Url).max_keys(page).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        let decode = |key: &str| percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8().unwrap().into_owned();
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(decode));
    }
    keys
}

fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    result.expect_err("an error").code().unwrap_or("no code").to_owned()
}

/// What every store must do for a copy to be right: ETags, pins, ranges, metadata, tags, uploads. `tells_parts`: its `ListParts` is
/// one that aws-sdk-s3 can read (moto's has another root element).
async fn behaves(s3: &Client, tells_parts: bool) {
    let etag = put(s3, "plain", b"hello world").await;
    assert_eq!(etag, format!("\"{}\"", md5_hex(&bytes::Bytes::from_static(b"hello world").into())));
    let pinned = |etag: &str| s3.get_object().bucket("bucket").key("plain").range("bytes=0-4").if_match(etag).send();
    assert_eq!(pinned(&etag).await.unwrap().body.collect().await.unwrap().to_vec(), b"hello");
    assert_eq!(code(pinned("\"00000000000000000000000000000000\"").await), "PreconditionFailed");
    put(s3, "empty", b"").await;
    assert!(get(s3, "empty").await.is_empty());

    let attributes =
        s3.put_object().bucket("bucket").key("attributes").content_type("text/x").metadata("name", "v 1").tagging("a=1&b%20c=d%2Be");
    attributes.body(ByteStream::from_static(b"x")).send().await.unwrap();
    let head = s3.head_object().bucket("bucket").key("attributes").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["name"].as_str()), (Some("text/x"), "v 1"));
    let tags = s3.get_object_tagging().bucket("bucket").key("attributes").send().await.unwrap();
    let mut tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("a", "1"), ("b c", "d+e")]);

    let parts = [vec![1_u8; PART], vec![2; PART], vec![3; 10]];
    let create = s3.create_multipart_upload().bucket("bucket").key("large").content_type("text/x").metadata("m", "1");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(&parts) {
        let part = s3.upload_part().bucket("bucket").key("large").upload_id(&id).part_number(number).body(ByteStream::from(part.clone()));
        done = done.parts(CompletedPart::builder().part_number(number).e_tag(part.send().await.unwrap().e_tag.unwrap()).build());
    }
    if tells_parts {
        let listed = s3.list_parts().bucket("bucket").key("large").upload_id(&id).send().await.unwrap();
        assert_eq!(listed.parts().iter().filter_map(aws_sdk_s3::types::Part::part_number).collect::<Vec<_>>(), [1, 2, 3]);
    }
    let uploads = s3.list_multipart_uploads().bucket("bucket").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    let complete = s3.complete_multipart_upload().bucket("bucket").key("large").upload_id(&id).multipart_upload(done.build());
    let sums: Vec<u8> = parts.iter().flat_map(<md5::Md5 as md5::Digest>::digest).collect();
    let etag = format!("\"{}-3\"", md5_hex(&bytes::Bytes::from(sums).into()));
    assert_eq!(complete.send().await.unwrap().e_tag(), Some(etag.as_str()));
    assert!(get(s3, "large").await == parts.concat());
    assert!(s3.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_is_a_store_with_an_order_of_its_own() {
    let weed = Weed::start().await;
    let s3 = weed.client();
    bucket(&s3).await;
    let stranger = client::s3(&weed.endpoint(), Some((weed::ACCESS_KEY, "wrong")));
    assert_eq!(code(stranger.list_objects_v2().bucket("bucket").send().await), "SignatureDoesNotMatch");
    for key in ["a", "a-b", "a/b", "a!", "sp ace", "pl+us"] {
        put(&s3, key, b"x").await;
    }
    // a folder's content comes before longer names, so that pages are not in byte order
    for page in [2, 100] {
        assert_eq!(keys(&s3, page).await, ["a", "a/b", "a!", "a-b", "pl+us", "sp ace"]);
    }
    // it rewrites keys that are no paths; those are proven on the other stores
    put(&s3, "double//slash", b"x").await;
    assert!(keys(&s3, 100).await.contains(&"double/slash".to_owned()));
    let bad = s3.put_object().bucket("bucket").key("bad").body(ByteStream::from_static(b"x")).content_md5(STANDARD.encode([7; 16]));
    assert_eq!(code(bad.send().await), "BadDigest");
    behaves(&s3, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_keys_as_they_are() {
    let moto = Moto::start().await;
    let s3 = moto.client();
    bucket(&s3).await;
    let mut hostile = ["a//b", "a/b", "a-b", "trail/", "back\\slash", "pl+us %&?#", "ü/日本"];
    for key in hostile {
        put(&s3, key, key.as_bytes()).await;
        assert_eq!(get(&s3, key).await, key.as_bytes(), "{key}");
    }
    hostile.sort_unstable();
    assert_eq!(keys(&s3, 2).await, hostile);
    behaves(&s3, false).await;
}
