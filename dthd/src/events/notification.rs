//! Which of a bucket's notifications a task needs, which are missing, and which stand in the way. Pure.

use dth_proto::spec::{Delete, S3Job};

use crate::s3::client::{Rule, Target};

/// Kinds of new objects (Amazon S3 user guide, "Supported event types for SQS").
const CREATED: [&str; 4] = ["Put", "Post", "Copy", "CompleteMultipartUpload"];
const REMOVED: [&str; 2] = ["Delete", "DeleteMarkerCreated"];
/// Longest id of an entry (Amazon S3 API reference).
const LONGEST_ID: usize = 255;
/// More prefixes than this get one entry for the whole bucket: a bucket has room for 100 entries.
const MOST_PREFIXES: usize = 20;

/// What a task needs of its source's notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Prefixes that together hold all keys of the task, none within another.
    pub prefixes: Vec<String>,
    /// Events, as an entry has them.
    pub events: Vec<&'static str>,
}

impl Need {
    /// Of a task.
    #[must_use]
    pub fn of(job: &S3Job) -> Self {
        let source = &job.source;
        let mut prefixes = match (&source.prefix_list, source.prefixes.as_slice()) {
            (Some(_), _) => vec![String::new()],
            (None, []) => vec![source.prefix.clone()],
            (None, several) => several.to_vec(),
        };
        prefixes.sort();
        // what follows a prefix and begins with it is within it
        prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
        if prefixes.len() > MOST_PREFIXES {
            prefixes = vec![String::new()];
        }
        let mut events = vec!["s3:ObjectCreated:*"];
        if job.options.delete == Delete::Mirror {
            events.push("s3:ObjectRemoved:*");
        }
        Self { prefixes, events }
    }

    /// What of it no entry sends to this queue, in words: `s3:ObjectCreated:* of keys that begin with "raw/"`.
    #[must_use]
    pub fn missing(&self, rules: &[Rule], queue: &str) -> Vec<String> {
        let mut missing = Vec::new();
        for prefix in &self.prefixes {
            for event in &self.events {
                let ours = rules
                    .iter()
                    .filter(|r| r.target == Target::Queue && r.arn == queue && r.suffix.is_empty() && prefix.starts_with(&r.prefix));
                let sent: Vec<&str> = ours.flat_map(|rule| rule.events.iter().map(String::as_str)).collect();
                if !is_covered(event, &sent) {
                    missing.push(format!("{event} of {}", keys(prefix)));
                }
            }
        }
        missing
    }

    /// The entries that a task of this name needs.
    #[must_use]
    pub fn rules(&self, task: &str, queue: &str) -> Vec<Rule> {
        let several = self.prefixes.len() > 1;
        let rule = |(n, prefix): (usize, &String)| Rule {
            id: if several { format!("{}-{}", id(task), n + 1) } else { id(task) },
            target: Target::Queue,
            arn: queue.to_owned(),
            events: self.events.iter().map(|event| (*event).to_owned()).collect(),
            prefix: prefix.clone(),
            suffix: String::new(),
        };
        self.prefixes.iter().enumerate().map(rule).collect()
    }
}

/// Whether an entry is one of ours for a task of this name.
#[must_use]
pub fn is_ours(entry: &str, task: &str) -> bool {
    let id = id(task);
    entry == id || entry.strip_prefix(&id).and_then(|rest| rest.strip_prefix('-')).is_some_and(|n| n.parse::<u32>().is_ok())
}

/// The first entry that S3 would not let stand beside ours: two may not send the same event of the same key to different places (Amazon S3
/// user guide, "Configuring notifications with object key name filtering").
#[must_use]
pub fn overlap<'r>(ours: &[Rule], others: &'r [Rule]) -> Option<&'r Rule> {
    let meets = |a: &Rule, b: &Rule| {
        let prefixes = a.prefix.starts_with(&b.prefix) || b.prefix.starts_with(&a.prefix);
        let suffixes = a.suffix.ends_with(&b.suffix) || b.suffix.ends_with(&a.suffix);
        prefixes && suffixes && a.events.iter().any(|x| b.events.iter().any(|y| is_within(x, y) || is_within(y, x)))
    };
    others.iter().find(|other| ours.iter().any(|rule| meets(rule, other)))
}

fn id(task: &str) -> String {
    let mut id = format!("dth-{task}");
    id.truncate(LONGEST_ID);
    id
}

fn keys(prefix: &str) -> String {
    if prefix.is_empty() { "all keys".to_owned() } else { format!("keys that begin with {prefix:?}") }
}

/// Whether these kinds of events hold all of `event`.
fn is_covered(event: &str, sent: &[&str]) -> bool {
    let Some(group) = event.strip_suffix('*') else { return sent.iter().any(|s| is_within(event, s)) };
    let kinds: &[&str] = if group.contains("Created") { &CREATED } else { &REMOVED };
    kinds.iter().all(|kind| sent.iter().any(|s| is_within(&format!("{group}{kind}"), s)))
}

