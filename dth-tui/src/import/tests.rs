//! Definitions as the hub and CloudFormation write them, and what they become.

use dth_proto::spec::{Compare, Job, Trigger};

use super::*;

fn import_one(text: &str) -> Outcome {
    let mut all = import("d.json", text, &Extra::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn fate<'o>(outcome: &'o Outcome, name: &str) -> &'o Parameter {
    outcome.parameters.iter().find(|parameter| parameter.name == name).unwrap_or_else(|| panic!("{name}"))
}

fn s3(outcome: &Outcome) -> dth_proto::spec::S3Job {
    match &outcome.tasks[0].spec.job {
        Job::S3(job) => job.clone(),
        Job::Image(_) => panic!("an S3 task"),
    }
}

fn image(imported: &Imported) -> dth_proto::spec::ImageJob {
    match &imported.spec.job {
        Job::Image(job) => job.clone(),
        Job::S3(_) => panic!("an image task"),
    }
}

const FULL: &str = r#"[
  {"ParameterKey": "srcType", "ParameterValue": "Amazon_S3"},
  {"ParameterKey": "srcBucket", "ParameterValue": "acme-cn"},
  {"ParameterKey": "srcPrefix", "ParameterValue": "raw/"},
  {"ParameterKey": "srcRegion", "ParameterValue": "cn-north-1"},
  {"ParameterKey": "srcInCurrentAccount", "ParameterValue": "false"},
  {"ParameterKey": "srcCredentials", "ParameterValue": "dth/cn keys"},
  {"ParameterKey": "srcSkipCompare", "ParameterValue": "true"},
  {"ParameterKey": "isPayerRequest", "ParameterValue": "true"},
  {"ParameterKey": "destBucket", "ParameterValue": "acme-global"},
  {"ParameterKey": "destPrefix", "ParameterValue": "from-cn"},
  {"ParameterKey": "destRegion", "ParameterValue": "us-east-1"},
  {"ParameterKey": "destStorageClass", "ParameterValue": "STANDARD_IA"},
  {"ParameterKey": "destAcl", "ParameterValue": "private"},
  {"ParameterKey": "destPutObjectSSEType", "ParameterValue": "AWS_KMS"},
  {"ParameterKey": "destPutObjectSSEKmsKeyId", "ParameterValue": "arn:aws:kms:us-east-1:1:key/2"},
  {"ParameterKey": "alarmEmail", "ParameterValue": "ops@example.com"},
  {"ParameterKey": "ec2CronExpression", "ParameterValue": "0 2 * * ? *"},
  {"ParameterKey": "includeMetadata", "ParameterValue": "false"},
  {"ParameterKey": "maxCapacity", "ParameterValue": 20},
  {"ParameterKey": "srcBuckett", "ParameterValue": "x"}
]"#;

#[test]
fn every_parameter_has_its_place() {
    let outcome = import_one(FULL);
    let job = s3(&outcome);
    let (from, to) = (&job.source, &job.destination);
    assert_eq!(outcome.tasks[0].spec.name.as_str(), "acme-cn-to-acme-global");
    assert_eq!((from.store.provider.as_str(), from.store.bucket.as_str(), from.prefix.as_str()), ("aws", "acme-cn", "raw/"));
    assert_eq!((from.store.region.as_deref(), from.store.credential.as_deref()), (Some("cn-north-1"), Some("dth-cn-keys")));
    assert!(from.requester_pays && !job.options.metadata && !job.options.tags);
    assert_eq!(job.options.compare, Compare::Always);
    assert_eq!((to.prefix.as_str(), to.storage_class.as_deref(), to.acl.as_deref()), ("from-cn/", Some("STANDARD_IA"), Some("private")));
    assert_eq!(to.store.credential, None, "destInCurrentAccount is true by default");
    let encryption = to.encryption.as_ref().expect("KMS");
    assert_eq!((encryption.kind.as_str(), encryption.key.as_deref()), ("aws:kms", Some("arn:aws:kms:us-east-1:1:key/2")));
    assert_eq!(outcome.tasks[0].spec.trigger, Some(Trigger::Cron { cron: "0 2 * * ? *".into(), timezone: None }));
    assert!(outcome.snippet.contains("[credentials.dth-cn-keys]\ntype = \"secret\"\nsecret = \"dth/cn keys\"\n"), "{}", outcome.snippet);
    assert!(outcome.snippet.contains("\nregion = \"REGION\"\n"), "{}", outcome.snippet);
    assert_eq!(outcome.parameters.len(), 34, "all of the template, and one that nobody knows");
    let unknown = fate(&outcome, "srcBuckett");
    assert_eq!(unknown.fate, Fate::Unknown("the template has no such parameter: did you mean \"srcBucket\"?".into()));
    assert!(matches!(fate(&outcome, "alarmEmail").fate, Fate::ToDo(_)));
    assert!(matches!(fate(&outcome, "finderDepth").fate, Fate::NotNeeded(_)));
}

