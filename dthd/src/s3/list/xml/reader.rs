//! Elements and texts of an XML document, from the raw bytes and in one pass.
//!
//! Knows as much of XML as stores use: elements, attributes (passed over), texts, references, CDATA, comments, processing
//! instructions. Names are compared as they are written; what a prefix of a name stands for does not matter here.
//! Bytes that XML 1.0 does not allow in texts, such as control characters, are taken as they are: keys may have them.

use memchr::{memchr, memchr3, memmem};

use super::{ScanError, text};

/// Reads from the beginning of a body to its end.
pub(super) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    /// Names of the elements that are open while one is passed over; kept for its memory.
    open: Vec<&'a [u8]>,
}

/// An element that was begun.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    /// As written, with its prefix.
    name: &'a [u8],
    /// Length of the prefix with its colon.
    prefix: usize,
    /// `<name/>`.
    empty: bool,
}

impl<'a> Element<'a> {
    /// The name without prefix.
    pub(super) fn local(&self) -> &'a [u8] {
        &self.name[self.prefix..]
    }
}

/// The text of an element.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    /// As it stands in the body.
    Plain(&'a [u8]),
    /// Put together in the buffer that was given.
    Buffered,
}

impl<'a> Text<'a> {
    pub(super) const EMPTY: Self = Self::Plain(&[]);

    /// The bytes; `buffer` is the one that was given when the text was read.
    pub(super) fn bytes<'b>(self, buffer: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Buffered => buffer,
        }
    }
}

