//! Stores that list in an order of their own: nothing is copied again, and nothing is missed.

use dth_tests::{
    daemon::Daemon,
    s3::{Action, Fault, Object, Operation, Server},
    task::{Task, ended_well},
};

use crate::data::{self, identical};

/// Keys that a walk through directories brings in another order than their bytes, over several pages.
fn fill(server: &Server) -> u64 {
    for n in 0..700 {
        for key in [format!("d{n:03}/x"), format!("d{n:03}-b"), format!("d{n:03}.b/y"), format!("d{n:03}")] {
            server.store().put("from", &key, Object::new(key.clone()).header("content-type", "text/plain"));
        }
    }
    data::multipart(server.store(), "from", "d300/large", 17 << 20, 8 << 20);
    2_801
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_lists_by_directories_is_found_out_and_not_copied_to_again() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    let objects = fill(&source);
    for (key, object) in source.store().all("from") {
        destination.store().put("to", &key, object);
    }
    destination.faults().add(Fault::new(Action::DirectoryOrder).on([Operation::ListObjectsV2]));
    let daemon = Daemon::start("").await;
    let task = Task::new("copy", (&source.endpoint(), "from"), (&destination.endpoint(), "to")).with("destination.provider", "other");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.same, run.counters.copied), (objects, objects, 0), "{run:?}");
    assert_eq!(destination.requests().of(Operation::PutObject), 0);
    assert!(daemon.log().contains("does not list in byte order"), "{}", daemon.log());

    // what changed is found, also behind the place where the order breaks
    source.store().put("from", "d500-b", Object::new("another").header("content-type", "text/plain"));
    destination.store().remove("to", "d600/x");
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.same, run.counters.copied), (objects - 2, 2), "{run:?}");
    identical(&source, "from", &destination, "to");
    assert_eq!(daemon.log().matches("does not list in byte order").count(), 1, "what was found out is remembered");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lists_by_directories_is_copied_completely() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    destination.store().create_bucket("to");
    let objects = fill(&source);
    for server in [&source, &destination] {
        server.faults().add(Fault::new(Action::DirectoryOrder).on([Operation::ListObjectsV2]));
    }
    let daemon = Daemon::start("").await;
    let task = Task::new("copy", (&source.endpoint(), "from"), (&destination.endpoint(), "to")).at_both_ends("provider", "other");
    task.start(&daemon).await;
    let run = task.succeeds(&daemon).await;
    assert_eq!((run.counters.listed, run.counters.same + run.counters.copied), (objects, objects), "{run:?}");
    identical(&source, "from", &destination, "to");
    assert_eq!(destination.requests().of(Operation::PutObject) + destination.requests().of(Operation::CreateMultipartUpload), objects);
    let run = task.again(&daemon).await;
    assert_eq!((run.counters.same, run.counters.copied), (objects, 0), "{run:?}");
    ended_well(daemon).await;
}
