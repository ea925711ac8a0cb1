//! What a message on the queue says of objects: S3's notifications in every form in which they arrive, and those of other clouds.
//!
//! | form | known by | keys are |
//! |---|---|---|
//! | S3 (and MinIO, Ceph, Huawei OBS) notification | `Records[].eventName` with `s3` or `obs` beside it | URL-encoded, `+` for a space |
//! | the same through SNS | `Type: Notification`, the text in `Message` | as in the text |
//! | S3 through EventBridge | `source: aws.s3` | as they are |
//! | Aliyun OSS | `events[].oss` | as they are |
//! | Cloudflare R2 | `action` with `object.key` | as they are |
//! | Google Cloud Storage | `kind: storage#object` | as they are |
//! | plain, by any program | `{"key": …}`, with `size` and `sequencer` if it likes | as they are |
//!
//! An event is a hint: what the source has is asked of the source. So a size or an ETag in a message is not even read.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::sequencer::Sequencer;

/// Envelopes that may be around a message (SNS to SNS to SQS is more than anyone has).
const ENVELOPES: usize = 3;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Made, overwritten, or restored from an archive.
    Created,
    /// Removed, or hidden behind a delete marker.
    Removed,
    /// One version was removed for good; what is there without a version may be what was there before.
    VersionRemoved,
}

/// One object in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its bucket; `None`: the message does not say.
    pub bucket: Option<String>,
    /// Its key.
    pub key: String,
    /// What happened.
    pub happened: Happened,
    /// Place among the events of the key, from those who keep one that can be relied on.
    pub sequencer: Option<Sequencer>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// It is about these.
    Changes(Vec<T>),
    /// It is understood, and asks for nothing: `test event`, `tags changed`, …
    Nothing(&'static str),
    /// It is not for us, or cannot be read; the kind of what is wrong with it, for counting.
    Unknown(&'static str),
}

/// Reads a message.
#[must_use]
pub fn read(body: &str) -> Reading<Change> {
    match unwrapped(body) {
        Ok(value) => of_value(&value),
        Err(why) => Reading::Unknown(why),
    }
}

/// The message in its envelopes.
///
/// # Errors
/// The kind of what is wrong with it.
pub(super) fn unwrapped(body: &str) -> Result<Value, &'static str> {
    let mut value: Value = serde_json::from_str(body).map_err(|_| "not JSON")?;
    for _ in 0..ENVELOPES {
        match (text(&value, "Type"), text(&value, "Message")) {
            (Some("Notification"), Some(inner)) => {
                value = serde_json::from_str(inner).map_err(|_| "a notification of SNS without JSON in it")?;
            }
            (Some("SubscriptionConfirmation" | "UnsubscribeConfirmation"), _) => return Err("a confirmation that SNS asks for"),
            _ => return Ok(value),
        }
    }
    Err("an envelope in too many envelopes")
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

fn of_value(value: &Value) -> Reading<Change> {
    if text(value, "Event") == Some("s3:TestEvent") {
        return Reading::Nothing("test event");
    }
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return all(records, record);
    }
    if text(value, "source") == Some("aws.s3") {
        return all(std::slice::from_ref(value), event_bridge);
    }
    if let Some(events) = value.get("events").and_then(Value::as_array) {
        return all(events, oss);
    }
    if value.get("action").is_some() && value.get("object").is_some() {
        return all(std::slice::from_ref(value), r2);
    }
    all(std::slice::from_ref(value), plain)
}

/// `Ok(None)`: understood, and of no interest.
type Read = Result<Option<Change>, &'static str>;

/// All of a message's objects. One that cannot be read makes the whole message one that cannot be: it is kept for a person to look at, and
/// what it says beside that is not lost.
fn all(values: &[Value], read: fn(&Value) -> Read) -> Reading<Change> {
    let mut changes = Vec::new();
    for value in values {
        match read(value) {
            Ok(change) => changes.extend(change),
            Err(why) => return Reading::Unknown(why),
        }
    }
    if changes.is_empty() { Reading::Nothing("an event that asks for nothing") } else { Reading::Changes(changes) }
}

