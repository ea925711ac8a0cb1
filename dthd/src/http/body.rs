//! The body of a request, in pieces that are shared with whoever sends it again.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::flow::{Cut, Flow};

/// Pieces in order. Cheap to make: the bytes are shared, not copied. Sent by vectored writes, several pieces in one system call.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Small bodies are one piece, for which no list needs to be allocated.
    first: Option<Bytes>,
    rest: vec::IntoIter<Bytes>,
    left: u64,
}

impl Pieces {
    /// The body made of these pieces.
    #[must_use]
    pub fn of(pieces: &[Bytes]) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let (first, rest) = match pieces.split_first() {
            Some((first, rest)) => (Some(first.clone()), rest.to_vec()),
            None => (None, Vec::new()),
        };
        Self { first, rest: rest.into_iter(), left }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let piece = this.first.take().or_else(|| this.rest.next());
        if let Some(piece) = &piece {
            this.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What requests of one pool of connections may carry.
#[derive(Debug)]
pub(super) enum Outgoing {
    Pieces(Pieces),
    Flow(Flow),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Pieces(pieces) => Pin::new(pieces).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Flow(flow) => Pin::new(flow).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.is_end_stream(),
            Self::Flow(flow) => flow.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) => pieces.size_hint(),
            Self::Flow(flow) => flow.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6)) {
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let whole = pieces.concat();
            let body = Pieces::of(&pieces);
            prop_assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
            prop_assert_eq!(body.is_end_stream(), whole.is_empty());
            let got = futures::executor::block_on(body.collect()).expect("cannot fail").to_bytes();
            prop_assert_eq!(&got[..], &whole[..]);
        }
    }
}