#[test]
fn every_parameter_of_both_templates_has_a_fate() {
    assert_eq!(s3::PARAMETERS.len() + ecr::PARAMETERS.len(), 49);
    // with every parameter given, nothing may be called empty
    for (known, kind) in [(&s3::PARAMETERS[..], "S3EC2"), (&ecr::PARAMETERS[..], "ECR")] {
        let value = |name: &str| match name {
            "srcEvent" => "CreateAndDelete".to_owned(),
            "srcType" => "Aliyun_OSS".to_owned(),
            "sourceType" => "Amazon_ECR".to_owned(),
            "srcList" => "SELECTED".to_owned(),
            "srcEndpoint" => "https://oss.example.com".to_owned(),
            "destPutObjectSSEType" => "AWS_KMS".to_owned(),
            "srcAccountId" | "destAccountId" => "111122223333".to_owned(),
            "ec2CronExpression" => "0 2 * * ? *".to_owned(),
            "destAcl" => "private".to_owned(),
            "destStorageClass" => "STANDARD_IA".to_owned(),
            "destPutObjectSSEKmsKeyId" => "arn:aws:kms:eu-west-1:111122223333:key/2".to_owned(),
            name if name.ends_with("InCurrentAccount") => "false".to_owned(),
            name => format!("a-{}", name.to_lowercase()),
        };
        let given: serde_json::Map<_, _> = known.iter().map(|(name, _)| ((*name).to_owned(), value(name).into())).collect();
        let text = serde_json::json!({"type": kind, "parameters": given}).to_string();
        let outcome = import_one(&text);
        assert_eq!(outcome.parameters.len(), known.len());
        for parameter in &outcome.parameters {
            let empty = Fate::NotNeeded("it is empty".to_owned());
            assert!(parameter.fate != empty && !matches!(parameter.fate, Fate::Unknown(_)), "{parameter:?}");
        }
    }
}

#[test]
fn what_is_not_said_is_as_the_template_has_it() {
    let outcome = import_one(r#"{"Parameters": {"srcBucket": "a", "destBucket": "b", "srcCredentials": ""}}"#);
    let job = s3(&outcome);
    assert_eq!(job.destination.storage_class.as_deref(), Some("INTELLIGENT_TIERING"));
    assert_eq!(job.destination.acl.as_deref(), Some("bucket-owner-full-control"));
    assert_eq!(job.source.store.credential.as_deref(), Some("anonymous"), "no secret, another account");
    assert!(job.options.metadata);
    assert_eq!(outcome.tasks[0].spec.trigger, Some(Trigger::Cron { cron: "0 * * * ? *".into(), timezone: None }));
    assert!(outcome.snippet.is_empty());
    assert!(fate(&outcome, "destAcl").is_default && !fate(&outcome, "srcBucket").is_default);
}

#[test]
fn sources_of_all_kinds() {
    for (kind, endpoint, provider, wanted) in [
        ("Aliyun_OSS", "", "aliyun-oss", None),
        ("Qiniu_Kodo", "", "qiniu-kodo", None),
        ("Tencent_COS", "", "tencent-cos", None),
        ("Google_GCS", "", "google-gcs", None),
        ("Amazon_S3", "obs.cn-north-4.myhuaweicloud.com", "other", Some("https://obs.cn-north-4.myhuaweicloud.com")),
        ("Amazon_S3", "https://b.vpce-1.s3.eu-west-1.vpce.amazonaws.com", "aws", Some("https://b.vpce-1.s3.eu-west-1.vpce.amazonaws.com")),
        ("Amazon_S3_Compatible", "http://minio:9000", "other", Some("http://minio:9000")),
    ] {
        let text = serde_json::json!({"srcType": kind, "srcEndpoint": endpoint, "srcBucket": "a", "destBucket": "b"}).to_string();
        let store = s3(&import_one(&text)).source.store;
        assert_eq!((store.provider.as_str(), store.endpoint.as_deref()), (provider, wanted), "{kind} {endpoint}");
    }
}

#[test]
fn lists_of_prefixes() {
    let list = |more: &str| {
        let text = format!(r#"{{"srcBucket": "a", "destBucket": "b", "srcPrefix": "p/", "srcPrefixsListFile": "lists/mine.txt"{more}}}"#);
        let outcome = import_one(&text);
        (s3(&outcome).source.prefix_list.expect("a list"), s3(&outcome).source.prefix)
    };
    assert_eq!(list(""), ("s3://a/lists/mine.txt".into(), String::new()));
    assert_eq!(list(r#", "srcPrefixListBucket": "c""#), ("s3://c/lists/mine.txt".into(), String::new()));
}

#[test]
fn events_need_a_queue() {
    let text = r#"{"srcBucket": "a", "destBucket": "b", "srcEvent": "CreateAndDelete"}"#;
    let without = import_one(text);
    assert!(matches!(&fate(&without, "srcEvent").fate, Fate::ToDo(what) if what.contains("--queue") && what.contains("mirror")));
    let extra = Extra { queue: Some("https://sqs.us-east-1.amazonaws.com/1/q".into()) };
    let with = import("d.json", text, &extra).expect("good").remove(0);
    assert!(matches!(&with.tasks[0].spec.trigger, Some(Trigger::Events { events }) if events.queue.ends_with("/1/q")));
}

#[test]
fn tasks_of_the_hub() {
    let text = r#"{"data": {"listTasks": {"items": [
        {"id": "1", "type": "S3EC2", "description": "nightly", "scheduleType": "ONE_TIME",
         "parameters": [{"ParameterKey": "srcBucket", "ParameterValue": "a"}, {"ParameterKey": "destBucket", "ParameterValue": "b"}]},
        {"id": "2", "type": "S3EC2", "scheduleType": "FIXED_RATE",
         "parameters": [{"ParameterKey": "srcBucket", "ParameterValue": "a"}, {"ParameterKey": "destBucket", "ParameterValue": "b"},
                        {"ParameterKey": "destPrefix", "ParameterValue": "c/"}]}
    ]}}}"#;
    let all = import("tasks.json", text, &Extra::default()).expect("good");
    let names: Vec<&str> = all.iter().map(|outcome| outcome.tasks[0].spec.name.as_str()).collect();
    assert_eq!(names, ["a-to-b", "a-to-b-2"]);
    assert_eq!((all[0].tasks[0].spec.description.as_str(), &all[0].tasks[0].spec.trigger), ("nightly", &None));
    assert!(all[1].tasks[0].spec.trigger.is_some());
    assert_eq!(all[0].definition, "1 of tasks.json, number 1");
}

