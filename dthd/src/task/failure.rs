//! Failed items in groups a person can act on: one group per class, code, side and operation, with what is likely wrong.

use std::collections::BTreeMap;

use dth_proto::failure::{FailureClass, FailureGroup, FailureItem, Side};

/// Collects failed items; memory grows with the kinds of failure, not with their number.
#[derive(Clone, Default)]
pub struct Groups(BTreeMap<(FailureClass, String, Side, String), FailureGroup>);

impl Groups {
    /// Adds an item.
    pub fn add(&mut self, item: &FailureItem) {
        let key = (item.class, item.code.clone(), item.side, item.operation.clone());
        let group = self.0.entry(key).or_insert_with(|| FailureGroup {
            class: item.class,
            code: item.code.clone(),
            side: item.side,
            operation: item.operation.clone(),
            count: 0,
            first: item.at,
            last: item.at,
            prefix: item.key.clone(),
            message: item.message.clone(),
            hint: hint(item.class, &item.code, item.side, &item.operation),
        });
        group.count += 1;
        group.first = group.first.min(item.at);
        group.last = group.last.max(item.at);
        let shared = shared_prefix(&group.prefix, &item.key);
        group.prefix.truncate(shared);
    }

    /// The groups, largest first.
    #[must_use]
    pub fn list(&self) -> Vec<FailureGroup> {
        let mut groups: Vec<FailureGroup> = self.0.values().cloned().collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        groups
    }
}

/// Bytes of the common beginning, at a character boundary.
fn shared_prefix(a: &str, b: &str) -> usize {
    let differ = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y);
    differ.map_or_else(|| a.len().min(b.len()), |((at, _), _)| at)
}

