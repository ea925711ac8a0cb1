//! Preflight of events: the queue answers, the bucket may send to it, and does send what the task needs.

use std::sync::Arc;

use dth_proto::{
    check::{CheckState, CheckStep},
    failure::{FailureClass, Side},
    spec::{EventQueue, ImageJob, S3Job},
};

use super::{
    consumer::GIVEN_UP,
    notification::Need,
    policy::{Sender, Verdict},
    queue::{Attributes, Queue, QueueError},
};
use crate::{
    credential::Credentials,
    s3::{client::Bucket, version::Versioning},
    transfer::{TransferError, progress::RequestCounters, retry::RetryPolicy},
};

/// A person waits: it is told soon that something is down.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 3,
    base: std::time::Duration::from_millis(100),
    cap: std::time::Duration::from_secs(2),
    patience: std::time::Duration::from_secs(5),
};
/// Fewer receives than this may send a message to the dead-letter queue only because the daemon was restarted.
const FEW_RECEIVES: u32 = 5;

/// Names of steps.
pub(super) const QUEUE: &str = "queue";
pub(super) const POLICY: &str = "policy";
pub(super) const EVENTS: &str = "events";
const VERSIONS: &str = "versions";

/// Checks the events of an S3 task. Each step is told when it begins and how it ended. Changes nothing.
pub async fn objects(job: &S3Job, events: &EventQueue, credentials: &Credentials, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let region = job.source.store.region.as_deref();
    let Some((_, attributes)) = queue(events, region, credentials, tell).await else { return };
    if job.source.store.provider == "aws" {
        tell(policy(&Sender::bucket(&attributes.arn, &job.source.store.bucket), &attributes));
    }
    let Some(bucket) = bucket(job, credentials, tell).await else { return };
    tell(step(EVENTS, CheckState::Running, format!("reading the notifications of s3://{}", bucket.name()), None));
    tell(match bucket.notifications().await {
        Ok(found) => {
            let missing = Need::of(job).missing(&found.rules(), &attributes.arn);
            let also = if found.has_event_bridge() { "; it also sends to EventBridge" } else { "" };
            if missing.is_empty() {
                step(EVENTS, CheckState::Ok, format!("s3://{} sends what the task needs to the queue{also}", bucket.name()), None)
            } else {
                let message = format!("s3://{} does not send to the queue: {}{also}", bucket.name(), missing.join("; "));
                let way = "dth setup-events TASK adds it, beside what is there; what other programs or an EventBridge rule send to the queue cannot be seen here";
                step(EVENTS, CheckState::Warn, message, Some(way.to_owned()))
            }
        }
        Err(error) => refused(&error, "s3:GetBucketNotification", "whether the bucket sends to the queue cannot be seen"),
    });
    tell(match bucket.versioning().await {
        Ok(Versioning::Enabled) => {
            step(VERSIONS, CheckState::Ok, "the bucket keeps versions: a removed version is no removed object".to_owned(), None)
        }
        Ok(_) => step(VERSIONS, CheckState::Ok, "the bucket keeps no versions".to_owned(), None),
        Err(error) => step(
            VERSIONS,
            CheckState::Ok,
            format!("not known, and not needed ({}): removed objects are asked for anyway", error.code),
            None,
        ),
    });
}

/// Checks the events of an image task. Changes nothing.
pub async fn images(job: &ImageJob, events: &EventQueue, credentials: &Credentials, tell: &mut (impl FnMut(CheckStep) + Send)) {
    let region = job.source.registry.region.as_deref();
    let Some((_, attributes)) = queue(events, region, credentials, tell).await else { return };
    if job.source.registry.is_ecr() {
        tell(policy(&Sender::event_bridge(&attributes.arn), &attributes));
        let message = "the rule of EventBridge that sends pushed images to the queue is not looked at".to_owned();
        tell(step(EVENTS, CheckState::Ok, message, Some(rule(&attributes.arn))));
    } else {
        let message = "whether the registry sends its notifications to the queue is not looked at".to_owned();
        tell(step(EVENTS, CheckState::Ok, message, Some("let its webhook put each notification into the queue as it is".to_owned())));
    }
}

/// How EventBridge is told to send what is pushed to ECR.
pub(super) fn rule(queue: &str) -> String {
    let pattern = r#"{"source":["aws.ecr"],"detail-type":["ECR Image Action"],"detail":{"action-type":["PUSH"],"result":["SUCCESS"]}}"#;
    format!("aws events put-rule --name dth --event-pattern '{pattern}' && aws events put-targets --rule dth --targets Id=dth,Arn={queue}")
}

/// Asks the queue; `None`: the rest is pointless.
pub(super) async fn queue(
    events: &EventQueue,
    region: Option<&str>,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) -> Option<(Queue, Attributes)> {
    tell(step(QUEUE, CheckState::Running, format!("asking {}", events.queue), None));
    let asked = async {
        let queue = Queue::open(events, region, credentials).await?;
        let attributes = queue.attributes().await?;
        Ok::<_, QueueError>((queue, attributes))
    };
    match asked.await {
        Ok((queue, attributes)) => {
            let ended = described(&attributes);
            let usable = ended.state != CheckState::Failed;
            tell(ended);
            usable.then_some((queue, attributes))
        }
        Err(error) => {
            tell(step(QUEUE, CheckState::Failed, error.to_string(), error.hint()));
            None
        }
    }
}

