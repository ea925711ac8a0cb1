//! How clients reach the daemon: sockets, handshake, roles, the service.
//!
//! [`listen`] opens the socket and accepts; [`session`] serves one connection: who is it ([`role`]), the handshake, then
//! tarpc requests, each through the [`gate`] that knows which role it needs.

pub mod gate;
pub mod listen;
pub mod role;
pub mod session;

pub use self::{
    gate::Gate,
    listen::{Bound, ListenError, accept, bind},
    role::Role,
    session::{Door, Peer, Session, serve_connection},
};
