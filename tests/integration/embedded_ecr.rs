//! The fake ECR, quirk by quirk, as its documentation and its users describe the real one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dth_tests::{
    http::{self, Answer},
    registry::{Action, Attributes, Blob, Ecr, Fault, Image, Operation, Server, made},
    wait::eventually,
};
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MIB: u64 = 1 << 20;

/// A client of both APIs, signed in.
struct Client {
    server: Server,
    login: String,
}

impl Client {
    async fn of(settings: Ecr) -> Self {
        let server = Server::builder().ecr(settings).start().await.unwrap();
        let mut client = Self { server, login: String::new() };
        client.sign_in().await;
        client
    }

    async fn sign_in(&mut self) {
        let token = self.api("GetAuthorizationToken", json!({})).await;
        self.login = format!("Basic {}", token["authorizationData"][0]["authorizationToken"].as_str().unwrap());
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let target = target.strip_prefix(&self.server.endpoint()).unwrap_or(target);
        let headers = [&[("authorization", self.login.as_str())], headers].concat();
        http::send(&self.server.host(), method, target, &headers, body.into()).await.unwrap()
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, target, headers, "").await
    }

    /// An operation of the API; an error has `__type`.
    async fn api(&self, operation: &str, input: Value) -> Value {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let signature = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=0";
        let headers = [("x-amz-target", target.as_str()), ("authorization", signature)];
        let answer = http::send(&self.server.host(), Method::POST, "/", &headers, input.to_string().into()).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{operation}: {answer:?}"))
    }

    async fn put(&self, repository: &str, reference: &str, image: &Image) -> Answer {
        let target = format!("/v2/{repository}/manifests/{reference}");
        self.send(Method::PUT, &target, &[("content-type", image.media_type())], image.bytes()).await
    }

    fn blobs_of(&self, repository: &str, image: &Image) {
        image.blobs().into_iter().for_each(|blob| self.server.store().add_blob(repository, blob));
    }
}

fn code(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    value["errors"][0]["code"].as_str().unwrap_or("no code").to_owned()
}

#[tokio::test]
async fn tokens_end_without_notice() {
    let mut client = Client::of(Ecr { token_uses: Some(3), ..Ecr::default() }).await;
    client.server.store().create_repository("app", Attributes::default());
    for _ in 0..3 {
        assert_eq!(client.get("/v2/app/tags/list", &[]).await.status, 200);
    }
    let expired = client.get("/v2/app/tags/list", &[]).await;
    assert_eq!((expired.status, expired.header("content-type")), (403, "text/plain; charset=utf-8"));
    assert!(String::from_utf8_lossy(&expired.body).contains("authorization token has expired"), "{expired:?}");
    client.sign_in().await;
    client.server.expire_tokens();
    assert_eq!(client.get("/v2/app/tags/list", &[]).await.status, 403);
    let nobody = http::send(&client.server.host(), Method::GET, "/v2/", &[], Bytes::new()).await.unwrap();
    assert!(nobody.status == 401 && nobody.header("www-authenticate").contains("ecr.amazonaws.com"), "{nobody:?}");
    let target = [("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")];
    let unsigned = http::send(&client.server.host(), Method::POST, "/", &target, "{}".into()).await.unwrap();
    assert_eq!(unsigned.status, 400);
}

#[tokio::test]
async fn only_the_first_patch_counts() {
    let client = Client::of(Ecr::default()).await;
    client.server.store().create_repository("app", Attributes::default());
    let start = client.send(Method::POST, "/v2/app/blobs/uploads/", &[], "").await;
    let at = start.header("location").to_owned();
    for body in ["12345", "6789"] {
        let patch = client.send(Method::PATCH, &at, &[], body).await;
        assert_eq!((patch.status, patch.header("range")), (201, "0-4"), "{patch:?}");
    }
    let blob = Blob::new(Bytes::from_static(b"123456789"));
    let put = client.send(Method::PUT, &format!("{at}&digest={}", blob.digest()), &[], "").await;
    assert_eq!(code(&put), "DIGEST_INVALID");
    let start = client.send(Method::POST, "/v2/app/blobs/uploads/", &[], "").await;
    let put = client.send(Method::PUT, &format!("{}&digest={}", start.header("location"), blob.digest()), &[], "123456789").await;
    assert_eq!(put.status, 201);
    let found = client.get(&format!("/v2/app/blobs/{}", blob.digest()), &[]).await;
    assert_eq!(found.status, 307, "blobs are elsewhere");

    // a body whose length was not announced is never answered
    let start = client.send(Method::POST, "/v2/app/blobs/uploads/", &[], "").await;
    let target = start.header("location").replace(&client.server.endpoint(), "");
    let mut stream = tokio::net::TcpStream::connect(client.server.host()).await.unwrap();
    let head = format!("PATCH {target} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n", client.login);
    stream.write_all(format!("{head}5\r\n12345\r\n0\r\n\r\n").as_bytes()).await.unwrap();
    eventually("the request", Duration::from_secs(10), || async {
        let requests = client.server.requests();
        requests.entries.last().filter(|entry| entry.operation == Operation::PatchBlob).map(|_| ())
    })
    .await;
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(300), stream.read(&mut byte)).await.is_err(), "an answer came");
}

