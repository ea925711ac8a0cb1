//! `dth`: the terminal dashboard of `dthd`, and its commands for scripts.
//!
//! # The loop
//!
//! ```text
//!  keys, signals ──┐                               ┌─> view: draws the model, keeps nothing
//!  link (watch) ───┼─> Event ─> update(&mut Model) ┤
//!  answers ────────┘      pure, no I/O, no clock   └─> Effect ─> link, effect::Hands, terminal
//!        ^                                                            │
//!        └────────────────────────────────────────────────────────────┘
//! ```
//!
//! Only [`update`] changes the [`model`], only [`view`] draws it, only [`link`] and [`effect`] talk to the daemon, only
//! [`terminal`] writes. A frame is drawn when something changed; when the daemon is idle nothing is written at all.
//!
//! # Where is what
//!
//! | module | holds |
//! |---|---|
//! | [`cli`], [`config`], [`exit`] | the command line, `tui.toml`, exit codes |
//! | [`headless`], [`session`] | the commands for scripts, and their connection |
//! | [`import`] | from definitions of AWS Data Transfer Hub to task files |
//! | [`dashboard`] | the entry: options, the loop, how often to draw |
//! | [`command`] | every command once: keys, footer, help and palette read it |
//! | [`model`] | what is known: the daemon's mirror, cursor, filter, form, log |
//! | [`update`] | what an event does to the model |
//! | [`effect`] | what is done outside it: calls, files |
//! | [`link`] | the connection: connect, watch, connect again |
//! | [`view`] | one file per screen and overlay |
//! | [`widget`] | bar, chart, row, field: each clips to its area |
//! | [`terminal`] | entering, leaving, suspending; frames in one write |
//! | [`input`], [`theme`], [`glyph`] | keys, styles, characters |
//! | [`filter`] | which tasks a person means |
//! | [`sanitise`], [`columns`] | text that others wrote, made harmless, and cut to columns |

pub mod cli;
pub mod columns;
pub mod command;
pub mod config;
pub mod dashboard;
pub mod effect;
pub mod exit;
#[cfg(test)]
mod fake;
pub mod filter;
pub mod glyph;
pub mod headless;
pub mod import;
pub mod input;
pub mod link;
pub mod model;
pub mod sanitise;
pub mod session;
pub mod terminal;
#[cfg(test)]
mod test_daemon;
pub mod theme;
pub mod update;
pub mod view;
pub mod widget;
