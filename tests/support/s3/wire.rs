//! Answers as bytes, in ways that no HTTP library would write them.

use bytes::{Bytes, BytesMut};

use super::{reply::Reply, socket::End};

/// What is odd about the way of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Each byte of it is a packet of its own.
    Trickle,
    /// This many bytes come behind the announced length.
    Overlong(usize),
    /// No length: chunks, and the connection is closed before the last one.
    ChunksWithoutEnd,
    /// No length: complete chunks.
    Chunks,
    /// No length at all: the body ends with the connection, as in HTTP/1.0.
    UntilClose,
    /// The connection is closed in the middle of the header.
    HalfHeader,
    /// The connection is closed right behind the answer, without a word of it.
    CloseBehind,
    /// Something that is not HTTP.
    Rubbish,
    /// No answer, ever.
    Silence,
}

impl Wire {
    /// The end of the connection that brings the answer this way. `head`: the body stays away.
    pub(super) fn end(self, reply: &Reply, head: bool) -> End {
        let data = if head { Bytes::new() } else { reply.data.to_bytes() };
        let length = format!("content-length: {}", reply.length);
        match self {
            Self::Trickle => End::Trickle(written(reply, &length, &[&data])),
            Self::Overlong(more) => End::Bytes(written(reply, &length, &[&data, &vec![b'!'; more]])),
            Self::ChunksWithoutEnd => End::Bytes(written(reply, "transfer-encoding: chunked", &[&chunk(&data)])),
            Self::Chunks => End::Bytes(written(reply, "transfer-encoding: chunked", &[&chunk(&data), b"0\r\n\r\n"])),
            Self::UntilClose => End::Bytes(written(reply, "connection: close", &[&data])),
            Self::HalfHeader => End::Bytes(written(reply, &length, &[]).slice(..40)),
            Self::CloseBehind => End::Bytes(written(reply, &length, &[&data])),
            Self::Rubbish => End::Bytes(Bytes::from_static(b"SSH-2.0-OpenSSH_9.9\r\n")),
            Self::Silence => End::Silence,
        }
    }
}

/// A chunk of HTTP; none for no data, because an empty chunk is the last one.
fn chunk(data: &[u8]) -> Bytes {
    if data.is_empty() {
        return Bytes::new();
    }
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat().into()
}

/// The answer with `length` as its last header line, and pieces of a body.
fn written(reply: &Reply, length: &str, pieces: &[&[u8]]) -> Bytes {
    let reason = reply.status.canonical_reason().unwrap_or_default();
    let mut bytes = BytesMut::from(format!("HTTP/1.1 {} {reason}\r\n", reply.status.as_u16()).as_bytes());
    for (name, value) in &reply.headers {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(format!("{length}\r\n\r\n").as_bytes());
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn sent(wire: Wire, head: bool) -> String {
        let mut reply = Reply::new(StatusCode::OK).with_data(Bytes::from_static(b"body").into());
        reply.set("etag", "\"x\"");
        match wire.end(&reply, head) {
            End::Bytes(bytes) | End::Trickle(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_written_out() {
        let head = "HTTP/1.1 200 OK\r\netag: \"x\"\r\n";
        assert_eq!(sent(Wire::Trickle, false), format!("{head}content-length: 4\r\n\r\nbody"));
        assert_eq!(sent(Wire::Trickle, true), format!("{head}content-length: 4\r\n\r\n"));
        assert_eq!(sent(Wire::Overlong(2), false), format!("{head}content-length: 4\r\n\r\nbody!!"));
        assert_eq!(sent(Wire::Chunks, false), format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"));
        assert_eq!(sent(Wire::ChunksWithoutEnd, false), format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n"));
        assert_eq!(sent(Wire::HalfHeader, false).len(), 40);
    }
}