fn is_within(event: &str, whole: &str) -> bool {
    event == whole || whole.strip_suffix('*').is_some_and(|group| event.starts_with(group))
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::{S3Destination, S3Options, S3Source};

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:1:events";

    fn job(prefix: &str, prefixes: &[&str], delete: Delete) -> S3Job {
        let prefixes = prefixes.iter().map(|p| (*p).to_owned()).collect();
        S3Job {
            source: S3Source { prefix: prefix.to_owned(), prefixes, ..S3Source::default() },
            destination: S3Destination::default(),
            options: S3Options { delete, ..S3Options::default() },
        }
    }

    fn rule(arn: &str, events: &[&str], prefix: &str, suffix: &str) -> Rule {
        let events = events.iter().map(|e| (*e).to_owned()).collect();
        Rule { id: "x".into(), target: Target::Queue, arn: arn.into(), events, prefix: prefix.into(), suffix: suffix.into() }
    }

    #[test]
    fn what_is_needed_follows_from_the_task() {
        assert_eq!(Need::of(&job("raw/", &[], Delete::Never)), Need { prefixes: vec!["raw/".into()], events: vec!["s3:ObjectCreated:*"] });
        let need = Need::of(&job("", &["b/", "a/", "a/x/", "b/"], Delete::Mirror));
        assert_eq!(need, Need { prefixes: vec!["a/".into(), "b/".into()], events: vec!["s3:ObjectCreated:*", "s3:ObjectRemoved:*"] });
        let many: Vec<String> = (0..30).map(|n| format!("{n:02}/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(Need::of(&job("", &many, Delete::Never)).prefixes, [""]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let need = Need::of(&job("raw/", &[], Delete::Mirror));
        let created = r#"s3:ObjectCreated:* of keys that begin with "raw/""#;
        let removed = r#"s3:ObjectRemoved:* of keys that begin with "raw/""#;
        for (rules, missing) in [
            (vec![], vec![created, removed]),
            (vec![rule(QUEUE, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "", "")], vec![]),
            (vec![rule(QUEUE, &["s3:ObjectCreated:*"], "raw/", "")], vec![removed]),
            (vec![rule(QUEUE, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "raw/2026/", "")], vec![created, removed]),
            (vec![rule(QUEUE, &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "", ".jpg")], vec![created, removed]),
            (vec![rule("arn:aws:sqs:us-east-1:1:other", &["s3:ObjectCreated:*"], "", "")], vec![created, removed]),
            (
                vec![
                    rule(QUEUE, &["s3:ObjectCreated:Put", "s3:ObjectCreated:Post"], "", ""),
                    rule(QUEUE, &["s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload", "s3:ObjectRemoved:Delete"], "r", ""),
                ],
                vec![removed],
            ),
        ] {
            assert_eq!(need.missing(&rules, QUEUE), missing, "{rules:?}");
        }
        assert_eq!(need.missing(&need.rules("photos", QUEUE), QUEUE), Vec::<String>::new());
        assert_eq!(need.missing(&[Rule { target: Target::Topic, ..need.rules("photos", QUEUE).remove(0) }], QUEUE).len(), 2);
    }

    #[test]
    fn ours_are_known_by_their_ids() {
        let one = Need::of(&job("", &[], Delete::Never)).rules("photos", QUEUE);
        let two = Need::of(&job("", &["a/", "b/"], Delete::Never)).rules("photos", QUEUE);
        assert_eq!(one.iter().chain(&two).map(|r| r.id.as_str()).collect::<Vec<_>>(), ["dth-photos", "dth-photos-1", "dth-photos-2"]);
        assert!(one.iter().chain(&two).all(|rule| is_ours(&rule.id, "photos")));
        for other in ["dth-photo", "dth-photos-cn", "dth-photos-", "photos", "dth-photos2"] {
            assert!(!is_ours(other, "photos"), "{other}");
        }
    }

    #[test]
    fn overlaps_are_found_as_s3_finds_them() {
        let ours = Need::of(&job("raw/", &[], Delete::Never)).rules("photos", QUEUE);
        for (other, overlaps) in [
            (rule("x", &["s3:ObjectCreated:*"], "", ""), true),
            (rule("x", &["s3:ObjectCreated:Put"], "raw/2026/", ".jpg"), true),
            (rule("x", &["s3:ObjectCreated:Put"], "thumbs/", ""), false),
            (rule("x", &["s3:ObjectRemoved:*"], "raw/", ""), false),
        ] {
            let others = [other];
            assert_eq!(overlap(&ours, &others).is_some(), overlaps, "{others:?}");
        }
    }
}
