//! The artifact tree on disk (contract §2).
//!
//! Whoever reads it does so through [`FeatureDir`], which cannot be led out of the directory; whoever
//! writes it does so through this crate, so that a kill at any point leaves the old state or the new one.

#![forbid(unsafe_code)]

mod read;

pub use read::FeatureDir;
