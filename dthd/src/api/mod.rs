//! How clients reach the daemon: sockets, handshake, roles, the service.
//!
//! [`listen`] opens the socket and accepts; [`session`] serves one connection: who is it ([`role`]), the handshake, then
//! tarpc requests, each through the [`gate`] that knows which role it needs, to the [`service`]. What clients see lives on the
//! [`board`], which [`watch`] answers from; [`check`] runs preflights, [`doctor`]
//! examinations of stores, `explain` tells why one item is copied or not.

pub mod board;
pub mod check;
pub mod doctor;
mod explain;
pub mod gate;
pub mod listen;
pub mod role;
pub mod service;
pub mod session;
pub mod watch;

pub use self::{
    gate::Gate,
    listen::{Bound, ListenError, accept, bind},
    role::Role,
    session::{Door, Peer, Session, serve_connection},
};
