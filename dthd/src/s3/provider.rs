//! What is known of each store: the profiles of config/providers.toml.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use dth_proto::{
    document::{BadDocument, Document, Table, suggestion},
    spec::Store,
};

use super::archive::Depth;

const FILE: &str = "providers.toml";
const TEXT: &str = include_str!("../../../config/providers.toml");

/// Whether a store lists keys in byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// It says so.
    Yes,
    /// It does not: its listings are sorted on disk.
    No,
    /// Nobody knows: its listings are checked as they come.
    Unknown,
}

/// Where a body is sent without a hash of it in the signature (`UNSIGNED-PAYLOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnsignedPayload {
    /// Where nobody is in between: over TLS, and on addresses of this machine.
    Tls,
    /// Everywhere.
    Always,
    /// Nowhere: the store refuses it.
    Never,
}

/// One store's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// As task files name it.
    pub name: String,
    /// As its maker calls it.
    pub title: String,
    /// Bucket in the path instead of in the host name, unless the task says otherwise.
    pub path_style: bool,
    /// Order of listings.
    pub lists_in_byte_order: ByteOrder,
    /// The ETag of an object from a single, unencrypted PUT is its MD5.
    pub etag_is_md5: bool,
    /// The ETag of an object from parts is the MD5 of the parts' MD5s, `-` and their number, as S3's.
    pub multipart_etag_is_md5: bool,
    /// Takes `x-amz-checksum-crc*` with PutObject, UploadPart and CompleteMultipartUpload, and refuses what does not match.
    pub checksums: bool,
    /// Of ListObjects: 1 or 2.
    pub list_version: u8,
    /// Percent-encodes keys when asked to (`encoding-type=url`).
    pub url_encoding: bool,
    /// See there.
    pub unsigned_payload: UnsignedPayload,
    /// Storage classes whose objects must be restored before they can be read.
    pub archive_classes: Vec<String>,
    /// Those of them from which nothing comes within minutes.
    pub deep_archive_classes: Vec<String>,
    endpoint: Option<String>,
}

/// A task names a store that has no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownProvider(String);

impl Profile {
    /// The endpoint URL of a region. `None`: the SDK finds it (aws), the task must name it (stores that everyone runs
    /// themselves), or it depends on the region and there is none.
    #[must_use]
    pub fn endpoint(&self, region: Option<&str>) -> Option<String> {
        let template = self.endpoint.as_deref()?;
        match region {
            Some(region) => Some(template.replace(REGION, region)),
            None => (!template.contains(REGION)).then(|| template.to_owned()),
        }
    }
}

impl Profile {
    /// How deep in an archive objects of a storage class are; `None`: in none.
    #[must_use]
    pub fn archive(&self, class: &str) -> Option<Depth> {
        let within = |classes: &[String]| classes.iter().any(|archive| archive == class);
        match () {
            () if within(&self.deep_archive_classes) => Some(Depth::Deep),
            () if within(&self.archive_classes) => Some(Depth::Shallow),
            () => None,
        }
    }

    /// What a task says of a store, with what the profile knows filled in: endpoint, and how the bucket is addressed.
    #[must_use]
    pub fn complete(&self, store: &Store) -> Store {
        let mut store = store.clone();
        if store.endpoint.is_none() {
            store.endpoint = self.endpoint(store.region.as_deref());
        }
        let bare = store.endpoint.as_deref().is_some_and(has_no_name);
        store.path_style = store.path_style.or(Some(self.path_style || bare));
        store
    }
}

/// An address without a name cannot carry a bucket's name in front.
#[must_use]
pub fn has_no_name(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(host, _)| host);
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

const REGION: &str = "{region}";

static PROFILES: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
    // the file is part of the program, and a test reads it
    read(FILE, TEXT).expect("the embedded providers.toml is good")
});

/// The profile of a provider, by the name in task files.
///
/// # Errors
/// [`UnknownProvider`] with the nearest name, or all of them.
pub fn find(name: &str) -> Result<&'static Profile, UnknownProvider> {
    PROFILES.get(name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.keys().map(String::as_str).collect();
        UnknownProvider(format!("{name:?} is not a known provider{}", suggestion(name, &names, "use \"other\" or one of ")))
    })
}

/// All profiles, by name.
pub fn all() -> impl Iterator<Item = &'static Profile> {
    PROFILES.values()
}

fn read(file: &str, text: &str) -> Result<BTreeMap<String, Profile>, BadDocument> {
    Document::parse(file, text, |root| {
        root.tables("provider", profile).into_iter().flatten().map(|profile| (profile.name.clone(), profile)).collect()
    })
}

