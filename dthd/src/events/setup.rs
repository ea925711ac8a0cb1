//! Makes a bucket send what a task needs to its queue, beside everything that it sends already.
//!
//! Read, change, write, read again: S3 has one document for all notifications of a bucket and no way to add to it, so what is not ours goes
//! back as it came, and what is there afterwards is looked at.

use std::time::Duration;

use dth_proto::{
    check::{CheckState, CheckStep},
    spec::{EventQueue, ImageJob, S3Job},
};
use tokio::time::{Instant, sleep};

use super::{
    check::{self, EVENTS, POLICY, step},
    notification::{Need, is_ours, overlap},
    policy::{Sender, Verdict},
    queue::{Attributes, Queue},
};
use crate::{
    credential::Credentials,
    s3::client::{Bucket, Notifications},
    transfer::TransferError,
};

/// A queue's policy may take so long until it holds (SQS developer guide: up to 60 seconds); S3 refuses the notification until then.
const POLICY_HOLDS: Duration = Duration::from_secs(75);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_secs(3);

/// Sets up the events of an S3 task called `task`. `with_policy`: let the bucket send, in the queue's policy, if it may not yet. Doing it
/// again changes nothing.
pub async fn objects(
    task: &str,
    (job, events): (&S3Job, &EventQueue),
    with_policy: bool,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) {
    let region = job.source.store.region.as_deref();
    let Some((queue, attributes)) = check::queue(events, region, credentials, tell).await else { return };
    let sender = Sender::bucket(&attributes.arn, &job.source.store.bucket);
    let Some(is_new) = policy(&sender, &queue, &attributes, with_policy, tell).await else { return };
    let Some(bucket) = check::bucket(job, credentials, tell).await else { return };
    tell(step(EVENTS, CheckState::Running, format!("changing the notifications of s3://{}", bucket.name()), None));
    let patience = if is_new { POLICY_HOLDS } else { Duration::ZERO };
    let done = notifications(task, &bucket, &Need::of(job), &attributes.arn, patience).await;
    tell(done.unwrap_or_else(|error| {
        let hint = match error.class {
            dth_proto::failure::FailureClass::Auth => {
                Some("allow s3:GetBucketNotification and s3:PutBucketNotification on the bucket for the source's credential".to_owned())
            }
            _ if error.code == "InvalidArgument" => {
                Some("S3 cannot send to the queue: its policy must let it (--policy), and that of its key".to_owned())
            }
            _ => None,
        };
        step(EVENTS, CheckState::Failed, format!("{}: {}", error.code, error.message), hint)
    }));
}

/// For an image task: only the queue's policy can be set; the rule of EventBridge is told.
pub async fn images(
    (job, events): (&ImageJob, &EventQueue),
    with_policy: bool,
    credentials: &Credentials,
    tell: &mut (impl FnMut(CheckStep) + Send),
) {
    let region = job.source.registry.region.as_deref();
    let Some((queue, attributes)) = check::queue(events, region, credentials, tell).await else { return };
    if !job.source.registry.is_ecr() {
        let message = "a registry's notifications are set up at the registry".to_owned();
        tell(step(EVENTS, CheckState::Failed, message, Some("let its webhook put each notification into the queue as it is".to_owned())));
        return;
    }
    if policy(&Sender::event_bridge(&attributes.arn), &queue, &attributes, with_policy, tell).await.is_some() {
        let message = "a rule of EventBridge must send what is pushed to the queue; dthd does not make rules".to_owned();
        tell(step(EVENTS, CheckState::Warn, message, Some(check::rule(&attributes.arn))));
    }
}

/// `None`: it cannot go on; else whether the policy is new.
async fn policy(
    sender: &Sender,
    queue: &Queue,
    attributes: &Attributes,
    with_policy: bool,
    tell: &mut (impl FnMut(CheckStep) + Send),
) -> Option<bool> {
    let found = check::policy(sender, attributes);
    let verdict = sender.judge(attributes.policy.as_deref(), &attributes.arn);
    if verdict != Verdict::Missing || !with_policy {
        let goes_on = verdict == Verdict::Allowed;
        tell(found);
        return goes_on.then_some(false);
    }
    tell(step(POLICY, CheckState::Running, "adding a statement".to_owned(), None));
    let changed = async {
        // what was read a moment ago may have been changed since: the newest is what is added to
        let now = queue.attributes().await.map_err(|e| (e.to_string(), e.hint()))?;
        let policy = sender.add_to(now.policy.as_deref(), &now.arn).map_err(|why| (why, None))?;
        queue.set_policy(&policy).await.map_err(|e| (e.to_string(), e.hint()))?;
        queue.attributes().await.map_err(|e| (e.to_string(), e.hint()))
    };
    match changed.await {
        Ok(now) => {
            let ended = check::policy(sender, &now);
            let goes_on = ended.state == CheckState::Ok;
            tell(ended);
            goes_on.then_some(true)
        }
        Err((why, hint)) => {
            tell(step(POLICY, CheckState::Failed, why, hint));
            None
        }
    }
}

async fn notifications(task: &str, bucket: &Bucket, need: &Need, queue: &str, patience: Duration) -> Result<CheckStep, TransferError> {
    let before = bucket.notifications().await?;
    let ours = need.rules(task, queue);
    let name = bucket.name();
    let others: Vec<_> = before.rules().into_iter().filter(|rule| !is_ours(&rule.id, task)).collect();
    if need.missing(&before.rules(), queue).is_empty() {
        return Ok(step(EVENTS, CheckState::Ok, format!("s3://{name} sends what the task needs already: nothing was changed"), None));
    }
    if let Some(other) = overlap(&ours, &others) {
        let message = format!(
            "s3://{name} sends the same events elsewhere (entry {:?} to {}), and S3 sends an event to one place only: nothing was changed",
            other.id, other.arn
        );
        let hint =
            "let that entry send to an SNS topic, and subscribe this queue and the other place to it; or send to EventBridge".to_owned();
        return Ok(step(EVENTS, CheckState::Failed, message, Some(hint)));
    }
    let wanted = before.with_queues(|id| is_ours(id, task), &ours);
    put(bucket, &wanted, patience).await?;
    let after = bucket.notifications().await?;
    let kept = others.iter().all(|other| after.rules().contains(other));
    let missing = need.missing(&after.rules(), queue);
    Ok(match (missing.is_empty(), kept) {
        (true, true) => {
            let beside = if others.is_empty() { String::new() } else { format!(", beside {} of others", others.len()) };
            step(EVENTS, CheckState::Ok, format!("s3://{name} sends {} to the queue{beside}", need.events.join(" and ")), None)
        }
        (false, _) => {
            let message = format!(
                "somebody else changed the notifications of s3://{name} at the same time, it does not send: {}",
                missing.join("; ")
            );
            step(EVENTS, CheckState::Failed, message, Some("try again".to_owned()))
        }
        (true, false) => {
            let message = format!("the notifications of s3://{name} changed while ours were added: look at them");
            step(EVENTS, CheckState::Warn, message, None)
        }
    })
}

/// Writes; a queue whose policy has just been set may not be ready for S3's test event.
async fn put(bucket: &Bucket, wanted: &Notifications, patience: Duration) -> Result<(), TransferError> {
    let begin = Instant::now();
    loop {
        match bucket.set_notifications(wanted).await {
            Err(error) if error.code == "InvalidArgument" && begin.elapsed() < patience => sleep(AGAIN).await,
            result => return result,
        }
    }
}
