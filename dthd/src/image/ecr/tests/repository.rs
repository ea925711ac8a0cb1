//! Settings of repositories, read and given.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use dth_proto::spec::{Encryption, RepositorySettings};
use serde_json::json;

use super::*;

fn full() -> RepositorySettings {
    RepositorySettings {
        immutable_tags: Some(true),
        tag_exclusions: vec!["dev-*".into()],
        scan_on_push: Some(true),
        encryption: Some(Encryption { kind: "KMS".into(), key: Some("alias/images".into()), bucket_key: None }),
        lifecycle_policy: Some(r#"{"rules":[]}"#.into()),
        policy: Some(r#"{"Statement":[]}"#.into()),
        tags: [("team".to_owned(), "platform".to_owned())].into(),
    }
}

#[tokio::test]
async fn settings_are_read() {
    let stage = stage(|_, asked| match asked.operation.as_str() {
        "DescribeRepositories" => good(&json!({ "repositories": [{
            "repositoryName": "app",
            "repositoryArn": "arn:aws:ecr:eu-west-1:1:repository/app",
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{ "filterType": "WILDCARD", "filter": "dev-*" }],
            "imageScanningConfiguration": { "scanOnPush": true },
            "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "alias/images" },
        }]})),
        "GetLifecyclePolicy" => good(&json!({ "lifecyclePolicyText": r#"{"rules":[]}"# })),
        "GetRepositoryPolicy" => good(&json!({ "policyText": r#"{"Statement":[]}"# })),
        _ => good(&json!({ "tags": [{ "Key": "team", "Value": "platform" }, { "Key": "aws:made-by", "Value": "x" }] })),
    })
    .await;
    assert_eq!(stage.ecr.settings("app").await.expect("read"), full());
    let asked = stage.asked();
    let tags = asked.iter().find(|asked| asked.operation == "ListTagsForResource").expect("asked");
    assert_eq!(tags.text("resourceArn"), "arn:aws:ecr:eu-west-1:1:repository/app");
}

#[tokio::test]
async fn what_is_not_set_is_not_there() {
    let stage = stage(|_, asked| match asked.operation.as_str() {
        "DescribeRepositories" if asked.body["repositoryNames"][0] == "gone" => bad("RepositoryNotFoundException"),
        "DescribeRepositories" => good(&json!({ "repositories": [{ "repositoryName": "app", "imageTagMutability": "MUTABLE" }] })),
        "GetLifecyclePolicy" => bad("LifecyclePolicyNotFoundException"),
        "GetRepositoryPolicy" => bad("RepositoryPolicyNotFoundException"),
        _ => good(&json!({ "tags": [] })),
    })
    .await;
    let plain = RepositorySettings { immutable_tags: Some(false), ..RepositorySettings::default() };
    assert_eq!(stage.ecr.settings("app").await, Ok(plain));
    let error = stage.ecr.settings("gone").await.expect_err("not there");
    assert!(error.code == "RepositoryNotFoundException" && error.message.contains("the repository gone does not exist"), "{error}");
}

#[tokio::test]
async fn settings_are_given() {
    let stage = stage(|_, _| good(&json!({}))).await;
    stage.ecr.create("app", &full()).await.expect("created");
    assert_eq!(stage.operations(), ["CreateRepository", "PutLifecyclePolicy", "SetRepositoryPolicy"]);
    let asked = stage.asked();
    assert_eq!(
        asked[0].body,
        json!({
            "repositoryName": "app",
            "tags": [{ "Key": "team", "Value": "platform" }],
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{ "filterType": "WILDCARD", "filter": "dev-*" }],
            "imageScanningConfiguration": { "scanOnPush": true },
            "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "alias/images" },
        })
    );
    assert_eq!((asked[1].text("lifecyclePolicyText"), asked[2].text("policyText")), (r#"{"rules":[]}"#, r#"{"Statement":[]}"#));
}

#[tokio::test]
async fn nothing_is_asked_for_that_the_task_does_not_name() {
    let stage = stage(|_, _| good(&json!({}))).await;
    stage.ecr.create("app", &RepositorySettings::default()).await.expect("created");
    assert_eq!(stage.asked()[0].body, json!({ "repositoryName": "app" }));
    assert_eq!(stage.operations(), ["CreateRepository"]);
}

#[tokio::test]
async fn a_repository_that_exists_stays_as_it_is() {
    let stage = stage(|_, _| bad("RepositoryAlreadyExistsException")).await;
    stage.ecr.create("app", &full()).await.expect("there");
    assert_eq!(stage.operations(), ["CreateRepository"]);
}

#[tokio::test]
async fn a_policy_that_was_refused_is_not_forgotten() {
    let created = AtomicBool::new(false);
    let stage = stage(move |_, asked| match asked.operation.as_str() {
        "CreateRepository" if created.swap(true, SeqCst) => bad("RepositoryAlreadyExistsException"),
        "SetRepositoryPolicy" => bad("InvalidParameterException"),
        _ => good(&json!({})),
    })
    .await;
    for _ in 0..2 {
        let error = stage.ecr.create("app", &full()).await.expect_err("refused");
        assert!(error.operation == "SetRepositoryPolicy" && error.message.contains("app is created, but not its policy"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_creation_names_what_is_missing() {
    let stage = stage(|_, _| {
        let message = "User: arn:aws:iam::1:user/x is not authorized to perform: ecr:TagResource on resource: y";
        answer("400 Bad Request", "", &json!({ "__type": "AccessDeniedException", "Message": message }).to_string())
    })
    .await;
    let error = stage.ecr.create("app", &full()).await.expect_err("refused");
    assert!(error.message.contains("needs ecr:TagResource on the repository app"), "{error}");
}
