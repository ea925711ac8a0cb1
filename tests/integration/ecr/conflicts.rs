//! Tags that cannot be moved: where they are right nothing is done, where they are wrong the image fails.

use dth_proto::{
    failure::{FailureClass, Side},
    view::RunOutcome,
};
use dth_tests::{
    registry::{Action, Attributes, Ecr, Fault, Image, Operation, Server},
    task::ended_well,
};

use super::{counts, daemon, ecr, into_ecr};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_tag_is_the_same_or_a_conflict() {
    let source = Server::start().await.unwrap();
    let destination = ecr(Ecr::default()).await;
    destination.store().create_repository("app", Attributes::immutable());
    let images: Vec<Image> = (0..4).map(|seed| Image::new(seed, &[4_000])).collect();
    for (n, image) in images.iter().enumerate() {
        source.store().push("app", Some(&format!("v{n}")), image);
    }
    let other = Image::new(77, &[5_000]);
    destination.store().push("app", Some("v0"), &images[0]);
    destination.store().push("app", Some("v1"), &other);
    // the tag is put, and the answer gets lost: the second try meets a tag that cannot be moved and is right
    destination.faults().add(Fault::new(Action::ResetAfter).on([Operation::PutManifest]).reference("v2").first(1));
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let (code, run) = task.wait(&daemon).await;
    assert_eq!((code, run.outcome), (1, Some(RunOutcome::Incomplete)), "{run:?}");
    assert_eq!(counts(&run), [4, 2, 1, 1, 0], "{run:?}");
    let [failure] = task.failures(&daemon).await.try_into().unwrap();
    let told = (failure.key.as_str(), failure.class, failure.code.as_str(), failure.side);
    assert_eq!(told, ("app:v1", FailureClass::Permanent, "TAG_IMMUTABLE", Side::Destination), "{failure:?}");
    assert!(failure.message.contains("v1"), "{failure:?}");
    let tags = destination.store().tags("app");
    assert_eq!(tags["v1"], other.digest(), "the tag was moved");
    for n in [0, 2, 3] {
        assert_eq!(tags[&format!("v{n}")], images[n].digest());
        assert!(destination.store().verify("app", &format!("v{n}")).is_ok());
    }
    let puts =
        |reference: &str| destination.requests().count(|entry| entry.operation == Operation::PutManifest && entry.reference == reference);
    assert_eq!(puts("v0"), 0, "what is equal is not put");
    assert!(puts("v1") <= 1, "a conflict is not tried again");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_somebody_else_has_put_meanwhile_is_no_failure() {
    let source = Server::start().await.unwrap();
    let destination = ecr(Ecr::default()).await;
    destination.store().create_repository("app", Attributes::immutable());
    let image = Image::multi(1, &["linux/amd64", "linux/arm64"], &[4_000]);
    source.store().push("app", Some("v1"), &image);
    // the list does not have what is there
    let empty = dth_tests::registry::Answer::new(200).header("content-type", "application/x-amz-json-1.1").body("{\"imageIds\":[]}");
    destination.faults().add(Fault::new(Action::Answer(empty)).on([Operation::ListImages]));
    destination.store().push("app", Some("v1"), &image);
    let daemon = daemon().await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    let [listed, copied, same, failed, pending] = counts(&run);
    assert_eq!((listed, copied + same, failed, pending), (1, 1, 0, 0), "{run:?}");
    ended_well(daemon).await;
}