/// What an event is called; `None`: of no interest.
fn happened(name: &str, version: bool) -> Option<Happened> {
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let (group, detail) = name.split_once(':').unwrap_or((name, ""));
    match group {
        "ObjectCreated" => Some(Happened::Created),
        "ObjectRestore" => (detail == "Completed").then_some(Happened::Created),
        // a delete marker has a version of its own, and hides the object all the same
        "ObjectRemoved" | "LifecycleExpiration" => {
            let one_version = version && !detail.starts_with("DeleteMarker");
            Some(if one_version { Happened::VersionRemoved } else { Happened::Removed })
        }
        _ => None,
    }
}

/// A version that is one: stores without versions call theirs `null` or nothing.
fn is_version(version: Option<&str>) -> bool {
    version.is_some_and(|v| !v.is_empty() && v != "null")
}

fn record(value: &Value) -> Read {
    let name = text(value, "eventName").ok_or("a record without an event name")?;
    let about = value.get("s3").or_else(|| value.get("obs")).ok_or("a record that is not about an object")?;
    let object = about.get("object").ok_or("a record without an object")?;
    let key = text(object, "key").filter(|key| !key.is_empty()).ok_or("a record without a key")?;
    let Some(happened) = happened(name, is_version(text(object, "versionId"))) else { return Ok(None) };
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().map_err(|_| "a key that is not UTF-8")?.into_owned();
    let bucket = about.get("bucket").and_then(|bucket| text(bucket, "name")).map(str::to_owned);
    // MinIO's is the clock of whichever node it was; of others it is not known what it is
    let ordered = text(value, "eventSource").is_none_or(|source| source == "aws:s3");
    let sequencer = text(object, "sequencer").filter(|_| ordered).and_then(Sequencer::new);
    Ok(Some(Change { bucket, key, happened, sequencer }))
}

fn event_bridge(value: &Value) -> Read {
    let detail = value.get("detail").ok_or("an event without a detail")?;
    let object = detail.get("object").ok_or("an event without an object")?;
    let happened = match text(value, "detail-type") {
        Some("Object Created" | "Object Restore Completed") => Happened::Created,
        Some("Object Deleted") => {
            let marker = text(detail, "deletion-type") == Some("Delete Marker Created");
            if is_version(text(object, "version-id")) && !marker { Happened::VersionRemoved } else { Happened::Removed }
        }
        Some(_) => return Ok(None),
        None => return Err("an event without a detail type"),
    };
    let key = text(object, "key").filter(|key| !key.is_empty()).ok_or("an event without a key")?.to_owned();
    let bucket = detail.get("bucket").and_then(|bucket| text(bucket, "name")).map(str::to_owned);
    Ok(Some(Change { bucket, key, happened, sequencer: text(object, "sequencer").and_then(Sequencer::new) }))
}

fn oss(value: &Value) -> Read {
    let name = text(value, "eventName").ok_or("an event without a name")?;
    let about = value.get("oss").ok_or("an event that is not about an object")?;
    let Some(happened) = happened(name, false) else { return Ok(None) };
    let key = about.get("object").and_then(|object| text(object, "key")).filter(|key| !key.is_empty()).ok_or("an event without a key")?;
    let bucket = about.get("bucket").and_then(|bucket| text(bucket, "name")).map(str::to_owned);
    Ok(Some(Change { bucket, key: key.to_owned(), happened, sequencer: None }))
}

fn r2(value: &Value) -> Read {
    let happened = match text(value, "action") {
        Some("PutObject" | "CopyObject" | "CompleteMultipartUpload") => Happened::Created,
        Some("DeleteObject" | "LifecycleDeletion") => Happened::Removed,
        _ => return Ok(None),
    };
    let key = value.get("object").and_then(|object| text(object, "key")).filter(|key| !key.is_empty()).ok_or("an event without a key")?;
    Ok(Some(Change { bucket: text(value, "bucket").map(str::to_owned), key: key.to_owned(), happened, sequencer: None }))
}

