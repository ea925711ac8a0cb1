//! Tags: in headers, in XML, and the operations on them.

use std::{collections::BTreeMap, sync::Arc};

use hyper::StatusCode;

use super::{
    error::S3Error,
    operation::Operation,
    reply::Reply,
    route::{Call, decode},
    store::Buckets,
    xml::{self, Xml},
};

/// Most tags on an object (AWS).
const MAX_TAGS: usize = 10;

/// `a=1&b=2`, as in `x-amz-tagging`.
pub(super) fn from_header(text: &str) -> Result<BTreeMap<String, String>, S3Error> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decode(&key.replace('+', " "))?, decode(&value.replace('+', " "))?))
    };
    checked(text.split('&').filter(|part| !part.is_empty()).map(pair).collect::<Result<_, _>>()?)
}

fn checked(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, S3Error> {
    let count = pairs.len();
    let tags: BTreeMap<_, _> = pairs.into_iter().collect();
    if tags.len() < count || count > MAX_TAGS { Err(S3Error::invalid_tag()) } else { Ok(tags) }
}

pub(super) fn reply(call: &Call, buckets: &mut Buckets) -> Result<Reply, S3Error> {
    if call.operation == Operation::GetObjectTagging {
        let (object, _) = buckets.bucket(&call.bucket)?.found(call)?;
        return Ok(Reply::xml(Xml::document("Tagging", |xml| {
            xml.element("TagSet", |xml| {
                for (key, value) in &object.attributes.tags {
                    xml.element("Tag", |xml| {
                        xml.text("Key", key);
                        xml.text("Value", value);
                    });
                }
            });
        })));
    }
    let object = buckets.bucket(&call.bucket)?.objects.get_mut(&call.key).ok_or_else(S3Error::no_such_key)?;
    match call.operation {
        Operation::PutObjectTagging => {
            let body = call.body.to_bytes();
            let text = std::str::from_utf8(&body).map_err(|_| S3Error::malformed_xml())?;
            let tag = |inside: &str| Some((xml::text(inside, "Key")?, xml::text(inside, "Value")?));
            let pairs = xml::elements(text, "Tag").into_iter().map(tag).collect::<Option<Vec<_>>>().ok_or_else(S3Error::malformed_xml)?;
            Arc::make_mut(object).attributes.tags = checked(pairs)?;
            Ok(Reply::new(StatusCode::OK))
        }
        _ => {
            Arc::make_mut(object).attributes.tags.clear();
            Ok(Reply::new(StatusCode::NO_CONTENT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_and_checked() {
        let tags = from_header("a=1&b+c=%26%3D&d").unwrap();
        assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("a", "1"), ("b c", "&="), ("d", "")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(from_header("a=1&a=2").is_err());
        assert!(from_header(&(0..11).map(|n| format!("k{n}=v&")).collect::<String>()).is_err());
    }
}
