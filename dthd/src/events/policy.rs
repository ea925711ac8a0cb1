//! Whether a queue's policy lets a service send events to it, and the statement that is missing if not. Pure.

use serde_json::{Value, json};

/// Who sends, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// `s3.amazonaws.com`, `events.amazonaws.com`.
    pub service: &'static str,
    /// ARN of the bucket or the rule that it sends for; may have `*` in it.
    pub source: String,
    /// Id of the statement that we would add.
    pub id: String,
}

/// What a policy says of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may send.
    Allowed,
    /// This statement forbids it.
    Denied(String),
    /// Nothing lets it send.
    Missing,
    /// The policy is not JSON of the expected form.
    Unreadable,
}

impl Sender {
    /// A bucket's notifications to the queue with this ARN: they are in one partition.
    #[must_use]
    pub fn bucket(queue: &str, bucket: &str) -> Self {
        Self { service: "s3.amazonaws.com", source: format!("arn:{}:s3:::{bucket}", partition(queue)), id: format!("dth-{bucket}") }
    }

    /// A rule of EventBridge in the account and region of the queue.
    #[must_use]
    pub fn event_bridge(queue: &str) -> Self {
        let mut parts = queue.split(':').skip(3);
        let (region, account) = (parts.next().unwrap_or("*"), parts.next().unwrap_or("*"));
        let source = format!("arn:{}:events:{region}:{account}:rule/*", partition(queue));
        Self { service: "events.amazonaws.com", source, id: "dth-events".to_owned() }
    }

    /// The statement that lets it send.
    #[must_use]
    pub fn statement(&self, queue: &str) -> Value {
        json!({
            "Sid": sid(&self.id),
            "Effect": "Allow",
            "Principal": {"Service": self.service},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnLike": {"aws:SourceArn": self.source}},
        })
    }

    /// What a policy says of it. Conditions about other things than the source's ARN are taken as met: who asks for its account or
    /// organisation means well.
    #[must_use]
    pub fn judge(&self, policy: Option<&str>, queue: &str) -> Verdict {
        let Some(policy) = policy else { return Verdict::Missing };
        let Ok(policy) = serde_json::from_str::<Value>(policy) else { return Verdict::Unreadable };
        let statements = list(policy.get("Statement"));
        let about = |effect: &str| {
            let of =
                |statement: &&Value| statement.get("Effect").and_then(Value::as_str) == Some(effect) && self.is_meant(statement, queue);
            statements.iter().copied().find(of)
        };
        if let Some(denied) = about("Deny") {
            return Verdict::Denied(denied.get("Sid").and_then(Value::as_str).unwrap_or("without a name").to_owned());
        }
        if about("Allow").is_some() { Verdict::Allowed } else { Verdict::Missing }
    }

    fn is_meant(&self, statement: &Value, queue: &str) -> bool {
        let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        let principal = match statement.get("Principal") {
            Some(Value::String(all)) => all == "*",
            Some(who) => texts(who.get("Service")).any(|s| s == self.service) || texts(who.get("AWS")).any(|a| a == "*"),
            None => false,
        };
        let action = texts(statement.get("Action")).any(|action| is_like(&action.to_ascii_lowercase(), "sqs:sendmessage"));
        let resource = texts(statement.get("Resource")).any(|resource| is_like(resource, queue));
        principal && action && resource && self.meets(statement.get("Condition"), denies)
    }

    /// Whether what a statement demands of the source's ARN is true. Of a denial, conditions that are not understood are not.
    fn meets(&self, condition: Option<&Value>, denies: bool) -> bool {
        let Some(condition) = condition.and_then(Value::as_object) else { return true };
        condition.iter().all(|(operator, keys)| {
            let operator = operator.to_ascii_lowercase();
            keys.as_object().is_none_or(|keys| {
                keys.iter().all(|(key, wanted)| {
                    if !key.eq_ignore_ascii_case("aws:SourceArn") {
                        return !denies;
                    }
                    let matches = texts(Some(wanted))
                        .any(|wanted| is_like(wanted, &self.source) || (self.source.contains('*') && is_like(&self.source, wanted)));
                    if operator.contains("not") { !matches } else { matches }
                })
            })
        })
    }

    /// A policy with the statement in it, in place of an older one of ours with the same id; all others stay as they are.
    ///
    /// # Errors
    /// When the policy cannot be read: it must not be replaced.
    pub fn add_to(&self, policy: Option<&str>, queue: &str) -> Result<String, String> {
        let mut policy = match policy {
            None => json!({"Version": "2012-10-17", "Statement": []}),
            Some(text) => serde_json::from_str(text).map_err(|e| format!("the policy of the queue cannot be read: {e}"))?,
        };
        let statement = self.statement(queue);
        let mut statements: Vec<Value> = list(policy.get("Statement")).into_iter().cloned().collect();
        statements.retain(|old| old.get("Sid") != statement.get("Sid"));
        statements.push(statement);
        let fields = policy.as_object_mut().ok_or("the policy of the queue is not a JSON object")?;
        fields.insert("Statement".to_owned(), Value::Array(statements));
        Ok(policy.to_string())
    }
}

