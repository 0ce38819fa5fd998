//! From the bytes of a layer to files in a staging directory, in one pass.

mod refusal;

pub use refusal::{Refusal, Rule};
