//! The rules of what goes along with an object: encryption, storage class, ACL, checksum, metadata.

use std::net::IpAddr;

use crate::{
    document::suggestion,
    spec::{Compare, Encryption, S3Job, Store},
};

/// Where every class, ACL and algorithm is known: elsewhere the store decides.
const AWS: &str = "aws";
/// Amazon S3's (AWS: PutObject, `x-amz-storage-class`), without those that no PutObject can ask for.
const CLASSES: [&str; 9] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "OUTPOSTS",
];
const KEEP: &str = "keep";
/// Canned ACLs of objects (AWS: "Access control list (ACL) overview").
const ACLS: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];
const CHECKSUMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];
const KMS: [&str; 2] = ["aws:kms", "aws:kms:dsse"];
const SSE_C: &str = "SSE-C";
const KINDS: [&str; 4] = ["AES256", KMS[0], KMS[1], SSE_C];
/// Longest name of user metadata: name and value together have 2 KiB (AWS: "Working with object metadata").
const LONGEST_NAME: usize = 1024;

pub(super) fn problems(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let (target, options) = (&job.destination, &job.options);
    if let Some(encryption) = &job.source.encryption {
        if encryption.kind == SSE_C {
            sealed(&job.source.store, encryption, ["source.encryption.key", "source.encryption.bucket_key"], add);
        } else {
            let message = format!("{:?} is decrypted by the store itself: leave it out, or use SSE-C with a key of yours", encryption.kind);
            add("source.encryption.type", message);
        }
    }
    if let Some(encryption) = &target.encryption {
        asked(&target.store, encryption, add);
        let opaque = KMS.contains(&encryption.kind.as_str()) || encryption.kind == SSE_C;
        if opaque && options.compare == Compare::Etag {
            let message = format!(
                "ETags of objects encrypted with {} are never equal: every run would copy everything, use auto or checksum",
                encryption.kind
            );
            add("options.compare", message);
        }
    }
    if let Some(class) = &target.storage_class
        && target.store.provider == AWS
        && class != KEEP
        && !CLASSES.contains(&class.as_str())
    {
        let all: Vec<&str> = CLASSES.into_iter().chain([KEEP]).collect();
        add("destination.storage_class", format!("{class:?} is not a class of Amazon S3{}", suggestion(class, &all, "use one of ")));
    }
    if let Some(acl) = &target.acl
        && !ACLS.contains(&acl.as_str())
    {
        add("destination.acl", format!("{acl:?} is not a canned ACL{}", suggestion(acl, &ACLS, "use one of ")));
    }
    if let Some(checksum) = &target.checksum
        && !CHECKSUMS.contains(&checksum.as_str())
    {
        add("destination.checksum", format!("{checksum:?} is not known{}", suggestion(checksum, &CHECKSUMS, "use one of ")));
    }
    if let Some(name) = &options.mtime_metadata {
        // a token of RFC 9110, section 5.6.2, as part of a header's name
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(token) {
            add("options.mtime_metadata", format!("{name:?} is no name for metadata: use letters, digits and -, like mtime"));
        } else if name.to_ascii_lowercase().starts_with("x-amz-meta-") {
            add("options.mtime_metadata", format!("{name:?} would become x-amz-meta-{name}: leave the prefix out"));
        }
    }
}

