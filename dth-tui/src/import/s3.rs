//! The S3 plugin: its 33 parameters, and what each becomes.

use dth_proto::spec::{
    Compare, Encryption, EventQueue, Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, TaskSpec, Trigger,
};

use super::{Extra, Taken, credential::Credentials, task_name};

/// Every parameter of `DataTransferS3Stack`, in its order, with the template's default.
pub const PARAMETERS: [(&str, &str); 33] = [
    ("srcType", "Amazon_S3"),
    ("srcBucket", ""),
    ("srcPrefix", ""),
    ("srcPrefixsListFile", ""),
    ("srcPrefixListBucket", ""),
    ("srcRegion", ""),
    ("srcEndpoint", ""),
    ("srcInCurrentAccount", "false"),
    ("srcCredentials", ""),
    ("srcEvent", "No"),
    ("srcSkipCompare", "false"),
    ("isPayerRequest", "false"),
    ("destBucket", ""),
    ("destPrefix", ""),
    ("destRegion", ""),
    ("destInCurrentAccount", "true"),
    ("destCredentials", ""),
    ("destStorageClass", "INTELLIGENT_TIERING"),
    ("destAcl", "bucket-owner-full-control"),
    ("destPutObjectSSEType", "None"),
    ("destPutObjectSSEKmsKeyId", ""),
    ("alarmEmail", ""),
    ("ec2VpcId", ""),
    ("ec2Subnets", ""),
    ("finderEc2Memory", "8"),
    ("ec2CronExpression", "0/60 * * * ? *"),
    ("finderDepth", "0"),
    ("finderNumber", "1"),
    ("workerNumber", "4"),
    ("includeMetadata", "true"),
    ("maxCapacity", "20"),
    ("minCapacity", "1"),
    ("desiredCapacity", "1"),
];

/// `srcType`, and what it is here.
const PROVIDERS: [(&str, &str); 6] = [
    ("Amazon_S3", "aws"),
    ("Aliyun_OSS", "aliyun-oss"),
    ("Qiniu_Kodo", "qiniu-kodo"),
    ("Tencent_COS", "tencent-cos"),
    ("Google_GCS", "google-gcs"),
    ("Amazon_S3_Compatible", "other"),
];

/// What needs no counterpart, and why.
const NOT_NEEDED: [(&str, &str); 9] = [
    ("ec2VpcId", "nothing is deployed: the daemon uses the network of its machine"),
    ("ec2Subnets", "nothing is deployed: the daemon uses the network of its machine"),
    ("finderEc2Memory", "memory does not grow with the number of objects; limits.memory of dthd.toml bounds it"),
    ("finderDepth", "listings are cut into ranges of keys that are read side by side, by themselves"),
    ("finderNumber", "how many listings are read at a time is found out while a task runs"),
    ("workerNumber", "how many requests are in flight is found out while a task runs; limits.objects of dthd.toml bounds it"),
    ("maxCapacity", "there are no instances to scale: one daemon does the work"),
    ("minCapacity", "there are no instances to scale: one daemon does the work"),
    ("desiredCapacity", "there are no instances to scale: one daemon does the work"),
];

/// Where alarms of both plugins have gone.
pub(super) const MAIL: &str = "config/cloudwatch/alarms.json has the alarms: subscribe this address to the SNS topic that they name";

/// The task. Everything that the original does and the task can say otherwise is said as the original does it.
pub(super) fn task(taken: &mut Taken<'_>, credentials: &mut Credentials, extra: &Extra) -> TaskSpec {
    for (name, why) in NOT_NEEDED {
        taken.not_needed(name, why);
    }
    taken.left_to_do("alarmEmail", MAIL);
    let source = source(taken, credentials);
    let destination = destination(taken, credentials);
    let mut options = S3Options { metadata: taken.is("includeMetadata", "true"), tags: false, ..S3Options::default() };
    taken.becomes(
        "includeMetadata",
        format!("options.metadata = {}; tags, which the original does not copy, stay out (options.tags)", options.metadata),
    );
    if taken.is("srcSkipCompare", "true") {
        options.compare = Compare::Always;
        taken.becomes("srcSkipCompare", "options.compare = \"always\"");
    } else {
        taken.becomes("srcSkipCompare", "options.compare stays \"auto\", which compares ETags too: the original compares sizes alone");
    }
    let trigger = trigger(taken, extra);
    let name = task_name(&format!("{}-to-{}", source.store.bucket, destination.store.bucket));
    TaskSpec {
        name,
        description: String::new(),
        labels: std::collections::BTreeMap::new(),
        job: Job::S3(S3Job { source, destination, options }),
        limits: TaskLimits::default(),
        report: None,
        trigger,
    }
}

