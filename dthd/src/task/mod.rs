//! Tasks: what may happen to them, and the one owner of all of them.
//!
//! | file | holds |
//! |---|---|
//! | [`state`] | which action is possible when, and what it leads to (pure) |
//! | [`supervisor`] | the owner: commands, triggers, slots, runs |
//! | [`handle`] | how everyone else talks to the owner |
//! | [`admit`] | whether a definition can be accepted (pure) |
//! | [`engine`] | which engine does a task's job |
//! | `report` | the report of a run that is over |
//! | [`active`] | a run that is going: its progress, rates and history |
//! | [`view`] | rows and details for clients (pure) |
//! | [`failure`] | failed items in groups, with hints |
//!
//! ```text
//!            start, trigger          free slot
//!   rest ─────────────────> queued ────────────> running ──> rest (outcome of the run)
//!    │ ^                      │ ^                 │   ^
//!    │ └──── resume ── held   │ │ resume          │   │ resume: queued first
//!    └── pause ──────> held   └─┼──── pause ──────┴─> paused ── stop ──> rest (cancelled)
//! ```
//!
//! Only the supervisor changes a task. A command is answered when what it did is durable.

pub mod active;
pub mod admit;
pub mod engine;
pub mod failure;
pub mod handle;
mod report;
pub mod state;
pub mod supervisor;
pub mod view;

pub use self::{handle::Handle, supervisor::Supervisor};
