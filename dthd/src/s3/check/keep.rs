//! Preflight of what goes along with the bytes: keys of ours, tags, Object Lock, and what a store does not have at all.

use std::{collections::BTreeMap, time::Duration};

use dth_proto::{
    check::{CheckState, CheckStep},
    failure::{FailureClass, Side},
    spec::{Encryption, S3Job},
};

use super::{hint, in_words, scratch, step};
use crate::{
    clock,
    credential::{self, CredentialSpec, Credentials},
    s3::{
        client::Bucket,
        metadata::{Creation, KEEP, ObjectLock, SSE_C},
        object::Entry,
        provider,
        run::customer_key,
    },
};

/// How long the object that tries Object Lock out cannot be deleted for good. The copies of a bucket with Object Lock are versions:
/// deleting only hides them.
const LOCKED: Duration = Duration::from_secs(60);

/// What speaks against the job before anything is tried: names that lead nowhere, and what the destination is known not to have.
pub(super) fn problems(job: &S3Job, specs: &BTreeMap<String, CredentialSpec>) -> Vec<String> {
    let mut found = Vec::new();
    for (end, encryption) in [("source", &job.source.encryption), ("destination", &job.destination.encryption)] {
        let name = encryption.as_ref().filter(|e| e.kind == SSE_C).and_then(|e| e.key.as_deref());
        if let Some(Err(error)) = name.map(|name| credential::seals(name, specs)) {
            found.push(format!("{end}.encryption.key: {error}"));
        }
    }
    let target = &job.destination;
    let Ok(profile) = provider::find(&target.store.provider) else { return found };
    let title = &profile.title;
    let known = !profile.storage_classes.is_empty();
    if let Some(class) = target.storage_class.as_deref().filter(|class| known && *class != KEEP && !profile.has_class(class)) {
        let classes = profile.storage_classes.join(", ");
        found.push(format!("destination.storage_class: {title} has no class {class:?}: use one of {classes}, or keep"));
    }
    if target.acl.is_some() && !profile.acls {
        found.push(format!("destination.acl: {title} has no ACLs: leave it out"));
    }
    if job.options.object_lock && !profile.object_lock {
        found.push(format!("options.object_lock: {title} has no Object Lock: leave it out"));
    }
    found
}

/// The bucket with the key of ours that its objects are encrypted with; `None`: there is none, which is told.
pub(super) async fn unseal(
    bucket: Bucket,
    encryption: Option<&Encryption>,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) -> Option<Bucket> {
    let side = bucket.side();
    let mut failed = |message: String, hint: &str| {
        tell(step(side, "encryption", CheckState::Failed, message, Some(hint.to_owned())));
        None
    };
    match customer_key(credentials, encryption).await {
        Ok(key) => match bucket.sealed(key) {
            Ok(bucket) => Some(bucket),
            Err(error) => failed(error.to_string(), "correct the endpoint"),
        },
        Err(error) => failed(error.to_string(), "correct the credential in dthd.toml, or its file"),
    }
}

/// What of an object besides its bytes the credential may read.
pub(super) async fn read(bucket: &Bucket, job: &S3Job, sample: &Entry, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let key = &sample.key;
    let without = "the store does not have them: nothing of them is copied";
    if job.options.tags {
        tell(step(Side::Source, "tags", CheckState::Running, format!("reading the tags of {key:?}"), None));
        tell(match bucket.tags(key, None).await {
            Ok(_) => step(Side::Source, "tags", CheckState::Ok, format!("the tags of {key:?} can be read"), None),
            Err(error) if error.class == FailureClass::Auth => {
                let hint = hint(&error, bucket, "s3:GetObjectTagging", key).map(|hint| format!("{hint}, or set options.tags = false"));
                step(Side::Source, "tags", CheckState::Failed, in_words(&error), hint)
            }
            Err(error) => step(Side::Source, "tags", CheckState::Warn, format!("{}: {without}", in_words(&error)), None),
        });
    }
    if job.options.object_lock {
        tell(step(Side::Source, "object-lock", CheckState::Running, format!("reading the retention of {key:?}"), None));
        tell(match bucket.retention(key).await {
            Ok(()) => step(Side::Source, "object-lock", CheckState::Ok, "retention and legal hold can be read".to_owned(), None),
            Err(error) if error.class == FailureClass::Auth => {
                // without the right the store is silent about them, and they would be lost
                let hint = hint(&error, bucket, "s3:GetObjectRetention and s3:GetObjectLegalHold", key);
                step(Side::Source, "object-lock", CheckState::Failed, in_words(&error), hint)
            }
            Err(error) => step(Side::Source, "object-lock", CheckState::Warn, format!("{}: {without}", in_words(&error)), None),
        });
    }
}