fn plain(value: &Value) -> Read {
    let is_google = text(value, "kind") == Some("storage#object");
    let key = text(value, if is_google { "name" } else { "key" }).filter(|key| !key.is_empty());
    let key = key.ok_or("JSON of an unknown form")?.to_owned();
    let bucket = text(value, "bucket").map(str::to_owned);
    Ok(Some(Change { bucket, key, happened: Happened::Created, sequencer: text(value, "sequencer").and_then(Sequencer::new) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(source: &str, name: &str, object: &Value) -> Value {
        json!({"eventVersion": "2.1", "eventSource": source, "eventName": name, "s3": {"bucket": {"name": "b"}, "object": object}})
    }

    fn records(records: &[Value]) -> String {
        json!({ "Records": records }).to_string()
    }

    fn one(body: &str) -> Change {
        match read(body) {
            Reading::Changes(mut changes) if changes.len() == 1 => changes.remove(0),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn notifications_are_read_in_all_their_forms() {
        use Happened::{Created, Removed, VersionRemoved};
        let s3 = |name: &str, object: Value| records(&[record("aws:s3", name, &object)]);
        let bridge = |kind: &str, detail: Value| json!({"source": "aws.s3", "detail-type": kind, "detail": detail}).to_string();
        let sns = |inner: String| json!({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": inner}).to_string();
        let object = json!({"key": "a+b/%C3%A4%2B1", "size": 5, "eTag": "x", "sequencer": "0055AED6DCD90281E5"});
        for (body, bucket, key, happened, sequencer) in [
            (s3("ObjectCreated:Put", object.clone()), Some("b"), "a b/ä+1", Created, Some("0055AED6DCD90281E5")),
            (sns(s3("ObjectCreated:CompleteMultipartUpload", object.clone())), Some("b"), "a b/ä+1", Created, Some("0055AED6DCD90281E5")),
            (sns(sns(s3("ObjectCreated:Copy", json!({"key": "k"})))), Some("b"), "k", Created, None),
            (s3("ObjectRemoved:Delete", json!({"key": "k"})), Some("b"), "k", Removed, None),
            (s3("ObjectRemoved:Delete", json!({"key": "k", "versionId": "null"})), Some("b"), "k", Removed, None),
            (s3("ObjectRemoved:Delete", json!({"key": "k", "versionId": "3HL4"})), Some("b"), "k", VersionRemoved, None),
            (s3("ObjectRemoved:DeleteMarkerCreated", json!({"key": "k", "versionId": "3HL4"})), Some("b"), "k", Removed, None),
            (s3("LifecycleExpiration:DeleteMarkerCreated", json!({"key": "k", "versionId": "3HL4"})), Some("b"), "k", Removed, None),
            (s3("ObjectRestore:Completed", json!({"key": "k"})), Some("b"), "k", Created, None),
            // its sequencer is no order
            (
                records(&[record("minio:s3", "s3:ObjectCreated:Put", &json!({"key": "a%2Fb", "sequencer": "17E3"}))]),
                Some("b"),
                "a/b",
                Created,
                None,
            ),
            (
                json!({"Records": [{"eventSource": "OBS", "eventName": "ObjectCreated:Put", "obs": {"bucket": {"name": "b"}, "object": {"key": "k%20"}}}]})
                    .to_string(),
                Some("b"),
                "k ",
                Created,
                None,
            ),
            (
                bridge("Object Created", json!({"bucket": {"name": "b"}, "object": {"key": "a+b %20", "sequencer": "61"}, "reason": "PutObject"})),
                Some("b"),
                "a+b %20",
                Created,
                Some("61"),
            ),
            (
                bridge(
                    "Object Deleted",
                    json!({"bucket": {"name": "b"}, "object": {"key": "k", "version-id": "1"}, "deletion-type": "Delete Marker Created"}),
                ),
                Some("b"),
                "k",
                Removed,
                None,
            ),
            (
                bridge(
                    "Object Deleted",
                    json!({"bucket": {"name": "b"}, "object": {"key": "k", "version-id": "1"}, "deletion-type": "Permanently Deleted"}),
                ),
                Some("b"),
                "k",
                VersionRemoved,
                None,
            ),
            (
                json!({"events": [{"eventName": "ObjectCreated:PutObject", "oss": {"bucket": {"name": "b"}, "object": {"key": "k+"}}}]}).to_string(),
                Some("b"),
                "k+",
                Created,
                None,
            ),
            (json!({"action": "DeleteObject", "bucket": "b", "object": {"key": "k"}}).to_string(), Some("b"), "k", Removed, None),
            (json!({"kind": "storage#object", "name": "k", "bucket": "b", "size": "5"}).to_string(), Some("b"), "k", Created, None),
            (json!({"key": "a+b%20", "size": 5}).to_string(), None, "a+b%20", Created, None),
            (json!({"key": "k", "size": 5, "sequencer": "0A"}).to_string(), None, "k", Created, Some("0A")),
        ] {
            let sequencer = sequencer.and_then(Sequencer::new);
            assert_eq!(one(&body), Change { bucket: bucket.map(str::to_owned), key: key.to_owned(), happened, sequencer }, "{body}");
        }
    }

    #[test]
    fn a_message_may_have_several_records_and_some_of_no_interest() {
        let body = records(&[
            record("aws:s3", "ObjectTagging:Put", &json!({"key": "t"})),
            record("aws:s3", "ObjectCreated:Put", &json!({"key": "1"})),
            record("aws:s3", "ObjectCreated:Put", &json!({"key": "2"})),
        ]);
        let Reading::Changes(changes) = read(&body) else { panic!("{body}") };
        assert_eq!(changes.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn what_asks_for_nothing_is_told_from_what_cannot_be_read() {
        for (body, expected) in [
            (json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}).to_string(), Reading::Nothing("test event")),
            (records(&[record("aws:s3", "ObjectAcl:Put", &json!({"key": "k"}))]), Reading::Nothing("an event that asks for nothing")),
            (json!({"Records": []}).to_string(), Reading::Nothing("an event that asks for nothing")),
            ("not json".to_owned(), Reading::Unknown("not JSON")),
            ("{}".to_owned(), Reading::Unknown("JSON of an unknown form")),
            ("[1]".to_owned(), Reading::Unknown("JSON of an unknown form")),
            (json!({"Type": "SubscriptionConfirmation", "Message": "x"}).to_string(), Reading::Unknown("a confirmation that SNS asks for")),
            (json!({"Type": "Notification", "Message": "x"}).to_string(), Reading::Unknown("a notification of SNS without JSON in it")),
            (records(&[json!({"eventName": "ObjectCreated:Put"})]), Reading::Unknown("a record that is not about an object")),
            (records(&[record("aws:s3", "ObjectCreated:Put", &json!({"key": "%FF"}))]), Reading::Unknown("a key that is not UTF-8")),
            (records(&[record("aws:s3", "ObjectCreated:Put", &json!({"key": ""}))]), Reading::Unknown("a record without a key")),
        ] {
            assert_eq!(read(&body), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn keys_survive_s3s_encoding(key in "\\PC{1,40}") {
            let encoded: String = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%20", "+");
            let body = records(&[record("aws:s3", "ObjectCreated:Put", &json!({"key": encoded}))]);
            prop_assert_eq!(one(&body).key, key);
        }

        #[test]
        fn nothing_that_arrives_is_a_surprise(body in "\\PC{0,60}", name in "[A-Za-z:]{0,20}") {
            let _ = read(&body);
            let _ = read(&records(&[record("aws:s3", &name, &json!({"key": body}))]));
        }
    }
}
