//! The image engine: container images from one registry to another, digest for digest.
//!
//! | file | holds |
//! |---|---|
//! | [`run`] | one run: list, compare by digest, copy, count, checkpoint |
//! | [`select`], [`item`] | which images; what they are called in records, and their order |
//! | [`name`], [`platform`] | what repositories are called at the destination; which platforms |
//! | [`end`] | what either end of a task can do, ECR or not |
//! | [`registry`] | a registry by the OCI distribution specification: tokens, redirects, manifests, blobs, uploads |
//! | [`ecr`] | what only ECR's API can do: lists, repositories, layer parts |
//! | `copy`, `walk`, `blob` | one image: everything that belongs to it, in the order in which it may be stored; its blobs |
//! | [`shared`], `memory` | what all tasks know of a registry; what one run knows |
//! | [`digest`], [`manifest`] | content by its digest; manifests as raw bytes and what they name |
//! | [`check`] | preflight |

mod blob;
pub mod check;
mod copy;
pub mod digest;
pub mod ecr;
pub mod end;
pub mod item;
pub mod manifest;
mod memory;
pub mod name;
pub mod platform;
pub mod registry;
pub mod run;
pub mod select;
pub mod shared;
mod walk;
