//! The artifact tree on disk (contract §2).
//!
//! Whoever reads it does so through [`FeatureDir`], which cannot be led out of the directory; whoever
//! writes it does so through this crate, so that a kill at any point leaves the old state or the new one.
//!
//! A publish goes: [`Store::lock`] one feature, [`FeatureWriter::stage`] the files, verify them,
//! [`StagedVersion::publish`] makes the version directory appear complete, and
//! [`FeatureWriter::replace_index`] comes last.
//!
//! A loader has the whole tree to itself by [`Store::claim`]; it fills an [`Incoming`], verifies it, and
//! [`FeatureWriter::adopt`]s the version directories in it.

#![forbid(unsafe_code)]

mod adopt;
mod claim;
mod content;
mod directory;
mod error;
mod file;
mod incoming;
mod notes;
mod read;
mod stage;
mod writer;

pub use claim::Claim;
pub use error::StoreError;
pub use file::{create_file, replace_file};
pub use incoming::Incoming;
pub use notes::Notes;
pub use read::FeatureDir;
pub use stage::{Placed, StagedVersion};
pub use writer::{FeatureWriter, Store};
