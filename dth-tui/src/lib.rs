//! `dth`: the dashboard of dthd, and its commands for scripts.
//!
//! # Where is what
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line; chooses the dashboard or a command |
//! | [`exit`] | exit codes |
//! | [`config`] | `tui.toml`: daemons by name |
//! | [`session`] | a connection that comes back, for commands |
//! | [`headless`] | the commands, one file each; tables and JSON |
//! | [`filter`] | which tasks a person means |
//! | [`sanitise`] | text from strangers made harmless for a terminal |

pub mod cli;
pub mod config;
pub mod exit;
pub mod filter;
pub mod headless;
pub mod sanitise;
pub mod session;

#[cfg(test)]
mod test_daemon;
