//! Listings: one page of keys, in byte order or the way SeaweedFS walks directories.

use std::{cmp::Ordering, collections::BTreeMap, ops::Bound, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    count::Listed,
    error::S3Error,
    operation::Operation,
    reply::Reply,
    route::Call,
    store::{Buckets, Object},
    xml::Xml,
};

/// What `encoding-type=url` leaves alone (AWS: as in HTML forms, and `/`); spaces become `+` afterwards.
const KEEP: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');
/// Most keys in one page (AWS).
pub(super) const MAX_KEYS: usize = 1_000;

/// What a listing does wrong on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Defects {
    /// Directory by directory, as SeaweedFS does: `a/b` before `a-b`.
    pub by_directory: bool,
    /// `IsTruncated` without a token to go on with.
    pub no_token: bool,
    /// The token leads to the same page again.
    pub repeat: bool,
    /// Keys are not URL-encoded, even when asked for.
    pub plain: bool,
}

#[derive(Debug)]
pub(super) struct Request<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    pub after: &'a str,
    pub max: usize,
    pub by_directory: bool,
}

#[derive(Debug, Default)]
pub(super) struct Page {
    pub objects: Vec<(String, Arc<Object>)>,
    pub prefixes: Vec<String>,
    /// The last key or common prefix of the page, when there is more behind it.
    pub next: Option<String>,
}

/// Compares segment by segment, so that everything below `a/` comes before `a-b`.
fn directory_order(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

pub(super) fn page(objects: &BTreeMap<String, Arc<Object>>, request: &Request<'_>) -> Page {
    let from = request.prefix.max(if request.by_directory { "" } else { request.after });
    let matching =
        objects.range::<str, _>((Bound::Included(from), Bound::Unbounded)).take_while(|(key, _)| key.starts_with(request.prefix));
    if request.by_directory {
        let mut sorted: Vec<_> = matching.collect();
        sorted.sort_by(|(a, _), (b, _)| directory_order(a, b));
        let behind = |(key, _): &(&String, _)| request.after.is_empty() || directory_order(key, request.after).is_gt();
        collect(sorted.into_iter().filter(behind), request)
    } else {
        collect(matching.filter(|(key, _)| key.as_str() > request.after), request)
    }
}

fn collect<'a>(entries: impl Iterator<Item = (&'a String, &'a Arc<Object>)>, request: &Request<'_>) -> Page {
    let mut page = Page::default();
    let mut last = String::new();
    for (key, object) in entries {
        let common = common_prefix(key, request);
        // a common prefix that the last page ended with has been told
        if common.is_some_and(|common| common == request.after || common == last) {
            continue;
        }
        if page.objects.len() + page.prefixes.len() == request.max {
            page.next = Some(last).filter(|last| !last.is_empty());
            break;
        }
        match common {
            Some(common) => {
                common.clone_into(&mut last);
                page.prefixes.push(common.to_owned());
            }
            None => {
                key.clone_into(&mut last);
                page.objects.push((key.clone(), Arc::clone(object)));
            }
        }
    }
    page
}

fn common_prefix<'k>(key: &'k str, request: &Request<'_>) -> Option<&'k str> {
    if request.delimiter.is_empty() {
        return None;
    }
    let at = key[request.prefix.len()..].find(request.delimiter)?;
    Some(&key[..request.prefix.len() + at + request.delimiter.len()])
}

/// `ListObjects` and `ListObjectsV2`.
pub(super) fn reply(call: &Call, buckets: &mut Buckets, defects: Defects, most_keys: usize) -> Result<Reply, S3Error> {
    let query = |name| call.query.get(name).unwrap_or_default();
    let v2 = call.operation == Operation::ListObjectsV2;
    let token = call.query.get("continuation-token").map(untoken).transpose()?;
    let start = if v2 { query("start-after") } else { query("marker") };
    let after = token.as_deref().unwrap_or(start);
    let max = call.query.number("max-keys")?.map_or(most_keys, |n| most_keys.min(n as usize));
    let delimiter = query("delimiter");
    let request = Request { prefix: query("prefix"), delimiter, after, max, by_directory: defects.by_directory };
    let page = page(&buckets.bucket(&call.bucket)?.objects, &request);

    let url = query("encoding-type") == "url" && !defects.plain;
    let encode = |text: &str| encode(text, url);
    let text = Xml::document("ListBucketResult", |xml| {
        xml.text("Name", &call.bucket);
        xml.text("Prefix", encode(request.prefix));
        if !delimiter.is_empty() {
            xml.text("Delimiter", encode(delimiter));
        }
        xml.text("MaxKeys", max);
        if url {
            xml.text("EncodingType", "url");
        }
        xml.text("IsTruncated", page.next.is_some() || defects.no_token);
        let next = page.next.as_deref().filter(|_| !defects.no_token).map(|next| if defects.repeat { after } else { next });
        if v2 {
            xml.text("KeyCount", page.objects.len() + page.prefixes.len());
            xml.text("StartAfter", encode(start));
            if let Some(next) = next {
                xml.text("NextContinuationToken", token_of(next));
            }
        } else {
            xml.text("Marker", encode(start));
            // AWS sends NextMarker only with a delimiter; without one, clients continue after the last key
            if let Some(next) = next.filter(|_| !delimiter.is_empty() || defects.repeat) {
                xml.text("NextMarker", encode(next));
            }
        }
        for (key, object) in &page.objects {
            xml.element("Contents", |xml| contents(xml, &encode(key), object));
        }
        for prefix in &page.prefixes {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", encode(prefix)));
        }
    });
    let last = page.objects.last().map(|(key, _)| key.clone());
    let told = Listed { prefix: request.prefix.to_owned(), after: after.to_owned(), last, keys: page.objects.len() };
    Ok(Reply { listed: Some(told), ..Reply::xml(text) })
}