/// What is likely wrong, and what to try.
#[must_use]
pub fn hint(class: FailureClass, code: &str, side: Side, operation: &str) -> Option<String> {
    let who = side.word();
    let right = match operation {
        "ListObjectsV2" => "s3:ListBucket on the bucket",
        "GetObject" | "HeadObject" => "s3:GetObject on the objects, and kms:Decrypt if they are encrypted with a KMS key",
        "ListObjectVersions" => "s3:ListBucketVersions on the bucket",
        "GetBucketVersioning" => "s3:GetBucketVersioning on the bucket",
        "RestoreObject" => "s3:RestoreObject on the objects, or set archived = \"skip\"",
        "DeleteObject" => "s3:DeleteObject on the objects",
        "GetObjectTagging" => "s3:GetObjectTagging, or set tags = false",
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            "s3:PutObject on the objects, and kms:GenerateDataKey if the bucket encrypts with a KMS key"
        }
        "PutObjectTagging" => "s3:PutObjectTagging, or set tags = false",
        "ListTags" | "ListImages" | "DescribeImages" => "the right to list tags (on ECR ecr:ListImages and ecr:DescribeImages)",
        "ListRepositories" | "DescribeRepositories" => "the right to list repositories (on ECR ecr:DescribeRepositories)",
        "GetManifest" | "HeadManifest" | "GetBlob" | "HeadBlob" | "ListReferrers" => {
            "the right to pull (on ECR ecr:BatchGetImage and ecr:GetDownloadUrlForLayer)"
        }
        "PutManifest" | "StartUpload" | "MountBlob" | "PutBlob" | "PatchBlob" | "UploadStatus" => {
            "the right to push (on ECR ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage)"
        }
        "GetAuthorizationToken" => "ecr:GetAuthorizationToken",
        "CreateRepository" => "ecr:CreateRepository, or set create = \"never\"",
        "BatchCheckLayerAvailability" => "ecr:BatchCheckLayerAvailability",
        _ => "the right for this request",
    };
    let text = match (class, code) {
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
            format!("likely the {who} credential is wrong: check the key id and the secret, and that it belongs to this store")
        }
        (_, "ExpiredToken" | "RequestExpired" | "TokenRefreshRequired") => {
            format!("the {who} credential has expired: renew it, then retry")
        }
        (_, "RequestTimeTooSkewed") => "the clock of this machine is wrong: set it, then retry".to_owned(),
        (FailureClass::Auth, _) => format!("likely the {who} credential lacks {right}: add it, then retry"),
        (FailureClass::Throttled, "TOOMANYREQUESTS") => {
            format!("the {who} registry limits requests: sign in there with a credential that may do more, or retry later")
        }
        (FailureClass::Throttled, _) => format!("the {who} is busier than it wants to be: retry later, or set limits.bandwidth"),
        (FailureClass::Transient, _) => format!("trouble on the way to the {who}: retry; if it stays, look at the network between"),
        (FailureClass::Changed, _) => "the source was overwritten while it was copied, several times: retry when it is at rest".to_owned(),
        (_, "MANIFEST_UNKNOWN" | "NAME_UNKNOWN") => {
            format!("the image or its repository is not at the {who}, or the credential does not see it: look at the name")
        }
        // Amazon ECR, "Preventing image tags from being overwritten"
        (_, "TAG_INVALID" | "ImageTagAlreadyExistsException") => {
            format!("the tag is at the {who} with another digest and cannot be moved: allow mutable tags there, or leave the tag out")
        }
        (_, "NoSuchBucket") => format!("the {who} bucket does not exist in this region, or has another name"),
        (_, "KeyTooLongError" | "KeyTooLong") => {
            "the key is longer than 1024 bytes with the destination prefix: use a shorter one".to_owned()
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;

    fn item(key: &str, code: &str, at: u64) -> FailureItem {
        FailureItem {
            key: key.to_owned(),
            size: 1,
            class: FailureClass::Auth,
            code: code.to_owned(),
            side: Side::Source,
            operation: "GetObject".to_owned(),
            message: "denied".to_owned(),
            request_id: None,
            tries: 1,
            at: Timestamp(at),
        }
    }

    #[test]
    fn hints_speak_of_what_the_request_was_for() {
        use FailureClass::{Auth, Permanent, Throttled, Transient};
        for (class, code, side, operation, part) in [
            (Auth, "AccessDenied", Side::Source, "GetObject", "likely the source credential lacks s3:GetObject"),
            (Auth, "DENIED", Side::Destination, "StartUpload", "likely the destination credential lacks the right to push"),
            (Auth, "DENIED", Side::Source, "GetBlob", "the right to pull (on ECR ecr:BatchGetImage"),
            (Throttled, "TOOMANYREQUESTS", Side::Source, "GetManifest", "the source registry limits requests: sign in"),
            (Throttled, "SlowDown", Side::Source, "GetObject", "limits.bandwidth"),
            (Permanent, "MANIFEST_UNKNOWN", Side::Source, "GetManifest", "is not at the source"),
            (Permanent, "TAG_INVALID", Side::Destination, "PutManifest", "cannot be moved"),
            (Transient, "EOF", Side::Destination, "PutBlob", "trouble on the way to the destination"),
        ] {
            let hint = hint(class, code, side, operation).expect(code);
            assert!(hint.contains(part), "{code} on {operation}: {hint}");
        }
        assert_eq!(hint(Permanent, "EntityTooLarge", Side::Destination, "PutObject"), None);
    }

    #[test]
    fn groups_have_counts_times_and_the_common_prefix() {
        let mut groups = Groups::default();
        for (key, code, at) in [("audit/ä1", "AccessDenied", 5), ("audit/ä2", "AccessDenied", 3), ("x", "KmsDenied", 9)] {
            groups.add(&item(key, code, at));
        }
        let list = groups.list();
        assert_eq!((list[0].count, list[0].first, list[0].last), (2, Timestamp(3), Timestamp(5)));
        assert_eq!(list[0].prefix, "audit/ä");
        assert!(list[0].hint.as_deref().is_some_and(|h| h.contains("s3:GetObject")));
        assert_eq!(list[1].prefix, "x");
    }
}