/// `aws` of `arn:aws:sqs:…`.
fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
}

/// Ids of statements have letters and digits only (IAM: "Grammar of the IAM JSON policy language").
fn sid(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// One text or several.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    list(value).into_iter().filter_map(Value::as_str)
}

/// `*` stands for anything, `?` for one character.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star, mut mark) = (0, 0, None, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                (star, mark) = (Some(p), t);
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some(at) => {
                    mark += 1;
                    (p, t) = (at + 1, mark);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws-cn:sqs:cn-north-1:111122223333:events";

    fn sender() -> Sender {
        Sender::bucket(QUEUE, "photos")
    }

    fn policy(statements: &Value) -> String {
        json!({"Version": "2012-10-17", "Id": "theirs", "Statement": statements}).to_string()
    }

    #[test]
    fn what_we_add_is_what_we_look_for() {
        let statement = sender().statement(QUEUE);
        assert_eq!(statement["Condition"]["ArnLike"]["aws:SourceArn"], "arn:aws-cn:s3:::photos");
        assert_eq!(sender().judge(None, QUEUE), Verdict::Missing);
        let added = sender().add_to(None, QUEUE).expect("a policy");
        assert_eq!(sender().judge(Some(&added), QUEUE), Verdict::Allowed);
        assert_eq!(Sender::bucket(QUEUE, "other").judge(Some(&added), QUEUE), Verdict::Missing);
        let rule = Sender::event_bridge(QUEUE);
        assert_eq!(rule.source, "arn:aws-cn:events:cn-north-1:111122223333:rule/*");
        let added = rule.add_to(Some(&added), QUEUE).expect("a policy");
        assert_eq!((rule.judge(Some(&added), QUEUE), sender().judge(Some(&added), QUEUE)), (Verdict::Allowed, Verdict::Allowed));
        let one_rule = added.replace("rule/*", "rule/pushed");
        assert_eq!(rule.judge(Some(&one_rule), QUEUE), Verdict::Allowed);
    }

    #[test]
    fn statements_of_others_stay() {
        let theirs =
            json!({"Sid": "owner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "sqs:*", "Resource": QUEUE});
        let before = policy(&theirs);
        let once = sender().add_to(Some(&before), QUEUE).expect("a policy");
        assert_eq!(sender().add_to(Some(&once), QUEUE).as_ref(), Ok(&once), "twice is once");
        let after: Value = serde_json::from_str(&once).expect("json");
        assert_eq!(
            (&after["Id"], &after["Statement"][0], after["Statement"].as_array().map(Vec::len)),
            (&json!("theirs"), &theirs, Some(2))
        );
        assert!(sender().add_to(Some("{"), QUEUE).is_err());
    }

    #[test]
    fn policies_in_many_words_are_understood() {
        let allow = |principal: Value, action: Value, resource: &str, condition: Value| {
            policy(
                &json!([{"Sid": "x", "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource, "Condition": condition}]),
            )
        };
        let service = json!({"Service": "s3.amazonaws.com"});
        let arn =
            |operator: &str, arn: &str| json!({operator: {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": "111122223333"}});
        for (policy, expected) in [
            (allow(service.clone(), json!("SQS:SendMessage"), QUEUE, json!({})), Verdict::Allowed),
            (allow(json!("*"), json!(["sqs:Send*"]), "*", arn("ArnLike", "arn:aws-cn:s3:*:*:photos")), Verdict::Allowed),
            (allow(json!({"AWS": ["*"]}), json!("*"), QUEUE, arn("ArnEquals", "arn:aws-cn:s3:::photos")), Verdict::Allowed),
            (allow(service.clone(), json!("sqs:SendMessage"), QUEUE, arn("ArnLike", "arn:aws-cn:s3:::videos")), Verdict::Missing),
            (allow(service.clone(), json!("sqs:ReceiveMessage"), QUEUE, json!({})), Verdict::Missing),
            (allow(service.clone(), json!("sqs:SendMessage"), "arn:aws-cn:sqs:cn-north-1:111122223333:other", json!({})), Verdict::Missing),
            (allow(json!({"Service": "sns.amazonaws.com"}), json!("sqs:SendMessage"), QUEUE, json!({})), Verdict::Missing),
            (
                policy(&json!([
                    {"Effect": "Allow", "Principal": service, "Action": "sqs:SendMessage", "Resource": QUEUE},
                    {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE},
                ])),
                Verdict::Denied("no".to_owned()),
            ),
            // a common one: only over TLS
            (
                policy(&json!([
                    {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE},
                    {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
                ])),
                Verdict::Allowed,
            ),
            ("[".to_owned(), Verdict::Unreadable),
        ] {
            // `arn:aws-cn:s3:*:*:photos` is what the console writes
            let sender = Sender { source: "arn:aws-cn:s3:::photos".to_owned(), ..sender() };
            assert_eq!(sender.judge(Some(&policy), QUEUE), expected, "{policy}");
        }
    }
}
