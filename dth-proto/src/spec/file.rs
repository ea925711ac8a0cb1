//! A task as a TOML file: every key by name, every problem with its line.

mod image;
mod s3;

use super::{Encryption, EventQueue, ImageJob, Job, S3Job, TaskLimits, TaskSpec, Trigger};
use crate::{
    bandwidth::BandwidthPlan,
    document::{BadDocument, Document, DocumentProblem, Table},
    id::TaskName,
};

pub(super) fn read(file: &str, text: &str) -> Result<TaskSpec, BadDocument> {
    let spec = Document::parse(file, text, task)?;
    // a document without problems has every required key
    let spec = spec.ok_or_else(|| problem(file, 0, "the task is not complete".to_owned()))?;
    let problems: Vec<_> = spec
        .problems()
        .iter()
        .map(|p| DocumentProblem { line: line_of(text, p.field), message: format!("{} {}", p.field, p.message) })
        .collect();
    if problems.is_empty() { Ok(spec) } else { Err(BadDocument { file: file.to_owned(), problems }) }
}

pub(super) fn write(spec: &TaskSpec) -> String {
    // serialisation of plain data into a table cannot fail: no map keys but strings, no top-level scalars
    toml::to_string(spec).unwrap_or_default()
}

fn problem(file: &str, line: usize, message: String) -> BadDocument {
    BadDocument { file: file.to_owned(), problems: vec![DocumentProblem { line, message }] }
}

/// The line that defines `table.key`, for problems found after the document is gone; 0 when it is not written.
fn line_of(text: &str, field: &str) -> usize {
    let (table, key) = field.rsplit_once('.').unwrap_or(("", field));
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            current = header.trim().to_owned();
        } else if current == table && line.split('=').next().is_some_and(|k| k.trim() == key) {
            return number + 1;
        }
    }
    0
}

/// What a task moves; decides which keys its tables have.
#[derive(Clone, Copy)]
enum Engine {
    S3,
    Image,
}

fn task(t: &mut Table<'_, '_>) -> Option<TaskSpec> {
    let name = if t.has("name") {
        t.parsed::<TaskName>("name")
    } else {
        t.required("name", "every task has a unique name");
        None
    };
    let description = t.text("description").unwrap_or_default();
    let labels = t.text_map("labels").unwrap_or_default();
    let engine = t.choice("engine", &[("s3", Engine::S3), ("image", Engine::Image)]);
    if !t.has("engine") {
        t.problem(None, "engine is missing: engine = \"s3\" for objects, \"image\" for container images");
    }
    let job = match engine.unwrap_or(Engine::S3) {
        Engine::S3 => {
            let (source, destination) = (t.required_table("source", s3::source), t.required_table("destination", s3::destination));
            let options = t.table("options", s3::options).unwrap_or_default();
            source.zip(destination).map(|(source, destination)| Job::S3(S3Job { source, destination, options }))
        }
        Engine::Image => {
            let (source, destination) = (t.required_table("source", image::source), t.required_table("destination", image::destination));
            let options = t.table("options", image::options).unwrap_or_default();
            source.zip(destination).map(|(source, destination)| Job::Image(ImageJob { source, destination, options }))
        }
    };
    let limits = t.table("limits", |l| TaskLimits { bandwidth: BandwidthPlan::read(l, "bandwidth") }).unwrap_or_default();
    let trigger = t.table("trigger", trigger).flatten();
    let report = t.table("report", s3::report);
    Some(TaskSpec { name: name?, description, labels, job: job?, limits, trigger, report })
}

fn encryption(t: &mut Table<'_, '_>, kinds: &str) -> Option<Encryption> {
    t.table("encryption", |e| {
        let kind = e.required("type", kinds);
        let key = e.text("key");
        let bucket_key = e.flag("bucket_key");
        kind.map(|kind| Encryption { kind, key, bucket_key })
    })
    .flatten()
}

fn trigger(t: &mut Table<'_, '_>) -> Option<Trigger> {
    let at = t.parsed("at");
    let every = t.parsed("every");
    let cron = t.text("cron");
    let timezone = t.text("timezone");
    let events = t.table("events", events).flatten();
    let given: Vec<&str> = ["at", "every", "cron", "events"].into_iter().filter(|k| t.has(k)).collect();
    if given.len() != 1 {
        let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        t.problem(
            given.get(1).copied(),
            format!("[trigger] takes one of at, every, cron and events, not {found}; without [trigger] the task is manual"),
        );
        return None;
    }
    if timezone.is_some() && cron.is_none() {
        t.problem(Some("timezone"), "trigger.timezone belongs to cron: at is written with its offset, every has none");
    }
    at.map(|at| Trigger::At { at })
        .or_else(|| every.map(|every| Trigger::Every { every }))
        .or_else(|| cron.map(|cron| Trigger::Cron { cron, timezone }))
        .or_else(|| events.map(|events| Trigger::Events { events }))
}

