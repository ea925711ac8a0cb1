//! Listings as stores write them, and as none should.

use proptest::prelude::*;

use super::*;
use crate::s3::{
    list::fake::hostile_key,
    object::{ETag, Entry},
};

/// How a store writes.
#[derive(Clone, Copy, Debug)]
struct Style {
    url: Encoding,
    version_1: bool,
    /// Everything AWS says about an object, else only what is needed.
    full: bool,
    /// A prefix before all names.
    prefix: bool,
    /// Line breaks and comments between the elements.
    spaced: bool,
    texts: Texts,
    quotes: Quotes,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    None,
    First,
    Last,
}

#[derive(Clone, Copy, Debug)]
enum Texts {
    /// As few references as possible.
    Raw,
    /// Control characters and all that is special by number.
    Numbers,
    CData,
}

#[derive(Clone, Copy, Debug)]
enum Quotes {
    None,
    Plain,
    References,
    Weak,
}

fn style() -> impl Strategy<Value = Style> {
    let url = prop::sample::select(vec![Encoding::None, Encoding::First, Encoding::Last]);
    let texts = prop::sample::select(vec![Texts::Raw, Texts::Numbers, Texts::CData]);
    let quotes = prop::sample::select(vec![Quotes::None, Quotes::Plain, Quotes::References, Quotes::Weak]);
    (url, any::<[bool; 4]>(), texts, quotes).prop_map(|(url, [version_1, full, prefix, spaced], texts, quotes)| Style {
        url,
        version_1,
        full,
        prefix,
        spaced,
        texts,
        quotes,
    })
}

struct Writer {
    style: Style,
    out: String,
}

impl Writer {
    fn open(&mut self, name: &str) {
        let prefix = if self.style.prefix { "s3:" } else { "" };
        self.out += &format!("<{prefix}{name}>");
    }

    fn close(&mut self, name: &str) {
        let prefix = if self.style.prefix { "s3:" } else { "" };
        self.out += &format!("</{prefix}{name}>");
        if self.style.spaced {
            self.out += "\n  <!-- < & > -->";
        }
    }

    fn raw(&mut self, name: &str, text: &str) {
        self.open(name);
        self.out += text;
        self.close(name);
    }

    fn text(&mut self, name: &str, text: &str) {
        let text = match self.style.texts {
            Texts::Raw => text.replace('&', "&amp;").replace('<', "&lt;"),
            Texts::Numbers => {
                let number = |c: char| match c {
                    '&' | '<' | '>' | '"' | '\'' => format!("&#{};", c as u32),
                    c if c.is_control() => format!("&#x{:X};", c as u32),
                    c => c.to_string(),
                };
                text.chars().map(number).collect()
            }
            Texts::CData => format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>")),
        };
        self.raw(name, &text);
    }

