//! The edge server: discovers artifacts, verifies them, seals their bytes and serves them.

pub mod edge;
pub mod http;
