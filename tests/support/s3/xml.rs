//! The little XML that S3 speaks: written with escapes, read by element name.

use std::fmt::{Display, Write as _};

/// A document being written.
pub(super) struct Xml(String);

impl Xml {
    /// A document with S3's namespace on its root element, filled by `fill`.
    pub fn document(root: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut xml =
            Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
        fill(&mut xml);
        xml.0.push_str(&format!("</{root}>"));
        xml.0
    }

    /// `<name>` with elements in it.
    pub fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        fill(self);
        let _ = write!(self.0, "</{name}>");
    }

    /// `<name>value</name>`.
    pub fn text(&mut self, name: &str, value: impl Display) {
        let value = escape(&value.to_string());
        let _ = write!(self.0, "<{name}>{value}</{name}>");
    }
}

/// Escapes markup and, as AWS does, control characters as numbers.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => {
                let _ = write!(out, "&#x{:x};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The same document with its entities of control characters as the characters themselves, which XML 1.0 forbids.
pub(super) fn with_raw_controls(text: &str) -> String {
    let mut out = text.to_owned();
    for code in (1_u8..0x20).chain([0x7f]) {
        out = out.replace(&format!("&#x{code:x};"), &char::from(code).to_string());
    }
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find(';') else { break };
        match entity(&rest[1..end]) {
            Some(c) => out.push(c),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// What is inside each element `name`, in order; elements of the same name do not nest in S3's requests.
pub(super) fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find(&open) {
        rest = &rest[at + open.len()..];
        // `<Key>` must not be found in `<KeyMarker>`
        if !rest.starts_with(['>', ' ', '/', '\n']) {
            continue;
        }
        let Some(start) = rest.find('>') else { break };
        if rest[..start].ends_with('/') {
            found.push("");
            continue;
        }
        let Some(end) = rest.find(&close) else { break };
        if let Some(inside) = rest.get(start + 1..end) {
            found.push(inside);
        }
        rest = &rest[end + close.len()..];
    }
    found
}

/// The text of the first element `name`.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).first().map(|inside| unescape(inside))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(key in "\\PC*|[\u{1}-\u{7f}]*") {
            let xml = Xml::document("Delete", |xml| xml.element("Object", |xml| xml.text("Key", &key)));
            let objects = elements(&xml, "Object");
            prop_assert_eq!(objects.len(), 1);
            prop_assert_eq!(text(objects[0], "Key"), Some(key));
        }

        #[test]
        fn nothing_makes_it_panic(xml in "[<>/&;KeyPart #x0-9]*") {
            elements(&xml, "Key");
            text(&xml, "Part");
        }
    }

    #[test]
    fn names_are_whole() {
        let xml = "<A><KeyMarker>no</KeyMarker><Key>1</Key><Key/><Key x='y'>&#x1;&amp;&#65;&bad;</Key></A>";
        assert_eq!(elements(xml, "Key"), ["1", "", "&#x1;&amp;&#65;&bad;"]);
        assert_eq!(unescape("&#x1;&amp;&#65;&bad; & x"), "\u{1}&A&bad; & x");
    }
}
