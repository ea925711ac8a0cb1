//! What is known of each store: the profiles of config/providers.toml, and those of an operator's own file.

mod read;
mod write;

use std::{
    collections::BTreeMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use dth_proto::{document::suggestion, spec::Store};

pub use self::{read::own, write::to_toml};
use super::{archive::Depth, layout::PartLimits};

/// Archives from which nothing comes within minutes (AWS: "Understanding archive retrieval options"; Alibaba Cloud: "Restore objects").
const DEEP: [&str; 3] = ["DEEP_ARCHIVE", "ColdArchive", "DeepColdArchive"];

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
    /// What an upload may look like. No parts at all: the store has no multipart uploads, every object is one PutObject.
    pub parts: PartLimits,
    /// All parts of an upload but the last must be of one size.
    pub equal_parts: bool,
    /// CopyObject: the store can copy an object by itself.
    pub copies: bool,
    /// UploadPartCopy: it can also copy what needs an upload in parts (AWS: more than 5 GiB).
    pub copies_parts: bool,
    /// Keys in one DeleteObjects; 0: objects are deleted one by one.
    pub bulk_delete: u32,
    /// Objects can have tags.
    pub tags: bool,
    /// Objects can have a canned ACL.
    pub acls: bool,
    /// Object Lock: retention and legal hold.
    pub object_lock: bool,
    /// Buckets can be versioned.
    pub versions: bool,
    /// Storage classes that can be asked for; empty: nobody knows, anything is tried.
    pub storage_classes: Vec<String>,
    /// Storage classes whose objects must be restored before they can be read.
    pub archive_classes: Vec<String>,
    /// Storage classes of other stores and what they are here (`STANDARD_IA` -> `LINE`).
    pub class_map: BTreeMap<String, String>,
    /// Regions, for completion; never a reason to refuse another.
    pub regions: Vec<String>,
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

    /// How deep in an archive objects of a storage class are; `None`: in none.
    #[must_use]
    pub fn archive(&self, class: &str) -> Option<Depth> {
        let archived = self.archive_classes.iter().any(|archive| archive == class);
        archived.then(|| if DEEP.contains(&class) { Depth::Deep } else { Depth::Shallow })
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

    /// Whether an object of this storage class must be restored before it can be read.
    #[must_use]
    pub fn is_archive(&self, class: &str) -> bool {
        self.archive_classes.iter().any(|archive| archive == class)
    }

    /// What a storage class of another store is here: the same name if it is known here, else what the profile says it is.
    /// Where the classes are not known, every name is tried. `None`: there is no such class here, and none is to be sent.
    #[must_use]
    pub fn class_for<'a>(&'a self, class: &'a str) -> Option<&'a str> {
        let known = self.storage_classes.is_empty() || self.has_class(class);
        self.class_map.get(class).map(String::as_str).or_else(|| known.then_some(class))
    }

    /// Whether a class is known to be here.
    #[must_use]
    pub fn has_class(&self, class: &str) -> bool {
        self.storage_classes.iter().any(|known| known == class)
    }

    /// Whether the store is found without an endpoint in the task.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.endpoint.is_some() || self.name.starts_with("aws")
    }

    /// Whether objects can be uploaded in parts.
    #[must_use]
    pub fn has_uploads(&self) -> bool {
        self.parts.parts > 0
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
/// The profile of a store that nothing is known of.
pub const OTHER: &str = "other";

type Profiles = BTreeMap<String, &'static Profile>;

static EMBEDDED: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
    // the file is part of the program, and a test reads it
    read::embedded().expect("the embedded providers.toml is good")
});

/// The embedded profiles, with those of the operator's file over them.
static IN_FORCE: LazyLock<RwLock<Profiles>> =
    LazyLock::new(|| RwLock::new(EMBEDDED.iter().map(|(name, profile)| (name.clone(), profile)).collect()));

/// Puts an operator's own profiles over the embedded ones, in place of those put there before.
///
/// Buckets keep the profile with which they were opened for the life of the process: what is replaced is not freed, so that a reload
/// costs a few hundred bytes for each profile that has changed.
pub fn install(own: &[Profile]) {
    let mut profiles = IN_FORCE.write().unwrap_or_else(PoisonError::into_inner);
    let mut new: Profiles = EMBEDDED.iter().map(|(name, profile)| (name.clone(), profile)).collect();
    for profile in own {
        let kept = profiles.get(&profile.name).copied().filter(|known| *known == profile);
        new.insert(profile.name.clone(), kept.unwrap_or_else(|| Box::leak(Box::new(profile.clone()))));
    }
    *profiles = new;
}

/// The profile of a provider, by the name in task files.
///
/// # Errors
/// [`UnknownProvider`] with the nearest name, or all of them.
pub fn find(name: &str) -> Result<&'static Profile, UnknownProvider> {
    let profiles = IN_FORCE.read().unwrap_or_else(PoisonError::into_inner);
    profiles.get(name).copied().ok_or_else(|| {
        let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
        UnknownProvider(format!("{name:?} is not a known provider{}", suggestion(name, &names, "use \"other\" or one of ")))
    })
}

/// All profiles in force, by name.
#[must_use]
pub fn all() -> Vec<&'static Profile> {
    IN_FORCE.read().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
}

/// The profiles that are part of the program, by name.
pub fn embedded() -> impl Iterator<Item = &'static Profile> {
    EMBEDDED.values()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores that are known to check what they take.
    const CHECKSUMS: [&str; 1] = ["aws"];

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
        let takers: Vec<&str> = embedded().filter(|profile| profile.checksums).map(|profile| profile.name.as_str()).collect();
        assert_eq!(takers, CHECKSUMS, "others answer 400");
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
    fn classes_are_those_of_the_store() {
        for (name, class, wanted) in [
            ("aws", "GLACIER_IR", Some("GLACIER_IR")),
            ("aws", "ARCHIVE", Some("GLACIER")),
            ("aws", "FROZEN", None),
            ("aliyun-oss", "DEEP_ARCHIVE", Some("ColdArchive")),
            ("qiniu-kodo", "STANDARD_IA", Some("LINE")),
            ("minio", "STANDARD_IA", None),
            ("other", "STANDARD_IA", Some("STANDARD_IA")),
        ] {
            assert_eq!(find(name).expect("known").class_for(class), wanted, "{name} {class}");
        }
        let aws = find("aws").expect("known");
        assert_eq!(["GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"].map(|class| aws.is_archive(class)), [true, true, false]);
    }

    #[test]
    fn own_profiles_go_over_the_embedded_ones_and_away_again() {
        let text = "[provider.own-test]\nversions = false\n[provider.liara]\ntags = false\n";
        let profiles = own("p.toml", text).expect("good");
        install(&profiles);
        let (first, liara) = (find("own-test").expect("there"), find("liara").expect("there"));
        assert!(!first.versions && !liara.tags);
        install(&profiles);
        assert!(std::ptr::eq(first, find("own-test").expect("still there")), "what did not change is kept");
        install(&[]);
        assert!(find("own-test").is_err());
        assert!(find("liara").expect("embedded").tags);
    }
}