/// What besides its bytes an object can be written with.
pub(super) async fn write(bucket: &Bucket, job: &S3Job, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let profile = bucket.profile();
    if job.options.tags && !profile.tags {
        let message = format!("{} has no tags: those of the source are left out", profile.title);
        tell(step(Side::Destination, "tags", CheckState::Warn, message, Some("options.tags = false says that this is wanted".to_owned())));
    } else if job.options.tags {
        let tagged = Creation { tagging: Some("dth-check=1".to_owned()), ..Creation::default() };
        attempt(bucket, job, tagged, ("tags", "s3:PutObjectTagging", "or set options.tags = false"), tell).await;
    }
    if job.options.object_lock {
        let until = clock::now().plus(LOCKED).to_string();
        let lock = ObjectLock { retention: Some(("GOVERNANCE".to_owned(), until)), legal_hold: false };
        let locked = Creation { lock: Some(lock), ..Creation::default() };
        let rights = "s3:PutObjectRetention and s3:PutObjectLegalHold";
        attempt(bucket, job, locked, ("object-lock", rights, "and turn Object Lock on for the bucket"), tell).await;
    }
}

async fn attempt(
    bucket: &Bucket,
    job: &S3Job,
    creation: Creation,
    (name, right, otherwise): (&str, &str, &str),
    tell: &mut (impl FnMut(CheckStep) + Send),
) {
    tell(step(Side::Destination, name, CheckState::Running, "writing an object with them".to_owned(), None));
    tell(match scratch(bucket, job, creation).await {
        Ok(_) => step(Side::Destination, name, CheckState::Ok, "objects can be written with them".to_owned(), None),
        Err(error) => {
            let hint = hint(&error, bucket, right, &job.destination.prefix).unwrap_or_else(|| format!("allow {right}"));
            // a store that does not know them refuses only the objects that have some
            let state = if name == "tags" && error.class != FailureClass::Auth { CheckState::Warn } else { CheckState::Failed };
            step(Side::Destination, name, state, in_words(&error), Some(format!("{hint}, {otherwise}")))
        }
    });
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{S3Destination, S3Options, S3Source};

    use super::*;

    #[test]
    fn keys_that_lead_nowhere_are_told() {
        let seal = CredentialSpec::SseC { path: "/nowhere/seal".into() };
        let specs = BTreeMap::from([("writer".to_owned(), CredentialSpec::Default), ("seal".to_owned(), seal)]);
        let sealed = |key: &str| Some(Encryption { kind: SSE_C.to_owned(), key: Some(key.to_owned()), bucket_key: None });
        let mut job = S3Job { source: S3Source::default(), destination: S3Destination::default(), options: S3Options::default() };
        (job.source.encryption, job.destination.encryption) = (sealed("saal"), sealed("writer"));
        let found = problems(&job, &specs);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("source.encryption.key: ") && found[0].contains("did you mean \"seal\"?"), "{found:?}");
        assert!(found[1].starts_with("destination.encryption.key: ") && found[1].contains("of type default"), "{found:?}");
        (job.source.encryption, job.destination.encryption) = (sealed("seal"), sealed("seal"));
        assert!(problems(&job, &specs).is_empty());
    }
}
