//! What `dth` and `dthd` say to each other.
//!
//! A connection begins with one line of text from each side ([`handshake`]), which settles the protocol number and who
//! the client is. After that it carries tarpc requests as length-delimited JSON frames ([`wire`]). Nothing in this crate
//! knows AWS or a terminal.
//!
//! # Where is what
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | the tarpc service: every method, who may call it, what it promises |
//! | [`spec`] | what a user asks for: a task; its TOML form |
//! | [`view`] | what a screen shows: tasks, runs, summary, detail |
//! | [`watch`] | the long poll and the mirror it keeps up to date |
//! | [`failure`], [`event`], [`check`] | failed items and their groups; the log; preflight |
//! | [`doctor`] | what was found out about a store |
//! | [`report`] | the forms of reports, for whoever writes one |
//! | [`error`] | the one error type that crosses the wire |
//! | [`id`], [`time`], [`units`] | names and numbers: task names, timestamps, sizes, rates |
//! | [`bandwidth`] | limits of bandwidth by the clock |
//! | [`document`] | reading TOML so that all problems are told at once, with line and nearest name |
//! | [`address`], [`connect`], [`ssh`] | from `--host` to a client |
//! | [`handshake`], [`wire`] | first lines, frames, limits |

pub mod address;
pub mod bandwidth;
pub mod check;
pub mod connect;
pub mod doctor;
pub mod document;
pub mod error;
pub mod event;
pub mod failure;
pub mod handshake;
pub mod id;
pub mod report;
pub mod service;
pub mod spec;
pub mod ssh;
mod text;
pub mod time;
pub mod units;
pub mod view;
pub mod watch;
pub mod wire;

/// Oldest protocol number this build still speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// Newest protocol number this build speaks.
pub const PROTOCOL_MAX: u32 = 1;
