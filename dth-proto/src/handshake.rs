//! The first line from each side, in text, before any frame.
//!
//! ```text
//! client: DTH 1 proto=1..3 name=dth/0.4.1
//! server: DTH 1 ok proto=3 name=dthd/0.4.0 boot=6f1c user=mli role=operator
//!     or: DTH 1 err code=version min=2 max=3 say="dthd 0.9 speaks protocol 2 to 3, ..."
//! ```
//!
//! Each side waits for the other's line, so no byte of a frame is ever swallowed by the line reader. Version skew ends in
//! a sentence, not in a hang or a broken frame.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{PROTOCOL_MAX, PROTOCOL_MIN};

/// Longest line either side accepts, newline included.
pub const MAX_LINE: usize = 512;
/// How long the server waits for the client's line.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What the client offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Oldest protocol it speaks.
    pub min: u32,
    /// Newest protocol it speaks.
    pub max: u32,
    /// `dth/0.4.1`.
    pub name: String,
}

/// What was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol both speak.
    pub protocol: u32,
    /// `dthd/0.4.0`.
    pub name: String,
    /// The daemon's epoch.
    pub boot: String,
    /// Who the client is to the daemon.
    pub user: String,
    /// `viewer` or `operator`.
    pub role: String,
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The stream failed.
    #[error("the connection broke during the handshake: {0}")]
    Io(#[from] io::Error),
    /// The other side closed before its line was complete.
    #[error("the other side closed the connection before it said a word")]
    Closed,
    /// The other side is something else.
    #[error("this is not dthd: it said {0:?}")]
    NotDth(String),
    /// The other side said no, in its words.
    #[error("{say}")]
    Refused {
        /// `version`, `denied`, `busy`.
        code: String,
        /// One sentence.
        say: String,
    },
    /// No line came in time.
    #[error("the other side did not say a word in time")]
    Silent,
}

impl Hello {
    /// What this build offers.
    #[must_use]
    pub fn ours(name: &str) -> Self {
        Self { min: PROTOCOL_MIN, max: PROTOCOL_MAX, name: name.to_owned() }
    }

    /// The client's line, without newline.
    #[must_use]
    pub fn line(&self) -> String {
        format!("DTH 1 proto={}..{} name={}", self.min, self.max, word(&self.name))
    }

    /// Reads the client's line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("DTH 1 ")?;
        let (min, max) = field(rest, "proto")?.split_once("..").map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some(Self { min: min.parse().ok()?, max: max.parse().ok()?, name: field(rest, "name")? })
    }
}

impl Welcome {
    /// The server's line, without newline.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "DTH 1 ok proto={} name={} boot={} user={} role={}",
            self.protocol,
            word(&self.name),
            word(&self.boot),
            word(&self.user),
            word(&self.role)
        )
    }
}

/// The newest protocol in both ranges, or the sentence that says what to upgrade.
///
/// # Errors
/// The sentence, when the ranges do not meet.
pub fn negotiate(hello: &Hello, min: u32, max: u32, version: &str) -> Result<u32, String> {
    let newest = hello.max.min(max);
    if newest >= hello.min.max(min) {
        return Ok(newest);
    }
    let old = if hello.max < min { hello.name.as_str() } else { "dthd" };
    Err(format!("{} speaks protocol {} to {}, this dthd {version} speaks {min} to {max}: upgrade {old}", hello.name, hello.min, hello.max))
}

/// The server's refusal, without newline.
#[must_use]
pub fn refusal(code: &str, say: &str) -> String {
    format!("DTH 1 err code={} min={PROTOCOL_MIN} max={PROTOCOL_MAX} say=\"{}\"", word(code), say.replace(['"', '\n'], "'"))
}

/// Reads the server's line.
///
/// # Errors
/// [`HandshakeError::Refused`] with its sentence, or [`HandshakeError::NotDth`].
pub fn parse_answer(line: &str) -> Result<Welcome, HandshakeError> {
    let not_dth = || HandshakeError::NotDth(line.chars().take(80).collect());
    if let Some(rest) = line.strip_prefix("DTH 1 ok ") {
        let get = |key| field(rest, key).ok_or_else(not_dth);
        return Ok(Welcome {
            protocol: get("proto")?.parse().map_err(|_| not_dth())?,
            name: get("name")?,
            boot: get("boot")?,
            user: get("user")?,
            role: get("role")?,
        });
    }
    let rest = line.strip_prefix("DTH 1 err ").ok_or_else(not_dth)?;
    Err(HandshakeError::Refused {
        code: field(rest, "code").ok_or_else(not_dth)?,
        say: field(rest, "say").unwrap_or_else(|| "dthd refused the connection".to_owned()),
    })
}

/// The client's half: says hello, reads the answer.
///
/// # Errors
/// See [`HandshakeError`]; waits at most twice [`PATIENCE`] for the answer.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, hello: &Hello) -> Result<Welcome, HandshakeError> {
    let line = hello.line();
    write_line(io, &line).await?;
    let answer = tokio::time::timeout(PATIENCE * 2, read_line(io)).await.map_err(|_| HandshakeError::Silent)??;
    accepted(hello, parse_answer(&answer)?)
}