fn source(taken: &mut Taken<'_>, credentials: &mut Credentials) -> S3Source {
    let endpoint = taken.some("srcEndpoint").map(|url| if url.contains("://") { url } else { format!("https://{url}") });
    let kind = taken.value("srcType").to_owned();
    let known = PROVIDERS.iter().find(|(name, _)| *name == kind).map(|(_, provider)| *provider);
    // the portal writes S3-compatible stores so; endpoints of Amazon's own are interface endpoints of a VPC
    let elsewhere = endpoint.as_deref().is_some_and(|url| !url.contains(".amazonaws.com"));
    let provider = if known == Some("aws") && elsewhere { "other" } else { known.unwrap_or("other") };
    match known {
        Some(_) => taken.becomes("srcType", format!("source.provider = {provider:?}")),
        None => taken.left_to_do("srcType", format!("source.provider = \"other\": {kind:?} is not known here; name the provider")),
    }
    taken.becomes("srcBucket", "source.bucket");
    if let Some(url) = &endpoint {
        taken.becomes("srcEndpoint", format!("source.endpoint = {url:?}"));
    }
    taken.becomes("srcRegion", "source.region");
    let store = Store {
        provider: provider.to_owned(),
        bucket: taken.value("srcBucket").to_owned(),
        region: taken.some("srcRegion"),
        endpoint,
        credential: credential(taken, credentials, ["srcInCurrentAccount", "srcCredentials"], "source"),
        path_style: None,
    };
    let prefix_list = taken.some("srcPrefixsListFile").map(|key| {
        let bucket = taken.some("srcPrefixListBucket").unwrap_or_else(|| store.bucket.clone());
        format!("s3://{bucket}/{}", key.trim_start_matches('/'))
    });
    if let Some(list) = &prefix_list {
        taken.becomes("srcPrefixsListFile", format!("source.prefix_list = {list:?}"));
        if taken.some("srcPrefixListBucket").is_some() {
            taken.becomes(
                "srcPrefixListBucket",
                "source.prefix_list; it is read with source.credential, or write file:///path for a file of the daemon's machine",
            );
        }
    }
    let mut prefix = taken.value("srcPrefix").to_owned();
    if prefix_list.is_some() && !prefix.is_empty() {
        prefix.clear();
        taken.not_needed("srcPrefix", "the list of prefixes stands in its place, as in the original");
    } else if !prefix.is_empty() {
        taken.becomes("srcPrefix", "source.prefix");
    }
    let requester_pays = taken.is("isPayerRequest", "true");
    taken.becomes("isPayerRequest", format!("source.requester_pays = {requester_pays}"));
    S3Source { store, prefix, prefix_list, requester_pays, ..S3Source::default() }
}

