//! From the form to an S3 job, and back.

use dth_proto::spec::{Encryption, S3Destination, S3Job, S3Options, S3Source, Store, Words};

use super::{
    super::{Mistake, Wizard, fill::Fill},
    DEFAULT_CHAIN,
};

/// The job that the fields add up to, and what in them cannot be read.
pub(in crate::model::wizard) fn job(form: &Wizard, mistakes: &mut Vec<Mistake>) -> S3Job {
    let source = S3Source {
        store: store(form, "source"),
        // a space at the end of a prefix is part of it
        prefix: form.raw("source.prefix").to_owned(),
        prefixes: form.list("source.prefixes"),
        prefix_list: form.some("source.prefix_list"),
        requester_pays: form.value("source.requester_pays") == "yes",
        encryption: encryption(form, "source"),
    };
    let destination = S3Destination {
        store: store(form, "destination"),
        prefix: form.raw("destination.prefix").to_owned(),
        strip_prefix: form.raw("destination.strip_prefix").to_owned(),
        storage_class: form.some("destination.storage_class"),
        acl: form.some("destination.acl"),
        encryption: encryption(form, "destination"),
        checksum: form.some("destination.checksum"),
    };
    S3Job { source, destination, options: options(form, mistakes) }
}

fn options(form: &Wizard, mistakes: &mut Vec<Mistake>) -> S3Options {
    S3Options {
        compare: form.word("options.compare"),
        metadata: form.value("options.metadata") == "copy",
        tags: form.value("options.tags") == "copy",
        include: form.list("options.include"),
        exclude: form.list("options.exclude"),
        include_regex: form.list("options.include_regex"),
        exclude_regex: form.list("options.exclude_regex"),
        storage_classes: form.list("options.storage_classes"),
        exclude_storage_classes: form.list("options.exclude_storage_classes"),
        larger_than: form.parsed("options.larger_than", mistakes),
        smaller_than: form.parsed("options.smaller_than", mistakes),
        newer_than: form.parsed("options.newer_than", mistakes),
        older_than: form.parsed("options.older_than", mistakes),
        delete: form.word("options.delete"),
        max_deletes: form.number("options.max_deletes", "how many objects one run may delete", mistakes),
        max_delete_percent: form.number("options.max_delete_percent", "how many of a hundred objects one run may delete", mistakes),
        archived: form.word("options.archived"),
        restore_tier: form.word("options.restore_tier"),
        restore_days: form.number("options.restore_days", "for how many days", mistakes),
        versions: form.word("options.versions"),
        as_of: form.parsed("options.as_of", mistakes),
        object_lock: form.value("options.object_lock") == "copy",
        mtime_metadata: form.some("options.mtime_metadata"),
        server_side_copy: form.value("options.server_side_copy") == "yes",
    }
}

/// Puts a job into the fields.
pub(in crate::model::wizard) fn fill(form: &mut Fill<'_>, job: &S3Job) {
    let S3Job { source, destination, options } = job;
    let S3Source { store, prefix, prefixes, prefix_list, requester_pays, encryption } = source;
    fill_store(form, "source", store);
    form.whole("source.prefix", prefix);
    form.list("source.prefixes", prefixes);
    form.some("source.prefix_list", prefix_list.as_ref());
    form.either("source.requester_pays", *requester_pays, "yes");
    fill_encryption(form, "source", encryption.as_ref());
    let S3Destination { store, prefix, strip_prefix, storage_class, acl, encryption, checksum } = destination;
    fill_store(form, "destination", store);
    form.whole("destination.prefix", prefix);
    form.whole("destination.strip_prefix", strip_prefix);
    form.some("destination.storage_class", storage_class.as_ref());
    form.some("destination.acl", acl.as_ref());
    fill_encryption(form, "destination", encryption.as_ref());
    form.some("destination.checksum", checksum.as_ref());
    fill_options(form, options);
}

fn fill_options(form: &mut Fill<'_>, options: &S3Options) {
    // taken apart, so that a field that is added cannot be forgotten here
    let S3Options {
        compare,
        metadata,
        tags,
        include,
        exclude,
        include_regex,
        exclude_regex,
        storage_classes,
        exclude_storage_classes,
        larger_than,
        smaller_than,
        newer_than,
        older_than,
        delete,
        max_deletes,
        max_delete_percent,
        archived,
        restore_tier,
        restore_days,
        versions,
        as_of,
        object_lock,
        mtime_metadata,
        server_side_copy,
    } = options;
    form.put("options.compare", compare.word());
    form.either("options.metadata", !metadata, "leave");
    form.either("options.tags", !tags, "leave");
    for (id, list) in [
        ("options.include", include),
        ("options.exclude", exclude),
        ("options.include_regex", include_regex),
        ("options.exclude_regex", exclude_regex),
        ("options.storage_classes", storage_classes),
        ("options.exclude_storage_classes", exclude_storage_classes),
    ] {
        form.list(id, list);
    }
    form.shown("options.larger_than", larger_than.as_ref());
    form.shown("options.smaller_than", smaller_than.as_ref());
    form.shown("options.newer_than", newer_than.as_ref());
    form.shown("options.older_than", older_than.as_ref());
    form.put("options.delete", delete.word());
    form.shown("options.max_deletes", max_deletes.as_ref());
    form.shown("options.max_delete_percent", max_delete_percent.as_ref());
    form.put("options.archived", archived.word());
    form.put("options.restore_tier", restore_tier.word());
    form.shown("options.restore_days", restore_days.as_ref());
    form.put("options.versions", versions.word());
    form.shown("options.as_of", as_of.as_ref());
    form.either("options.object_lock", *object_lock, "copy");
    form.some("options.mtime_metadata", mtime_metadata.as_ref());
    form.either("options.server_side_copy", !server_side_copy, "no");
}

fn store(form: &Wizard, end: &str) -> Store {
    let get = |name: &str| form.some(&format!("{end}.{name}"));
    Store {
        provider: form.provider(&format!("{end}.provider")),
        bucket: get("bucket").unwrap_or_default(),
        region: get("region"),
        endpoint: get("endpoint"),
        credential: get("credential").filter(|c| c != DEFAULT_CHAIN),
        path_style: form.chosen(&format!("{end}.path_style")).map(|word| word == "path"),
    }
}

fn fill_store(form: &mut Fill<'_>, end: &str, store: &Store) {
    let Store { provider, bucket, region, endpoint, credential, path_style } = store;
    form.put(&format!("{end}.provider"), provider);
    form.whole(&format!("{end}.bucket"), bucket);
    form.some(&format!("{end}.region"), region.as_ref());
    form.some(&format!("{end}.endpoint"), endpoint.as_ref());
    form.chosen(&format!("{end}.credential"), credential.as_deref());
    form.chosen(&format!("{end}.path_style"), path_style.map(|on| if on { "path" } else { "host" }));
}

fn encryption(form: &Wizard, end: &str) -> Option<Encryption> {
    Some(Encryption {
        kind: form.chosen(&format!("{end}.encryption.type"))?.to_owned(),
        key: form.some(&format!("{end}.encryption.key")),
        bucket_key: form.flag(&format!("{end}.encryption.bucket_key")),
    })
}

fn fill_encryption(form: &mut Fill<'_>, end: &str, encryption: Option<&Encryption>) {
    let Some(Encryption { kind, key, bucket_key }) = encryption else { return };
    form.put(&format!("{end}.encryption.type"), kind);
    form.some(&format!("{end}.encryption.key"), key.as_ref());
    form.flag(&format!("{end}.encryption.bucket_key"), *bucket_key);
}