enum Token<'a> {
    Start(Element<'a>),
    End(&'a [u8]),
    /// With references.
    Text(&'a [u8]),
    /// Without.
    Literal(&'a [u8]),
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let at = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { body, at, open: Vec::new() }
    }

    /// Bytes read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes to read.
    pub(super) fn left(&self) -> usize {
        self.body.len() - self.at
    }

    /// The outermost element.
    pub(super) fn root(&mut self) -> Result<Element<'a>, ScanError> {
        loop {
            match self.token()? {
                Token::Start(element) => return Ok(element),
                Token::Text(text) if text.trim_ascii().is_empty() => {}
                _ => return Err(self.wrong("no element begins the document")),
            }
        }
    }

    /// Makes sure that only what means nothing follows.
    pub(super) fn end(&mut self) -> Result<(), ScanError> {
        loop {
            match self.token() {
                Err(ScanError::Truncated { .. }) if self.body[self.at..].trim_ascii().is_empty() => return Ok(()),
                Ok(Token::Text(text)) if text.trim_ascii().is_empty() => {}
                _ => return Err(self.wrong("something follows the end of the document")),
            }
        }
    }

    /// The next element within `parent`; `None` when that ends. Texts between elements mean nothing.
    // inlined, for handing its result over in memory takes a fifth of the time of a listing
    #[inline(always)]
    pub(super) fn child(&mut self, parent: Element<'a>) -> Result<Option<Element<'a>>, ScanError> {
        if parent.empty {
            return Ok(None);
        }
        // what follows in all but odd documents, without the detour over tokens
        if let [b'<', tag @ ..] = &self.body[self.at..] {
            if let Some(name) = plain_name(tag) {
                self.at += name.len() + 2;
                return Ok(Some(Element { name, prefix: 0, empty: false }));
            }
            if tag.strip_prefix(b"/").and_then(|tag| tag.strip_prefix(parent.name)).is_some_and(|tag| tag.first() == Some(&b'>')) {
                self.at += parent.name.len() + 3;
                return Ok(None);
            }
        }
        // field by field, or else the way above goes through memory too
        match self.any_child(parent) {
            Ok(Some(Element { name, prefix, empty })) => Ok(Some(Element { name, prefix, empty })),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn any_child(&mut self, parent: Element<'a>) -> Result<Option<Element<'a>>, ScanError> {
        loop {
            match self.token()? {
                Token::Start(element) => return Ok(Some(element)),
                Token::End(name) if name == parent.name => return Ok(None),
                Token::End(_) => return Err(self.wrong("an element ends that did not begin")),
                Token::Text(_) | Token::Literal(_) => {}
            }
        }
    }

    /// The text of an element, to its end. Elements within are passed over.
    pub(super) fn text(&mut self, element: Element<'a>, buffer: &mut Vec<u8>) -> Result<Text<'a>, ScanError> {
        if element.empty {
            return Ok(Text::EMPTY);
        }
        match self.simple(element.name) {
            Some(raw) => self.plain(raw, buffer),
            None => self.mixed(element, buffer),
        }
    }

    /// The number that is the text of an element, if that is digits alone, and not so many that they might be too many.
    pub(super) fn digits(&mut self, element: Element<'a>) -> Option<u64> {
        let rest = &self.body[self.at..];
        let length = rest.iter().position(|b| !b.is_ascii_digit())?;
        let end = rest[length..].strip_prefix(b"</")?.strip_prefix(element.name)?;
        if element.empty || !(1..20).contains(&length) || *end.first()? != b'>' {
            return None;
        }
        self.at += length + element.name.len() + 3;
        Some(rest[..length].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// The text of an element, perhaps without the quotes around it: those of an entity tag are mostly references, and need no
    /// buffer when they are left out.
    pub(super) fn quoted(&mut self, element: Element<'a>, buffer: &mut Vec<u8>) -> Result<Text<'a>, ScanError> {
        const QUOTE: &[u8] = b"&quot;";
        if element.empty {
            return Ok(Text::EMPTY);
        }
        match self.simple(element.name) {
            Some(raw) => self.plain(raw.strip_prefix(QUOTE).and_then(|raw| raw.strip_suffix(QUOTE)).unwrap_or(raw), buffer),
            None => self.mixed(element, buffer),
        }
    }

    /// The bytes of an element's text, in the body or in the buffer.
    pub(super) fn bytes<'b>(&mut self, element: Element<'a>, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], ScanError>
    where
        'a: 'b,
    {
        Ok(self.text(element, buffer)?.bytes(buffer))
    }

    fn plain(&self, raw: &'a [u8], buffer: &mut Vec<u8>) -> Result<Text<'a>, ScanError> {
        if memchr(b'&', raw).is_none() {
            return Ok(Text::Plain(raw));
        }
        buffer.clear();
        self.resolve(raw, buffer)?;
        Ok(Text::Buffered)
    }

    /// A text with more than characters and references in it.
    fn mixed(&mut self, element: Element<'a>, buffer: &mut Vec<u8>) -> Result<Text<'a>, ScanError> {
        buffer.clear();
        loop {
            match self.token()? {
                Token::Start(within) => self.skip(within)?,
                Token::End(name) if name == element.name => return Ok(Text::Buffered),
                Token::End(_) => return Err(self.wrong("an element ends that did not begin")),
                Token::Text(raw) => self.resolve(raw, buffer)?,
                Token::Literal(raw) => buffer.extend_from_slice(raw),
            }
        }
    }

    /// Passes over an element and all in it.
    pub(super) fn skip(&mut self, element: Element<'a>) -> Result<(), ScanError> {
        if element.empty || self.simple(element.name).is_some() {
            return Ok(());
        }
        self.open.clear();
        self.open.push(element.name);
        while let Some(innermost) = self.open.last().copied() {
            match self.token()? {
                Token::Start(within) if within.empty || self.simple(within.name).is_some() => {}
                Token::Start(within) => self.open.push(within.name),
                Token::End(name) if name == innermost => {
                    self.open.pop();
                }
                Token::End(_) => return Err(self.wrong("an element ends that did not begin")),
                Token::Text(_) | Token::Literal(_) => {}
            }
        }
        Ok(())
    }

    /// What stands between here and the end of the element, if that is all text: almost always. The reader then stands behind it.
    fn simple(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        let rest = &self.body[self.at..];
        let length = memchr(b'<', rest)?;
        let end = rest[length..].strip_prefix(b"</")?.strip_prefix(name)?;
        if *end.first()? != b'>' {
            return None;
        }
        self.at += length + name.len() + 3;
        Some(&rest[..length])
    }

    fn token(&mut self) -> Result<Token<'a>, ScanError> {
        loop {
            let rest = &self.body[self.at..];
            match rest {
                [] | [b'<'] => return Err(self.truncated()),
                [b'<', b'/', ..] => return self.end_tag(),
                [b'<', b'?', ..] => self.pass("<?", "?>")?,
                [b'<', b'!', ..] => {
                    if let Some(literal) = self.declaration()? {
                        return Ok(Token::Literal(literal));
                    }
                }
                [b'<', ..] => return self.start_tag(),
                _ => {
                    let length = memchr(b'<', rest).ok_or_else(|| self.truncated())?;
                    self.at += length;
                    return Ok(Token::Text(&rest[..length]));
                }
            }
        }
    }

    fn start_tag(&mut self) -> Result<Token<'a>, ScanError> {
        let rest = &self.body[self.at + 1..];
        if let Some(name) = plain_name(rest) {
            self.at += name.len() + 2;
            return Ok(Token::Start(Element { name, prefix: 0, empty: false }));
        }
        let length = rest.iter().position(|b| ends_name(*b)).ok_or_else(|| self.truncated())?;
        let name = &rest[..length];
        if name.is_empty() {
            return Err(self.wrong("an element has no name"));
        }
        let prefix = name.iter().rposition(|b| *b == b':').map_or(0, |colon| colon + 1);
        let mut end = length;
        loop {
            end += memchr3(b'>', b'"', b'\'', &rest[end..]).ok_or_else(|| self.truncated())?;
            match rest[end] {
                b'>' => break,
                quote => end += 2 + memchr(quote, &rest[end + 1..]).ok_or_else(|| self.truncated())?,
            }
        }
        self.at += end + 2;
        Ok(Token::Start(Element { name, prefix, empty: rest[end - 1] == b'/' }))
    }

    fn end_tag(&mut self) -> Result<Token<'a>, ScanError> {
        let rest = &self.body[self.at + 2..];
        let length = memchr(b'>', rest).ok_or_else(|| self.truncated())?;
        self.at += length + 3;
        Ok(Token::End(rest[..length].trim_ascii_end()))
    }

    /// What begins with `<!`: the text of a CDATA section, or a comment, which is passed over.
    fn declaration(&mut self) -> Result<Option<&'a [u8]>, ScanError> {
        const CDATA: &str = "<![CDATA[";
        let rest = &self.body[self.at..];
        if rest.starts_with(b"<!--") {
            self.pass("<!--", "-->")?;
            return Ok(None);
        }
        if rest.starts_with(CDATA.as_bytes()) {
            let begin = self.at + CDATA.len();
            self.pass(CDATA, "]]>")?;
            return Ok(Some(&self.body[begin..self.at - 3]));
        }
        if rest.len() < CDATA.len() && (CDATA.as_bytes().starts_with(rest) || b"<!--".starts_with(rest)) {
            return Err(self.truncated());
        }
        // a document type could define references of its own; no store sends one
        Err(self.wrong("a declaration that is neither comment nor CDATA"))
    }

    fn pass(&mut self, begin: &str, end: &str) -> Result<(), ScanError> {
        let from = self.at + begin.len();
        let length = self.body.get(from..).and_then(|rest| memmem::find(rest, end.as_bytes()));
        self.at = from + length.ok_or_else(|| self.truncated())? + end.len();
        Ok(())
    }

    fn resolve(&self, raw: &[u8], buffer: &mut Vec<u8>) -> Result<(), ScanError> {
        text::resolve(raw, buffer).map_err(|what| self.wrong(what))
    }

    fn truncated(&self) -> ScanError {
        ScanError::Truncated { bytes: self.body.len() }
    }

    fn wrong(&self, what: &'static str) -> ScanError {
        ScanError::NotXml { at: self.at, what }
    }
}

/// The name of a start tag of letters alone, which follows `<`.
fn plain_name(tag: &[u8]) -> Option<&[u8]> {
    // all that is special, and digits, come before the letters
    let length = tag.iter().position(|b| *b <= b'?')?;
    (length > 0 && tag[length] == b'>').then(|| &tag[..length])
}

fn ends_name(byte: u8) -> bool {
    matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n')
}
