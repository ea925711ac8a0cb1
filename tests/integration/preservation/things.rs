//! What can belong to an object, and how it is told that a copy has it.

use dth_tests::boto::About;

use super::header;

/// A key for SSE-C, in base64.
pub const SEAL: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const KMS_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const UNTIL: &str = "2099-01-02T03:04:05Z";

/// A thing by name, and whether a copy has it (source first).
type Thing = (&'static str, fn(&About, &About) -> bool);

/// Things that are copied by one task.
pub struct Group {
    pub name: &'static str,
    /// Of the request that makes the source.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether source and destination are encrypted with a key of ours.
    pub sealed: (bool, bool),
    /// Both buckets have Object Lock.
    pub locked: bool,
    /// What the task says beyond its ends.
    pub task: &'static [(&'static str, &'static str)],
    pub things: &'static [Thing],
}

const PLAIN: Group = Group { name: "", headers: &[], sealed: (false, false), locked: false, task: &[], things: &[] };

/// The same header at both ends.
macro_rules! same {
    ($name:literal) => {
        ($name, |ours, theirs| header(ours, $name).is_some() && header(ours, $name) == header(theirs, $name))
    };
}

/// A checksum that the task asks for.
macro_rules! checksum {
    ($name:literal, $header:literal) => {
        Group {
            name: concat!("checksum ", $name),
            task: &[("destination.checksum", $name)],
            things: &[(concat!("checksum ", $name), |_, theirs| header(theirs, $header).is_some_and(|value| !value.is_empty()))],
            ..PLAIN
        }
    };
}

fn is_dated(ours: &About, theirs: &About) -> bool {
    let modified = header(ours, "last-modified").and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let seconds = modified.map(|time| time.timestamp().as_second().to_string());
    seconds.is_some() && header(theirs, "x-amz-meta-mtime") == seconds.as_deref()
}

fn is_until(theirs: &About) -> bool {
    let told = header(theirs, "x-amz-object-lock-retain-until-date").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    header(theirs, "x-amz-object-lock-mode") == Some("GOVERNANCE") && told == UNTIL.parse().ok()
}

pub const GROUPS: [Group; 14] = [
    Group {
        name: "system",
        headers: &[
            ("content-type", "text/x; charset=\"utf-8\""),
            ("cache-control", "max-age=60, no-transform"),
            ("content-disposition", "attachment; filename=\"a b.txt\""),
            ("content-encoding", "gzip"),
            ("content-language", "de, en"),
            ("expires", "Sun, 06 Nov 2044 08:49:37 GMT"),
            ("x-amz-meta-note", "two words"),
            ("x-amz-tagging", "kind=odd%20one&n=%2B1"),
            ("x-amz-storage-class", "STANDARD_IA"),
        ],
        task: &[("destination.storage_class", "keep"), ("options.mtime_metadata", "mtime")],
        things: &[
            same!("content-type"),
            same!("cache-control"),
            same!("content-disposition"),
            same!("content-encoding"),
            same!("content-language"),
            same!("expires"),
            ("user metadata", |_, theirs| header(theirs, "x-amz-meta-note") == Some("two words")),
            ("tags", |ours, theirs| ours.tags.len() == 2 && ours.tags == theirs.tags),
            ("storage class, kept", |_, theirs| header(theirs, "x-amz-storage-class") == Some("STANDARD_IA")),
            ("time of the source", is_dated),
        ],
        ..PLAIN
    },
    Group {
        name: "odd",
        headers: &[("expires", "in a while"), ("x-amz-website-redirect-location", "/elsewhere")],
        things: &[
            ("expires that is no date", |_, theirs| header(theirs, "expires") == Some("in a while")),
            ("website redirect", |_, theirs| header(theirs, "x-amz-website-redirect-location") == Some("/elsewhere")),
        ],
        ..PLAIN
    },
    Group {
        name: "asked",
        task: &[("destination.storage_class", "ONEZONE_IA")],
        things: &[("storage class, set", |_, theirs| header(theirs, "x-amz-storage-class") == Some("ONEZONE_IA"))],
        ..PLAIN
    },
    Group {
        name: "acl",
        task: &[("destination.acl", "public-read")],
        things: &[("canned ACL", |ours, theirs| {
            let public = "AllUsers READ".to_owned();
            theirs.acl.contains(&public) && !ours.acl.contains(&public)
        })],
        ..PLAIN
    },
    Group {
        name: "sse-s3",
        task: &[("destination.encryption.type", "AES256")],
        things: &[("SSE-S3", |_, theirs| header(theirs, "x-amz-server-side-encryption") == Some("AES256"))],
        ..PLAIN
    },
    Group {
        name: "sse-kms",
        task: &[
            ("destination.encryption.type", "aws:kms"),
            ("destination.encryption.key", KMS_KEY),
            ("destination.encryption.bucket_key", "true"),
        ],
        things: &[
            ("SSE-KMS", |_, theirs| {
                header(theirs, "x-amz-server-side-encryption") == Some("aws:kms")
                    && header(theirs, "x-amz-server-side-encryption-aws-kms-key-id") == Some(KMS_KEY)
            }),
            ("SSE-KMS bucket key", |_, theirs| header(theirs, "x-amz-server-side-encryption-bucket-key-enabled") == Some("true")),
        ],
        ..PLAIN
    },
    Group { name: "seal", sealed: (false, true), things: &[("SSE-C at the destination", is_sealed)], ..PLAIN },
    Group {
        name: "unseal",
        sealed: (true, false),
        things: &[("SSE-C at the source", |ours, theirs| is_sealed(theirs, ours) && !is_sealed(ours, theirs))],
        ..PLAIN
    },
    Group {
        name: "lock",
        headers: &[
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-retain-until-date", UNTIL),
            ("x-amz-object-lock-legal-hold", "ON"),
        ],
        locked: true,
        task: &[("options.object_lock", "true")],
        things: &[
            ("Object Lock retention", |_, theirs| is_until(theirs)),
            ("Object Lock legal hold", |_, theirs| header(theirs, "x-amz-object-lock-legal-hold") == Some("ON")),
        ],
        ..PLAIN
    },
    checksum!("CRC32", "x-amz-checksum-crc32"),
    checksum!("CRC32C", "x-amz-checksum-crc32c"),
    checksum!("CRC64NVME", "x-amz-checksum-crc64nvme"),
    checksum!("SHA1", "x-amz-checksum-sha1"),
    checksum!("SHA256", "x-amz-checksum-sha256"),
];

fn is_sealed(_: &About, theirs: &About) -> bool {
    header(theirs, "x-amz-server-side-encryption-customer-algorithm") == Some("AES256")
}
