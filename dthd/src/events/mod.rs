//! Near real time: what happens at the source, from a queue, one item after the other.
//!
//! | file | holds |
//! |---|---|
//! | [`message`], [`push`], [`sequencer`] | what a message says of objects or images, and in which order it happened (pure) |
//! | [`inbox`] | messages that are held, and one turn at a time for each item (pure) |
//! | [`queue`] | the SQS queue: receive, hold, delete |
//! | [`consumer`] | from the queue to the engine and back: a message is deleted when what it says is durable |
//! | [`gauge`] | lag and counts, for screens and metrics |
//! | [`policy`] | whether the queue lets the bucket send, and the statement that is missing (pure) |
//! | [`notification`] | which of the bucket's notifications are needed, missing, in the way (pure) |
//! | [`check`], [`setup`] | preflight of queue and notification; makes both |
//!
//! An event is only a hint. The engines (`s3::run`, `image::run`) ask the source what is there now, compare, and copy as in a full run;
//! so reordered, repeated and late events do no harm. A full compare at regular times is the backstop, because queues may lose or delay.

pub mod check;
pub mod consumer;
pub mod gauge;
pub mod inbox;
pub mod message;
pub mod notification;
pub mod policy;
pub mod push;
pub mod queue;
pub mod sequencer;
pub mod setup;

pub use self::{gauge::Gauge, sequencer::Sequencer};