fn events(t: &mut Table<'_, '_>) -> Option<EventQueue> {
    let queue = t.required("queue", "the URL of the SQS queue that receives the notifications");
    let (region, credential) = (t.text("region"), t.text("credential"));
    let reconcile = t.parsed("reconcile").unwrap_or_else(EventQueue::a_day);
    queue.map(|queue| EventQueue { queue, region, credential, reconcile })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
name = "photos-cn-to-global"
description = "nightly copy of the raw photos"
labels = { team = "photos" }
engine = "s3"

[source]
provider = "aws"
bucket = "acme-photos-cn"
prefix = "raw/"
region = "cn-north-1"
credential = "cn-reader"
requester_pays = false

[destination]
provider = "aws"
bucket = "acme-photos-global"
prefix = "from-cn/"
region = "us-east-1"
credential = "global-writer"
storage_class = "INTELLIGENT_TIERING"
acl = "bucket-owner-full-control"
encryption = { type = "aws:kms", key = "arn:aws:kms:us-east-1:1:key/2" }

[options]
compare = "auto"
metadata = true
tags = true
delete = "never"
include = ["**.jpg"]
larger_than = "1kB"

[limits]
bandwidth = "800MB/s"

[trigger]
cron = "0 2 * * *"
timezone = "Asia/Shanghai"

[report]
provider = "aws"
bucket = "acme-logs"
prefix = "dth/"
region = "us-east-1"
format = "csv"
"#;

    #[test]
    fn a_file_survives_export_and_import() {
        let spec = TaskSpec::from_toml("t.toml", FULL).expect("the file in the documentation");
        let again = TaskSpec::from_toml("again.toml", &spec.to_toml()).expect("what export writes");
        assert_eq!(spec, again);
        let json = serde_json::to_string(&spec).expect("json");
        assert_eq!(serde_json::from_str::<TaskSpec>(&json).expect("json back"), spec);
    }

    fn lines(text: &str) -> Vec<String> {
        TaskSpec::from_toml("t.toml", text).expect_err("mistakes").lines()
    }

    #[test]
    fn every_mistake_is_named() {
        let text = FULL
            .replace("acme-photos-cn\"", "\"")
            .replace("compare = \"auto\"", "compare = \"sise\"")
            .replace("prefix = \"raw/\"", "prefx = \"raw/\"")
            .replace("800MB/s", "fast");
        assert_eq!(
            lines(&text),
            [
                "t.toml:9: source.bucket is missing: name the bucket",
                "t.toml:10: source.prefx is not a known key: did you mean \"prefix\"?",
                "t.toml:26: options.compare = \"sise\" is not known: did you mean \"size\"?",
                "t.toml:34: limits.bandwidth: \"fast\" is not a rate: write it like 800MB/s or 10Gbit/s, and more than 0; or \"off\" for no limit",
            ]
        );
    }

    #[test]
    fn rules_know_their_line() {
        assert_eq!(
            lines(&FULL.replace("[trigger]\ncron = \"0 2 * * *\"\ntimezone = \"Asia/Shanghai\"", "[trigger]\nevery = \"5s\"")),
            ["t.toml:37: trigger.every 5s is too short: at least 60s"]
        );
        assert_eq!(
            lines("name = 'x'\nengine = 's3'\n[source]\nbucket = 'b'\n[destination]\nbucket = 'b'\nprefix = ''\n"),
            ["t.toml:7: destination.prefix source and destination are the same place: copies would be listed as sources; \
              use another bucket or prefix"]
        );
    }

    #[test]
    fn limits_by_the_clock_are_a_list() {
        let with = |list: &str| FULL.replace("bandwidth = \"800MB/s\"", &format!("bandwidth = {list}"));
        let spec = TaskSpec::from_toml("t.toml", &with("[\"200MB/s mon-fri 08:00-18:00\", \"off\"]")).expect("good");
        assert_eq!(spec.limits.bandwidth.as_ref().map(ToString::to_string).as_deref(), Some("200MB/s mon-fri 08:00-18:00, off"));
        assert_eq!(TaskSpec::from_toml("again.toml", &spec.to_toml()), Ok(spec));
        assert_eq!(
            lines(&with("[\n  \"200MB/s 8-18:00\",\n  \"fast\",\n]")),
            [
                "t.toml:35: limits.bandwidth: \"8-18:00\" are no hours: write them like 08:00-18:00, or 22:00-06:00 over midnight",
                "t.toml:36: limits.bandwidth: \"fast\" is not a rate: write it like 800MB/s or 10Gbit/s, and more than 0; or \"off\" for no limit",
            ]
        );
        assert_eq!(
            lines(&with("[]")),
            ["t.toml:34: limits.bandwidth: no limit is written: write one like \"200MB/s\", or leave the key out"]
        );
        assert_eq!(lines(&with("7")), ["t.toml:34: limits.bandwidth must be a text in quotes or a list of such texts, not an integer"]);
    }

    #[test]
    fn triggers_are_one_of_three() {
        let two = FULL.replace("cron = \"0 2 * * *\"", "cron = \"0 2 * * *\"\nevery = \"1h\"");
        assert!(lines(&two)[0].contains("takes one of at, every, cron and events, not every and cron"), "{:?}", lines(&two));
    }
}
