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
    told: Vec<f64>,
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
    /// Until the API server has changed the ConfigMap.
    pub(super) told: Times,
    /// Until a replica serves the new version.
    pub(super) served: Times,
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

/// Of many times, in milliseconds.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) longest: f64,
}

/// Reads what was measured.
pub(super) fn read(path: &Path) -> Result<Registration, Failure> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let read = text.and_then(|text| measured(&text));
    read.map_err(|failure| format!("{}: {failure}", path.display()))
}

fn measured(text: &str) -> Result<Registration, Failure> {
    let measured: Measured = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Measured { replicas, told, changes, features, bytes, init, ready } = measured;
    let spread = |values: &[f64]| Spread::of(values.iter().copied()).ok_or("it has no starts");
    Ok(Registration {
        told: Times::of(&told)?,
        served: Times::of(&changes)?,
        init: spread(&init)?,
        ready: spread(&ready)?,
        changes: changes.len() / replicas.max(1),
        starts: ready.len(),
        replicas,
        features,
        bytes,
    })
}

impl Times {
    fn of(milliseconds: &[f64]) -> Result<Self, Failure> {
        let at = |part| percentile(milliseconds, part).ok_or("it has no changes");
        Ok(Self { p50: at(0.5)?, p99: at(0.99)?, longest: at(1.0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::{measured, read};

    #[test]
    fn of_every_change_each_replica_counts() {
        let text = r#"{ "replicas": 2, "told": [1, 2, 1], "changes": [9, 1, 2, 3, 4, 5],
                        "features": 200, "bytes": 65536, "init": [30, 10], "ready": [20, 40] }"#;
        let found = measured(text).unwrap();
        let served = &found.served;
        assert_eq!((found.changes, found.told.p50), (3, 1.0));
        assert_eq!((served.p50, served.p99, served.longest), (3.0, 9.0, 9.0));
        assert_eq!((found.starts, found.init.median, found.ready.greatest), (2, 20.0, 40.0));
        assert!(measured(&text.replace("[30, 10]", "[]")).is_err());
        assert!(read(std::path::Path::new("/nonexistent")).is_err());
    }
}
