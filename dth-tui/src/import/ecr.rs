//! The ECR plugin: its 16 parameters, and what each becomes.

use std::{collections::BTreeMap, time::Duration};

use dth_proto::{
    spec::{ImageDestination, ImageJob, ImageOptions, ImageSource, Job, Registry, TaskLimits, TaskSpec, Trigger},
    time::Span,
};

use super::{Taken, credential::Credentials, s3::MAIL, task_name};

/// Every parameter of `DataTransferECRStack`, in its order, with the template's default.
pub const PARAMETERS: [(&str, &str); 16] = [
    ("sourceType", "Amazon_ECR"),
    ("srcRegion", ""),
    ("srcAccountId", ""),
    ("srcList", "ALL"),
    ("srcImageList", ""),
    ("srcCredential", ""),
    ("destRegion", ""),
    ("destAccountId", ""),
    ("destPrefix", ""),
    ("destCredential", ""),
    ("includeUntagged", "true"),
    ("ecsClusterName", ""),
    ("ecsVpcId", ""),
    ("ecsSubnetA", ""),
    ("ecsSubnetB", ""),
    ("alarmEmail", ""),
];

const NOT_NEEDED: [(&str, &str); 4] = [
    ("ecsClusterName", "no containers are started: the daemon copies by itself"),
    ("ecsVpcId", "nothing is deployed: the daemon uses the network of its machine"),
    ("ecsSubnetA", "nothing is deployed: the daemon uses the network of its machine"),
    ("ecsSubnetB", "nothing is deployed: the daemon uses the network of its machine"),
];

const HUB: &str = "docker.io";
/// The original's only schedule.
const DAILY: Span = Span(Duration::from_hours(24));

/// The tasks: one, or one for each public registry that images come from.
pub(super) fn tasks(taken: &mut Taken<'_>, credentials: &mut Credentials) -> Vec<TaskSpec> {
    for (name, why) in NOT_NEEDED {
        taken.not_needed(name, why);
    }
    taken.left_to_do("alarmEmail", MAIL);
    let public = taken.is("sourceType", "Public");
    let images = images(taken, public);
    let options = ImageOptions::default();
    let platforms = if taken.is("includeUntagged", "false") {
        "images are copied with all their platforms, digest for digest; the original then keeps one: options.platforms = [\"linux/amd64\"]"
    } else {
        "images are copied with all their platforms, digest for digest"
    };
    taken.becomes("includeUntagged", platforms);
    let destination = destination(taken, credentials);
    let from = if public { None } else { Some(ecr(taken, credentials)) };
    if public {
        taken.becomes(
            "sourceType",
            format!("source.registry = {}", images.keys().map(|host| format!("{host:?}")).collect::<Vec<_>>().join(", ")),
        );
        for name in ["srcRegion", "srcAccountId", "srcCredential"] {
            if taken.some(name).is_some() {
                taken.not_needed(name, "the source is public");
            }
        }
    }
    let several = images.len() > 1;
    let task = |(host, images): (String, Vec<String>)| {
        let registry = from.clone().unwrap_or_else(|| Registry { registry: host.clone(), ..Registry::default() });
        let place = |registry: &Registry, other: &str| registry.region.clone().unwrap_or_else(|| other.to_owned());
        let from = if several || public { host } else { place(&registry, "ecr") };
        TaskSpec {
            name: task_name(&format!("images-{from}-to-{}", place(&destination.registry, "ecr"))),
            description: String::new(),
            labels: BTreeMap::new(),
            job: Job::Image(ImageJob {
                source: ImageSource { registry, images },
                destination: destination.clone(),
                options: options.clone(),
            }),
            limits: TaskLimits::default(),
            report: None,
            trigger: (!taken.once).then_some(Trigger::Every { every: DAILY }),
        }
    };
    images.into_iter().map(task).collect()
}

fn ecr(taken: &mut Taken<'_>, credentials: &mut Credentials) -> Registry {
    taken.becomes("sourceType", "source.registry = \"ecr\"");
    taken.becomes("srcRegion", "source.region");
    Registry {
        registry: dth_proto::spec::image::ECR.to_owned(),
        region: taken.some("srcRegion"),
        account: account(taken, "srcAccountId", "source"),
        credential: credential(taken, credentials, "srcCredential", "source"),
        ..Registry::default()
    }
}

fn destination(taken: &mut Taken<'_>, credentials: &mut Credentials) -> ImageDestination {
    taken.becomes("destRegion", "destination.region");
    let prefix = match taken.value("destPrefix").trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    if !prefix.is_empty() {
        taken.becomes(
            "destPrefix",
            format!("destination.prefix = {prefix:?}; in the original it has no effect: leave it out to write to the same repositories"),
        );
    }
    let registry = Registry {
        registry: dth_proto::spec::image::ECR.to_owned(),
        region: taken.some("destRegion"),
        account: account(taken, "destAccountId", "destination"),
        credential: credential(taken, credentials, "destCredential", "destination"),
        ..Registry::default()
    };
    ImageDestination { registry, prefix, ..ImageDestination::default() }
}

fn account(taken: &mut Taken<'_>, name: &'static str, end: &str) -> Option<String> {
    let account = taken.some(name);
    match &account {
        Some(_) => taken.becomes(name, format!("{end}.account")),
        None => taken.not_needed(name, "empty: the account of the credential"),
    }
    account
}

fn credential(taken: &mut Taken<'_>, credentials: &mut Credentials, name: &'static str, end: &str) -> Option<String> {
    let credential = taken.some(name).map(|secret| credentials.of(&secret));
    match &credential {
        Some(credential) => taken.becomes(name, format!("{end}.credential = {credential:?}, for dthd.toml see below")),
        None => taken.not_needed(name, "empty: the AWS SDK's own chain"),
    }
    credential
}

/// The images that are named, by registry; of ECR all are of one.
fn images(taken: &mut Taken<'_>, public: bool) -> BTreeMap<String, Vec<String>> {
    let selected = taken.is("srcList", "SELECTED") || public;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if selected {
        let list = taken.value("srcImageList").replace("\\n", ",");
        let names = list.split([',', '\n', '\r']).map(str::trim).filter(|name| !name.is_empty());
        for name in names {
            let (host, rest) = if public { split_host(name) } else { (String::new(), name.to_owned()) };
            found.entry(host).or_default().push(tagged(&rest));
        }
        taken.becomes("srcList", "source.images");
        taken.becomes("srcImageList", "source.images");
    } else {
        taken.becomes("srcList", "no source.images: everything that the registry lists, but nothing without a tag (options.untagged)");
        if taken.some("srcImageList").is_some() {
            taken.not_needed("srcImageList", "srcList is ALL");
        }
    }
    if found.is_empty() {
        found.insert(if public { HUB.to_owned() } else { String::new() }, Vec::new());
    }
    found
}

/// The registry that a public image's name begins with, as docker reads it; and the name there.
fn split_host(name: &str) -> (String, String) {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host.to_owned(), rest.to_owned()),
        Some(_) => (HUB.to_owned(), name.to_owned()),
        // docker's own images
        None => (HUB.to_owned(), format!("library/{name}")),
    }
}

/// With the tag that the original takes: `latest` where there is none, all for `ALL_TAGS`.
fn tagged(name: &str) -> String {
    match name.rsplit_once(':') {
        Some((repository, "ALL_TAGS")) => repository.to_owned(),
        Some((_, tag)) if !tag.contains('/') => name.to_owned(),
        _ if name.contains('@') => name.to_owned(),
        _ => format!("{name}:latest"),
    }
}
