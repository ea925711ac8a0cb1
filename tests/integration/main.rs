//! Every end-to-end test, in one binary so that they link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail, in its helpers too")]

mod bad_input;
mod bench;
mod by_store;
mod checksums;
mod clients;
mod control;
mod dashboard;
mod data;
mod drawing;
mod ecr;
mod embedded_ecr;
mod embedded_registry;
mod embedded_s3;
mod events;
mod faults;
mod generations;
mod images;
mod kill;
mod lifecycle;
mod metrics;
mod odd_keys;
mod options;
mod order;
mod pair;
mod preservation;
mod process;
mod ranges;
mod readme;
mod real_registries;
mod real_servers;
mod registry_features;
mod roles;
mod screen;
mod seaweed;
mod signing;
mod ssh;
mod suite;
mod throttle;
mod triggers;
mod verification;
mod wire;
