//! Why a registration says nothing that could be done.

use std::io;

use pilar_artifact::FeatureId;

use crate::problem::Problem;

const FORGOTTEN: &str = "registration-forgotten";

/// Why a registration is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationError {
    pub(super) feature: Option<FeatureId>,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) remedy: &'static str,
}

impl RegistrationError {
    /// A file that could not be read.
    pub fn unreadable(error: &io::Error) -> Self {
        Self {
            feature: None,
            code: "registration-unreadable",
            message: format!("it could not be read: {error}"),
            remedy: "let the user of this process read it, or remove it",
        }
    }

    /// A registration that nobody deleted, and that the cluster does not know any more.
    pub fn forgotten(feature: Option<FeatureId>) -> Self {
        Self {
            feature,
            code: FORGOTTEN,
            message: "the cluster's store was wiped or restored from a backup, and is without it"
                .to_owned(),
            remedy: "deploy it again; to take the feature out, delete it then, or restart the pod",
        }
    }

    /// Whether it is one of those: nobody vouches for it, so it stands in the way of no other.
    pub fn is_forgotten(&self) -> bool {
        self.code == FORGOTTEN
    }

    /// The feature that it names, where that much could be read.
    pub fn feature(&self) -> Option<&FeatureId> {
        self.feature.as_ref()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The same for people, naming the object or file.
    pub fn problem(&self, place: &str) -> Problem {
        Problem::new(self.code, format!("{place}: {}", self.message), self.remedy)
    }
}
