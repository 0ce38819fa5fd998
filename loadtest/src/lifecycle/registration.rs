//! From a registration to the first page, as a test of the loader has measured it: with a real cluster, a real
//! registry and several replicas.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::statistics::{Spread, percentile};

/// What the test writes.
#[derive(Debug, Deserialize)]
struct Measured {
    replicas: usize,
    changes: Vec<f64>,
    features: usize,
    bytes: u64,
    init: Vec<f64>,
    ready: Vec<f64>,
}

/// What was seen, in milliseconds.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) replicas: usize,
    /// Changes, each served by every replica.
    pub(super) changes: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) longest: f64,
    /// Registered at a cold start.
    pub(super) features: usize,
    /// Of each of them.
    pub(super) bytes: u64,
    pub(super) starts: usize,
    /// Until `pilar-loader init` has ended.
    pub(super) init: Spread,
    /// Until the host behind it is ready as well.
    pub(super) ready: Spread,
}

/// Reads what was measured.
pub(super) fn read(path: &Path) -> Result<Registration, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let measured: Measured = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let Measured { replicas, changes, features, bytes, init, ready } = measured;
    let at = |part| percentile(&changes, part).ok_or_else(|| failed(&"it has no changes"));
    let spread = |values: &[f64]| {
        Spread::of(values.iter().copied()).ok_or_else(|| failed(&"it has no starts"))
    };
    Ok(Registration {
        p50: at(0.5)?,
        p99: at(0.99)?,
        longest: at(1.0)?,
        init: spread(&init)?,
        ready: spread(&ready)?,
        changes: changes.len() / replicas.max(1),
        starts: ready.len(),
        replicas,
        features,
        bytes,
    })
}