#[tokio::test]
async fn manifests_have_no_location_tags_may_be_fixed_and_ten_go_a_second() {
    let client = Client::of(Ecr::default()).await;
    client.server.store().create_repository("app", Attributes::immutable());
    let (image, other) = (Image::new(1, &[10]), Image::new(2, &[20]));
    assert_eq!(code(&client.put("app", "v1", &image).await), "MANIFEST_BLOB_UNKNOWN");
    client.blobs_of("app", &image);
    client.blobs_of("app", &other);
    let put = client.put("app", "v1", &image).await;
    assert_eq!((put.status, put.headers.get("location"), put.header("docker-content-digest")), (201, None, image.digest()));
    for again in [&image, &other] {
        let refused = client.put("app", "v1", again).await;
        assert_eq!((refused.status, code(&refused).as_str()), (400, "TAG_INVALID"));
    }
    assert_eq!(client.put("app", other.digest(), &other).await.status, 201, "by digest nothing is fixed");
    assert_eq!(client.put("app", other.digest(), &image).await.status, 400);

    let excluded = Attributes { tag_exclusions: vec!["dev-*".to_owned()], ..Attributes::immutable() };
    client.server.store().create_repository("app", excluded);
    for tag in ["dev-1", "dev-1"] {
        assert_eq!(client.put("app", tag, &image).await.status, 201);
    }

    let mut refused = None;
    for n in 0..100 {
        let answer = client.put("app", &format!("v{}", n + 2), &image).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than ten a second");
    assert_eq!((code(&refused).as_str(), refused.headers.get("retry-after")), ("TOOMANYREQUESTS", None));
}

#[tokio::test]
async fn repositories_must_exist_unless_pushing_creates_them() {
    let client = Client::of(Ecr::default()).await;
    for (method, target) in [
        (Method::GET, "/v2/new/tags/list"),
        (Method::HEAD, "/v2/new/manifests/v1"),
        (Method::POST, "/v2/new/blobs/uploads/"),
        (Method::GET, "/v2/new/manifests/v1"),
    ] {
        let answer = client.send(method.clone(), target, &[], "").await;
        assert_eq!(answer.status, 404, "{target}");
        assert!(method == Method::HEAD || code(&answer) == "NAME_UNKNOWN", "{answer:?}");
    }
    assert_eq!(client.get("/v2/_catalog", &[]).await.status, 404);
    let client = Client::of(Ecr { create_on_push: true, ..Ecr::default() }).await;
    assert_eq!(client.get("/v2/new/tags/list", &[]).await.status, 404);
    assert_eq!(client.send(Method::POST, "/v2/new/blobs/uploads/", &[], "").await.status, 202);
    assert_eq!(client.server.store().repositories(), ["new"]);
    assert_eq!(client.get("/v2/new/tags/list?n=1000", &[]).await.status, 200);
    assert_eq!(client.get("/v2/new/tags/list?n=1001", &[]).await.status, 405);
}

#[tokio::test]
async fn blobs_are_mounted_by_rule() {
    let client = Client::of(Ecr::default()).await;
    let store = client.server.store();
    for name in ["to", "other"] {
        store.create_repository(name, Attributes::default());
    }
    store.create_repository("sealed", Attributes { encryption: Some(("KMS".to_owned(), None)), ..Attributes::default() });
    let image = Image::new(1, &[10]);
    client.blobs_of("from", &image);
    let mount = async |to: &str| {
        let target = format!("/v2/{to}/blobs/uploads/?mount={}&from=from", image.blobs()[0].digest());
        client.send(Method::POST, &target, &[], "").await.status
    };
    assert_eq!(mount("to").await, 202, "mounting is off");
    let setting = client.api("PutAccountSetting", json!({"name": "BLOB_MOUNTING", "value": "ENABLED"})).await;
    assert_eq!(setting["value"], "ENABLED");
    assert_eq!(mount("to").await, 202, "no manifest needs the blob");
    assert_eq!(client.put("from", "v1", &image).await.status, 201);
    assert_eq!((mount("to").await, mount("sealed").await), (201, 202));
    let missing = client.api("GetAccountSetting", json!({"name": "NONE"})).await;
    assert_eq!(missing["__type"], "InvalidParameterException");
}

#[tokio::test]
async fn manifests_are_converted_by_tag_and_not_by_digest() {
    let client = Client::of(Ecr::default()).await;
    let image = Image::docker("linux/amd64", 1, &made(1, &[10]));
    client.server.store().push("app", Some("v1"), &image);
    for (reference, accept, media_type, same) in [
        ("v1", DOCKER, DOCKER, true),
        ("v1", OCI, OCI, false),
        ("v1", "*/*", "application/vnd.docker.distribution.manifest.v1+prettyjws", false),
        (image.digest(), OCI, DOCKER, true),
    ] {
        let answer = client.get(&format!("/v2/app/manifests/{reference}"), &[("accept", accept)]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{reference} {accept}");
        assert_eq!(answer.body == image.bytes() && answer.header("docker-content-digest") == image.digest(), same);
    }
}

#[tokio::test]
async fn blobs_vanish_between_question_and_use() {
    let client = Client::of(Ecr::default()).await;
    let image = Image::new(1, &[10, 20]);
    let vanish = |operation| client.server.faults().add(Fault::new(Action::Vanish).on([operation]).first(1));
    let digests: Vec<String> = image.blobs().iter().map(|blob| blob.digest().to_owned()).collect();
    for operation in [Operation::HeadBlob, Operation::BatchCheckLayerAvailability, Operation::PutManifest] {
        client.blobs_of("app", &image);
        vanish(operation);
        let checked = client.api("BatchCheckLayerAvailability", json!({"repositoryName": "app", "layerDigests": digests})).await;
        assert_eq!(checked["layers"][0]["layerAvailability"], "AVAILABLE");
        let head = client.send(Method::HEAD, &format!("/v2/app/blobs/{}", digests[0]), &[], "").await.status;
        assert_eq!(head, if operation == Operation::BatchCheckLayerAvailability { 404 } else { 200 });
        assert_eq!(code(&client.put("app", "v1", &image).await), "MANIFEST_BLOB_UNKNOWN", "{operation}");
    }
    client.blobs_of("app", &image);
    assert_eq!(client.put("app", "v1", &image).await.status, 201);
}

#[tokio::test]
async fn layers_come_part_after_part() {
    let client = Client::of(Ecr::default()).await;
    client.server.store().create_repository("app", Attributes::default());
    let blob = Blob::made(1, 12 * MIB);
    let bytes = blob.content().unwrap().to_bytes();
    let start = client.api("InitiateLayerUpload", json!({"repositoryName": "app"})).await;
    let id = start["uploadId"].as_str().unwrap().to_owned();
    assert_eq!(start["partSize"], 10 * MIB);
    let part = async |id: &str, from: u64, to: u64| {
        let input = json!({
            "repositoryName": "app", "uploadId": id, "partFirstByte": from, "partLastByte": to - 1,
            "layerPartBlob": STANDARD.encode(&bytes[from as usize..to as usize]),
        });
        client.api("UploadLayerPart", input).await
    };
    let complete = async |id: &str| {
        client.api("CompleteLayerUpload", json!({"repositoryName": "app", "uploadId": id, "layerDigests": [blob.digest()]})).await
    };
    assert_eq!(complete(&id).await["__type"], "EmptyUploadException");
    assert_eq!(part(&id, 0, 6 * MIB).await["lastByteReceived"], 6 * MIB - 1);
    for (from, to) in [(0, 6 * MIB), (7 * MIB, 12 * MIB)] {
        let refused = part(&id, from, to).await;
        let told = (refused["__type"].as_str().unwrap(), refused["lastValidByteReceived"].as_u64());
        assert_eq!(told, ("InvalidLayerPartException", Some(6 * MIB - 1)));
    }
    assert_eq!(part(&id, 6 * MIB, 12 * MIB).await["lastByteReceived"], 12 * MIB - 1);
    assert_eq!(complete(&id).await["layerDigest"], blob.digest());
    assert_eq!(client.server.store().blob("app", blob.digest()).as_ref(), Some(&blob));
    assert_eq!(complete(&id).await["__type"], "UploadNotFoundException");

    let begin = async || client.api("InitiateLayerUpload", json!({"repositoryName": "app"})).await["uploadId"].as_str().unwrap().to_owned();
    let again = begin().await;
    part(&again, 0, 6 * MIB).await;
    part(&again, 6 * MIB, 12 * MIB).await;
    assert_eq!(complete(&again).await["__type"], "LayerAlreadyExistsException");
    client.server.store().remove_blob("app", blob.digest());
    let (small, wrong) = (begin().await, begin().await);
    part(&small, 0, 4 * MIB).await;
    part(&small, 4 * MIB, 12 * MIB).await;
    assert_eq!(complete(&small).await["__type"], "LayerPartTooSmallException");
    part(&wrong, 0, 6 * MIB).await;
    assert_eq!(complete(&wrong).await["__type"], "InvalidLayerException");
    assert_eq!(part(&small, 0, 11 * MIB).await["__type"], "InvalidParameterException");
    client.server.faults().add(Fault::new(Action::TooMany(None)).on([Operation::UploadLayerPart]).repository("app"));
    assert_eq!(part(&small, 0, MIB).await["__type"], "ThrottlingException");
}

#[tokio::test]
async fn images_are_listed_described_and_fetched() {
    let client = Client::of(Ecr::default()).await;
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[10]);
    for n in 0..5 {
        client.server.store().push("app", Some(&format!("v{n}")), &image);
    }
    let mut ids = Vec::new();
    let mut input = json!({"repositoryName": "app", "maxResults": 3});
    loop {
        let page = client.api("ListImages", input.clone()).await;
        ids.extend(page["imageIds"].as_array().unwrap().clone());
        let Some(token) = page.get("nextToken") else { break };
        input["nextToken"] = token.clone();
    }
    assert_eq!((ids.len(), ids.iter().filter(|id| id["imageTag"].is_string()).count()), (7, 5));
    let untagged = client.api("ListImages", json!({"repositoryName": "app", "filter": {"tagStatus": "UNTAGGED"}})).await;
    assert_eq!(untagged["imageIds"].as_array().map(Vec::len), Some(2));
    let told = client.api("DescribeImages", json!({"repositoryName": "app", "imageIds": [{"imageTag": "v1"}]})).await;
    assert_eq!(
        (told["imageDetails"][0]["imageDigest"].as_str(), told["imageDetails"].as_array().map(Vec::len)),
        (Some(image.digest()), Some(1))
    );
    assert_eq!(told["imageDetails"][0]["imageTags"].as_array().map(Vec::len), Some(5));
    let got = client.api("BatchGetImage", json!({"repositoryName": "app", "imageIds": [{"imageTag": "v1"}, {"imageTag": "none"}]})).await;
    assert_eq!(got["images"][0]["imageManifest"].as_str().map(str::as_bytes), Some(image.bytes().as_ref()));
    assert_eq!(got["failures"][0]["failureCode"], "ImageNotFound");
    let too_many = client.api("ListImages", json!({"repositoryName": "app", "maxResults": 1001})).await;
    assert_eq!(too_many["__type"], "InvalidParameterException");
    assert_eq!(client.api("ListImages", json!({"repositoryName": "none"})).await["__type"], "RepositoryNotFoundException");
}

#[tokio::test]
async fn repositories_have_settings() {
    let client = Client::of(Ecr::default()).await;
    let created = client
        .api(
            "CreateRepository",
            json!({
                "repositoryName": "team/app", "imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": true},
                "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "key"}, "tags": [{"Key": "team", "Value": "a"}],
            }),
        )
        .await;
    let arn = created["repository"]["repositoryArn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:ecr:us-east-1:111122223333:repository/team/app");
    assert_eq!(client.api("CreateRepository", json!({"repositoryName": "team/app"})).await["__type"], "RepositoryAlreadyExistsException");
    let told = client.api("DescribeRepositories", json!({"repositoryNames": ["team/app"]})).await;
    assert_eq!(told["repositories"][0]["imageTagMutability"], "IMMUTABLE");
    assert_eq!(told["repositories"][0]["encryptionConfiguration"]["kmsKey"], "key");
    let tags = client.api("ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(tags["tags"], json!([{"Key": "team", "Value": "a"}]));
    for (get, set, field, missing) in [
        ("GetRepositoryPolicy", "SetRepositoryPolicy", "policyText", "RepositoryPolicyNotFoundException"),
        ("GetLifecyclePolicy", "PutLifecyclePolicy", "lifecyclePolicyText", "LifecyclePolicyNotFoundException"),
    ] {
        let named = json!({"repositoryName": "team/app"});
        assert_eq!(client.api(get, named.clone()).await["__type"], missing);
        assert_eq!(client.api(set, json!({"repositoryName": "team/app", field: "{\"a\":1}"})).await[field], "{\"a\":1}");
        assert_eq!(client.api(get, named).await[field], "{\"a\":1}");
    }
    let attributes = client.server.store().attributes("team/app").unwrap();
    assert!(attributes.immutable && attributes.scan_on_push && attributes.policy.is_some(), "{attributes:?}");
    let foreign = client.api("DescribeRepositories", json!({"registryId": "999999999999"})).await;
    assert_eq!(foreign["__type"], "RepositoryNotFoundException");
}
