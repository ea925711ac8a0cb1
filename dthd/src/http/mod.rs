//! HTTP/1.1 for everything that moves bytes: one pool of connections, bodies in pieces that are never copied.
//!
//! | file | holds |
//! |---|---|
//! | [`client`] | requests over pooled connections; what died between two requests is sent again at once |
//! | `connect`, `resolve` | from a name to a connection: all of its addresses in turn, proxies from the environment, TLS |
//! | [`public`] | which addresses are nobody's own |
//! | [`tls`] | the certificates that are trusted |
//! | [`body`] | a request's body in pieces |
//! | [`flow`] | a request's body that comes while it is sent |

pub mod body;
pub mod client;
mod connect;
#[cfg(test)]
pub(crate) mod fake;
pub mod flow;
pub mod public;
mod resolve;
#[cfg(test)]
mod tests;
pub mod tls;

pub use self::{
    body::Pieces,
    client::{Client, SendError},
    flow::{Flow, FlowSender, Gone},
    tls::TlsError,
};
