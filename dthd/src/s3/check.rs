//! Preflight: tries both ends of a task with the requests a run would make, and says what is missing.

use std::sync::Arc;

use dth_proto::{
    check::{CheckState, CheckStep},
    failure::{FailureClass, Side},
    spec::{PrefixList, ReportPlace, S3Destination, S3Job, S3Options, S3Source, Store},
};

mod keep;

use super::{
    client::Bucket,
    filter::Filter,
    list::Answer,
    metadata::{Creation, KEEP, Metadata, SSE_C},
    object::Entry,
    payload::Payload,
    prefix, provider,
    verify::Algorithm,
};
use crate::{
    clock,
    config::Config,
    credential::{self, Credential, Credentials},
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// What is left behind at the destination if the check is killed between writing and deleting: this and a random number.
pub const SCRATCH: &str = ".dth-check-";

/// A check is watched by a person: it says soon that something is down.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 3,
    base: std::time::Duration::from_millis(100),
    cap: std::time::Duration::from_secs(2),
    patience: std::time::Duration::from_secs(5),
};

/// Tries both ends. Each step is told twice: when it begins ([`CheckState::Running`]) and how it ended; a later step of the
/// same side and name replaces the earlier one. Ends at the first step of a side that makes its next ones pointless.
pub async fn check(job: &S3Job, credentials: &Credentials, mut tell: impl FnMut(CheckStep) + Send) {
    let source = &job.source;
    if let Some(bucket) = reach(Side::Source, &source.store, source.requester_pays, credentials, &mut tell).await
        && let Some(bucket) = keep::unseal(bucket, source.encryption.as_ref(), credentials, &mut tell).await
        && let Some(prefix) = first_prefix(&bucket, job, credentials, &mut tell).await
        && let Listing::Read(sample) = list(&bucket, &prefix, &mut tell).await
    {
        read(&bucket, &prefix, sample.as_ref(), &mut tell).await;
        if let Some(sample) = &sample {
            keep::read(&bucket, job, sample, &mut tell).await;
        }
    }
    let destination = &job.destination;
    if let Some(bucket) = reach(Side::Destination, &destination.store, false, credentials, &mut tell).await
        && let Some(bucket) = keep::unseal(bucket, destination.encryption.as_ref(), credentials, &mut tell).await
    {
        // Writing is tried even if listing is not allowed: a person wants to know both. Not into a bucket that does not exist:
        // some stores create it.
        if !matches!(list(&bucket, &destination.prefix, &mut tell).await, Listing::Pointless) {
            write(&bucket, job, &mut tell).await;
            keep::write(&bucket, job, &mut tell).await;
        }
    }
}

/// The same for the bucket of a task's reports; its steps have names of their own.
pub async fn report(place: &ReportPlace, credentials: &Credentials, mut tell: impl FnMut(CheckStep) + Send) {
    let mut tell = |step: CheckStep| tell(CheckStep { name: format!("report {}", step.name), ..step });
    let Some(bucket) = reach(Side::Destination, &place.store, false, credentials, &mut tell).await else { return };
    let destination = S3Destination { store: place.store.clone(), prefix: place.prefix.clone(), ..S3Destination::default() };
    let job = S3Job { source: S3Source::default(), destination, options: S3Options::default() };
    write(&bucket, &job, &mut tell).await;
}

/// What speaks against a job before anything is tried.
#[must_use]
pub fn problems(job: &S3Job, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for (end, store) in [("source", &job.source.store), ("destination", &job.destination.store)] {
        found.extend(store_problems(end, store, config));
    }
    found.extend(keep::problems(job, &config.credentials));
    if let Err(globs) = Filter::new(&job.options, clock::now()) {
        found.extend(globs);
    }
    let strip = &job.destination.strip_prefix;
    let field = if job.source.prefixes.is_empty() { "source.prefix" } else { "source.prefixes" };
    for prefix in job.source.named_prefixes().iter().filter(|prefix| !prefix.starts_with(strip)) {
        found.push(format!("destination.strip_prefix: {strip:?} must be a beginning of {field} {prefix:?}, so that every key has it"));
    }
    found
}

