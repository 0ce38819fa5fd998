//! The reason tree as it is shown, whoever found it: this program, or a running host in `/_health`.

use std::cmp::Ordering;

use pilar_artifact::select::Outcome as Standing;
use pilar_artifact::verify::{Report, Step, VerifiedVersion};
use pilar_artifact::{FeatureId, Rejection};
use serde::Deserialize;
use serde_json::{Value, json};

use super::chain::{FeatureReport, VersionReport};
use crate::problem::Problem;

/// The steps that are about the index.
const INDEX_STEPS: usize = 5;

/// A feature, in the words of `/_health`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeatureView {
    pub(super) feature_id: String,
    pub(super) state: String,
    pub(super) serving_version: Option<String>,
    pub(super) desired_version: Option<String>,
    pub(super) index: IndexView,
    #[serde(default)]
    pub(super) versions: Vec<VersionView>,
    #[serde(default)]
    pub(super) conflict_with: Option<String>,
    #[serde(default)]
    pub(super) missing_shared: Vec<String>,
}

/// Its index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexView {
    pub(super) sequence: Option<u64>,
    #[serde(default)]
    pub(super) key_id: Option<String>,
    #[serde(default)]
    pub(super) refused: Option<Report>,
}

/// One of its versions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionView {
    pub(super) version: String,
    /// `None` where no index speaks of it.
    #[serde(default)]
    pub(super) outcome: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) refused: Option<Report>,
    /// What its verification found out.
    #[serde(skip)]
    pub(super) facts: Option<Facts>,
    /// Whether the checks were made; a host verifies no more than it needs.
    #[serde(skip)]
    pub(super) checked: bool,
}

/// What is known of a version that passed.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) files: usize,
    pub(super) bytes: u64,
    pub(super) manifest_sha256: String,
    pub(super) key_id: String,
}

/// What came of one step.
#[derive(Clone, Copy)]
pub(super) enum Checked<'r> {
    Passed,
    Refused(&'r Report),
    NotReached,
}

impl FeatureView {
    pub(super) fn index_checks(&self) -> Vec<(Step, Checked<'_>)> {
        let (steps, _) = Step::ALL.split_at(INDEX_STEPS);
        checks(steps, self.index.refused.as_ref(), true)
    }

    /// Another feature has its prefix and serves there.
    pub(super) fn loses_its_prefix_to(&mut self, holder: &FeatureId) {
        "conflict".clone_into(&mut self.state);
        self.conflict_with = Some(holder.to_string());
        self.serving_version = None;
        for version in &mut self.versions {
            if version.outcome.as_deref() == Some("serving") {
                version.outcome = Some("standby".to_owned());
            }
        }
    }

    /// [`FeatureView::troubles`] as problems of the command, without a place.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.troubles().into_iter().map(|trouble| {
            let message = format!("{}: {}", self.feature_id, trouble.message);
            Problem::new(trouble.code, message, trouble.remedy)
        })
    }

    /// What is wrong beside what a check refused.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let conflict = self.conflict_with.iter().map(|other| Trouble {
            code: "prefix-conflict",
            message: format!("its URL prefix belongs to {other}, so it is not served"),
            remedy: "give one of the two another mount.pathPrefix; `pilar lint routes` finds this before a release",
        });
        let missing = self.missing_shared.iter().map(|package| Trouble {
            code: "shared-missing",
            message: format!("it imports {package}, which no shared set provides"),
            remedy: "add the package to the shared set, or bundle it; `pilar validate compat` finds this before a release",
        });
        conflict.chain(missing).collect()
    }
}

/// Something that is wrong with a feature though every check passed.
pub(super) struct Trouble {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) remedy: &'static str,
}

impl VersionView {
    pub(super) fn checks(&self) -> Vec<(Step, Checked<'_>)> {
        let (_, steps) = Step::ALL.split_at(INDEX_STEPS);
        checks(steps, self.refused.as_ref(), self.checked)
    }

    /// The checks that need no index.
    pub(super) fn checks_without_index(&self) -> Vec<(Step, Checked<'_>)> {
        let (_, steps) = Step::ALL.split_at(Step::ManifestJson as usize);
        checks(steps, self.refused.as_ref(), self.checked)
    }

