//! Listings: versions of the request, order, percent-encoding, pages.

use dth_proto::doctor::Finding;

use super::examination::{CONTENT, Examination, Page};

/// Version 2 of the request.
pub(super) const V2: &str = "list, version 2";
/// Version 1 of the request.
pub(super) const V1: &str = "list, version 1";
/// Keys in byte order.
pub(super) const ORDER: &str = "keys in byte order";
/// Keys in percent-encoding.
pub(super) const ENCODING: &str = "keys in percent-encoding";

/// In byte order. Other orders are those of a file system ("a/x" before "a-b"), of letters, of UTF-16 ("𐀀" before "～").
/// What says that it is encoded, and is not, comes back otherwise where it has "+" and "%".
const KEYS: [&str; 10] = ["A", "a b", "a+b%20", "a-b", "a.b", "a/x", "b", "é", "～", "𐀀"];
const FOLDER: &str = "order/";

pub(super) async fn examine(x: &mut Examination<'_>) {
    let mut written = true;
    for key in KEYS {
        let put = x.put(&format!("{FOLDER}{key}"), CONTENT, &[]).await;
        written &= put.is_ok_and(|reply| reply.is_ok());
    }
    let all: Vec<String> = KEYS.iter().map(|key| x.key(&format!("{FOLDER}{key}"))).collect();
    let complete = |found: &[String]| {
        let mut found = found.to_vec();
        found.sort_unstable();
        found == all
    };
    let mut order = None;
    for (name, version) in [(V2, 2), (V1, 1)] {
        match x.list(FOLDER, &Page { version, ..Page::default() }).await {
            Err(why) => x.found(name, Finding::No, why),
            Ok(listed) if !complete(&listed.keys) => {
                let works = if written { Finding::No } else { Finding::Unknown };
                x.found(name, works, format!("lists {} keys, not the {} that were written", listed.keys.len(), all.len()));
            }
            Ok(listed) => {
                order.get_or_insert((version, listed.keys));
                x.found(name, Finding::Yes, "");
            }
        }
    }
    let Some((version, keys)) = order else {
        for name in [ORDER, ENCODING, "pages", "listing from a key on"] {
            x.found(name, Finding::Unknown, "there is no listing");
        }
        return;
    };
    match keys.windows(2).find(|pair| pair[0] > pair[1]) {
        None => x.found(ORDER, Finding::Yes, ""),
        Some(pair) => {
            let shown = |key: &str| key.strip_prefix(&x.prefix).unwrap_or(key).to_owned();
            let (first, second) = (shown(&pair[0]), shown(&pair[1]));
            x.found(ORDER, Finding::No, format!("{first:?} comes before {second:?}"));
        }
    }
    let encoded = match x.list(FOLDER, &Page { version, url_encoding: true, ..Page::default() }).await {
        Ok(listed) if !listed.encoded => (Finding::No, "asked for it, the store answers without EncodingType".to_owned()),
        Ok(listed) if complete(&listed.keys) => (Finding::Yes, String::new()),
        Ok(_) => (Finding::No, "the keys do not come back as they were written".to_owned()),
        Err(why) => (Finding::No, why),
    };
    let url_encoding = encoded.0 == Finding::Yes;
    x.found(ENCODING, encoded.0, encoded.1);
    x.listing = Some((version, url_encoding));

    let base = Page { version, url_encoding, ..Page::default() };
    let paged = pages(x, &base, all.len()).await;
    match paged {
        Ok(found) if complete(&found) => x.found("pages", Finding::Yes, ""),
        Ok(found) => x.found("pages", Finding::No, format!("pages of two have {} keys together, not {}", found.len(), all.len())),
        Err(why) => x.found("pages", Finding::No, why),
    }
    let start = all[4].clone();
    match x.list(FOLDER, &Page { start_after: Some(&start), ..base }).await {
        Ok(mut listed) => {
            listed.keys.sort_unstable();
            if listed.keys == all[5..] {
                x.found("listing from a key on", Finding::Yes, "");
            } else {
                x.found(
                    "listing from a key on",
                    Finding::No,
                    format!("lists {} keys, not the {} behind it", listed.keys.len(), all.len() - 5),
                );
            }
        }
        Err(why) => x.found("listing from a key on", Finding::No, why),
    }
}

/// All keys, two at a time; at most twice as many requests as are needed.
async fn pages(x: &mut Examination<'_>, base: &Page<'_>, most: usize) -> Result<Vec<String>, String> {
    let mut keys: Vec<String> = Vec::new();
    let (mut token, mut last): (Option<String>, Option<String>) = (None, None);
    for _ in 0..most {
        let page = Page { limit: Some("2"), token: token.as_deref(), start_after: last.as_deref(), ..*base };
        let listed = x.list(FOLDER, &page).await?;
        last = listed.keys.last().cloned();
        keys.extend(listed.keys);
        match listed.next {
            None => return Ok(keys),
            // the store goes on behind the last key
            Some(next) => token = Some(next).filter(|next| !next.is_empty()),
        }
    }
    Err(format!("pages of two go on after {most} of them"))
}
