//! Objects for the end-to-end tests, the same every time, and the comparison of two stores.

use bytes::Bytes;
use dth_tests::s3::{Object, Server, Store};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Legal in S3, and a trap for whoever takes them for paths, URLs, XML or terminal text.
pub const ODD: [&str; 23] = [
    "//",
    "a//b",
    "/leading",
    "folder/",
    "folder/inside",
    "folder",
    "back\\slash",
    "../outside",
    "a/../b",
    "./here",
    "plus+percent%and&question?hash#equals=",
    "%2Fencoded%20already%",
    " leading and trailing ",
    "<xml>&amp;</xml>\"'",
    "ü/日本語/🦀",
    "e\u{301}",
    "é",
    "a-b",
    "a.b",
    "a/b",
    "semi;colon,comma:at@dollar$star*tilde~bang!(x)",
    "control-\u{1}\u{1b}[31m\u{7f}",
    "tab\tnewline\nreturn\r",
];

/// Bytes that depend on `seed` alone.
pub fn noise(seed: &str, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    let seed = seed.bytes().fold(len as u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// `count` objects below `prefix`, up to 20 kB, every tenth empty, with content type, metadata and here and there a tag.
pub fn small(store: &Store, bucket: &str, prefix: &str, count: usize) {
    for n in 0..count {
        let key = format!("{prefix}{n:05}");
        let object = Object::new(noise(&key, if n % 10 == 0 { 0 } else { n * 7_919 % 20_000 }));
        let object = object.header("content-type", ["text/plain", "image/png", "application/x-odd; a=\"b\""][n % 3]);
        let object = object.metadata("number", &n.to_string());
        store.put(bucket, &key, if n % 7 == 0 { object.tag("seven", "yes & no") } else { object });
    }
}

/// An object that was uploaded by one PUT.
pub fn single(store: &Store, bucket: &str, key: &str, len: usize) {
    store.put(bucket, key, Object::new(noise(key, len)).header("content-type", "video/mp4").metadata("kind", "single"));
}

/// An object that was uploaded in parts of `part` bytes.
pub fn multipart(store: &Store, bucket: &str, key: &str, len: usize, part: usize) {
    let object = Object::multipart(noise(key, len), part as u64);
    store.put(bucket, key, object.header("content-type", "video/mp4").metadata("kind", "multipart").tag("large", "1"));
}

/// Demands that a bucket has what another has, no more and no less: keys, bytes, headers, metadata, tags; and no uploads.
pub fn identical(from: &Server, source: &str, to: &Server, destination: &str) {
    let (ours, theirs) = (from.store().all(source), to.store().all(destination));
    let (all, found): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
    assert_eq!(found, all, "keys");
    for ((key, one), two) in ours.iter().zip(theirs.values()) {
        assert!(one.data == two.data, "{key:?} has other bytes: {} instead of {}", two.data.len(), one.data.len());
        let (one, two) = (&one.attributes, &two.attributes);
        assert_eq!((&two.headers, &two.metadata, &two.tags), (&one.headers, &one.metadata, &one.tags), "{key:?}");
    }
    assert!(to.store().uploads(destination).is_empty(), "uploads left behind: {:?}", to.store().uploads(destination));
}
