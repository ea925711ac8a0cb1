//! The tables of an S3 task.

use super::encryption;
use crate::{
    document::Table,
    report::Format,
    spec::{Archived, Compare, Delete, ReportPlace, RestoreTier, S3Destination, S3Options, S3Source, Store, Versions, Words},
};

fn store(t: &mut Table<'_, '_>) -> Store {
    Store {
        provider: t.text("provider").unwrap_or_else(|| "aws".to_owned()),
        bucket: t.required("bucket", "name the bucket").unwrap_or_default(),
        region: t.text("region"),
        endpoint: t.text("endpoint"),
        credential: t.text("credential"),
        path_style: t.flag("path_style"),
    }
}

pub(super) fn source(t: &mut Table<'_, '_>) -> S3Source {
    S3Source {
        store: store(t),
        prefix: t.text("prefix").unwrap_or_default(),
        prefixes: t.texts("prefixes").unwrap_or_default(),
        prefix_list: t.text("prefix_list"),
        requester_pays: t.flag("requester_pays").unwrap_or_default(),
        encryption: encryption(t, "SSE-C"),
    }
}

pub(super) fn destination(t: &mut Table<'_, '_>) -> S3Destination {
    S3Destination {
        store: store(t),
        prefix: t.text("prefix").unwrap_or_default(),
        strip_prefix: t.text("strip_prefix").unwrap_or_default(),
        storage_class: t.text("storage_class"),
        acl: t.text("acl"),
        encryption: encryption(t, "AES256, aws:kms, aws:kms:dsse or SSE-C"),
        checksum: t.text("checksum"),
    }
}

pub(super) fn report(t: &mut Table<'_, '_>) -> ReportPlace {
    ReportPlace {
        store: store(t),
        prefix: t.text("prefix").unwrap_or_default(),
        format: t.choice("format", &Format::ALL).unwrap_or_default(),
    }
}

pub(super) fn options(t: &mut Table<'_, '_>) -> S3Options {
    S3Options {
        compare: t.choice("compare", Compare::WORDS).unwrap_or_default(),
        metadata: t.flag("metadata").unwrap_or(true),
        tags: t.flag("tags").unwrap_or(true),
        include: t.texts("include").unwrap_or_default(),
        exclude: t.texts("exclude").unwrap_or_default(),
        larger_than: t.parsed("larger_than"),
        smaller_than: t.parsed("smaller_than"),
        newer_than: t.parsed("newer_than"),
        older_than: t.parsed("older_than"),
        include_regex: t.texts("include_regex").unwrap_or_default(),
        exclude_regex: t.texts("exclude_regex").unwrap_or_default(),
        storage_classes: t.texts("storage_classes").unwrap_or_default(),
        exclude_storage_classes: t.texts("exclude_storage_classes").unwrap_or_default(),
        delete: t.choice("delete", Delete::WORDS).unwrap_or_default(),
        max_deletes: t.number("max_deletes", 1..=u64::MAX),
        max_delete_percent: t.number("max_delete_percent", 1..=100).and_then(|n| u32::try_from(n).ok()),
        archived: t.choice("archived", Archived::WORDS).unwrap_or_default(),
        restore_tier: t.choice("restore_tier", RestoreTier::WORDS).unwrap_or_default(),
        restore_days: t.number("restore_days", 1..=36_500).and_then(|n| u32::try_from(n).ok()),
        versions: t.choice("versions", Versions::WORDS).unwrap_or_default(),
        as_of: t.parsed("as_of"),
        object_lock: t.flag("object_lock").unwrap_or_default(),
        mtime_metadata: t.text("mtime_metadata"),
        server_side_copy: t.flag("server_side_copy").unwrap_or(true),
    }
}
