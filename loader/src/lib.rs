//! The loader: turns registrations into verified files (contract §12, `docs/design.md`).
//!
//! A [`source`] says what is wanted, a [`transport`] brings it into a staging directory,
//! and what passed verification is placed in the artifacts tree by the store. Nothing that fails ever removes
//! what serves.

#![forbid(unsafe_code)]

mod arrived;
pub mod config;
pub mod damage;
pub mod http;
pub mod machine;
pub mod metrics;
pub mod place;
pub mod problem;
pub mod reconcile;
pub mod record;
pub mod registration;
#[cfg(feature = "cluster")]
pub mod run;
pub mod source;
pub mod status;
pub mod transport;
pub mod unpack;