/// The welcome, if it settled on a protocol that was offered.
fn accepted(hello: &Hello, welcome: Welcome) -> Result<Welcome, HandshakeError> {
    let Hello { min, max, name } = hello;
    if (*min..=*max).contains(&welcome.protocol) {
        return Ok(welcome);
    }
    let say = format!("{} speaks protocol {}, {name} speaks {min} to {max}: upgrade the older", welcome.name, welcome.protocol);
    Err(HandshakeError::Refused { code: "version".to_owned(), say })
}

/// Writes one line.
///
/// # Errors
/// When the stream fails.
pub async fn write_line<S: AsyncWrite + Unpin>(io: &mut S, line: &str) -> Result<(), HandshakeError> {
    io.write_all(format!("{line}\n").as_bytes()).await?;
    io.flush().await?;
    Ok(())
}

/// Reads one line of at most [`MAX_LINE`] bytes, byte by byte so that nothing behind it is taken.
///
/// # Errors
/// When the stream fails or ends, or what came is not a line of text.
pub async fn read_line<S: AsyncRead + Unpin>(io: &mut S) -> Result<String, HandshakeError> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0_u8; 1];
        if io.read(&mut byte).await? == 0 {
            return Err(if line.is_empty() { HandshakeError::Closed } else { not_text(&line) });
        }
        match byte[0] {
            b'\n' => return String::from_utf8(line).map_err(|e| not_text(e.as_bytes())),
            b if line.len() + 1 < MAX_LINE => line.push(b),
            _ => return Err(not_text(&line)),
        }
    }
}

fn not_text(line: &[u8]) -> HandshakeError {
    HandshakeError::NotDth(String::from_utf8_lossy(line).chars().take(80).collect())
}

/// `key=value` or `key="value with spaces"`.
fn field(text: &str, key: &str) -> Option<String> {
    let start = text.split(' ').scan(0, |at, part| Some((std::mem::replace(at, *at + part.len() + 1), part)));
    let (at, _) = start.into_iter().find(|(_, part)| part.strip_prefix(key).is_some_and(|r| r.starts_with('=')))?;
    let value = &text[at + key.len() + 1..];
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(inside, _)| inside.to_owned()),
        None => value.split(' ').next().map(str::to_owned),
    }
}

/// A value that cannot break out of its field.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() || c.is_control() || c == '"' { '_' } else { c }).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(min: u32, max: u32) -> Hello {
        Hello { min, max, name: "dth/0.4.1".to_owned() }
    }

    #[test]
    fn lines_survive_the_wire() {
        let hello = hello(1, 3);
        assert_eq!(Hello::parse(&hello.line()), Some(hello));
        let welcome = Welcome {
            protocol: 3,
            name: "dthd/0.4.0".to_owned(),
            boot: "6f1c".to_owned(),
            user: "mli".to_owned(),
            role: "operator".to_owned(),
        };
        assert_eq!(parse_answer(&welcome.line()).expect("welcome"), welcome);
    }

    #[test]
    fn ranges_meet_or_say_who_is_old() {
        assert_eq!(negotiate(&hello(1, 3), 2, 5, "0.9"), Ok(3));
        assert_eq!(negotiate(&hello(2, 2), 1, 2, "0.9"), Ok(2));
        let old_client = negotiate(&hello(1, 1), 2, 3, "0.9").expect_err("no common protocol");
        assert!(old_client.ends_with("upgrade dth/0.4.1"), "{old_client}");
        let old_daemon = negotiate(&hello(4, 5), 2, 3, "0.9").expect_err("no common protocol");
        assert!(old_daemon.ends_with("upgrade dthd"), "{old_daemon}");
    }

    #[test]
    fn refusals_carry_their_sentence() {
        let Err(HandshakeError::Refused { code, say }) = parse_answer(&refusal("version", "upgrade \"dth\"\nnow")) else {
            panic!("a refusal is an error");
        };
        assert_eq!((code.as_str(), say.as_str()), ("version", "upgrade 'dth''now"));
    }

    #[test]
    fn strangers_are_named() {
        for line in ["HTTP/1.1 400 Bad Request", "DTH 2 ok", "DTH 1 ok proto=x name=a boot=b user=c role=d", ""] {
            assert!(matches!(parse_answer(line), Err(HandshakeError::NotDth(_))), "{line}");
        }
        assert_eq!(Hello::parse("GET / HTTP/1.1"), None);
    }

    #[test]
    fn a_protocol_that_was_not_offered_is_refused() {
        let welcome = |protocol| {
            let text = |t: &str| t.to_owned();
            Welcome { protocol, name: text("dthd/9"), boot: text("b"), user: text("u"), role: text("viewer") }
        };
        assert_eq!(accepted(&hello(1, 3), welcome(3)).expect("offered").protocol, 3);
        let error = accepted(&hello(1, 3), welcome(9)).expect_err("not offered");
        assert_eq!(error.to_string(), "dthd/9 speaks protocol 9, dth/0.4.1 speaks 1 to 3: upgrade the older");
    }

    #[tokio::test]
    async fn endless_lines_are_cut_off() {
        let (mut a, mut b) = tokio::io::duplex(4096);
        a.write_all(&[b'x'; 2000]).await.expect("buffered");
        assert!(matches!(read_line(&mut b).await, Err(HandshakeError::NotDth(_))));
    }
}
