//! Listings, and what goes wrong with requests in general.

use std::sync::atomic::Ordering::Relaxed;

use dth_proto::{failure::FailureClass, time::Timestamp};
use serde_json::json;

use super::*;
use crate::image::{digest::Digest, select::Listed};

fn digest(n: usize) -> Digest {
    Digest::sha256(&n.to_be_bytes())
}

#[tokio::test]
async fn images_come_page_by_page() {
    let stage = stage(|_, asked| match asked.text("nextToken") {
        "" => good(&json!({
            "imageIds": [{ "imageDigest": digest(1).as_str(), "imageTag": "a" }, { "imageDigest": digest(1).as_str(), "imageTag": "b" }],
            "nextToken": "T"
        })),
        _ => good(&json!({ "imageIds": [{ "imageDigest": digest(2).as_str() }] })),
    })
    .await;
    let listed = |tag: Option<&str>, n| Listed { tag: tag.map(str::to_owned), digest: Some(digest(n)), pushed: None };
    let images = stage.ecr.images("team/app", false).await.expect("listed");
    assert_eq!(images, Some(vec![listed(Some("a"), 1), listed(Some("b"), 1), listed(None, 2)]));
    let asked = stage.asked();
    assert_eq!(stage.operations(), ["ListImages", "ListImages"]);
    assert_eq!((asked[0].text("repositoryName"), &asked[0].body["maxResults"]), ("team/app", &json!(1000)));
    assert_eq!(asked[1].text("nextToken"), "T");
}

#[tokio::test]
async fn push_times_are_another_request() {
    let stage = stage(|_, _| {
        good(&json!({ "imageDetails": [
            { "imageDigest": digest(1).as_str(), "imageTags": ["a", "b"], "imagePushedAt": 1_790_000_000.5 },
            { "imageDigest": digest(2).as_str(), "imagePushedAt": 1_790_000_001 },
        ]}))
    })
    .await;
    let images = stage.ecr.images("app", true).await.expect("listed").expect("there");
    let short: Vec<_> = images.iter().map(|image| (image.tag.as_deref(), image.digest.clone(), image.pushed.map(|p| p.0))).collect();
    assert_eq!(
        short,
        [
            (Some("a"), Some(digest(1)), Some(Timestamp(1_790_000_000_500).0)),
            (Some("b"), Some(digest(1)), Some(1_790_000_000_500)),
            (None, Some(digest(2)), Some(1_790_000_001_000)),
        ]
    );
    assert_eq!(stage.operations(), ["DescribeImages"]);
}

#[tokio::test]
async fn repositories_are_those_of_the_named_account() {
    let named = |registry| spec::Registry { account: Some("123456789012".into()), ..registry };
    let stage = stage_for(named, |_, asked| match asked.text("nextToken") {
        "" => good(&json!({ "repositories": [{ "repositoryName": "a" }], "nextToken": "2" })),
        _ => good(&json!({ "repositories": [{ "repositoryName": "b/c" }] })),
    })
    .await;
    assert_eq!(stage.ecr.repositories().await.expect("listed"), ["a", "b/c"]);
    assert!(stage.asked().iter().all(|asked| asked.text("registryId") == "123456789012"));
}

#[tokio::test]
async fn a_missing_repository_is_no_error_and_a_broken_listing_is_not_empty() {
    let stage = stage(|_, asked| match asked.text("repositoryName") {
        "gone" => bad("RepositoryNotFoundException"),
        "circle" => good(&json!({ "imageIds": [], "nextToken": "T" })),
        _ if asked.text("nextToken") == "T" => bad("InvalidParameterException"),
        _ => good(&json!({ "imageIds": [{ "imageTag": "a" }], "nextToken": "T" })),
    })
    .await;
    assert_eq!(stage.ecr.images("gone", false).await, Ok(None));
    assert_eq!(stage.ecr.images("gone", true).await, Ok(None));
    let error = stage.ecr.images("circle", false).await.expect_err("never ends");
    assert!(error.message.contains("circle"), "{error}");
    let error = stage.ecr.images("half", false).await.expect_err("the second page fails");
    assert_eq!((error.operation, error.code.as_str()), ("ListImages", "InvalidParameterException"));
}