/// A prefix to try the source with: of a list the first that it has, if it can be read.
async fn first_prefix(
    bucket: &Bucket,
    job: &S3Job,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) -> Option<String> {
    const LIST: &str = "prefix list";
    let source = &job.source;
    let Some(place) = &source.prefix_list else {
        return Some(source.named_prefixes().first().cloned().unwrap_or_default());
    };
    let side = bucket.side();
    let of_list = match place.parse() {
        Ok(PrefixList::Object { bucket, .. }) => {
            let store = Store { bucket, ..source.store.clone() };
            Some(reach(side, &store, source.requester_pays, credentials, tell).await?)
        }
        _ => None,
    };
    tell(step(side, LIST, CheckState::Running, format!("reading {place}"), None));
    match prefix::first_of_list(place, of_list.as_ref()).await {
        Ok(first) => {
            tell(step(side, LIST, CheckState::Ok, format!("{place} can be read, and begins with {first:?}"), None));
            Some(first)
        }
        Err(why) => {
            tell(step(side, LIST, CheckState::Failed, why, None));
            None
        }
    }
}

/// What this daemon's configuration says against a bucket. `end`: the table of the definition that names it.
#[must_use]
pub fn store_problems(end: &str, store: &Store, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    match provider::find(&store.provider) {
        Err(unknown) => found.push(format!("{end}.provider: {unknown}")),
        Ok(profile) if store.provider != "aws" && store.endpoint.is_none() && profile.endpoint(store.region.as_deref()).is_none() => {
            found.push(format!("{end}.endpoint: is missing: {} has no endpoint of its own for this region", store.provider));
        }
        Ok(_) => {}
    }
    if let Err(unknown) = credential::known_to_aws(store.credential.as_deref(), &config.credentials) {
        found.push(format!("{end}.credential: {unknown}"));
    }
    found
}

fn step(side: Side, name: &str, state: CheckState, message: String, hint: Option<String>) -> CheckStep {
    CheckStep { side, name: name.to_owned(), state, message, hint }
}

/// Signs in and prepares the bucket.
async fn reach(
    side: Side,
    store: &Store,
    requester_pays: bool,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) -> Option<Bucket> {
    let named = store.credential.as_deref().unwrap_or("the SDK's default chain");
    tell(step(side, "credential", CheckState::Running, format!("loading {named}"), None));
    let credential: Credential = match credentials.resolve(store.credential.as_deref()).await {
        Ok(credential) => credential,
        Err(error) => {
            tell(step(side, "credential", CheckState::Failed, error.to_string(), None));
            return None;
        }
    };
    if let Err(error) = credential.probe().await {
        let hint = match store.credential {
            None => "configure AWS credentials for the daemon's user, or name a credential in the task",
            Some(_) => "correct the credential in dthd.toml, or what it refers to",
        };
        let message = format!("nothing to sign with in {}: {error}", credential.describe());
        tell(step(side, "credential", CheckState::Failed, message, Some(hint.to_owned())));
        return None;
    }
    let signs = if credential.is_anonymous() { "requests are not signed" } else { "found" };
    tell(step(side, "credential", CheckState::Ok, format!("{}: {signs}", credential.describe()), None));
    match Bucket::open(store, side, &credential, requester_pays, RETRY, Arc::new(RequestCounters::default()), None).await {
        Ok(bucket) => Some(bucket),
        Err(error) => {
            tell(step(side, "reach", CheckState::Failed, error.to_string(), None));
            None
        }
    }
}

/// What listing has shown.
enum Listing {
    /// The first object, if there is one.
    Read(Option<Entry>),
    /// There is a bucket, but it cannot be listed.
    Refused,
    /// There is no store, or no bucket.
    Pointless,
}

/// One page of the listing, which also shows whether the store answers at all.
async fn list(bucket: &Bucket, prefix: &str, tell: &mut (impl FnMut(CheckStep) + Send)) -> Listing {
    let side = bucket.side();
    tell(step(side, "reach", CheckState::Running, format!("asking {}", bucket.place()), None));
    let answer = bucket.list_some(prefix, None, None, Some(10)).await;
    match answer {
        Err(error) if matches!(error.class, FailureClass::Transient | FailureClass::Throttled) => {
            let hint = "check endpoint, region, proxy and network between the daemon and the store".to_owned();
            tell(step(side, "reach", CheckState::Failed, error.message.clone(), Some(hint)));
            Listing::Pointless
        }
        Err(error) => {
            tell(step(side, "reach", CheckState::Ok, format!("{} answers", bucket.place()), None));
            tell(step(side, "list", CheckState::Failed, in_words(&error), hint(&error, bucket, "s3:ListBucket", "")));
            if error.class == FailureClass::Auth { Listing::Refused } else { Listing::Pointless }
        }
        Ok(Answer { page, .. }) => {
            tell(step(side, "reach", CheckState::Ok, format!("{} answers", bucket.place()), None));
            tell(step(side, "list", CheckState::Ok, format!("s3://{}/{prefix} can be listed", bucket.name()), None));
            Listing::Read(page.first().map(|first| first.to_entry()))
        }
    }
}