    fn key(&mut self, name: &str, key: &str) {
        match self.style.url {
            Encoding::None => self.text(name, key),
            _ => {
                let encoded = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string();
                self.text(name, &encoded.replace("%2F", "/").replace("%20", "+"));
            }
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let etag = entry.etag.as_str();
        self.open("Contents");
        self.key("Key", &entry.key);
        self.raw("LastModified", &format!("{}", jiff::Timestamp::from_millisecond(entry.modified.0 as i64).expect("in range")));
        match self.style.quotes {
            Quotes::None => self.text("ETag", etag),
            Quotes::Plain => self.text("ETag", &format!("\"{etag}\"")),
            Quotes::References => self.raw("ETag", &format!("&quot;{etag}&quot;")),
            Quotes::Weak => self.text("ETag", &format!("W/\"{etag}\"")),
        }
        if self.style.full {
            self.raw("ChecksumAlgorithm", "CRC64NVME");
            self.raw("ChecksumType", "FULL_OBJECT");
        }
        self.raw("Size", &entry.size.to_string());
        if self.style.full {
            self.out += "<Owner><ID>0123456789abcdef</ID><DisplayName/><Key>not this</Key><x><Size>no</Size></x></Owner>";
            self.out += "<RestoreStatus at='1 > 0'><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>";
        }
        if !entry.class.is_empty() || self.style.full {
            self.text("StorageClass", &entry.class);
        }
        self.close("Contents");
    }

    fn listing(style: Style, entries: &[Entry], truncated: bool, next: Option<&str>) -> String {
        let mut writer = Self { style, out: String::new() };
        if style.full {
            writer.out += "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a listing -->\n";
        }
        writer.open("ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\" odd='>'");
        writer.text("Name", "bucket");
        writer.out += if style.full { "<Prefix/>" } else { "<Prefix></Prefix>" };
        if style.url == Encoding::First {
            writer.raw("EncodingType", "url");
        }
        writer.raw("IsTruncated", if truncated { "true" } else { "false" });
        for entry in entries {
            writer.entry(entry);
        }
        if style.full {
            writer.out += "<CommonPrefixes><Prefix>a/</Prefix><Contents><Key>no</Key></Contents></CommonPrefixes>";
        }
        match next {
            Some(next) if style.version_1 => writer.key("NextMarker", next),
            Some(next) => writer.text("NextContinuationToken", next),
            None => {}
        }
        if style.url == Encoding::Last {
            writer.raw("EncodingType", "url");
        }
        writer.close("ListBucketResult");
        // the name of the element without what stood behind it
        writer.out
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let key = prop_oneof![hostile_key(), "[ -~]{1,20}", any::<String>().prop_filter("keys are not empty", |k| !k.is_empty())];
    let class = prop::sample::select(vec!["", "STANDARD", "GLACIER_IR"]);
    let etag = prop_oneof![Just(String::new()), "[0-9a-f]{32}", "[0-9a-f]{32}-[1-9]", "[a-z&<>]{1,4}"];
    let entry = (key, any::<u64>(), etag, 0u64..4_000_000_000_000, class);
    let entry = entry.prop_map(|(key, size, etag, modified, class)| Entry {
        key,
        size,
        etag: ETag::new(&etag),
        modified: Timestamp(modified),
        class: class.to_owned(),
        version: None,
    });
    prop::collection::vec(entry, 0..6)
}

/// A reference to `&` and `<` in an entity tag is not what [`Quotes::References`] writes.
fn writable(style: Style, entries: &[Entry]) -> bool {
    !matches!(style.quotes, Quotes::References) || entries.iter().all(|e| !e.etag.as_str().contains(['&', '<']))
}

proptest! {
    #[test]
    fn what_is_written_in_any_style_comes_back(
        entries in entries(), style in style(), truncated: bool, next in prop::option::of(hostile_key()),
    ) {
        prop_assume!(writable(style, &entries));
        let body = Writer::listing(style, &entries, truncated, next.as_deref());
        let answer = scan(body.as_bytes());
        let wanted = Answer { page: entries.into_iter().collect(), next: truncated.then(|| next.unwrap_or_default()) };
        let answer = answer.map_err(|e| TestCaseError::fail(format!("{e} in {body}")))?;
        let list = |answer: &Answer| answer.page.iter().map(|e| e.to_entry()).collect::<Vec<_>>();
        prop_assert_eq!(list(&answer), list(&wanted), "{}", body);
        prop_assert_eq!(answer.next, wanted.next, "{}", body);
    }

    #[test]
    fn half_a_document_is_an_error_wherever_it_is_cut(entries in entries(), style in style(), cut: prop::sample::Index) {
        let body = Writer::listing(style, &entries, false, None);
        let end = body.rfind("ListBucketResult>").expect("its end") + "ListBucketResult>".len();
        let cut = cut.index(end);
        prop_assert!(scan(&body.as_bytes()[..cut]).is_err(), "cut at {}: {}", cut, body);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(scan(&bytes).is_err());
    }

    #[test]
    fn no_change_of_a_listing_is_too_odd(
        entries in entries(), style in style(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = Writer::listing(style, &entries, true, Some("t")).into_bytes();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = scan(&body);
    }

    #[test]
    fn elements_in_any_order_are_no_puzzle(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<Contents>", "</Contents>", "<Key>", "</Key>", "a", "&amp;", "<Key/>", "<Size>1</Size>", "<![CDATA[", "]]>", "<!--", "-->",
            "<ListBucketResult>", "</ListBucketResult>", "<?", "?>", "<x a='>'", ">", "<", "&", "\"", "<Error>", "</Error>", "<a:b:c>",
        ]), 0..12),
    ) {
        let _ = scan(parts.concat().as_bytes());
    }
}

fn one(contents: &str) -> Result<Entry, ScanError> {
    let body = format!("<ListBucketResult><Contents>{contents}</Contents></ListBucketResult>");
    scan(body.as_bytes()).map(|answer| answer.page.first().expect("an object").to_entry())
}

#[test]
fn keys_are_taken_as_they_are() {
    for (written, key) in [
        ("<Key> a </Key>", " a "),
        ("<Key>a\r\nb\u{1}</Key>", "a\r\nb\u{1}"),
        ("<Key>a&#13;&#x1;</Key>", "a\r\u{1}"),
        ("<Key>a%2Fb+c</Key>", "a%2Fb+c"),
        ("<Key>a<!-- b -->c<?d e?><![CDATA[<&amp;]]><f>g</f><h/></Key>", "ac<&amp;"),
        ("<Key x=\"'>\" y='\"/>'>a</Key >", "a"),
        ("<Owner><Key>b</Key></Owner><Key>a</Key><Other><Key>c</Key></Other>", "a"),
        ("<Key>a</Key><Keys>b</Keys><key>c</key>", "a"),
    ] {
        assert_eq!(one(&format!("{written}<Size>1</Size>")).map(|e| e.key).as_deref(), Ok(key), "{written}");
    }
}