#[tokio::test]
async fn blobs_are_asked_for_in_batches() {
    let stage = stage(|_, asked| {
        let digests = asked.body["layerDigests"].as_array().expect("digests").clone();
        let layers: Vec<_> = digests
            .iter()
            .enumerate()
            .map(|(n, digest)| json!({ "layerDigest": digest, "layerAvailability": if n == 0 { "UNAVAILABLE" } else { "AVAILABLE" } }))
            .collect();
        // one of every batch is not known at all
        let (failed, layers) = layers.split_last().expect("some");
        let failure = json!({ "layerDigest": failed["layerDigest"], "failureCode": "MissingLayerDigest" });
        good(&json!({ "layers": layers, "failures": [failure] }))
    })
    .await;
    let digests: Vec<Digest> = (0..150).map(digest).chain([digest(7)]).collect();
    let missing = stage.ecr.missing_blobs("app", &digests).await.expect("an answer");
    assert_eq!(missing, [0, 99, 100, 149].map(digest));
    let sizes: Vec<_> = stage.asked().iter().map(|asked| asked.body["layerDigests"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [100, 50]);
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_blobs() {
    let stage = stage(|_, _| bad("RepositoryNotFoundException")).await;
    assert_eq!(stage.ecr.missing_blobs("app", &[digest(1), digest(2)]).await, Ok(vec![digest(1), digest(2)]));
    assert_eq!(stage.ecr.missing_blobs("app", &[]).await, Ok(vec![]));
}

#[tokio::test]
async fn what_may_pass_is_asked_again() {
    let stage = stage(|n, _| match n {
        0 => refusal("500 Internal Server Error", "ServerException", &json!({})),
        // these do not count: the quota's bucket slows down instead
        1..=4 => bad("ThrottlingException"),
        5 => vec![Step::Close],
        _ => good(&json!({ "repositories": [] })),
    })
    .await;
    assert_eq!(stage.ecr.repositories().await, Ok(Vec::new()));
    let counters = &stage.counters;
    assert_eq!(counters.throttled.load(Relaxed), 4);
    assert!(counters.requests.load(Relaxed) >= 7 && counters.retries.load(Relaxed) == counters.requests.load(Relaxed) - 1);
}

#[tokio::test]
async fn three_failures_are_enough() {
    let stage = stage(|_, _| refusal("500 Internal Server Error", "ServerException", &json!({}))).await;
    let error = stage.ecr.repositories().await.expect_err("gives up");
    assert_eq!((error.class, error.request_id.as_deref()), (FailureClass::Transient, Some("R-1")));
    assert_eq!(stage.asked().len(), 3);
}

#[tokio::test]
async fn refusals_name_the_action_and_no_secret() {
    let stage = stage(|_, _| bad("AccessDeniedException")).await;
    let error = stage.ecr.images("team/app", false).await.expect_err("refused");
    assert_eq!((error.class, error.code.as_str(), error.side), (FailureClass::Auth, "AccessDeniedException", Side::Destination));
    for part in ["ecr:ListImages", "team/app", "allow it"] {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(!format!("{error:?}").contains(SECRET));
    assert_eq!(stage.asked().len(), 1, "asking again would not help");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_answer() {
    let stage = stage(|_, _| answer("200 OK", "content-type: text/html\r\n", "<html>sign in</html>")).await;
    let error = stage.ecr.repositories().await.expect_err("not JSON");
    assert_eq!(error.class, FailureClass::Transient, "{error}");
}

#[tokio::test]
async fn mounts_are_asked_for_once() {
    let on = stage(|_, _| good(&json!({ "name": "BLOB_MOUNTING", "value": "ENABLED" }))).await;
    assert_eq!((on.ecr.mounts_blobs().await, on.ecr.mounts_blobs().await), (Ok(true), Ok(true)));
    assert_eq!(on.operations(), ["GetAccountSetting"]);
    let refused = stage(|_, _| bad("AccessDeniedException")).await;
    assert_eq!(refused.ecr.mounts_blobs().await, Ok(false));
    let down = stage(|_, _| vec![Step::Close]).await;
    assert!(down.ecr.mounts_blobs().await.is_err(), "no answer is not a no");
}

#[tokio::test]
async fn what_a_server_does_not_offer_is_done_without() {
    let stage = stage(|_, asked| match asked.operation.as_str() {
        "GetAccountSetting" => answer("500 Internal Server Error", "content-type: text/html\r\n", "<html>not implemented</html>"),
        _ => bad("UnknownOperationException"),
    })
    .await;
    assert_eq!((stage.ecr.mounts_blobs().await, stage.ecr.mounts_blobs().await), (Ok(false), Ok(false)));
    for _ in 0..2 {
        assert_eq!(stage.ecr.missing_blobs("app", &[digest(1)]).await, Ok(vec![digest(1)]));
    }
    assert_eq!(stage.operations(), ["GetAccountSetting", "BatchCheckLayerAvailability"]);
}

#[tokio::test]
async fn a_gateway_that_is_down_does_not_hide_what_is_there() {
    let stage = stage(|_, _| answer("502 Bad Gateway", "", "")).await;
    let error = stage.ecr.missing_blobs("app", &[digest(1)]).await.expect_err("no answer of ECR");
    assert_eq!((error.class, error.code.as_str()), (FailureClass::Transient, "BadGateway"));
    assert_eq!(stage.asked().len(), 3);
}