/// One byte of the first object, as a run would read it.
async fn read(bucket: &Bucket, prefix: &str, sample: Option<&Entry>, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let Some(sample) = sample else {
        let message = format!("there is no object under s3://{}/{prefix}: reading was not tried", bucket.name());
        tell(step(Side::Source, "read", CheckState::Warn, message, Some("check the prefix".to_owned())));
        return;
    };
    tell(step(Side::Source, "read", CheckState::Running, format!("reading from {:?}", sample.key), None));
    let answer = match sample.size {
        0 => bucket.get(&sample.key, sample.pin(), 0).await,
        _ => bucket.get_range(&sample.key, sample.pin(), 0..1).await,
    };
    let done = match answer {
        Ok(_) => step(Side::Source, "read", CheckState::Ok, format!("{:?} can be read", sample.key), None),
        Err(error) if error.class == FailureClass::Changed => {
            step(Side::Source, "read", CheckState::Warn, format!("{:?} changed meanwhile: reading was not tried", sample.key), None)
        }
        Err(error) => step(Side::Source, "read", CheckState::Failed, in_words(&error), hint(&error, bucket, "s3:GetObject", &sample.key)),
    };
    tell(done);
}

/// Writes a small object with the task's storage class, ACL, encryption and checksum, and deletes it.
async fn write(bucket: &Bucket, job: &S3Job, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let prefix = &job.destination.prefix;
    tell(step(Side::Destination, "write", CheckState::Running, format!("writing below {prefix:?}"), None));
    let done = match scratch(bucket, job, Creation::default()).await {
        Err(error) => {
            let hint = hint(&error, bucket, write_rights(job), prefix);
            step(Side::Destination, "write", CheckState::Failed, in_words(&error), hint)
        }
        Ok(Scratch { left: None, kept }) => {
            let asked = job.destination.checksum.as_deref();
            if let Some(asked) = asked.filter(|asked| kept != Some(*asked)) {
                let message = format!("objects can be written, but the store does not answer that it has stored their {asked}");
                step(Side::Destination, "write", CheckState::Warn, message, Some("leave destination.checksum out".to_owned()))
            } else {
                let message = format!("objects can be written to and deleted from s3://{}/{prefix}", bucket.name());
                step(Side::Destination, "write", CheckState::Ok, message, None)
            }
        }
        Ok(Scratch { left: Some((key, error)), .. }) => {
            let message = format!("objects can be written but not deleted, {key:?} is left there: {}", in_words(&error));
            step(Side::Destination, "write", CheckState::Warn, message, hint(&error, bucket, "s3:DeleteObject", &key))
        }
    };
    tell(done);
}

/// A small object that was written and, if that was possible, deleted.
struct Scratch {
    /// The algorithm of the checksum that the store says it has stored.
    kept: Option<&'static str>,
    /// Its key, and why it could not be deleted.
    left: Option<(String, TransferError)>,
}

/// Writes a small object as the task would, with what `more` has besides, and deletes it.
async fn scratch(bucket: &Bucket, job: &S3Job, more: Creation) -> Result<Scratch, TransferError> {
    let target = &job.destination;
    let key = format!("{}{SCRATCH}{:016x}", target.prefix, rand::random::<u64>());
    let body = Payload::from(bytes::Bytes::from_static(b"written by a check of dthd; can be deleted\n"));
    let creation = Creation {
        metadata: Metadata { content_type: Some("text/plain".to_owned()), ..Metadata::default() },
        class: target.storage_class.clone().filter(|c| c != KEEP),
        acl: target.acl.clone(),
        encryption: target.encryption.clone().filter(|encryption| encryption.kind != SSE_C),
        ..more
    };
    let checksum = match target.checksum.as_deref().and_then(Algorithm::named) {
        Some(algorithm) => Some(algorithm.of(&body).await),
        None => None,
    };
    let put = bucket.put(&key, &body, &creation, Some(&body.md5()), checksum.as_ref()).await?;
    let left = bucket.delete(&key).await.err().map(|error| (key, error));
    Ok(Scratch { kept: put.checksum.map(|kept| kept.algorithm.name()), left })
}

