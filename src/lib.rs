//! The edge server: discovers artifacts, verifies them, seals their bytes and serves them.
//!
//! Two planes and one value between them (`docs/design.md`): the control side ([`catalog`], [`control`])
//! builds an immutable [`snapshot`]; the [`edge`] answers from it, and hands what is dynamic to the
//! [`service`] plane. [`config`] reads the environment, [`shell`] renders the pages, [`http`] makes replies
//! ready, [`loader_report`] reads what the loader says. `main.rs` and `run` only wire.

pub mod admin;
pub mod catalog;
pub mod config;
pub mod control;
pub mod edge;
pub mod http;
pub mod loader_report;
pub mod service;
pub mod shell;
pub mod snapshot;

pub use pilar_settings::keys;