/// `None`: something is missing, and reported.
fn profile(name: &str, table: &mut Table<'_, '_>) -> Option<Profile> {
    let title = table.required("title", "what its maker calls it");
    let path_style = required(table, "path_style", Table::flag);
    let lists_in_byte_order = required(table, "lists_in_byte_order", |table, key| {
        table.choice(key, &[("yes", ByteOrder::Yes), ("no", ByteOrder::No), ("unknown", ByteOrder::Unknown)])
    });
    let etag_is_md5 = required(table, "etag_is_md5", Table::flag);
    let multipart_etag_is_md5 = required(table, "multipart_etag_is_md5", Table::flag);
    // the rest has what nearly all stores have
    let checksums = table.flag("checksums").unwrap_or(false);
    let list_version = table.number("list_version", 1..=2).and_then(|version| u8::try_from(version).ok()).unwrap_or(2);
    let url_encoding = table.flag("url_encoding").unwrap_or(true);
    let unsigned_payload = table
        .choice(
            "unsigned_payload",
            &[("tls", UnsignedPayload::Tls), ("always", UnsignedPayload::Always), ("never", UnsignedPayload::Never)],
        )
        .unwrap_or(UnsignedPayload::Tls);
    let classes = |table: &mut Table<'_, '_>, key, amazon: &str| table.texts(key).unwrap_or_else(|| vec![amazon.to_owned()]);
    let archive_classes = classes(table, "archive_classes", "GLACIER");
    let deep_archive_classes = classes(table, "deep_archive_classes", "DEEP_ARCHIVE");
    let endpoint = table.parsed::<Template>("endpoint").map(|template| template.0);
    Some(Profile {
        name: name.to_owned(),
        title: title?,
        path_style: path_style?,
        lists_in_byte_order: lists_in_byte_order?,
        etag_is_md5: etag_is_md5?,
        multipart_etag_is_md5: multipart_etag_is_md5?,
        checksums,
        list_version,
        url_encoding,
        unsigned_payload,
        archive_classes,
        deep_archive_classes,
        endpoint,
    })
}

fn required<'a, 'i, T>(table: &mut Table<'a, 'i>, key: &str, get: impl FnOnce(&mut Table<'a, 'i>, &str) -> Option<T>) -> Option<T> {
    if !table.has(key) {
        table.problem(None, format!("{key} is missing: every profile states it"));
    }
    get(table, key)
}

/// An https URL without a path in which `{region}` may stand.
struct Template(String);

impl std::str::FromStr for Template {
    type Err = BadTemplate;
    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let host = text.strip_prefix("https://").map(|host| host.replacen(REGION, "region", 1));
        let good = host.is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'));
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
    fn the_embedded_file_is_good() {
        let profiles = read(FILE, TEXT).unwrap_or_else(|bad| panic!("{bad}"));
        assert!(profiles.len() > 30);
        assert_eq!(all().count(), profiles.len());
    }

    #[test]
    fn what_the_engine_relies_on_is_stated() {
        let aws = find("aws").expect("known");
        assert_eq!((aws.path_style, aws.lists_in_byte_order, aws.etag_is_md5), (false, ByteOrder::Yes, true));
        assert_eq!((aws.multipart_etag_is_md5, aws.checksums, aws.list_version, aws.url_encoding), (true, true, 2, true));
        let seaweedfs = find("seaweedfs").expect("known");
        assert_eq!((seaweedfs.path_style, seaweedfs.lists_in_byte_order, seaweedfs.etag_is_md5), (true, ByteOrder::No, true));
        let other = find("other").expect("known");
        assert_eq!((other.path_style, other.lists_in_byte_order, other.etag_is_md5), (true, ByteOrder::Unknown, false));
        assert_eq!((other.multipart_etag_is_md5, other.checksums, other.list_version, other.url_encoding), (false, false, 2, true));
        assert_eq!(other.unsigned_payload, UnsignedPayload::Tls);
        assert_eq!(find("zata").expect("known").unsigned_payload, UnsignedPayload::Never);
        let obs = find("huawei-obs").expect("known");
        assert_eq!((obs.list_version, obs.url_encoding), (1, false));
        assert!(all().filter(|profile| profile.checksums).all(|profile| profile.name == "aws"), "others answer 400");
    }

    #[test]
    fn endpoints_follow_the_region() {
        for (name, region, wanted) in [
            ("aws", Some("us-east-1"), None),
            ("minio", None, None),
            ("aliyun-oss", Some("cn-hangzhou"), Some("https://oss-cn-hangzhou.aliyuncs.com")),
            ("aliyun-oss", None, None),
            ("google-gcs", None, Some("https://storage.googleapis.com")),
            ("google-gcs", Some("europe-west1"), Some("https://storage.googleapis.com")),
        ] {
            assert_eq!(find(name).expect("known").endpoint(region).as_deref(), wanted, "{name} {region:?}");
        }
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let error = find("aliyun-os").expect_err("a letter is missing").to_string();
        assert_eq!(error, "\"aliyun-os\" is not a known provider: did you mean \"aliyun-oss\"?");
        let error = find("zzzzzzzzzzzz").expect_err("nothing like it").to_string();
        assert!(error.contains("use \"other\" or one of ") && error.contains("tencent-cos"), "{error}");
    }

    #[test]
    fn all_mistakes_of_a_file_are_told() {
        let text = "[provider.a]\ntitle = 'A'\npath_style = 1\nlists_in_byte_order = 'maybe'\nendpoint = 'http://a/{x}'\nspeed = 9\nlist_version = 3\nunsigned_payload = 'no'\n";
        let bad = read("p.toml", text).expect_err("eight mistakes");
        let lines = bad.lines();
        assert_eq!(lines.len(), 8, "{bad}");
        for wanted in [
            "path_style must be true or false",
            "\"maybe\"",
            ": etag_is_md5 is missing",
            "multipart_etag_is_md5 is missing",
            "is not an endpoint",
            "speed is not a known key",
            "list_version",
            "unsigned_payload",
        ] {
            assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted:?} in {bad}");
        }
    }
}