/// What a policy must allow for the objects of this task to be written.
fn write_rights(job: &S3Job) -> &'static str {
    let target = &job.destination;
    let kms = target.encryption.as_ref().is_some_and(|e| e.kind.starts_with("aws:kms"));
    match (target.acl.is_some(), kms) {
        (false, false) => "s3:PutObject",
        (true, false) => "s3:PutObject and s3:PutObjectAcl",
        (false, true) => "s3:PutObject, and kms:GenerateDataKey and kms:Decrypt on the key",
        (true, true) => "s3:PutObject and s3:PutObjectAcl, and kms:GenerateDataKey and kms:Decrypt on the key",
    }
}

fn in_words(error: &TransferError) -> String {
    format!("{}: {}", error.code, error.message)
}

/// The way out, where it is known. `key` is empty for requests about the bucket.
fn hint(error: &TransferError, bucket: &Bucket, right: &str, key: &str) -> Option<String> {
    let resource = if key.is_empty() { format!("bucket {}", bucket.name()) } else { format!("objects of bucket {}", bucket.name()) };
    hint_for(error.class, &error.code, right, &resource)
}

fn hint_for(class: FailureClass, code: &str, right: &str, resource: &str) -> Option<String> {
    let text = match (code, class) {
        ("NoSuchBucket", _) => "check the name of the bucket, its endpoint and its region; dthd does not create buckets".to_owned(),
        ("NotFound", FailureClass::Permanent) => "check the name of the bucket and its endpoint".to_owned(),
        ("SignatureDoesNotMatch", _) => "the secret key is wrong, or the region is: correct the credential or the task".to_owned(),
        ("InvalidAccessKeyId", _) => "the store does not know this access key: correct the credential, or the endpoint".to_owned(),
        ("ExpiredToken" | "TokenRefreshRequired" | "RequestExpired", _) => "sign in again: the session has expired".to_owned(),
        ("RequestTimeTooSkewed", _) => "set the clock of this machine".to_owned(),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) => "correct the region of the bucket in the task".to_owned(),
        ("InvalidObjectState", _) => "restore the object from its archive, or exclude it".to_owned(),
        ("InvalidStorageClass", _) => "choose a storage class the destination has, or leave it out".to_owned(),
        ("AccessControlListNotSupported", _) => "leave the ACL out: the bucket does not allow ACLs".to_owned(),
        (_, FailureClass::Auth) => format!("allow {right} on {resource} for this credential"),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{Encryption, S3Destination};

    use super::*;

    #[test]
    fn hints_name_the_right_that_is_missing() {
        let hint = |class, code| hint_for(class, code, "s3:PutObject", "objects of bucket b");
        assert_eq!(
            hint(FailureClass::Auth, "AccessDenied").as_deref(),
            Some("allow s3:PutObject on objects of bucket b for this credential")
        );
        assert!(hint(FailureClass::Auth, "SignatureDoesNotMatch").is_some_and(|h| h.contains("secret key")));
        assert!(hint(FailureClass::Permanent, "NoSuchBucket").is_some_and(|h| h.contains("name of the bucket")));
        assert_eq!(hint(FailureClass::Permanent, "EntityTooLarge"), None);
    }

    #[test]
    fn rights_follow_from_the_task() {
        let job = |acl: Option<&str>, kms: bool| S3Job {
            source: dth_proto::spec::S3Source::default(),
            destination: S3Destination {
                acl: acl.map(str::to_owned),
                encryption: kms.then(|| Encryption { kind: "aws:kms".into(), key: None, bucket_key: None }),
                ..S3Destination::default()
            },
            options: dth_proto::spec::S3Options::default(),
        };
        assert_eq!(write_rights(&job(None, false)), "s3:PutObject");
        assert!(write_rights(&job(Some("private"), false)).contains("s3:PutObjectAcl"));
        assert!(write_rights(&job(None, true)).contains("kms:GenerateDataKey"));
    }

    #[tokio::test]
    async fn a_credential_that_does_not_exist_is_told() {
        let store = Store { credential: Some("nobody".into()), ..Store::default() };
        let mut job = S3Job {
            source: dth_proto::spec::S3Source::default(),
            destination: S3Destination::default(),
            options: dth_proto::spec::S3Options::default(),
        };
        job.source.store = store.clone();
        job.destination.store = store;
        let mut steps = Vec::new();
        check(&job, &Credentials::new(std::collections::BTreeMap::new()), |s| steps.push(s)).await;
        let failed: Vec<_> = steps.iter().filter(|s| s.state == CheckState::Failed).map(|s| (s.side, s.name.as_str())).collect();
        assert_eq!(failed, [(Side::Source, "credential"), (Side::Destination, "credential")]);
    }
}
