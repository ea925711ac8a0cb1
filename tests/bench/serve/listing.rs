//! `ListObjects` and `ListObjectsV2` over keys that are computed.

use std::io::Write as _;

use hyper::{Response, StatusCode};

use super::{DESTINATION, SOURCE, Shared, error, query::Query, xml};
use crate::{content::Pieces, keys::Keys};

/// Most keys in one page (AWS).
const MAX_KEYS: u64 = 1_000;
/// Bytes of XML for each object, about.
const ROW: usize = 240;
/// Last-Modified of the objects of the source.
pub(super) const MODIFIED: &str = "2026-01-02T03:04:05.000Z";
/// Last-Modified of their copies.
const COPIED: &str = "2026-02-03T04:05:06.000Z";

pub(super) fn reply(shared: &Shared, bucket: &str, query: &Query<'_>) -> Response<Pieces> {
    for (name, answer) in [
        ("versioning", "<VersioningConfiguration/>"),
        ("location", "<LocationConstraint/>"),
        ("uploads", "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"),
    ] {
        if query.has(name) {
            return xml(answer);
        }
    }
    let (keys, modified) = match bucket {
        SOURCE => (shared.settings.keys, MODIFIED),
        DESTINATION if shared.settings.equal => (shared.settings.keys, COPIED),
        DESTINATION => (Keys { count: 0, ..shared.settings.keys }, COPIED),
        _ => return error(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist"),
    };
    let row = Row { etag: &shared.etag, size: shared.settings.size.0, modified };
    xml(page(keys, &row, query))
}

/// What is the same for all objects of a bucket.
struct Row<'a> {
    etag: &'a str,
    size: u64,
    modified: &'a str,
}

fn page(keys: Keys, row: &Row<'_>, query: &Query<'_>) -> Vec<u8> {
    let prefix = query.get("prefix").unwrap_or_default();
    let v2 = query.get("list-type") == Some("2");
    // a token is the key behind which the listing goes on
    let start = query.get("continuation-token").or(query.get(if v2 { "start-after" } else { "marker" })).unwrap_or_default();
    let max = query.number("max-keys").unwrap_or(MAX_KEYS).min(MAX_KEYS);
    let within = keys.within(prefix);
    let mut n = within.start.max(keys.behind(start));
    // a common prefix as the place to go on: everything below it has been told
    if query.has("delimiter") && start.ends_with('/') {
        n = n.max(keys.within(start).end);
    }
    let end = within.end;
    let mut rows = Vec::with_capacity(ROW * usize::try_from(max.min(end.saturating_sub(n))).unwrap_or(0) + ROW);
    let mut last = Vec::new();
    let mut told = 0;
    let tail = format!(
        "</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
        row.modified, row.etag, row.size
    );
    while n < end && told < max {
        told += 1;
        match query.get("delimiter").and_then(|delimiter| common(keys, n, prefix, delimiter)) {
            Some(common) => {
                n = keys.within(&common).end;
                // writing to a Vec cannot fail
                let _ = write!(rows, "<CommonPrefixes><Prefix>{common}</Prefix></CommonPrefixes>");
                last = common.into_bytes();
            }
            None => {
                rows.extend_from_slice(b"<Contents><Key>");
                let key = rows.len();
                keys.write(n, &mut rows);
                if told == max || n + 1 == end {
                    last = rows[key..].to_vec();
                }
                rows.extend_from_slice(tail.as_bytes());
                n += 1;
            }
        }
    }
    let truncated = n < end && max > 0;
    let last = String::from_utf8_lossy(&last);
    let next = match (truncated, v2) {
        (true, true) => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
        // AWS sends it only with a delimiter; without one, clients go on after the last key
        (true, false) if query.has("delimiter") => format!("<NextMarker>{last}</NextMarker>"),
        _ => String::new(),
    };
    let encoding = if query.get("encoding-type") == Some("url") { "<EncodingType>url</EncodingType>" } else { "" };
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Prefix>{prefix}</Prefix><MaxKeys>{max}</MaxKeys><KeyCount>{told}</KeyCount>{encoding}<IsTruncated>{truncated}</IsTruncated>{next}"
    )
    .into_bytes();
    text.reserve(rows.len() + 32);
    text.extend_from_slice(&rows);
    text.extend_from_slice(b"</ListBucketResult>");
    text
}

/// What key `n` has in common with others up to the first delimiter behind the prefix.
fn common(keys: Keys, n: u64, prefix: &str, delimiter: &str) -> Option<String> {
    let key = keys.key(n);
    let at = key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty())?;
    Some(key[..prefix.len() + at + delimiter.len()].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row<'static> = Row { etag: "0123", size: 7, modified: MODIFIED };

    /// All text between a pair of tags.
    fn between(page: &str, tag: &str) -> Vec<String> {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        page.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }

    fn walk(keys: Keys, question: &str, token: &str) -> (Vec<String>, Vec<String>) {
        let (mut found, mut folders, mut next) = (Vec::new(), Vec::new(), None::<String>);
        loop {
            let text = next.map_or_else(|| question.to_owned(), |next| format!("{question}&{token}={next}"));
            let page = String::from_utf8(page(keys, &ROW, &Query::parse(Some(&text)))).unwrap();
            found.extend(between(&page, "Key"));
            folders.extend(between(&page, "CommonPrefixes").iter().flat_map(|folder| between(folder, "Prefix")));
            if between(&page, "IsTruncated") == ["false"] {
                return (found, folders);
            }
            next = between(&page, "NextContinuationToken").pop().or_else(|| between(&page, "NextMarker").pop()).or(found.last().cloned());
        }
    }

    #[test]
    fn every_walk_finds_every_key_once() {
        for flat in [false, true] {
            let keys = Keys { count: 3_500, flat };
            let all: Vec<String> = (0..3_500).map(|n| keys.key(n)).collect();
            for (question, token) in
                [("list-type=2", "continuation-token"), ("list-type=2&max-keys=7", "start-after"), ("max-keys=999", "marker")]
            {
                assert_eq!(walk(keys, question, token), (all.clone(), Vec::new()), "{question} {token}");
            }
        }
    }

    #[test]
    fn folders_are_told_once() {
        let keys = Keys { count: 3_500, flat: false };
        for (question, token) in [
            ("list-type=2&delimiter=%2F&max-keys=3", "continuation-token"),
            ("delimiter=%2F", "marker"),
            ("delimiter=%2F&max-keys=1", "marker"),
        ] {
            let (found, folders) = walk(keys, question, token);
            assert_eq!((found.len(), folders), (0, (0..4).map(|n| format!("{n:012}/")).collect()), "{question}");
        }
        let (found, folders) = walk(keys, "list-type=2&delimiter=/&prefix=000000000003/", "continuation-token");
        assert_eq!((found.len(), folders.len()), (500, 0));
    }
}