#[test]
fn stacks_of_cloudformation() {
    let text = r#"{"Stacks": [{"StackName": "DTH-S3EC2-x", "Description": "(SO8002) - …", "Parameters":
        [{"ParameterKey": "srcBucket", "ParameterValue": "a"}, {"ParameterKey": "destBucket", "ParameterValue": "b"}]}]}"#;
    let outcome = import_one(text);
    assert_eq!(outcome.definition, "DTH-S3EC2-x of d.json");
    assert_eq!(outcome.tasks[0].spec.description, "", "that of a stack is its template's");
}

#[test]
fn images_of_ecr() {
    let text = r#"{"sourceType": "Amazon_ECR", "srcRegion": "us-east-1", "srcAccountId": "111122223333", "srcList": "SELECTED",
        "srcImageList": "team/app:1.2, team/base:ALL_TAGS,\nother", "destRegion": "cn-north-1", "destPrefix": "/mirror",
        "destCredential": "cn", "includeUntagged": "false", "ecsClusterName": "c"}"#;
    let outcome = import_one(text);
    let job = image(&outcome.tasks[0]);
    assert_eq!(job.source.images, ["team/app:1.2", "team/base", "other:latest"]);
    assert_eq!((job.source.registry.registry.as_str(), job.source.registry.account.as_deref()), ("ecr", Some("111122223333")));
    assert_eq!((job.destination.prefix.as_str(), job.destination.registry.credential.as_deref()), ("mirror/", Some("cn")));
    assert!(matches!(outcome.tasks[0].spec.trigger, Some(Trigger::Every { .. })), "rate(1 day)");
    assert!(matches!(&fate(&outcome, "destPrefix").fate, Fate::Becomes(what) if what.contains("no effect")));
    assert!(outcome.snippet.contains("[credentials.cn]"));
}

#[test]
fn all_images_of_ecr() {
    let outcome = import_one(r#"{"srcList": "ALL", "srcRegion": "us-east-1", "destRegion": "eu-west-1"}"#);
    assert_eq!(outcome.tasks.len(), 1);
    assert!(image(&outcome.tasks[0]).source.images.is_empty());
}

#[test]
fn public_images_are_one_task_for_each_registry() {
    let text = r#"{"sourceType": "Public", "srcList": "SELECTED", "destRegion": "eu-west-1",
        "srcImageList": "ubuntu:22.04,grafana/grafana,public.ecr.aws/docker/library/redis:7,quay.io/a/b:c"}"#;
    let outcome = import_one(text);
    let found: Vec<(String, Vec<String>)> =
        outcome.tasks.iter().map(|task| (image(task).source.registry.registry, image(task).source.images)).collect();
    let strings = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        [
            ("docker.io".to_owned(), strings(&["library/ubuntu:22.04", "grafana/grafana:latest"])),
            ("public.ecr.aws".to_owned(), strings(&["docker/library/redis:7"])),
            ("quay.io".to_owned(), strings(&["a/b:c"])),
        ]
    );
}

#[test]
fn what_is_no_definition_is_told() {
    for (text, wanted) in [
        ("{", "d.json:1: this is not JSON"),
        ("[]", "there are no parameters in it"),
        ("{\"a\": 1}", "there are no parameters in it"),
        (r#"[{"ParameterKey": "AdminEmail", "ParameterValue": "x"}]"#, "neither the S3 nor the ECR plugin"),
        (r#"{"srcBucket": "a"}"#, "destination.bucket"),
        (r#"{"srcBucket": "a b", "destBucket": "c"}"#, "is not a bucket name"),
    ] {
        let error = import("d.json", text, &Extra::default()).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}
