//! What is measured, for the benchmarks that take time and the one that counts instructions.
#![allow(dead_code, reason = "each benchmark uses its own part of this")]

pub(crate) mod artifact;
pub(crate) mod request;
pub(crate) mod site;
