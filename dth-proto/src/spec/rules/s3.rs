//! The rules of an S3 task.

use super::{LONGEST_KEY, keep};
use crate::spec::{Archived, Compare, PrefixList, RestoreTier, S3Job, S3Source, Store, Versions};

/// Prefixes that a definition names itself: it is shown on screens, and kept with every run.
const MOST_PREFIXES: usize = 1_000;

pub(super) fn problems(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let S3Job { source, destination, .. } = job;
    store(&source.store, ["source.bucket", "source.endpoint"], add);
    store(&destination.store, ["destination.bucket", "destination.endpoint"], add);
    for (field, text) in [
        ("source.prefix", &source.prefix),
        ("destination.prefix", &destination.prefix),
        ("destination.strip_prefix", &destination.strip_prefix),
    ]
    .into_iter()
    .chain(source.prefixes.iter().map(|prefix| ("source.prefixes", prefix)))
    {
        if text.len() > LONGEST_KEY {
            add(field, format!("is {} bytes long: an S3 key has at most {LONGEST_KEY}", text.len()));
        }
    }
    prefixes(source, add);
    if let Some((from, to)) = overlap(job) {
        let place = match source.named_prefixes() {
            [_] => "source and destination are the same place".to_owned(),
            _ => format!("{from:?} at the source and {to:?} at the destination are in one place"),
        };
        let why = if job.mirrors() { "copies would be listed as sources, or sources deleted" } else { "copies would be listed as sources" };
        add("destination.prefix", format!("{place}: {why}; use another bucket or prefix"));
    }
    deletes(job, add);
    versions(job, add);
    archives(job, add);
    keep::problems(job, add);
}

pub(super) fn store(store: &Store, [bucket, endpoint]: [&'static str; 2], add: &mut impl FnMut(&'static str, String)) {
    if store.bucket.is_empty() {
        add(bucket, "is missing: name the bucket".to_owned());
    } else if store.bucket.contains(['/', '?', '#', ' ']) || store.bucket.starts_with("s3:") {
        add(bucket, format!("{:?} is not a bucket name: only the name, the path goes to prefix", store.bucket));
    }
    if let Some(url) = &store.endpoint {
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(|h| h.trim_end_matches('/').is_empty() || h.contains([' ', '@'])) {
            add(endpoint, format!("{url:?} is not an endpoint: write it like https://host[:port]"));
        }
    }
}

/// The three ways to name prefixes, of which one is taken.
fn prefixes(source: &S3Source, add: &mut impl FnMut(&'static str, String)) {
    let given =
        [("prefix", !source.prefix.is_empty()), ("prefixes", !source.prefixes.is_empty()), ("prefix_list", source.prefix_list.is_some())];
    let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    if given.len() > 1 {
        add("source.prefix", format!("{} exclude each other: keep one of them", given.join(" and ")));
    }
    if source.prefixes.len() > MOST_PREFIXES {
        let count = source.prefixes.len();
        add(
            "source.prefixes",
            format!(
                "has {count} prefixes, and a definition at most {MOST_PREFIXES}: put them into a file, one per line, and name it as prefix_list"
            ),
        );
    }
    if source.prefixes.iter().any(String::is_empty) {
        add("source.prefixes", "has an empty prefix, which means all keys: remove it, or all the others".to_owned());
    }
    if let Some(Err(why)) = source.prefix_list.as_deref().map(str::parse::<PrefixList>) {
        add("source.prefix_list", why);
    }
}

/// What deleting goes together with.
fn deletes(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let options = &job.options;
    if job.mirrors() {
        if options.versions == Versions::All || options.as_of.is_some() {
            let why = "goes by what the source has now: leave out versions and as_of, or use delete = \"never\"";
            add("options.delete", format!("\"mirror\" {why}"));
        }
        return;
    }
    for (field, given) in
        [("options.max_deletes", options.max_deletes.is_some()), ("options.max_delete_percent", options.max_delete_percent.is_some())]
    {
        if given {
            add(field, "guards nothing: it belongs to delete = \"mirror\"".to_owned());
        }
    }
}

/// What versions go together with.
fn versions(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let options = &job.options;
    if options.versions == Versions::Latest {
        return;
    }
    if options.as_of.is_some() {
        add("options.as_of", "is one version of each key, versions = \"all\" is every one: keep one of them".to_owned());
    }
    if options.compare != Compare::Auto {
        add("options.compare", "versions = \"all\" compares what both ends have of each key, in order: leave compare out".to_owned());
    }
}

/// What restoring goes together with.
fn archives(job: &S3Job, add: &mut impl FnMut(&'static str, String)) {
    let options = &job.options;
    if options.archived == Archived::Restore {
        return;
    }
    for (field, given) in
        [("options.restore_tier", options.restore_tier != RestoreTier::Standard), ("options.restore_days", options.restore_days.is_some())]
    {
        if given {
            add(field, "restores nothing: it belongs to archived = \"restore\"".to_owned());
        }
    }
}

/// A prefix of the source and a place where keys go, of which one lies in the other: a copy would land among the objects that are
/// listed as sources; and what is deleted where the destination lies around the source could be a source.
fn overlap(job: &S3Job) -> Option<(String, String)> {
    if !job.has_one_bucket() {
        return None;
    }
    let prefixes = job.source.named_prefixes();
    let goes = |from: &String| job.destination.key_for(from);
    let meets = |to: &str, from: &str| to.starts_with(from) || (job.mirrors() && from.starts_with(to));
    prefixes.iter().find_map(|a| {
        let to = goes(a);
        prefixes.iter().find(|from| meets(&to, from)).map(|from| (from.clone(), to.clone()))
    })
}
