//! What a message on the queue says of images: ECR's events, and those that registries send to whoever listens.

use serde_json::Value;

use super::message::{Reading, text, unwrapped};

/// An image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Its repository.
    pub repository: String,
    /// Its tag.
    pub tag: Option<String>,
    /// Its digest.
    pub digest: Option<String>,
    /// Account and region of the ECR registry it was pushed to; `None`: the message does not say.
    pub place: Option<(String, String)>,
}

/// Reads a message: ECR's "ECR Image Action" from EventBridge (Amazon ECR user guide, "Events and EventBridge"), a registry's notification
/// (distribution, "Notifications"), or plain `{"repository": …, "tag" or "digest": …}`; each may come through SNS.
#[must_use]
pub fn read(body: &str) -> Reading<Push> {
    match unwrapped(body) {
        Ok(value) => of_value(&value),
        Err(why) => Reading::Unknown(why),
    }
}

fn of_value(value: &Value) -> Reading<Push> {
    let pushes = if text(value, "source") == Some("aws.ecr") {
        ecr(value).map(|push| push.into_iter().collect())
    } else if let Some(events) = value.get("events").and_then(Value::as_array) {
        events.iter().filter_map(|event| registry(event).transpose()).collect::<Result<Vec<Push>, _>>()
    } else {
        push(value, ["repository", "tag", "digest"]).map(|push| vec![push])
    };
    match pushes {
        Ok(pushes) if pushes.is_empty() => Reading::Nothing("an event that asks for nothing"),
        Ok(pushes) => Reading::Changes(pushes),
        Err(why) => Reading::Unknown(why),
    }
}

fn push(value: &Value, [repository, tag, digest]: [&str; 3]) -> Result<Push, &'static str> {
    let name = |field: &str| text(value, field).filter(|text| !text.is_empty()).map(str::to_owned);
    let repository = name(repository).ok_or("an event without a repository")?;
    let (tag, digest) = (name(tag), name(digest));
    if tag.is_none() && digest.is_none() {
        return Err("an event without a tag or a digest");
    }
    Ok(Push { repository, tag, digest, place: None })
}

fn ecr(value: &Value) -> Result<Option<Push>, &'static str> {
    if text(value, "detail-type") != Some("ECR Image Action") {
        return Ok(None);
    }
    let detail = value.get("detail").ok_or("an event without a detail")?;
    if (text(detail, "action-type"), text(detail, "result")) != (Some("PUSH"), Some("SUCCESS")) {
        return Ok(None);
    }
    let place = text(value, "account").zip(text(value, "region")).map(|(account, region)| (account.to_owned(), region.to_owned()));
    push(detail, ["repository-name", "image-tag", "image-digest"]).map(|push| Some(Push { place, ..push }))
}

fn registry(event: &Value) -> Result<Option<Push>, &'static str> {
    if text(event, "action") != Some("push") {
        return Ok(None);
    }
    let target = event.get("target").ok_or("an event without a target")?;
    // blobs are pushed as well
    let kind = text(target, "mediaType").unwrap_or_default();
    let is_manifest = text(target, "tag").is_some() || kind.contains("manifest") || kind.contains("image.index");
    if !is_manifest {
        return Ok(None);
    }
    push(target, ["repository", "tag", "digest"]).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pushed(repository: &str, tag: Option<&str>, digest: Option<&str>, place: Option<(&str, &str)>) -> Push {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let place = place.map(|(account, region)| (account.to_owned(), region.to_owned()));
        Push { repository: repository.to_owned(), tag: owned(tag), digest: owned(digest), place }
    }

    fn ecr_event(action: &str, result: &str, tag: Option<&str>) -> Value {
        let mut event = json!({
            "source": "aws.ecr", "detail-type": "ECR Image Action", "account": "111122223333", "region": "us-east-1",
            "detail": {"action-type": action, "result": result, "repository-name": "team/app", "image-digest": "sha256:ab"},
        });
        if let Some(tag) = tag {
            event["detail"]["image-tag"] = tag.into();
        }
        event
    }

    #[test]
    fn pushes_are_found() {
        let place = Some(("111122223333", "us-east-1"));
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let event = |action: &str, target: Value| json!({"events": [{"action": action, "target": target}]}).to_string();
        let app = json!({"mediaType": manifest, "repository": "team/app", "tag": "v1", "digest": "sha256:ab"});
        for (body, expected) in [
            (ecr_event("PUSH", "SUCCESS", Some("v1")).to_string(), vec![pushed("team/app", Some("v1"), Some("sha256:ab"), place)]),
            (ecr_event("PUSH", "SUCCESS", None).to_string(), vec![pushed("team/app", None, Some("sha256:ab"), place)]),
            (event("push", app.clone()), vec![pushed("team/app", Some("v1"), Some("sha256:ab"), None)]),
            (
                json!({"Type": "Notification", "Message": event("push", app)}).to_string(),
                vec![pushed("team/app", Some("v1"), Some("sha256:ab"), None)],
            ),
            (json!({"repository": "a", "tag": "v1"}).to_string(), vec![pushed("a", Some("v1"), None, None)]),
        ] {
            assert_eq!(read(&body), Reading::Changes(expected), "{body}");
        }
    }

    #[test]
    fn all_else_is_nothing_or_unknown() {
        let blob = json!({"mediaType": "application/octet-stream", "repository": "a", "digest": "sha256:ab"});
        for body in [
            ecr_event("DELETE", "SUCCESS", Some("v1")).to_string(),
            ecr_event("PUSH", "FAILURE", Some("v1")).to_string(),
            json!({"source": "aws.ecr", "detail-type": "ECR Image Scan", "detail": {}}).to_string(),
            json!({"events": [{"action": "pull", "target": blob}, {"action": "push", "target": blob}]}).to_string(),
        ] {
            assert_eq!(read(&body), Reading::Nothing("an event that asks for nothing"), "{body}");
        }
        for (body, why) in [
            ("{}", "an event without a repository"),
            (r#"{"repository":"a"}"#, "an event without a tag or a digest"),
            (r#"{"source":"aws.ecr","detail-type":"ECR Image Action"}"#, "an event without a detail"),
            ("x", "not JSON"),
        ] {
            assert_eq!(read(body), Reading::Unknown(why), "{body}");
        }
    }
}