fn asked(store: &Store, encryption: &Encryption, add: &mut impl FnMut(&'static str, String)) {
    let kind = encryption.kind.as_str();
    if !KINDS.contains(&kind) {
        add("destination.encryption.type", format!("{kind:?} is not known{}", suggestion(kind, &KINDS, "use one of ")));
    }
    if kind == SSE_C {
        return sealed(store, encryption, ["destination.encryption.key", "destination.encryption.bucket_key"], add);
    }
    if kind == "AES256" && encryption.key.is_some() {
        add("destination.encryption.key", "AES256 has no key of yours: use type = \"aws:kms\", or \"SSE-C\"".to_owned());
    }
    if encryption.bucket_key.is_some() && kind != "aws:kms" {
        add("destination.encryption.bucket_key", format!("only aws:kms has bucket keys, {kind} has none: leave it out"));
    }
}

/// A key of one's own: named, without a bucket key, and over a connection that nobody reads (AWS refuses it as well).
fn sealed(store: &Store, encryption: &Encryption, [key, bucket_key]: [&'static str; 2], add: &mut impl FnMut(&'static str, String)) {
    if encryption.key.as_deref().is_none_or(str::is_empty) {
        add(key, "is missing: SSE-C needs the name of a credential of type sse-c".to_owned());
    }
    if encryption.bucket_key.is_some() {
        add(bucket_key, "only aws:kms has bucket keys, SSE-C has none: leave it out".to_owned());
    }
    if let Some(endpoint) = store.endpoint.as_deref().filter(|endpoint| is_readable(endpoint)) {
        add(key, format!("would go to {endpoint} for anyone to read: use an https:// endpoint, or one on this machine"));
    }
}

/// Plain HTTP to another machine.
fn is_readable(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return false };
    let place = rest.split('/').next().unwrap_or(rest);
    let host = place.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(place, |(host, _)| host);
    host != "localhost" && !host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{S3Destination, S3Options, S3Source};

    fn job() -> S3Job {
        let mut job = S3Job { source: S3Source::default(), destination: S3Destination::default(), options: S3Options::default() };
        (job.source.store.provider, job.destination.store.provider) = (AWS.to_owned(), AWS.to_owned());
        job
    }

    fn encryption(kind: &str, key: Option<&str>, bucket_key: Option<bool>) -> Option<Encryption> {
        Some(Encryption { kind: kind.to_owned(), key: key.map(str::to_owned), bucket_key })
    }

    fn found(job: &S3Job) -> Vec<String> {
        let mut found = Vec::new();
        problems(job, &mut |field, message| found.push(format!("{field}: {message}")));
        found
    }

    #[track_caller]
    fn says(job: &S3Job, wanted: &[&str]) {
        let found = found(job);
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.contains(wanted), "{wanted} in {found}");
        }
    }

    #[test]
    fn names_that_are_not_known_get_the_nearest() {
        let mut job = job();
        job.destination.storage_class = Some("STANDARD-IA".to_owned());
        job.destination.acl = Some("public_read".to_owned());
        job.destination.checksum = Some("SHA-256".to_owned());
        job.destination.encryption = encryption("aws:kmss", None, None);
        says(
            &job,
            &[
                "type: \"aws:kmss\" is not known: did you mean \"aws:kms\"?",
                "did you mean \"STANDARD_IA\"?",
                "did you mean \"public-read\"?",
                "did you mean \"SHA256\"?",
            ],
        );
        job.destination.checksum = Some("MD4711".to_owned());
        assert!(found(&job).iter().any(|m| m.contains("use one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256")), "{:?}", found(&job));
    }

    #[test]
    fn everything_that_can_be_asked_for_may_be() {
        let mut job = job();
        for class in CLASSES.into_iter().chain([KEEP]) {
            job.destination.storage_class = Some(class.to_owned());
            says(&job, &[]);
        }
        job.destination.store.provider = "aliyun-oss".to_owned();
        job.destination.storage_class = Some("IA".to_owned());
        job.destination.encryption = encryption("aws:kms", Some("arn:x"), Some(true));
        job.destination.checksum = Some("SHA256".to_owned());
        job.options.mtime_metadata = Some("mtime".to_owned());
        job.source.encryption = encryption("SSE-C", Some("seal"), None);
        says(&job, &[]);
    }

    #[test]
    fn combinations_that_cannot_work() {
        let mut job = job();
        job.destination.encryption = encryption("AES256", Some("k"), Some(true));
        says(&job, &["AES256 has no key of yours", "only aws:kms has bucket keys, AES256 has none"]);
        job.destination.encryption = encryption("aws:kms:dsse", None, Some(false));
        says(&job, &["aws:kms:dsse has none"]);
        job.destination.encryption = encryption("SSE-C", None, Some(false));
        says(&job, &["needs the name of a credential of type sse-c", "SSE-C has none"]);
        job.destination.encryption = encryption("SSE-C", Some("seal"), None);
        job.source.encryption = encryption("AES256", None, None);
        says(&job, &["source.encryption.type: \"AES256\" is decrypted by the store itself"]);
        job.source.encryption = None;
        job.options.compare = Compare::Etag;
        says(&job, &["options.compare: ETags of objects encrypted with SSE-C are never equal"]);
    }

    #[test]
    fn keys_go_where_nobody_reads_them() {
        for (endpoint, readable) in [
            (None, false),
            (Some("https://s3.example.com"), false),
            (Some("http://127.0.0.1:9000"), false),
            (Some("http://[::1]:9000/"), false),
            (Some("http://localhost"), false),
            (Some("http://10.0.0.7:9000"), true),
            (Some("http://s3.example.com"), true),
            (Some("http://localhost.example.com"), true),
        ] {
            let mut job = job();
            job.destination.store.endpoint = endpoint.map(str::to_owned);
            job.destination.encryption = encryption("SSE-C", Some("seal"), None);
            assert_eq!(found(&job).len(), usize::from(readable), "{endpoint:?}");
        }
    }

    #[test]
    fn names_of_metadata() {
        for (name, good) in [("mtime", true), ("X-Mtime", true), ("", false), ("a b", false), ("ä", false), ("x-amz-meta-mtime", false)] {
            let mut job = job();
            job.options.mtime_metadata = Some(name.to_owned());
            assert_eq!(found(&job).is_empty(), good, "{name}");
        }
    }
}
