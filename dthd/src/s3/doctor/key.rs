//! Keys that some stores do not keep.

use dth_proto::doctor::Finding;

use super::examination::{Examination, Page, judged};

/// What it is called, and the key: it stays below the prefix even where a server resolves its steps.
const KEYS: [(&str, &str); 8] = [
    ("key with //", "odd//slashes"),
    ("key with . and ..", "odd/./../dots"),
    ("key with \\", "odd\\backslash"),
    ("key with line break", "odd\nline"),
    ("key with control characters", "odd\u{1}control\u{7f}"),
    ("key with spaces, + and %", "odd +%2B%percent "),
    ("key in other scripts", "odd-ü-你-😀"),
    ("key that ends in /, with content", "odd-folder/"),
];

pub(super) async fn examine(x: &mut Examination<'_>) {
    for (name, rest) in KEYS {
        // what it holds is what it is called
        let content = rest.as_bytes();
        let written = x.put(rest, content, &[]).await;
        let (works, answer) = judged(written, |_| Ok(()));
        if works != Finding::Yes {
            x.found(name, works, answer);
            continue;
        }
        let read = x.get(rest, &[]).await;
        let (works, answer) =
            judged(read, |reply| if reply.body == content { Ok(()) } else { Err("its content does not come back".to_owned()) });
        if works != Finding::Yes {
            x.found(name, works, answer);
            continue;
        }
        let Some((version, url_encoding)) = x.listing else {
            x.found(name, Finding::Unknown, "it comes back, but there is no listing to see it in");
            continue;
        };
        let key = x.key(rest);
        match x.list("odd", &Page { version, url_encoding, ..Page::default() }).await {
            Ok(listed) if listed.keys.contains(&key) => x.found(name, Finding::Yes, ""),
            Ok(_) => x.found(name, Finding::No, "it comes back, but listings do not have it"),
            Err(why) => x.found(name, Finding::No, format!("listings with it cannot be read: {why}")),
        }
        // one that breaks listings must not be in those of the next
        let removed = x.about(http::Method::DELETE, Some(&key), &[], &[]).await;
        if removed.is_ok_and(|reply| reply.is_ok()) {
            x.keys.remove(&key);
        }
    }
}
