//! "Image pushed": one image is copied as soon as the registry tells of it.

use dth_tests::{
    docker_registry::DockerRegistry,
    image::{Blob, Manifest},
    moto::Moto,
    task::{Task, ended_well},
    wait::eventually,
};
use serde_json::json;

use super::{PATIENCE, applied, daemon, empty, listening, listens};
use crate::data::noise;

fn image(seed: &str) -> Manifest {
    Manifest::image("amd64", vec![Blob::gzip(&noise(seed, 30_000))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_image_is_copied() {
    let (source, destination, moto) = tokio::join!(DockerRegistry::start(), DockerRegistry::start(), Moto::start());
    let queue = moto.queue("pushes").await;
    source.push("team/app", &["v1"], &image("v1")).await;
    let daemon = daemon().await;
    let task = Task::images("pushed", &source.endpoint(), &destination.endpoint());
    let task = listening(task, &queue.url).with("options.tags", vec!["v*"]).with("destination.prefix", "mirror/");
    task.start(&daemon).await;
    listens(&task, &daemon).await;
    assert_eq!(destination.tags("mirror/team/app").await, ["v1"]);

    let (v2, other) = (image("v2"), image("other"));
    source.push("team/app", &["v2", "nightly"], &v2).await;
    source.push("team/new", &["v1"], &other).await;
    let target = |repository: &str, tag: &str, image: &Manifest| json!({"action": "push", "target": {"mediaType": image.media_type, "repository": repository, "tag": tag, "digest": image.digest()}});
    let blob =
        json!({"action": "push", "target": {"mediaType": "application/octet-stream", "repository": "team/app", "digest": "sha256:00"}});
    let ecr = json!({
        "source": "aws.ecr", "detail-type": "ECR Image Action", "account": "1", "region": "r",
        "detail": {"action-type": "PUSH", "result": "SUCCESS", "repository-name": "team/new", "image-tag": "v1", "image-digest": other.digest()},
    });
    for message in [
        json!({"events": [blob, target("team/app", "v2", &v2), target("team/app", "nightly", &v2)]}),
        ecr.clone(),
        ecr,
        // pushed and removed since
        json!({"repository": "team/app", "tag": "v9"}),
    ] {
        moto.send(&queue, &message.to_string()).await;
    }
    let detail = applied(&task, &daemon, 4).await;
    let mut tags = destination.tags("mirror/team/app").await;
    tags.sort();
    assert_eq!(tags, ["v1", "v2"], "what the task selects");
    assert_eq!(destination.manifest("mirror/team/app", "v2").await, Some(v2.bytes.clone()));
    assert_eq!(destination.manifest("mirror/team/new", "v1").await, Some(other.bytes.clone()));
    let run = detail.view.run.unwrap();
    assert!(run.counters.balanced() && run.counters.failed == 0, "{run:?}");
    assert_eq!((run.counters.copied, detail.skipped.get("gone")), (2, Some(&1)), "{run:?} {:?}", detail.skipped);

    // a tag that moves: the destination has what the tag is now
    let v3 = image("v3");
    source.push("team/app", &["v2"], &v3).await;
    moto.send(&queue, &json!({"events": [target("team/app", "v2", &v2)]}).to_string()).await;
    eventually("the tag moves", PATIENCE, || async {
        (destination.manifest("mirror/team/app", "v2").await == Some(v3.bytes.clone())).then_some(())
    })
    .await;
    empty(&moto, &queue).await;
    ended_well(daemon).await;
}