    /// How it stands, in words.
    pub(super) fn standing(&self) -> String {
        let words = match self.outcome.as_deref() {
            None => return String::new(),
            Some("serving") => "serves",
            Some("below-floor") => "below the floor",
            Some("above-active") => "above the released version",
            Some(other) => other,
        };
        match &self.detail {
            Some(detail) => format!("{words}: {detail}"),
            None => words.to_owned(),
        }
    }

    /// Whether it is refused against somebody's will: to revoke is what somebody wanted.
    pub(super) fn refusal(&self) -> Option<&Report> {
        self.refused.as_ref().filter(|refused| refused.code != "version-revoked")
    }

    pub(super) fn json(&self, checks: &[(Step, Checked<'_>)]) -> Value {
        let facts = self.facts.as_ref();
        json!({
            "version": self.version,
            "outcome": self.outcome,
            "detail": self.detail,
            "bytes": facts.map(|facts| facts.bytes),
            "keyId": facts.map(|facts| &facts.key_id),
            "manifestSha256": facts.map(|facts| &facts.manifest_sha256),
            "refused": self.refused,
            "checks": checks_json(checks),
        })
    }
}

impl From<&FeatureReport> for FeatureView {
    fn from(report: &FeatureReport) -> Self {
        let index = report.index.as_ref();
        let serving = report.serving().map(|serving| serving.version.to_string());
        let desired = index.ok().map(|verified| verified.index.active_version.to_string());
        let state = match (&serving, &desired) {
            (Some(serving), Some(desired)) if serving == desired => "as-released",
            (Some(_), _) => "fallback",
            (None, _) => "nothing-to-serve",
        };
        Self {
            feature_id: report.feature.to_string(),
            state: state.to_owned(),
            serving_version: serving,
            desired_version: desired,
            index: IndexView {
                sequence: index.ok().map(|verified| verified.index.sequence),
                key_id: index.ok().map(|verified| verified.key_id.clone()),
                refused: index.err().map(Rejection::report),
            },
            versions: report.versions.iter().map(VersionView::from).collect(),
            conflict_with: None,
            missing_shared: Vec::new(),
        }
    }
}

impl From<&VersionReport> for VersionView {
    fn from(report: &VersionReport) -> Self {
        let (outcome, detail) = match report.outcome.as_ref() {
            None => (None, None),
            Some(Standing::Serving) => (Some("serving"), None),
            Some(Standing::Rejected(_)) => (Some("refused"), None),
            Some(Standing::Revoked { reason, at }) => {
                (Some("revoked"), Some(format!("{reason} (since {at})")))
            }
            Some(Standing::BelowFloor { floor }) => {
                (Some("below-floor"), Some(format!("the index's minimumVersion is {floor}")))
            }
            Some(Standing::AboveActive) => (Some("above-active"), None),
            Some(Standing::Standby) => (Some("standby"), None),
        };
        let verified = report.verified.as_ref();
        Self {
            version: report.version.to_string(),
            outcome: outcome.map(str::to_owned),
            detail,
            refused: verified.err().map(Rejection::report),
            facts: verified.ok().map(Facts::from),
            checked: true,
        }
    }
}

impl From<&VerifiedVersion> for Facts {
    fn from(version: &VerifiedVersion) -> Self {
        Self {
            files: version.manifest.integrity.len(),
            bytes: version.bytes,
            manifest_sha256: version.manifest_sha256.hex(),
            key_id: version.key_id.clone(),
        }
    }
}

/// The steps with what came of each.
pub(super) fn checks_json(checks: &[(Step, Checked<'_>)]) -> Vec<Value> {
    let results = checks.iter().map(|(step, checked)| {
        let result = match checked {
            Checked::Passed => "passed",
            Checked::Refused(_) => "refused",
            Checked::NotReached => "not-reached",
        };
        json!({ "step": step.number(), "check": step.name(), "result": result })
    });
    results.collect()
}

/// What came of each of `steps`, given the first failure.
fn checks<'r>(
    steps: &'static [Step],
    refusal: Option<&'r Report>,
    checked: bool,
) -> Vec<(Step, Checked<'r>)> {
    let of = |step: &Step| match refusal.map(|refusal| (step.number().cmp(&refusal.step), refusal))
    {
        Some((Ordering::Equal, refusal)) => Checked::Refused(refusal),
        Some((Ordering::Greater, _)) => Checked::NotReached,
        Some((Ordering::Less, _)) => Checked::Passed,
        None if checked => Checked::Passed,
        None => Checked::NotReached,
    };
    steps.iter().map(|step| (*step, of(step))).collect()
}
