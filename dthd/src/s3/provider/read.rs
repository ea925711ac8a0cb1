//! Profiles from TOML: the embedded file, which states everything it must, and an operator's own, which states what differs.

use std::{collections::BTreeMap, fmt};

use dth_proto::{
    document::{BadDocument, Document, Table, suggestion},
    units::ByteSize,
};

use super::{ByteOrder, EMBEDDED, OTHER, Profile, REGION, UnsignedPayload};
use crate::s3::layout::PartLimits;

const FILE: &str = "providers.toml";
const TEXT: &str = include_str!("../../../../config/providers.toml");

/// Keys that every embedded profile states: a wrong guess about them costs the most.
const STATED: [&str; 4] = ["path_style", "lists_in_byte_order", "etag_is_md5", "multipart_etag_is_md5"];
/// DeleteObjects takes at most so many keys (AWS: API reference, DeleteObjects).
const MOST_DELETES: u64 = 1_000;
/// An upload has at most so many parts (AWS: "Amazon S3 multipart upload limits").
const MOST_PARTS: u64 = 10_000;

/// The profiles that are part of the program.
pub(super) fn embedded() -> Result<BTreeMap<String, Profile>, BadDocument> {
    Document::parse(FILE, TEXT, |root| {
        let read = |name: &str, table: &mut Table<'_, '_>| {
            for key in STATED.into_iter().filter(|key| !table.has(key)) {
                table.problem(None, format!("{key} is missing: every profile states it"));
            }
            let title = table.required("title", "what its maker calls it").unwrap_or_default();
            profile(table, Profile { name: name.to_owned(), title, ..unknown() })
        };
        root.tables("provider", read).into_iter().map(|profile| (profile.name.clone(), profile)).collect()
    })
}

/// The profiles of an operator's file. A profile of a known name states what differs from the known one; a new one what differs
/// from the one that it names in `like`, else from `other`.
///
/// # Errors
/// Every mistake, with its line in `file`.
pub fn own(file: &str, text: &str) -> Result<Vec<Profile>, BadDocument> {
    Document::parse(file, text, |root| {
        root.tables("provider", |name, table| {
            if !is_name(name) {
                table.problem(None, format!("provider.{name} is not a provider's name: use 1 to 64 of a-z 0-9 _ -"));
            }
            let like = table.text("like");
            if let Some(like) = like.as_ref().filter(|like| !EMBEDDED.contains_key(*like)) {
                let names: Vec<&str> = EMBEDDED.keys().map(String::as_str).collect();
                table.problem(
                    Some("like"),
                    format!("provider.{name}.like = {like:?} is not known{}", suggestion(like, &names, "use one of ")),
                );
            }
            let base = like.as_deref().and_then(|like| EMBEDDED.get(like)).or_else(|| EMBEDDED.get(name)).or_else(|| EMBEDDED.get(OTHER));
            let base = base.cloned().unwrap_or_else(unknown);
            let base_title = if base.name == name { base.title.clone() } else { name.to_owned() };
            let title = table.text("title").unwrap_or(base_title);
            profile(table, Profile { name: name.to_owned(), title, ..base })
        })
    })
}

fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    !name.is_empty() && name.len() <= 64 && name.chars().all(known)
}

/// What holds where a profile says nothing: what nearly all stores do, or what can only cost time.
fn unknown() -> Profile {
    Profile {
        name: String::new(),
        title: String::new(),
        path_style: true,
        lists_in_byte_order: ByteOrder::Unknown,
        etag_is_md5: false,
        multipart_etag_is_md5: false,
        checksums: false,
        list_version: 2,
        url_encoding: true,
        unsigned_payload: UnsignedPayload::Tls,
        parts: PartLimits::default(),
        equal_parts: false,
        copies: true,
        copies_parts: true,
        bulk_delete: 1_000,
        tags: true,
        acls: true,
        object_lock: false,
        versions: true,
        storage_classes: Vec::new(),
        archive_classes: Vec::new(),
        class_map: BTreeMap::new(),
        regions: Vec::new(),
        endpoint: None,
    }
}

