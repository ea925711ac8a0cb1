//! `dth setup-events` and `dth check`: the bucket sends what is needed, and what it sent before.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use dth_proto::check::{CheckReply, CheckState, CheckStep};
use dth_tests::{
    daemon::Daemon,
    moto::{Moto, Queue},
    s3::Server,
    task::{Task, ended_well},
};
use serde_json::{Value, json};

use super::{daemon, listening};

fn entry(id: &str, queue: &Queue, event: Event, prefix: &str) -> QueueConfiguration {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
    let filter = NotificationConfigurationFilter::builder().key(S3KeyFilter::builder().filter_rules(rule).build()).build();
    QueueConfiguration::builder().id(id).queue_arn(&queue.arn).events(event).filter(filter).build().unwrap()
}

fn step<'r>(reply: &'r CheckReply, name: &str) -> &'r CheckStep {
    reply.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}: {reply:?}"))
}

async fn check(daemon: &Daemon, task: &Task) -> CheckReply {
    daemon.dth(&["check", task.name()]).json().await
}

/// A bucket that sends something elsewhere already, a task that is not started, and its queue.
async fn world(prefix: &str) -> (Moto, Server, Daemon, Task, Queue) {
    let (moto, destination) = (Moto::start().await, Server::start().await.unwrap());
    destination.store().create_bucket("to");
    let s3 = moto.client();
    s3.create_bucket().bucket("from").send().await.unwrap();
    let (theirs, queue) = (moto.queue("theirs").await, moto.queue("ours").await);
    let before = NotificationConfiguration::builder()
        .queue_configurations(entry("thumbnails", &theirs, Event::from("s3:ObjectCreated:*"), "thumbs/"))
        .build();
    s3.put_bucket_notification_configuration().bucket("from").notification_configuration(before).send().await.unwrap();
    let daemon = daemon().await;
    let task = Task::new("set-up", (&moto.endpoint(), "from"), (&destination.endpoint(), "to"));
    let task = listening(task, &queue.url).with("source.credential", "moto").with("source.prefix", prefix).with("options.delete", "mirror");
    task.create(&daemon).await;
    (moto, destination, daemon, task, queue)
}

async fn entries(moto: &Moto) -> Vec<(String, String, Vec<String>)> {
    let found = moto.client().get_bucket_notification_configuration().bucket("from").send().await.unwrap();
    let entries = found.queue_configurations().iter().map(|c| {
        let events = c.events().iter().map(|event| event.as_str().to_owned()).collect();
        (c.id().unwrap_or_default().to_owned(), c.queue_arn().to_owned(), events)
    });
    entries.collect()
}

async fn policy(moto: &Moto, queue: &Queue) -> Value {
    let asked = moto.sqs("GetQueueAttributes", &json!({"QueueUrl": queue.url, "AttributeNames": ["All"]})).await;
    asked["Attributes"]["Policy"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_adds_what_is_missing_and_leaves_the_rest() {
    let (moto, _destination, daemon, task, queue) = world("raw/").await;
    let theirs = json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sqs:SendMessage", "Resource": queue.arn});
    let old = json!({"Version": "2012-10-17", "Statement": [theirs]}).to_string();
    moto.sqs("SetQueueAttributes", &json!({"QueueUrl": queue.url, "Attributes": {"Policy": old}})).await;
    let before = entries(&moto).await;

    let reply = check(&daemon, &task).await;
    assert_eq!(step(&reply, "queue").state, CheckState::Warn, "no dead-letter queue: {reply:?}");
    let missing = step(&reply, "policy");
    assert_eq!(missing.state, CheckState::Failed);
    assert!(
        missing.hint.as_ref().is_some_and(|hint| hint.contains("\"aws:SourceArn\":\"arn:aws:s3:::from\"") && hint.contains(&queue.arn)),
        "{missing:?}"
    );
    let events = step(&reply, "events");
    assert_eq!(events.state, CheckState::Warn);
    for part in ["s3:ObjectCreated:* of keys that begin with \"raw/\"", "s3:ObjectRemoved:* of keys that begin with \"raw/\""] {
        assert!(events.message.contains(part), "{events:?}");
    }

    // the policy is not touched unless that is asked for, and without it nothing is
    let refused = daemon.dth(&["setup-events", task.name()]).run().await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(entries(&moto).await, before);

    for _ in 0..2 {
        let reply: CheckReply = daemon.dth(&["setup-events", task.name(), "--policy"]).json().await;
        assert!(reply.passed(), "{reply:?}");
        let mut found = entries(&moto).await;
        found.sort();
        let both = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"].map(str::to_owned).to_vec();
        assert_eq!(found[0], ("dth-set-up".to_owned(), queue.arn.clone(), both));
        assert_eq!(found[1..], before[..], "what others have stays");
        let policy = policy(&moto, &queue).await;
        assert_eq!(policy["Statement"].as_array().map(Vec::len), Some(2), "{policy}");
        assert_eq!(policy["Statement"][0], theirs);
    }
    let reply = check(&daemon, &task).await;
    for name in ["policy", "events"] {
        assert_eq!(step(&reply, name).state, CheckState::Ok, "{reply:?}");
    }
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_take_events_away_from_others() {
    let (moto, _destination, daemon, task, _queue) = world("").await;
    let before = entries(&moto).await;
    let reply: CheckReply = daemon.dth(&["setup-events", task.name(), "--policy"]).json().await;
    let events = step(&reply, "events");
    assert_eq!(events.state, CheckState::Failed);
    assert!(events.message.contains("\"thumbnails\"") && events.hint.as_ref().is_some_and(|hint| hint.contains("SNS topic")), "{events:?}");
    assert_eq!(entries(&moto).await, before);

    // a task without events has nothing to set up
    let other = Task::new("manual", (&moto.endpoint(), "from"), (&moto.endpoint(), "to"));
    other.create(&daemon).await;
    let refused = daemon.dth(&["setup-events", "manual"]).run().await;
    assert!(refused.code == 1 && refused.err.contains("manual has no events"), "{refused:?}");
    ended_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_not_there_is_told() {
    let (moto, destination) = (Moto::start().await, Server::start().await.unwrap());
    let daemon = daemon().await;
    let task = Task::new("wrong", (&moto.endpoint(), "from"), (&destination.endpoint(), "to")).with("source.credential", "moto");
    let file = listening(task.clone(), &format!("{}/123456789012/nowhere", moto.endpoint())).file(&daemon);
    let reply: CheckReply = daemon.dth(&["check", "--file", &file]).json().await;
    let queue = step(&reply, "queue");
    assert_eq!(queue.state, CheckState::Failed);
    assert!(queue.hint.as_ref().is_some_and(|hint| hint.contains("name in the URL")), "{queue:?}");
    // what is wrong in the file is told before anything is asked
    let file = listening(task.clone(), "nowhere").with("trigger.events.reconcile", "1s").file(&daemon);
    let refused = daemon.dth(&["create", "--file", &file]).run().await;
    for part in ["trigger.events.queue \"nowhere\" is not the URL of a queue", "trigger.events.reconcile 1s is too short"] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    let file = listening(task, "https://sqs.us-east-1.amazonaws.com/1/q").with("trigger.events.credential", "motto").file(&daemon);
    let refused = daemon.dth(&["create", "--file", &file]).run().await;
    assert!(refused.err.contains("trigger.events.credential: ") && refused.err.contains("did you mean \"moto\"?"), "{refused:?}");
    ended_well(daemon).await;
}