fn described(attributes: &Attributes) -> CheckStep {
    if attributes.fifo {
        let message = "is a FIFO queue, to which S3 and EventBridge do not send notifications of a bucket".to_owned();
        return step(QUEUE, CheckState::Failed, message, Some("use a standard queue: the order is kept by what the events say".to_owned()));
    }
    let kept = dth_proto::units::coarse(attributes.retention.as_secs());
    let message = format!("answers; {} messages wait, each is kept for {kept}", attributes.waiting);
    let hint = match (attributes.redrive, &attributes.kms_key) {
        (Some(few), _) if few < FEW_RECEIVES => {
            format!("raise maxReceiveCount ({few}) to {FEW_RECEIVES} or more: a restart of the daemon costs a receive")
        }
        (Some(_), Some(key)) => {
            format!("it is encrypted with {key}: the key's policy must let the sender use it (kms:GenerateDataKey, kms:Decrypt)")
        }
        (Some(_), None) => return step(QUEUE, CheckState::Ok, message, None),
        (None, _) => format!(
            "it has no dead-letter queue: messages that cannot be read are deleted after {GIVEN_UP} receives; add a redrive policy to keep them"
        ),
    };
    step(QUEUE, CheckState::Warn, message, Some(hint))
}

/// What the queue's policy says of a sender.
pub(super) fn policy(sender: &Sender, attributes: &Attributes) -> CheckStep {
    let who = format!("{} for {}", sender.service, sender.source);
    let statement =
        || Some(format!("add to the queue's policy (dth setup-events TASK --policy does): {}", sender.statement(&attributes.arn)));
    match sender.judge(attributes.policy.as_deref(), &attributes.arn) {
        Verdict::Allowed => step(POLICY, CheckState::Ok, format!("lets {who} send"), None),
        Verdict::Missing => step(POLICY, CheckState::Failed, format!("does not let {who} send"), statement()),
        Verdict::Denied(sid) => {
            let hint = "take the sender out of that statement".to_owned();
            step(POLICY, CheckState::Failed, format!("the statement {sid} forbids {who} to send"), Some(hint))
        }
        Verdict::Unreadable => step(POLICY, CheckState::Failed, "is not JSON that can be read".to_owned(), statement()),
    }
}

/// Opens the source's bucket; what keeps it from opening is told by the check of the source.
pub(super) async fn bucket(job: &S3Job, credentials: &Credentials, tell: &mut (impl FnMut(CheckStep) + Send)) -> Option<Bucket> {
    let source = &job.source.store;
    let opened = async {
        let credential = credentials.resolve(source.credential.as_deref()).await.map_err(|e| e.to_string())?;
        let counters = Arc::new(RequestCounters::default());
        Bucket::open(source, Side::Source, &credential, false, RETRY, counters, None).await.map_err(|e| e.to_string())
    };
    match opened.await {
        Ok(bucket) => Some(bucket),
        Err(why) => {
            tell(step(EVENTS, CheckState::Failed, why, None));
            None
        }
    }
}

/// A store that refuses to tell is no reason not to try; one that refuses to be told is.
fn refused(error: &TransferError, right: &str, what: &str) -> CheckStep {
    let hint = match error.class {
        FailureClass::Auth => format!("allow {right} on the bucket for this credential"),
        _ => "the store may not have notifications of this kind: let something else put messages into the queue".to_owned(),
    };
    step(EVENTS, CheckState::Warn, format!("{what}: {}: {}", error.code, error.message), Some(hint))
}

pub(super) fn step(name: &str, state: CheckState, message: String, hint: Option<String>) -> CheckStep {
    CheckStep { side: Side::Source, name: name.to_owned(), state, message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_described_with_what_to_look_at() {
        let good = Attributes { redrive: Some(10), ..Attributes::default() };
        for (attributes, state, part) in [
            (good.clone(), CheckState::Ok, None),
            (Attributes { fifo: true, ..good.clone() }, CheckState::Failed, Some("standard queue")),
            (Attributes { redrive: Some(1), ..good.clone() }, CheckState::Warn, Some("maxReceiveCount (1)")),
            (Attributes { redrive: None, ..good.clone() }, CheckState::Warn, Some("no dead-letter queue")),
            (Attributes { kms_key: Some("alias/x".to_owned()), ..good }, CheckState::Warn, Some("kms:GenerateDataKey")),
        ] {
            let step = described(&attributes);
            assert_eq!(step.state, state, "{step:?}");
            assert!(part.is_none_or(|part| step.hint.as_ref().is_some_and(|hint| hint.contains(part))), "{step:?}");
        }
    }

    #[test]
    fn a_missing_policy_is_told_with_the_exact_statement() {
        let attributes = Attributes { arn: "arn:aws:sqs:us-east-1:1:q".to_owned(), ..Attributes::default() };
        let sender = Sender::bucket(&attributes.arn, "photos");
        let step = policy(&sender, &attributes);
        assert_eq!(step.state, CheckState::Failed);
        assert!(step.hint.is_some_and(|hint| hint.contains(&sender.statement(&attributes.arn).to_string())));
    }
}