fn destination(taken: &mut Taken<'_>, credentials: &mut Credentials) -> S3Destination {
    let store = Store {
        provider: "aws".to_owned(),
        bucket: taken.value("destBucket").to_owned(),
        region: taken.some("destRegion"),
        credential: credential(taken, credentials, ["destInCurrentAccount", "destCredentials"], "destination"),
        ..Store::default()
    };
    taken.becomes("destBucket", "destination.bucket");
    taken.becomes("destRegion", "destination.region");
    // the original puts a slash between the prefix and the whole key of the source
    let prefix = match taken.value("destPrefix").trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    if !prefix.is_empty() {
        taken.becomes("destPrefix", format!("destination.prefix = {prefix:?}"));
    }
    let storage_class = taken.some("destStorageClass");
    taken.becomes("destStorageClass", "destination.storage_class");
    let acl = taken.some("destAcl");
    taken.becomes("destAcl", "destination.acl; leave it out where the bucket has ACLs switched off");
    let key = taken.some("destPutObjectSSEKmsKeyId");
    let encryption = match taken.value("destPutObjectSSEType") {
        "AES256" => Some(Encryption { kind: "AES256".to_owned(), key: None, bucket_key: None }),
        "AWS_KMS" | "aws:kms" => Some(Encryption { kind: "aws:kms".to_owned(), key: key.clone(), bucket_key: None }),
        _ => None,
    };
    match &encryption {
        Some(encryption) => taken.becomes("destPutObjectSSEType", format!("destination.encryption.type = {:?}", encryption.kind)),
        None => taken.not_needed("destPutObjectSSEType", "None: the bucket's own encryption holds"),
    }
    match (&key, &encryption) {
        (Some(_), Some(Encryption { key: Some(_), .. })) => taken.becomes("destPutObjectSSEKmsKeyId", "destination.encryption.key"),
        (Some(_), _) => taken.not_needed("destPutObjectSSEKmsKeyId", "destPutObjectSSEType is not AWS_KMS"),
        (None, _) => {}
    }
    S3Destination { store, prefix, storage_class, acl, encryption, ..S3Destination::default() }
}

/// How an end signs in: with its secret; in the hub's own account as the machine; else not at all, as the original does.
fn credential(taken: &mut Taken<'_>, credentials: &mut Credentials, [own, secret]: [&'static str; 2], end: &str) -> Option<String> {
    match taken.some(secret) {
        Some(secret_name) if !taken.is(own, "true") => {
            let name = credentials.of(&secret_name);
            taken.becomes(secret, format!("{end}.credential = {name:?}, for dthd.toml see below"));
            taken.not_needed(own, "a credential is named");
            Some(name)
        }
        given => {
            if given.is_some() {
                taken.not_needed(secret, "the bucket is in the hub's own account, where the original does not use it");
            }
            if taken.is(own, "true") {
                taken.becomes(own, format!("no {end}.credential: the AWS SDK's own chain, as on an instance with a role"));
                None
            } else {
                taken.becomes(own, format!("{end}.credential = \"anonymous\": without a secret the original does not sign in"));
                Some("anonymous".to_owned())
            }
        }
    }
}

fn trigger(taken: &mut Taken<'_>, extra: &Extra) -> Option<Trigger> {
    let events = !taken.is("srcEvent", "No");
    let removals = if taken.is("srcEvent", "CreateAndDelete") {
        "; removals are followed only with options.delete = \"mirror\", which you must add yourself"
    } else {
        ""
    };
    let cron = taken.some("ec2CronExpression").filter(|_| !taken.once).map(|cron| hourly(&cron));
    if let Some(queue) = extra.queue.as_ref().filter(|_| events) {
        taken.becomes("srcEvent", format!("trigger.events{removals}"));
        taken.becomes("ec2CronExpression", "trigger.events.reconcile: everything is compared once a day besides; write another span");
        let events = EventQueue { queue: queue.clone(), region: None, credential: None, reconcile: EventQueue::a_day() };
        return Some(Trigger::Events { events });
    }
    if events {
        taken.left_to_do("srcEvent", format!("name the queue that receives the bucket's notifications (--queue URL){removals}"));
    } else {
        taken.not_needed("srcEvent", "No: the schedule starts the runs");
    }
    match cron {
        Some(cron) => {
            taken.becomes("ec2CronExpression", format!("trigger.cron = {cron:?}, in UTC"));
            Some(Trigger::Cron { cron, timezone: None })
        }
        None => {
            taken.becomes("ec2CronExpression", "no trigger: the task runs once, when it is started");
            None
        }
    }
}

/// EventBridge takes steps of an hour that are longer than the hour; it means its beginning.
fn hourly(cron: &str) -> String {
    match cron.split_once(' ') {
        Some(("0/60" | "*/60", rest)) => format!("0 {rest}"),
        _ => cron.to_owned(),
    }
}
