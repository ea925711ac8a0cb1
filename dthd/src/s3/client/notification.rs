//! A bucket's notifications, read and written as a whole: what is not ours goes back as it came.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};

use super::Bucket;
use crate::transfer::TransferError;

const GET: &str = "GetBucketNotificationConfiguration";
const PUT: &str = "PutBucketNotificationConfiguration";

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An SQS queue.
    Queue,
    /// An SNS topic.
    Topic,
    /// A Lambda function.
    Function,
}

/// One entry of a bucket's notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id, unique in the bucket; S3 makes one where there is none.
    pub id: String,
    /// Where its events go.
    pub target: Target,
    /// ARN of that.
    pub arn: String,
    /// `s3:ObjectCreated:*`, …
    pub events: Vec<String>,
    /// Only keys that begin with this; empty: all.
    pub prefix: String,
    /// Only keys that end with this; empty: all.
    pub suffix: String,
}

/// A bucket's notifications. What we do not know of them is in it as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifications(NotificationConfiguration);

impl Bucket {
    /// The bucket's notifications.
    ///
    /// # Errors
    /// When the store refuses, or has none (many stores).
    pub async fn notifications(&self) -> Result<Notifications, TransferError> {
        let request = || async {
            let request = self.sdk().get_bucket_notification_configuration().bucket(&self.inner.name);
            request.send().await.map_err(|e| self.failed(GET, &e))
        };
        let found = self.call(GET, 0, request).await?;
        Ok(Notifications(
            NotificationConfiguration::builder()
                .set_topic_configurations(found.topic_configurations)
                .set_queue_configurations(found.queue_configurations)
                .set_lambda_function_configurations(found.lambda_function_configurations)
                .set_event_bridge_configuration(found.event_bridge_configuration)
                .build(),
        ))
    }

    /// Replaces the bucket's notifications. S3 sends a test event to each queue that is new in them, and refuses them if it cannot.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn set_notifications(&self, notifications: &Notifications) -> Result<(), TransferError> {
        let request = || async {
            let request = self.sdk().put_bucket_notification_configuration().bucket(&self.inner.name);
            request.notification_configuration(notifications.0.clone()).send().await.map_err(|e| self.failed(PUT, &e))
        };
        self.call(PUT, 0, request).await.map(drop)
    }
}

impl Notifications {
    /// All entries.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |id: Option<&str>, target, arn: &str, events: &[Event], filter: Option<&NotificationConfigurationFilter>| {
            let (prefix, suffix) = filters(filter);
            let events = events.iter().map(|event| event.as_str().to_owned()).collect();
            Rule { id: id.unwrap_or_default().to_owned(), target, arn: arn.to_owned(), events, prefix, suffix }
        };
        let config = &self.0;
        let queues = config.queue_configurations().iter().map(|c| rule(c.id(), Target::Queue, c.queue_arn(), c.events(), c.filter()));
        let topics = config.topic_configurations().iter().map(|c| rule(c.id(), Target::Topic, c.topic_arn(), c.events(), c.filter()));
        let functions = config
            .lambda_function_configurations()
            .iter()
            .map(|c| rule(c.id(), Target::Function, c.lambda_function_arn(), c.events(), c.filter()));
        queues.chain(topics).chain(functions).collect()
    }

    /// Whether all events go to EventBridge as well.
    #[must_use]
    pub fn has_event_bridge(&self) -> bool {
        self.0.event_bridge_configuration().is_some()
    }

    /// The same with these entries for queues instead of those whose id is `ours`.
    #[must_use]
    pub fn with_queues(&self, ours: impl Fn(&str) -> bool, rules: &[Rule]) -> Self {
        let mut config = self.0.clone();
        let mut queues = config.queue_configurations.take().unwrap_or_default();
        queues.retain(|queue| !queue.id().is_some_and(&ours));
        queues.extend(rules.iter().filter_map(queue_configuration));
        config.queue_configurations = (!queues.is_empty()).then_some(queues);
        Self(config)
    }
}

fn queue_configuration(rule: &Rule) -> Option<QueueConfiguration> {
    let part = |name: FilterRuleName, value: &str| FilterRule::builder().name(name).value(value).build();
    let mut key = S3KeyFilter::builder();
    if !rule.prefix.is_empty() {
        key = key.filter_rules(part(FilterRuleName::Prefix, &rule.prefix));
    }
    if !rule.suffix.is_empty() {
        key = key.filter_rules(part(FilterRuleName::Suffix, &rule.suffix));
    }
    let is_filtered = !rule.prefix.is_empty() || !rule.suffix.is_empty();
    let filter = is_filtered.then(|| NotificationConfigurationFilter::builder().key(key.build()).build());
    let events = rule.events.iter().map(|event| Event::from(event.as_str())).collect();
    // everything that must be there is there
    QueueConfiguration::builder().id(&rule.id).queue_arn(&rule.arn).set_events(Some(events)).set_filter(filter).build().ok()
}

fn filters(filter: Option<&NotificationConfigurationFilter>) -> (String, String) {
    let rules = filter.and_then(NotificationConfigurationFilter::key).map(S3KeyFilter::filter_rules).unwrap_or_default();
    // S3 answers with `Prefix` where `prefix` was written
    let value = |name: &str| {
        let found = rules.iter().find(|rule| rule.name().is_some_and(|n| n.as_str().eq_ignore_ascii_case(name)));
        found.and_then(FilterRule::value).unwrap_or_default().to_owned()
    };
    (value("prefix"), value("suffix"))
}