#[test]
fn what_is_missing_or_senseless_is_named() {
    let bad = |element, text: &str| ScanError::BadValue { element, text: text.to_owned() };
    for (written, wanted) in [
        ("<Size>1</Size>", ScanError::NoKey),
        ("<Key/><Size>1</Size>", ScanError::NoKey),
        ("<Key>a</Key>", ScanError::NoSize { key: "a".to_owned() }),
        ("<Key>a</Key><Size>-1</Size>", bad("Size", "-1")),
        ("<Key>a</Key><Size>18446744073709551616</Size>", bad("Size", "18446744073709551616")),
        ("<Key>a</Key><Size/>", bad("Size", "")),
        ("<Key>a</Key><Size>1</Size><LastModified>now</LastModified>", bad("LastModified", "now")),
    ] {
        assert_eq!(one(written), Err(wanted), "{written}");
    }
    for written in ["<Key>a & b</Key>", "<Key>&nbsp;</Key>", "<Key>a</Kez>", "<Key>a</Key></Size>", "<>", "<!DOCTYPE x>", "</Owner>"] {
        assert!(matches!(one(written), Err(ScanError::NotXml { .. } | ScanError::Truncated { .. })), "{written}: {:?}", one(written));
    }
}

#[test]
fn keys_that_are_not_utf8_are_told() {
    let raw = b"<ListBucketResult><Contents><Key>a\xff</Key><Size>1</Size></Contents></ListBucketResult>";
    assert_eq!(scan(raw), Err(ScanError::NotUtf8 { element: "Key", text: "a\u{fffd}".to_owned() }));
    for order in ["<EncodingType>url</EncodingType>OBJECT", "OBJECT<EncodingType>url</EncodingType>"] {
        let body = order.replace("OBJECT", "<Contents><Key>a%FF</Key><Size>1</Size></Contents>");
        let error = scan(format!("<ListBucketResult>{body}</ListBucketResult>").as_bytes()).expect_err("not UTF-8");
        assert_eq!((error.code(), error.class()), ("InvalidKey", FailureClass::Permanent));
    }
}

#[test]
fn what_a_store_says_instead_is_heard() {
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>less &amp; later</Message><x><Code>y</Code></x></Error>";
    let wanted = ScanError::Store { code: "SlowDown".to_owned(), message: "less & later".to_owned() };
    assert_eq!(scan(body.as_bytes()), Err(wanted));
    assert_eq!(scan(b"<html><body>no</body></html>"), Err(ScanError::OtherDocument { root: "html".to_owned() }));
    for text in ["", " \n", "<?xml version=\"1.0\"?>", "<!-- x -->"] {
        assert!(matches!(scan(text.as_bytes()), Err(ScanError::Truncated { .. })), "{text:?}");
    }
    for text in ["no", "{}", "<ListBucketResult/><ListBucketResult/>", "<ListBucketResult/>x", "<!DOCTYPE a><ListBucketResult/>"] {
        assert!(matches!(scan(text.as_bytes()), Err(ScanError::NotXml { .. } | ScanError::Truncated { .. })), "{text:?}");
    }
}

#[test]
fn whether_there_is_more() {
    let next = |inner: &str| scan(format!("<ListBucketResult>{inner}</ListBucketResult>\n<!-- . -->").as_bytes()).map(|a| a.next);
    for (inner, wanted) in [
        ("", None),
        ("<IsTruncated>false</IsTruncated>", None),
        ("<IsTruncated/>", None),
        ("<IsTruncated> True </IsTruncated>", Some("")),
        ("<IsTruncated>true</IsTruncated><NextMarker/>", Some("")),
        ("<IsTruncated>true</IsTruncated><NextMarker>a+b </NextMarker>", Some("a+b ")),
        ("<NextMarker>a+b%2F</NextMarker><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>", Some("a b/")),
        (
            "<NextContinuationToken>a+b=</NextContinuationToken><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>",
            Some("a+b="),
        ),
        ("<NextContinuationToken>t</NextContinuationToken>", Some("t")),
        ("<NextContinuationToken>t</NextContinuationToken><IsTruncated>false</IsTruncated>", None),
    ] {
        assert_eq!(next(inner), Ok(wanted.map(str::to_owned)), "{inner}");
    }
    let error = next("<IsTruncated>yes</IsTruncated>").expect_err("neither");
    assert_eq!(error.to_string(), "IsTruncated \"yes\" of the listing makes no sense");
}
