//! The S3 engine.
//!
//! | file | holds |
//! |---|---|
//! | [`run`] | one run: feed, decide, copy, count, checkpoint |
//! | [`list`], [`order`], [`sorted`], [`stream`] | listings in byte order, sorted on disk where the store is not |
//! | [`range`] | listings cut into key ranges that are read side by side |
//! | [`prefix`] | many prefixes, from the task or from a list: sorted on disk, listed as one |
//! | [`join`], [`compare`], [`filter`], [`key`] | pairs of source and destination; what to do with each; key mapping |
//! | [`copy`], [`multipart`], [`layout`], [`verify`], [`metadata`] | one object from one end to the other, verified |
//! | [`by_store`] | objects that the store copies by itself |
//! | [`hedge`] | a second request where one slow read holds everything up |
//! | [`journal`] | multipart uploads under way |
//! | [`client`], [`error`] | requests to a bucket, and why they fail; nothing else knows the SDK |
//! | `wire` | the three requests that move bytes, without the SDK |
//! | [`provider`] | what is known of stores, from config/providers.toml |
//! | [`check`] | preflight |
//! | [`doctor`] | what a store does, found out by trying |
//! | [`version`] | versions and delete markers: all of them in order, or the keys as of a time |
//! | [`archive`] | objects that must be restored before they can be read |
//! | [`object`], [`page`], [`payload`] | an object as a listing shows it; many of them; the bytes of one |

pub mod archive;
pub mod by_store;
pub mod check;
pub mod client;
pub mod compare;
pub mod copy;
pub mod doctor;
pub mod error;
pub mod filter;
pub mod hedge;
pub mod join;
pub mod journal;
pub mod key;
pub mod layout;
pub mod list;
pub mod metadata;
pub mod multipart;
pub mod object;
pub mod order;
pub mod page;
pub mod payload;
pub mod prefix;
pub mod provider;
pub mod range;
pub mod run;
pub mod sorted;
pub mod stream;
pub mod verify;
pub mod version;
mod whole;
mod wire;
