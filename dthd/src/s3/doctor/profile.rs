//! From what was found to a profile: what was not found out stays as it was known.

use std::collections::BTreeMap;

use dth_proto::{doctor::Finding, spec::Store};

use super::{
    attribute::{ACL, CLASS, TAGS, VERSIONS},
    copy::{BULK, COPY},
    digest::CHECKSUMS,
    listing::{ENCODING, ORDER, V1, V2},
    lock::LOCK,
    object::{ETAG, UNSIGNED},
    upload,
};
use crate::s3::provider::{self, ByteOrder, OTHER, Profile, UnsignedPayload};

/// What a store is called that nothing was known of.
const NAMELESS: &str = "my-store";
/// DeleteObjects takes so many keys (AWS: API reference, DeleteObjects).
const MOST_DELETES: u32 = 1_000;

/// The profile that the findings give, over the one that it was examined with.
pub(super) fn found(base: &Profile, store: &Store, findings: &BTreeMap<&'static str, Finding>) -> Profile {
    let known = |name: &str| match findings.get(name) {
        Some(Finding::Yes) => Some(true),
        Some(Finding::No) => Some(false),
        Some(Finding::Unknown) | None => None,
    };
    let or = |name: &str, before: bool| known(name).unwrap_or(before);
    let mut p = base.clone();
    if base.name == OTHER {
        NAMELESS.clone_into(&mut p.name);
        p.title = store.place();
    }
    if let Some(path_style) = store.path_style {
        p.path_style = path_style;
    }
    // a few keys in order prove nothing about all others
    if known(ORDER) == Some(false) {
        p.lists_in_byte_order = ByteOrder::No;
    }
    p.list_version = match (known(V2), known(V1)) {
        (Some(false), Some(true)) => 1,
        (Some(true), _) if base.name == OTHER => 2,
        (_, Some(false)) => 2,
        _ => base.list_version,
    };
    p.url_encoding = or(ENCODING, base.url_encoding);
    p.etag_is_md5 = or(ETAG, base.etag_is_md5);
    p.multipart_etag_is_md5 = or(upload::ETAG, base.multipart_etag_is_md5);
    let mut checksums =
        CHECKSUMS.map(|(name, ..)| known(name)).into_iter().chain([known(upload::PART_CHECKSUM), known(upload::WHOLE_CHECKSUM)]);
    p.checksums = match () {
        () if checksums.clone().any(|one| one == Some(false)) => false,
        () if checksums.all(|one| one == Some(true)) => true,
        () => base.checksums,
    };
    p.unsigned_payload = match (known(UNSIGNED), base.unsigned_payload) {
        (Some(false), _) => UnsignedPayload::Never,
        (Some(true), UnsignedPayload::Never) => UnsignedPayload::Tls,
        (_, before) => before,
    };
    if known(upload::UPLOAD) == Some(false) {
        p.parts.parts = 0;
    }
    p.copies = or(COPY, base.copies);
    p.copies_parts = or(upload::COPY, base.copies_parts) && p.copies && p.has_uploads();
    p.bulk_delete = match known(BULK) {
        Some(true) => {
            if base.bulk_delete == 0 {
                MOST_DELETES
            } else {
                base.bulk_delete
            }
        }
        Some(false) => 0,
        None => base.bulk_delete,
    };
    p.tags = or(TAGS, base.tags);
    p.acls = or(ACL, base.acls);
    p.object_lock = or(LOCK, base.object_lock);
    p.versions = or(VERSIONS, base.versions);
    // a class that is not kept is not one of the store's; of the others nothing is known
    if known(CLASS) == Some(false) && base.storage_classes.is_empty() {
        p.storage_classes = vec!["STANDARD".to_owned()];
    }
    p
}

/// Where two profiles differ: key, there, here; `-` for what is not stated.
pub(super) fn differs(base: &Profile, found: &Profile) -> Vec<(String, String, String)> {
    let read = |profile: &Profile| -> BTreeMap<String, String> {
        let text = provider::to_toml(profile);
        let pairs = text.lines().filter_map(|line| line.split_once(" = "));
        pairs.filter(|(key, _)| *key != "title").map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (before, after) = (read(base), read(found));
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |of: &BTreeMap<String, String>, key: &str| of.get(key).cloned().unwrap_or_else(|| "-".to_owned());
    let all = keys.into_iter().map(|key| (key.clone(), value(&before, key), value(&after, key)));
    all.filter(|(_, before, after)| before != after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::provider::find;

    fn all(finding: Finding) -> BTreeMap<&'static str, Finding> {
        let names = [ACL, CLASS, LOCK, TAGS, VERSIONS, BULK, COPY, ENCODING, ORDER, V1, V2, ETAG, UNSIGNED];
        let more = [upload::UPLOAD, upload::ETAG, upload::COPY, upload::PART_CHECKSUM, upload::WHOLE_CHECKSUM]
            .into_iter()
            .chain(CHECKSUMS.map(|(name, ..)| name));
        names.into_iter().chain(more).map(|name| (name, finding)).collect()
    }

    #[test]
    fn what_is_not_known_stays_as_it_was() {
        let store = Store::default();
        for profile in provider::embedded().filter(|profile| profile.name != OTHER) {
            assert_eq!(found(profile, &store, &BTreeMap::new()), *profile);
            assert_eq!(found(profile, &store, &all(Finding::Unknown)), *profile);
            assert!(differs(profile, profile).is_empty());
        }
        let nameless = found(find(OTHER).expect("known"), &Store { endpoint: Some("http://a:1".into()), ..store }, &BTreeMap::new());
        assert_eq!((nameless.name.as_str(), nameless.title.as_str()), (NAMELESS, "a:1"));
    }

    #[test]
    fn everything_works() {
        let aws = find("aws").expect("known");
        assert_eq!(found(aws, &Store::default(), &all(Finding::Yes)), *aws);
        let other = found(find(OTHER).expect("known"), &Store::default(), &all(Finding::Yes));
        assert!(other.etag_is_md5 && other.multipart_etag_is_md5 && other.checksums && other.copies_parts && other.object_lock);
        assert_eq!(other.lists_in_byte_order, ByteOrder::Unknown, "a few keys prove nothing");
    }

    #[test]
    fn nothing_works() {
        let aws = find("aws").expect("known");
        let nothing = found(aws, &Store::default(), &all(Finding::No));
        assert!(!nothing.copies && !nothing.copies_parts && !nothing.tags && !nothing.has_uploads() && nothing.bulk_delete == 0);
        assert_eq!((nothing.unsigned_payload, nothing.lists_in_byte_order), (UnsignedPayload::Never, ByteOrder::No));
        let keys: Vec<String> = differs(aws, &nothing).into_iter().map(|(key, ..)| key).collect();
        assert!(keys.contains(&"max_parts".to_owned()) && keys.contains(&"tags".to_owned()), "{keys:?}");
    }

    #[test]
    fn one_checksum_that_is_not_compared_is_enough_for_none() {
        let aws = find("aws").expect("known");
        let mut findings = all(Finding::Yes);
        findings.insert(CHECKSUMS[1].0, Finding::No);
        assert!(!found(aws, &Store::default(), &findings).checksums);
        findings.insert(CHECKSUMS[1].0, Finding::Unknown);
        assert!(found(aws, &Store::default(), &findings).checksums, "as before");
    }
}
