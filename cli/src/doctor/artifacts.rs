//! The artifacts directory: whether the host can read it, and whether what is in it verifies.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use pilar_artifact::select::Outcome;
use pilar_artifact::verify::Context;
use pilar_artifact::{FeatureId, Limits, TrustedKeys};

use super::Case;
use crate::documents::{features_in, open_dir};
use crate::environment::own_version;
use crate::finding::Finding;
use crate::inspect::{self, FeatureReport};
use crate::problem::Problem;

/// What other checks need to know of what was released.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// Bytes of all versions that serve.
    pub(super) serving_bytes: u64,
    /// Directories that a host watches: the root, features, versions and what is below them.
    pub(super) directories: u64,
    /// The latest time that a trusted signature vouches for.
    pub(super) latest: Option<Timestamp>,
    /// Features with server functions.
    pub(super) with_functions: Vec<FeatureId>,
}

pub(super) fn check(case: &Case<'_>, trusted: Option<&TrustedKeys>) -> (Vec<Finding>, Released) {
    let root = &case.artifacts;
    let mut released = Released::default();
    let features = match features_in(root) {
        Ok(features) => features,
        Err(problem) => {
            let remedy =
                "make the directory, or let the user of the host read it; ARTIFACTS_DIR names it";
            return (vec![Finding::from(problem.remedy(remedy))], released);
        }
    };
    let mut findings = vec![directory(root)];
    released.directories = directories(root, 0);
    let Some(trusted) = trusted else {
        let message = "without trusted keys nothing can be verified";
        findings.push(Finding::skipped("artifacts", message));
        return (findings, released);
    };
    let own = own_version();
    let context = Context {
        keys: trusted,
        now: case.environment.now(),
        host_version: own.as_ref(),
        limits: Limits::default(),
    };
    let mut versions = 0;
    let mut refusals = Vec::new();
    for (feature, dir) in &features {
        let source = match open_dir(dir) {
            Ok(source) => source,
            Err(problem) => {
                refusals.push(Finding::from(problem));
                continue;
            }
        };
        let report = inspect::feature(&source, feature, &context);
        versions += report.versions.len();
        released.add(&report);
        refusals.extend(refused(&report, dir));
    }
    if refusals.is_empty() {
        let message = match features.len() {
            0 => "there is no feature yet".to_owned(),
            1 => format!("1 feature, {versions} versions: all that may serve verify"),
            count => format!("{count} features, {versions} versions: all that may serve verify"),
        };
        findings.push(Finding::ok("artifacts", message));
    }
    findings.extend(refusals);
    (findings, released)
}

impl Released {
    fn add(&mut self, report: &FeatureReport) {
        let latest = report
            .index
            .as_ref()
            .ok()
            .and_then(|verified| verified.index.history.iter().map(|entry| entry.at).max());
        self.latest = self.latest.max(latest);
        let serving = report.serving().and_then(|version| version.verified.as_ref().ok());
        if let Some(version) = serving {
            self.serving_bytes = self.serving_bytes.saturating_add(version.bytes);
            if version.manifest.server_functions.is_some() {
                self.with_functions.push(report.feature.clone());
            }
        }
    }
}

/// A refusal is a failure where it keeps what was released from serving; where it only narrows what there is to
/// fall back to, it is a warning.
fn refused(report: &FeatureReport, dir: &Path) -> Vec<Finding> {
    let in_the_way = |rejection: &pilar_artifact::Rejection| {
        let of =
            report.versions.iter().find(|version| Some(&version.version) == rejection.version());
        of.is_none_or(|version| matches!(version.outcome, Some(Outcome::Rejected(_))))
    };
    let found = report.refusals().map(|rejection| {
        let problem = Problem::from(rejection);
        let message = format!("{}: {}", report.feature, problem.message());
        let (code, remedy) = (problem.code(), problem.remedy_text());
        Finding::bad(in_the_way(rejection), code, message, remedy).file(dir.join(rejection.file()))
    });
    found.collect()
}

fn directory(root: &Path) -> Finding {
    let mode = std::fs::metadata(root).map_or(0, |metadata| metadata.permissions().mode()) & 0o7777;
    if mode & 0o002 != 0 {
        let message = format!("everybody may write to it (mode {mode:04o}) and take features out");
        let remedy = format!("chmod o-w {}", root.display());
        return Finding::fail("artifacts-dir", message, remedy).file(root);
    }
    Finding::ok("artifacts-dir", format!("{} is readable (mode {mode:04o})", root.display()))
}

/// How many directories there are, as deep as the host looks.
fn directories(dir: &Path, depth: usize) -> u64 {
    /// Features, versions, and as many levels of files as a name may have.
    const DEEPEST: usize = 2 + 16;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let count = |entry: std::fs::DirEntry| {
        if depth < DEEPEST { directories(&entry.path(), depth + 1) } else { 0 }
    };
    1 + below.map(count).sum::<u64>()
}