/// `base` with everything that the table says.
fn profile(table: &mut Table<'_, '_>, base: Profile) -> Profile {
    let mut profile = base;
    let p = &mut profile;
    let mut flag = |key: &str, field: &mut bool| set(field, table.flag(key));
    flag("path_style", &mut p.path_style);
    flag("etag_is_md5", &mut p.etag_is_md5);
    flag("multipart_etag_is_md5", &mut p.multipart_etag_is_md5);
    flag("checksums", &mut p.checksums);
    flag("url_encoding", &mut p.url_encoding);
    flag("equal_parts", &mut p.equal_parts);
    flag("copies", &mut p.copies);
    flag("copies_parts", &mut p.copies_parts);
    flag("tags", &mut p.tags);
    flag("acls", &mut p.acls);
    flag("object_lock", &mut p.object_lock);
    flag("versions", &mut p.versions);
    let orders = [("yes", ByteOrder::Yes), ("no", ByteOrder::No), ("unknown", ByteOrder::Unknown)];
    set(&mut p.lists_in_byte_order, table.choice("lists_in_byte_order", &orders));
    let payloads = [("tls", UnsignedPayload::Tls), ("always", UnsignedPayload::Always), ("never", UnsignedPayload::Never)];
    set(&mut p.unsigned_payload, table.choice("unsigned_payload", &payloads));
    set(&mut p.list_version, table.number("list_version", 1..=2).and_then(|version| u8::try_from(version).ok()));
    set(&mut p.bulk_delete, table.number("bulk_delete", 0..=MOST_DELETES).and_then(|keys| u32::try_from(keys).ok()));
    set(&mut p.parts.min, table.parsed::<ByteSize>("min_part").map(|size| size.0));
    set(&mut p.parts.max, table.parsed::<ByteSize>("max_part").map(|size| size.0));
    set(&mut p.parts.parts, table.number("max_parts", 0..=MOST_PARTS));
    if p.parts.min == 0 || p.parts.max < p.parts.min {
        let (min, max) = (ByteSize(p.parts.min), ByteSize(p.parts.max));
        table.problem(Some("min_part"), format!("a part of at least {min} and at most {max} cannot be: correct min_part or max_part"));
    }
    classes(table, p);
    set(&mut p.regions, table.texts("regions"));
    if let Some(template) = table.parsed::<Template>("endpoint") {
        p.endpoint = Some(template.0);
    }
    // a store that cannot copy objects cannot copy parts of them, nor can one without parts
    p.copies_parts &= p.copies && p.parts.parts > 0;
    profile
}

fn classes(table: &mut Table<'_, '_>, p: &mut Profile) {
    set(&mut p.storage_classes, table.texts("storage_classes"));
    set(&mut p.archive_classes, table.texts("archive_classes"));
    set(&mut p.class_map, table.text_map("class_map"));
    if p.storage_classes.is_empty() {
        return;
    }
    for class in p.archive_classes.iter().filter(|class| !p.has_class(class)) {
        table.problem(Some("archive_classes"), format!("archive_classes: {class:?} is not one of the storage_classes"));
    }
    for (from, to) in p.class_map.iter().filter(|(_, to)| !p.has_class(to)) {
        table.problem(Some("class_map"), format!("class_map: {from} is {to:?}, which is not one of the storage_classes"));
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// An http(s) URL without a path in which `{region}` may stand.
struct Template(String);

impl std::str::FromStr for Template {
    type Err = BadTemplate;
    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).map(|host| host.replacen(REGION, "region", 1));
        let known = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        let good = host.is_some_and(|h| !h.is_empty() && h.bytes().all(known));
        if good { Ok(Self(text.to_owned())) } else { Err(BadTemplate(text.to_owned())) }
    }
}

struct BadTemplate(String);

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an endpoint: write it like https://s3.{REGION}.example.com", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_of_a_file_are_told() {
        let text = "[provider.a]\npath_style = 1\nlists_in_byte_order = 'maybe'\nendpoint = 'ftp://a/{x}'\nspeed = 9\nlist_version = 3\nunsigned_payload = 'no'\nlike = 'sef'\nbulk_delete = 2000\nmin_part = '6GiB'\nstorage_classes = ['A']\narchive_classes = ['B']\nclass_map = { STANDARD_IA = 'C' }\n[provider.'B C']\n";
        let bad = own("/etc/dth/p.toml", text).expect_err("many mistakes");
        let lines = bad.lines();
        for (line, wanted) in [
            (2, "provider.a.path_style must be true or false"),
            (3, "\"maybe\" is not known"),
            (4, "is not an endpoint"),
            (5, "speed is not a known key"),
            (6, "list_version must be from 1 to 2"),
            (7, "unsigned_payload = \"no\""),
            (8, "provider.a.like = \"sef\" is not known"),
            (9, "bulk_delete must be from 0 to 1000"),
            (10, "a part of at least 6GiB and at most 5GiB cannot be"),
            (12, "\"B\" is not one of the storage_classes"),
            (13, "STANDARD_IA is \"C\""),
            (14, "is not a provider's name"),
        ] {
            let found = lines.iter().any(|found| found.starts_with(&format!("/etc/dth/p.toml:{line}: ")) && found.contains(wanted));
            assert!(found, "{line}: {wanted:?} in\n{bad}");
        }
        assert_eq!(lines.len(), 12, "{bad}");
    }

    #[test]
    fn an_own_profile_states_what_differs() {
        let text = "[provider.minio]\ntags = false\n[provider.cellar]\nlike = 'ceph'\ntitle = 'Cellar'\nendpoint = 'https://cellar.{region}.example.com'\n[provider.attic]\nversions = false\n";
        let own = own("p.toml", text).expect("good");
        let find = |name: &str| own.iter().find(|profile| profile.name == name).expect("there");
        let known = |name: &str| EMBEDDED[name].clone();
        assert_eq!(*find("minio"), Profile { tags: false, ..known("minio") });
        let cellar = Profile {
            name: "cellar".into(),
            title: "Cellar".into(),
            endpoint: Some("https://cellar.{region}.example.com".into()),
            ..known("ceph")
        };
        assert_eq!(*find("cellar"), cellar);
        assert_eq!(*find("attic"), Profile { name: "attic".into(), title: "attic".into(), versions: false, ..known("other") });
    }

    #[test]
    fn the_embedded_file_states_what_it_must() {
        let profiles = embedded().unwrap_or_else(|bad| panic!("{bad}"));
        assert!(profiles.len() > 50, "{}", profiles.len());
    }
}