fn contents(xml: &mut Xml, key: &str, object: &Object) {
    xml.text("Key", key);
    xml.text("LastModified", iso_time(object.modified));
    xml.text("ETag", format_args!("\"{}\"", object.etag));
    for sum in &object.checksums {
        xml.text("ChecksumAlgorithm", sum.algorithm.word());
        xml.text("ChecksumType", if sum.composite() { "COMPOSITE" } else { "FULL_OBJECT" });
    }
    xml.text("Size", object.data.len());
    xml.text("StorageClass", &object.attributes.storage_class);
}

/// As S3 writes times in XML: whole seconds.
pub(super) fn iso_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

pub(super) fn encode(text: &str, url: bool) -> String {
    if url { utf8_percent_encode(text, &KEEP).to_string().replace(' ', "+") } else { text.to_owned() }
}

/// Tokens are opaque to clients; an empty position (start of the listing) must be expressible too.
fn token_of(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{after}"))
}

fn untoken(token: &str) -> Result<String, S3Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let after = bytes.as_deref().and_then(|text| text.strip_prefix("after:")).map(str::to_owned);
    after.ok_or_else(|| S3Error::invalid_argument("The continuation token provided is incorrect"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(keys: &[String]) -> BTreeMap<String, Arc<Object>> {
        keys.iter().map(|key| (key.clone(), Arc::new(Object::new("")))).collect()
    }

    fn walk(objects: &BTreeMap<String, Arc<Object>>, prefix: &str, delimiter: &str, max: usize, by_directory: bool) -> Vec<String> {
        let (mut after, mut found) = (String::new(), Vec::new());
        loop {
            let page = page(objects, &Request { prefix, delimiter, after: &after, max, by_directory });
            assert!(page.objects.len() + page.prefixes.len() <= max);
            found.extend(page.objects.into_iter().map(|(key, _)| key));
            found.extend(page.prefixes);
            match page.next {
                Some(next) => after = next,
                None => return found,
            }
        }
    }

    proptest! {
        #[test]
        fn pages_give_everything_once(keys in proptest::collection::btree_set("[ab/-]{1,6}", 0..40), prefix in "[ab/]{0,2}", max in 1_usize..7) {
            let keys: Vec<String> = keys.into_iter().collect();
            let objects = bucket(&keys);
            let expected: Vec<String> = keys.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
            prop_assert_eq!(walk(&objects, &prefix, "", max, false), expected.clone());
            let mut by_directory = walk(&objects, &prefix, "", max, true);
            prop_assert!(by_directory.is_sorted_by(|a, b| directory_order(a, b).is_lt()));
            by_directory.sort();
            prop_assert_eq!(by_directory, expected.clone());

            let mut rolled: Vec<String> = expected.iter().map(|key| match key[prefix.len()..].find('/') {
                Some(at) => key[..=prefix.len() + at].to_owned(),
                None => key.clone(),
            }).collect();
            rolled.dedup();
            let mut found = walk(&objects, &prefix, "/", max, false);
            found.sort();
            prop_assert_eq!(found, rolled);
        }

        #[test]
        fn tokens_come_back(key in "\\PC*") {
            prop_assert_eq!(untoken(&token_of(&key)), Ok(key));
        }
    }

    #[test]
    fn keys_are_encoded_as_aws_does() {
        assert_eq!(encode("a b+c/é\u{1}~*(%", true), "a+b%2Bc/%C3%A9%01%7E*%28%25");
        assert_eq!(encode("a b", false), "a b");
    }

    #[test]
    fn directories_come_before_longer_names() {
        let keys = ["a-b", "a/b", "a", "b"].map(str::to_owned);
        assert_eq!(walk(&bucket(&keys), "", "", 10, true), ["a", "a/b", "a-b", "b"]);
        assert_eq!(walk(&bucket(&keys), "", "", 10, false), ["a", "a-b", "a/b", "b"]);
    }
}
